"""Rows on their way into a partition: written as Parquet files while they come in, committed later or never.

Memory holds what has not been written yet, not the whole batch. A file that no commit names is invisible.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from kentik_dagster.lake.files import StagedFile, stage
from kentik_dagster.lake.tables import LakeTable

# In memory; a file of flow records is about a tenth of it.
FILE_BYTES = 64 * 1024 * 1024


class Staging:
    """Files of one partition that hold the rows which were added; safe to use from several threads.

    Args:
        partition: the partition that all rows belong to.
        file_bytes: size in memory from which on rows are written as a file.
    """

    def __init__(self, table: LakeTable, partition: Mapping[str, str], *, file_bytes: int = FILE_BYTES) -> None:
        self.table = table
        self.partition = dict(partition)
        self._file_bytes = file_bytes
        self._files: list[StagedFile] = []
        self._waiting: list[pl.DataFrame] = []
        self._waiting_bytes = 0
        self._lock = threading.Lock()

    def add(self, rows: pl.DataFrame) -> None:
        """Take rows of the partition; may write a file.

        Raises:
            SchemaDifferenceError: the rows do not have the table's columns.
            ValueError: they name another partition.
            LakeError: the file could not be written.
        """
        if rows.is_empty():
            return
        with self._lock:
            self._waiting.append(rows)
            self._waiting_bytes += int(rows.estimated_size())
            if self._waiting_bytes < self._file_bytes:
                return
            taken = self._take()
        self._write(taken)

    def files(self) -> Sequence[StagedFile]:
        """All files; what was waiting is written first."""
        with self._lock:
            taken = self._take()
        self._write(taken)
        return tuple(self._files)

    def _take(self) -> list[pl.DataFrame]:
        taken, self._waiting, self._waiting_bytes = self._waiting, [], 0
        return taken

    def _write(self, frames: list[pl.DataFrame]) -> None:
        if not frames:
            return
        rows = pl.concat(frames, how="diagonal")
        frames.clear()
        file = stage_rows(self.table, self.partition, rows)
        with self._lock:
            self._files.append(file)


def stage_rows(table: LakeTable, partition: Mapping[str, str], rows: pl.DataFrame) -> StagedFile:
    """Write rows of one partition as one file.

    Raises:
        ValueError: a row names another partition: the lock and the ledger would not know of it.
    """
    file = stage(rows, table.table, table.uri, table.storage_options, written_at_ms=time.time_ns() // 1_000_000)
    if file.partition != partition:
        raise ValueError(f"rows of {dict(file.partition)} do not belong into {dict(partition)} of {table.table.name}")
    return file
