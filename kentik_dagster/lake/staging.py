"""Rows on their way into a partition: written as Parquet files while they come in, committed later or never.

Memory holds what has not been written yet, not the whole batch. A file that no commit names is invisible.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence, Set

import polars as pl

from kentik_dagster.lake.files import StagedFile, stage
from kentik_dagster.lake.tables import LakeTable
from kentik_dagster.lake.tries import tried

# In memory; as a file, flow records are about a tenth of it. Writing takes twice as much for a moment.
FILE_BYTES = 8 * 1024 * 1024


class Staging:
    """Rows of one partition, and the files that hold them; safe to use from several threads.

    Args:
        partition: the partition that all rows belong to.
        file_bytes: size in memory from which on rows are written as a file.

    Attributes:
        appended: the objects whose rows were committed from here; of the others, rows were there before. A commit
            that succeeded and was not heard of leaves its objects out.
    """

    def __init__(self, table: LakeTable, partition: Mapping[str, str], *, file_bytes: int = FILE_BYTES) -> None:
        self.table = table
        self.partition = dict(partition)
        self.appended: frozenset[str] = frozenset()
        self._file_bytes = file_bytes
        self._counts: Counter[str] = Counter()
        self._discarded: set[str] = set()
        self._written: list[tuple[StagedFile, Set[str]]] = []
        self._waiting: list[pl.DataFrame] = []
        self._waiting_bytes = 0
        self._again: dict[tuple[str, frozenset[str]], StagedFile] = {}
        self._lock = threading.Lock()

    def add(self, rows: pl.DataFrame) -> None:
        """Take rows of the partition; may write a file.

        Raises:
            SchemaDifferenceError: the rows do not have the table's columns.
            ValueError: a row names no object, or another partition: it would be appended again by every call.
            LakeError: the file could not be written.
        """
        if rows.is_empty():
            return
        if rows["source_object"].null_count():
            raise ValueError("rows without a source_object cannot be counted, and so not be appended exactly once")
        counts = dict(rows.group_by("source_object").len().iter_rows())
        full: list[pl.DataFrame] = []
        with self._lock:
            self._counts.update(counts)
            self._waiting.append(rows)
            self._waiting_bytes += int(rows.estimated_size())
            if self._waiting_bytes >= self._file_bytes:
                full, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if full:
            frame = _together(full)
            full.clear()
            file = stage_rows(self.table, self.partition, frame)
            with self._lock:
                self._written.append((file, set(frame["source_object"].unique())))

    def discard(self, source_object: str) -> None:
        """Forget an object of which not all rows could be read."""
        with self._lock:
            self._discarded.add(source_object)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many rows of each object were added, without those that were discarded."""
        return {name: count for name, count in self._counts.items() if name not in self._discarded}

    def files(self, objects: Collection[str]) -> Sequence[StagedFile]:
        """Files that hold the rows of these objects, and no other rows."""
        wanted = frozenset(objects)
        files = []
        for file, there in self._written:
            if there <= wanted:
                files.append(file)
            elif there & wanted:
                files.append(self._made_again(file.path, wanted & there, [staged_rows(self.table, file)]))
        waiting = {name for frame in self._waiting for name in frame["source_object"].unique()}
        if waiting & wanted:
            files.append(self._made_again("", wanted & frozenset(waiting), self._waiting))
        return files

    def _made_again(self, origin: str, objects: frozenset[str], frames: list[pl.DataFrame]) -> StagedFile:
        if (origin, objects) not in self._again:
            rows = _together(frames).filter(pl.col("source_object").is_in(list(objects)))
            self._again[origin, objects] = stage_rows(self.table, self.partition, rows)
        return self._again[origin, objects]


def _together(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Frames as one; each has categories of its own, so that several are text."""
    if len(frames) == 1:
        return frames[0]
    return pl.concat(
        (frame.with_columns(pl.selectors.categorical().cast(pl.String)) for frame in frames), how="diagonal"
    )


def stage_rows(table: LakeTable, partition: Mapping[str, str], rows: pl.DataFrame) -> StagedFile:
    """Write rows of one partition as one file.

    Raises:
        ValueError: a row names another partition: the lock and the ledger would not know of it.
    """
    file = stage(rows, table.table, table.uri, table.storage_options, written_at_ms=time.time_ns() // 1_000_000)
    if file.partition != partition:
        raise ValueError(f"rows of {dict(file.partition)} do not belong into {dict(partition)} of {table.table.name}")
    return file


def staged_rows(table: LakeTable, file: StagedFile) -> pl.DataFrame:
    """The rows of a staged file, partition columns too."""
    rows = tried(
        table.uri,
        lambda: pl.read_parquet(
            f"{table.uri}/{file.path}",
            storage_options=dict(table.storage_options) or None,
            hive_partitioning=False,
            glob=False,
        ),
        OSError,
        pl.exceptions.PolarsError,
    )
    return rows.with_columns(pl.lit(value).alias(name) for name, value in file.partition.items())
