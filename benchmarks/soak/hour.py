"""The hour itself: exports whose logs are posted while AWS fails and processes die, on a deployment of real processes.

First one process, undisturbed, makes all tables of the same objects, which are then taken away and posted anew, each at
its time. Afterwards there is a while to finish what is under way, and then the tables are compared.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3

from benchmarks.celery_stack import CeleryStack
from benchmarks.soak.failing_aws import Counted, FailingAws, failing_aws
from benchmarks.soak.judged import RunEvents
from benchmarks.soak.observed import database_mb, memory_mb, run_events, run_statuses
from benchmarks.soak.plan import (
    DAEMON,
    EXPORTS,
    TIMES_FASTER_VARIABLE,
    WORKERS,
    Happening,
    Options,
    Post,
    kills,
    posts,
    scheduled,
)
from benchmarks.soak.scene import (
    LAKE_BUCKET,
    LAKE_PREFIX,
    buckets_and_queues,
    clear_bucket,
    configuration,
    file_times,
    files,
)
from benchmarks.soak.tables import TablesOfBoth, undisturbed_tables
from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.lake.tables import Lake

_MODULE = "benchmarks.soak.definitions"
_SAMPLE_SECONDS, _PROGRESS_SECONDS, _STEP_SECONDS = 2.0, 30.0, 0.2
# A machine is back after some seconds, of ours: a process cannot start faster because the hour is played faster.
_DOWN_SECONDS = (1.0, 5.0)
# Of run monitoring, as deploy/celery/dagster.yaml says.
_POLL_SECONDS, _START_SECONDS = 30, 120


@dataclass(kw_only=True)
class Soaked:
    """What was seen. Times are seconds of the hour, unless they are instants."""

    options: Options
    began: datetime
    posted: dict[Post, datetime] = field(default_factory=dict)
    memory: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    database: list[tuple[float, float]] = field(default_factory=list)
    killed: list[Happening] = field(default_factory=list)
    asked: list[Happening] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    events: list[RunEvents] = field(default_factory=list)
    counted: Counted = field(default_factory=lambda: Counted({}, {}))
    finished_after: float | None = None
    tables: TablesOfBoth | None = None

    def at(self, instant: datetime) -> float:
        """The second of the hour."""
        return (instant - self.began).total_seconds() * self.options.scale


def soak(options: Options, folder: Path, tell: Callable[[str], None]) -> Soaked:
    """Play the hour; everything that it starts has ended when it returns, or is told to end.

    Raises:
        TimeoutError: it took too long, which nothing of it should be able to.
    """
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start = now - timedelta(minutes=90)  # in the middle of an hour, so that two partitions take the files
    with (
        _ends_after(options.most_seconds),
        Emulator(
            seed=options.seed, start=start, minutes=60, records_per_object=options.records, interfaces=24,
            member_accounts=2, folder=folder / "emulator", timeout_seconds=300,
        ) as emulator,
        failing_aws(emulator.endpoint_url, share=options.share, seed=options.seed) as aws,
        _environment(emulator.environment()),
    ):  # fmt: skip
        s3 = boto3.client("s3")
        bodies = files(s3, emulator.organization["bucket"])
        plan = posts(file_times(bodies), start, options.minutes, options.seed)
        queues = buckets_and_queues(s3)
        tell(f"{len(plan)} objects of {len(EXPORTS)} exports; first they are read undisturbed")
        for post in plan:
            s3.put_object(Bucket=post.bucket, Key=post.key, Body=bodies[post.key])
        config = configuration(folder / "undisturbed", emulator.organization, "./lake", start, {})
        undisturbed = undisturbed_tables(config, emulator.endpoint_url)
        for bucket in {post.bucket for post in plan}:
            clear_bucket(s3, bucket)
        for queue in queues.values():
            boto3.client("sqs").purge_queue(QueueUrl=queue)
        config = configuration(
            folder / "soak", emulator.organization, f"s3://{LAKE_BUCKET}/{LAKE_PREFIX}", start, queues
        )
        lake = Lake(
            f"s3://{LAKE_BUCKET}/{LAKE_PREFIX}",
            {"AWS_ENDPOINT_URL": emulator.endpoint_url, "AWS_ALLOW_HTTP": "true"},
        )
        environment = emulator.environment() | {
            "AWS_ENDPOINT_URL": aws.url, TIMES_FASTER_VARIABLE: str(options.scale),
        }  # fmt: skip
        changes: dict[str, dict[str, Any]] = {
            "run_monitoring": {
                "poll_interval_seconds": max(1, round(_POLL_SECONDS / options.scale)),
                "start_timeout_seconds": max(30, round(_START_SECONDS / options.scale)),
            },
            "concurrency": {"runs": {"max_concurrent_runs": len(WORKERS), "tag_concurrency_limits": _LIMITS}},
        }
        (folder / "stack").mkdir()
        with CeleryStack(folder / "stack", config, environment, changes, module=_MODULE) as stack:
            for name in WORKERS:
                stack.start_worker(name)
            stack.start_daemon()
            soaked = _Hour(options, stack, aws, emulator.organization["account_ids"], tell).play(plan, bodies)
            _finish(soaked, stack, TablesOfBoth(lake, undisturbed), aws, tell)
        assert soaked.tables is not None
        soaked.tables.find_lags(s3, LAKE_BUCKET, LAKE_PREFIX)
        return soaked


# As in deploy/celery, for as many processes as there are workers here.
_LIMITS = [
    {"key": "dagster/partition", "value": {"applyLimitPerUniqueValue": True}, "limit": 1},
    {"key": "dagster/backfill", "limit": 2},
]


class _Hour:
    """Who does what while the hour goes on."""

    def __init__(
        self,
        options: Options,
        stack: CeleryStack,
        aws: FailingAws,
        accounts: Sequence[str],
        tell: Callable[[str], None],
    ) -> None:
        self._stack, self._aws, self._tell = stack, aws, tell
        self._accounts = sorted(accounts)
        self._options = options
        self._chance = random.Random(f"{options.seed} down")
        self._soaked = Soaked(options=options, began=datetime.now(UTC))
        self._down: dict[str, float] = {}
        self._over = threading.Event()
        self._failures: list[BaseException] = []

    def play(self, plan: Sequence[Post], bodies: Mapping[str, bytes]) -> Soaked:
        """From the first second to the last one."""
        options, soaked = self._options, self._soaked
        killing = list(kills(options.daemon_kills, options.worker_kills, options.minutes, options.seed))
        asking = list(scheduled(options.minutes)) if options.scale != 1 else []
        poster = threading.Thread(target=self._post, args=[plan, bodies], daemon=True)
        poster.start()
        try:
            samples = progress = 0.0
            while self._now() < options.minutes * 60 or self._down:
                self._restart()
                while killing and killing[0].at <= self._now() and killing[0].name not in self._down:
                    self._kill(killing.pop(0))
                while asking and asking[0].at <= self._now() and self._ask(asking[0]):
                    del asking[0]
                if time.monotonic() >= samples + _SAMPLE_SECONDS:
                    samples = time.monotonic()
                    self._sample()
                if time.monotonic() >= progress + _PROGRESS_SECONDS:
                    progress = time.monotonic()
                    self._tell_progress()
                time.sleep(_STEP_SECONDS)
        finally:
            self._over.set()
            poster.join()
        if self._failures:
            raise self._failures[0]
        return soaked

    def _now(self) -> float:
        return self._soaked.at(datetime.now(UTC))

    def _post(self, plan: Sequence[Post], bodies: Mapping[str, bytes]) -> None:
        s3 = boto3.session.Session().client("s3")
        try:
            for post in plan:
                while self._now() < post.at:
                    if self._over.wait(_STEP_SECONDS):
                        break
                self._soaked.posted[post] = datetime.now(UTC)
                s3.put_object(Bucket=post.bucket, Key=post.key, Body=bodies[post.key])
        except BaseException as failure:  # the hour tells it: this is a thread
            self._failures.append(failure)

    def _kill(self, happening: Happening) -> None:
        self._stack.kill(happening.name)
        self._soaked.killed.append(Happening(self._now(), happening.name))
        self._down[happening.name] = time.monotonic() + self._chance.uniform(*_DOWN_SECONDS)

    def _restart(self) -> None:
        for name in [name for name, until in self._down.items() if time.monotonic() >= until]:
            del self._down[name]
            if name == DAEMON:
                self._stack.start_daemon()
            else:
                self._stack.start_worker(name, wait=False)

    def _ask(self, happening: Happening) -> bool:
        """Ask for a job, as its schedule would; says whether its time has come."""
        tags = {}
        if happening.name == "metadata":
            ends = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
            if not self._stack.query("SELECT 1 FROM dynamic_partitions LIMIT 1"):
                return False  # the accounts are not listed yet
            tags = dict(zip(ends, (self._accounts[0], self._accounts[-1]), strict=True))
        self._stack.launch(happening.name, **tags)
        self._soaked.asked.append(Happening(self._now(), happening.name))
        return True

    def _sample(self) -> None:
        for name, mb in memory_mb(self._stack.groups()).items():
            self._soaked.memory.setdefault(name, []).append((self._now(), mb))
        self._soaked.database.append((self._now(), database_mb(self._stack)))

    def _tell_progress(self) -> None:
        statuses = run_statuses(self._stack)
        counted = self._aws.counted()
        killed = Counter(one.name for one in self._soaked.killed)
        self._tell(
            f"minute {self._now() / 60:.0f}: {len(self._soaked.posted)} objects posted, runs "
            f"{', '.join(f'{count} {status}' for status, count in sorted(statuses.items())) or 'none'}; "
            f"{sum(counted.calls.values()):,} calls, {counted.share:.1%} failed; killed {dict(killed) or 'nobody'}"
        )


def _finish(
    soaked: Soaked, stack: CeleryStack, tables: TablesOfBoth, aws: FailingAws, tell: Callable[[str], None]
) -> None:
    """Wait until the tables are those of the undisturbed run; give up after a while."""
    soaked.tables = tables
    began = time.monotonic()
    while time.monotonic() < began + soaked.options.finish_seconds:
        statuses = run_statuses(stack)
        is_quiet = not set(statuses) - {"SUCCESS", "FAILURE", "CANCELED"}
        if is_quiet and tables.are_equal():
            soaked.finished_after = time.monotonic() - began
            break
        tell(f"finishing: runs {statuses}")
        time.sleep(5)
    tables.read()
    soaked.statuses = run_statuses(stack)
    soaked.events = run_events(stack, soaked.began.timestamp(), soaked.options.scale)
    soaked.counted = aws.counted()


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _ends_after(seconds: float) -> Iterator[None]:
    def end(number: int, _: object) -> None:
        if number == signal.SIGTERM:
            raise KeyboardInterrupt
        raise TimeoutError(f"the soak has not ended after {seconds:.0f} seconds")

    before = {number: signal.signal(number, end) for number in (signal.SIGALRM, signal.SIGTERM)}
    signal.alarm(round(seconds))
    try:
        yield
    finally:
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)
