"""The four ways to write: each may be repeated, interrupted and raced, and the rows are what they should be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake

from kentik_dagster.core.schemas import polars_schema
from kentik_dagster.lake.tables import Lake, LakeTable
from kentik_dagster.lake.writes import append_objects, append_rows, merge_partition, replace_partition
from tests.lake.faults import ERRORS, Commits, fail_at_random, lost_reply, meanwhile, refused
from tests.lake.flows import NINE, TEN, flows, objects_in, version_of
from tests.lake.writer import records_of, released, writers

TIMEOUT = ERRORS[-1]


@pytest.fixture
def table(lake: Lake) -> LakeTable:
    return lake["flow_logs"]


def with_objects(**objects: int) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """What is there, and the objects that are lacking."""

    def merged(there: pl.DataFrame) -> pl.DataFrame:
        columns = flows().columns
        return pl.concat([there.select(columns), lacking(**objects)(there)])

    return merged


def lacking(**objects: int) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """The rows of the objects of which there are none."""
    return lambda there: flows(**objects).filter(~pl.col("source_object").is_in(there["source_object"].implode()))


def upside_down(there: pl.DataFrame) -> pl.DataFrame:
    """The same rows in another order."""
    return there.sort("bytes", descending=True)


def files_lying(table: LakeTable) -> int:
    """Files that were written for nine o'clock, named by a commit or not."""
    return len(list(Path(table.uri).glob("export=acme/hour=2026-11-23T09/*")))


