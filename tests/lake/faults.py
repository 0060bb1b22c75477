"""What can happen between a writer and the lake, made to happen at the boundary to deltalake."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError

# A fault is handed the commit of which it decides what becomes.
Fault = Callable[[Callable[[], None]], None]
ERRORS = (
    CommitFailedError("Concurrent transaction failed."),
    DeltaError("the checkpoint could not be written"),
    OSError("operation timed out"),
)
TIMEOUT = ERRORS[-1]


def lost_reply(error: Exception, then: Callable[[], object] = lambda: None) -> Fault:
    """The commit takes effect, something else happens, and the writer is told that its commit failed."""

    def fault(commit: Callable[[], None]) -> None:
        commit()
        then()
        raise error

    return fault


def refused(error: Exception) -> Fault:
    """The commit never takes effect."""

    def fault(commit: Callable[[], None]) -> None:
        raise error

    return fault


def meanwhile(action: Callable[[], object]) -> Fault:
    """Another writer acts after ours has read the table, and before its commit."""

    def fault(commit: Callable[[], None]) -> None:
        action()
        commit()

    return fault


class Commits:
    """All commits of the test: the first suffers the first fault, and so on; what a fault does suffers none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.suffer: list[Fault] = []
        self.tried = 0
        commit = DeltaTable.create_write_transaction

        def faulty(handle: DeltaTable, *args: Any, **options: Any) -> None:
            self.tried += 1
            faults, self.suffer = self.suffer, []
            if not faults:
                commit(handle, *args, **options)
                return
            try:
                faults[0](lambda: commit(handle, *args, **options))
            finally:
                self.suffer = faults[1:]

        monkeypatch.setattr(DeltaTable, "create_write_transaction", faulty)


def fail_at_random(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """A third of all commits fails: before it takes effect, or after."""
    commit = DeltaTable.create_write_transaction
    lock, chance = threading.Lock(), random.Random(seed)

    def faulty(handle: DeltaTable, *args: Any, **options: Any) -> None:
        with lock:
            luck, error = chance.random(), chance.choice(ERRORS)
        if luck < 1 / 6:
            raise error
        commit(handle, *args, **options)
        if luck > 5 / 6:
            raise error

    monkeypatch.setattr(DeltaTable, "create_write_transaction", faulty)
