"""The listing sensor: which days it looks at, and which hours it asks for."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path

import boto3
import dagster as dg
import pytest

from assets.sensors import RANGE_END_TAG, RANGE_START_TAG, Examined, examine
from kentik_dagster.code_location import build_definitions
from kentik_dagster.configuration import Configuration, Export
from kentik_dagster.core.flow_log_keys import hour_of
from kentik_dagster.demo.emulator_process import Emulator

REGION = "us-east-1"
# The partitions end with the real present, so the sensor's present is yesterday.
NOW = (datetime.now(UTC) - timedelta(days=1)).replace(hour=12, minute=34, second=0, microsecond=0)
TODAY = date(2026, 11, 23)
_numbers = count(1)


def export(**changes: object) -> Export:
    values = {"name": "acme", "region": REGION, "bucket": "acme-logs", "start": "2026-11-01"} | changes
    return Export.model_validate(values)


def days(*numbers: int) -> list[date]:
    return [date(2026, 11, number) for number in numbers]


def keys(*hours_ago: int) -> list[str]:
    """Partition keys of hours before the sensor's present."""
    return [f"acme|{hour_of(NOW - timedelta(hours=hours))}" for hours in hours_ago]


class TestWhichDays:
    def test_a_steady_sensor_looks_at_the_look_back_window_only(self) -> None:
        examined = Examined(until=date(2026, 11, 23))

        assert examine(export(), examined, TODAY) == (days(22, 23), Examined(until=date(2026, 11, 23)))

    def test_the_first_ticks_go_back_to_the_start_of_the_export_a_few_days_at_a_time(self) -> None:
        looked_at: list[list[date]] = []
        examined = Examined()
        while not looked_at or examined.behind:
            found, examined = examine(export(start="2026-11-10"), examined, TODAY)
            looked_at.append(found)

        assert looked_at == [days(15, 16, 17, 18, 19, 20, 21, 22, 23), days(10, 11, 12, 13, 14, 22, 23)]

    def test_days_that_passed_while_the_sensor_was_off_are_looked_at(self) -> None:
        found, examined = examine(export(), Examined(until=date(2026, 11, 18)), TODAY)

        assert found == days(18, 19, 20, 21, 22, 23)
        assert examined == Examined(until=date(2026, 11, 23))

    def test_days_before_the_start_of_the_export_are_left_alone(self) -> None:
        found, _ = examine(export(start="2026-11-23T10:00"), Examined(), TODAY)

        assert found == days(23)


class TestWhichHours:
    @pytest.fixture
    def bucket(self, aws: Emulator) -> str:
        name = f"sensor-{next(_numbers)}"
        boto3.client("s3", region_name=REGION).create_bucket(Bucket=name)
        return name

    @pytest.fixture
    def instance(self) -> Iterator[dg.DagsterInstance]:
        with dg.instance_for_test() as made:
            yield made

    def put(self, bucket: str, file_time: datetime, region: str = REGION) -> None:
        key = (
            f"AWSLogs/123456789012/vpcflowlogs/{region}/{file_time:%Y/%m/%d}/123456789012_vpcflowlogs_{region}_"
            f"fl-0123456789abcdef0_{file_time:%Y%m%dT%H%MZ}_{next(_numbers):08x}.log.gz"
        )
        boto3.client("s3", region_name=REGION).put_object(Bucket=bucket, Key=key, Body=gzip.compress(b""))

    def ask(
        self, bucket: str, tmp_path: Path, aws: Emulator, instance: dg.DagsterInstance, start: datetime | None = None
    ) -> list[dg.RunRequest]:
        acme = export(bucket=bucket, start=start or NOW - timedelta(days=20))
        configuration = Configuration(lake=str(tmp_path / "lake"), exports=(acme,))
        definitions = build_definitions(configuration, endpoint_url=aws.endpoint_url, stopped_at=NOW.isoformat())
        (sensor,) = definitions.get_repository_def().sensor_defs
        with dg.build_sensor_context(
            instance=instance,
            instance_ref=instance.get_ref(),
            definitions=definitions,
            resources=definitions.resources,
            sensor_name=sensor.name,
        ) as context:
            return list(sensor.evaluate_tick(context).run_requests or [])

    def test_exactly_the_hours_with_pending_objects_are_asked_for(
        self, bucket: str, tmp_path: Path, aws: Emulator, instance: dg.DagsterInstance
    ) -> None:
        for file_time in (NOW, NOW - timedelta(minutes=10), NOW - timedelta(hours=5), NOW - timedelta(days=19)):
            self.put(bucket, file_time)
        self.put(bucket, NOW - timedelta(hours=7), region="eu-west-1")

        asked = self.ask(bucket, tmp_path, aws, instance)

        assert [request.partition_key for request in asked] == keys(7, 5, 0)

    def test_many_hours_in_a_row_are_asked_for_as_one_run(
        self, bucket: str, tmp_path: Path, aws: Emulator, instance: dg.DagsterInstance
    ) -> None:
        for hours in range(6):
            self.put(bucket, NOW - timedelta(hours=hours))

        (asked,) = self.ask(bucket, tmp_path, aws, instance)

        assert [asked.tags[RANGE_START_TAG], asked.tags[RANGE_END_TAG]] == keys(5, 0)

    def test_hours_before_the_start_and_in_the_future_fail_no_tick(
        self, bucket: str, tmp_path: Path, aws: Emulator, instance: dg.DagsterInstance
    ) -> None:
        for file_time in (NOW - timedelta(hours=2), NOW - timedelta(hours=9), NOW + timedelta(hours=3)):
            self.put(bucket, file_time)

        asked = self.ask(bucket, tmp_path, aws, instance, start=NOW - timedelta(hours=6))

        assert [request.partition_key for request in asked] == keys(2)

    def test_an_hour_that_a_run_is_working_for_is_not_asked_for_again(
        self, bucket: str, tmp_path: Path, aws: Emulator, instance: dg.DagsterInstance
    ) -> None:
        self.put(bucket, NOW)
        self.put(bucket, NOW - timedelta(hours=4))
        (older, _) = self.ask(bucket, tmp_path, aws, instance)
        definitions = build_definitions(Configuration(lake="/nowhere", exports=(export(bucket=bucket),)))
        instance.create_run_for_job(
            definitions.resolve_job_def("flow_logs"),
            status=dg.DagsterRunStatus.STARTED,
            tags={**older.tags, "dagster/partition": str(older.partition_key)},
        )  # fmt: skip

        asked = self.ask(bucket, tmp_path, aws, instance)

        assert [request.partition_key for request in asked] == keys(0)
