"""Empty is not unknown: what AWS refuses is said, and takes nothing away that was known."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import polars as pl
import pytest

from kentik_dagster.aws.flow_logs import LogBucket
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.configuration import Export
from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.lake.tables import Lake
from kentik_dagster.work.ingest import ingest_hour
from kentik_dagster.work.sweep import sweep_hour
from tests.work.logs import REGION, log_objects
from tests.work.refusing_aws import RefusingAws

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
HOUR = "2026-11-23T09"
_numbers = itertools.count(1)


@pytest.fixture
def aws(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[RefusingAws]:
    with RefusingAws(emulator.endpoint_url) as refusing:
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", refusing.url)
        yield refusing


@pytest.fixture
def export(aws: RefusingAws, emulator: Emulator) -> Export:
    """An export whose bucket holds some objects of an hour."""
    bucket = f"partly-refused-{next(_numbers)}"
    s3 = boto3.client("s3", region_name=REGION, endpoint_url=emulator.endpoint_url)
    s3.create_bucket(Bucket=bucket)
    for log in itertools.islice((log for log in log_objects(12) if log.table == "flow_logs"), 5):
        s3.put_object(Bucket=bucket, Key=log.key, Body=log.content)
    return Export(name="acme", region=REGION, bucket=bucket, start=START)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def clock() -> datetime:
    return START + timedelta(hours=2)


def access(export: Export) -> ExportAccess:
    return ExportAccess(export, custom_endpoint=True)


def test_a_refused_object_is_unreadable_and_the_others_land(export: Export, lake: Lake, aws: RefusingAws) -> None:
    bucket = LogBucket(access(export))
    listed = bucket.objects([START.date()])
    refused = listed["key"][0]

    aws.refuses = lambda request: request.method == "GET" and refused in request.path
    done = ingest_hour(bucket, lake, HOUR, listed, run_id="run", clock=clock)

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
    ingest_hour(LogBucket(reached), lake, HOUR, listed, run_id="run", clock=clock)

    aws.refuses = lambda request: request.method == "DELETE"
    swept = sweep_hour(reached, lake, HOUR, listed, run_id="run", clock=clock)

    assert swept["outcome"].unique().to_list() == ["failed"]
    assert "s3:DeleteObject" in swept["error"][0]
    assert LogBucket(reached).objects([START.date()]).height == listed.height
