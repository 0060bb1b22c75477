"""A partition becomes what is made of it, of what is there at the end, and is left alone where nothing changes."""

from __future__ import annotations

import polars as pl
import pytest

from kentik_dagster.core.schemas import polars_schema
from kentik_dagster.lake.tables import Lake, LakeTable
from kentik_dagster.lake.writes import append_objects, merge_partition, replace_partition
from tests.lake.faults import ERRORS, TIMEOUT, Commits, lost_reply, meanwhile, refused
from tests.lake.flows import NINE, TEN, files_lying, flows, objects_in, version_of, with_objects


def upside_down(there: pl.DataFrame) -> pl.DataFrame:
    """The same rows in another order."""
    return there.sort("bytes", descending=True)


def test_the_partition_becomes_what_is_made_of_it(table: LakeTable) -> None:
    append_objects(table, NINE, flows(a=1))
    append_objects(table, TEN, flows(TEN, x=1))

    rows = merge_partition(table, NINE, lambda there: pl.concat([there.filter(bytes=2), flows(b=2)], how="diagonal"))

    assert sorted(rows.select("source_object", "bytes").rows()) == [("b", 1), ("b", 2)]
    assert rows.schema == polars_schema(table.table)
    assert (objects_in(table), objects_in(table, TEN)) == ({"b": 2}, {"x": 1})


def test_nothing_is_written_where_nothing_changes(table: LakeTable) -> None:
    merge_partition(table, NINE, with_objects(a=2, b=1))

    for merged in (with_objects(a=2), with_objects(b=1), lambda there: there, upside_down):
        rows = merge_partition(table, NINE, merged)

        assert rows.height == 3
    assert version_of(table) == files_lying(table) == 1


def test_nothing_is_written_where_only_the_order_of_rows_that_differ_in_a_map_changes(lake: Lake) -> None:
    series = lake["metric_series"]
    schema = {name: polars_schema(series.table)[name] for name in ("hour", "dimensions", "value")}
    dimensions = [{"InstanceId": "i-1"}, {"InstanceId": "i-2"}, None]
    idle = pl.DataFrame({"hour": ["2026-11-23T09"] * 3, "dimensions": dimensions, "value": [0.0] * 3}, schema=schema)
    merge_partition(series, {"hour": "2026-11-23T09"}, lambda there: idle)

    merge_partition(series, {"hour": "2026-11-23T09"}, lambda there: idle.reverse())

    assert version_of(series) == 1


def test_a_row_that_differs_only_in_a_map_is_a_change(lake: Lake) -> None:
    changes, account = lake["metadata_changes"], {"account_id": "111122223333"}
    schema = {name: polars_schema(changes.table)[name] for name in ("account_id", "tags")}

    def tagged(name: str) -> pl.DataFrame:
        return pl.DataFrame({**account, "tags": [{"Name": name}]}, schema=schema)

    merge_partition(changes, account, lambda there: tagged("web"))
    merge_partition(changes, account, lambda there: tagged("db"))

    assert changes.read(account)["tags"].to_list() == [{"Name": "db"}]


def test_a_partition_may_become_empty_and_stay_so(table: LakeTable) -> None:
    append_objects(table, NINE, flows(a=1))

    for _ in range(2):
        assert merge_partition(table, NINE, lambda there: there.clear()).is_empty()

    assert objects_in(table) == {}
    assert version_of(table) == 2


def test_nothing_becomes_nothing_without_a_commit(table: LakeTable) -> None:
    merge_partition(table, NINE, lambda there: there)

    assert version_of(table) == 0


def test_rows_of_another_partition_are_refused(table: LakeTable) -> None:
    with pytest.raises(ValueError, match="do not belong into"):
        merge_partition(table, NINE, lambda there: flows(TEN, a=1))


def test_what_another_writer_merged_meanwhile_is_merged_too(table: LakeTable, commits: Commits) -> None:
    append_objects(table, NINE, flows(x=1))
    commits.suffer = [meanwhile(lambda: merge_partition(table, NINE, with_objects(a=1)))]

    rows = merge_partition(table, NINE, with_objects(b=2))

    assert rows.height == 4
    assert objects_in(table) == {"x": 1, "a": 1, "b": 2}


@pytest.mark.parametrize("error", ERRORS)
def test_a_lost_reply_is_no_second_commit(table: LakeTable, commits: Commits, error: Exception) -> None:
    commits.suffer = [lost_reply(error)]

    rows = merge_partition(table, NINE, with_objects(a=2))

    assert rows.height == 2
    assert objects_in(table) == {"a": 2}
    assert version_of(table) == 1


@pytest.mark.parametrize("error", ERRORS)
def test_a_commit_that_failed_is_tried_again_with_the_same_file(
    table: LakeTable, commits: Commits, error: Exception
) -> None:
    append_objects(table, NINE, flows(a=1))
    commits.suffer = [refused(error)]

    merge_partition(table, NINE, with_objects(b=1))

    assert objects_in(table) == {"a": 1, "b": 1}
    assert files_lying(table) == 2


def test_what_another_writer_merged_after_a_lost_reply_stays(table: LakeTable, commits: Commits) -> None:
    commits.suffer = [lost_reply(TIMEOUT, then=lambda: merge_partition(table, NINE, with_objects(b=1)))]

    rows = merge_partition(table, NINE, with_objects(a=2))

    assert rows.height == 3
    assert objects_in(table) == {"a": 2, "b": 1}


def test_a_merge_that_undoes_what_came_after_its_lost_reply_ends(table: LakeTable, commits: Commits) -> None:
    commits.suffer = [lost_reply(TIMEOUT, then=lambda: append_objects(table, NINE, flows(b=1)))]

    merge_partition(table, NINE, lambda there: flows(a=2))

    assert objects_in(table) == {"a": 2}
    assert commits.tried == 3  # ours, whose reply was lost; b; ours again, with a file of another name


def test_a_merge_is_made_anew_of_a_partition_that_was_emptied(table: LakeTable, commits: Commits) -> None:
    commits.suffer = [
        meanwhile(lambda: append_objects(table, NINE, flows(b=1))),
        meanwhile(lambda: replace_partition(table, NINE, list)),
    ]

    rows = merge_partition(table, NINE, with_objects(a=2))

    assert rows["source_object"].to_list() == ["a", "a"]
    assert objects_in(table) == {"a": 2}
