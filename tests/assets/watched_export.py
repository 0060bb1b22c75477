"""An export with a bucket and a queue of its own in the emulator, and its sensors, asked as Dagster's daemon asks."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import boto3
import dagster as dg
import polars as pl

from assets.runs import EXPORT_TAG, RANGE_END_TAG, RANGE_START_TAG
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.code_location import build_definitions
from kentik_dagster.configuration import Configuration
from kentik_dagster.core.flow_log_keys import hour_of, log_objects
from kentik_dagster.core.look_back import hours_between
from kentik_dagster.core.schemas import no_rows
from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import merge_partition

REGION = "us-east-1"
# The partitions end with the real present, so the sensors' present is yesterday.
NOW = (datetime.now(UTC) - timedelta(days=1)).replace(hour=12, minute=34, second=0, microsecond=0)
_numbers = count(1)


def ago(**difference: float) -> datetime:
    """An instant before the sensors' present."""
    return NOW - timedelta(**difference)


def keys(*hours_ago: int) -> list[str]:
    """Partition keys of hours before the sensors' present."""
    return [f"acme|{hour_of(ago(hours=hours))}" for hours in hours_ago]


@dataclass
class WatchedExport:
    """One export, `acme`; `changes` are keys of its configuration."""

    aws: Emulator
    instance: dg.DagsterInstance
    folder: Path
    changes: dict[str, Any] = field(default_factory=dict)
    now: datetime = NOW
    queue: str = ""
    made: dict[tuple[str, datetime], dg.Definitions] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bucket = f"watched-{next(_numbers)}"
        self.s3 = boto3.client("s3", region_name=REGION)
        self.sqs = boto3.client("sqs", region_name=REGION)
        self.s3.create_bucket(Bucket=self.bucket)
        self.queue = self.sqs.create_queue(QueueName=self.bucket)["QueueUrl"]

    @property
    def definitions(self) -> dg.Definitions:
        export = {"name": "acme", "region": REGION, "bucket": self.bucket, "start": ago(days=1)} | self.changes
        made_for = (repr(export), self.now)
        if made_for not in self.made:  # a tenth of a second each
            configuration = Configuration.model_validate({"lake": str(self.folder / "lake"), "exports": [export]})
            self.made[made_for] = build_definitions(
                configuration, endpoint_url=self.aws.endpoint_url, stopped_at=self.now.isoformat()
            )
        return self.made[made_for]

    @property
    def lake(self) -> Lake:
        return Lake(str(self.folder / "lake"))

    def put(self, file_time: datetime, region: str = REGION, text: bytes = b"") -> str:
        """Put a flow log object where AWS would; returns its key."""
        key = (
            f"AWSLogs/123456789012/vpcflowlogs/{region}/{file_time:%Y/%m/%d}/123456789012_vpcflowlogs_{region}_"
            f"fl-0123456789abcdef0_{file_time:%Y%m%dT%H%MZ}_{next(_numbers):08x}.log.gz"
        )
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=gzip.compress(text, mtime=0))
        return key

    def event(self, key: str, bucket: str | None = None) -> str:
        """What S3 says when the object is created."""
        etag = self.s3.head_object(Bucket=self.bucket, Key=key)["ETag"].strip('"') if bucket is None else "0" * 32
        entry = {"key": quote_plus(key, safe="/"), "size": 20, "eTag": etag}
        created = {"eventName": "ObjectCreated:Put", "eventTime": self.now.isoformat()}
        return json.dumps({"Records": [created | {"s3": {"bucket": {"name": bucket or self.bucket}, "object": entry}}]})

    def send(self, *bodies: str) -> None:
        """Messages into the queue."""
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.queue, MessageBody=body)

    def messages(self) -> int:
        """How many messages the queue holds, hidden ones too."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)

    def tick(self, sensor_name: str, cursor: str | None = None) -> dg.SensorExecutionData:
        """Ask a sensor as the daemon does."""
        definitions = self.definitions
        sensor = definitions.get_repository_def().get_sensor_def(sensor_name)
        return self.tick_of(sensor, definitions, cursor)

    def tick_of(
        self, sensor: dg.SensorDefinition, definitions: dg.Definitions, cursor: str | None
    ) -> dg.SensorExecutionData:
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=cursor,
            definitions=definitions,
            resources=definitions.resources,
            sensor_name=sensor.name,
        ) as context:
            return sensor.evaluate_tick(context)

    def run_was(self, status: dg.DagsterRunStatus, request: dg.RunRequest) -> dg.DagsterRun:
        """A run that Dagster made of a request, and what became of it."""
        partition = {"dagster/partition": str(request.partition_key)} if request.partition_key else {}
        return self.instance.create_run_for_job(
            self.definitions.resolve_job_def("flow_logs"), status=status, tags={**request.tags, **partition}
        )

    def last_run_ended(self) -> datetime:
        """When the newest run ended, as Dagster remembers it."""
        (record,) = self.instance.get_run_records(limit=1)
        return datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp

    def read(self, *object_keys: str, outcome: str = "ingested", at: datetime | None = None) -> None:
        """Write into the ledger that objects were read."""
        rows = []
        for key in object_keys:
            head = self.s3.head_object(Bucket=self.bucket, Key=key)
            rows.append((self.bucket, key, head["ETag"].strip('"'), 20))
        objects = log_objects(pl.DataFrame(rows, ["bucket", "key", "etag", "size_bytes"], orient="row"))
        table = self.lake["flow_log_objects"]
        empty = no_rows(TABLES["flow_log_objects"])
        lines = pl.concat(
            [
                empty,
                objects.select(set(empty.columns) & set(objects.columns)).with_columns(
                    export=pl.lit("acme"),
                    outcome=pl.lit(outcome),
                    posted_at=pl.lit(ago(hours=1), empty.schema["posted_at"]),
                    ingested_at=pl.lit(at or self.now, empty.schema["ingested_at"]),
                ),
            ],
            how="diagonal",
        )
        for (hour,), of_hour in lines.group_by("hour"):

            def merged(there: pl.DataFrame, new: pl.DataFrame = of_hour) -> pl.DataFrame:
                return pl.concat([there.join(new, on="source_object", how="anti"), new])

            merge_partition(table, {"export": "acme", "hour": str(hour)}, merged)


def hours_asked(requests: Sequence[dg.RunRequest] | None) -> list[str]:
    """The partition keys that some requests are for."""
    asked: list[str] = []
    for request in requests or []:
        assert request.tags[EXPORT_TAG] == "acme"
        first = str(request.partition_key or request.tags[RANGE_START_TAG])
        last = str(request.partition_key or request.tags[RANGE_END_TAG])
        asked += [f"acme|{hour}" for hour in hours_between(first.split("|")[1], last.split("|")[1])]
    return asked
