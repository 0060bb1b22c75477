"""Starts and stops the emulator process, for the demo and for tests."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

_PACKAGE_FOLDER = Path(__file__).parents[2]
_STDERR_TAIL_BYTES = 4_000


class EmulatorError(RuntimeError):
    """The emulator did not start."""


class Emulator:
    """An AWS emulator that lives as long as the `with` block, and no longer than this process.

        with Emulator(seed=7, minutes=30) as emulator:
            os.environ |= emulator.environment()

    Attributes:
        organization: what is in it: counts of each thing, and `bucket`, `regions`, `account_ids`,
            `management_account_id`, `primary_role_arn`, `secondary_role_name`, `truth` (the file). Empty for
            an empty emulator.
    """

    def __init__(
        self,
        *,
        seed: int = 7,
        start: datetime | None = None,
        minutes: int = 30,
        records_per_object: int = 2_000,
        objects_per_window: int = 1,
        interfaces: int = 60,
        member_accounts: int = 3,
        bucket: str = "made-up-flow-logs",
        prefix: str = "",
        port: int = 0,
        folder: Path | str = ".demo",
        empty: bool = False,
        timeout_seconds: float = 120,
    ) -> None:
        """Arguments are those of `python -m kentik_dagster.demo.emulator`; `start` absent: its default."""
        options: dict[str, object] = {
            "seed": seed, "minutes": minutes, "records-per-object": records_per_object,
            "objects-per-window": objects_per_window, "interfaces": interfaces,
            "member-accounts": member_accounts, "bucket": bucket, "prefix": prefix,
            "port": port, "folder": folder,
        }  # fmt: skip
        if start is not None:
            options["start"] = start.isoformat()
        self._arguments = [f"--{name}={value}" for name, value in options.items()] + ["--empty"] * empty
        self._timeout_seconds = timeout_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes] | None = None
        self._endpoint_url = ""
        self.organization: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def endpoint_url(self) -> str:
        """Where it answers; for the environment variable AWS_ENDPOINT_URL."""
        if not self._endpoint_url:
            raise EmulatorError("the emulator is not running: use it in a `with` block, or call start()")
        return self._endpoint_url

    @property
    def process_id(self) -> int:
        """Of the running emulator."""
        if self._process is None:
            raise EmulatorError("the emulator is not running: use it in a `with` block, or call start()")
        return self._process.pid

    def environment(self) -> dict[str, str]:
        """Environment variables with which boto3, and other AWS clients, use it as the management account."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",  # unknown to moto: its default account
            "AWS_SECRET_ACCESS_KEY": "made-up",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self) -> None:
        """Starts it, and returns when it answers.

        Raises:
            EmulatorError: it ended, or was not ready in time; the text has the end of what it wrote.
        """
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed by stop)
        search_path = os.pathsep.join(filter(None, [str(_PACKAGE_FOLDER), os.environ.get("PYTHONPATH", "")]))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "kentik_dagster.demo.emulator", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env={**os.environ, "PYTHONPATH": search_path, "PYTHONHASHSEED": "0"},
        )
        try:
            ready = json.loads(self._first_line(self._process))
        except BaseException:
            self.stop()
            raise
        self._endpoint_url, self.organization = ready["endpoint_url"], ready["organization"]

    def stop(self) -> None:
        """Ends it; does nothing if it is not running."""
        process, self._process, self._endpoint_url = self._process, None, ""
        if process is not None:
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._stderr is not None:
            self._stderr.close()
            self._stderr = None

    def _first_line(self, process: subprocess.Popen[bytes]) -> bytes:
        lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        stdout = process.stdout
        assert stdout is not None
        reader = threading.Thread(target=lambda: lines.put(stdout.readline()), daemon=True)
        reader.start()
        try:
            line = lines.get(timeout=self._timeout_seconds)
        except queue.Empty:
            process.kill()
            process.wait()
            reader.join()
            raise EmulatorError(
                f"the emulator was not ready after {self._timeout_seconds:g} seconds.\n{self._stderr_tail()}"
            ) from None
        reader.join()
        if not line:
            code = process.wait()
            raise EmulatorError(f"the emulator ended with exit code {code}.\n{self._stderr_tail()}")
        return line

    def _stderr_tail(self) -> str:
        assert self._stderr is not None
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - _STDERR_TAIL_BYTES))
        text = self._stderr.read().decode(errors="replace").strip()
        return f"The end of what it wrote:\n{text}" if text else "It wrote nothing."
