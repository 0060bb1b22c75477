"""Upkeep of a table: what keeps it quick to open and no larger than it must be, while others read and write it.

Everything here may be left out, repeated, killed, and done by several processes at once: rows change by retention
only, which removes whole hours under their lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl
from deltalake import DeltaTable, PostCommitHookProperties
from deltalake.exceptions import DeltaError

from kentik_dagster.core.flow_log_keys import hour_of
from kentik_dagster.errors import LakeError
from kentik_dagster.lake.checkpoints import commits_since_checkpoint, make_checkpoint
from kentik_dagster.lake.commits import Change, converge, partition_lock
from kentik_dagster.lake.compaction import compact, groups_to_compact, rows_per_file
from kentik_dagster.lake.snapshots import Snapshot
from kentik_dagster.lake.tables import LakeTable

# From so many commits on, upkeep makes the checkpoint that no writer made.
CHECKPOINT_COMMITS = 20
# Never shorter: whoever opened a table within the last week goes on reading the files that it had then, and a
# batch that is being written has files that no commit names yet.
VACUUM_HOURS = 7 * 24
# An hour is brought together once: when it is over, and so long after it that hardly anything comes late.
_LATE = timedelta(hours=2)
# A partition that is no hour is never over, so it is brought together whenever it has so many small files.
_FILES_OF_THE_ENDLESS = 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkept:
    """What the upkeep of one table found and did.

    Attributes:
        commits_since_checkpoint: before the upkeep.
        partitions_waiting: partitions that are worth compacting, and were left to the next upkeep.
        partitions_removed: hours older than the table's retention.
        files_vacuumed: files that were deleted.
    """

    table: str
    commits_since_checkpoint: int = 0
    files_before: int = 0
    files_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    partitions_compacted: int = 0
    partitions_waiting: int = 0
    partitions_removed: int = 0
    files_vacuumed: int = 0
    seconds: float = 0.0


def upkeep(
    table: LakeTable,
    *,
    now: datetime,
    removed_before: str | None = None,
    goes_on: Callable[[int], bool] = lambda done: True,
    progress: Callable[[str], None] = lambda text: None,
) -> Upkept:
    """Remove old hours, bring small files together, delete files of the past, make a checkpoint.

    A table that is not there yet is left alone.

    Args:
        removed_before: hour before which rows are removed; None: none are.
        goes_on: whether to go on, after so many partitions; what is left waits for the next upkeep.
        progress: told a sentence after each step.

    Raises:
        LakeError: the storage refused or failed, or a partition is damaged; everything else was done.
    """
    started = time.monotonic()
    failures: list[str] = []
    try:
        if not DeltaTable.is_deltatable(table.uri, storage_options=dict(table.storage_options)):
            return Upkept(table=table.table.name)
        before = table.open()
        commits = commits_since_checkpoint(table, before)
        removed = _remove_hours(table, before, removed_before, goes_on, progress)
        waiting = partitions_to_compact(table.open() if removed else before, now)
        compacted = _compact(table, waiting, goes_on, removed, progress, failures)
        vacuumed = _vacuum(table, now, progress)
        after = table.open()
        if vacuumed is not None or commits_since_checkpoint(table, after) > CHECKPOINT_COMMITS:
            make_checkpoint(table)
            after = table.open()
            after.handle.cleanup_metadata()
    except (DeltaError, OSError) as error:
        raise LakeError(table.uri, "keep up", error) from error
    if failures:
        raise LakeError(table.uri, "compact every partition of", "\n".join(failures))
    return Upkept(
        table=table.table.name,
        commits_since_checkpoint=commits,
        files_before=before.files.height,
        files_after=after.files.height,
        bytes_before=int(before.files["size_bytes"].sum()),
        bytes_after=int(after.files["size_bytes"].sum()),
        partitions_compacted=compacted,
        partitions_waiting=len(waiting) - compacted,
        partitions_removed=removed,
        files_vacuumed=vacuumed or 0,
        seconds=time.monotonic() - started,
    )


def partitions_to_compact(snapshot: Snapshot, now: datetime) -> list[dict[str, str]]:
    """The partitions that are over and have small files to bring together; newest hours first."""
    names = snapshot.table.partition_by
    by = [f"partition.{name}" for name in names]
    files = snapshot.files
    fewest = 2
    if "hour" in names:
        files = files.filter(pl.col("partition.hour") < hour_of(now - _LATE))
    else:
        fewest = _FILES_OF_THE_ENDLESS
    rows = rows_per_file(snapshot.table)
    several = files.filter(pl.len().over(by) >= fewest) if by else files
    partitions = several.partition_by(by) if by else [several]
    found = [
        {name: str(group[f"partition.{name}"][0]) for name in names}
        for group in partitions
        if sum(small.height for small in groups_to_compact(group, rows)) >= fewest
    ]
    return sorted(found, key=lambda partition: partition.get("hour", ""), reverse=True)


def _compact(
    table: LakeTable,
    partitions: list[dict[str, str]],
    goes_on: Callable[[int], bool],
    done_before: int,
    progress: Callable[[str], None],
    failures: list[str],
) -> int:
    for number, partition in enumerate(partitions):
        if not goes_on(done_before + number):
            progress(f"{table.table.name}: {len(partitions) - number} partitions wait for the next upkeep")
            return number
        try:
            done = compact(table, partition)
        except LakeError as error:  # a damaged hour holds up neither the others nor the vacuum
            failures.append(str(error))
            continue
        progress(
            f"{table.table.name} {' '.join(partition.values())}: {done.files_before} files became {done.files_after}, "
            f"{done.rows:,} rows ({number + 1} of {len(partitions)})"
        )
    return len(partitions) - len(failures)


def _remove_hours(
    table: LakeTable,
    snapshot: Snapshot,
    before: str | None,
    goes_on: Callable[[int], bool],
    progress: Callable[[str], None],
) -> int:
    """Remove all hours before one, oldest first; returns how many partitions that were."""
    if before is None:
        return 0
    by = [f"partition.{name}" for name in table.table.partition_by]
    old = snapshot.files.filter(pl.col("partition.hour") < before).select(by).unique().sort("partition.hour", *by)
    for number, row in enumerate(old.iter_rows(named=True)):
        if not goes_on(number):
            progress(f"{table.table.name}: {old.height - number} old hours wait for the next upkeep")
            return number
        remove_partition(table, {name: str(row[f"partition.{name}"]) for name in table.table.partition_by})
    if old.height:
        progress(f"{table.table.name}: {old.height} hours before {before} were removed")
    return old.height


def remove_partition(table: LakeTable, partition: dict[str, str]) -> None:
    """Remove all rows of a partition; its files can be read by older versions for VACUUM_HOURS."""

    def plan(snapshot: Snapshot) -> Change | None:
        files = snapshot.files_of(partition)
        return Change(remove=files) if files.height else None

    converge(table, partition_lock(table.table, partition), plan)


def _vacuum(table: LakeTable, now: datetime, progress: Callable[[str], None]) -> int | None:
    """Once a day delete the files that were removed, once a week also those that no commit ever named.

    Returns how many files those were, or None where it was done today. The table itself remembers the day.
    """
    day = (now - _EPOCH).days
    marks = {"upkeep/vacuum": day, "upkeep/full_vacuum": day // 7}
    snapshot = table.open()
    full = _is_due(snapshot, "upkeep/full_vacuum", marks["upkeep/full_vacuum"])
    if not full and not _is_due(snapshot, "upkeep/vacuum", day):
        return None
    deleted = snapshot.handle.vacuum(VACUUM_HOURS, dry_run=False, full=full, post_commithook_properties=_NO_HOOKS)

    def plan(now_there: Snapshot) -> Change | None:
        return Change(marks=marks) if any(_is_due(now_there, name, number) for name, number in marks.items()) else None

    converge(table, "upkeep", plan)
    if deleted:
        progress(f"{table.table.name}: {len(deleted)} files deleted that no version of the last week reads")
    return len(deleted)


def _is_due(snapshot: Snapshot, name: str, number: int) -> bool:
    done = snapshot.handle.transaction_version(name)
    return done is None or done < number
