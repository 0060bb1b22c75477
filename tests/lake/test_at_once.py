"""Threads and processes that write at once, and commits that fail at random, leave exactly the rows they should."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise

import polars as pl
import pytest

from kentik_dagster.lake.tables import Lake, LakeTable
from kentik_dagster.lake.writes import append_objects, append_rows, merge_partition, replace_partition
from tests.lake.faults import fail_at_random
from tests.lake.flows import NINE, TEN, flows, lacking, objects_in, with_objects
from tests.lake.writer import records_of, released, writers


def at_once(*calls: Callable[[], object]) -> None:
    """Make all calls, each in a thread of its own."""
    with ThreadPoolExecutor(len(calls)) as threads:
        for done in [threads.submit(call) for call in calls]:
            done.result()


def test_threads_append_the_same_objects_once(table: LakeTable) -> None:
    at_once(*[partial(append_objects, table, NINE, flows(a=2, b=1))] * 4)

    assert objects_in(table) == {"a": 2, "b": 1}


def test_threads_append_overlapping_objects_once(table: LakeTable) -> None:
    names = "abcdefgh"

    at_once(*(partial(append_objects, table, NINE, flows(**{a: 1, b: 1, "i": 1})) for a, b in pairwise(names)))

    assert objects_in(table) == dict.fromkeys("abcdefghi", 1)


def test_threads_write_to_partitions_of_their_own(table: LakeTable) -> None:
    hours = [{"export": "acme", "hour": f"2026-11-23T{hour:02}"} for hour in range(4)]

    at_once(
        *(partial(append_objects, table, hour, flows(hour, a=1)) for hour in hours),
        *(partial(merge_partition, table, hour, lambda there: there) for hour in hours),
    )

    assert [objects_in(table, hour) for hour in hours] == [{"a": 1}] * 4


def test_threads_merge_what_each_of_them_knows(table: LakeTable) -> None:
    append_objects(table, NINE, flows(x=1))

    at_once(*(partial(merge_partition, table, NINE, with_objects(**{name: 1})) for name in "abcdef"))

    assert objects_in(table) == dict.fromkeys("xabcdef", 1)


def test_threads_append_the_same_lacking_rows_once_and_one_of_them_says_so(table: LakeTable) -> None:
    appended: list[pl.DataFrame] = []

    at_once(*[lambda: appended.append(append_rows(table, NINE, lacking(a=2)))] * 4)

    assert objects_in(table) == {"a": 2}
    assert sorted(rows.height for rows in appended) == [0, 0, 0, 2]


def test_a_rebuild_among_appends_loses_nothing(lake: Lake) -> None:
    """As `enriched_flows` is kept: appended from `flow_logs` as it grows, and rebuilt from it at any time."""
    source, derived = lake["flow_logs"], lake["enriched_flows"]

    def derive(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.select("export", "hour", "source_object", "bytes", start_time=pl.col("start"))

    def grow(name: str) -> None:
        append_objects(source, NINE, flows(**{name: 2}))
        append_objects(derived, NINE, derive(source.read(NINE)))

    at_once(
        *(partial(grow, name) for name in "abcd"),
        *[partial(replace_partition, derived, NINE, lambda: [derive(source.read(NINE))])] * 2,
    )

    assert objects_in(derived) == objects_in(source) == dict.fromkeys("abcd", 2)


@pytest.mark.parametrize("seed", range(3))
def test_every_write_is_exact_although_a_third_of_all_commits_fails(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    fail_at_random(monkeypatch, seed)
    appended, merged, added, replaced = (
        lake["flow_logs"],
        lake["flow_log_objects"],
        lake["rejected_records"],
        lake["enriched_flows"],
    )
    names = [f"{seed}-{number}" for number in range(4)]

    def named(*objects: str) -> pl.DataFrame:
        return flows(**dict.fromkeys(objects, 2)).select("export", "hour", "source_object")

    def without(there: pl.DataFrame, name: str) -> pl.DataFrame:
        return named(name).filter(~pl.col("source_object").is_in(there["source_object"].implode()))

    def merge(name: str) -> None:
        merge_partition(merged, NINE, lambda there: pl.concat([there, without(there, name)], how="diagonal"))

    def add(name: str) -> None:
        append_rows(added, NINE, lambda there: without(there, name))

    at_once(
        *[partial(append_objects, appended, NINE, flows(**dict.fromkeys(names, 2)))] * 4,
        *(partial(merge, name) for name in names),
        *(partial(add, name) for name in names),
        *[partial(replace_partition, replaced, NINE, lambda: [named(*names)])] * 2,
    )

    for table in (appended, merged, added, replaced):
        assert objects_in(table) == dict.fromkeys(names, 2), table.table.name


@pytest.mark.slow
def test_processes_append_to_the_same_and_to_other_partitions(lake: Lake) -> None:
    hours = [NINE["hour"], NINE["hour"], TEN["hour"]]
    appends = [["append", lake.root, hour, str(seed), "12", "{}"] for seed, hour in enumerate(hours)]

    with writers(appends) as processes:
        released(processes)

    assert objects_in(lake["flow_logs"], NINE) == objects_in(lake["flow_logs"], TEN) == records_of(12)
