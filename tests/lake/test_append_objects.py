"""All rows of an object are appended, or none, and once, whatever happens to the commit."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake

from kentik_dagster.lake.staging import Staging
from kentik_dagster.lake.tables import LakeTable
from kentik_dagster.lake.writes import append_objects, append_staged, replace_partition
from tests.lake.faults import ERRORS, TIMEOUT, Commits, lost_reply, meanwhile, refused
from tests.lake.flows import NINE, TEN, files_lying, flows, objects_in, version_of


def test_all_rows_of_all_objects_are_appended_and_counted(table: LakeTable) -> None:
    counts = append_objects(table, NINE, flows(a=2, b=1))

    assert counts == {"a": 2, "b": 1}
    assert objects_in(table) == {"a": 2, "b": 1}
    assert sorted(table.read(NINE).select("source_object", "bytes").rows()) == [("a", 1), ("a", 2), ("b", 1)]


def test_a_second_call_adds_nothing(table: LakeTable) -> None:
    append_objects(table, NINE, flows(a=2, b=1))

    counts = append_objects(table, NINE, flows(a=2, b=1))

    assert counts == {"a": 2, "b": 1}
    assert objects_in(table) == {"a": 2, "b": 1}
    assert version_of(table) == files_lying(table) == 1


def test_only_objects_that_are_not_there_are_appended(table: LakeTable) -> None:
    append_objects(table, NINE, flows(a=2))

    counts = append_objects(table, NINE, flows(a=2, b=1, c=3))

    assert counts == {"a": 2, "b": 1, "c": 3}
    assert objects_in(table) == {"a": 2, "b": 1, "c": 3}


def test_an_object_of_which_others_wrote_a_part_is_left_alone_and_told(table: LakeTable) -> None:
    table.open()
    write_deltalake(table.uri, flows(a=1), mode="append", schema_mode="merge")

    counts = append_objects(table, NINE, flows(a=3, b=1))

    assert counts == {"a": 1, "b": 1}
    assert objects_in(table) == {"a": 1, "b": 1}


def test_an_object_of_the_same_name_in_another_partition_is_another_object(table: LakeTable) -> None:
    append_objects(table, TEN, flows(TEN, a=1))

    counts = append_objects(table, NINE, flows(a=2))

    assert counts == {"a": 2}
    assert (objects_in(table), objects_in(table, TEN)) == ({"a": 2}, {"a": 1})


def test_no_rows_are_no_commit(table: LakeTable) -> None:
    assert append_objects(table, NINE, flows()) == {}
    assert not Path(table.uri).exists()


def test_the_order_in_which_a_partition_is_named_does_not_matter(table: LakeTable, commits: Commits) -> None:
    backwards = dict(reversed(NINE.items()))
    commits.suffer = [meanwhile(lambda: append_objects(table, backwards, flows(a=2)))]

    append_objects(table, NINE, flows(a=2))

    assert objects_in(table) == {"a": 2}


def test_rows_of_another_partition_are_refused(table: LakeTable) -> None:
    with pytest.raises(ValueError, match="do not belong into"):
        append_objects(table, NINE, flows(TEN, a=1))

    assert objects_in(table, TEN) == {}


def test_rows_without_an_object_are_refused(table: LakeTable) -> None:
    rows = pl.concat([flows(a=1), flows(b=1).with_columns(source_object=pl.lit(None, pl.String))])

    with pytest.raises(ValueError, match="rows without a source_object"):
        append_objects(table, NINE, rows)


@pytest.mark.parametrize("error", ERRORS)
def test_a_lost_reply_doubles_nothing(table: LakeTable, commits: Commits, error: Exception) -> None:
    commits.suffer = [lost_reply(error)]

    counts = append_objects(table, NINE, flows(a=2, b=1))

    assert counts == {"a": 2, "b": 1}
    assert objects_in(table) == {"a": 2, "b": 1}
    assert version_of(table) == 1


@pytest.mark.parametrize("error", ERRORS)
def test_a_commit_that_failed_is_tried_again_with_the_same_file(
    table: LakeTable, commits: Commits, error: Exception
) -> None:
    commits.suffer = [refused(error), refused(error)]

    append_objects(table, NINE, flows(a=2))

    assert objects_in(table) == {"a": 2}
    assert files_lying(table) == 1


def test_what_another_writer_appended_meanwhile_is_not_appended_again(table: LakeTable, commits: Commits) -> None:
    commits.suffer = [meanwhile(lambda: append_objects(table, NINE, flows(a=2)))]

    counts = append_objects(table, NINE, flows(a=2, b=1))

    assert counts == {"a": 2, "b": 1}
    assert objects_in(table) == {"a": 2, "b": 1}


def test_what_another_writer_appended_after_a_lost_reply_stays(table: LakeTable, commits: Commits) -> None:
    commits.suffer = [lost_reply(TIMEOUT, then=lambda: append_objects(table, NINE, flows(a=2, c=1)))]

    counts = append_objects(table, NINE, flows(a=2, b=1))

    assert counts == {"a": 2, "b": 1}
    assert objects_in(table) == {"a": 2, "b": 1, "c": 1}


def test_what_was_replaced_away_after_a_lost_reply_is_appended_once_more(table: LakeTable, commits: Commits) -> None:
    commits.suffer = [lost_reply(TIMEOUT, then=lambda: replace_partition(table, NINE, lambda: [flows(b=1)]))]

    append_objects(table, NINE, flows(a=2))

    assert objects_in(table) == {"a": 2, "b": 1}


def test_the_counts_are_those_of_the_last_look(table: LakeTable, commits: Commits) -> None:
    append_objects(table, NINE, flows(a=1))
    commits.suffer = [meanwhile(lambda: replace_partition(table, NINE, lambda: [flows(c=1)]))]

    counts = append_objects(table, NINE, flows(a=3, b=1))

    assert counts == {"a": 3, "b": 1}
    assert objects_in(table) == {"a": 3, "b": 1, "c": 1}


@pytest.mark.parametrize("file_bytes", [1, 8 * 1024 * 1024], ids=["a file each", "one file"])
def test_frames_with_categories_of_their_own_are_appended_as_text(table: LakeTable, file_bytes: int) -> None:
    staging = Staging(table, NINE, file_bytes=file_bytes)
    for address, rows in (("10.0.0.1", flows(a=2)), ("10.0.0.2", flows(b=3))):
        addresses = pl.lit(address).cast(pl.Categorical(pl.Categories.random()))
        staging.add(rows.with_columns(srcaddr=addresses))

    append_staged(staging)

    there = table.read(NINE).group_by("source_object", "srcaddr").len()
    assert sorted(there.rows()) == [("a", "10.0.0.1", 2), ("b", "10.0.0.2", 3)]
