"""Runs as Celery tasks, of which none waits for a worker that is gone.

Celery takes a task off the broker when a worker begins it, and `CeleryRunLauncher` believes for ever that it goes on. A
machine that dies takes its runs with it, and Dagster would show them as started until `max_runtime_seconds`. Here the
worker is asked, whenever Dagster's run monitoring asks: a run that no worker has is reported as failed, and retried as
`run_retries` in dagster.yaml says. Should the worker have been out of reach only, both go on, and the lake takes what
they write once.
"""

from __future__ import annotations

import time

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

# A worker answers in milliseconds, also while its processes work; under load, or while the broker restarts, in seconds.
_ANSWER_SECONDS = 5.0
_ASKED = 3


class WatchedCeleryRunLauncher(CeleryRunLauncher):
    """`dagster_celery.launcher.CeleryRunLauncher`, with the same configuration, that asks workers for their runs."""

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the run's task goes on, has ended, or is lost with its worker."""
        believed = super().check_run_worker_health(run)
        if believed.status != WorkerStatus.RUNNING:
            return believed
        task_id = run.tags[DAGSTER_CELERY_TASK_ID_TAG]
        result = self.celery.AsyncResult(task_id)
        worker = (result.info or {}).get("hostname") if isinstance(result.info, dict) else None
        if worker is None or self._has(worker, task_id):
            return believed
        # It may have ended between the two questions.
        now_believed = super().check_run_worker_health(run)
        if now_believed.status != WorkerStatus.RUNNING:
            return now_believed
        return CheckRunHealthResult(WorkerStatus.FAILED, f"The Celery worker {worker} is gone, and the run with it.")

    def _has(self, worker: str, task_id: str) -> bool:
        """Whether a worker works on a task; one that does not answer is asked again."""
        for attempt in range(_ASKED):
            if attempt:
                time.sleep(1)
            inspect = self.celery.control.inspect(destination=[worker], timeout=_ANSWER_SECONDS)
            answers = inspect.active()
            if answers is not None:
                return any(task["id"] == task_id for task in answers.get(worker, []))
        return False
