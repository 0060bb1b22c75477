"""Network metadata of every account, and the address book made from it."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
import polars as pl

from assets.metadata_checks import CHECKS, check_metadata
from assets.partitions import ACCOUNTS
from assets.tables import table_assets, table_spec
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.configuration import Configuration
from kentik_dagster.core.accounts import collectible_accounts
from kentik_dagster.core.metadata_health import changes_by_type
from kentik_dagster.core.schemas import no_rows
from kentik_dagster.work.address_book import update_address_book
from kentik_dagster.work.metadata import collect_metadata
from resources.aws import Aws
from resources.clock import Clock
from resources.lake import Lake

_CHANGES_BY_TYPE = dg.TableSchema(
    [
        dg.TableColumn("resource_type"),
        dg.TableColumn("added", "int"),
        dg.TableColumn("changed", "int"),
        dg.TableColumn("removed", "int"),
        dg.TableColumn("such_as", description="names of the first few"),
    ]
)


def reachable_accounts(configuration: Configuration, aws: Aws, accounts: pl.DataFrame) -> dict[str, ExportAccess]:
    """The access that reaches each account to collect, of the exports that the configuration still has."""
    exports = {export.name: export for export in configuration.exports}
    collected = collectible_accounts(accounts, exports)
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

    @table_assets("account_metadata", specs, CHECKS, pool="metadata")
    def account_metadata(
        context: dg.AssetExecutionContext, aws: Aws, lake: Lake, clock: Clock
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        """A snapshot of each account: what changed since the last one, and what could not be seen."""
        reachable = reachable_accounts(configuration, aws, lake["org_accounts"].read())
        wanted = {key: reachable[key] for key in context.partition_keys if key in reachable}
        for key in sorted(set(context.partition_keys) - wanted.keys()):
            context.log.info(f"account {key} is not collected any more: left, closed, blocked or of no export")
        calls: list[pl.DataFrame] = []
        changes: list[pl.DataFrame] = [no_rows(TABLES["metadata_changes"])]
        for done in collect_metadata(wanted, lake.tables, clock=clock.now):
            calls.append(done.calls)
            changes.append(done.changes)
            context.log.info(f"account {done.account_id}: {_told(done.changes)} ({len(calls)} of {len(wanted)})")
            context.add_asset_metadata(
                {"changes": done.changes.height, "what_changed": _told(done.changes)},
                asset_key="metadata_changes",
                partition_key=done.account_id,
            )
        by_type = changes_by_type(pl.concat(changes))
        yield dg.MaterializeResult(
            "metadata_changes",
            metadata={
                "changes_in_run": sum(frame.height for frame in changes),
                "changes_by_type": dg.MetadataValue.table(
                    [dg.TableRecord(row) for row in by_type.to_dicts()], _CHANGES_BY_TYPE
                ),
            },
        )
        yield dg.MaterializeResult("metadata_calls", metadata=_counted(calls))
        yield from check_metadata(configuration, lake)

    book_spec = table_spec("address_book", deps=["metadata_changes", "org_accounts"], group="metadata")

    @table_assets("address_book", [book_spec])
    def address_book(context: dg.AssetExecutionContext, lake: Lake) -> dg.MaterializeResult:
        """Who had which address in which VPC, from when until when."""
        book = update_address_book(lake.tables)
        kinds = dict(book["kind"].value_counts().iter_rows())
        return dg.MaterializeResult(
            metadata={"dagster/row_count": book.height, "rows_by_kind": dg.MetadataValue.json(kinds)}
        )

    return [account_metadata, address_book]


def _told(changes: pl.DataFrame) -> str:
    """A snapshot's changes in one line: `+3 ~1 -0: subnet (a, b), vpc (prod)`."""
    by_type = changes_by_type(changes)
    added, changed, removed = (int(by_type[name].sum()) for name in ("added", "changed", "removed"))
    names = ", ".join(f"{kind} ({names})" for kind, names in by_type.select("resource_type", "such_as").iter_rows())
    return f"+{added} ~{changed} -{removed}" + (f": {names}" if names else "")


def _counted(calls: Sequence[pl.DataFrame]) -> dict[str, Any]:
    """What a run asked of AWS."""
    if not calls:
        return {"calls_in_run": 0}
    everything = pl.concat(calls)
    return {
        "calls_in_run": everything.height,
        "pages_in_run": int(everything["pages"].sum()),
        "throttled_in_run": int(everything["throttled"].sum()),
        "calls_by_outcome": dg.MetadataValue.json(dict(everything["outcome"].value_counts(sort=True).iter_rows())),
    }
