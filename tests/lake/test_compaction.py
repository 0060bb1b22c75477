"""Compaction moves rows to fewer files, and changes nothing else, whoever writes, compacts or dies meanwhile."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.schemas import polars_schema
from kentik_dagster.errors import LakeError
from kentik_dagster.lake.commits import Change, converge, partition_lock
from kentik_dagster.lake.compaction import Compacted, compact, groups_to_compact, rows_per_file
from kentik_dagster.lake.snapshots import Snapshot
from kentik_dagster.lake.staging import stage_rows
from kentik_dagster.lake.tables import Lake, LakeTable
from kentik_dagster.lake.writes import append_objects, replace_partition
from tests.lake.compactor import compactor
from tests.lake.faults import ERRORS, Commits, fail_at_random, lost_reply, meanwhile
from tests.lake.flows import NINE, READERS, TEN, files_lying, flows, objects_in, version_of
from tests.lake.writer import records_of, released, writers


def append_one_by_one(table: LakeTable, **objects: int) -> None:
    for name, records in objects.items():
        append_objects(table, NINE, flows(**{name: records}))


def files_of_nine(table: LakeTable) -> int:
    return table.open().files_of(NINE).height


def promise_rows(table: LakeTable, number: int) -> None:
    """Commit a file of one row of which the log says that it has so many."""
    honest = stage_rows(table, NINE, flows(liar=1))
    file = replace(honest, statistics=json.dumps({"numRecords": number}))

    def plan(snapshot: Snapshot) -> Change | None:
        return None if file.path in snapshot.files["path"] else Change(add=[file])

    converge(table, partition_lock(table.table, NINE), plan)


def test_small_files_become_one_with_the_same_rows(table: LakeTable) -> None:
    append_one_by_one(table, a=2, b=1, c=3)
    before = table.open()

    done = compact(table, NINE)

    assert (done.files_before, done.files_after, done.rows) == (3, 1, 6)
    assert done.bytes_before == before.files["size_bytes"].sum()
    assert objects_in(table) == {"a": 2, "b": 1, "c": 3}
    assert files_of_nine(table) == 1


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_finds_the_same_values_and_the_rows_of_an_object_in_their_order(
    table: LakeTable, reader: str
) -> None:
    append_one_by_one(table, a=3, b=2)
    before = READERS[reader](table.uri)

    compact(table, NINE)

    after = READERS[reader](table.uri)
    assert after.columns == before.columns
    assert after.sort("source_object", "bytes").equals(before.sort("source_object", "bytes"))
    assert after.filter(source_object="a")["bytes"].to_list() == [1, 2, 3]


def test_columns_of_every_type_survive(lake: Lake) -> None:
    for name in ("flow_logs", "enriched_flows", "metric_series"):
        table = lake[name]
        partition = {column: NINE[column] for column in table.table.partition_by}
        rows = one_row(name).with_columns(pl.lit(value).alias(column) for column, value in partition.items())
        for _ in range(2):
            append_file(table, partition, rows)
        before = table.read(partition)

        compact(table, partition)

        assert table.open().files.height == 1
        assert table.read(partition).equals(before)


def one_row(name: str) -> pl.DataFrame:
    """A row with a value in every column."""
    columns = []
    for column, dtype in polars_schema(TABLES[name]).items():
        match dtype:
            case pl.Datetime():
                value: object = datetime(2026, 11, 23, 9, 0, 0, 123_456, tzinfo=UTC)
            case pl.List(inner=pl.Struct()):
                value = [{"key": "k", "value": "v"}]
            case pl.List():
                value = ["a", "b"]
            case pl.String():
                value = "a"
            case _:
                value = 1
        columns.append(pl.Series(column, [value], dtype=dtype, strict=False))
    return pl.DataFrame(columns)


def append_file(table: LakeTable, partition: dict[str, str], rows: pl.DataFrame) -> None:
    file = stage_rows(table, partition, rows)

    def plan(snapshot: Snapshot) -> Change | None:
        return None if file.path in snapshot.files["path"] else Change(add=[file])

    converge(table, partition_lock(table.table, partition), plan)


def test_what_is_not_worth_it_is_not_committed(table: LakeTable) -> None:
    append_one_by_one(table, a=2)
    version = version_of(table)

    assert compact(table, NINE) == Compacted()
    assert compact(table, TEN) == Compacted()

    assert version_of(table) == version


def test_a_second_compaction_finds_nothing_to_do(table: LakeTable) -> None:
    append_one_by_one(table, a=2, b=2)
    compact(table, NINE)

    assert compact(table, NINE) == Compacted()


def test_files_reach_their_size_and_no_more(table: LakeTable) -> None:
    append_one_by_one(table, a=2, b=2, c=2, d=2, e=7)

    done = compact(table, NINE, rows=5)

    assert (done.files_before, done.files_after) == (4, 2)
    assert sorted(table.open().files["num_records"]) == [4, 4, 7]


def test_the_rows_of_a_file_take_a_bounded_part_of_memory() -> None:
    assert rows_per_file(TABLES["flow_logs"]) * 8 * len(TABLES["flow_logs"].columns) <= 256 * 1024 * 1024


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 12), max_size=20))
def test_compaction_repeated_comes_to_an_end_where_no_small_files_are_neighbours(sizes: list[int]) -> None:
    total, rounds = sum(sizes), 0
    while groups := groups_to_compact(files_with(sizes), rows=10):
        assert all(group.height > 1 and group["num_records"].sum() <= 10 for group in groups)
        merged = {int(group["modification_time"][0]): int(group["num_records"].sum()) for group in groups}
        gone = {int(number) for group in groups for number in group["modification_time"]}
        sizes = [merged.get(n, size) for n, size in enumerate(sizes) if n in merged or n not in gone]
        rounds += 1

    assert sum(sizes) == total
    assert rounds <= 20
    assert not any(first < 5 and second < 5 for first, second in pairwise(sizes))


def files_with(sizes: list[int]) -> pl.DataFrame:
    numbers = range(len(sizes))
    return pl.DataFrame(
        {"num_records": sizes, "size_bytes": [1] * len(sizes), "modification_time": list(numbers)},
        schema={"num_records": pl.Int64, "size_bytes": pl.Int64, "modification_time": pl.Int64},
    )


def test_a_file_without_a_count_is_left_alone() -> None:
    files = files_with([1, 1, 1]).with_columns(num_records=pl.Series([1, None, 1], dtype=pl.Int64))

    assert groups_to_compact(files, rows=10) == []


@pytest.mark.parametrize("promised", [0, 2])
def test_files_that_hold_other_rows_than_the_log_promises_are_not_touched(table: LakeTable, promised: int) -> None:
    append_one_by_one(table, a=2)
    promise_rows(table, promised)
    version = version_of(table)

    with pytest.raises(LakeError, match=f"the log promises {2 + promised} rows in 2 files, and they hold 3"):
        compact(table, NINE)

    assert version_of(table) == version


def test_a_writer_in_between_costs_no_second_file(table: LakeTable, commits: Commits) -> None:
    append_one_by_one(table, a=2, b=1)
    commits.suffer = [meanwhile(lambda: append_objects(table, NINE, flows(c=1)))]

    done = compact(table, NINE)

    assert (done.files_before, done.files_after) == (2, 1)
    assert objects_in(table) == {"a": 2, "b": 1, "c": 1}
    assert files_lying(table) == 4  # a, b, c and the one that holds a and b


def test_a_partition_replaced_in_between_is_left_as_it_was_made(table: LakeTable, commits: Commits) -> None:
    append_one_by_one(table, a=2, b=1)
    commits.suffer = [meanwhile(lambda: replace_partition(table, NINE, lambda: [flows(c=3)]))]

    done = compact(table, NINE)

    assert done == Compacted()
    assert objects_in(table) == {"c": 3}


@pytest.mark.parametrize("error", ERRORS)
def test_a_lost_reply_is_no_second_compaction(table: LakeTable, commits: Commits, error: Exception) -> None:
    append_one_by_one(table, a=2, b=1)
    commits.suffer = [lost_reply(error)]

    done = compact(table, NINE)

    assert (done.files_before, done.files_after, done.rows) == (2, 1, 3)
    assert commits.tried == 3  # a, b, and one compaction
    assert objects_in(table) == {"a": 2, "b": 1}


def test_two_compactions_at_once_leave_every_row_once(table: LakeTable, commits: Commits) -> None:
    """What doubles the rows with `optimize.compact`: the second acts on what it read before the first committed."""
    append_one_by_one(table, a=2, b=1)
    commits.suffer = [meanwhile(lambda: compact(table, NINE))]

    compact(table, NINE)

    assert objects_in(table) == {"a": 2, "b": 1}
    assert files_of_nine(table) == 1


def test_compactions_and_appends_are_exact_although_a_third_of_all_commits_fails(
    table: LakeTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at_random(monkeypatch, seed=3)
    names = "abcdef"

    with ThreadPoolExecutor(4) as threads:
        done = [threads.submit(append_objects, table, NINE, flows(**{name: 2})) for name in names]
        done += [threads.submit(lambda: {"files": compact(table, NINE).files_after}) for _ in names]
        for one in done:
            one.result()

    assert objects_in(table) == dict.fromkeys(names, 2)


@pytest.mark.slow
def test_processes_that_append_and_compact_at_once_leave_every_row_once(lake: Lake) -> None:
    appends = [["append", lake.root, NINE["hour"], str(seed), "18", "{}"] for seed in range(2)]

    with writers(appends) as processes, ExitStack() as compactors:
        for _ in range(2):
            compactors.enter_context(compactor(lake.root))
        released(processes)
        until = time.monotonic() + 60
        while files_of_nine(lake["flow_logs"]) > 1 and time.monotonic() < until:
            time.sleep(0.05)

    assert objects_in(lake["flow_logs"]) == records_of(18)
    assert files_of_nine(lake["flow_logs"]) == 1