class TestAppendObjects:
    def test_all_rows_of_all_objects_are_appended_and_counted(self, table: LakeTable) -> None:
        counts = append_objects(table, NINE, flows(a=2, b=1))

        assert counts == {"a": 2, "b": 1}
        assert objects_in(table) == {"a": 2, "b": 1}
        assert sorted(table.read(NINE).select("source_object", "bytes").rows()) == [("a", 1), ("a", 2), ("b", 1)]

    def test_a_second_call_adds_nothing(self, table: LakeTable) -> None:
        append_objects(table, NINE, flows(a=2, b=1))

        counts = append_objects(table, NINE, flows(a=2, b=1))

        assert counts == {"a": 2, "b": 1}
        assert objects_in(table) == {"a": 2, "b": 1}
        assert version_of(table) == files_lying(table) == 1

    def test_only_objects_that_are_not_there_are_appended(self, table: LakeTable) -> None:
        append_objects(table, NINE, flows(a=2))

        counts = append_objects(table, NINE, flows(a=2, b=1, c=3))

        assert counts == {"a": 2, "b": 1, "c": 3}
        assert objects_in(table) == {"a": 2, "b": 1, "c": 3}

    def test_an_object_of_which_others_wrote_a_part_is_left_alone_and_told(self, table: LakeTable) -> None:
        table.open()
        write_deltalake(table.uri, flows(a=1), mode="append", schema_mode="merge")

        counts = append_objects(table, NINE, flows(a=3, b=1))

        assert counts == {"a": 1, "b": 1}
        assert objects_in(table) == {"a": 1, "b": 1}

    def test_an_object_of_the_same_name_in_another_partition_is_another_object(self, table: LakeTable) -> None:
        append_objects(table, TEN, flows(TEN, a=1))

        counts = append_objects(table, NINE, flows(a=2))

        assert counts == {"a": 2}
        assert (objects_in(table), objects_in(table, TEN)) == ({"a": 2}, {"a": 1})

    def test_no_rows_are_no_commit(self, table: LakeTable) -> None:
        assert append_objects(table, NINE, flows()) == {}
        assert not Path(table.uri).exists()

    def test_the_order_in_which_a_partition_is_named_does_not_matter(self, table: LakeTable, commits: Commits) -> None:
        backwards = dict(reversed(NINE.items()))
        commits.suffer = [meanwhile(lambda: append_objects(table, backwards, flows(a=2)))]

        append_objects(table, NINE, flows(a=2))

        assert objects_in(table) == {"a": 2}

    def test_rows_of_another_partition_are_refused(self, table: LakeTable) -> None:
        with pytest.raises(ValueError, match="do not belong into"):
            append_objects(table, NINE, flows(TEN, a=1))

        assert objects_in(table, TEN) == {}

    def test_rows_without_an_object_are_refused(self, table: LakeTable) -> None:
        rows = pl.concat([flows(a=1), flows(b=1).with_columns(source_object=pl.lit(None, pl.String))])

        with pytest.raises(ValueError, match="rows without a source_object"):
            append_objects(table, NINE, rows)

    @pytest.mark.parametrize("error", ERRORS)
    def test_a_lost_reply_doubles_nothing(self, table: LakeTable, commits: Commits, error: Exception) -> None:
        commits.suffer = [lost_reply(error)]

        counts = append_objects(table, NINE, flows(a=2, b=1))

        assert counts == {"a": 2, "b": 1}
        assert objects_in(table) == {"a": 2, "b": 1}
        assert version_of(table) == 1

    @pytest.mark.parametrize("error", ERRORS)
    def test_a_commit_that_failed_is_tried_again_with_the_same_file(
        self, table: LakeTable, commits: Commits, error: Exception
    ) -> None:
        commits.suffer = [refused(error), refused(error)]

        append_objects(table, NINE, flows(a=2))

        assert objects_in(table) == {"a": 2}
        assert files_lying(table) == 1

    def test_what_another_writer_appended_meanwhile_is_not_appended_again(
        self, table: LakeTable, commits: Commits
    ) -> None:
        commits.suffer = [meanwhile(lambda: append_objects(table, NINE, flows(a=2)))]

        counts = append_objects(table, NINE, flows(a=2, b=1))

        assert counts == {"a": 2, "b": 1}
        assert objects_in(table) == {"a": 2, "b": 1}

    def test_what_another_writer_appended_after_a_lost_reply_stays(self, table: LakeTable, commits: Commits) -> None:
        commits.suffer = [lost_reply(TIMEOUT, then=lambda: append_objects(table, NINE, flows(a=2, c=1)))]

        counts = append_objects(table, NINE, flows(a=2, b=1))

        assert counts == {"a": 2, "b": 1}
        assert objects_in(table) == {"a": 2, "b": 1, "c": 1}

    def test_what_was_replaced_away_after_a_lost_reply_is_appended_once_more(
        self, table: LakeTable, commits: Commits
    ) -> None:
        commits.suffer = [lost_reply(TIMEOUT, then=lambda: replace_partition(table, NINE, lambda: [flows(b=1)]))]

        append_objects(table, NINE, flows(a=2))

        assert objects_in(table) == {"a": 2, "b": 1}

    def test_the_counts_are_those_of_the_last_look(self, table: LakeTable, commits: Commits) -> None:
        append_objects(table, NINE, flows(a=1))
        commits.suffer = [meanwhile(lambda: replace_partition(table, NINE, lambda: [flows(c=1)]))]

        counts = append_objects(table, NINE, flows(a=3, b=1))

        assert counts == {"a": 3, "b": 1}
        assert objects_in(table) == {"a": 3, "b": 1, "c": 1}


