"""The listing sensor: asks for exactly the hours of an export that have log objects pending."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

import dagster as dg
import polars as pl
from pydantic import BaseModel

from assets.enrichment import EnrichmentConfig
from assets.flow_logs import bucket_key
from assets.partitions import Partitions, flow_key
from kentik_dagster.aws.flow_logs import LogBucket
from kentik_dagster.configuration import Configuration, Export
from kentik_dagster.core.flow_log_keys import hour_of, hour_start
from kentik_dagster.core.ledger import pending_objects
from resources.aws import Aws
from resources.clock import Clock
from resources.lake import Lake

SENSOR_SECONDS = 60
EXPORT_TAG = "kentik/export"
REASON_TAG = "kentik/reason"
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
# Days of history that one tick looks at besides the look-back window: a tick must end well inside 60 s.
_DAYS_BEHIND_PER_TICK = 7
# Hours in a row from which on one run serves them all: a run costs seconds of its own.
_RANGE_HOURS = 4
# What failed is asked for again, but not with every tick.
_ASK_AGAIN_SECONDS = 600
_LONGEST_RUN = timedelta(hours=2)
_STATUS = dg.DagsterRunStatus
IN_PROGRESS = (_STATUS.QUEUED, _STATUS.NOT_STARTED, _STATUS.STARTING, _STATUS.STARTED, _STATUS.CANCELING)


class Examined(BaseModel):
    """The sensor's cursor: which days have been looked at.

    Attributes:
        behind: days still to look at, from the first up to but without the second; newest are looked at first.
        until: last day of the look-back window of the last tick.
    """

    behind: tuple[date, date] | None = None
    until: date | None = None


def examine(export: Export, examined: Examined, today: date) -> tuple[list[date], Examined]:
    """The days that a tick looks at, and the cursor after it.

    The look-back window every time; and, a few days at a time, everything since `start` that no tick has
    looked at: on first sight, or after the sensor was off for longer than the window.
    """
    start = export.start.date()
    window_start = max(start, today - timedelta(days=export.look_back_days - 1))
    behind = examined.behind
    if examined.until is None:
        behind = (start, window_start)
    elif examined.until < window_start:
        behind = (min(examined.until, behind[0] if behind else examined.until), window_start)
    window = [window_start + timedelta(days=number) for number in range((today - window_start).days + 1)]
    if behind is None or behind[0] >= behind[1]:
        return window, Examined(until=today)
    first = max(behind[0], behind[1] - timedelta(days=_DAYS_BEHIND_PER_TICK))
    older = [first + timedelta(days=number) for number in range((behind[1] - first).days)]
    left = (behind[0], first) if behind[0] < first else None
    return older + window, Examined(behind=left, until=today)


def listing_sensors(configuration: Configuration, partitions: Partitions, job_name: str) -> list[dg.SensorDefinition]:
    """One sensor for each export with flow logs."""
    return [
        _listing_sensor(export, f"flow_logs_{number}_{re.sub(r'[^A-Za-z0-9]', '_', export.name)}", partitions, job_name)
        for number, export in enumerate(configuration.log_exports, start=1)
    ]


def _listing_sensor(export: Export, name: str, partitions: Partitions, job_name: str) -> dg.SensorDefinition:
    @dg.sensor(
        name=name,
        job_name=job_name,
        minimum_interval_seconds=SENSOR_SECONDS,
        description=f"Lists the flow logs of export {export.name}; asks for the hours whose objects the lake lacks.",
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def listing_sensor(context: dg.SensorEvaluationContext, aws: Aws, lake: Lake, clock: Clock) -> dg.SensorResult:
        now = clock.now()
        examined = Examined.model_validate_json(context.cursor) if context.cursor else Examined()
        days, after = examine(export, examined, now.date())
        listed = LogBucket(aws.access(export)).objects(days)
        pending = pending_hours(export, listed, lake, now)
        known = pending.filter(
            pl.Series([_is_partition(partitions, export, hour, now) for hour in pending["hour"]], dtype=pl.Boolean)
        )
        dropped = pending.height - known.height
        if dropped:
            context.log.warning(
                f"{dropped} hours lie before `start` of export {export.name}, or in the future: not asked for"
            )
        free = known.filter(~pl.col("hour").is_in(_hours_in_progress(context.instance, export, job_name, now)))
        return dg.SensorResult(
            run_requests=list(_requests(export, free, now)),
            cursor=after.model_dump_json(),
            asset_events=list(_observations(export, free)),
            skip_reason=None if free.height else f"nothing pending in {len(days)} days, {listed.height} objects listed",
        )

    return listing_sensor


def pending_hours(export: Export, listed: pl.DataFrame, lake: Lake, now: datetime) -> pl.DataFrame:
    """The hours with work to do: `hour`, `objects`, `size_bytes`, `posted_at` (newest), `names` (sorted).

    Objects that the lake lacks; and with `delete_after_read` also those that it holds and that are still there.
    """
    hours: Sequence[str] = listed["hour"].unique().to_list()
    audit = (
        lake["flow_log_objects"]
        .scan()
        .filter(pl.col("export") == export.name, pl.col("hour").is_in(list(hours)))
        .select("source_object", "outcome", "posted_at", "ingested_at")
        .collect()
    )
    if export.delete_after_read:
        audit = audit.filter(pl.col("outcome") == "unreadable")
    return (
        pending_objects(listed, audit, now)
        .group_by("hour")
        .agg(
            pl.len().alias("objects"),
            pl.col("size_bytes").sum(),
            pl.col("posted_at").max(),
            pl.col("source_object").sort().alias("names"),
        )
        .sort("hour")
    )


def _is_partition(partitions: Partitions, export: Export, hour: str, now: datetime) -> bool:
    """A request for an hour that is no partition would fail the whole tick, and every tick after it."""
    in_time = hour_of(export.start) <= hour <= hour_of(now)
    return in_time and partitions.hours.has_partition_key(hour)


def _hours_in_progress(instance: dg.DagsterInstance, export: Export, job_name: str, now: datetime) -> list[str]:
    """Hours that a run is queued or working for; what it does not see, the tick after it does.

    A run whose machine died may say for ever that it is in progress, so old ones do not count.
    """
    runs = instance.get_runs(
        dg.RunsFilter(
            job_name=job_name,
            tags={EXPORT_TAG: export.name},
            statuses=list(IN_PROGRESS),
            created_after=now - _LONGEST_RUN,
        )
    )
    hours: list[str] = []
    for run in runs:
        first = run.tags.get("dagster/partition") or run.tags.get(RANGE_START_TAG)
        last = run.tags.get("dagster/partition") or run.tags.get(RANGE_END_TAG)
        if first and last:
            hours += _hours_between(first.split("|")[1], last.split("|")[1])
    return hours


def _hours_between(first: str, last: str) -> list[str]:
    count = int((hour_start(last) - hour_start(first)) / timedelta(hours=1)) + 1
    return [hour_of(hour_start(first) + timedelta(hours=number)) for number in range(count)]


def _requests(export: Export, pending: pl.DataFrame, now: datetime) -> Iterator[dg.RunRequest]:
    tags = {EXPORT_TAG: export.name, REASON_TAG: "new objects"}
    config = dg.RunConfig(ops={"enriched_flows": EnrichmentConfig(rebuild=False)})
    for hours in _stretches(pending["hour"].to_list()):
        names = pending.filter(pl.col("hour").is_in(hours))["names"].explode().to_list()
        digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
        again = int(now.timestamp()) // _ASK_AGAIN_SECONDS
        run_key = f"{export.name}|{hours[0]}|{hours[-1]}|{digest}|{again}"
        if len(hours) < _RANGE_HOURS:
            for hour in hours:
                yield dg.RunRequest(
                    f"{run_key}|{hour}", partition_key=flow_key(export.name, hour), tags=tags, run_config=config
                )
        else:
            ends = {
                RANGE_START_TAG: str(flow_key(export.name, hours[0])),
                RANGE_END_TAG: str(flow_key(export.name, hours[-1])),
            }
            yield dg.RunRequest(run_key, tags=tags | ends, run_config=config)


def _stretches(hours: Sequence[str]) -> list[list[str]]:
    """Sorted hours, cut where one is missing."""
    stretches: list[list[str]] = []
    for hour in hours:
        if stretches and hour_start(hour) - hour_start(stretches[-1][-1]) == timedelta(hours=1):
            stretches[-1].append(hour)
        else:
            stretches.append([hour])
    return stretches


def _observations(export: Export, pending: pl.DataFrame) -> Iterator[dg.AssetObservation]:
    for row in pending.iter_rows(named=True):
        yield dg.AssetObservation(
            bucket_key(export.log_bucket),
            partition=str(flow_key(export.name, row["hour"])),
            metadata={
                "pending_objects": row["objects"],
                "pending_bytes": row["size_bytes"],
                "newest": dg.MetadataValue.timestamp(row["posted_at"]),
            },
        )
