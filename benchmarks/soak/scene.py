"""Where the hour takes place: the buckets and queues of the exports, their configuration, and the files to post."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3

from benchmarks.soak.plan import DELETING, EXPORTS, WITH_QUEUE, bucket_of

LAKE_BUCKET, LAKE_PREFIX = "lakes", "soak"
_DAMAGED_EVERY = 5
_FILE_TIME = re.compile(r"_(\d{8}T\d{4})Z_")
_CONFIGURATION = "lake: {lake}\nexports:\n"
_EXPORT = """\
  - name: {name}
    iam_role_arn: {primary_role_arn}
    external_id: made-up-external-id
    region: {bucket_region}
    organization_role: {organization}
    regions_used: [{regions}]
    role_suffix: {secondary_role_name}
    bucket: {bucket}
    collect_metrics: false
    delete_after_read: {deletes}
    start: {start:%Y-%m-%dT%H:00}
"""


def file_times(keys: Iterable[str]) -> Iterator[tuple[str, datetime]]:
    """The keys of files, and the beginning of the window that each is of."""
    for key in keys:
        found = _FILE_TIME.search(key)
        assert found is not None
        yield key, datetime.strptime(found[1], "%Y%m%dT%H%M").replace(tzinfo=UTC)


def files(s3: Any, bucket: str) -> dict[str, bytes]:
    """The log files of the organization, by key; some have a line that is no record, which must be rejected, too."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    bodies = {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in sorted(keys)}
    damaged = list(bodies)[::_DAMAGED_EVERY]
    return bodies | {key: bodies[key] + gzip.compress(b"no record\n", mtime=0) for key in damaged}


def clear_bucket(s3: Any, bucket: str) -> None:
    """Take all objects out of a bucket."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", []):
            s3.delete_object(Bucket=bucket, Key=entry["Key"])


def buckets_and_queues(s3: Any) -> dict[str, str]:
    """Make the buckets; returns the queue of each export that has one, into which its bucket tells what is posted."""
    for bucket in (LAKE_BUCKET, "acme-dagster", *map(bucket_of, EXPORTS)):
        s3.create_bucket(Bucket=bucket)
    sqs = boto3.client("sqs")
    queues = {}
    for export in WITH_QUEUE:
        queues[export] = sqs.create_queue(QueueName=f"{bucket_of(export)}-posted")["QueueUrl"]
        named = sqs.get_queue_attributes(QueueUrl=queues[export], AttributeNames=["QueueArn"])
        told = {"QueueArn": named["Attributes"]["QueueArn"], "Events": ["s3:ObjectCreated:*"]}
        s3.put_bucket_notification_configuration(
            Bucket=bucket_of(export), NotificationConfiguration={"QueueConfigurations": [told]}
        )
    return queues


def configuration(
    folder: Path, organization: Mapping[str, Any], lake: str, start: datetime, queues: Mapping[str, str]
) -> Path:
    """Write kentik.yaml into a new folder; returns its path."""
    shared = {name: organization[name] for name in ("primary_role_arn", "bucket_region", "secondary_role_name")}
    text = _CONFIGURATION.format(lake=lake)
    for name in EXPORTS:
        text += _EXPORT.format(
            name=name, bucket=bucket_of(name), regions=", ".join(organization["regions"]), start=start,
            deletes=str(name in DELETING).lower(), organization=str(name == EXPORTS[0]).lower(), **shared,
        )  # fmt: skip
        text += f"    notification_queue: {queues[name]}\n" if name in queues else ""
    folder.mkdir(parents=True)
    path = folder / "kentik.yaml"
    path.write_text(text)
    return path
