"""What is lacking is appended once, and a call tells what it appended itself."""

from __future__ import annotations

import polars as pl
import pytest

from kentik_dagster.lake.tables import LakeTable
from kentik_dagster.lake.writes import append_objects, append_rows
from tests.lake.faults import ERRORS, TIMEOUT, Commits, lost_reply, meanwhile, refused
from tests.lake.flows import NINE, TEN, files_lying, flows, lacking, objects_in, version_of


def test_what_is_lacking_is_appended_and_nothing_else(table: LakeTable) -> None:
    append_objects(table, TEN, flows(TEN, x=1))

    first = append_rows(table, NINE, lacking(a=2))
    second = append_rows(table, NINE, lacking(a=2, b=1))
    third = append_rows(table, NINE, lacking(a=2, b=1))

    assert [rows["source_object"].to_list() for rows in (first, second, third)] == [["a", "a"], ["b"], []]
    assert (objects_in(table), objects_in(table, TEN)) == ({"a": 2, "b": 1}, {"x": 1})
    assert version_of(table) == 3


def test_rows_of_another_partition_are_refused(table: LakeTable) -> None:
    with pytest.raises(ValueError, match="do not belong into"):
        append_rows(table, NINE, lambda there: flows(TEN, a=1))


def test_what_another_writer_appended_meanwhile_is_not_ours(table: LakeTable, commits: Commits) -> None:
    commits.suffer = [meanwhile(lambda: append_rows(table, NINE, lacking(a=2)))]

    rows = append_rows(table, NINE, lacking(a=2))

    assert rows.is_empty()
    assert objects_in(table) == {"a": 2}


def test_what_another_writer_left_lacking_is_appended(table: LakeTable, commits: Commits) -> None:
    commits.suffer = [meanwhile(lambda: append_rows(table, NINE, lacking(a=2)))]

    rows = append_rows(table, NINE, lacking(a=2, b=1))

    assert rows["source_object"].to_list() == ["b"]
    assert objects_in(table) == {"a": 2, "b": 1}


@pytest.mark.parametrize("error", ERRORS)
def test_a_lost_reply_doubles_nothing_and_the_rows_are_ours(
    table: LakeTable, commits: Commits, error: Exception
) -> None:
    commits.suffer = [lost_reply(error)]

    rows = append_rows(table, NINE, lacking(a=2))

    assert rows["source_object"].to_list() == ["a", "a"]
    assert objects_in(table) == {"a": 2}
    assert version_of(table) == 1


@pytest.mark.parametrize("error", ERRORS)
def test_a_commit_that_failed_is_tried_again_with_the_same_file(
    table: LakeTable, commits: Commits, error: Exception
) -> None:
    commits.suffer = [refused(error), refused(error)]

    append_rows(table, NINE, lacking(a=2))

    assert objects_in(table) == {"a": 2}
    assert files_lying(table) == 1


def test_a_lost_reply_doubles_nothing_although_the_rows_are_asked_for_again(table: LakeTable, commits: Commits) -> None:
    """A snapshot that was overtaken asks so: what it saw is older than the removal that is there."""
    commits.suffer = [lost_reply(TIMEOUT, then=lambda: append_rows(table, NINE, lacking(b=1)))]

    rows = append_rows(table, NINE, lambda there: flows(a=2))

    assert rows["source_object"].to_list() == ["a", "a"]
    assert objects_in(table) == {"a": 2, "b": 1}


def test_what_became_lacking_after_a_lost_reply_is_appended_too(table: LakeTable, commits: Commits) -> None:
    def new(there: pl.DataFrame) -> pl.DataFrame:
        return lacking(a=1, c=1)(there) if "b" in there["source_object"] else lacking(a=1)(there)

    commits.suffer = [lost_reply(TIMEOUT, then=lambda: append_rows(table, NINE, lacking(b=1)))]

    rows = append_rows(table, NINE, new)

    assert rows["source_object"].to_list() == ["a", "c"]
    assert objects_in(table) == {"a": 1, "b": 1, "c": 1}
