"""Log objects in the bucket: found wherever AWS puts them, for the price of the days that are asked for."""

from __future__ import annotations

import gzip
from datetime import date
from itertools import count

import boto3
import pytest

from kentik_dagster.aws.flow_logs import LogBucket
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.configuration import Export
from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.errors import BucketError, UnreadableObjectError

REGION = "us-east-1"
DAY = date(2026, 11, 23)
NAME = "123456789012_vpcflowlogs_us-east-1_fl-0123456789abcdef0_20261123T0905Z_0a1b2c3d.log.gz"
PLAIN = f"AWSLogs/123456789012/vpcflowlogs/us-east-1/2026/11/23/{NAME}"
HOURLY = f"AWSLogs/123456789012/vpcflowlogs/us-east-1/2026/11/23/09/{NAME}"
HIVE = (
    "AWSLogs/aws-account-id=123456789012/aws-service=vpcflowlogs/aws-region=us-east-1/year=2026/month=11/day=23/" + NAME
)
HIVE_HOURLY_TGW = (
    "AWSLogs/aws-account-id=123456789012/service=vpcflowlogs/aws-region=us-east-1/year=2026/month=11/day=23/hour=09/"
    + NAME
)
_numbers = count(1)


def bucket_with(*keys: str, prefix: str = "") -> LogBucket:
    name = f"listing-{next(_numbers)}"
    client = boto3.client("s3", region_name=REGION)
    client.create_bucket(Bucket=name)
    for key in keys:
        client.put_object(Bucket=name, Key=key, Body=gzip.compress(b"text"))
    export = Export(name="acme", region=REGION, bucket=name, bucket_prefix=prefix, start=DAY)
    return LogBucket(ExportAccess(export, custom_endpoint=True))


@pytest.mark.parametrize("key", [PLAIN, HOURLY, HIVE, HIVE_HOURLY_TGW])
def test_every_layout_of_folders_is_found(aws: Emulator, key: str) -> None:
    found = bucket_with(key).objects([DAY])

    assert found.select("key", "hour", "account_id").rows() == [(key, "2026-11-23T09", "123456789012")]


@pytest.mark.parametrize(
    ("folder", "prefix"),
    [("team/network/", "team/network"), ("team/network/", "team/network/"), ("team/vpc-1/", ""), ("/", ""), ("", "")],
)
def test_logs_below_any_prefix_are_found(aws: Emulator, folder: str, prefix: str) -> None:
    found = bucket_with(folder + PLAIN, prefix=prefix).objects([DAY])

    assert found["key"].to_list() == [folder + PLAIN]


def test_other_days_other_prefixes_and_other_logs_are_left_alone(aws: Emulator) -> None:
    bucket = bucket_with(
        f"ours/{PLAIN}",
        f"theirs/{PLAIN}",
        f"ours/{PLAIN.replace('2026/11/23', '2026/11/22')}",
        f"ours/{PLAIN.replace('vpcflowlogs', 'vpcdnsquerylogs')}",
        "ours/AWSLogs/123456789012/vpcflowlogs/us-east-1/2026/11/23/",
        "ours/AWSLogs/123456789012/vpcflowlogs/us-east-1/2026/11/23/notes.txt",
        prefix="ours",
    )

    assert bucket.objects([DAY])["key"].to_list() == [f"ours/{PLAIN}"]


def test_more_objects_than_a_page_holds_are_all_found(aws: Emulator) -> None:
    keys = [PLAIN.replace("0a1b2c3d", f"{number:08x}") for number in range(120)]

    found = bucket_with(*keys).objects([DAY])

    assert found["key"].to_list() == sorted(keys)
    assert found["source_object"].n_unique() == len(keys)


def test_an_object_that_vanished_is_unreadable_with_the_reason(aws: Emulator) -> None:
    with pytest.raises(UnreadableObjectError, match="vanished between listing and reading"):
        list(bucket_with(PLAIN).chunks(HOURLY, "0" * 32))


def test_an_object_that_was_overwritten_since_it_was_listed_is_not_read_under_its_old_name(aws: Emulator) -> None:
    bucket = bucket_with(PLAIN)
    (etag,) = bucket.objects([DAY])["etag"]
    boto3.client("s3", region_name=REGION).put_object(Bucket=bucket.name, Key=PLAIN, Body=gzip.compress(b"other text"))

    with pytest.raises(UnreadableObjectError, match="overwritten between listing and reading"):
        list(bucket.chunks(PLAIN, etag))


def test_a_bucket_that_is_not_there_is_an_error_and_not_an_empty_list(aws: Emulator) -> None:
    export = Export(name="acme", region=REGION, bucket="there-is-no-such-bucket", start=DAY)

    with pytest.raises(BucketError, match="correct `bucket` of export 'acme'"):
        LogBucket(ExportAccess(export, custom_endpoint=True)).objects([DAY])
