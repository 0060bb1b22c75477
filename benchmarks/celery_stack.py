"""A deployment past one machine, on this one: Postgres, Redis, web server, code server, daemon and Celery workers.

Each is a process of its own on a loopback port, ended with the `with` block; configured by deploy/celery/dagster.yaml.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import yaml

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy" / "celery"
SECONDS = 120.0


class StackError(RuntimeError):
    """A process did not start, or what was waited for did not come; the text has the end of its log."""


def missing() -> list[str]:
    """What this machine lacks for it, each with what to do."""
    lacks = []
    if _postgres() is None:
        lacks.append("PostgreSQL's server (apt-get install postgresql)")
    if shutil.which("redis-server") is None:
        lacks.append("Redis (apt-get install redis-server)")
    return lacks


def _postgres() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    on_path = shutil.which("postgres")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


class CeleryStack:
    """The processes, and questions to them.

    Args:
        folder: takes their logs, the database and DAGSTER_HOME.
        config: kentik.yaml.
        environment: of AWS, for the code server and the workers.
        changes: sections of dagster.yaml to replace keys of.
        module: the code location.
    """

    def __init__(
        self,
        folder: Path,
        config: Path,
        environment: Mapping[str, str],
        changes: Mapping[str, Mapping[str, Any]],
        *,
        module: str = "kentik_dagster.definitions",
    ) -> None:
        self.folder = folder
        self._open = ExitStack()
        self._ports = {name: _free_port() for name in ("postgres", "redis", "code", "web")}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._workers: set[str] = set()
        self._module = module
        self._home = folder / "dagster_home"
        self._changes = changes
        redis = f"redis://127.0.0.1:{self._ports['redis']}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DAGSTER_"))},
            **environment,
            "DAGSTER_HOME": str(self._home),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "DAGSTER_POSTGRES_HOST": "127.0.0.1",
            "DAGSTER_POSTGRES_PORT": str(self._ports["postgres"]),
            "DAGSTER_POSTGRES_DB": "postgres",
            "DAGSTER_POSTGRES_USER": "postgres",
            "DAGSTER_POSTGRES_PASSWORD": "none-is-asked-for",
            "DAGSTER_COMPUTE_LOG_BUCKET": "acme-dagster",
            "CELERY_BROKER_URL": f"{redis}/0",
            "CELERY_RESULT_BACKEND": f"{redis}/1",
            "KENTIK_DAGSTER_CONFIG": str(config),
            "PYTHONPATH": f"{DEPLOY}{os.pathsep}{ROOT}",
            "POLARS_MAX_THREADS": "1",
        }

    def __enter__(self) -> CeleryStack:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in self._workers & self._processes.keys():
            self.kill(name)
        self._open.close()

    def _start(self) -> None:
        settings = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
        for section, changed in self._changes.items():
            settings[section] = {**settings[section], **changed}
        self._home.mkdir(parents=True)
        (self._home / "dagster.yaml").write_text(yaml.safe_dump(settings))
        workspace = self.folder / "workspace.yaml"
        server = {"host": "127.0.0.1", "port": self._ports["code"], "location_name": "kentik"}
        workspace.write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}))
        self._start_postgres()
        self._process("redis", ["redis-server", "--port", str(self._ports["redis"]), "--bind", "127.0.0.1",
                                "--save", "", "--dir", str(self.folder)])  # fmt: skip
        self._answers("redis")
        self._answers("postgres")
        dagster = [sys.executable, "-m", "dagster"]
        self._process("code", [*dagster, "code-server", "start", "-h", "127.0.0.1", "-p", str(self._ports["code"]),
                               "-m", self._module])  # fmt: skip
        self._answers("code")
        web = [sys.executable, "-m", "dagster_webserver", "-h", "127.0.0.1", "-p", str(self._ports["web"])]
        self._process("web", [*web, "-w", str(workspace)])
        self._answers("web")
        self._workspace = workspace

    def start_daemon(self) -> None:
        """Sensors, schedules, queue and monitoring begin."""
        self._process("daemon", [sys.executable, "-m", "dagster._daemon", "run", "-w", str(self._workspace)])

    def start_worker(self, name: str, *, wait: bool = True) -> None:
        """A Celery worker with one process; returns when it is ready, or at once."""
        command = [sys.executable, "-m", "celery", "-A", "dagster_celery.app", "worker", "--concurrency", "1",
                   "--loglevel", "INFO", "--hostname", f"{name}@kentik"]  # fmt: skip
        self._workers.add(name)
        self._processes[name] = self._spawn(name, command)
        if wait:
            self.wait(lambda: "ready." in self.log(name), f"worker {name}", logs=[name])

    def groups(self) -> dict[str, int]:
        """The process group of each process that was started and not killed, by name."""
        return {name: process.pid for name, process in self._processes.copy().items()}

    def kill(self, name: str) -> None:
        """End the daemon, or a worker and what it works on, as a machine ends that loses its power."""
        process = self._processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def query(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        """The rows that Dagster's database answers."""
        connected = psycopg2.connect(host="127.0.0.1", port=self._ports["postgres"], user="postgres")
        with closing(connected) as database, database.cursor() as cursor:
            cursor.execute(sql, arguments)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def log(self, name: str) -> str:
        """What a process wrote."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """An answer of Dagster's GraphQL."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        url = f"http://127.0.0.1:{self._ports['web']}/graphql"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            answer = {"errors": error.read().decode(errors="replace")}
        if answer.get("errors"):
            raise StackError(str(answer["errors"]))
        data = answer["data"]
        assert isinstance(data, dict)
        return data

    def launch(self, job: str, **tags: str) -> str:
        """Put a run of a job into the queue; returns its id."""
        answer = self.ask(
            _LAUNCH,
            params={
                "selector": {
                    "repositoryLocationName": "kentik", "repositoryName": "__repository__", "jobName": job,
                },
                "runConfigData": {},
                "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
            },
        )["launchRun"]  # fmt: skip
        if "run" not in answer:
            raise StackError(str(answer))
        return str(answer["run"]["runId"])

    def runs(self) -> list[dict[str, Any]]:
        """All runs, newest first: `runId`, `jobName`, `status`, `startTime`, `endTime`, `tags`."""
        found = self.ask(_RUNS)["runsOrError"]["results"]
        assert isinstance(found, list)
        return found

    def wait(
        self,
        condition: Callable[[], bool],
        what: str,
        *,
        seconds: float = SECONDS,
        logs: Sequence[str] = ("daemon",),
    ) -> None:
        """Until something is so.

        Raises:
            StackError: it was not so in time.
        """
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                ends = "\n".join(f"--- {name}\n{self.log(name)[-3000:]}" for name in logs)
                raise StackError(f"{what}: not after {seconds:g} seconds\n{ends}")
            time.sleep(0.5)

    def _start_postgres(self) -> None:
        binaries = _postgres()
        assert binaries is not None
        data = self.folder / "postgres"
        data.mkdir()
        as_user: list[str] = []
        if os.geteuid() == 0:  # it refuses to be root
            user = pwd.getpwnam("postgres")
            os.chown(data, user.pw_uid, user.pw_gid)
            for parent in (self.folder, *self.folder.parents):
                if not parent.stat().st_mode & 1:
                    parent.chmod(parent.stat().st_mode | 0o111)
            as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        subprocess.run([*as_user, binaries / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync"],
                       check=True, capture_output=True)  # fmt: skip
        self._process("postgres", [*as_user, str(binaries / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-F",
                                   "-p", str(self._ports["postgres"]), "-k", ""])  # fmt: skip

    def _process(self, name: str, command: list[str]) -> None:
        process = self._spawn(name, command)
        self._open.enter_context(_ended(process))
        self._processes[name] = process

    def _spawn(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                command, env=self.environment, cwd=self.folder, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )  # fmt: skip

    def _answers(self, name: str) -> None:
        def answers() -> bool:
            with socket.socket() as asking:
                return asking.connect_ex(("127.0.0.1", self._ports[name])) == 0

        self.wait(answers, name, logs=[name])


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """The process and its children end with the block; one that does not end when asked is killed."""
    try:
        yield
    finally:
        for how in (signal.SIGTERM, signal.SIGKILL):
            if process.poll() is None:
                os.killpg(process.pid, how)
                try:
                    process.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    continue
        process.wait()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


_LAUNCH = """
mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
  ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  ... on RunConfigValidationInvalid { errors { message } } } }
"""
_RUNS = """
{ runsOrError(limit: 500) { ... on Runs { results {
  runId jobName status startTime endTime tags { key value } } } } }
"""
