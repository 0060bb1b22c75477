"""Runs for hours of an export: which are under way, which have failed, and how others are asked for."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import dagster as dg
import polars as pl

from assets.enrichment import EnrichmentConfig
from assets.partitions import REASON_TAG, flow_key
from kentik_dagster.configuration import Export
from kentik_dagster.core.flow_log_keys import hour_of
from kentik_dagster.core.look_back import hours_between, stretches

EXPORT_TAG = "kentik/export"
PRIORITY_TAG = "dagster/priority"
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
# Of runs that wait for their turn, new data and schedules go first, in the order in which they were asked for: neither
# starves the other. Backfills come then (Dagster gives them 0), and last what can wait. `dagster.yaml` limits by these
# tags how many places each kind may take, so that one is always left for new data.
URGENT, CAN_WAIT = "10", "-5"
CAN_WAIT_TAG = "kentik/can_wait"
LATER = {PRIORITY_TAG: CAN_WAIT, CAN_WAIT_TAG: "yes"}
# An hour and the one before it are what is going on; all that is older can wait for it.
_GOING_ON = timedelta(hours=1)
# Hours in a row from which on one run serves them all: a run costs seconds of its own.
_RANGE_HOURS = 4
# What failed is asked for again, but not with every tick.
_ASK_AGAIN_SECONDS = 600
# Of the hours whose run failed, so many are asked for in one tick; the others follow.
_MOST_FAILED = 24
_LONGEST_RUN = timedelta(hours=2)
_STATUS = dg.DagsterRunStatus
IN_PROGRESS = (_STATUS.QUEUED, _STATUS.NOT_STARTED, _STATUS.STARTING, _STATUS.STARTED, _STATUS.CANCELING)
_FAILED = (_STATUS.FAILURE, _STATUS.CANCELED)


def busy_hours(instance: dg.DagsterInstance, export: Export, job_name: str, now: datetime) -> list[str]:
    """Hours that a run is queued or working for; what it does not see, a tick after it does.

    A run whose machine died may say for ever that it is in progress, so old ones do not count.
    """
    return _hours_of_runs(
        instance,
        dg.RunsFilter(
            job_name=job_name,
            tags={EXPORT_TAG: export.name},
            statuses=list(IN_PROGRESS),
            created_after=now - _LONGEST_RUN,
        ),
    )


def failed_hours(instance: dg.DagsterInstance, export: Export, job_name: str, now: datetime) -> list[str]:
    """Hours whose run failed or was cancelled in the last ten minutes."""
    return _hours_of_runs(
        instance,
        dg.RunsFilter(
            job_name=job_name,
            tags={EXPORT_TAG: export.name},
            statuses=list(_FAILED),
            updated_after=now - timedelta(seconds=_ASK_AGAIN_SECONDS),
        ),
    )


def _hours_of_runs(instance: dg.DagsterInstance, wanted: dg.RunsFilter) -> list[str]:
    hours: set[str] = set()
    for run in instance.get_runs(wanted):
        first = run.tags.get("dagster/partition") or run.tags.get(RANGE_START_TAG)
        last = run.tags.get("dagster/partition") or run.tags.get(RANGE_END_TAG)
        if first and last:
            hours.update(hours_between(first.split("|")[1], last.split("|")[1]))
    return sorted(hours)


def requests_for(
    export: Export, pending: pl.DataFrame, failed: Sequence[str], now: datetime, *, reason: str
) -> Iterator[dg.RunRequest]:
    """Runs for some hours, rows of `hours_of`: one for many hours in a row, never one for a file.

    What is going on is never part of such a run: its next objects would have to wait for the end of all the others.

    The same objects are asked for every ten minutes at the most. An hour whose run has just failed waits for the next
    ten minutes even if it has new objects: they come all the time, and would ask for the same failure with every tick.
    It is asked for alone, so that an hour that fails again takes no other with it.
    """
    has_failed = pl.col("hour").is_in(list(failed))
    is_going_on = pl.col("hour") >= hour_of(now - _GOING_ON)
    for part in (pending.filter(~has_failed, ~is_going_on), pending.filter(~has_failed, is_going_on)):
        for hours in stretches(part["hour"].to_list()):
            names = part.filter(pl.col("hour").is_in(hours))["names"].explode().to_list()
            digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
            yield from _runs(export, hours, digest, now, reason)
    for hour in pending.filter(has_failed)["hour"].head(_MOST_FAILED):
        yield from _runs(export, [hour], "failed", now, reason)


def _runs(export: Export, hours: list[str], content: str, now: datetime, reason: str) -> Iterator[dg.RunRequest]:
    can_wait = hours[-1] < hour_of(now - _GOING_ON)
    tags = {EXPORT_TAG: export.name, REASON_TAG: reason, **(LATER if can_wait else {PRIORITY_TAG: URGENT})}
    config = dg.RunConfig(ops={"flow_log_batches": EnrichmentConfig(rebuild=False)})
    again = int(now.timestamp()) // _ASK_AGAIN_SECONDS
    run_key = f"{export.name}|{hours[0]}|{hours[-1]}|{content}|{again}"
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
