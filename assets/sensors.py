"""The listing sensor: asks for exactly the hours of an export that have log objects pending."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

import dagster as dg
import polars as pl
from pydantic import TypeAdapter

from assets.flow_logs import bucket_key
from assets.partitions import Partitions, flow_key
from assets.runs import busy_hours, every, failed_hours, requests_for
from kentik_dagster.configuration import Configuration, Export
from kentik_dagster.core.deletion import DELETION_BEGUN
from kentik_dagster.core.flow_log_keys import FIREWALL_LOGS, FLOW_LOGS, hour_of
from kentik_dagster.core.ledger import pending_objects
from kentik_dagster.core.look_back import (
    Examined,
    after_days,
    examine,
    hours_of,
    lacking_hours,
    left_over_objects,
)
from kentik_dagster.lake.snapshots import Snapshot
from kentik_dagster.work.enrich import enriched_mark
from kentik_dagster.work.listing import Folders, look
from resources.aws import Aws
from resources.clock import Clock
from resources.lake import Lake

SENSOR_SECONDS = 60
# Dagster ends a tick after 60 s: nothing more is listed when this much of it has been used.
LISTING_SECONDS = 25.0
_CURSOR = TypeAdapter(Examined)


def listing_sensors(
    configuration: Configuration,
    partitions: Partitions,
    job_name: str,
    seconds: float = LISTING_SECONDS,
    *,
    times_faster: float = 1,
) -> list[dg.SensorDefinition]:
    """One sensor for each export with logs; none lists another part of a day after so many seconds.

    `times_faster` is as in `build_definitions`.
    """
    return [
        _listing_sensor(export, sensor_name("flow_logs", number, export), partitions, job_name, seconds, times_faster)
        for number, export in enumerate(configuration.log_exports, start=1)
    ]


def sensor_name(kind: str, number: int, export: Export) -> str:
    """A name that Dagster takes, and that no other export's sensor has."""
    return f"{kind}_{number}_{re.sub(r'[^A-Za-z0-9]', '_', export.name)}"


