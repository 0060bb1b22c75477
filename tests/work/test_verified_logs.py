"""What `verify` says of the log bucket and the queue, over the emulator's real S3 and SQS."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from itertools import count
from typing import Any

import boto3
import pytest

from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.configuration import Export
from kentik_dagster.core.verification import Finding, Status
from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.work.verification import verify_lake
from kentik_dagster.work.verified_logs import verify_bucket, verify_deletion, verify_queue

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = (
    "AWSLogs/123456789012/vpcflowlogs/us-east-1/2026/11/23/123456789012_vpcflowlogs_us-east-1_fl-0123456789abcdef0_"
    "20261123T1100Z_0123abcd.log.gz"
)
TEXT = b"version account-id interface-id srcaddr dstaddr\n2 123456789012 eni-1 10.0.0.1 10.0.0.2\n"
_numbers = count(1)


@pytest.fixture
def bucket(aws: Emulator) -> str:
    name = f"verified-{next(_numbers)}"
    boto3.client("s3").create_bucket(Bucket=name)
    return name


def access(bucket: str, **changes: Any) -> ExportAccess:
    values = {"name": "acme", "region": "us-east-1", "bucket": bucket, "start": "2026-11-01"} | changes
    return ExportAccess(Export.model_validate(values), custom_endpoint=True)


def said(bucket: str, **changes: Any) -> dict[str, Finding]:
    """What is said of the bucket and of its newest object."""
    return {finding.check: finding for finding in verify_bucket(access(bucket, **changes), NOW)}


def test_a_log_object_that_can_be_read(bucket: str) -> None:
    boto3.client("s3").put_object(Bucket=bucket, Key=KEY, Body=gzip.compress(TEXT))

    found = said(bucket)

    assert {finding.status for finding in found.values()} == {Status.OK}
    assert found["log_object"].says == f"{KEY} gave 1 rows"


def test_a_bucket_that_is_not_there(aws: Emulator) -> None:
    found = said("there-is-none")

    assert found["bucket"].status is Status.FAILED
    assert "correct `bucket` of export 'acme'" in found["bucket"].to_do
    assert found["log_object"].status is Status.SKIPPED


def test_a_bucket_in_another_region(aws: Emulator) -> None:
    name = f"verified-{next(_numbers)}"
    place = {"LocationConstraint": "eu-west-1"}
    boto3.client("s3", region_name="eu-west-1").create_bucket(Bucket=name, CreateBucketConfiguration=place)

    finding = next(iter(verify_bucket(access(name), NOW)))

    assert (finding.check, finding.status) == ("bucket", Status.WARNING)
    assert finding.to_do.startswith("write region: eu-west-1")


def test_a_bucket_without_logs(bucket: str) -> None:
    finding = said(bucket)["log_object"]

    assert finding.status is Status.WARNING
    assert "wait a quarter of an hour" in finding.to_do


@pytest.mark.parametrize(
    ("body", "storage_class", "says"),
    [
        (gzip.compress(TEXT)[:-9], "STANDARD", "the object is not whole gzip"),
        (gzip.compress(TEXT), "GLACIER", "the object is archived"),
        (gzip.compress(TEXT.replace(b" 10.0.0.2", b"")), "STANDARD", "no line can be read"),
    ],
    ids=["cut off", "archived", "a field missing"],
)
def test_a_log_object_that_cannot_be_read(body: bytes, storage_class: Any, says: str, bucket: str) -> None:
    boto3.client("s3").put_object(Bucket=bucket, Key=KEY, Body=body, StorageClass=storage_class)

    finding = said(bucket)["log_object"]

    assert finding.status is Status.FAILED
    assert says in finding.says
    assert finding.to_do


def test_deletion_is_asked_for_and_nothing_is_deleted(bucket: str) -> None:
    s3 = boto3.client("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=bucket, Key=KEY, Body=b"")

    assert verify_deletion(access(bucket)).status is Status.SKIPPED
    assert verify_deletion(access(bucket, delete_after_read=True)).status is Status.OK
    s3.put_object(Bucket=bucket, Key="AWSLogs/kentik-dagster-permission-probe", Body=b"of that very name")
    assert verify_deletion(access(bucket, delete_after_read=True)).status is Status.OK
    versions = s3.list_object_versions(Bucket=bucket)
    assert len(versions["Versions"]) == 2
    assert "DeleteMarkers" not in versions


def queue(bucket: str, *, policy: bool = True, events: str = "s3:ObjectCreated:*", prefix: str = "") -> str:
    """A queue that the bucket notifies."""
    sqs, name = boto3.client("sqs"), f"verified-{next(_numbers)}"
    url: str = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:123456789012:{name}"
    principal = "s3.amazonaws.com" if policy else "events.amazonaws.com"
    statement = {"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sqs:SendMessage", "Resource": arn}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document})
    told: dict[str, Any] = {"QueueArn": arn, "Events": [events]}
    if prefix:
        told["Filter"] = {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}}
    boto3.client("s3").put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [told]}
    )
    return url


def of_queue(bucket: str, url: str, **changes: Any) -> dict[str, Finding]:
    return {finding.check: finding for finding in verify_queue(access(bucket, notification_queue=url, **changes))}


def test_a_queue_that_the_bucket_feeds(bucket: str) -> None:
    url = queue(bucket)
    boto3.client("sqs").purge_queue(QueueUrl=url)  # the event that tests the notification
    boto3.client("sqs").send_message(QueueUrl=url, MessageBody="{}")

    found = of_queue(bucket, url)

    assert {finding.status for finding in found.values()} == {Status.OK}
    waiting = boto3.client("sqs").receive_message(QueueUrl=url)
    assert len(waiting["Messages"]) == 1, "what was looked at is there for the sensor"


def test_a_queue_that_is_not_there(bucket: str) -> None:
    found = of_queue(bucket, queue(bucket) + "-missing")

    assert found["queue"].to_do == "correct notification_queue of export 'acme'"


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ({"prefix": "reports/"}, "notifies this queue of other objects"),
        ({"events": "s3:ObjectRemoved:*"}, "notifies this queue of other objects"),
        ({"policy": False}, "the queue's policy does not admit"),
    ],
)
def test_a_queue_that_the_bucket_does_not_feed(made: dict[str, Any], says: str, bucket: str) -> None:
    finding = of_queue(bucket, queue(bucket, **made))["queue_feed"]

    assert finding.status is Status.FAILED
    assert says in finding.says
    assert finding.to_do


def test_a_bucket_that_notifies_nobody(bucket: str) -> None:
    other = f"verified-{next(_numbers)}"
    boto3.client("s3").create_bucket(Bucket=other)

    finding = of_queue(other, queue(bucket))["queue_feed"]

    assert "notifies nobody who could feed it" in finding.says


def test_a_lake_on_s3_takes_conditional_writes_and_keeps_no_probe(bucket: str) -> None:
    assert verify_lake(f"s3://{bucket}/kentik", "us-east-1").status is Status.OK
    assert "Contents" not in boto3.client("s3").list_objects_v2(Bucket=bucket)


def test_a_lake_in_a_bucket_that_is_not_there(aws: Emulator) -> None:
    finding = verify_lake("s3://there-is-none/kentik", "us-east-1")

    assert finding.to_do == "create the bucket, or correct lake in kentik.yaml"
