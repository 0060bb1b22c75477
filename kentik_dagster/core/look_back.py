"""Which days a listing looks at, and how the hours that it finds become runs.

Days are looked at in rounds: the look-back window, then a few days of the history that no round has looked at yet.
A round that does not fit into one tick goes on in the next, so that no day is passed over. A day on which something was
left to do is looked at again until nothing is, however old it has become: a run may fail, and an object may become
readable late.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import polars as pl

from kentik_dagster.core.flow_log_keys import hour_of, hour_start
from kentik_dagster.core.schemas import require

# Days of history in one round, besides the look-back window.
_DAYS_BEHIND_PER_ROUND = 7
# Days with something left to do are added to a round this often, so many at a time, in turn.
_UNFINISHED_EVERY = timedelta(minutes=10)
_UNFINISHED_PER_ROUND = 7
# After a round of several ticks, so that a caller who asks at once and again comes to an end.
_PAUSE = timedelta(seconds=10)
# Objects that are read and still there: their own run has tried to delete them already. What refuses to go for an
# hour is tried once an hour.
_LEFT_OVER_EVERY = timedelta(minutes=10)
_LEFT_OVER_FOR = timedelta(hours=1)
_EVER = datetime(1970, 1, 1, tzinfo=UTC)
# A run of a week: events of a longer one come late, and all its work is asked for again if it fails.
LONGEST_STRETCH = 168


@dataclass(frozen=True, slots=True)
class Examined:
    """What has been looked at: the memory from one tick to the next.

    Attributes:
        behind: days of history that no round has held yet, from the first up to but without the second.
        until: last day of the look-back window of the last round.
        left: days of the round that is under way, in the order in which they are looked at.
        left_after: the folder up to which the first of them was looked at; None: it was not begun.
        paused_at: when a round of several ticks ended, until the next round begins.
        left_over_at: when the last round began that asked for objects that are read and still there.
        left_over_since: the round that is under way asks for those that were read since then; None: for none.
        unfinished: days that had objects to read when they were last looked at; those that wait longest stand first.
        unfinished_at: when the last round began that held some of them.
    """

    behind: tuple[date, date] | None = None
    until: date | None = None
    left: tuple[date, ...] = ()
    left_after: str | None = None
    paused_at: datetime | None = None
    left_over_at: datetime | None = None
    left_over_since: datetime | None = None
    unfinished: tuple[date, ...] = ()
    unfinished_at: datetime | None = None


def examine(
    examined: Examined, now: datetime, *, start: date, look_back_days: int, delete_after_read: bool = False
) -> Examined:
    """The memory at the beginning of a tick: `left` are the days to look at, newest first; none: it is a pause.

    A new round holds the look-back window, and a few days of what no round has held: everything since `start` on
    first sight, or the days that passed while nobody looked for longer than the window.

    Args:
        start: first day of the export.
        delete_after_read: whether objects that are read should not be there any more.
    """
    if examined.left or (examined.paused_at is not None and now - examined.paused_at < _PAUSE):
        return examined
    today = now.date()
    window_start = max(start, today - timedelta(days=look_back_days - 1))
    behind = examined.behind
    if examined.until is None:
        behind = (start, window_start)
    elif examined.until < window_start:
        behind = (min(examined.until, behind[0] if behind else examined.until), window_start)
    days = _newest_first(window_start, today + timedelta(days=1))
    if behind is not None:
        first = max(behind[0], behind[1] - timedelta(days=_DAYS_BEHIND_PER_ROUND))
        days += _newest_first(first, behind[1])
        behind = (behind[0], first) if behind[0] < first else None
    again_at = examined.unfinished_at
    again = [day for day in examined.unfinished if day not in days]
    if again and (again_at is None or now - again_at >= _UNFINISHED_EVERY):
        days += tuple(again[:_UNFINISHED_PER_ROUND])
        again_at = now
    since = _left_over_since(examined.left_over_at, now) if delete_after_read else None
    return Examined(
        behind=behind,
        until=today,
        left=days,
        unfinished=examined.unfinished,
        unfinished_at=again_at,
        left_over_at=examined.left_over_at if since is None else now,
        left_over_since=since,
    )


def _left_over_since(last_time: datetime | None, now: datetime) -> datetime | None:
    if last_time is None or hour_of(last_time) != hour_of(now):
        return _EVER
    return now - _LEFT_OVER_FOR if now - last_time >= _LEFT_OVER_EVERY else None


def after_days(
    examined: Examined,
    looked_at: int,
    now: datetime,
    *,
    went_on: bool,
    left_after: str | None = None,
    unfinished: Collection[date] = (),
) -> Examined:
    """The memory at the end of a tick that looked at the first days of `left`.

    Args:
        looked_at: how many of them, to their ends.
        went_on: whether the round began in an earlier tick.
        left_after: the folder up to which the next of them was looked at; None: it was not begun.
        unfinished: days with objects, in what was looked at, which the lake has not read, for whatever reason.
    """
    if not examined.left:
        return examined
    left = examined.left[looked_at:]
    # A day that was begun in an earlier tick may have been found unfinished there.
    begun_now = examined.left[examined.left_after is not None : looked_at + (left_after is not None)]
    waiting = tuple(day for day in examined.unfinished if day not in begun_now)
    waiting += tuple(day for day in sorted(unfinished) if day not in waiting)
    examined = replace(examined, unfinished=waiting, unfinished_at=examined.unfinished_at if waiting else None)
    if left:
        return replace(examined, left=left, left_after=left_after)
    return replace(examined, left=(), left_after=None, paused_at=now if went_on else None, left_over_since=None)


def left_over_objects(listed: pl.DataFrame, audit: pl.DataFrame, since: datetime) -> pl.DataFrame:
    """The listed objects that have been read since then, and so could be deleted.

    Args:
        listed: one row per S3 object: `source_object`, and whatever else.
        audit: rows of `flow_log_objects`.
    """
    require(listed, "source_object", by="left_over_objects")
    require(audit, "source_object", "outcome", "ingested_at", by="left_over_objects")
    read = audit.filter(pl.col("outcome") != "unreadable", pl.col("ingested_at") >= since)
    return listed.join(read, on="source_object", how="semi", maintain_order="left")


def hours_of(objects: pl.DataFrame) -> pl.DataFrame:
    """The hours in which some objects lie.

    Args:
        objects: one row per S3 object: `hour`, `source_object`, `size_bytes` (B), `posted_at`.

    Returns:
        One row per hour, sorted: `hour`, `objects` (how many), `size_bytes` (B), `posted_at` (the newest),
        `names` (the sorted `source_object` of all of them).
    """
    require(objects, "hour", "source_object", "size_bytes", "posted_at", by="hours_of")
    return (
        objects.group_by("hour")
        .agg(
            pl.len().alias("objects"),
            pl.col("size_bytes").sum(),
            pl.col("posted_at").max(),
            pl.col("source_object").unique().sort().alias("names"),
        )
        .sort("hour")
    )


def stretches(hours: Sequence[str], longest: int = LONGEST_STRETCH) -> list[list[str]]:
    """Sorted hours, cut where one is missing, and after `longest` of them."""
    found: list[list[str]] = []
    for hour in hours:
        last = found[-1] if found else []
        if last and len(last) < longest and hour_start(hour) - hour_start(last[-1]) == timedelta(hours=1):
            last.append(hour)
        else:
            found.append([hour])
    return found


def lacking_hours(flows: pl.DataFrame, enriched: pl.DataFrame, events: pl.DataFrame | None = None) -> pl.DataFrame:
    """The hours of which `enriched_flows` has not all that it is made from.

    Args:
        flows, enriched: one row per file of `flow_logs` and of `enriched_flows`: `hour`, `num_records`.
        events: one row per hour with firewall events: `hour`, `num_records`, `looked_at` (of how many the enriched
            flows were made).

    Returns:
        One row per hour, sorted: `hour`, `names` (a list of one text, which changes with the numbers).
    """
    rows = [files.group_by("hour").agg(pl.col("num_records").sum()) for files in (flows, enriched)]
    both = rows[0].join(rows[1], on="hour", how="left", suffix="_derived").with_columns(pl.all().fill_null(0))
    lacking = both.filter(pl.col("num_records_derived") < pl.col("num_records"))
    said = [
        lacking.select("hour", name=pl.format("{} of {} rows", "num_records_derived", "num_records")),
        *([] if events is None else [_not_looked_at(events)]),
    ]
    return pl.concat(said).group_by("hour").agg(pl.col("name").alias("names")).sort("hour")


def _not_looked_at(events: pl.DataFrame) -> pl.DataFrame:
    return events.filter(pl.col("looked_at") != pl.col("num_records")).select(
        "hour", name=pl.format("{} of {} events", "looked_at", "num_records")
    )


def hours_between(first: str, last: str) -> list[str]:
    """All hours from the first to the last, both included."""
    count = int((hour_start(last) - hour_start(first)) / timedelta(hours=1)) + 1
    return [hour_of(hour_start(first) + timedelta(hours=number)) for number in range(count)]


def _newest_first(first: date, end: date) -> tuple[date, ...]:
    return tuple(end - timedelta(days=number) for number in range(1, (end - first).days + 1))
