"""Which of the runs that wait Dagster launches next, with the limits that are shipped: its own daemon decides.

Nothing is executed: Dagster's own stand-in for a launcher takes the runs, and they count as working from then on.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
import yaml
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.utils import make_new_run_id
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from assets.partitions import REASON_TAG
from assets.runs import CAN_WAIT_TAG, EXPORT_TAG, PRIORITY_TAG, URGENT, requests_for
from kentik_dagster.code_location import build_definitions
from kentik_dagster.configuration import Configuration
from kentik_dagster.core.flow_log_keys import hour_of
from tests.deploy.shipped import ROOT, SHIPPED, settings

NOW = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
CONFIGURATION = Configuration.model_validate({
    "lake": "/nowhere/lake",
    "exports": [
        {"name": name, "region": "us-east-1", "bucket": f"{name}-logs", "start": "2026-10-01"}
        for name in ("acme", "other")
    ],
})  # fmt: skip
ACME = CONFIGURATION.exports[0]
# The daemon reads so many runs of the queue at once (a hundred, if nobody says otherwise); a backfill has more.
PAGE, BACKFILL_RUNS = 8, 12
PLACES = max(settings(name)["concurrency"]["runs"]["max_concurrent_runs"] for name in SHIPPED)


DEFINITIONS = build_definitions(CONFIGURATION)
REPOSITORY = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("kentik"), "__repository__")
BACKFILL_TAG, SCHEDULE_TAG, PARTITION_TAG = "dagster/backfill", "dagster/schedule_name", "dagster/partition"
SCHEDULES = (
    "accounts_every_hour", "devices_every_quarter_hour", "metrics_every_five_minutes", "status_every_quarter_hour",
    "upkeep_every_hour", "verification_every_six_hours",
)  # fmt: skip


class Queue:
    """A real instance with shipped limits, and its daemon, which launches what may be launched when it is asked."""

    def __init__(self, instance: dg.DagsterInstance, context: WorkspaceProcessContext) -> None:
        self.instance = instance
        self._context = context
        self._like: dict[str, dg.DagsterRun] = {}
        self._daemon = QueuedRunCoordinatorDaemon(interval_seconds=5, page_size=PAGE)

    def add(self, job: str, tags: Mapping[str, str]) -> None:
        """A run that waits."""
        if job not in self._like:  # what a run says of its pools follows from its job
            status, origin = dg.DagsterRunStatus.QUEUED, RemoteJobOrigin(REPOSITORY, job)
            definition = DEFINITIONS.resolve_job_def(job)
            self._like[job] = self.instance.create_run_for_job(
                definition, status=status, tags=dict(tags), remote_job_origin=origin
            )
        else:
            one = self._like[job]
            self.instance.add_run(one._replace(run_id=make_new_run_id()).with_tags(dict(tags)))

    def add_backfill(self, job: str, runs: int) -> None:
        """A backfill of as many hours, a run each, as the UI makes it."""
        for number in range(runs):
            hour = hour_of(NOW - timedelta(hours=10 + number))
            key = hour if job == "metrics" else f"acme|{hour}"
            self.add(job, {BACKFILL_TAG: f"backfill of {job}", PARTITION_TAG: key})

    def add_objects(self, *hours_ago: int) -> None:
        """What the sensor of an export asks for when objects of some hours are there that nobody has read."""
        hours = sorted(hour_of(NOW - timedelta(hours=hours)) for hours in hours_ago)
        pending = pl.DataFrame({"hour": hours, "names": [[hour] for hour in hours]})
        for request in requests_for(ACME, pending, {}, NOW, reason="new objects"):
            key = {PARTITION_TAG: str(request.partition_key)} if request.partition_key else {}
            self.add("flow_logs", {**request.tags, **key})

    def add_new_of_many_exports(self) -> None:
        """What is new of more exports than there are places."""
        for number in range(PLACES + 1):
            self.add("flow_logs", {EXPORT_TAG: f"export-{number}", PRIORITY_TAG: URGENT})

    def add_scheduled(self, name: str) -> None:
        """What a schedule asks for."""
        repository = DEFINITIONS.get_repository_def()
        schedule = repository.get_schedule_def(name)
        with dg.build_schedule_context(
            self.instance, scheduled_execution_time=NOW, repository_def=repository
        ) as context:
            for request in schedule.evaluate_tick(context).run_requests or []:
                self.add(schedule.job_name, {**request.tags, SCHEDULE_TAG: name})

    def launch(self) -> list[str]:
        """What the daemon launches now: the kind of each run."""
        before = self._working()
        for _ in self._daemon.run_iteration(self._context):
            pass
        return [_kind(run) for run_id, run in self._working().items() if run_id not in before]

    def end(self, kind: str) -> None:
        """One of the runs of a kind that work comes to its end."""
        self.instance.report_run_canceled(next(run for run in self._working().values() if _kind(run) == kind))

    def _working(self) -> dict[str, dg.DagsterRun]:
        runs = self.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING]))
        return {run.run_id: run for run in runs}


def _kind(run: dg.DagsterRun) -> str:
    if BACKFILL_TAG in run.tags:
        return run.tags[BACKFILL_TAG]
    return run.tags.get(SCHEDULE_TAG) or ("later" if CAN_WAIT_TAG in run.tags else "new")


@pytest.fixture(params=SHIPPED)
def shipped(request: pytest.FixtureRequest) -> str:
    if request.param != "one machine" and "DEPLOY_ALL" not in os.environ:
        pytest.skip("make test-deploy asks all")
    return str(request.param)


@pytest.fixture
def queue(shipped: str, tmp_path: Path) -> Iterator[Queue]:
    stand_in = {"module": "dagster._core.test_utils", "class": "MockedRunLauncher"}
    elsewhere = ("storage", "event_log_storage", "compute_logs", "run_launcher")
    kept = {name: section for name, section in settings(shipped).items() if name not in elsewhere}
    made = {**kept, "run_launcher": stand_in, "telemetry": {"enabled": False}}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(made))
    with (
        dg.DagsterInstance.from_config(str(tmp_path)) as instance,
        WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as context,
    ):
        yield Queue(instance, context)


def test_a_queue_full_of_backfills_and_history_leaves_a_place_for_what_is_new(queue: Queue) -> None:
    queue.add_backfill("reenrichment", BACKFILL_RUNS)
    queue.add_objects(*range(10, 20, 2))
    for name in SCHEDULES:
        queue.add_scheduled(name)
    first = queue.launch()
    queue.add_objects(0)

    then = queue.launch()

    kinds = Counter(first)
    assert kinds["backfill of reenrichment"] > 0
    assert kinds["later"] > 0
    assert kinds.keys() & set(SCHEDULES)
    assert then == ["new"]


def test_whatever_ends_is_followed_by_what_is_new_although_it_was_asked_for_last(queue: Queue) -> None:
    queue.add_backfill("reenrichment", BACKFILL_RUNS)
    queue.add_objects(*range(10, 20, 2))
    queue.launch()
    queue.add_new_of_many_exports()
    queue.launch()
    queue.end("backfill of reenrichment")

    assert queue.launch() == ["new"]


def test_schedules_take_their_turn_however_much_is_new(queue: Queue) -> None:
    queue.add_scheduled("status_every_quarter_hour")
    queue.add_new_of_many_exports()

    assert "status_every_quarter_hour" in queue.launch()


def test_a_backfill_of_metrics_keeps_no_schedule_waiting(queue: Queue) -> None:
    queue.add_backfill("metrics", 20)
    queue.launch()
    queue.add_scheduled("metrics_every_five_minutes")

    assert queue.launch() == ["metrics_every_five_minutes"]


def test_a_schedule_waits_for_its_own_last_run(queue: Queue) -> None:
    for _ in range(2):
        queue.add_scheduled("metrics_every_five_minutes")

    assert (queue.launch(), queue.launch()) == (["metrics_every_five_minutes"], [])


def test_what_is_going_on_is_never_part_of_a_run_for_many_hours(queue: Queue) -> None:
    queue.add_objects(*range(48))

    assert sorted(queue.launch()) == ["later", "new", "new"]


@pytest.mark.parametrize("name", SHIPPED)
def test_backfills_schedules_and_what_can_wait_never_fill_all_places(name: str) -> None:
    runs = settings(name)["concurrency"]["runs"]

    together = [one["limit"] for one in runs["tag_concurrency_limits"] if not isinstance(one.get("value"), dict)]

    assert len(together) == 3
    assert sum(together) < runs["max_concurrent_runs"]


def test_the_document_tells_how_many_places_each_kind_may_take() -> None:
    document = (ROOT / "docs" / "backfills.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[2:5]] for line in document.splitlines() if line.startswith("| ")]
    told = [[int(cell) for cell in row] for row in rows if all(cell.isdigit() for cell in row)]

    def places(name: str) -> list[int]:
        runs = settings(name)["concurrency"]["runs"]
        limits = {one["key"]: one["limit"] for one in runs["tag_concurrency_limits"]}
        return [runs["max_concurrent_runs"], *(limits[key] for key in (BACKFILL_TAG, CAN_WAIT_TAG, REASON_TAG))]

    assert places("ecs") == places("kubernetes")
    assert told == [list(row) for row in zip(*map(places, ("one machine", "celery", "ecs")), strict=True)]
