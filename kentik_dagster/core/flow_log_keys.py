"""What the S3 key of a flow log object says: account, region, time of the file, and so its hour partition."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import polars as pl

from kentik_dagster.core.schemas import require

# <account>_vpcflowlogs_<region>_<flow log id>_<yyyyMMdd>T<HHmm>Z_<hash>.log.gz
# https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-path.html
# The folders before it may be plain, hourly or Hive, and are not needed: the name says it all.
_FILE_NAME = (
    r"(?:^|/)AWSLogs/(?:[^/]*/)+"
    r"(?<account_id>\d{12})_vpcflowlogs_(?<region>[a-z0-9-]+)_(?<flow_log_id>fl-[0-9a-f]+)"
    r"_(?<file_time>\d{8}T\d{4})Z_(?<file_hash>[^_/]+?)\.log\.(?<format>gz|parquet)$"
)
HOUR_FORMAT = "%Y-%m-%dT%H"


def flow_log_objects(listed: pl.DataFrame) -> pl.DataFrame:
    """The flow log objects among listed S3 objects.

    Args:
        listed: one row per S3 object: `bucket`, `key`, `etag` (strings), and whatever else.

    Returns:
        The rows of `listed` whose key is a VPC or transit gateway flow log's, in the same order, plus
        `account_id`, `region`, `flow_log_id`, `format` ("gz" or "parquet"), `file_time` (UTC),
        `hour` ("2026-11-23T03") and `source_object`.
    """
    require(listed, "bucket", "key", "etag", by="flow_log_objects")
    parts = pl.col("key").str.extract_groups(_FILE_NAME)
    known = listed.with_columns(parts.alias("parts")).unnest("parts").filter(pl.col("account_id").is_not_null())
    time = pl.col("file_time").str.to_datetime("%Y%m%dT%H%M", time_unit="us", time_zone="UTC", strict=False)
    return (
        known.with_columns(file_time=time)
        .filter(pl.col("file_time").is_not_null())
        .drop("file_hash")
        .with_columns(
            hour=pl.col("file_time").dt.strftime(HOUR_FORMAT),
            source_object=pl.struct("bucket", "key", "etag", "file_time").map_elements(
                _source_object, return_dtype=pl.String
            ),
        )
    )


def _source_object(s3_object: dict[str, object]) -> str:
    time = s3_object["file_time"]
    assert isinstance(time, datetime)
    return source_object(str(s3_object["bucket"]), str(s3_object["key"]), str(s3_object["etag"]), time)


def source_object(bucket: str, key: str, etag: str, file_time: datetime) -> str:
    """The short name of an object's content: the same bytes at the same place have the same name for ever.

    The part that varies stands first, and all of it fits the 64 characters of Delta's file statistics.
    """
    digest = hashlib.sha256(f"{bucket}/{key}/{etag.strip(chr(34))}".encode()).hexdigest()
    return f"{file_time:%Y%m%dT%H%MZ}_{digest[:12]}"


def hour_of(instant: datetime) -> str:
    """The hour partition that an instant lies in."""
    return instant.astimezone(UTC).strftime(HOUR_FORMAT)


def hour_start(hour: str) -> datetime:
    """The first instant of an hour partition."""
    return datetime.strptime(hour, HOUR_FORMAT).replace(tzinfo=UTC)
