"""The notification sensor: asks for the hours of the log objects that the messages of a queue name.

A message is deleted when nothing depends on it any more. A tick that asks for runs keeps the handles of its messages
in the cursor, which Dagster stores together with the requests; the next tick deletes them. A tick that fails leaves
the cursor as it was, and its messages come again.

An object that was posted while a run of its hour is in progress may have been missed by that run, and a run that is
asked for may fail. So the cursor also holds the names of objects until the ledger has them: they are asked for when
their hour is free, and again if its run failed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import dagster as dg
import polars as pl
from pydantic import TypeAdapter

from assets.partitions import Partitions
from assets.runs import busy_hours, every, failed_hours, requests_for
from assets.sensors import collected, in_partitions, ledger_of, sensor_name
from kentik_dagster.aws.notifications import NotificationQueue
from kentik_dagster.configuration import Configuration, Export
from kentik_dagster.core.flow_log_keys import log_objects
from kentik_dagster.core.ledger import pending_objects
from kentik_dagster.core.look_back import hours_of
from kentik_dagster.core.notifications import Posted, Verdict, divided, posted_objects, remembered_objects
from resources.aws import Aws
from resources.clock import Clock
from resources.lake import Lake

NOTIFICATION_SECONDS = 30
# Dagster ends a tick after 60 s, and stores its cursor with every tick: both bound what one tick takes on.
MOST_MESSAGES = 2_000
_RECEIVE_SECONDS = 20.0
_MOST_HANDLE_CHARACTERS = 100_000
_MOST_REMEMBERED = 2_000
# Of the reasons why messages are not understood, so many are shown in the log.
_SHOWN = 5


@dataclass(frozen=True)
class Remembered:
    """The sensor's cursor.

    Attributes:
        handles: receipt handles of messages whose requests Dagster has stored with this cursor.
        objects: `source_object` of objects that the ledger lacked, and how often each has been asked for.
    """

    handles: tuple[str, ...] = ()
    objects: dict[str, int] = field(default_factory=dict)


_CURSOR = TypeAdapter(Remembered)


def notification_sensors(
    configuration: Configuration, partitions: Partitions, job_name: str, *, times_faster: float = 1
) -> list[dg.SensorDefinition]:
    """One sensor for each export with logs and a `notification_queue`; `times_faster` as in `build_definitions`."""
    return [
        _notification_sensor(export, sensor_name("notifications", number, export), partitions, job_name, times_faster)
        for number, export in enumerate(configuration.log_exports, start=1)
        if export.notification_queue
    ]


def _notification_sensor(
    export: Export, name: str, partitions: Partitions, job_name: str, times_faster: float
) -> dg.SensorDefinition:
    @dg.sensor(
        name=name,
        job_name=job_name,
        minimum_interval_seconds=every(NOTIFICATION_SECONDS, times_faster),
        description=f"Reads the queue of export {export.name}; asks for the hours of the objects that it names.",
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def notification_sensor(context: dg.SensorEvaluationContext, aws: Aws, lake: Lake, clock: Clock) -> dg.SensorResult:
        now = clock.now()
        before = _CURSOR.validate_json(context.cursor) if context.cursor else Remembered()
        queue = NotificationQueue(aws.access(export))
        _delete(context, queue, before.handles)
        messages = queue.receive(MOST_MESSAGES, _RECEIVE_SECONDS)
        said = posted_objects([message.body for message in messages])
        _tell_verdicts(context, said)
        # Before the ledger: what a run of this moment commits meanwhile is not asked for again.
        failed = failed_hours(context.instance, export, job_name, now, times_faster=times_faster)
        waiting_hours = [
            *busy_hours(context.instance, export, job_name, now),
            *(hour for hour, failure in failed.items() if failure.waits),
        ]
        named = _of_export(export, said.objects).with_columns(tries=pl.lit(0, pl.Int64))
        objects = pl.concat([named.clear(), remembered_objects(before.objects), named], how="diagonal")
        objects = in_partitions(context, partitions, export, objects, now)
        pending = pending_objects(objects, ledger_of(export, objects["hour"].unique().to_list(), lake), now)
        parts = divided(pending, waiting_hours, _MOST_REMEMBERED)

        nothing_depends = [
            message.receipt_handle
            for index, message in enumerate(messages)
            if index not in parts.needed | parts.unanswered
        ]
        _delete(context, queue, nothing_depends)
        after = Remembered(
            handles=_first_of([messages[index].receipt_handle for index in sorted(parts.needed)]),
            objects=dict(parts.remembered.iter_rows()),
        )
        requests = list(requests_for(export, hours_of(parts.asked), failed, now, reason="notification"))
        return dg.SensorResult(
            run_requests=requests,
            cursor=context.cursor if after == before else _CURSOR.dump_json(after).decode(),
            skip_reason=None
            if requests
            else f"nothing to ask for: {len(messages)} messages with {said.objects.height} objects, "
            f"{parts.remembered.height} objects wait",
        )

    return notification_sensor


def _of_export(export: Export, posted: pl.DataFrame) -> pl.DataFrame:
    """The log objects that the export collects, as a listing of its bucket would find them, plus `message`."""
    ours = posted.filter(pl.col("bucket") == export.log_bucket, pl.col("key").str.starts_with(export.log_folder))
    # Without an ETag the ledger knows no such object, and its hour is asked for once.
    return collected(export, log_objects(ours.with_columns(pl.col("etag").fill_null(""))))


def _first_of(handles: Sequence[str]) -> tuple[str, ...]:
    """As many as the cursor may hold; the others' messages come again, when the ledger knows their objects."""
    ends = accumulate(len(handle) for handle in handles)
    return tuple(handle for handle, end in zip(handles, ends, strict=True) if end <= _MOST_HANDLE_CHARACTERS)


def _delete(context: dg.SensorEvaluationContext, queue: NotificationQueue, handles: Sequence[str]) -> None:
    failed = queue.delete(handles)
    if failed:
        context.log.warning(
            f"{len(failed)} of {len(handles)} messages are not deleted, and come again: {next(iter(failed.values()))}"
        )


def _tell_verdicts(context: dg.SensorEvaluationContext, said: Posted) -> None:
    if said.verdicts.is_empty():
        return
    counts = dict(said.verdicts["verdict"].value_counts().iter_rows())
    context.log.info(
        f"{said.verdicts.height} messages: {counts.get(Verdict.OBJECTS, 0)} name {said.objects.height} objects, "
        f"{counts.get(Verdict.NOTHING, 0)} are nothing for us, "
        f"{counts.get(Verdict.NOT_UNDERSTOOD, 0)} are not understood"
    )
    for reason in said.verdicts.filter(pl.col("verdict") == Verdict.NOT_UNDERSTOOD)["reason"].unique().head(_SHOWN):
        context.log.warning(f"a message is not understood, and is deleted: {reason}")
