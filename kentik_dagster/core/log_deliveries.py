"""Where flow logs and firewalls deliver to, whether they can, and whether this deployment reads it there."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from kentik_dagster.core.resource_states import of_type

_FLOW_LOG = pl.Struct(
    {
        "ResourceId": pl.String,
        "FlowLogStatus": pl.String,
        "DeliverLogsStatus": pl.String,
        "DeliverLogsErrorMessage": pl.String,
        "LogDestinationType": pl.String,
        "LogDestination": pl.String,
        "LogGroupName": pl.String,
        "TrafficType": pl.String,
    }
)
_FIREWALL_DESTINATION = pl.Struct(
    {
        "LogType": pl.String,
        "LogDestinationType": pl.String,
        "LogDestination": pl.Struct(dict.fromkeys(("bucketName", "prefix", "logGroup", "deliveryStream"), pl.String)),
    }
)
_FIREWALL_LOGGING = pl.Struct(
    {"LoggingConfiguration": pl.Struct({"LogDestinationConfigs": pl.List(_FIREWALL_DESTINATION)})}
)


# From worst to best: how well one flow log serves, and so how well a thing is covered.
LEVELS = ("none", "elsewhere", "unhealthy", "read")
NONE, ELSEWHERE, UNHEALTHY, READ = range(len(LEVELS))

# Bucket and prefix, or "", of each export that reads logs.
Places = Collection[tuple[str, str]]


def flow_log_deliveries(once: pl.DataFrame, places: Places) -> pl.DataFrame:
    """How each flow log serves.

    Args:
        once: resources with their attributes, each once.

    Returns:
        One row per flow log: `part` (what it logs), `flow_log_id`, `level` (of LEVELS, never NONE), `fault` (text;
        null where it is read; of one that delivers elsewhere, where), `traffic_type`.
    """
    status, delivery = pl.col("FlowLogStatus"), pl.col("DeliverLogsStatus")
    kind = pl.col("LogDestinationType").fill_null("cloud-watch-logs")
    target = pl.coalesce("LogDestination", "LogGroupName")
    in_s3 = target.str.extract_groups(r"^arn:[^:]*:s3:::(?<bucket>[^/]+)/?(?<folder>.*)$").struct
    error = pl.col("DeliverLogsErrorMessage").fill_null("AWS does not say why")
    remedy = (
        pl.when(error == "Access error")
        .then(pl.format("let the policies of bucket {} and of its KMS key admit delivery.logs.amazonaws.com", "bucket"))
        .otherwise(pl.lit("if that lasts, delete it, and create it anew"))
    )
    not_delivered = pl.format("{} cannot deliver: {}: {}", "flow_log_id", error, remedy)
    not_active = pl.format(
        "{} is not active (its status: {}): delete it, and create it anew", "flow_log_id", status.fill_null("none")
    )
    return (
        of_type(once, "flow_log", _FLOW_LOG)
        .select(pl.col("resource_id").alias("flow_log_id"), "attributes")
        .unnest("attributes")
        .with_columns(
            part="ResourceId",
            traffic_type="TrafficType",
            bucket=pl.when(kind == "s3").then(in_s3.field("bucket")),
            folder=_as_folder(in_s3.field("folder")),
            other=_other(kind, target),
        )
        .with_columns(is_read=_is_read(places))
        .with_columns(
            fault=pl.when(~pl.col("is_read"))
            .then(_destination())
            .when(delivery == "FAILED")
            .then(not_delivered)
            .when(status.ne_missing("ACTIVE"))
            .then(not_active)
        )
        .select("part", "flow_log_id", _level(), "fault", "traffic_type")
    )


def firewall_deliveries(once: pl.DataFrame, places: Places) -> pl.DataFrame:
    """How each destination of a firewall's flows serves: the columns of `flow_log_deliveries`, without ids."""
    kind = pl.col("LogDestinationType")
    logging = pl.col("attributes").struct.field("LoggingConfiguration")
    return (
        of_type(once, "logging_configuration", _FIREWALL_LOGGING)
        .select(
            pl.col("resource_id").alias("part"),
            logging.struct.field("LogDestinationConfigs").alias("destination"),
        )
        .explode("destination")
        .unnest("destination")
        .filter(pl.col("LogType") == "FLOW")
        .unnest("LogDestination")
        .with_columns(
            flow_log_id=pl.lit(None, dtype=pl.String),
            traffic_type=pl.lit(None, dtype=pl.String),
            bucket=pl.when(kind == "S3").then("bucketName"),
            folder=_as_folder(pl.col("prefix")),
            other=_other(kind, pl.coalesce("logGroup", "deliveryStream")),
        )
        .with_columns(is_read=_is_read(places))
        .with_columns(fault=pl.when(~pl.col("is_read")).then(_destination()))
        .select("part", "flow_log_id", _level(), "fault", "traffic_type")
    )


def named(places: Places) -> str:
    """The places as a person types them."""
    return " or ".join(sorted({f"s3://{bucket}/{_folder(prefix)}" for bucket, prefix in places})) or (
        "a bucket, with an export that reads it"
    )


def _level() -> pl.Expr:
    served = pl.when(pl.col("fault").is_null()).then(READ).otherwise(UNHEALTHY)
    return pl.when("is_read").then(served).otherwise(ELSEWHERE).alias("level")


def _destination() -> pl.Expr:
    in_s3 = pl.format("s3://{}/{}", "bucket", "folder")
    return pl.when(pl.col("bucket").is_null()).then("other").otherwise(in_s3)


def _other(kind: pl.Expr, target: pl.Expr) -> pl.Expr:
    """A destination that is not in S3: no export can read it."""
    return pl.concat_str(kind, target, separator=" ", ignore_nulls=True)


def _as_folder(prefix: pl.Expr) -> pl.Expr:
    """A prefix as keys begin with it: with a slash at its end, or nothing. Other slashes are part of the name."""
    prefix = prefix.fill_null("")
    return pl.when((prefix == "") | prefix.str.ends_with("/")).then(prefix).otherwise(prefix + "/")


def _folder(prefix: str) -> str:
    return prefix if not prefix or prefix.endswith("/") else f"{prefix}/"


def _is_read(places: Places) -> pl.Expr:
    """Whether `bucket` and `folder` lie in one of the places."""
    reads = [
        (pl.col("bucket") == bucket) & pl.col("folder").str.starts_with(_folder(prefix)) for bucket, prefix in places
    ]
    return pl.any_horizontal(pl.lit(False), *reads).fill_null(False)