class TestMergePartition:
    def test_the_partition_becomes_what_is_made_of_it(self, table: LakeTable) -> None:
        append_objects(table, NINE, flows(a=1))
        append_objects(table, TEN, flows(TEN, x=1))

        rows = merge_partition(
            table, NINE, lambda there: pl.concat([there.filter(bytes=2), flows(b=2)], how="diagonal")
        )

        assert sorted(rows.select("source_object", "bytes").rows()) == [("b", 1), ("b", 2)]
        assert rows.schema == polars_schema(table.table)
        assert (objects_in(table), objects_in(table, TEN)) == ({"b": 2}, {"x": 1})

    def test_nothing_is_written_where_nothing_changes(self, table: LakeTable) -> None:
        merge_partition(table, NINE, with_objects(a=2, b=1))

        for merged in (with_objects(a=2), with_objects(b=1), lambda there: there, upside_down):
            rows = merge_partition(table, NINE, merged)

            assert rows.height == 3
        assert version_of(table) == files_lying(table) == 1

    def test_nothing_is_written_where_only_the_order_of_rows_that_differ_in_a_map_changes(self, lake: Lake) -> None:
        series = lake["metric_series"]
        schema = {name: polars_schema(series.table)[name] for name in ("hour", "dimensions", "value")}
        dimensions = [{"InstanceId": "i-1"}, {"InstanceId": "i-2"}, None]
        idle = pl.DataFrame(
            {"hour": ["2026-11-23T09"] * 3, "dimensions": dimensions, "value": [0.0] * 3}, schema=schema
        )
        merge_partition(series, {"hour": "2026-11-23T09"}, lambda there: idle)

        merge_partition(series, {"hour": "2026-11-23T09"}, lambda there: idle.reverse())

        assert version_of(series) == 1

    def test_a_row_that_differs_only_in_a_map_is_a_change(self, lake: Lake) -> None:
        changes, account = lake["metadata_changes"], {"account_id": "111122223333"}
        schema = {name: polars_schema(changes.table)[name] for name in ("account_id", "tags")}

        def tagged(name: str) -> pl.DataFrame:
            return pl.DataFrame({**account, "tags": [{"Name": name}]}, schema=schema)

        merge_partition(changes, account, lambda there: tagged("web"))
        merge_partition(changes, account, lambda there: tagged("db"))

        assert changes.read(account)["tags"].to_list() == [{"Name": "db"}]

    def test_a_partition_may_become_empty_and_stay_so(self, table: LakeTable) -> None:
        append_objects(table, NINE, flows(a=1))

        for _ in range(2):
            assert merge_partition(table, NINE, lambda there: there.clear()).is_empty()

        assert objects_in(table) == {}
        assert version_of(table) == 2

    def test_nothing_becomes_nothing_without_a_commit(self, table: LakeTable) -> None:
        merge_partition(table, NINE, lambda there: there)

        assert version_of(table) == 0

    def test_rows_of_another_partition_are_refused(self, table: LakeTable) -> None:
        with pytest.raises(ValueError, match="do not belong into"):
            merge_partition(table, NINE, lambda there: flows(TEN, a=1))

    def test_what_another_writer_merged_meanwhile_is_merged_too(self, table: LakeTable, commits: Commits) -> None:
        append_objects(table, NINE, flows(x=1))
        commits.suffer = [meanwhile(lambda: merge_partition(table, NINE, with_objects(a=1)))]

        rows = merge_partition(table, NINE, with_objects(b=2))

        assert rows.height == 4
        assert objects_in(table) == {"x": 1, "a": 1, "b": 2}

    @pytest.mark.parametrize("error", ERRORS)
    def test_a_lost_reply_is_no_second_commit(self, table: LakeTable, commits: Commits, error: Exception) -> None:
        commits.suffer = [lost_reply(error)]

        rows = merge_partition(table, NINE, with_objects(a=2))

        assert rows.height == 2
        assert objects_in(table) == {"a": 2}
        assert version_of(table) == 1

    @pytest.mark.parametrize("error", ERRORS)
    def test_a_commit_that_failed_is_tried_again_with_the_same_file(
        self, table: LakeTable, commits: Commits, error: Exception
    ) -> None:
        append_objects(table, NINE, flows(a=1))
        commits.suffer = [refused(error)]

        merge_partition(table, NINE, with_objects(b=1))

        assert objects_in(table) == {"a": 1, "b": 1}
        assert files_lying(table) == 2

    def test_what_another_writer_merged_after_a_lost_reply_stays(self, table: LakeTable, commits: Commits) -> None:
        commits.suffer = [lost_reply(TIMEOUT, then=lambda: merge_partition(table, NINE, with_objects(b=1)))]

        rows = merge_partition(table, NINE, with_objects(a=2))

        assert rows.height == 3
        assert objects_in(table) == {"a": 2, "b": 1}

    def test_a_merge_that_undoes_what_came_after_its_lost_reply_ends(self, table: LakeTable, commits: Commits) -> None:
        commits.suffer = [lost_reply(TIMEOUT, then=lambda: append_objects(table, NINE, flows(b=1)))]

        merge_partition(table, NINE, lambda there: flows(a=2))

        assert objects_in(table) == {"a": 2}
        assert commits.tried == 3  # ours, whose reply was lost; b; ours again, with a file of another name

    def test_a_merge_is_made_anew_of_a_partition_that_was_emptied(self, table: LakeTable, commits: Commits) -> None:
        commits.suffer = [
            meanwhile(lambda: append_objects(table, NINE, flows(b=1))),
            meanwhile(lambda: replace_partition(table, NINE, list)),
        ]

        rows = merge_partition(table, NINE, with_objects(a=2))

        assert rows["source_object"].to_list() == ["a", "a"]
        assert objects_in(table) == {"a": 2}


