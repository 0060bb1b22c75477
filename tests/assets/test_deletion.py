"""The sweep as Dagster runs it: checks that warn, failures that come last, and how long deletion took."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import polars as pl
import pytest

from assets.deletion import DELETED_IN_TIME, MAY_DELETE, deletion_assets
from assets.partitions import Partitions, flow_key
from assets.runs import RANGE_END_TAG, RANGE_START_TAG
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.configuration import Configuration
from kentik_dagster.core.flow_log_keys import hour_of, hour_start, source_object
from kentik_dagster.core.schemas import no_rows
from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.lake.writes import merge_partition
from resources.aws import Aws
from resources.clock import Clock
from resources.lake import Lake
from tests.work.refusing_aws import RefusingAws

REGION, ACCOUNT = "us-east-1", "123456789012"
_numbers = count(1)


def s3() -> Any:
    return boto3.client("s3", region_name=REGION)


@dataclass
class Deployment:
    """Two exports, of which one has no bucket, an hour of empty objects that were read, and Dagster's instance."""

    bucket: str
    root: str
    instance: dg.DagsterInstance
    endpoint_url: str
    posted: datetime

    @property
    def hour(self) -> str:
        return hour_of(self.posted)

    def post(self, name: str, *, read_after: timedelta | None = None) -> None:
        """Put an object that the lake has read, a while after it was posted."""
        time = hour_start(self.hour)
        key = (
            f"AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/{time:%Y/%m/%d}/"
            f"{ACCOUNT}_vpcflowlogs_{REGION}_fl-0123456789abcdef0_{time:%Y%m%dT%H%M}Z_{name}.log.gz"
        )
        etag = s3().put_object(Bucket=self.bucket, Key=key, Body=b"")["ETag"].strip('"')
        partition = {"export": "acme", "hour": self.hour}
        schema = no_rows(TABLES["flow_log_objects"]).schema
        line = partition | {
            "source_object": source_object(self.bucket, key, etag, time), "bucket": self.bucket, "key": key,
            "etag": etag, "posted_at": self.posted, "outcome": "empty", "rows": 0, "rejected_lines": 0,
            "ingested_at": None if read_after is None else self.posted + read_after,
        }  # fmt: skip
        added = pl.DataFrame([line], schema={name: schema[name] for name in line})
        merge_partition(
            Lake(root=self.root).tables["flow_log_objects"],
            partition,
            lambda there: pl.concat([there, added], how="diagonal").unique("source_object", maintain_order=True),
        )

    def sweep(
        self, *, delete: bool = True, waited: timedelta, until: dg.MultiPartitionKey | None = None
    ) -> dg.ExecuteInProcessResult:
        """Materialise the hour, or the hours until another one, some time after the objects were posted."""
        first = flow_key("acme", self.hour)
        shared = {"region": REGION, "start": (self.posted - timedelta(days=3)).date(), "delete_after_read": delete}
        exports = [
            {"name": "acme", "bucket": self.bucket, **shared},
            {"name": "lost", "bucket": "there-is-no-such-bucket", **shared},
        ]
        configuration = Configuration.model_validate({"lake": self.root, "exports": exports})
        assets = deletion_assets(configuration, Partitions(configuration))
        return dg.materialize(
            assets,
            instance=self.instance,
            partition_key=None if until else first,
            tags={RANGE_START_TAG: first, RANGE_END_TAG: until} if until else {},
            resources={
                "aws": Aws(endpoint_url=self.endpoint_url),
                "lake": Lake(root=self.root),
                "clock": Clock(stopped_at=(self.posted + waited).isoformat()),
            },
            raise_on_error=False,
        )

    def outcomes(self) -> list[str]:
        return Lake(root=self.root)["deletion_sweep"].read()["outcome"].to_list()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def deployment(aws: Emulator, instance: dg.DagsterInstance, tmp_path: Path) -> Deployment:
    bucket = f"asset-deletion-{next(_numbers)}"
    s3().create_bucket(Bucket=bucket)
    posted = datetime.fromisoformat("2026-11-20T09:05:00+00:00")
    made = Deployment(bucket, str(tmp_path / "lake"), instance, aws.endpoint_url, posted)
    made.post("0a")
    return made


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {check.check_name: check.passed for check in result.get_asset_check_evaluations()}


