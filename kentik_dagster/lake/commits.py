"""The one way in which anything is committed to the lake: under a lock, through the handle that was read.

`converge` opens the table, asks a plan what is left to do *as seen by that handle*, and commits that through
the same handle with the application transaction of the lock. delta-rs refuses the commit if any commit since
the handle's version carried the same lock, so what the plan saw is still so when its change takes effect.
Then the loop goes round: a plan that finds nothing left to do ends it.

Failure analysis (reference: delta.md §2.6, where 495 kills with 8 writers lost and doubled nothing):

- killed before the commit: staged files lie there, no commit names them, nothing is visible; a rerun starts anew;
- killed after the commit: a rerun's plan finds nothing left to do;
- two writers with the same work: both plan at version v, one commits, the other is refused, reopens, and its
  plan finds nothing left to do;
- a lost reply (timeout, 500, dropped connection): an exception never proves that nothing was committed, so it
  decides nothing; the next round's handle shows what is true;
- a commit to another partition that removed files: delta-rs refuses ours; the next round commits the same
  staged files, nothing is uploaded twice.

A writer that goes around this module voids all of it: `write_deltalake` with a URI reloads the table, so that
the lock sees nothing (doubled rows in every measured round), and `optimize.compact` of deltalake 1.6.6 takes
no lock and doubles rows when two of them overlap (`compact` in compaction.py is ours).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl
from deltalake import CommitProperties, PostCommitHookProperties, Transaction
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction, RemoveAction

from kentik_dagster.catalog.tables import Table
from kentik_dagster.errors import CommitContentionError, LakeError
from kentik_dagster.lake.checkpoints import checkpoint_after_commit
from kentik_dagster.lake.durability import is_local, sync_log
from kentik_dagster.lake.files import StagedFile
from kentik_dagster.lake.snapshots import Snapshot
from kentik_dagster.lake.tables import LakeTable
from kentik_dagster.lake.tries import is_refusal

ATTEMPTS = 40
_LONGEST_PAUSE_SECONDS = 5.0
# So many refusals in a row are no hiccup: whoever may not write may not write a minute later either.
_REFUSALS = 3
# Checkpoints and log clean-up are no part of a commit that must be quick and must not fail afterwards.
_NO_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)


@dataclass(frozen=True, slots=True)
class Change:
    """What one commit does.

    Attributes:
        add: staged files that become part of the table.
        remove: rows of `Snapshot.files` whose files cease to be part of it.
        data_change: False where the same rows only move to other files (compaction).
        marks: numbers that the table is to remember, by name; `Snapshot.handle.transaction_version` tells them.
    """

    add: Sequence[StagedFile] = ()
    remove: pl.DataFrame | None = None
    data_change: bool = True
    marks: Mapping[str, int] = field(default_factory=dict)


Plan = Callable[[Snapshot], Change | None]


def converge(table: LakeTable, lock: str | Sequence[str], plan: Plan, *, attempts: int = ATTEMPTS) -> None:
    """Commit what the plan asks for until it asks for nothing.

    Args:
        lock: what no two commits may change at once, such as "lock/acme-prod/2026-11-23T03"; several of them for a
            commit that changes as much. Every commit that touches the same rows must name the same lock.
        plan: says what is left to do as seen by a snapshot, or None. Called anew in every round; it must end
            in None once its change has taken effect, whoever made it.

    Raises:
        CommitContentionError: other writers, or failures, won every round.
        LakeError: the table cannot be opened, or the storage refuses to be written to.
    """
    locks = (lock,) if isinstance(lock, str) else tuple(lock)
    told = locks[0] if len(locks) == 1 else f"{locks[0]} and {len(locks) - 1} others"
    last: BaseException | None = None
    refusals = 0
    committed = False
    for attempt in range(attempts):
        if attempt > 0:
            time.sleep(random.uniform(0, min(_LONGEST_PAUSE_SECONDS, 0.05 * 2**attempt)))
        snapshot = table.open()
        change = plan(snapshot)
        if change is None:
            break
        try:
            _commit(snapshot, locks, change)
        except (DeltaError, OSError) as error:
            last = error
            refusals = refusals + 1 if is_refusal(error) else 0
            if refusals == _REFUSALS:
                raise _refused(table, told, error) from error
        else:
            committed = True
            break
    else:
        raise CommitContentionError(table.uri, told, attempts, last)
    # From the version that was read on: whoever committed that one may have been killed before this line.
    sync_log(table.uri, snapshot.version)
    if committed:
        checkpoint_after_commit(table, snapshot)


def partition_lock(table: Table, partition: Mapping[str, str]) -> str:
    """The lock of one partition: one name for it, in whatever order the mapping has its columns.

    Raises:
        ValueError: the mapping does not name the columns by which the table is partitioned.
    """
    if partition.keys() != set(table.partition_by):
        raise ValueError(
            f"{table.name} is partitioned by {list(table.partition_by)}, and {dict(partition)} names no partition of it"
        )
    return "/".join(("lock", *(partition[name] for name in table.partition_by)))


def _refused(table: LakeTable, lock: str, error: BaseException) -> LakeError:
    grant = (
        "Let the user that runs this write to that folder and the folders in it."
        if is_local(table.uri)
        else "Grant s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject and s3:DeleteObject on "
        f"{table.uri.removeprefix('s3://')}/*, to the credentials that this process finds."
    )
    return LakeError(
        table.uri, f"commit to '{lock}' of", f"the storage refused {_REFUSALS} times in a row: {error}\n{grant}"
    )


def _commit(snapshot: Snapshot, locks: Sequence[str], change: Change) -> None:
    now_ms = time.time_ns() // 1_000_000
    actions: list[AddAction | RemoveAction] = [
        staged.add_action(data_change=change.data_change) for staged in change.add
    ]
    if change.remove is not None:
        actions += [
            RemoveAction(
                path=row["path"],
                data_change=change.data_change,
                deletion_timestamp=now_ms,
                size=row["size_bytes"],
                partition_values={name: row[f"partition.{name}"] for name in snapshot.table.partition_by},
            )
            for row in change.remove.iter_rows(named=True)
        ]
    taken = {lock: (snapshot.handle.transaction_version(lock) or 0) + 1 for lock in locks}
    snapshot.handle.create_write_transaction(
        actions,
        "append",
        snapshot.handle.schema(),
        list(snapshot.table.partition_by),
        commit_properties=CommitProperties(
            app_transactions=[Transaction(name, number, now_ms) for name, number in {**taken, **change.marks}.items()]
        ),
        post_commithook_properties=_NO_HOOKS,
    )
