"""Empty is not unknown: what AWS refuses is said, and takes nothing away that was known."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from kentik_dagster.aws.flow_logs import LogBucket
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.configuration import Export
from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.lake.tables import Lake
from kentik_dagster.work.ingest import ingest_hour
from kentik_dagster.work.metrics import collect_hour
from kentik_dagster.work.sweep import sweep_hour
from tests.work.refusing_aws import RefusingAws

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
HOUR = "2026-11-23T09"


@pytest.fixture(scope="module")
def organization(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A small made-up organization with ten minutes of logs."""
    folder = tmp_path_factory.mktemp("organization")
    with Emulator(start=START, minutes=10, records_per_object=50, interfaces=40, folder=folder) as running:
        yield running


@pytest.fixture
def aws(organization: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[RefusingAws]:
    with RefusingAws(organization.endpoint_url) as refusing:
        for name, value in organization.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", refusing.url)
        yield refusing


@pytest.fixture
def export(organization: Emulator) -> Export:
    facts = organization.organization
    return Export(
        name="acme",
        iam_role_arn=facts["primary_role_arn"],
        external_id="made-up-external-id",
        region=facts["bucket_region"],
        organization_role=True,
        regions_used=(facts["bucket_region"],),
        role_suffix=facts["secondary_role_name"],
        bucket=facts["bucket"],
        start=START,
    )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


class Clock:
    """Goes on by a minute whenever a snapshot is taken."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at


def access(export: Export) -> ExportAccess:
    return ExportAccess(export, custom_endpoint=True)


def test_a_refused_object_is_unreadable_and_the_others_land(export: Export, lake: Lake, aws: RefusingAws) -> None:
    bucket = LogBucket(access(export))
    listed = bucket.objects([START.date()])
    refused = listed["key"][0]

    aws.refuses = lambda request: request.method == "GET" and refused in request.path
    done = ingest_hour(bucket, lake, HOUR, listed, run_id="run", clock=Clock())

    assert done.count("unreadable") == 1
    assert done.count("ingested") == listed.height - 1
    (line,) = done.objects.filter(pl.col("outcome") == "unreadable").to_dicts()
    assert (line["key"], line["rows"]) == (refused, 0)
    assert "s3:GetObject" in line["error"]


def test_a_refused_deletion_is_a_failed_line_with_the_missing_action(
    export: Export, lake: Lake, aws: RefusingAws
) -> None:
    reached = access(export.model_copy(update={"delete_after_read": True}))
    listed = LogBucket(reached).objects([START.date()])
    ingest_hour(LogBucket(reached), lake, HOUR, listed, run_id="run", clock=Clock())

    aws.refuses = lambda request: request.method == "DELETE"
    swept = sweep_hour(reached, lake, HOUR, listed, run_id="run", clock=Clock())

    assert swept["outcome"].unique().to_list() == ["failed"]
    assert "s3:DeleteObject" in swept["error"][0]
    assert LogBucket(reached).objects([START.date()]).height == listed.height


def test_a_refused_namespace_keeps_the_datapoints_that_were_there(export: Export, lake: Lake, aws: RefusingAws) -> None:
    clock = Clock()
    clock.at = START + timedelta(hours=2)
    reached = access(export)
    accounts = dict.fromkeys([reached.primary.account_id], reached)
    before = collect_hour(accounts, lake, HOUR, clock=clock)
    rows = lake["metric_series"].read()

    aws.refuses = lambda request: "GetMetricData" in request.target
    after = collect_hour(accounts, lake, HOUR, clock=clock)

    assert before.rows > 0
    assert after.rows == before.rows
    assert lake["metric_series"].read().equals(rows)
    assert set(after.failures["namespace"]) <= {"AWS/EC2", "AWS/NATGateway"}
    assert after.failures["outcome"].unique().to_list() == ["denied"]
