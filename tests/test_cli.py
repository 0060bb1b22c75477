"""What a person sees whose configuration, role or bucket is wrong: a sentence that says what to do."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from kentik_dagster.cli import main
from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.run_environment import BATCH_SIZE_VARIABLE, RUN_ENVIRONMENT

CONFIGURATION = """\
exports:
  - name: acme
    region: us-east-1
    bucket: {bucket}
    start: 2026-11-01
    collect_metrics: false
"""


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended, and what it printed."""

    exit_code: int
    printed: str


def run(folder: Path, configuration: str | None, environment: dict[str, str]) -> Said:
    """`kentik-dagster run` in a folder; a configuration of None: there is no file."""
    path = folder / "kentik.yaml"
    if configuration is not None:
        path.write_text(configuration)
    ours = ("AWS_", "KENTIK_", "DAGSTER_")
    cleared: dict[str, str | None] = {name: None for name in os.environ if name.startswith(ours)}
    done = CliRunner().invoke(main, ["run", "--config", str(path)], env=cleared | environment)
    if not isinstance(done.exception, SystemExit | None):
        raise done.exception
    return Said(done.exit_code, done.output)


def run_a_process(folder: Path, configuration: str, environment: dict[str, str]) -> Said:
    """The same as a shell does it."""
    (folder / "kentik.yaml").write_text(configuration)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "KENTIK_", "DAGSTER_"))}
    done = subprocess.run(
        [sys.executable, "-m", "kentik_dagster.cli", "run"],
        cwd=folder,
        env=kept | {"COLUMNS": "200"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Said(done.returncode, done.stdout + done.stderr)


def assert_told(said: Said, *parts: str) -> None:
    assert said.exit_code == 1, said.printed
    assert "Traceback" not in said.printed
    for part in parts:
        assert part in said.printed


def test_without_a_configuration_it_says_which_file_to_make(tmp_path: Path) -> None:
    assert_told(run(tmp_path, None, {}), "kentik.yaml: there is no such file", "kentik.example.yaml")


def test_an_unknown_key_is_named_with_the_one_that_was_meant(tmp_path: Path) -> None:
    configuration = CONFIGURATION.format(bucket="acme-logs").replace("bucket:", "buckett:")

    assert_told(run(tmp_path, configuration, {}), "kentik.yaml: exports[acme].buckett", "Did you mean 'bucket'?")


def test_a_missing_bucket_is_named_with_the_key_to_correct(tmp_path: Path, emulator: Emulator) -> None:
    configuration = CONFIGURATION.format(bucket="there-is-no-such-bucket")

    said = run_a_process(tmp_path, configuration, emulator.environment())

    assert_told(said, "cannot list s3://there-is-no-such-bucket", "correct `bucket` of export 'acme'")


def test_a_refused_role_is_named_with_what_may_refuse_it(tmp_path: Path, refusing_sts: str) -> None:
    role = "arn:aws:iam::111122223333:role/network-reader"
    configuration = (
        CONFIGURATION.format(bucket="acme-logs") + f"    iam_role_arn: {role}\n    external_id: a-secret-id\n"
    )
    environment = {
        "AWS_ENDPOINT_URL": refusing_sts,
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "made-up",
    }

    said = run(tmp_path, configuration, environment)

    caller = "arn:aws:iam::444455556666:role/collector"
    assert_told(
        said, f"cannot assume {role}: AWS answered AccessDenied", f"trusts {caller}", "external id of export 'acme'"
    )
    assert "a-secret-id" not in said.printed


def test_without_credentials_it_says_how_to_give_some(tmp_path: Path) -> None:
    environment = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}

    assert_told(run(tmp_path, CONFIGURATION.format(bucket="acme-logs"), environment), "no AWS credentials were found")


@pytest.fixture
def refusing_sts() -> Iterator[str]:
    """An STS that knows its caller and lets it assume nothing."""

    class Sts(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if "Action=GetCallerIdentity" in body:
                status, text = 200, (
                    "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>444455556666</Account>"
                    "<UserId>x</UserId><Arn>arn:aws:iam::444455556666:role/collector</Arn>"
                    "</GetCallerIdentityResult></GetCallerIdentityResponse>"
                )  # fmt: skip
            else:
                status, text = 403, (
                    "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>"
                    "<Message>not authorized</Message></Error></ErrorResponse>"
                )  # fmt: skip
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Sts)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_command_gives_what_it_starts_the_environment_of_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in RUN_ENVIRONMENT:
        monkeypatch.setenv(name, "as the user says")  # so that it is as before after this test
    monkeypatch.delenv(BATCH_SIZE_VARIABLE)

    CliRunner().invoke(main, ["run", "--help"])

    said = {name: os.environ.get(name) for name in RUN_ENVIRONMENT}
    assert said == dict.fromkeys(RUN_ENVIRONMENT, "as the user says") | {BATCH_SIZE_VARIABLE: "500"}
