"""Lakes to write to: a folder, and a bucket of the emulator."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import boto3
import pytest

from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.lake.tables import Lake, LakeTable
from tests.lake.faults import Commits

_numbers = count(1)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake in a folder that is not there yet."""
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def table(lake: Lake) -> LakeTable:
    """A table of that lake, which is not there yet either."""
    return lake["flow_logs"]


@pytest.fixture
def s3_lake(aws: Emulator) -> Lake:
    """A lake in a bucket of its own."""
    bucket = f"lake-{next(_numbers)}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    return Lake(f"s3://{bucket}/kentik", {"AWS_ENDPOINT_URL": aws.endpoint_url, "AWS_ALLOW_HTTP": "true"})


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> Commits:
    """Commits that suffer what the test says."""
    return Commits(monkeypatch)
