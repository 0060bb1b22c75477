"""Canaries: what deltalake 1.6.6 does, not what we do; each says what follows once it fails after an upgrade."""

from __future__ import annotations

import pytest
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError

from kentik_dagster.lake.files import StagedFile
from kentik_dagster.lake.staging import stage_rows
from kentik_dagster.lake.tables import LakeTable
from kentik_dagster.lake.writes import append_objects
from tests.lake.flows import NINE, flows, objects_in


def commit_with_lock(handle: DeltaTable, lock: str, file: StagedFile) -> None:
    handle.create_write_transaction(
        [file.add_action()],
        "append",
        handle.schema(),
        ["export", "hour"],
        commit_properties=CommitProperties(app_transactions=[Transaction(lock, 1, 0)]),
    )


def test_of_two_stale_handles_with_the_same_lock_the_second_is_refused(table: LakeTable) -> None:
    """Everything rests on this. If it fails, do not upgrade: rows will double."""
    first, second = table.open().handle, table.open().handle
    commit_with_lock(first, "lock/acme/2026-11-23T09", stage_rows(table, NINE, flows(a=1)))

    with pytest.raises(CommitFailedError, match="Concurrent transaction failed"):
        commit_with_lock(second, "lock/acme/2026-11-23T09", stage_rows(table, NINE, flows(a=1)))

    assert objects_in(table) == {"a": 1}


def test_two_overlapping_optimizations_double_the_rows(table: LakeTable) -> None:
    """Why `compact` is ours, and `optimize` is banned.

    If this fails because the second one is refused, the ban can be lifted for compactions alone: it still takes no
    lock. Then remove this test, and say so in commits.py, compaction.py and docs/upkeep.md.
    """
    append_objects(table, NINE, flows(a=1))
    append_objects(table, NINE, flows(b=1))
    first, second = DeltaTable(table.uri), DeltaTable(table.uri)

    first.optimize.compact()
    second.optimize.compact()

    assert objects_in(table) == {"a": 2, "b": 2}


def test_a_handle_does_not_know_the_version_that_its_commit_became(table: LakeTable) -> None:
    """If this fails, checkpoint_after_commit need not ask the storage for it."""
    snapshot = table.open()
    commit_with_lock(snapshot.handle, "lock/acme/2026-11-23T09", stage_rows(table, NINE, flows(a=1)))

    before = snapshot.version
    snapshot.handle.update_incremental()

    assert (before, snapshot.version) == (0, 1)


def test_vacuum_spares_a_file_that_is_about_to_be_committed(table: LakeTable) -> None:
    """If this fails, a full vacuum destroys batches that are being written: do not upgrade."""
    append_objects(table, NINE, flows(a=1))
    file = stage_rows(table, NINE, flows(b=1))
    DeltaTable(table.uri).vacuum(retention_hours=168, dry_run=False, full=True)

    commit_with_lock(table.open().handle, "lock/acme/2026-11-23T09", file)

    assert objects_in(table) == {"a": 1, "b": 1}
