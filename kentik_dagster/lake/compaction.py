"""Compaction: the small files of a partition become few large ones, and not a row changes.

Our own remove and add commit under the partition's lock. `optimize.compact` of deltalake 1.6.6 takes no lock, and
two of them that overlap double rows (tests/lake/test_canaries.py). Readers that have the table open keep reading the
old files, which vacuum leaves alone for a week.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from kentik_dagster.catalog.tables import Table
from kentik_dagster.errors import LakeError
from kentik_dagster.lake.commits import Change, converge, partition_lock
from kentik_dagster.lake.files import StagedFile, stage
from kentik_dagster.lake.snapshots import Snapshot
from kentik_dagster.lake.tables import LakeTable

# In memory, of the rows of a file that compaction writes; at most twice that is held.
FILE_BYTES = 256 * 1024 * 1024
# What a value takes in memory, roughly: a number 8 B, a text more, one that is not there next to nothing.
_VALUE_BYTES = 8
# In the bucket: rows that take more than the estimate says still make no file larger than a query likes to open.
_STORED_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Compacted:
    """What one compaction did; zeros where nothing was worth it.

    Attributes:
        files_before: files that were removed from the table.
        files_after: files that hold their rows now.
        rows: rows in them.
    """

    files_before: int = 0
    files_after: int = 0
    rows: int = 0
    bytes_before: int = 0
    bytes_after: int = 0


def rows_per_file(table: Table) -> int:
    """How many rows of a table take about FILE_BYTES in memory."""
    return FILE_BYTES // (_VALUE_BYTES * len(table.columns))


def groups_to_compact(files: pl.DataFrame, rows: int) -> list[pl.DataFrame]:
    """Files of one partition of which each group is to become one file: neighbours, two at least, all of them small.

    A file is small if it has less than half of `rows`, and less than half the bytes that a file should have. Two
    small neighbours always fit into one file, so compaction repeated comes to an end.

    Args:
        files: rows of `Snapshot.files`.
        rows: that a file should have.
    """
    # In the order in which they were written, so that the rows of an object keep theirs.
    ordered = files.sort("modification_time", maintain_order=True)
    small = (pl.col("num_records") * 2 < rows) & (pl.col("size_bytes") * 2 < _STORED_BYTES)
    groups: list[list[int]] = [[]]
    held_rows = held_bytes = 0
    facts = ordered.select("num_records", "size_bytes", small.fill_null(value=False).alias("small"))
    for number, (file_rows, file_bytes, is_small) in enumerate(facts.iter_rows()):
        if not is_small:
            groups.append([])
            continue
        if not groups[-1] or held_rows + file_rows > rows or held_bytes + file_bytes > _STORED_BYTES:
            groups.append([])
            held_rows = held_bytes = 0
        groups[-1].append(number)
        held_rows, held_bytes = held_rows + file_rows, held_bytes + file_bytes
    return [ordered[group] for group in groups if len(group) > 1]


def compact(table: LakeTable, partition: Mapping[str, str], *, rows: int | None = None) -> Compacted:
    """Bring the small files of a partition together; the same rows, in the same order inside an object.

    Memory holds the rows of one file that is written, whatever the partition has.

    Args:
        rows: that a file should have; None: as many as take FILE_BYTES.

    Raises:
        LakeError: a file cannot be read, or does not hold as many rows as the log says; nothing was committed.
        CommitContentionError: other writers won every round; nothing was committed.
    """
    wanted = rows or rows_per_file(table.table)
    removed: pl.DataFrame | None = None
    staged: list[StagedFile] = []

    def plan(snapshot: Snapshot) -> Change | None:
        nonlocal removed, staged
        files = snapshot.files_of(partition)
        there = set(files["path"])
        if staged and {file.path for file in staged} <= there:
            return None  # committed, and the reply was lost
        # What other writers added meanwhile waits for the next compaction.
        if removed is None or not set(removed["path"]) <= there:
            groups = groups_to_compact(files, wanted)
            removed = pl.concat(groups) if groups else None
            staged = [file for group in groups for file in _brought_together(table, snapshot, group)]
        if removed is None or len(staged) >= removed.height:
            removed, staged = None, []
            return None
        return Change(add=staged, remove=removed, data_change=False)

    converge(table, partition_lock(table.table, partition), plan)
    if removed is None:
        return Compacted()
    return Compacted(
        files_before=removed.height,
        files_after=len(staged),
        rows=sum(file.rows for file in staged),
        bytes_before=int(removed["size_bytes"].sum()),
        bytes_after=sum(file.size_bytes for file in staged),
    )


def _brought_together(table: LakeTable, snapshot: Snapshot, group: pl.DataFrame) -> Iterator[StagedFile]:
    """The files that hold the rows of a group: one, or more where rows take far more than they are taken to."""
    waiting: list[pl.DataFrame] = []
    written = 0
    # A file written in place of others has their place in the order of files.
    written_at_ms = int(group["modification_time"][0])

    def write() -> StagedFile:
        nonlocal written
        frame = pl.concat(waiting, how="diagonal")
        waiting.clear()
        written += frame.height
        return stage(frame, table.table, table.uri, table.storage_options, written_at_ms=written_at_ms)

    for path in group["path"]:
        waiting.append(snapshot.read_file(str(path)))
        if sum(frame.estimated_size() for frame in waiting) > 2 * FILE_BYTES:
            yield write()
    if waiting:
        yield write()
    promised = int(group["num_records"].sum())
    if written != promised:
        raise LakeError(
            table.uri,
            "compact files of",
            f"the log promises {promised:,} rows in {group.height} files, and they hold {written:,}. Nothing was "
            f"changed. Something else wrote there; the first file is {group['path'][0]}",
        )
