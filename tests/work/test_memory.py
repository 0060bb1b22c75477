"""Memory holds parts of an object, not the object: the full form reads 1.3 GB of text out of 100 MB of gzip.

KENTIK_DAGSTER_TEXT_MB=1300 .venv/bin/pytest tests/work/test_memory.py
"""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import polars as pl
import pytest

from kentik_dagster.catalog.flow_logs import VPC_DEFAULT_FORMAT
from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.lake.tables import Lake
from tests.work.logs import DAY, REGION

TEXT_MB = int(os.environ.get("KENTIK_DAGSTER_TEXT_MB", "65"))
MOST_MB = 400
_PROJECT = Path(__file__).parents[2]
_KEY = (
    "AWSLogs/111122223333/vpcflowlogs/us-east-1/2026/11/23/"
    "111122223333_vpcflowlogs_us-east-1_fl-0123456789abcdef0_20261123T0900Z_0a1b2c3d.log.gz"
)


def records(count: int) -> bytes:
    """Lines that compress about thirteen to one, as flow logs do."""
    chance = random.Random(7)
    return "".join(
        f"2 111122223333 eni-0{chance.randrange(40):016x} 10.0.{chance.randrange(4)}.{chance.randrange(20)} 192.0.2.7 "
        f"{49152 + 16 * chance.randrange(400)} 443 6 {chance.randrange(1, 40)} 5000 1795424400 1795424460 ACCEPT OK\n"
        for _ in range(count)
    ).encode()


def ingest(bucket: str, lake: str) -> dict[str, Any]:
    """Ingest the hour in a process of its own; what it says of its memory and its rows."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.work.test_memory", bucket, lake], cwd=_PROJECT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the peak of a process")
def test_a_large_object_is_read_within_400_mb(aws: Emulator, tmp_path: Path) -> None:
    block = records(50_000)
    members = max(1, TEXT_MB * 1_000_000 // len(block))
    header = gzip.compress(" ".join(VPC_DEFAULT_FORMAT).encode() + b"\n")
    body = header + gzip.compress(block) * members
    s3 = boto3.client("s3", region_name=REGION)
    s3.create_bucket(Bucket="large-objects")
    s3.put_object(Bucket="large-objects", Key=_KEY, Body=body)

    said = ingest("large-objects", str(tmp_path / "lake"))

    assert said["rows"] == 50_000 * members
    assert said["peak_mb"] < MOST_MB
    counted = Lake(str(tmp_path / "lake"))["flow_logs"].scan().select(pl.len()).collect().item()
    assert counted == 50_000 * members
    print(f"{len(block) * members / 1e6:.0f} MB of text, {len(body) / 1e6:.0f} MB stored: {said['peak_mb']:.0f} MB")  # noqa: T201


def _ingest_here(bucket: str, lake: str) -> None:
    from datetime import UTC, datetime

    from kentik_dagster.aws.flow_logs import LogBucket
    from kentik_dagster.aws.sessions import ExportAccess
    from kentik_dagster.configuration import Export
    from kentik_dagster.work.ingest import ingest_hour

    export = Export(name="acme", region=REGION, bucket=bucket, start=DAY)
    logs = LogBucket(ExportAccess(export, custom_endpoint=True))
    done = ingest_hour(
        logs, Lake(lake), "2026-11-23T09", logs.objects([DAY]), run_id="memory", clock=lambda: datetime.now(UTC)
    )
    sys.stdout.write(json.dumps({"rows": done.rows("vpc"), "peak_mb": _peak_mb()}))


def _peak_mb() -> float:
    """The most memory that this process ever had; `getrusage` would begin with that of its parent."""
    status = Path("/proc/self/status").read_text()
    (kilobytes,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kilobytes) / 1024


if __name__ == "__main__":
    _ingest_here(*sys.argv[1:])
