"""Writers that are killed with SIGKILL at any moment, and started again, leave every object's rows exactly once.

Three processes append the same objects to one lake, each in an order and in batches of its own. Round
by round each is killed a few times at random moments, at the latest half a second after it began, and then left
to finish. What is in the table then is read without our code, too.

    KENTIK_DAGSTER_KILLS=200 .venv/bin/pytest tests/lake/test_kills.py

kills 200 times on a local lake and a third of that on S3; without the variable it is 15 and 5 times, for
CI. A seed that failed is named by KENTIK_DAGSTER_SEED; it repeats the delays, not what the machine does in them.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import polars as pl
import pytest

from kentik_dagster.lake.tables import Lake
from tests.lake.flows import NINE, flows, objects_in
from tests.lake.writer import Writer, records_of

KILLS = int(os.environ.get("KENTIK_DAGSTER_KILLS", "8"))
SEED = int(os.environ.get("KENTIK_DAGSTER_SEED", "7"))
# In CI, a slow machine does fewer kills, not more minutes.
LONGEST_SECONDS = math.inf if "KENTIK_DAGSTER_KILLS" in os.environ else 20
WRITERS, LIVES = 3, 3
_LONGEST_DELAY_SECONDS = 0.5

pytestmark = pytest.mark.slow


@dataclass
class Killing:
    """How often writers are to be killed, and how often they were."""

    wanted: int
    objects: int
    seed: int = SEED
    done: int = 0
    until: float = field(default_factory=lambda: time.monotonic() + LONGEST_SECONDS)

    @property
    def goes_on(self) -> bool:
        return self.done < self.wanted and time.monotonic() < self.until

    def round(self, lake: Lake, number: int) -> None:
        """All writers append to the lake, suffer their kills, and end."""
        with ThreadPoolExecutor(WRITERS) as threads:
            ends = [threads.submit(self._lives_of_one, lake, f"{self.seed}/{number}/{name}") for name in range(WRITERS)]
            for end in ends:
                end.result()

    def _lives_of_one(self, lake: Lake, name: str) -> None:
        chance = random.Random(name)
        for life in itertools.count():
            arguments = ["append", lake.root, NINE["hour"], f"{name}/{life}", str(self.objects)]
            with Writer([*arguments, json.dumps(dict(lake.storage_options))]) as writer:
                writer.await_ready()
                writer.go()
                delay = chance.uniform(0, _LONGEST_DELAY_SECONDS)
                if not (life < LIVES and self.goes_on and writer.kill(after_seconds=delay)):
                    writer.done()
                    return
                self.done += 1


def assert_exactly_once(lake: Lake, objects: int) -> None:
    """Every row of every object is there, and no row twice, whoever reads."""
    expected = records_of(objects)
    rows, there = flows(**expected), lake["flow_logs"].read(NINE)
    assert objects_in(lake["flow_logs"]) == expected
    assert there.select(rows.columns).sort(pl.all()).equals(rows.sort(pl.all()))


def kill_writers_of(lake: Lake, killing: Killing) -> None:
    """Round by round, each with a table of its own, until there were as many kills as are wanted."""
    for number in itertools.count():
        lake_of_round = Lake(f"{lake.root}/{number}", lake.storage_options)
        killing.round(lake_of_round, number)
        assert_exactly_once(lake_of_round, killing.objects)
        if not killing.goes_on:
            break
    assert killing.done >= min(killing.wanted, 3)


def test_killed_writers_leave_every_row_exactly_once(lake: Lake) -> None:
    kill_writers_of(lake, Killing(KILLS, objects=30))


def test_killed_writers_leave_every_row_exactly_once_on_s3(s3_lake: Lake) -> None:
    kill_writers_of(s3_lake, Killing(max(KILLS // 3, 1), objects=12))
