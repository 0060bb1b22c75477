"""The deletion sweep: log objects that the lake holds leave the bucket, or are named."""

import math
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import pairwise

import dagster as dg
import polars as pl

from assets.partitions import Partitions, days_of, flow_key, hours_by_export
from assets.tables import table_assets, table_spec
from kentik_dagster.aws.flow_logs import LogBucket
from kentik_dagster.configuration import Configuration
from kentik_dagster.core.deletion import current_lags, deletion_lags, refused_deletions
from kentik_dagster.core.flow_log_keys import hour_of
from kentik_dagster.core.look_back import LONGEST_STRETCH
from kentik_dagster.core.pictures import columns_picture
from kentik_dagster.errors import KentikDagsterError
from kentik_dagster.work.sweep import first_read_at, sweep_hour
from resources.aws import Aws
from resources.clock import Clock
from resources.lake import Lake

MAY_DELETE = "may_delete"
DELETED_IN_TIME = "deleted_within_15_minutes"
_IN_TIME = timedelta(minutes=15)
_STEPS = (1, 2, 5, 10, 15, 30, 60, 360)
# Older objects are a backfill's: they say nothing about whether today's logs are kept up with.
_CURRENT = timedelta(days=1)
# Such as a file of the lake that is lost.
_UNREADABLE = (KentikDagsterError, OSError, pl.exceptions.PolarsError)
_MADE_FROM = ("flow_log_objects", "flow_logs", "firewall_logs")
_CHECKS = (
    dg.AssetCheckSpec(
        MAY_DELETE,
        asset="deletion_sweep",
        description="No deletion was refused. It needs s3:DeleteObject and s3:GetObject on the log objects; without "
        "them ingest goes on, and the objects stay.",
    ),
    dg.AssetCheckSpec(
        DELETED_IN_TIME,
        asset="deletion_sweep",
        description="99 of 100 objects posted in the last day left the bucket within 15 minutes of being posted. "
        "Older objects do not count, nor those that a dry run had kept or that lay there before the first was read.",
    ),
)


def deletion_assets(configuration: Configuration, partitions: Partitions) -> list[dg.AssetsDefinition]:
    """`deletion_sweep`."""
    spec = table_spec("deletion_sweep", deps=_MADE_FROM, group="flow_logs", partitions_def=partitions.flows)

    @table_assets("deletion_sweep", [spec], _CHECKS, longest_run=LONGEST_STRETCH)
    def deletion_sweep(
        context: dg.AssetExecutionContext, aws: Aws, lake: Lake, clock: Clock
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        """Log objects that the lake holds are deleted, or with `delete_after_read: false` only named."""
        swept: list[pl.DataFrame] = []
        failures: list[str] = []
        for export, hours in hours_by_export(context.partition_keys).items():
            try:
                access = aws.access(configuration.export(export))
                listed_at = clock.now()
                listed = LogBucket(access).objects(days_of(hours))
            except KentikDagsterError as error:
                failures.append(f"{export}: {error}")
                continue
            begun_at: datetime | None = None
            with suppress(*_UNREADABLE):  # the hour that it is about says so below
                begun_at = first_read_at(lake.tables, export, hour_of(listed_at - 2 * _CURRENT))
            for hour in hours:
                objects = listed.filter(pl.col("hour") == hour)
                try:
                    rows = sweep_hour(
                        access, lake.tables, hour, objects,
                        run_id=context.run.run_id, clock=clock.now, listed_at=listed_at,
                    )  # fmt: skip
                except _UNREADABLE as error:
                    failures.append(f"{export} {hour}: {error}")
                    continue
                if begun_at is not None:
                    rows = rows.with_columns(held_back=pl.col("held_back") | (pl.col("posted_at") < begun_at))
                swept.append(rows)
                lags = _lags_in_run(rows, context.run.run_id)
                context.add_asset_metadata(
                    {"dagster/partition_row_count": rows.height, "outcomes": _outcomes(rows), **_quantiles(lags)},
                    partition_key=flow_key(export, hour),
                )
        if failures:
            raise dg.Failure("\n".join(failures), allow_retries=False)
        rows = pl.concat(swept)
        lags = _lags_in_run(rows, context.run.run_id)
        yield dg.MaterializeResult(metadata={"outcomes_in_run": _outcomes(rows), **_quantiles(lags), **_picture(lags)})
        deleting = [export.name for export in configuration.exports if export.delete_after_read]
        yield _may_delete(rows.filter(pl.col("export").is_in(deleting)))
        yield _deleted_in_time(lags, clock.now())

    return [deletion_sweep]


def _outcomes(rows: pl.DataFrame) -> dg.MetadataValue:
    return dg.MetadataValue.json(dict(rows["outcome"].value_counts().iter_rows()))


def _lags_in_run(rows: pl.DataFrame, run_id: str) -> pl.DataFrame:
    return deletion_lags(rows.filter(pl.col("run_id") == run_id))


def _quantiles(lags: pl.DataFrame) -> dict[str, float]:
    """Seconds from posting to deletion; nothing where nothing was deleted."""
    quantiles = {name: lags["lag_seconds"].quantile(part) for name, part in (("p50", 0.5), ("p99", 0.99))}
    return {f"deletion_lag_seconds_{name}": value for name, value in quantiles.items() if value is not None}


def _picture(lags: pl.DataFrame) -> dict[str, dg.MarkdownMetadataValue]:
    """How long the objects of this run lay in the bucket; nothing where nothing was deleted."""
    if lags.is_empty():
        return {}
    minutes = lags["lag_seconds"] / 60
    bounds = pairwise((0, *_STEPS, math.inf))
    counts = [minutes.filter(minutes.is_between(low, high, closed="left")).len() for low, high in bounds]
    labels = [*(f"< {step} min" for step in _STEPS), "later"]
    picture = columns_picture("log objects by the time from posting to deletion", labels, {"objects": counts})
    return {"deletion_latency": dg.MetadataValue.md(picture)}


def _may_delete(rows: pl.DataFrame) -> dg.AssetCheckResult:
    refused = refused_deletions(rows)
    return dg.AssetCheckResult(
        check_name=MAY_DELETE,
        passed=refused.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        description=None
        if refused.is_empty()
        else f"{refused.height} objects of {', '.join(sorted(refused['export'].unique()))} stay in the bucket. "
        f"The first, {refused['key'][0]}: {refused['error'][0]}",
        metadata={"refused_objects": refused.height},
    )


def _deleted_in_time(lags: pl.DataFrame, now: datetime) -> dg.AssetCheckResult:
    current = current_lags(lags, now, _CURRENT)
    quantiles = _quantiles(current)
    p99 = quantiles.get("deletion_lag_seconds_p99", 0.0)
    passed = p99 <= _IN_TIME.total_seconds()
    return dg.AssetCheckResult(
        check_name=DELETED_IN_TIME,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=None
        if passed
        else f"of {current.height} objects posted in the last day the slowest hundredth was deleted {p99 / 60:.0f} "
        "minutes after posting or later. Look for runs that wait or fail: nothing is deleted before it is read.",
        metadata={"objects": current.height, **quantiles},
    )
