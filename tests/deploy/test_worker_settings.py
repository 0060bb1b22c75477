"""What deploy/celery tells the workers, as a worker and a Redis take it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

DEPLOY = Path(__file__).parents[2] / "deploy" / "celery"
APP = """
import time
from celery import Celery
import dagster_celery_config

app = Celery("held")
app.config_from_object(dagster_celery_config)

@app.task
def hold(seconds):
    time.sleep(seconds)
"""
SEND = "import held; [held.hold.delay(60) for _ in range(3)]"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("DEPLOY_ALL" not in os.environ, reason="make test-deploy runs it"),
]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    """The port of a Redis."""
    if shutil.which("redis-server") is None:
        pytest.skip("this machine lacks Redis (apt-get install redis-server)")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = int(one.getsockname()[1])
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield port
        finally:
            process.kill()


def test_a_worker_takes_no_run_that_it_cannot_begin(broker: int, tmp_path: Path) -> None:
    (tmp_path / "held.py").write_text(APP)
    environment = os.environ | {
        "CELERY_BROKER_URL": f"redis://127.0.0.1:{broker}/0",
        "CELERY_RESULT_BACKEND": f"redis://127.0.0.1:{broker}/1",
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{DEPLOY}",
    }
    worker = [sys.executable, "-m", "celery", "-A", "held", "worker", "--concurrency", "1", "--pool", "prefork"]
    log = tmp_path / "worker.log"
    with ExitStack() as stack:
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*worker, "--loglevel", "INFO"], env=environment, cwd=tmp_path, stdout=output, stderr=output
            )
        stack.callback(process.wait)
        stack.callback(process.kill)
        _wait(lambda: b"ready." in log.read_bytes())

        subprocess.run([sys.executable, "-c", SEND], env=environment, cwd=tmp_path, check=True)
        _wait(lambda: b"received" in log.read_bytes())
        time.sleep(3)  # it would take the next one at once

        assert redis.Redis(port=broker).llen("celery") == 2


def _wait(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.2)
