"""CloudWatch metrics: which series there are, and their datapoints hour by hour."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg
import polars as pl

from assets.network import reachable_accounts
from assets.partitions import Partitions
from assets.tables import table_assets, table_spec
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.catalog.outcomes import Outcome
from kentik_dagster.configuration import Configuration
from kentik_dagster.core.flow_log_keys import hour_start
from kentik_dagster.core.look_back import LONGEST_STRETCH
from kentik_dagster.core.metric_pictures import coarser_hours, namespace_pictures
from kentik_dagster.errors import BudgetError
from kentik_dagster.work.metric_listings import refresh_listings
from kentik_dagster.work.metrics import Plan, WindowCollected, collect, planned
from resources.aws import Aws
from resources.clock import Clock
from resources.lake import Lake

NAMESPACES_OBSERVED, BILL_AS_PLANNED = "every_namespace_observed", "bill_as_planned"
_CHECKS = (
    dg.AssetCheckSpec(
        NAMESPACES_OBSERVED,
        asset="metric_series",
        description="CloudWatch answered for every account, region and namespace.",
    ),
    dg.AssetCheckSpec(
        BILL_AS_PLANNED,
        asset="metric_series",
        description="As many metrics were requested as was known beforehand that would be.",
    ),
)


class MetricsConfig(dg.Config):
    """Of the hours that are asked for, only the datapoints of whole days, which begin with some of them."""

    daily_only: bool = False


def metric_assets(configuration: Configuration, partitions: Partitions) -> list[dg.AssetsDefinition]:
    """`metric_listings` and `metric_series`."""
    collecting = {export.name for export in configuration.exports if export.collect_metrics}
    metrics = configuration.metrics.chosen

    def accounts_of(aws: Aws, lake: Lake) -> dict[str, ExportAccess]:
        reachable = reachable_accounts(configuration, aws, lake["org_accounts"].read())
        return {account_id: access for account_id, access in reachable.items() if access.export.name in collecting}

    listings = table_spec("metric_listings", deps=["org_accounts"], group="metrics")

    @table_assets("metric_listings", [listings], pool="metric_listings")
    def metric_listings(context: dg.AssetExecutionContext, aws: Aws, lake: Lake, clock: Clock) -> dg.MaterializeResult:
        """Which series CloudWatch has; `metric_series` asks by itself where it was not asked for an hour."""
        calls = refresh_listings(
            accounts_of(aws, lake), lake.tables, metrics, clock=clock.now, older_than=timedelta(seconds=-1)
        )
        for message in _failed(calls)["error_message"].unique(maintain_order=True).head(20):
            context.log.warning(message)
        return dg.MaterializeResult(metadata=_listed(calls, lake))

    # Every hour is of resources of all accounts.
    changes = dg.AssetDep("metadata_changes", partition_mapping=dg.AllPartitionMapping())
    series = table_spec(
        "metric_series",
        deps=["org_accounts", "metric_listings", changes],
        group="metrics",
        partitions_def=partitions.hours,
    )

    # In no pool: a backfill of its hours must not keep the schedule waiting, which asks for others.
    @table_assets("metric_series", [series], _CHECKS, longest_run=LONGEST_STRETCH)
    def metric_series(
        context: dg.AssetExecutionContext, config: MetricsConfig, aws: Aws, lake: Lake, clock: Clock
    ) -> dg.MaterializeResult:
        """The datapoints of each hour; what could not be observed keeps the rows that it had."""
        accounts = accounts_of(aws, lake)
        hours = [hour_start(hour) for hour in context.partition_keys]
        made = planned(accounts, lake.tables, hours, metrics, clock=clock.now, daily_only=config.daily_only)
        if made.calls.height:  # series were listed on the way: that table is as new as if it had been asked for
            context.log_event(dg.AssetMaterialization("metric_listings", metadata=_listed(made.calls, lake)))
        cost, budget = configuration.metrics.cost(made.queries), configuration.metrics.budget_per_run
        context.log.info(
            f"{made.queries:,} metrics in {made.requests:,} requests or a few more, which costs {cost:.4f} at most"
        )
        if budget is not None and cost > budget:
            raise BudgetError(made.queries, cost, budget)
        results = []
        for result in collect(made, accounts, lake.tables, clock=clock.now):
            results.append(result)
            _tell(context, result, len(results), made)
        return _summary(configuration, made, results)

    return [metric_listings, metric_series]


def _failed(calls: pl.DataFrame) -> pl.DataFrame:
    return calls.filter(pl.col("outcome") != str(Outcome.OBSERVED))


def _listed(calls: pl.DataFrame, lake: Lake) -> dict[str, Any]:
    """What is said of the series that there are, after these calls."""
    rows = lake["metric_listings"].read()
    listed = rows.drop_nulls("metric_name").group_by("namespace").agg(pl.len()).sort("namespace")
    return {
        "dagster/row_count": rows.height,
        "series_by_namespace": dg.MetadataValue.json(dict(listed.iter_rows())),
        "requests_in_run": int(calls["pages"].sum()),
        "not_listed": _failed(calls).height,
    }


def _tell(context: dg.AssetExecutionContext, result: WindowCollected, number: int, made: Plan) -> None:
    asked_for = set(context.partition_keys)
    for hour, summary in result.hours.items():
        if hour in asked_for:
            said = _of_hour(summary)
            context.log.info(
                f"{hour}: {said['dagster/partition_row_count']:,} datapoints ({number} of {len(made.windows)} windows)"
            )
            context.add_asset_metadata(said, partition_key=hour)


def _of_hour(summary: pl.DataFrame) -> dict[str, Any]:
    return {
        "dagster/partition_row_count": summary["datapoints"].sum(),
        "namespaces": dg.MetadataValue.md(namespace_pictures(summary)),
    }


def _summary(configuration: Configuration, made: Plan, results: list[WindowCollected]) -> dg.MaterializeResult:
    requested = sum(result.requested for result in results)
    calls = pl.concat([made.calls, *(result.calls for result in results)])
    failed = _failed(calls)
    metadata: dict[str, Any] = {
        "metrics_planned": made.queries,
        "metrics_requested": requested,
        "cost_planned": configuration.metrics.cost(made.queries),
        "cost": configuration.metrics.cost(requested),
        "requests": sum(result.requests for result in results),
        "requests_planned": made.requests,
        "not_observed": failed.height,
        **{name: dg.MetadataValue.md(text) for name, text in _aged(made)},
    }
    return dg.MaterializeResult(
        metadata=metadata,
        check_results=[_observed(failed), _bill(made.queries, requested)],
    )


def _aged(made: Plan) -> Iterator[tuple[str, str]]:
    """What CloudWatch no longer has."""
    text = coarser_hours([window.start for window in made.windows], made.now)
    if text:
        yield "no_longer_kept", text


def _observed(failed: pl.DataFrame) -> dg.AssetCheckResult:
    where = failed.select("account_id", "region", "operation", "outcome", "error_message")
    first = None if where.is_empty() else where.row(0, named=True)
    return dg.AssetCheckResult(
        check_name=NAMESPACES_OBSERVED,
        passed=first is None,
        severity=dg.AssetCheckSeverity.WARN,
        description=None
        if first is None
        else f"{where.height} were not observed, and keep the rows that they had (metadata_calls has them all). The "
        f"first: {first['operation']} in account {first['account_id']}, {first['region']}: {first['error_message']}",
        metadata={"not_observed": failed.height},
    )


def _bill(planned_queries: int, requested: int) -> dg.AssetCheckResult:
    is_as_planned = planned_queries == requested
    return dg.AssetCheckResult(
        check_name=BILL_AS_PLANNED,
        passed=is_as_planned,
        severity=dg.AssetCheckSeverity.WARN,
        description=None
        if is_as_planned
        else f"{planned_queries:,} metrics were planned and {requested:,} requested: fewer where an account could not "
        "be reached or CloudWatch denied them",
        metadata={"metrics_planned": planned_queries, "metrics_requested": requested},
    )
