"""What is written to the lake: rows of objects that are not there yet, merged partitions, replaced partitions.

All of them go through `converge`, and all of them may be repeated: a second call leaves the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import polars as pl

from kentik_dagster.core.schemas import conformed, no_rows, polars_schema
from kentik_dagster.lake.commits import Change, converge, partition_lock
from kentik_dagster.lake.files import StagedFile
from kentik_dagster.lake.snapshots import Snapshot
from kentik_dagster.lake.staging import Staging, stage_rows
from kentik_dagster.lake.tables import LakeTable

# A partition, and what makes of its rows those that it should have or lacks.
PartitionRows = tuple[Mapping[str, str], Callable[[pl.DataFrame], pl.DataFrame]]


def append_objects(table: LakeTable, partition: Mapping[str, str], rows: pl.DataFrame) -> Mapping[str, int]:
    """Append the rows of those source objects of which the partition has none yet.

    All rows of an object are in one commit, so an object is there completely or not at all.

    Args:
        rows: rows of one partition with `source_object`; all rows that each object has.

    Returns:
        For each object of `rows`, how many rows of it the partition holds now. Another number than was handed
        in means that something else wrote rows under the object's name.

    Raises:
        ValueError: a row names no object, or another partition; it would be appended again by every call.
    """
    staging = Staging(table, partition)
    staging.add(rows)
    return append_staged(staging)


def append_staged(staging: Staging) -> Mapping[str, int]:
    """Append the staged rows of those source objects of which the partition has none yet, in one commit.

    `staging.appended` names them afterwards.

    Returns:
        As `append_objects`.
    """
    return append_all_staged([staging])


def append_all_staged(stagings: Sequence[Staging]) -> Mapping[str, int]:
    """Like `append_staged`, for several partitions of one table in one commit; no object is in two of them."""
    waiting = [staging for staging in stagings if staging.counts]
    found: dict[str, int] = {}

    def plan(snapshot: Snapshot) -> Change | None:
        found.clear()
        add: list[StagedFile] = []
        names = [staging.partition | {"source_object": name} for staging in waiting for name in staging.counts]
        committed = {tuple(key): rows for *key, rows in snapshot.counts_of(pl.DataFrame(names)).iter_rows()}
        for staging in waiting:
            expected = staging.counts
            place = tuple(staging.partition[column] for column in table.table.partition_by)
            there = {name: committed[*place, name] for name in expected if (*place, name) in committed}
            found.update({name: there.get(name, count) for name, count in expected.items()})
            staging.appended = frozenset(expected.keys() - there.keys())
            add += staging.files(staging.appended) if staging.appended else ()
        return Change(add=add) if add else None

    if waiting:
        table = waiting[0].table
        converge(table, [partition_lock(table.table, staging.partition) for staging in waiting], plan)
    return found


def merge_partition(
    table: LakeTable, partition: Mapping[str, str], merged: Callable[[pl.DataFrame], pl.DataFrame]
) -> pl.DataFrame:
    """Replace a partition by what `merged` makes of its rows; returns the partition's rows afterwards.

    Args:
        merged: from the rows that are there to the rows that should be; what it makes of its own result
            must be that same result, in any order of rows.
    """
    return merge_partitions(table, [(partition, merged)])[0]


def merge_partitions(
    table: LakeTable, wanted: Sequence[PartitionRows], *, holding: tuple[str, Collection[str]] | None = None
) -> list[pl.DataFrame]:
    """Like `merge_partition`, for several partitions in one commit.

    Args:
        holding: a column and some of its values. Only the files that may hold them are read and replaced, so that
            memory holds a part of a partition; `merged` gets, and this returns, the rows of these files alone.
    """
    latest = [no_rows(table.table) for _ in wanted]
    staged: list[list[StagedFile]] = [[] for _ in wanted]
    made_from: list[frozenset[str] | None] = [None for _ in wanted]

    def plan(snapshot: Snapshot) -> Change | None:
        add, remove = [], [snapshot.files.clear()]
        if holding is None:
            there = snapshot.read_each([partition for partition, _ in wanted])
            held = snapshot.files_of_each([partition for partition, _ in wanted])
        else:
            held = [snapshot.files_holding(partition, *holding) for partition, _ in wanted]
            there = [_rows_of(snapshot, files, table) for files in held]
        for number, ((partition, merged), files) in enumerate(zip(wanted, held, strict=True)):
            paths = frozenset(files["path"])
            if made_from[number] != paths:
                latest[number] = rows = _complete(merged(there[number]), table)
                if _same_rows(rows, there[number]):
                    continue
                staged[number], made_from[number] = [stage_rows(table, partition, rows)] if rows.height else [], paths
            add += staged[number]
            remove.append(files)
        changed = pl.concat(remove)
        return Change(add=add, remove=changed) if add or changed.height else None

    converge(table, [partition_lock(table.table, partition) for partition, _ in wanted], plan)
    return latest


def _rows_of(snapshot: Snapshot, files: pl.DataFrame, table: LakeTable) -> pl.DataFrame:
    return pl.concat([no_rows(table.table), *(_complete(snapshot.read_file(path), table) for path in files["path"])])


def replace_partition(
    table: LakeTable, partition: Mapping[str, str], frames: Callable[[], Iterable[pl.DataFrame]]
) -> int:
    """Replace a partition by the rows of some frames, each a file of its own; returns the number of rows.

    Memory holds one frame at a time. `frames` is called again whenever another writer changed the partition.
    """
    staged: list[StagedFile] = []
    made_from: frozenset[str] | None = None

    def plan(snapshot: Snapshot) -> Change | None:
        nonlocal staged, made_from
        files = snapshot.files_of(partition)
        there = frozenset(files["path"])
        if there == frozenset(file.path for file in staged) and (staged or made_from is not None):
            return None
        if made_from != there:
            staged, made_from = [stage_rows(table, partition, frame) for frame in frames() if frame.height], there
        if not staged and files.is_empty():
            return None
        return Change(add=staged, remove=files)

    converge(table, partition_lock(table.table, partition), plan)
    return sum(file.rows for file in staged)


def append_rows(
    table: LakeTable, partition: Mapping[str, str], new: Callable[[pl.DataFrame], pl.DataFrame]
) -> pl.DataFrame:
    """Append to a partition what `new` finds lacking in its rows; returns the rows that this call appended.

    Args:
        new: from the rows that are there to those that are lacking; nothing once they have been appended.
    """
    return append_to_partitions(table, [(partition, new)])[0]


def append_to_partitions(table: LakeTable, wanted: Sequence[PartitionRows]) -> list[pl.DataFrame]:
    """Like `append_rows`, for several partitions in one commit."""
    appended = [no_rows(table.table) for _ in wanted]
    staged: list[list[tuple[pl.DataFrame, StagedFile]]] = [[] for _ in wanted]

    def plan(snapshot: Snapshot) -> Change | None:
        add = []
        committed = frozenset(snapshot.files["path"])
        there = snapshot.read_each([partition for partition, _ in wanted])
        for number, (partition, new) in enumerate(wanted):
            # A file of ours that is there was committed by a call that raised: its rows are not appended again.
            ours = [rows for rows, file in staged[number] if file.path in committed]
            lacking = new(there[number])
            if any(lacking.equals(rows) for rows in ours):
                lacking = lacking.clear()
            appended[number] = pl.concat([no_rows(table.table), *ours, lacking], how="diagonal_relaxed")
            if lacking.is_empty():
                continue
            if not staged[number] or not staged[number][-1][0].equals(lacking):
                staged[number].append((lacking, stage_rows(table, partition, lacking)))
            add.append(staged[number][-1][1])
        return Change(add=add) if add else None

    converge(table, [partition_lock(table.table, partition) for partition, _ in wanted], plan)
    return appended


def _complete(rows: pl.DataFrame, table: LakeTable) -> pl.DataFrame:
    """All columns of the table, so that rows from the table and new ones can be compared."""
    rows = conformed(rows, table.table)
    schema = polars_schema(table.table)
    return rows.with_columns(
        pl.lit(None, dtype=dtype).alias(name) for name, dtype in schema.items() if name not in rows.columns
    ).select(schema.names())


def _same_rows(left: pl.DataFrame, right: pl.DataFrame) -> bool:
    if left.height != right.height:
        return False
    if left.equals(right.select(left.columns)):
        return True
    return _sorted(left).equals(_sorted(right.select(left.columns)))


def _sorted(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.sort(pl.all())
