"""The asset `status_page` and the command `status`, over a real lake."""

from __future__ import annotations

import json
from pathlib import Path

import boto3
import dagster as dg
import pytest
from click.testing import CliRunner

from kentik_dagster.cli import main
from kentik_dagster.code_location import build_definitions
from kentik_dagster.configuration import Configuration
from kentik_dagster.demo.emulator_process import Emulator

EXPORT = {"name": "acme", "region": "us-east-1", "bucket": "acme-logs", "start": "2026-11-01"}


def made_page(lake: str, url: str | None = None) -> dg.AssetMaterialization:
    configuration = Configuration.model_validate({"lake": lake, "exports": [EXPORT]})
    done = build_definitions(configuration, endpoint_url=url).resolve_job_def("status").execute_in_process()
    (materialization,) = done.asset_materializations_for_node("status_page")
    return materialization


def test_the_page_lies_in_the_lake(tmp_path: Path) -> None:
    made = made_page(str(tmp_path / "lake"))

    assert made.metadata["page"].value == f"file://{tmp_path}/lake/status.html"
    assert made.metadata["exports_by_state"].value == {"Start": 1}
    assert "nothing was collected yet" in (tmp_path / "lake/status.html").read_text()


def test_a_browser_shows_the_page_of_a_lake_on_s3(aws: Emulator) -> None:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="status-lake")

    made = made_page("s3://status-lake/kentik", aws.endpoint_url)

    assert made.metadata["page"].value == "s3://status-lake/kentik/status.html"
    page = s3.get_object(Bucket="status-lake", Key="kentik/status.html")
    assert page["ContentType"] == "text/html; charset=utf-8"
    assert b"<h1>Status</h1>" in page["Body"].read()


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "kentik.yaml"
    path.write_text(json.dumps({"exports": [EXPORT]}))
    return path


def test_the_command_says_how_it_is(configuration: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["status", f"--config={configuration}", f"--html={tmp_path / 'page.html'}"])

    assert done.exit_code == 0, done.output
    assert "acme: nothing was collected yet\n     -> run `kentik-dagster run`" in done.output
    assert "Accounts that need something: none" in done.output
    assert "<h1>Status</h1>" in (tmp_path / "page.html").read_text()


def test_machines_get_all_of_it(configuration: Path) -> None:
    done = CliRunner().invoke(main, ["status", f"--config={configuration}", "--json"])

    said = json.loads(done.output)
    assert [export["state"] for export in said["exports"]] == ["Start"]
    assert {"accounts", "denied", "networks", "errors", "at"} <= said.keys()


def test_a_lake_that_cannot_be_read_is_said(configuration: Path) -> None:
    (configuration.parent / "lake").write_text("no folder")

    done = CliRunner().invoke(main, ["status", f"--config={configuration}"])

    assert done.exit_code == 1
    assert "lake" in done.output
