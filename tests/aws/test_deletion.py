"""Deleting from S3: only what was read, whatever the endpoint makes of conditions."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import boto3
import polars as pl
import pytest

from kentik_dagster.aws.deletion import DELETED_AGAIN, VERSION_STAYS, delete_objects
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.configuration import Export
from kentik_dagster.core.deletion import refused_deletions
from kentik_dagster.demo.emulator_process import Emulator
from tests.aws.deleting_endpoint import DeletingEndpoint

REGION = "us-east-1"
FOLDER = "AWSLogs/123456789012/vpcflowlogs/us-east-1/2026/11/23"
MANY = 1_500
_numbers = count(1)


def s3() -> Any:
    return boto3.client("s3", region_name=REGION)


def access(bucket: str) -> ExportAccess:
    export = Export(name="acme", region=REGION, bucket=bucket, bucket_prefix="logs", start="2026-11-01")
    return ExportAccess(export, custom_endpoint=True)


def bucket_with(*keys: str, **options: Any) -> tuple[str, pl.DataFrame]:
    """A new bucket, and its objects as they were read: `key`, `etag`."""
    bucket = f"deletion-{next(_numbers)}"
    s3().create_bucket(Bucket=bucket, **options)
    return bucket, put(bucket, *keys)


def put(bucket: str, *keys: str, text: bytes = b"text") -> pl.DataFrame:
    etags = [s3().put_object(Bucket=bucket, Key=key, Body=text, ChecksumAlgorithm="CRC32")["ETag"] for key in keys]
    return read(zip(keys, etags, strict=True))


def read(objects: Any) -> pl.DataFrame:
    rows = [(key, etag.strip('"')) for key, etag in objects]
    return pl.DataFrame(rows, schema={"key": pl.String, "etag": pl.String}, orient="row")


def keys_in(bucket: str) -> list[str]:
    pages = s3().get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def names(how_many: int) -> list[str]:
    return [f"{FOLDER}/{number:05d}.log.gz" for number in range(how_many)]


class TestTheEmulator:
    """moto honours If-Match, and ignores the ETag of DeleteObjects."""

    def test_what_was_read_is_deleted(self, aws: Emulator) -> None:
        bucket, objects = bucket_with("a.log.gz", "b.log.gz")

        results = delete_objects(access(bucket), bucket, objects)

        assert results.select("key", "outcome", "error").rows() == [
            ("a.log.gz", "deleted", None),
            ("b.log.gz", "deleted", None),
        ]
        assert keys_in(bucket) == []

    @pytest.mark.parametrize("how_many", [1, 40])
    def test_what_was_overwritten_survives(self, aws: Emulator, how_many: int) -> None:
        bucket, objects = bucket_with(*names(how_many))
        put(bucket, names(how_many)[0], text=b"other text")

        results = delete_objects(access(bucket), bucket, objects)

        assert results["outcome"].to_list() == ["changed"] + ["deleted"] * (how_many - 1)
        assert keys_in(bucket) == names(how_many)[:1]

    def test_what_is_gone_is_said_to_be_gone(self, aws: Emulator) -> None:
        bucket, objects = bucket_with("a.log.gz")
        s3().delete_object(Bucket=bucket, Key="a.log.gz")

        results = delete_objects(access(bucket), bucket, objects)

        assert results["outcome"].to_list() == ["already_gone"]

    def test_in_a_versioned_bucket_readers_lose_the_object_and_a_version_stays(self, aws: Emulator) -> None:
        bucket, _ = bucket_with()
        s3().put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        objects = put(bucket, "a.log.gz")

        first = delete_objects(access(bucket), bucket, objects)
        second = delete_objects(access(bucket), bucket, objects)

        assert first.select("outcome", "error").rows() == [("deleted", VERSION_STAYS)]
        assert second["outcome"].to_list() == ["already_gone"]
        assert keys_in(bucket) == []
        versions = s3().list_object_versions(Bucket=bucket)
        assert [marker["Key"] for marker in versions["DeleteMarkers"]] == ["a.log.gz"]
        assert [version["Key"] for version in versions["Versions"]] == ["a.log.gz"]

    def test_object_lock_keeps_the_version_and_not_the_name(self, aws: Emulator) -> None:
        bucket, _ = bucket_with(ObjectLockEnabledForBucket=True)
        retention = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
        s3().put_object_lock_configuration(
            Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": retention}
        )
        objects = put(bucket, "a.log.gz")

        results = delete_objects(access(bucket), bucket, objects)

        assert results.select("outcome", "error").rows() == [("deleted", VERSION_STAYS)]
        assert keys_in(bucket) == []
        assert len(s3().list_object_versions(Bucket=bucket)["Versions"]) == 1

    def test_a_bucket_that_is_not_there_is_an_outcome_and_no_exception(self, aws: Emulator) -> None:
        results = delete_objects(access("no-such-bucket"), "no-such-bucket", read([("a.log.gz", "0" * 32)]))

        assert results["outcome"].to_list() == ["failed"]
        assert results["error"][0].startswith("NoSuchBucket: ")

    def test_nothing_to_delete_asks_nothing(self, aws: Emulator) -> None:
        assert delete_objects(access("no-such-bucket"), "no-such-bucket", read([])).is_empty()


class TestAnyEndpoint:
    """What is asked of an endpoint depends on what it has proven."""

    @pytest.fixture
    def endpoint(self, aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[DeletingEndpoint]:
        with DeletingEndpoint(objects=dict.fromkeys(names(MANY), "0a")) as endpoint:
            monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint.url)
            monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)
            yield endpoint

    @pytest.fixture
    def objects(self) -> pl.DataFrame:
        return read((name, "0a") for name in names(MANY))

    def test_that_honours_the_etags_of_a_bulk_deletes_a_thousand_at_a_time(
        self, endpoint: DeletingEndpoint, objects: pl.DataFrame
    ) -> None:
        endpoint.objects[names(MANY)[7]] = "0b"
        del endpoint.objects[names(MANY)[8]]

        results = delete_objects(access("logs"), "logs", objects)

        assert results["outcome"].to_list() == ["deleted"] * 7 + ["changed", "already_gone"] + ["deleted"] * (MANY - 9)
        assert endpoint.objects == {names(MANY)[7]: "0b"}
        assert endpoint.requests == {"DeleteObjects": 3, "DeleteObject": 0}

    def test_that_ignores_the_etags_of_a_bulk_is_asked_one_by_one(
        self, endpoint: DeletingEndpoint, objects: pl.DataFrame
    ) -> None:
        endpoint.bulk_is_conditional = False
        endpoint.objects[names(MANY)[7]] = "0b"

        results = delete_objects(access("logs"), "logs", objects.head(50))

        assert results["outcome"].to_list() == ["deleted"] * 7 + ["changed"] + ["deleted"] * 42
        assert names(MANY)[7] in endpoint.objects
        assert endpoint.requests == {"DeleteObjects": 1, "DeleteObject": 51}

    @pytest.mark.parametrize("how_many", [2, MANY])
    def test_that_ignores_every_condition_deletes_nothing_for_us(
        self, endpoint: DeletingEndpoint, objects: pl.DataFrame, how_many: int
    ) -> None:
        endpoint.bulk_is_conditional = endpoint.single_is_conditional = False

        results = delete_objects(access("logs"), "logs", objects.head(how_many))

        assert results["outcome"].unique().to_list() == ["failed"]
        assert results["error"][0].startswith(f"NotConditional: {endpoint.url} ignores If-Match")
        assert len(endpoint.objects) == MANY

    def test_that_denies_some_keys_of_a_bulk_deletes_the_others(
        self, endpoint: DeletingEndpoint, objects: pl.DataFrame
    ) -> None:
        endpoint.refuses = {names(MANY)[3]: "AccessDenied"}

        results = delete_objects(access("logs"), "logs", objects)

        (failed,) = results.filter(pl.col("outcome") != "deleted").to_dicts()
        assert failed["key"] == names(MANY)[3]
        assert "s3:DeleteObject and s3:GetObject on arn:aws:s3:::logs/logs*" in failed["error"]
        assert refused_deletions(results)["key"].to_list() == [names(MANY)[3]]

    def test_that_refuses_a_bulk_as_a_whole_is_asked_one_by_one(
        self, endpoint: DeletingEndpoint, objects: pl.DataFrame
    ) -> None:
        endpoint.refuses_bulks = True

        results = delete_objects(access("logs"), "logs", objects.head(30))

        assert results["outcome"].to_list() == ["deleted"] * 30

    def test_that_asks_to_slow_down_is_an_outcome_for_the_next_sweep(
        self, endpoint: DeletingEndpoint, objects: pl.DataFrame
    ) -> None:
        endpoint.refuses = dict.fromkeys(names(20), "SlowDown")

        results = delete_objects(access("logs"), "logs", objects.head(20))

        assert results["outcome"].unique().to_list() == ["failed"]
        assert results["error"][0].startswith("SlowDown: ")
        assert refused_deletions(results).is_empty()

    def test_whose_answer_was_lost_has_deleted_the_object_all_the_same(
        self, endpoint: DeletingEndpoint, objects: pl.DataFrame
    ) -> None:
        endpoint.loses_first_answer_to = names(MANY)[0]

        results = delete_objects(access("logs"), "logs", objects.head(1))

        assert results.select("outcome", "error").rows() == [("deleted", DELETED_AGAIN)]
