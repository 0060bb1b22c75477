"""A partition is replaced as a whole, made anew when another writer came in between, and the others stay."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
import pytest

from kentik_dagster.lake.tables import LakeTable
from kentik_dagster.lake.writes import append_objects, replace_partition
from tests.lake.faults import ERRORS, TIMEOUT, Commits, lost_reply, meanwhile, refused
from tests.lake.flows import NINE, TEN, files_lying, flows, objects_in, version_of


def test_only_its_partition_is_replaced_by_a_file_of_each_frame(table: LakeTable) -> None:
    append_objects(table, NINE, flows(a=1))
    append_objects(table, NINE, flows(b=1))
    append_objects(table, TEN, flows(TEN, x=1))

    rows = replace_partition(table, NINE, lambda: iter([flows(c=2), flows(), flows(d=1)]))

    assert rows == 3
    assert (objects_in(table), objects_in(table, TEN)) == ({"c": 2, "d": 1}, {"x": 1})
    assert table.open().files_of(NINE).height == 2


def test_a_second_call_leaves_the_same_rows(table: LakeTable) -> None:
    for _ in range(2):
        assert replace_partition(table, NINE, lambda: [flows(a=2)]) == 2

    assert objects_in(table) == {"a": 2}


def test_a_partition_may_become_empty_and_stay_so(table: LakeTable) -> None:
    append_objects(table, NINE, flows(a=1))

    for _ in range(2):
        assert replace_partition(table, NINE, list) == 0

    assert objects_in(table) == {}
    assert version_of(table) == 2


def test_frames_that_fail_leave_what_was_there(table: LakeTable) -> None:
    append_objects(table, NINE, flows(a=1))

    def frames() -> Iterator[pl.DataFrame]:
        yield flows(b=1)
        raise RuntimeError("the source is gone")

    with pytest.raises(RuntimeError, match="the source is gone"):
        replace_partition(table, NINE, frames)

    assert objects_in(table) == {"a": 1}


def test_rows_of_another_partition_are_refused(table: LakeTable) -> None:
    append_objects(table, TEN, flows(TEN, x=1))

    with pytest.raises(ValueError, match="do not belong into"):
        replace_partition(table, NINE, lambda: [flows(TEN, a=1)])

    assert objects_in(table, TEN) == {"x": 1}


def test_it_is_made_anew_after_another_writer_changed_the_partition(table: LakeTable, commits: Commits) -> None:
    source = {"a": 1}

    def another_writer() -> None:
        source.update(b=2)
        append_objects(table, NINE, flows(b=2))

    commits.suffer = [meanwhile(another_writer)]

    rows = replace_partition(table, NINE, lambda: [flows(**source)])

    assert rows == 3
    assert objects_in(table) == {"a": 1, "b": 2}


def test_it_is_not_made_anew_after_another_partition_was_replaced(table: LakeTable, commits: Commits) -> None:
    append_objects(table, TEN, flows(TEN, x=1))
    commits.suffer = [meanwhile(lambda: replace_partition(table, TEN, lambda: [flows(TEN, y=1)]))]

    replace_partition(table, NINE, lambda: [flows(a=1)])

    assert (objects_in(table), objects_in(table, TEN)) == ({"a": 1}, {"y": 1})
    assert files_lying(table) == 1


@pytest.mark.parametrize("error", ERRORS)
def test_a_lost_reply_is_no_second_commit(table: LakeTable, commits: Commits, error: Exception) -> None:
    append_objects(table, NINE, flows(a=1))
    commits.suffer = [lost_reply(error)]

    rows = replace_partition(table, NINE, lambda: [flows(b=1), flows(c=1)])

    assert rows == 2
    assert objects_in(table) == {"b": 1, "c": 1}
    assert (version_of(table), files_lying(table)) == (2, 3)


def test_a_lost_reply_to_an_emptying_is_no_second_commit(table: LakeTable, commits: Commits) -> None:
    append_objects(table, NINE, flows(a=1))
    commits.suffer = [lost_reply(TIMEOUT)]

    assert replace_partition(table, NINE, list) == 0

    assert objects_in(table) == {}
    assert version_of(table) == 2


@pytest.mark.parametrize("error", ERRORS)
def test_a_commit_that_failed_is_tried_again_with_the_same_files(
    table: LakeTable, commits: Commits, error: Exception
) -> None:
    commits.suffer = [refused(error), refused(error)]

    replace_partition(table, NINE, lambda: [flows(a=1), flows(b=1)])

    assert objects_in(table) == {"a": 1, "b": 1}
    assert files_lying(table) == 2


def test_what_another_writer_appended_after_a_lost_reply_is_seen(table: LakeTable, commits: Commits) -> None:
    source = {"a": 1}

    def another_writer() -> None:
        source.update(b=2)
        append_objects(table, NINE, flows(b=2))

    commits.suffer = [lost_reply(TIMEOUT, then=another_writer)]

    rows = replace_partition(table, NINE, lambda: [flows(**source)])

    assert rows == 3
    assert objects_in(table) == {"a": 1, "b": 2}


def test_of_two_at_a_time_one_is_left(table: LakeTable, commits: Commits) -> None:
    commits.suffer = [meanwhile(lambda: replace_partition(table, NINE, lambda: [flows(a=1)]))]

    replace_partition(table, NINE, lambda: [flows(b=1)])

    assert objects_in(table) == {"b": 1}
