"""CloudWatch metrics, hour by hour."""

import dagster as dg
import polars as pl

from assets.network import reachable_accounts
from assets.partitions import Partitions
from assets.tables import table_assets, table_spec
from kentik_dagster.configuration import Configuration
from kentik_dagster.work.metrics import HourCollected, collect_hour
from resources.aws import Aws
from resources.clock import Clock
from resources.lake import Lake

NAMESPACES_OBSERVED = "every_namespace_observed"
_CHECKS = (
    dg.AssetCheckSpec(
        NAMESPACES_OBSERVED,
        asset="metric_series",
        description="CloudWatch answered for every account, region and namespace.",
    ),
)


def metric_assets(configuration: Configuration, partitions: Partitions) -> list[dg.AssetsDefinition]:
    """`metric_series`."""
    collecting = {export.name for export in configuration.exports if export.collect_metrics}

    spec = table_spec("metric_series", deps=["org_accounts"], group="metrics", partitions_def=partitions.hours)

    @table_assets("metric_series", [spec], _CHECKS)
    def metric_series(context: dg.AssetExecutionContext, aws: Aws, lake: Lake, clock: Clock) -> dg.MaterializeResult:
        """The datapoints of each hour; what could not be observed keeps the rows that it had."""
        reachable = reachable_accounts(configuration, aws, lake["org_accounts"].read())
        accounts = {name: access for name, access in reachable.items() if access.export.name in collecting}
        results: dict[str, HourCollected] = {}
        for hour in context.partition_keys:
            results[hour] = collect_hour(accounts, lake.tables, hour, clock=clock.now)
            context.log.info(
                f"{hour}: {results[hour].rows:,} datapoints ({len(results)} of {len(context.partition_keys)})"
            )
            context.add_asset_metadata(
                {"dagster/partition_row_count": results[hour].rows, "metrics_requested": results[hour].requested},
                partition_key=hour,
            )
        return dg.MaterializeResult(check_results=[_check(results)])

    return [metric_series]


def _check(results: dict[str, HourCollected]) -> dg.AssetCheckResult:
    failures = pl.concat([result.failures for result in results.values()])
    return dg.AssetCheckResult(
        check_name=NAMESPACES_OBSERVED,
        passed=failures.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        description=None
        if failures.is_empty()
        else f"{failures.height} were not observed. The first: {failures['error_message'][0]}",
        metadata={"not_observed": failures.height},
    )
