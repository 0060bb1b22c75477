"""Network metadata of every account, and the address book made from it."""

from collections.abc import Iterator, Sequence

import dagster as dg
import polars as pl

from assets.partitions import ACCOUNTS
from assets.tables import table_assets, table_spec
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.catalog.outcomes import Outcome
from kentik_dagster.configuration import Configuration
from kentik_dagster.core.accounts import collectible_accounts
from kentik_dagster.work.metadata import collect_metadata, rebuild_address_book
from resources.aws import Aws
from resources.clock import Clock
from resources.lake import Lake

OPERATIONS_OBSERVED = "every_operation_observed"
_CHECKS = (
    dg.AssetCheckSpec(
        OPERATIONS_OBSERVED,
        asset="metadata_calls",
        description="AWS answered every operation in every account and region; what it did not is stale.",
    ),
)


def reachable_accounts(configuration: Configuration, aws: Aws, accounts: pl.DataFrame) -> dict[str, ExportAccess]:
    """The access that reaches each account to collect, of the exports that the configuration still has."""
    exports = {export.name: export for export in configuration.exports}
    collected = collectible_accounts(accounts.filter(pl.col("export").is_in(list(exports))))
    return {
        account_id: aws.access(exports[export])
        for account_id, export in collected.select("account_id", "export").rows()
    }


def network_assets(configuration: Configuration) -> list[dg.AssetsDefinition]:
    """`account_metadata`, which keeps `metadata_changes` and `metadata_calls`; and `address_book`."""
    specs = [
        table_spec(name, deps=["org_accounts"], group="metadata", partitions_def=ACCOUNTS)
        for name in ("metadata_changes", "metadata_calls")
    ]

    @table_assets("account_metadata", specs, _CHECKS)
    def account_metadata(
        context: dg.AssetExecutionContext, aws: Aws, lake: Lake, clock: Clock
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        """A snapshot of each account: what changed since the last one, and what could not be seen."""
        reachable = reachable_accounts(configuration, aws, lake["org_accounts"].read())
        wanted = {key: reachable[key] for key in context.partition_keys if key in reachable}
        for key in sorted(set(context.partition_keys) - wanted.keys()):
            context.log.info(f"account {key} is not collected any more: left, closed, blocked or of no export")
        calls: list[pl.DataFrame] = []
        changed = 0
        for done in collect_metadata(wanted, lake.tables, clock=clock.now):
            calls.append(done.calls)
            changed += done.changes.height
            context.log.info(f"account {done.account_id}: {_told(done.changes)} ({len(calls)} of {len(wanted)})")
            context.add_asset_metadata(
                {"changes": done.changes.height, "what_changed": _told(done.changes)},
                asset_key="metadata_changes",
                partition_key=done.account_id,
            )
        yield dg.MaterializeResult("metadata_changes", metadata={"changes_in_run": changed})
        yield dg.MaterializeResult("metadata_calls", metadata={"calls_in_run": sum(frame.height for frame in calls)})
        yield _check(calls)

    book_spec = table_spec("address_book", deps=["metadata_changes", "org_accounts"], group="metadata")

    @table_assets("address_book", [book_spec])
    def address_book(context: dg.AssetExecutionContext, lake: Lake) -> dg.MaterializeResult:
        """Who had which address in which VPC, from when until when."""
        book = rebuild_address_book(lake.tables)
        kinds = dict(book["kind"].value_counts().iter_rows())
        return dg.MaterializeResult(
            metadata={"dagster/row_count": book.height, "rows_by_kind": dg.MetadataValue.json(kinds)}
        )

    return [account_metadata, address_book]


def _told(changes: pl.DataFrame) -> str:
    counts = dict(changes["change"].value_counts().iter_rows())
    return f"+{counts.get('added', 0)} ~{counts.get('changed', 0)} -{counts.get('removed', 0)}"


def _check(calls: Sequence[pl.DataFrame]) -> dg.AssetCheckResult:
    schema = {
        "account_id": pl.String,
        "region": pl.String,
        "operation": pl.String,
        "outcome": pl.String,
        "error_message": pl.String,
    }
    everything = pl.concat(frame.select(schema.keys()) for frame in calls) if calls else pl.DataFrame(schema=schema)
    unseen = everything.filter(~pl.col("outcome").is_in([str(Outcome.OBSERVED), str(Outcome.SKIPPED)]))
    records = [dg.TableRecord({name: str(value) for name, value in row.items()}) for row in unseen.head(100).to_dicts()]
    return dg.AssetCheckResult(
        asset_key="metadata_calls",
        check_name=OPERATIONS_OBSERVED,
        passed=unseen.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        description=None
        if unseen.is_empty()
        else f"{unseen.height} operations were not observed in {unseen['account_id'].n_unique()} accounts; "
        f"what is known of them stays. The first: {unseen['error_message'][0]}",
        metadata={"operations_not_observed": unseen.height}
        | ({"first_of_them": dg.MetadataValue.table(records)} if records else {}),
    )
