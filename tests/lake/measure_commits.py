"""What commits without a checkpoint cost whoever opens the table.

    python -m tests.lake.measure_commits [commits ...]

Makes tables of small commits in a temporary folder, as ingest makes them, but without any checkpoint; times opening
one, and one more commit, and the same once a checkpoint is made. CPU seconds of this process, the least of five: the
checkpoint is made once. Prints the rows of the table in docs/upkeep.md. A thousand commits take some minutes.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable

from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction

from kentik_dagster.lake.checkpoints import make_checkpoint
from kentik_dagster.lake.staging import stage_rows
from kentik_dagster.lake.tables import Lake, LakeTable
from tests.lake.flows import flows

_REPEATS = 5
_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)


def table_with(root: str, commits: int) -> LakeTable:
    """A table of so many commits, each of one file, a day of them twelve for each hour."""
    table = Lake(root)["flow_logs"]
    handle = table.open().handle
    for number in range(commits):
        partition = {"export": "acme", "hour": f"2026-11-{number // 288 % 30 + 1:02}T{number // 12 % 24:02}"}
        commit(table, handle, partition, number)
        handle.update_incremental()
    return table


def commit(table: LakeTable, handle: DeltaTable, partition: dict[str, str], number: int) -> None:
    """Commit one file through a handle."""
    file = stage_rows(table, partition, flows(partition, **{f"object-{number}": 2}))
    handle.create_write_transaction(
        [file.add_action()],
        "append",
        handle.schema(),
        ["export", "hour"],
        commit_properties=CommitProperties(app_transactions=[Transaction(f"lock/{number // 12}", 1, 0)]),
        post_commithook_properties=_HOOKS,
    )


def milliseconds(action: Callable[[], object], repeats: int = _REPEATS) -> float:
    """CPU time of an action, the least of several."""
    times = []
    for _ in range(repeats):
        started = time.process_time()
        action()
        times.append(time.process_time() - started)
    return min(times) * 1000


def measure(commits: int) -> str:
    """A row of the table."""
    with tempfile.TemporaryDirectory() as root:
        table = table_with(root, commits)
        partition = {"export": "acme", "hour": "2026-12-01T00"}

        def one_more() -> None:
            commit(table, table.open().handle, partition, commits)

        figures = [milliseconds(table.open), milliseconds(one_more)]
        figures.append(milliseconds(lambda: make_checkpoint(table), repeats=1))
        figures += [milliseconds(table.open), milliseconds(one_more)]
        return f"| {commits:,} | " + " | ".join(f"{figure:,.0f}" for figure in figures) + " |"


if __name__ == "__main__":
    print("| commits | open, ms | open and commit, ms | checkpoint, ms | open after it | open and commit after it |")  # noqa: T201
    print("|---|---|---|---|---|---|")  # noqa: T201
    for number in [int(word) for word in sys.argv[1:]] or [10, 20, 50, 100, 300]:
        print(measure(number), flush=True)  # noqa: T201