class TestReplacePartition:
    def test_only_its_partition_is_replaced_by_a_file_of_each_frame(self, table: LakeTable) -> None:
        append_objects(table, NINE, flows(a=1))
        append_objects(table, NINE, flows(b=1))
        append_objects(table, TEN, flows(TEN, x=1))

        rows = replace_partition(table, NINE, lambda: iter([flows(c=2), flows(), flows(d=1)]))

        assert rows == 3
        assert (objects_in(table), objects_in(table, TEN)) == ({"c": 2, "d": 1}, {"x": 1})
        assert table.open().files_of(NINE).height == 2

    def test_a_second_call_leaves_the_same_rows(self, table: LakeTable) -> None:
        for _ in range(2):
            assert replace_partition(table, NINE, lambda: [flows(a=2)]) == 2

        assert objects_in(table) == {"a": 2}

    def test_a_partition_may_become_empty_and_stay_so(self, table: LakeTable) -> None:
        append_objects(table, NINE, flows(a=1))

        for _ in range(2):
            assert replace_partition(table, NINE, list) == 0

        assert objects_in(table) == {}
        assert version_of(table) == 2

    def test_frames_that_fail_leave_what_was_there(self, table: LakeTable) -> None:
        append_objects(table, NINE, flows(a=1))

        def frames() -> Iterator[pl.DataFrame]:
            yield flows(b=1)
            raise RuntimeError("the source is gone")

        with pytest.raises(RuntimeError, match="the source is gone"):
            replace_partition(table, NINE, frames)

        assert objects_in(table) == {"a": 1}

    def test_rows_of_another_partition_are_refused(self, table: LakeTable) -> None:
        append_objects(table, TEN, flows(TEN, x=1))

        with pytest.raises(ValueError, match="do not belong into"):
            replace_partition(table, NINE, lambda: [flows(TEN, a=1)])

        assert objects_in(table, TEN) == {"x": 1}

    def test_it_is_made_anew_after_another_writer_changed_the_partition(
        self, table: LakeTable, commits: Commits
    ) -> None:
        source = {"a": 1}

        def another_writer() -> None:
            source.update(b=2)
            append_objects(table, NINE, flows(b=2))

        commits.suffer = [meanwhile(another_writer)]

        rows = replace_partition(table, NINE, lambda: [flows(**source)])

        assert rows == 3
        assert objects_in(table) == {"a": 1, "b": 2}

    def test_it_is_not_made_anew_after_another_partition_was_replaced(self, table: LakeTable, commits: Commits) -> None:
        append_objects(table, TEN, flows(TEN, x=1))
        commits.suffer = [meanwhile(lambda: replace_partition(table, TEN, lambda: [flows(TEN, y=1)]))]

        replace_partition(table, NINE, lambda: [flows(a=1)])

        assert (objects_in(table), objects_in(table, TEN)) == ({"a": 1}, {"y": 1})
        assert files_lying(table) == 1

    @pytest.mark.parametrize("error", ERRORS)
    def test_a_lost_reply_is_no_second_commit(self, table: LakeTable, commits: Commits, error: Exception) -> None:
        append_objects(table, NINE, flows(a=1))
        commits.suffer = [lost_reply(error)]

        rows = replace_partition(table, NINE, lambda: [flows(b=1), flows(c=1)])

        assert rows == 2
        assert objects_in(table) == {"b": 1, "c": 1}
        assert (version_of(table), files_lying(table)) == (2, 3)

    def test_a_lost_reply_to_an_emptying_is_no_second_commit(self, table: LakeTable, commits: Commits) -> None:
        append_objects(table, NINE, flows(a=1))
        commits.suffer = [lost_reply(TIMEOUT)]

        assert replace_partition(table, NINE, list) == 0

        assert objects_in(table) == {}
        assert version_of(table) == 2

    @pytest.mark.parametrize("error", ERRORS)
    def test_a_commit_that_failed_is_tried_again_with_the_same_files(
        self, table: LakeTable, commits: Commits, error: Exception
    ) -> None:
        commits.suffer = [refused(error), refused(error)]

        replace_partition(table, NINE, lambda: [flows(a=1), flows(b=1)])

        assert objects_in(table) == {"a": 1, "b": 1}
        assert files_lying(table) == 2

    def test_what_another_writer_appended_after_a_lost_reply_is_seen(self, table: LakeTable, commits: Commits) -> None:
        source = {"a": 1}

        def another_writer() -> None:
            source.update(b=2)
            append_objects(table, NINE, flows(b=2))

        commits.suffer = [lost_reply(TIMEOUT, then=another_writer)]

        rows = replace_partition(table, NINE, lambda: [flows(**source)])

        assert rows == 3
        assert objects_in(table) == {"a": 1, "b": 2}

    def test_of_two_at_a_time_one_is_left(self, table: LakeTable, commits: Commits) -> None:
        commits.suffer = [meanwhile(lambda: replace_partition(table, NINE, lambda: [flows(a=1)]))]

        replace_partition(table, NINE, lambda: [flows(b=1)])

        assert objects_in(table) == {"b": 1}


