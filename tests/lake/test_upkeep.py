"""Upkeep: checkpoints, compaction of what is over, old hours removed, and nobody who reads or writes is disturbed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, PostCommitHookProperties
from deltalake.exceptions import DeltaError

from kentik_dagster.errors import LakeError
from kentik_dagster.lake.checkpoints import checkpointed_version, commits_since_checkpoint, make_checkpoint
from kentik_dagster.lake.commits import Change, converge
from kentik_dagster.lake.compaction import compact
from kentik_dagster.lake.snapshots import Snapshot
from kentik_dagster.lake.tables import Lake, LakeTable
from kentik_dagster.lake.upkeep import VACUUM_HOURS, Upkept, partitions_to_compact, remove_partition, upkeep
from kentik_dagster.lake.writes import append_objects, append_rows
from tests.lake.faults import Commits, meanwhile, refused
from tests.lake.flows import NINE, TEN, files_lying, flows, objects_in, version_of

HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def append_many(table: LakeTable, number: int, first: int = 0) -> None:
    for name in range(first, first + number):
        append_objects(table, NINE, flows(**{f"o{name}": 1}))


def commit_nothing(table: LakeTable, times: int) -> None:
    """Make a table that many versions older, quickly."""
    handle = table.open().handle
    for _ in range(times):
        handle.create_write_transaction(
            [], "append", handle.schema(), ["export", "hour"], post_commithook_properties=HOOKS
        )
        handle.update_incremental()


@pytest.fixture
def vacuums(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bool]]:
    """Hours of retention and fullness of each vacuum."""
    seen: list[tuple[int, bool]] = []
    vacuum: Callable[..., list[str]] = DeltaTable.vacuum

    def noted(handle: DeltaTable, retention_hours: int, **options: bool) -> list[str]:
        seen.append((retention_hours, options["full"]))
        return vacuum(handle, retention_hours, **options)

    monkeypatch.setattr(DeltaTable, "vacuum", noted)
    return seen


def log_of(table: LakeTable) -> Path:
    return Path(table.uri) / "_delta_log"


class TestCheckpoints:
    def test_the_commit_that_passes_a_multiple_of_fifty_makes_one(self, table: LakeTable) -> None:
        commit_nothing(table, 48)
        append_many(table, 1)
        before = checkpointed_version(table)

        append_many(table, 1, first=1)

        assert (before, checkpointed_version(table)) == (None, 50)
        assert commits_since_checkpoint(table, table.open()) == 0
        assert len(objects_in(table)) == 2

    def test_it_is_made_although_others_committed_between_reading_and_committing(
        self, table: LakeTable, commits: Commits
    ) -> None:
        commit_nothing(table, 47)
        commits.suffer = [meanwhile(lambda: commit_nothing(table, 5))]

        append_many(table, 1)

        assert checkpointed_version(table) == 53

    @pytest.mark.parametrize("error", [DeltaError("no checkpoint"), OSError("no checkpoint")])
    def test_a_checkpoint_that_fails_is_no_failure_of_the_commit(
        self, table: LakeTable, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        def fails(handle: DeltaTable) -> None:
            raise error

        commit_nothing(table, 49)
        monkeypatch.setattr(DeltaTable, "create_checkpoint", fails)

        append_many(table, 1)

        assert checkpointed_version(table) is None
        assert objects_in(table) == {"o0": 1}
        with pytest.raises(LakeError, match="make a checkpoint of"):
            make_checkpoint(table)

    def test_upkeep_makes_the_one_that_no_writer_made_and_names_the_commits(self, table: LakeTable) -> None:
        commit_nothing(table, 21)
        append_many(table, 1)

        done = upkeep(table, now=NOON)

        assert done.commits_since_checkpoint == 23
        assert commits_since_checkpoint(table, table.open()) == 0

    @pytest.mark.parametrize("pointer", ["", "{", "[]", '{"size": 1}'])
    def test_a_damaged_pointer_counts_as_no_checkpoint(self, table: LakeTable, pointer: str) -> None:
        append_many(table, 1)
        make_checkpoint(table)
        (log_of(table) / "_last_checkpoint").write_text(pointer)

        assert checkpointed_version(table) is None

    def test_the_runbook_for_a_corrupted_checkpoint_brings_every_row_back(self, table: LakeTable) -> None:
        append_many(table, 3)
        make_checkpoint(table)
        (checkpoint,) = log_of(table).glob("*.checkpoint.parquet")
        checkpoint.write_bytes(checkpoint.read_bytes()[:100])
        with pytest.raises(LakeError):
            table.open()

        checkpoint.unlink()
        (log_of(table) / "_last_checkpoint").unlink()

        assert len(objects_in(table)) == 3
        assert make_checkpoint(table) == 3


class TestRefusals:
    @pytest.mark.parametrize(
        "text",
        [
            "Generic S3 error: Client error with status 403 Forbidden: <Code>AccessDenied</Code>",
            "The operation lacked the necessary privileges to complete for path _delta_log/1.json",
            "Permission denied (os error 13)",
        ],
    )
    def test_a_storage_that_refuses_is_not_asked_forty_times(
        self, table: LakeTable, commits: Commits, text: str
    ) -> None:
        commits.suffer = [refused(OSError(text))] * 5

        with pytest.raises(LakeError, match=r"the storage refused 3 times in a row: .*\n.*write to that folder"):
            append_objects(table, NINE, flows(a=1))

        assert commits.tried == 3

    def test_for_s3_it_says_what_to_grant(self, commits: Commits, s3_lake: Lake) -> None:
        commits.suffer = [refused(OSError("403 Forbidden"))] * 3

        with pytest.raises(LakeError, match="Grant s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject"):
            append_objects(s3_lake["flow_logs"], NINE, flows(a=1))

    def test_refusals_with_another_failure_between_them_are_gone_over(self, table: LakeTable, commits: Commits) -> None:
        denied, failed = refused(OSError("Access Denied")), refused(OSError("operation timed out"))
        commits.suffer = [denied, denied, failed, denied, denied]

        append_objects(table, NINE, flows(a=1))

        assert objects_in(table) == {"a": 1}


class TestCompaction:
    def test_only_hours_that_are_over_for_two_hours_are_compacted(self, table: LakeTable) -> None:
        for hour in (NINE, TEN):
            for name in "ab":
                append_objects(table, hour, flows(hour, **{name: 1}))

        asked = {
            minutes: partitions_to_compact(table.open(), NOON + timedelta(minutes=minutes)) for minutes in (-1, 0, 60)
        }

        assert asked == {-1: [], 0: [NINE], 60: [TEN, NINE]}

    def test_a_damaged_hour_is_said_and_holds_up_neither_the_others_nor_the_vacuum(
        self, table: LakeTable, vacuums: list[tuple[int, bool]]
    ) -> None:
        for hour in (NINE, TEN):
            for name in "ab":
                append_objects(table, hour, flows(hour, **{name: 1}))
        damaged = table.open().files_of(TEN)["path"][0]
        Path(table.uri, damaged).write_bytes(b"no Parquet")

        with pytest.raises(LakeError, match="compact every partition"):
            upkeep(table, now=NOON + timedelta(hours=2))

        assert table.open().files_of(NINE).height == 1
        assert vacuums

    def test_what_does_not_fit_into_a_run_waits(self, table: LakeTable) -> None:
        for hour in (NINE, TEN):
            for name in "ab":
                append_objects(table, hour, flows(hour, **{name: 1}))

        first = upkeep(table, now=NOON + timedelta(hours=2), goes_on=lambda done: done < 1)
        second = upkeep(table, now=NOON + timedelta(hours=2), goes_on=lambda done: done < 1)

        assert (first.partitions_compacted, first.partitions_waiting) == (1, 1)
        assert (second.partitions_compacted, second.partitions_waiting) == (1, 0)
        assert (first.files_before, first.files_after, second.files_after) == (4, 3, 2)

    def test_a_partition_that_is_never_over_waits_for_twenty_files(self, lake: Lake) -> None:
        table = lake["metadata_changes"]
        account = {"account_id": "111122223333"}

        def change(number: int) -> pl.DataFrame:
            return pl.DataFrame({**account, "resource_id": f"vpc-{number}"})

        asked = []
        for number in range(20):
            append_rows_of(table, account, change(number))
            asked.append(partitions_to_compact(table.open(), NOON))

        assert asked == [[]] * 19 + [[account]]

    def test_progress_is_said(self, table: LakeTable) -> None:
        append_many(table, 2)
        said: list[str] = []

        upkeep(table, now=NOON, progress=said.append)

        assert said == ["flow_logs acme 2026-11-23T09: 2 files became 1, 2 rows (1 of 1)"]


def append_rows_of(table: LakeTable, partition: dict[str, str], rows: pl.DataFrame) -> None:
    append_rows(table, partition, lambda there: rows.join(there, on="resource_id", how="anti"))


class TestVacuum:
    def test_once_a_day_and_fully_once_a_week(self, table: LakeTable, vacuums: list[tuple[int, bool]]) -> None:
        append_many(table, 1)

        for hours in range(0, 8 * 24, 12):
            upkeep(table, now=datetime(2026, 11, 19, tzinfo=UTC) + timedelta(hours=hours))

        assert vacuums == [(168, True), *[(168, False)] * 6, (168, True)]

    def test_a_week_is_kept_for_readers(self) -> None:
        assert VACUUM_HOURS >= 7 * 24

    def test_an_open_reader_goes_on_reading(self, table: LakeTable) -> None:
        append_many(table, 3)
        reader = table.open()

        upkeep(table, now=NOON)

        assert reader.scan(NINE).collect().height == 3
        assert table.open().files.height == 1

    def test_a_file_that_no_commit_names_is_deleted_after_a_week(self, table: LakeTable) -> None:
        append_many(table, 1)
        (named,) = Path(table.uri).rglob("*.parquet")
        for name, days in (("old", 8), ("young", 6)):
            orphan = named.with_name(f"{name}.parquet")
            orphan.write_bytes(b"")
            then = (datetime.now(UTC) - timedelta(days=days)).timestamp()
            os.utime(orphan, (then, then))

        done = upkeep(table, now=NOON)

        assert done.files_vacuumed == 1
        assert (files_lying(table), named.with_name("young.parquet").exists()) == (2, True)


class TestRetention:
    def test_only_hours_before_the_first_that_is_kept_are_removed(self, table: LakeTable) -> None:
        for hour in (NINE, TEN):
            append_objects(table, hour, flows(hour, a=2))

        done = upkeep(table, now=NOON, removed_before="2026-11-23T10")

        assert done.partitions_removed == 1
        assert (objects_in(table, NINE), objects_in(table, TEN)) == ({}, {"a": 2})

    def test_rows_that_come_while_an_hour_is_removed_are_removed_with_it(
        self, table: LakeTable, commits: Commits
    ) -> None:
        append_objects(table, NINE, flows(a=2))
        commits.suffer = [meanwhile(lambda: append_objects(table, NINE, flows(b=1)))]

        remove_partition(table, NINE)

        assert objects_in(table) == {}

    def test_without_retention_everything_is_kept(self, table: LakeTable) -> None:
        append_many(table, 1)

        done = upkeep(table, now=NOON + timedelta(days=4000))

        assert done.partitions_removed == 0
        assert objects_in(table) == {"o0": 1}

    def test_readers_of_the_older_version_go_on(self, table: LakeTable) -> None:
        append_many(table, 2)
        reader = table.open()

        upkeep(table, now=NOON, removed_before="2026-11-23T10")

        assert reader.scan(NINE).collect().height == 2


def test_a_table_that_is_not_there_is_not_made(lake: Lake) -> None:
    done = upkeep(lake["flow_logs"], now=NOON)

    assert done == Upkept(table="flow_logs")
    assert not Path(lake["flow_logs"].uri).exists()


def test_a_second_upkeep_changes_nothing(table: LakeTable) -> None:
    append_many(table, 3)
    upkeep(table, now=NOON)
    version = version_of(table)

    upkeep(table, now=NOON)

    assert version_of(table) == version


def test_a_table_remembers_marks_beyond_a_checkpoint(table: LakeTable) -> None:
    def plan(snapshot: Snapshot) -> Change | None:
        return Change(marks={"upkeep/example": 7})

    converge(table, "upkeep", plan)
    make_checkpoint(table)

    assert table.open().handle.transaction_version("upkeep/example") == 7
    assert json.loads((log_of(table) / "_last_checkpoint").read_text())["version"] == 1


def test_compaction_of_an_hour_leaves_its_neighbours_alone(table: LakeTable) -> None:
    append_many(table, 2)
    for name in "ab":
        append_objects(table, TEN, flows(TEN, **{name: 1}))

    compact(table, NINE)

    assert [table.open().files_of(hour).height for hour in (NINE, TEN)] == [1, 2]
