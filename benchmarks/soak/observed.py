"""What the processes and Dagster's database are like while the hour goes on."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from benchmarks.celery_stack import CeleryStack
from benchmarks.soak.judged import RunEvents

_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20
_EVENTS = """
SELECT extract(epoch FROM runs.create_timestamp AT TIME ZONE 'UTC'), runs.pipeline_name, count(*),
       sum(octet_length(event_logs.event))
FROM event_logs JOIN runs USING (run_id) GROUP BY runs.run_id, runs.create_timestamp, runs.pipeline_name
"""


def memory_mb(groups: Mapping[str, int]) -> dict[str, float]:
    """MB that each session of processes has in memory, by the names of `groups`, which gives the leader of each."""
    of_leader: dict[int, float] = defaultdict(float)
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with suppress(OSError):  # it may end meanwhile
                session = int((process / "stat").read_text().rpartition(")")[2].split()[3])
                of_leader[session] += int((process / "statm").read_text().split()[1]) * _PAGE_MB
    return {name: of_leader[leader] for name, leader in groups.items() if leader in of_leader}


def run_statuses(stack: CeleryStack) -> dict[str, int]:
    """How many runs have each status."""
    return {str(status): int(count) for status, count in stack.query("SELECT status, count(*) FROM runs GROUP BY 1")}


def database_mb(stack: CeleryStack) -> float:
    """Size of Dagster's database."""
    ((size,),) = stack.query("SELECT pg_database_size(current_database())")
    return int(size) / 2**20


def run_events(stack: CeleryStack, began: float, times_faster: float) -> list[RunEvents]:
    """What Dagster stored of each run.

    Args:
        began: when the hour began, in seconds since 1970.
    """
    return [
        RunEvents((float(created) - began) * times_faster, str(job), int(rows), int(size))
        for created, job, rows, size in stack.query(_EVENTS)
    ]