class TestAppendRows:
    def test_what_is_lacking_is_appended_and_nothing_else(self, table: LakeTable) -> None:
        append_objects(table, TEN, flows(TEN, x=1))

        first = append_rows(table, NINE, lacking(a=2))
        second = append_rows(table, NINE, lacking(a=2, b=1))
        third = append_rows(table, NINE, lacking(a=2, b=1))

        assert [rows["source_object"].to_list() for rows in (first, second, third)] == [["a", "a"], ["b"], []]
        assert (objects_in(table), objects_in(table, TEN)) == ({"a": 2, "b": 1}, {"x": 1})
        assert version_of(table) == 3

    def test_rows_of_another_partition_are_refused(self, table: LakeTable) -> None:
        with pytest.raises(ValueError, match="do not belong into"):
            append_rows(table, NINE, lambda there: flows(TEN, a=1))

    def test_what_another_writer_appended_meanwhile_is_not_ours(self, table: LakeTable, commits: Commits) -> None:
        commits.suffer = [meanwhile(lambda: append_rows(table, NINE, lacking(a=2)))]

        rows = append_rows(table, NINE, lacking(a=2))

        assert rows.is_empty()
        assert objects_in(table) == {"a": 2}

    def test_what_another_writer_left_lacking_is_appended(self, table: LakeTable, commits: Commits) -> None:
        commits.suffer = [meanwhile(lambda: append_rows(table, NINE, lacking(a=2)))]

        rows = append_rows(table, NINE, lacking(a=2, b=1))

        assert rows["source_object"].to_list() == ["b"]
        assert objects_in(table) == {"a": 2, "b": 1}

    @pytest.mark.parametrize("error", ERRORS)
    def test_a_lost_reply_doubles_nothing_and_the_rows_are_ours(
        self, table: LakeTable, commits: Commits, error: Exception
    ) -> None:
        commits.suffer = [lost_reply(error)]

        rows = append_rows(table, NINE, lacking(a=2))

        assert rows["source_object"].to_list() == ["a", "a"]
        assert objects_in(table) == {"a": 2}
        assert version_of(table) == 1

    @pytest.mark.parametrize("error", ERRORS)
    def test_a_commit_that_failed_is_tried_again_with_the_same_file(
        self, table: LakeTable, commits: Commits, error: Exception
    ) -> None:
        commits.suffer = [refused(error), refused(error)]

        append_rows(table, NINE, lacking(a=2))

        assert objects_in(table) == {"a": 2}
        assert files_lying(table) == 1

    def test_a_lost_reply_doubles_nothing_although_the_rows_are_asked_for_again(
        self, table: LakeTable, commits: Commits
    ) -> None:
        """A snapshot that was overtaken asks so: what it saw is older than the removal that is there."""
        commits.suffer = [lost_reply(TIMEOUT, then=lambda: append_rows(table, NINE, lacking(b=1)))]

        rows = append_rows(table, NINE, lambda there: flows(a=2))

        assert rows["source_object"].to_list() == ["a", "a"]
        assert objects_in(table) == {"a": 2, "b": 1}

    def test_what_became_lacking_after_a_lost_reply_is_appended_too(self, table: LakeTable, commits: Commits) -> None:
        def new(there: pl.DataFrame) -> pl.DataFrame:
            return lacking(a=1, c=1)(there) if "b" in there["source_object"] else lacking(a=1)(there)

        commits.suffer = [lost_reply(TIMEOUT, then=lambda: append_rows(table, NINE, lacking(b=1)))]

        rows = append_rows(table, NINE, new)

        assert rows["source_object"].to_list() == ["a", "c"]
        assert objects_in(table) == {"a": 1, "b": 1, "c": 1}


