"""One pass without a daemon: the schedules and sensors are asked once, and what they ask for is run here."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from assets.runs import IN_PROGRESS, PASS_TAG
from kentik_dagster.errors import KentikDagsterError
from kentik_dagster.run_environment import set_run_environment

# The schedules before and after the sensors: flows are resolved with the metadata of the same pass, and devices are
# counted in its flows.
BEFORE_SENSORS = ("accounts_every_hour", "metadata_every_quarter_hour")
AFTER_SENSORS = ("devices_every_quarter_hour", "metrics_every_five_minutes", "status_every_quarter_hour")
# A sensor that looks at history a few days at a time is asked until it has looked at all of it.
_MOST_TICKS = 1000


def dagster_instance(home: Path) -> dg.DagsterInstance:
    """The Dagster instance that keeps runs and cursors: DAGSTER_HOME's, else one in `home`."""
    set_run_environment()
    if os.environ.get("DAGSTER_HOME"):
        return dg.DagsterInstance.get()
    make_home(home)
    return dg.DagsterInstance.from_config(str(home))


def make_home(home: Path) -> None:
    """Make a folder fit to be DAGSTER_HOME; settings that are there stay."""
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        settings = Path(__file__).with_name("dagster.yaml").read_text()
        (home / "dagster.yaml").write_text(settings.replace("<DAGSTER_HOME>", str(home.resolve())))


class OnePass:
    """Runs what schedules and sensors ask for, one after the other, and remembers what failed.

    Args:
        tell: called with a sentence whenever something was done.
        working: called with a sentence about what is going on; each replaces the last.
        scheduled_at: the instant that schedules are asked for; None: the present.
    """

    def __init__(
        self,
        definitions: dg.Definitions,
        instance: dg.DagsterInstance,
        *,
        tell: Callable[[str], None],
        working: Callable[[str], None],
        scheduled_at: datetime | None = None,
    ) -> None:
        self._repository = definitions.get_repository_def()
        self._definitions = definitions
        self._scheduled_at = scheduled_at
        self._instance = instance
        self._tell = tell
        self._working = working
        self.failures: list[str] = []
        _end_runs_of_dead_processes(instance)

    def ask_schedules(self, names: Sequence[str]) -> None:
        """Ask some schedules as if their time had come."""
        for name in names:
            schedule = self._repository.get_schedule_def(name)
            context = dg.build_schedule_context(
                self._instance,
                scheduled_execution_time=self._scheduled_at or datetime.now(UTC),
                repository_def=self._repository,
            )
            evaluation = schedule.evaluate_tick(context)
            for request in evaluation.run_requests or []:
                self._run(schedule.job_name, request)
            if evaluation.skip_message:
                self._tell(f"{name}: {evaluation.skip_message}")

    def ask_sensors(self) -> None:
        """Ask every sensor until it has nothing more to look at."""
        for sensor in sorted(self._repository.sensor_defs, key=lambda sensor: sensor.name):
            for _ in range(_MOST_TICKS):
                if not self._ask(sensor):
                    break

    def _ask(self, sensor: dg.SensorDefinition) -> bool:
        """One tick of a sensor; whether another one could bring more."""
        key = f"kentik/one_pass/{sensor.name}"
        cursor = self._instance.daemon_cursor_storage.get_cursor_values({key}).get(key)
        self._working(f"{sensor.name}: listing")
        context = dg.build_sensor_context(
            instance=self._instance,
            cursor=cursor,
            definitions=self._definitions,
            resources=self._definitions.resources,
            sensor_name=sensor.name,
        )
        try:
            with context:
                result = sensor.evaluate_tick(context)
        except (dg.DagsterError, KentikDagsterError) as error:
            self._failed(sensor.name, _reason(error))
            return False
        done = [self._run(str(sensor.job_name), request) for request in result.run_requests or []]
        if not done:
            self._tell(f"{sensor.name}: {result.skip_message or 'nothing to do'}")
        if all(done) and result.cursor:
            self._instance.daemon_cursor_storage.set_cursor_values({key: result.cursor})
        return all(done) and bool(result.cursor) and result.cursor != cursor

    def _run(self, job_name: str, request: dg.RunRequest) -> bool:
        what = f"{job_name} {_what(request)}".strip()
        self._working(what)
        job = self._definitions.resolve_job_def(job_name)
        result = job.execute_in_process(
            instance=self._instance,
            partition_key=request.partition_key,
            tags={**request.tags, PASS_TAG: _this_process()},
            run_config={**request.run_config, "loggers": {"progress": {}}},
            raise_on_error=False,
        )
        if not result.success:
            self._failed(what, *_step_failures(result))
            return False
        warnings = [
            f"{check.asset_key.to_user_string()}: {check.description or check.check_name}"
            for check in result.get_asset_check_evaluations()
            if not check.passed
        ]
        self._tell(f"{what}: done" + "".join(f"\n  warning: {warning}" for warning in warnings))
        return True

    def _failed(self, what: str, *reasons: str) -> None:
        self.failures += [f"{what}: {reason}" for reason in reasons or ("failed; see the run in the Dagster UI",)]


def progress_logger(working: Callable[[str], None]) -> dg.LoggerDefinition:
    """A Dagster logger that passes on what assets say, and nothing of what Dagster says about itself."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            meta: Mapping[str, Any] = getattr(record, "dagster_meta", {})
            if meta.get("dagster_event") is None and record.levelno >= logging.INFO:
                working(str(meta.get("orig_message") or record.getMessage()))

    def progress(_: dg.InitLoggerContext) -> logging.Logger:
        logger = logging.Logger("kentik_dagster.progress", logging.INFO)
        logger.addHandler(Handler())
        return logger

    return dg.LoggerDefinition(progress, description="Progress of one pass on the terminal.")


def _what(request: dg.RunRequest) -> str:
    if request.partition_key:
        return str(request.partition_key)
    first, last = (request.tags.get(f"dagster/asset_partition_range_{end}", "") for end in ("start", "end"))
    return f"{first} to {last}" if first else ""


def _step_failures(result: dg.ExecuteInProcessResult) -> Iterator[str]:
    for event in result.filter_events(lambda event: event.is_step_failure):
        error = event.step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        failure = event.step_failure_data.user_failure_data
        if failure is not None and failure.description:
            yield failure.description
        elif error is not None:
            yield (
                error.message.strip().split(": ", 1)[-1]
                if "kentik_dagster.errors" in error.message
                else error.message.strip()
            )


def _reason(error: BaseException) -> str:
    """The text of the error underneath: ours say what to do."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, KentikDagsterError):
            return str(cause)
        cause = cause.__cause__
    return f"{type(error).__name__}: {error}"


def _this_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _end_runs_of_dead_processes(instance: dg.DagsterInstance) -> None:
    """Runs of an earlier pass that was killed would seem to be in progress for ever."""
    for run in instance.get_runs(dg.RunsFilter(statuses=list(IN_PROGRESS))):
        host, _, process_id = run.tags.get(PASS_TAG, "").rpartition(":")
        if host == socket.gethostname() and not _is_alive(int(process_id)):
            instance.report_run_failed(run, "the process of this run was killed; the next pass does its work again")


def _is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
