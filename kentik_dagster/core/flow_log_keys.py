"""What the S3 key of a log object says: account, region, firewall, time of the file, and so its hour partition."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import polars as pl

from kentik_dagster.core.schemas import require

# <account>_vpcflowlogs_<region>_<flow log id>_<yyyyMMdd>T<HHmm>Z_<hash>.log.gz
# https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-path.html
# The folders before it may be plain, hourly or Hive, and are not needed: the name says it all.
_FLOW_LOG = (
    r"(?:^|/)AWSLogs/(?:[^/]*/)+"
    r"(?<account_id>\d{12})_vpcflowlogs_(?<region>[a-z0-9-]+)_(?<flow_log_id>fl-[0-9a-f]+)"
    r"_(?<day>20\d{6})T(?<clock>\d{4})Z_[^_/]+?\.log\.(?<format>gz|parquet)$"
)
# <account>/network-firewall/<type>/<region>/<firewall>/<yyyy>/<MM>/<dd>/<HH>/
#     <account>_network-firewall_<type>_<region>_<firewall>_<yyyyMMddHHmm>_<hash>.log.gz
# https://docs.aws.amazon.com/network-firewall/latest/developerguide/logging-s3.html
# That page writes the time as YYYYMMDDTHHmmZ, its example and real keys without T and Z. No other service's folder
# can stand between AWSLogs/ and the file, so this is the last AWSLogs/ of the key.
_FIREWALL_LOG = (
    r"(?:^|/)AWSLogs/+(?<account_id>\d{12})/+network-firewall/+(?<firewall_log_type>flow|alert|tls)"
    r"/+(?<region>[a-z0-9-]+)/+(?<firewall_name>[^/]+)/+(?:\d{2,4}/+){3,4}"
    r"\d{12}_network-firewall_(?:flow|alert|tls)_[^/]+"
    r"_(?<day>20\d{6})T?(?<clock>\d{4})Z?_[^_/]+?\.log\.(?<format>gz)$"
)
# The folders that AWS writes the two families into.
FLOW_LOGS, FIREWALL_LOGS = "vpcflowlogs", "network-firewall"
_SAID = ("account_id", "region", "flow_log_id", "firewall_name", "firewall_log_type", "family", "format")
HOUR_FORMAT = "%Y-%m-%dT%H"


def log_objects(listed: pl.DataFrame) -> pl.DataFrame:
    """The flow log and firewall log objects among listed S3 objects.

    Args:
        listed: one row per S3 object: `bucket`, `key`, `etag` (strings), and whatever else.

    Returns:
        The rows of `listed` whose key is that of a VPC, transit gateway or Network Firewall log, in the same order,
        plus `account_id`, `region`, `flow_log_id` (null for a firewall's), `firewall_name` and `firewall_log_type`
        ("flow", "alert" or "tls"; both null for a flow log's), `family` ("vpcflowlogs" or "network-firewall"),
        `format` ("gz" or "parquet"), `file_time` (UTC), `hour` ("2026-11-23T03") and `source_object`.
    """
    require(listed, "bucket", "key", "etag", by="log_objects")
    flow_log = pl.col("key").str.extract_groups(_FLOW_LOG).struct
    firewall = pl.col("key").str.extract_groups(_FIREWALL_LOG).struct
    is_firewall = pl.col("firewall_name").is_not_null()
    known = (
        listed.with_columns(
            *(
                pl.coalesce(flow_log.field(name), firewall.field(name)).alias(name)
                for name in ("account_id", "region", "format", "day", "clock")
            ),
            flow_log.field("flow_log_id"),
            firewall.field("firewall_name"),
            firewall.field("firewall_log_type"),
        )
        .with_columns(
            family=pl.when(is_firewall).then(pl.lit(FIREWALL_LOGS)).otherwise(pl.lit(FLOW_LOGS)),
            file_time=pl.concat_str("day", "clock", separator="T").str.to_datetime(
                "%Y%m%dT%H%M", time_unit="us", time_zone="UTC", strict=False
            ),
        )
        .filter(pl.col("file_time").is_not_null())
    )
    return known.select(
        *listed.columns,
        *_SAID,
        "file_time",
        hour=pl.col("file_time").dt.strftime(HOUR_FORMAT),
        source_object=pl.concat_str(pl.col("file_time").dt.strftime("%Y%m%dT%H%MZ_"), _digests(known)),
    )


def _digests(objects: pl.DataFrame) -> pl.Series:
    """The part of each object's short name that tells it from others of its time."""
    contents = objects.select(pl.concat_str("bucket", "key", pl.col("etag").str.strip_chars('"'), separator="/"))
    # Polars has no hash that is the same in every release, so this one thing is done object by object.
    return pl.Series([_digest(content) for content in contents.to_series()], dtype=pl.String)


def _digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def source_object(bucket: str, key: str, etag: str, file_time: datetime) -> str:
    """The short name of an object's content: the same bytes at the same place have the same name for ever.

    The part that varies stands first, and all of it fits the 64 characters of Delta's file statistics.
    """
    return f"{file_time:%Y%m%dT%H%MZ}_{_digest(f'{bucket}/{key}/{etag.strip(chr(34))}')}"


def hour_of(instant: datetime) -> str:
    """The hour partition that an instant lies in."""
    return instant.astimezone(UTC).strftime(HOUR_FORMAT)


def hour_start(hour: str) -> datetime:
    """The first instant of an hour partition."""
    return datetime.strptime(hour, HOUR_FORMAT).replace(tzinfo=UTC)
