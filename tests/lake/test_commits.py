"""One lock, one winner: whatever else happens, a plan's change takes effect once.

Two of these tests are canaries: they say what deltalake 1.6.6 does, not what we do, and each says what
follows once it fails.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.errors import CommitContentionError, LakeError
from kentik_dagster.lake.commits import Change, converge, partition_lock
from kentik_dagster.lake.files import StagedFile, stage
from kentik_dagster.lake.snapshots import Snapshot
from kentik_dagster.lake.tables import Lake, LakeTable
from kentik_dagster.lake.writes import append_objects, replace_partition
from tests.lake.faults import ERRORS, Commits, lost_reply, meanwhile, refused
from tests.lake.flows import NINE, TEN, flows, objects_in, version_of

LOCK = partition_lock(TABLES["flow_logs"], NINE)


def staged(table: LakeTable, **objects: int) -> StagedFile:
    return stage(flows(NINE, **objects), table.table, table.uri, {}, written_at_ms=0)


def commit_with_lock(handle: DeltaTable, lock: str, file: StagedFile) -> None:
    handle.create_write_transaction(
        [file.add_action()],
        "append",
        handle.schema(),
        ["export", "hour"],
        commit_properties=CommitProperties(app_transactions=[Transaction(lock, 1, 0)]),
    )


def until_there(file: StagedFile, seen: list[int] | None = None) -> Callable[[Snapshot], Change | None]:
    """A plan that asks for a file until the table has it, and notes the versions that it saw."""

    def plan(snapshot: Snapshot) -> Change | None:
        if seen is not None:
            seen.append(snapshot.version)
        return None if file.path in snapshot.files["path"] else Change(add=[file])

    return plan


def test_canary_of_two_stale_handles_with_the_same_lock_the_second_is_refused(lake: Lake) -> None:
    """Everything rests on this. If it fails after an upgrade of deltalake, do not upgrade: rows will double."""
    table = lake["flow_logs"]
    first, second = table.open().handle, table.open().handle
    commit_with_lock(first, "lock/acme/2026-11-23T09", staged(table, a=1))

    with pytest.raises(CommitFailedError, match="Concurrent transaction failed"):
        commit_with_lock(second, "lock/acme/2026-11-23T09", staged(table, a=1))

    assert objects_in(table) == {"a": 1}


def test_canary_of_two_stale_handles_with_different_locks_both_commit(lake: Lake) -> None:
    """Why nobody may name the lock of a partition otherwise. If it fails, this is only a needless refusal."""
    table = lake["flow_logs"]
    first, second = table.open().handle, table.open().handle

    commit_with_lock(first, "lock/acme/2026-11-23T09", staged(table, a=1))
    commit_with_lock(second, "lock/2026-11-23T09/acme", staged(table, a=1))

    assert objects_in(table) == {"a": 2}


def test_a_change_takes_effect_and_is_not_asked_for_again(lake: Lake) -> None:
    table, seen = lake["flow_logs"], list[int]()
    file = staged(table, a=2)

    converge(table, LOCK, until_there(file, seen))
    converge(table, LOCK, until_there(file, seen))

    assert objects_in(table) == {"a": 2}
    assert seen == [0, 1]
    assert version_of(table) == 1


@pytest.mark.parametrize("error", ERRORS)
def test_a_lost_reply_is_no_second_commit(lake: Lake, commits: Commits, error: Exception) -> None:
    table, seen = lake["flow_logs"], list[int]()
    commits.suffer = [lost_reply(error)]

    converge(table, LOCK, until_there(staged(table, a=2), seen))

    assert objects_in(table) == {"a": 2}
    assert seen == [0, 1]
    assert commits.tried == 1


@pytest.mark.parametrize("error", ERRORS)
def test_a_commit_that_failed_before_it_took_effect_is_tried_again(
    lake: Lake, commits: Commits, error: Exception
) -> None:
    table, seen = lake["flow_logs"], list[int]()
    commits.suffer = [refused(error), refused(error)]

    converge(table, LOCK, until_there(staged(table, a=2), seen))

    assert objects_in(table) == {"a": 2}
    assert seen == [0, 0, 0]
    assert commits.tried == 3


def test_a_plan_is_asked_anew_after_another_writer_took_the_lock(lake: Lake, commits: Commits) -> None:
    table, seen = lake["flow_logs"], list[int]()
    ours, theirs = staged(table, a=1), staged(table, b=1)
    commits.suffer = [meanwhile(lambda: converge(table, LOCK, until_there(theirs)))]

    converge(table, LOCK, until_there(ours, seen))

    assert objects_in(table) == {"a": 1, "b": 1}
    assert seen == [0, 1]


def test_a_commit_goes_through_the_handle_that_was_read(lake: Lake) -> None:
    table, file = lake["flow_logs"], staged(lake["flow_logs"], a=2)

    def plan(snapshot: Snapshot) -> Change | None:
        there = snapshot.object_counts(NINE)
        append_objects(table, NINE, flows(a=2))  # what this plan has read is out of date before it answers
        return None if there else Change(add=[file])

    converge(table, LOCK, plan)

    assert objects_in(table) == {"a": 2}


def test_a_writer_of_another_partition_is_not_in_the_way(lake: Lake, commits: Commits) -> None:
    table, seen = lake["flow_logs"], list[int]()
    commits.suffer = [meanwhile(lambda: append_objects(table, TEN, flows(TEN, b=1)))]

    converge(table, LOCK, until_there(staged(table, a=1), seen))

    assert (objects_in(table), objects_in(table, TEN)) == ({"a": 1}, {"b": 1})
    assert seen == [0]


def test_files_are_not_written_again_after_another_partition_was_replaced(lake: Lake, commits: Commits) -> None:
    table = lake["flow_logs"]
    append_objects(table, TEN, flows(TEN, b=1))
    commits.suffer = [meanwhile(lambda: replace_partition(table, TEN, lambda: [flows(TEN, c=1)]))]

    append_objects(table, NINE, flows(a=1))

    assert (objects_in(table), objects_in(table, TEN)) == ({"a": 1}, {"c": 1})
    assert commits.tried == 4  # b, c, and a twice: delta-rs takes an append for a reader of the whole table
    assert len(list((Path(table.uri) / "export=acme" / "hour=2026-11-23T09").iterdir())) == 1


def test_a_writer_that_never_wins_gives_up_and_says_so(lake: Lake, commits: Commits) -> None:
    table = lake["flow_logs"]
    commits.suffer = [refused(error) for error in ERRORS]

    with pytest.raises(CommitContentionError) as caught:
        converge(table, LOCK, until_there(staged(table, a=1)), attempts=3)

    assert (caught.value.lock, caught.value.attempts) == ("lock/acme/2026-11-23T09", 3)
    assert str(caught.value).startswith(
        f"cannot commit to 'lock/acme/2026-11-23T09' of {table.uri}: "
        "3 attempts met other writers or failed; the last answer was: operation timed out"
    )
    assert objects_in(table) == {}


def test_a_mistake_in_a_plan_is_raised_at_once(lake: Lake, commits: Commits) -> None:
    def plan(snapshot: Snapshot) -> Change | None:
        raise KeyError("a mistake")

    with pytest.raises(KeyError, match="a mistake"):
        converge(lake["flow_logs"], LOCK, plan)

    assert commits.tried == 0


def test_a_lake_that_cannot_be_opened_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("a file where the lake should be")

    with pytest.raises(LakeError, match="cannot open"):
        append_objects(Lake(str(tmp_path / "lake"))["flow_logs"], NINE, flows(a=1))


def test_a_partition_has_one_lock_in_whatever_order_it_is_named() -> None:
    backwards = dict(reversed(NINE.items()))

    assert partition_lock(TABLES["flow_logs"], NINE) == "lock/acme/2026-11-23T09"
    assert partition_lock(TABLES["flow_logs"], backwards) == "lock/acme/2026-11-23T09"
    assert partition_lock(TABLES["org_accounts"], {}) == "lock"


@pytest.mark.parametrize("partition", [{}, {"export": "acme"}, {**NINE, "account_id": "111122223333"}])
def test_what_names_no_partition_has_no_lock(partition: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"flow_logs is partitioned by \['export', 'hour'\]"):
        partition_lock(TABLES["flow_logs"], partition)
