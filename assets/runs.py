"""Runs for hours of an export: which are under way, which have failed, and how others are asked for."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
import polars as pl

from assets.enrichment import EnrichmentConfig
from assets.partitions import REASON_TAG, flow_key
from kentik_dagster.configuration import Export
from kentik_dagster.core.flow_log_keys import hour_of
from kentik_dagster.core.look_back import hours_between, stretches

EXPORT_TAG = "kentik/export"
PRIORITY_TAG = "dagster/priority"
# Of runs that somebody waits for, who may have mended what failed before: `kentik-dagster run`.
PASS_TAG = "kentik/pass"
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
# The same objects are asked for again, but not with every tick.
_ASK_AGAIN_SECONDS = 600
# How long an hour waits after its first, second, ... failure in a row.
_WAITS = tuple(timedelta(seconds=seconds) for seconds in (15, 60, 120, 300, 600))
# Longer than the longest of them, so that failures in a row are known as such.
_REMEMBERED = timedelta(hours=1)
# Of the hours whose run failed, so many are asked for in one tick; the others follow.
_MOST_FAILED = 24
_LONGEST_RUN = timedelta(hours=2)
_STATUS = dg.DagsterRunStatus
IN_PROGRESS = (_STATUS.QUEUED, _STATUS.NOT_STARTED, _STATUS.STARTING, _STATUS.STARTED, _STATUS.CANCELING)
_FAILED = (_STATUS.FAILURE, _STATUS.CANCELED)


def every(seconds: int, times_faster: float) -> int:
    """How often a sensor looks, in seconds, where the history that it looks at goes so many times faster."""
    return max(1, round(seconds / times_faster))


def busy_hours(instance: dg.DagsterInstance, export: Export, job_name: str, now: datetime) -> list[str]:
    """Hours that a run is queued or working for; what it does not see, a tick after it does.

    A run whose machine died may say for ever that it is in progress, so old ones do not count.
    """
    runs = instance.get_runs(
        dg.RunsFilter(
            job_name=job_name,
            tags={EXPORT_TAG: export.name},
            statuses=list(IN_PROGRESS),
            created_after=now - _LONGEST_RUN,
        ),
    )
    return sorted({hour for run in runs for hour in _hours_of(run)})


@dataclass(frozen=True, slots=True)
class FailedHour:
    """An hour whose last run failed or was cancelled.

    Attributes:
        run_id: of that run.
        waits: whether it is too early to ask for it again.
    """

    run_id: str
    waits: bool


def failed_hours(
    instance: dg.DagsterInstance, export: Export, job_name: str, now: datetime, *, times_faster: float = 1
) -> dict[str, FailedHour]:
    """The hours whose last run failed or was cancelled, of the runs that ended in the last hour.

    What failed once is asked for again soon, for most of it passes: a machine that died, a connection that broke. What
    fails again waits longer each time.
    """

    def ended(statuses: Sequence[dg.DagsterRunStatus]) -> Sequence[dg.RunRecord]:
        wanted = dg.RunsFilter(
            job_name=job_name,
            tags={EXPORT_TAG: export.name},
            statuses=list(statuses),
            updated_after=now - _REMEMBERED,
        )
        return instance.get_run_records(wanted)

    if not ended(_FAILED):
        return {}
    failures: dict[str, list[dg.RunRecord]] = {}
    settled: set[str] = set()
    for record in ended((*_FAILED, _STATUS.SUCCESS)):  # newest first
        hours = set(_hours_of(record.dagster_run)) - settled
        if record.dagster_run.status == _STATUS.SUCCESS:
            settled |= hours
            continue
        for hour in hours:
            failures.setdefault(hour, []).append(record)
    return {hour: _failed(records, now, times_faster) for hour, records in failures.items()}


def _failed(records: Sequence[dg.RunRecord], now: datetime, times_faster: float) -> FailedHour:
    last = records[0]
    since = now - (datetime.fromtimestamp(last.end_time, UTC) if last.end_time else last.update_timestamp)
    wait = _WAITS[min(len(records), len(_WAITS)) - 1] / times_faster
    # A clock that stands still may be behind the run: then nothing is to be waited for.
    waits = timedelta(0) <= since < wait and PASS_TAG not in last.dagster_run.tags
    return FailedHour(last.dagster_run.run_id, waits)


def _hours_of(run: dg.DagsterRun) -> Sequence[str]:
    first = run.tags.get("dagster/partition") or run.tags.get(RANGE_START_TAG)
    last = run.tags.get("dagster/partition") or run.tags.get(RANGE_END_TAG)
    return hours_between(first.split("|")[1], last.split("|")[1]) if first and last else ()


def requests_for(
    export: Export, pending: pl.DataFrame, failed: Mapping[str, FailedHour], now: datetime, *, reason: str
) -> Iterator[dg.RunRequest]:
    """Runs for some hours, rows of `hours_of`: one for many hours in a row, never one for a file.

    What is going on is never part of such a run: its next objects would have to wait for the end of all the others.

    The same objects are asked for every ten minutes at the most. An hour whose last run failed is asked for once after
    each failure, when it has waited, even if it has new objects: they come all the time, and would ask for the same
    failure with every tick. It is asked for alone, so that an hour that fails again takes no other with it.
    """
    has_failed = pl.col("hour").is_in(list(failed))
    is_going_on = pl.col("hour") >= hour_of(now - _GOING_ON)
    again = int(now.timestamp()) // _ASK_AGAIN_SECONDS
    for part in (pending.filter(~has_failed, ~is_going_on), pending.filter(~has_failed, is_going_on)):
        for hours in stretches(part["hour"].to_list()):
            names = part.filter(pl.col("hour").is_in(hours))["names"].explode().to_list()
            digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
            yield from _runs(export, hours, f"{digest}|{again}", now, reason)
    waited = [hour for hour, failure in failed.items() if not failure.waits]
    for hour in pending.filter(pl.col("hour").is_in(waited))["hour"].head(_MOST_FAILED):
        yield from _runs(export, [hour], f"after {failed[hour].run_id}", now, reason)


def _runs(export: Export, hours: list[str], content: str, now: datetime, reason: str) -> Iterator[dg.RunRequest]:
    can_wait = hours[-1] < hour_of(now - _GOING_ON)
    tags = {EXPORT_TAG: export.name, REASON_TAG: reason, **(LATER if can_wait else {PRIORITY_TAG: URGENT})}
    config = dg.RunConfig(ops={"flow_log_batches": EnrichmentConfig(rebuild=False)})
    run_key = f"{export.name}|{hours[0]}|{hours[-1]}|{content}"
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