def _listing_sensor(
    export: Export, name: str, partitions: Partitions, job_name: str, seconds: float, times_faster: float
) -> dg.SensorDefinition:
    folders = Folders()

    @dg.sensor(
        name=name,
        job_name=job_name,
        minimum_interval_seconds=every(SENSOR_SECONDS, times_faster),
        description=f"Lists the logs of export {export.name}; asks for the hours whose objects the lake lacks.",
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def listing_sensor(context: dg.SensorEvaluationContext, aws: Aws, lake: Lake, clock: Clock) -> dg.SensorResult:
        now = clock.now()
        before = _CURSOR.validate_json(context.cursor) if context.cursor else Examined()
        examined = examine(
            before,
            now,
            start=export.start.date(),
            look_back_days=export.look_back_days,
            delete_after_read=export.delete_after_read,
        )
        # Before the listing and the ledger: what a run of this moment reads meanwhile is not asked for again.
        busy = busy_hours(context.instance, export, job_name, now)
        looked = look(folders.bucket(aws.access(export)), examined, seconds)
        if not examined.left:
            after = after_days(examined, 0, clock.now(), went_on=bool(before.left))
            return dg.SensorResult(cursor=_stored(after), skip_reason="a look at all days has just ended")
        listed = in_partitions(context, partitions, export, collected(export, looked.objects), now)
        audit = ledger_of(export, listed["hour"].unique().to_list(), lake)
        unfinished = pending_objects(listed, audit)["listed_on"].unique().to_list()
        after = after_days(
            examined,
            looked.days,
            clock.now(),
            went_on=bool(before.left),
            left_after=looked.left_after,
            unfinished=unfinished,
        )
        failed = failed_hours(context.instance, export, job_name, now, times_faster=times_faster)
        new = hours_of(pending_objects(listed, audit, now)).filter(~pl.col("hour").is_in(busy))
        since = examined.left_over_since
        # In runs of their own: new objects come all the time, and what cannot be deleted must not go with each of them.
        others = {
            "objects to delete": hours_of(listed.clear() if since is None else left_over_objects(listed, audit, since)),
            "a sweep that was interrupted": interrupted_sweeps(export, lake, now),
            "flows to enrich": unenriched_hours(export, lake, partitions, now),
        }
        taken = [*busy, *new["hour"]]
        requests = list(requests_for(export, new, failed, now, reason="new objects"))
        for reason, hours in others.items():
            free = hours.filter(~pl.col("hour").is_in(taken))
            taken += free["hour"].to_list()
            requests += requests_for(export, free, failed, now, reason=reason)
        days_left = f"; {len(after.left)} days are left for the next tick" if after.left else ""
        return dg.SensorResult(
            run_requests=requests,
            cursor=_stored(after),
            asset_events=list(_observations(export, new)),
            skip_reason=None
            if requests
            else f"nothing pending in {looked.days} days, {listed.height} objects listed{days_left}",
        )

    return listing_sensor


def _stored(examined: Examined) -> str:
    return _CURSOR.dump_json(examined).decode()


def collected(export: Export, objects: pl.DataFrame) -> pl.DataFrame:
    """The log objects of the kinds that an export collects: nobody would read the others."""
    families = [FLOW_LOGS] * export.collect_flow_logs + [FIREWALL_LOGS] * export.collect_firewall_logs
    return objects.filter(pl.col("family").is_in(families))


def in_partitions(
    context: dg.SensorEvaluationContext, partitions: Partitions, export: Export, objects: pl.DataFrame, now: datetime
) -> pl.DataFrame:
    """The objects of hours that are partitions; the others are counted in the log.

    A request for an hour that is no partition would fail the whole tick, and every tick after it.
    """
    first, last = hour_of(export.start), hour_of(now)
    hours = [
        hour
        for hour in partitions.open_hours(objects["hour"].unique().to_list(), now)
        if first <= hour <= last and partitions.hours.has_partition_key(hour)
    ]
    known = objects.filter(pl.col("hour").is_in(hours))
    if known.height < objects.height:
        context.log.warning(
            f"{objects.height - known.height} objects lie before `start` of export {export.name}, past "
            "retention_days, or in the future: their hours are not asked for"
        )
    return known


def ledger_of(export: Export, hours: list[str], lake: Lake) -> pl.DataFrame:
    """What the lake says of the objects of some hours: `source_object`, `outcome`, `posted_at`, `ingested_at`."""
    audit = lake["flow_log_objects"].open()
    of_hours = audit.scan().filter(pl.col("export") == export.name, pl.col("hour").is_in(hours))
    return audit.collected(of_hours.select("source_object", "outcome", "posted_at", "ingested_at"))


def interrupted_sweeps(export: Export, lake: Lake, now: datetime) -> pl.DataFrame:
    """The hours of which a sweep began deletions and did not write their results: `hour`, `names` (keys).

    Nothing of them may be left in the bucket, so that no listing would ask for them. Only the look-back window is
    looked at.
    """
    first = hour_of(max(export.start, now - timedelta(days=export.look_back_days)))
    sweep = lake["deletion_sweep"].open()
    begun = sweep.scan().filter(
        pl.col("export") == export.name, pl.col("hour") >= first, pl.col("error") == DELETION_BEGUN
    )
    return sweep.collected(begun.group_by("hour").agg(pl.col("key").sort().alias("names")).sort("hour"))


def unenriched_hours(export: Export, lake: Lake, partitions: Partitions, now: datetime) -> pl.DataFrame:
    """The hours whose flow records are committed and not all enriched, as a run leaves them that failed in between.

    What the tables' logs say is enough: no data is read. Columns as `interrupted_sweeps`.
    """
    flows, events, derived = (lake[table].open() for table in ("flow_logs", "firewall_logs", "enriched_flows"))

    def of_export(snapshot: Snapshot) -> pl.DataFrame:
        return snapshot.files.filter(pl.col("partition.export") == export.name).select(
            pl.col("partition.hour").alias("hour"), "num_records"
        )

    looked_at = of_export(events).group_by("hour").agg(pl.col("num_records").sum())
    marks = [derived.handle.transaction_version(enriched_mark(export.name, hour)) or 0 for hour in looked_at["hour"]]
    hours = lacking_hours(
        of_export(flows), of_export(derived), looked_at.with_columns(looked_at=pl.Series(marks, dtype=pl.Int64))
    )
    kept = partitions.kept_hours("enriched_flows", hours["hour"].to_list(), now)
    return hours.filter(pl.col("hour").is_in(kept))


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
