"""What is to happen in the hour: which log object is posted when, who is killed when, and which job's time it is.

All of it follows from the seed. Times are seconds of the hour that is simulated.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

# Environment variable: how many times faster than ours the hour goes.
TIMES_FASTER_VARIABLE = "KENTIK_SOAK_TIMES_FASTER"
EXPORTS = ("one", "two", "three", "four", "five")
# These have a notification_queue, and these delete what they have read; the others are found by listing, and kept.
WITH_QUEUE = ("one", "two", "three")
DELETING = ("two", "four")
HOUR = 3600.0
# AWS posts a file within some minutes of the end of its window.
LONGEST_DELAY = 240.0
WORKERS = tuple(f"worker-{number}" for number in range(1, 6))
DAEMON = "daemon"
# Minutes at which Dagster's schedules ask for them, as assets/schedules.py says.
SCHEDULED = (
    ("accounts", (0,)),
    ("metadata", (1, 15, 30, 45)),
    ("devices", (5, 20, 35, 50)),
    ("status", (10, 25, 40, 55)),
    ("upkeep", (25,)),
)
# Nobody is killed in the first and the last minutes: what is killed should have begun, and should come back.
_UNTOUCHED = 180.0


# Before the hour: Postgres, Redis, the undisturbed run. After it: reading the lake.
_AROUND_SECONDS = 600.0
# Of the hour, for what is under way when it ends; of ours at the least.
_FINISH_HOUR_SECONDS, _FINISH_SECONDS = 1200.0, 240.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is asked for on the command line."""

    scale: float = 2.0
    minutes: float = 60.0
    seed: int = 7
    records: int = 300
    share: float = 0.1
    daemon_kills: int = 4
    worker_kills: int = 6

    @property
    def hour_seconds(self) -> float:
        """How long the hour takes here."""
        return self.minutes * 60 / self.scale

    @property
    def finish_seconds(self) -> float:
        """How long what is under way when it ends may take."""
        return max(_FINISH_SECONDS, _FINISH_HOUR_SECONDS / self.scale)

    @property
    def most_seconds(self) -> float:
        """After so long it ends, whatever has become of it."""
        return self.hour_seconds + self.finish_seconds + _AROUND_SECONDS


@dataclass(frozen=True, slots=True, order=True)
class Post:
    """An object to put into the bucket of an export."""

    at: float
    export: str
    key: str

    @property
    def bucket(self) -> str:
        """The export's bucket."""
        return bucket_of(self.export)


@dataclass(frozen=True, slots=True, order=True)
class Happening:
    """A process to kill and to start again, or a job to ask for."""

    at: float
    name: str


def bucket_of(export: str) -> str:
    """The bucket of an export."""
    return f"logs-{export}"


def posts(file_times: Iterable[tuple[str, datetime]], start: datetime, minutes: float, seed: int) -> Sequence[Post]:
    """When each file is posted into the bucket of each export: some minutes after the window that it is of.

    Args:
        file_times: keys of files, and the beginning of the window of each.
        start: of the first window; the simulated hour begins when that window ends.
        minutes: files of later windows are left out.
    """
    chance = random.Random(f"{seed} posts")
    planned = [
        Post((file_time - start).total_seconds() + chance.uniform(0, LONGEST_DELAY), export, key)
        for key, file_time in sorted(file_times)
        for export in EXPORTS
        if (file_time - start).total_seconds() < minutes * 60
    ]
    return sorted(planned)


def kills(daemon: int, workers: int, minutes: float, seed: int) -> Sequence[Happening]:
    """When the daemon, and one or another of the workers, are killed, so many times each."""
    chance = random.Random(f"{seed} kills")
    wanted = [DAEMON] * daemon + [WORKERS[number % len(WORKERS)] for number in range(workers)]
    untouched = min(_UNTOUCHED, minutes * 60 / 6)
    return sorted(Happening(chance.uniform(untouched, minutes * 60 - untouched), name) for name in wanted)


def scheduled(minutes: float) -> Sequence[Happening]:
    """The jobs that the schedules ask for."""
    return sorted(Happening(minute * 60.0, job) for job, times in SCHEDULED for minute in times if minute < minutes)