def at_once(*calls: Callable[[], object]) -> None:
    """Make all calls, each in a thread of its own."""
    with ThreadPoolExecutor(len(calls)) as threads:
        for done in [threads.submit(call) for call in calls]:
            done.result()


class TestAtOnce:
    def test_threads_append_the_same_objects_once(self, table: LakeTable) -> None:
        at_once(*[partial(append_objects, table, NINE, flows(a=2, b=1))] * 4)

        assert objects_in(table) == {"a": 2, "b": 1}

    def test_threads_append_overlapping_objects_once(self, table: LakeTable) -> None:
        names = "abcdefgh"

        at_once(*(partial(append_objects, table, NINE, flows(**{a: 1, b: 1, "i": 1})) for a, b in pairwise(names)))

        assert objects_in(table) == dict.fromkeys("abcdefghi", 1)

    def test_threads_write_to_partitions_of_their_own(self, table: LakeTable) -> None:
        hours = [{"export": "acme", "hour": f"2026-11-23T{hour:02}"} for hour in range(4)]

        at_once(
            *(partial(append_objects, table, hour, flows(hour, a=1)) for hour in hours),
            *(partial(merge_partition, table, hour, lambda there: there) for hour in hours),
        )

        assert [objects_in(table, hour) for hour in hours] == [{"a": 1}] * 4

    def test_threads_merge_what_each_of_them_knows(self, table: LakeTable) -> None:
        append_objects(table, NINE, flows(x=1))

        at_once(*(partial(merge_partition, table, NINE, with_objects(**{name: 1})) for name in "abcdef"))

        assert objects_in(table) == dict.fromkeys("xabcdef", 1)

    def test_threads_append_the_same_lacking_rows_once_and_one_of_them_says_so(self, table: LakeTable) -> None:
        appended: list[pl.DataFrame] = []

        at_once(*[lambda: appended.append(append_rows(table, NINE, lacking(a=2)))] * 4)

        assert objects_in(table) == {"a": 2}
        assert sorted(rows.height for rows in appended) == [0, 0, 0, 2]

    def test_a_rebuild_among_appends_loses_nothing(self, lake: Lake) -> None:
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
        self, lake: Lake, monkeypatch: pytest.MonkeyPatch, seed: int
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
    def test_processes_append_to_the_same_and_to_other_partitions(self, lake: Lake) -> None:
        hours = [NINE["hour"], NINE["hour"], TEN["hour"]]
        appends = [["append", lake.root, hour, str(seed), "12", "{}"] for seed, hour in enumerate(hours)]

        with writers(appends) as processes:
            released(processes)

        assert objects_in(lake["flow_logs"], NINE) == objects_in(lake["flow_logs"], TEN) == records_of(12)