def metadata(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (materialization,) = result.asset_materializations_for_node("deletion_sweep")
    return {name: value.value for name, value in materialization.metadata.items()}


def test_deletion_tells_how_long_objects_lay_in_the_bucket(deployment: Deployment) -> None:
    result = deployment.sweep(waited=timedelta(minutes=10))

    told = metadata(result)
    assert (told["deletion_lag_seconds_p50"], told["deletion_lag_seconds_p99"]) == (600.0, 600.0)
    assert told["outcomes_in_run"] == {"deleted": 1}
    assert checks(result) == {MAY_DELETE: True, DELETED_IN_TIME: True}


@pytest.mark.parametrize(
    ("waited", "in_time"),
    [(timedelta(minutes=15), True), (timedelta(minutes=16), False), (timedelta(days=2), True)],
)
def test_slow_deletion_of_current_objects_warns_and_a_backfill_does_not(
    deployment: Deployment, waited: timedelta, in_time: bool
) -> None:
    result = deployment.sweep(waited=waited)

    assert result.success
    assert checks(result)[DELETED_IN_TIME] is in_time


def test_what_lay_there_before_the_first_object_was_read_does_not_warn(deployment: Deployment) -> None:
    deployment.post("0b", read_after=timedelta(hours=3))

    result = deployment.sweep(waited=timedelta(hours=3))

    assert metadata(result)["deletion_lag_seconds_p99"] == 3 * 3600
    assert checks(result)[DELETED_IN_TIME]


def test_a_stop_of_some_hours_warns(deployment: Deployment) -> None:
    replace(deployment, posted=deployment.posted - timedelta(hours=5)).post("0b", read_after=timedelta(minutes=1))

    assert not checks(deployment.sweep(waited=timedelta(hours=3)))[DELETED_IN_TIME]


def test_a_dry_run_that_is_over_does_not_warn_of_the_time_that_it_took(deployment: Deployment) -> None:
    dry = deployment.sweep(delete=False, waited=timedelta(minutes=5))
    told = metadata(dry)
    real = deployment.sweep(waited=timedelta(hours=5))

    assert told["outcomes_in_run"] == {"would_delete": 1}
    assert not any(name.startswith("deletion_lag") for name in told)
    assert metadata(real)["deletion_lag_seconds_p99"] == 5 * 3600
    assert checks(dry) == checks(real) == {MAY_DELETE: True, DELETED_IN_TIME: True}


def test_a_refused_deletion_warns_with_the_permission_until_it_is_granted_or_not_wanted(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RefusingAws(deployment.endpoint_url, refuses=lambda request: request.method == "DELETE") as refusing:
        monkeypatch.setenv("AWS_ENDPOINT_URL", refusing.url)
        refused = deployment.sweep(waited=timedelta(minutes=5))
    monkeypatch.setenv("AWS_ENDPOINT_URL", deployment.endpoint_url)
    unwanted = deployment.sweep(delete=False, waited=timedelta(minutes=6))
    granted = deployment.sweep(waited=timedelta(minutes=7))

    assert refused.success
    (check,) = [one for one in refused.get_asset_check_evaluations() if one.check_name == MAY_DELETE]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert check.description is not None
    assert "Grant s3:DeleteObject and s3:GetObject" in check.description
    assert checks(unwanted)[MAY_DELETE]
    assert checks(granted)[MAY_DELETE]
    assert deployment.outcomes() == ["deleted"]


def test_an_export_whose_bucket_cannot_be_listed_fails_the_run_after_the_others_were_swept(
    deployment: Deployment,
) -> None:
    result = deployment.sweep(waited=timedelta(minutes=5), until=flow_key("lost", deployment.hour))

    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "lost: cannot list s3://there-is-no-such-bucket" in str(failure.step_failure_data.error)
    assert deployment.outcomes() == ["deleted"]


def test_an_hour_that_cannot_be_read_fails_the_run_after_the_others_were_swept(
    deployment: Deployment, tmp_path: Path
) -> None:
    for file in (tmp_path / "lake" / "flow_log_objects").rglob("hour=*/*.parquet"):
        file.unlink()
    later = replace(deployment, posted=deployment.posted + timedelta(hours=1))
    later.post("0b")

    result = deployment.sweep(waited=timedelta(hours=2), until=flow_key("acme", later.hour))

    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert f"acme {deployment.hour}: " in str(failure.step_failure_data.error)
    assert deployment.outcomes() == ["deleted"]
