"""Puts a made-up organization's flow log files and metrics into moto, each at its made-up time."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import time_machine

from kentik_dagster.core.randomness import salt
from kentik_dagster.demo.emulated_aws import EmulatedAws
from kentik_dagster.demo.flows import FIELDS, log_objects
from kentik_dagster.demo.moto_corrections import deliver_to_folder
from kentik_dagster.demo.organization import Organization

PERIOD = timedelta(minutes=5)
_DATUMS_PER_CALL = 1_000  # what PutMetricData takes

# One row is one metric: namespace, dimension, the metric's name, its unit, and values are below `limit`.
# fmt: off
_METRICS = (
    ("AWS/EC2",        "InstanceId",   "CPUUtilization",        "Percent", 100),
    ("AWS/EC2",        "InstanceId",   "NetworkIn",             "Bytes",   50_000_000),
    ("AWS/EC2",        "InstanceId",   "NetworkOut",            "Bytes",   20_000_000),
    ("AWS/NATGateway", "NatGatewayId", "BytesOutToDestination", "Bytes",   80_000_000),
    ("AWS/NATGateway", "NatGatewayId", "BytesInFromSource",     "Bytes",   80_000_000),
    ("AWS/NATGateway", "NatGatewayId", "ActiveConnectionCount", "Count",   2_000),
)
# fmt: on


def put_flow_logs(
    aws: EmulatedAws,
    organization: Organization,
    *,
    bucket: str,
    start: datetime,
    end: datetime,
    records_per_object: int,
    objects_per_window: int,
    prefix: str,
    seed: int,
) -> pl.DataFrame:
    """Makes the bucket and puts every file when it would have been posted.

    Returns:
        One row per record in a file, with the truth and the `key` of the file, in the order of the files.
    """
    s3 = aws.client("s3", aws.management_account_id)
    with time_machine.travel(start, tick=False):
        s3.create_bucket(Bucket=bucket)
        _create_flow_logs(aws, organization, bucket, prefix)
    records = []
    for log in log_objects(
        organization,
        start=start,
        end=end,
        records_per_object=records_per_object,
        objects_per_window=objects_per_window,
        prefix=prefix,
        seed=seed,
    ):
        with time_machine.travel(log.posted_at, tick=False):
            s3.put_object(Bucket=bucket, Key=log.key, Body=log.body)
        records.append(log.records.with_columns(key=pl.lit(log.key)))
    return pl.concat(records)


def _create_flow_logs(aws: EmulatedAws, organization: Organization, bucket: str, prefix: str) -> None:
    folder = f"{prefix.strip('/')}/".lstrip("/")
    for account_id, region, vpc_id in organization.vpcs.select("account_id", "region", "vpc_id").iter_rows():
        answer = aws.client("ec2", account_id, region).create_flow_logs(
            ResourceType="VPC",
            ResourceIds=[vpc_id],
            TrafficType="ALL",
            LogDestinationType="s3",
            LogDestination=f"arn:aws:s3:::{bucket}",
            LogFormat=" ".join(f"${{{field}}}" for field in FIELDS),
        )
        deliver_to_folder(account_id, region, answer["FlowLogIds"][0], f"arn:aws:s3:::{bucket}/{folder}")


def put_metrics(aws: EmulatedAws, organization: Organization, *, start: datetime, end: datetime, seed: int) -> int:
    """Puts one datapoint per metric, resource and five minutes, in the resource's account and region.

    Returns:
        How many datapoints.
    """
    instances = organization.interfaces.filter(pl.col("instance_id").is_not_null())
    resources = {
        "InstanceId": instances.select("account_id", "region", resource_id="instance_id"),
        "NatGatewayId": organization.nat_gateways.select("account_id", "region", resource_id="nat_gateway_id"),
    }
    times = [start + PERIOD * number for number in range((end - start) // PERIOD)]
    count = 0
    for namespace, dimension, metric, unit, limit in _METRICS:
        for (account_id, region), rows in resources[dimension].group_by("account_id", "region", maintain_order=True):
            datums: list[dict[str, Any]] = [
                {
                    "MetricName": metric,
                    "Dimensions": [{"Name": dimension, "Value": resource_id}],
                    "Timestamp": timestamp,
                    "Value": salt(seed, metric, resource_id, timestamp.isoformat()) % (100 * limit) / 100,
                    "Unit": unit,
                }
                for resource_id in rows["resource_id"]
                for timestamp in times
            ]
            cloudwatch = aws.client("cloudwatch", str(account_id), str(region))
            for first in range(0, len(datums), _DATUMS_PER_CALL):
                cloudwatch.put_metric_data(Namespace=namespace, MetricData=datums[first : first + _DATUMS_PER_CALL])
            count += len(datums)
    return count


def write_truth(folder: Path, organization: Organization, records: pl.DataFrame) -> None:
    """Writes `truth.parquet` (the records) and `organization/<thing>.parquet` into the folder."""
    (folder / "organization").mkdir(parents=True, exist_ok=True)
    records.write_parquet(folder / "truth.parquet")
    for name, frame in organization.frames().items():
        frame.write_parquet(folder / "organization" / f"{name}.parquet")
