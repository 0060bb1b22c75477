"""`dagster dev` as a process of its own on loopback, and what its UI asks of it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

SECONDS = 180.0


class DagsterDev:
    """Web server, code server and daemon, as long as the block lasts.

    Args:
        home: DAGSTER_HOME, with its dagster.yaml.
        config: kentik.yaml.
    """

    def __init__(self, home: Path, config: Path) -> None:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
        self._home, self._config = home, config
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> DagsterDev:
        # Each run is a process, and would compile all modules again.
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment = kept | {
            "DAGSTER_HOME": str(self._home),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "KENTIK_DAGSTER_CONFIG": str(self._config),
        }
        command = [sys.executable, "-m", "dagster", "dev", "-m", "kentik_dagster.definitions", "-h", "127.0.0.1", "-p"]
        with (self._home / "dev.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, str(self.port)], env=environment, cwd=self._home, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )  # fmt: skip
        try:
            self.wait(self._is_loaded, "the code location")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=60)
        with contextlib.suppress(ProcessLookupError):  # runs that are under way
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """An answer of its GraphQL."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        url = f"http://127.0.0.1:{self.port}/graphql"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as response:
            answer = json.load(response)
        if answer.get("errors"):
            raise RuntimeError(str(answer["errors"]))
        data = answer["data"]
        assert isinstance(data, dict)
        return data

    def launch_backfill(self, assets: Sequence[str], partitions: Sequence[str]) -> str:
        """Launch a backfill of partitions of some assets, as the UI does; returns its id."""
        selection = [{"path": [asset]} for asset in assets]
        answer = self.ask(_LAUNCH, params={"assetSelection": selection, "partitionNames": list(partitions)})
        launched = answer["launchPartitionBackfill"]
        if "backfillId" not in launched:
            raise RuntimeError(str(launched))
        return str(launched["backfillId"])

    def backfill(self, backfill: str) -> str:
        """What has become of a backfill, in words."""
        found = self.ask(_BACKFILL, id=backfill)["partitionBackfillOrError"]
        states = [run["status"] for run in found["runs"]]
        counts = {state: states.count(state) for state in sorted(set(states))}
        runs = ", ".join(f"{count} {state.lower()}" for state, count in counts.items())
        return f"{found['status'].lower().replace('_', ' ')}; runs: {runs or 'none yet'}"

    def end_backfill(self, backfill: str) -> None:
        """Cancel what is left of it, and wait until nothing is."""
        self.ask(_CANCEL, id=backfill)

        def is_over() -> bool:
            status = self.ask(_BACKFILL, id=backfill)["partitionBackfillOrError"]["status"]
            return status not in ("REQUESTED", "CANCELING", "FAILING")

        self.wait(is_over, "the end of the backfill", seconds=900)

    def wait(self, condition: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
        """Until something is so.

        Raises:
            TimeoutError: it was not so in time.
        """
        until = time.monotonic() + seconds
        while True:
            try:
                if condition():
                    return
            except OSError:  # it is not listening yet
                pass
            if time.monotonic() > until:
                log = (self._home / "dev.log").read_text(errors="replace")[-3000:]
                raise TimeoutError(f"{what}: not after {seconds:g} seconds\n{log}")
            time.sleep(1)

    def _is_loaded(self) -> bool:
        entries = self.ask(_LOADED)["workspaceOrError"]["locationEntries"]
        return [entry["loadStatus"] for entry in entries] == ["LOADED"]


_LOADED = "{ workspaceOrError { ... on Workspace { locationEntries { loadStatus } } } }"
_LAUNCH = """
mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }
"""
_BACKFILL = """
query($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill {
  status runs(limit: 1000) { status } } } }
"""
_CANCEL = """
mutation($id: String!) { cancelPartitionBackfill(backfillId: $id) {
  ... on CancelBackfillSuccess { backfillId } ... on PythonError { message } } }
"""
