"""The checks of network metadata: what was not seen, what is old, and what sends no logs that we read."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import dagster as dg
import polars as pl

from kentik_dagster.catalog.network_operations import OPERATIONS
from kentik_dagster.configuration import Configuration
from kentik_dagster.core.accounts import collectible_accounts
from kentik_dagster.core.log_coverage import log_coverage
from kentik_dagster.core.metadata_health import (
    calls_of,
    degraded_operations,
    skipped_regions,
    stale_snapshots,
    unreachable_accounts,
)
from kentik_dagster.core.network import current_state
from resources.clock import Clock
from resources.lake import Lake

SNAPSHOT_EVERY = timedelta(minutes=15)
_SHOWN = 100
_ACTIONS = {(operation.service, operation.name): operation.action for operation in OPERATIONS}

ACCOUNTS_REACHED, OPERATIONS_OBSERVED = "every_account_reached", "every_operation_observed"
REGIONS_ENABLED, SNAPSHOTS_RECENT = "every_region_enabled", "snapshots_are_recent"
LOGS_READ = "every_network_sends_logs"
CHECKS = (
    dg.AssetCheckSpec(
        ACCOUNTS_REACHED,
        asset="metadata_calls",
        description="The role of every account could be assumed; what is known of one that is not reached stays.",
    ),
    dg.AssetCheckSpec(
        OPERATIONS_OBSERVED,
        asset="metadata_calls",
        description="AWS answered every operation in every account and region; what it did not is stale.",
    ),
    dg.AssetCheckSpec(
        REGIONS_ENABLED,
        asset="metadata_calls",
        description="Every region of `regions_used` is enabled in every account; the others are not collected there.",
    ),
    dg.AssetCheckSpec(
        LOGS_READ,
        asset="metadata_changes",
        description="Every VPC, transit gateway and firewall has a healthy flow log that an export reads: without one "
        "its traffic is not seen.",
    ),
)


def check_metadata(configuration: Configuration, lake: Lake) -> Iterator[dg.AssetCheckResult]:
    """The checks of what all snapshots so far have seen, whichever accounts this run is about."""
    calls = calls_of(_to_collect(configuration, lake), lake["metadata_calls"].read())
    unreachable = unreachable_accounts(calls)
    yield _result(
        "metadata_calls",
        ACCOUNTS_REACHED,
        unreachable,
        lambda first: f"{unreachable.height} accounts were not reached: {first['error_message']}",
    )
    degraded = degraded_operations(calls, _ACTIONS)
    yield _result("metadata_calls", OPERATIONS_OBSERVED, degraded, lambda first: _degraded(degraded, first))
    skipped = skipped_regions(calls)
    yield _result(
        "metadata_calls",
        REGIONS_ENABLED,
        skipped,
        lambda first: (
            f"{skipped.height} regions are not collected because they are not enabled, such as "
            f"{first['region']} in account {first['account_id']}. Enable them, or take them out of regions_used."
        ),
    )
    yield _check_logs(configuration, lake, calls)


def snapshot_check(configuration: Configuration) -> dg.AssetChecksDefinition:
    """The check of how old the snapshots are: it is also asked when no snapshot is taken."""

    @dg.asset_check(
        asset="metadata_calls",
        name=SNAPSHOTS_RECENT,
        description=f"Every account was reached by one of the last two snapshots, {_minutes(SNAPSHOT_EVERY)} apart.",
    )
    def snapshots_are_recent(lake: Lake, clock: Clock) -> dg.AssetCheckResult:
        accounts = _to_collect(configuration, lake)
        stale = stale_snapshots(accounts, lake["metadata_calls"].read(), now=clock.now(), after=2 * SNAPSHOT_EVERY)
        return _result(
            "metadata_calls",
            SNAPSHOTS_RECENT,
            stale,
            lambda first: (
                f"{stale.height} accounts were not reached within {_minutes(2 * SNAPSHOT_EVERY)}, such as "
                f"{first['account_id']}, last at {first['last_observed_at'] or 'no time'}. See {ACCOUNTS_REACHED}, and "
                "whether the schedule metadata_every_quarter_hour runs."
            ),
        )

    return snapshots_are_recent


def _to_collect(configuration: Configuration, lake: Lake) -> pl.DataFrame:
    names = [export.name for export in configuration.exports]
    return collectible_accounts(lake["org_accounts"].read(), names)


def _check_logs(configuration: Configuration, lake: Lake, calls: pl.DataFrame) -> dg.AssetCheckResult:
    places = {export.name: (export.log_bucket, export.log_folder) for export in configuration.log_exports}
    flows = [places[export.name] for export in configuration.log_exports if export.collect_flow_logs]
    firewalls = [places[export.name] for export in configuration.log_exports if export.collect_firewall_logs]
    state = current_state(lake["metadata_changes"].read())
    collected = state.join(calls.select("account_id").unique(), on="account_id", how="semi")
    coverage = log_coverage(collected, calls, flows, firewalls)
    # An export that reads no logs of a kind has no reason to worry about them.
    is_firewall = pl.col("resource_type") == "firewall"
    dark = coverage.filter(
        pl.col("coverage").is_in(["none", "elsewhere", "unhealthy"]),
        ~pl.col("is_idle"),
        pl.when(is_firewall).then(pl.lit(bool(firewalls))).otherwise(pl.lit(bool(flows))),
    )
    counts = dict(coverage.group_by("coverage").len().sort("coverage").iter_rows())
    return _result(
        "metadata_changes",
        LOGS_READ,
        dark,
        lambda first: (
            f"{dark.height} networks send no flow logs that are read, such as {first['resource_id']} "
            f"({first['name'] or 'without a name'}) in account {first['account_id']}: {first['reason']}"
        ),
        networks=dg.MetadataValue.json(counts),
    )


def _degraded(degraded: pl.DataFrame, first: Mapping[str, Any]) -> str:
    missing = degraded["missing_action"].drop_nulls().unique().sort().to_list()
    grant = f" Grant {', '.join(missing)}." if missing else ""
    return (
        f"{degraded.height} operations were not observed in {degraded['account_id'].n_unique()} accounts; what is "
        f"known of them stays.{grant} The first, {first['operation']} in {first['account_id']} {first['region']}: "
        f"{first['error_message']}"
    )


def _result(
    asset: str, name: str, problems: pl.DataFrame, told: Callable[[Mapping[str, Any]], str], **metadata: Any
) -> dg.AssetCheckResult:
    """A check that warns of each row, tells the first in words, and shows a table of the first hundred."""
    rows = problems.head(_SHOWN).to_dicts()
    shown = [dg.TableRecord({column: str(value) for column, value in row.items()}) for row in rows]
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=name,
        passed=problems.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        description=None if problems.is_empty() else told(problems.row(0, named=True)),
        metadata={"count": problems.height, **metadata}
        | ({"first_of_them": dg.MetadataValue.table(shown)} if shown else {}),
    )


def _minutes(time: timedelta) -> str:
    return f"{time // timedelta(minutes=1)} minutes"
