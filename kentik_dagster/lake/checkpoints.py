"""Checkpoints: one file that says what the log's entries up to a version said, so that opening a table stays cheap.

Every commit that no checkpoint covers is read again by every open (docs/upkeep.md has the figures). A checkpoint
is no part of a commit: it may fail, or be made twice, without any row changing.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from deltalake._internal import DeltaFileSystemHandler
from deltalake.exceptions import DeltaError

from kentik_dagster.errors import LakeError
from kentik_dagster.lake.durability import fsync, is_local
from kentik_dagster.lake.snapshots import Snapshot
from kentik_dagster.lake.tables import LakeTable

# A table is opened by every commit and every query; one checkpoint costs about as much as a few opens.
CHECKPOINT_COMMITS = 50
# On S3 an open asks twice for every commit that no checkpoint covers, and a tick of a sensor opens five tables.
CHECKPOINT_COMMITS_ON_S3 = 10
# delta-rs tries a commit again at most 15 times, so it becomes one of the 16 versions after the one that was read.
_FURTHEST_COMMIT = 16
_POINTER = "_delta_log/_last_checkpoint"


def checkpointed_version(table: LakeTable) -> int | None:
    """The version of the table's last checkpoint; None if there is none, or what points to it cannot be read."""
    try:
        pointer = DeltaFileSystemHandler(table.uri, dict(table.storage_options)).open_input_file(_POINTER)
        return int(json.loads(bytes(pointer.read(pointer.size())))["version"])
    except (OSError, DeltaError, ValueError, KeyError, TypeError):
        return None


def commits_since_checkpoint(table: LakeTable, snapshot: Snapshot) -> int:
    """How many commits every open reads one by one."""
    checkpointed = checkpointed_version(table)
    return max(0, snapshot.version - (-1 if checkpointed is None else checkpointed))


def make_checkpoint(table: LakeTable) -> int:
    """Make a checkpoint of the table as it is now, durably; returns its version.

    Raises:
        LakeError: the storage refused or failed; the table is as it was.
    """
    snapshot = table.open()
    try:
        snapshot.handle.create_checkpoint()
        if is_local(table.uri):
            # An empty checkpoint after a power loss makes a table unreadable.
            log = Path(table.uri) / "_delta_log"
            for entry in (*log.glob(f"{snapshot.version:020d}.checkpoint*"), Path(table.uri) / _POINTER, log):
                with suppress(FileNotFoundError):  # a newer one may have replaced it
                    fsync(entry)
    except (DeltaError, OSError) as error:
        raise LakeError(table.uri, "make a checkpoint of", error) from error
    return snapshot.version


def checkpoint_after_commit(table: LakeTable, read: Snapshot) -> None:
    """Make a checkpoint if the commit that was made through this snapshot passed a multiple of so many commits.

    A failure is nobody's: the commit has taken effect, and the next multiple or `upkeep` makes up for it.
    """
    commits = CHECKPOINT_COMMITS if is_local(table.uri) else CHECKPOINT_COMMITS_ON_S3
    if (read.version + _FURTHEST_COMMIT) // commits == read.version // commits:
        return
    with suppress(LakeError, DeltaError, OSError):
        read.handle.update_incremental()  # it does not know which version its commit became
        if read.version // commits * commits > (checkpointed_version(table) or 0):
            make_checkpoint(table)
