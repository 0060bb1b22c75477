"""How the deployment is: the state of each export, each account and each network, as the tables tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import polars as pl

from kentik_dagster.core.metadata_health import degraded_operations, unreachable_accounts
from kentik_dagster.core.schemas import require

# How far back lag, rates of objects and errors are looked at.
RECENT = timedelta(hours=24)
# AWS posts every five or ten minutes, even without traffic.
_SILENT_AFTER = timedelta(hours=1)
_SNAPSHOT_OLD_AFTER = timedelta(hours=1)


class State(StrEnum):
    """The state of an export, in Kentik's words."""

    START = "Start"  # nothing was collected yet
    PENDING = "Pending"  # something was, and not yet all that it is for
    OK = "OK"
    ERROR = "Error"
    DISABLED = "Disabled"  # the configuration does not have it any more; its tables stay


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """What the configuration says of an export."""

    name: str
    description: str = ""
    collects_logs: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Everything, as of one instant; problems come first in each frame.

    Attributes:
        exports: one row per export: `export`, `state`, `reason`, `to_do`, `accounts`, `reached`, `objects`, `rows`,
            `rejected_lines`, `unreadable`, `newest_posted_at`, `lag_p50`, `lag_p95` (seconds from posted to in the
            tables; objects of the last RECENT).
        accounts: one row per account: `account_id`, `name`, `export`, `state` (OK, Error, Pending), `reason`,
            `operations` (that answer), `denied`, `last_observed_at`.
        denied: one row per account, region and operation that is denied or does not answer.
        networks: one row per device of `cloud_devices`, with `coverage` and `reason` of the metadata.
        errors: the newest objects that could not be read: `export`, `key`, `error`, `ingested_at`.
    """

    at: datetime
    exports: pl.DataFrame
    accounts: pl.DataFrame
    denied: pl.DataFrame
    networks: pl.DataFrame
    errors: pl.DataFrame

    @property
    def has_errors(self) -> bool:
        """Whether an export is in Error."""
        return State.ERROR in self.exports["state"].to_list()


def status_of(
    configured: Sequence[Configured],
    *,
    accounts: pl.DataFrame,
    calls: pl.DataFrame,
    objects: pl.DataFrame,
    devices: pl.DataFrame,
    coverage: pl.DataFrame,
    actions: Mapping[tuple[str, str], str],
    at: datetime,
) -> Status:
    """The state of everything.

    Args:
        accounts: rows of `org_accounts`.
        calls: rows of `metadata_calls` that are about network metadata.
        objects: rows of `flow_log_objects`: the newest hour of each export, and those of the last RECENT.
        devices: rows of `cloud_devices`.
        coverage: rows of `log_coverage`.
        actions: the IAM action of each service and operation.
        at: the present.

    Raises:
        MissingColumnsError: a frame lacks a column.
    """
    require(accounts, "account_id", "name", "export", "state", "is_blocked", by="status_of")
    require(objects, "export", "outcome", "posted_at", "ingested_at", "rows", "rejected_lines", by="status_of")
    denied = degraded_operations(calls, actions)
    told = _accounts(accounts, calls, denied, at)
    errors = objects.filter(pl.col("outcome") == "unreadable").sort("ingested_at", descending=True)
    return Status(
        at=at,
        exports=_exports(configured, accounts, told, objects, at),
        accounts=told,
        denied=denied,
        networks=_networks(devices, coverage),
        errors=errors.select("export", "key", "error", "ingested_at"),
    )


def _accounts(accounts: pl.DataFrame, calls: pl.DataFrame, denied: pl.DataFrame, at: datetime) -> pl.DataFrame:
    refused = unreachable_accounts(calls).select("account_id", refused="error_message")
    asked = calls.filter(pl.col("operation") != "assume_role")
    counts = asked.group_by("account_id").agg(
        (pl.col("outcome") == "observed").sum().alias("operations"), pl.col("last_observed_at").max()
    )
    missing = denied.group_by("account_id").agg(
        pl.len().alias("denied"), pl.col("missing_action").drop_nulls().unique().sort().str.join(", ").alias("actions")
    )
    is_old = (pl.lit(at) - pl.col("last_observed_at")) > _SNAPSHOT_OLD_AFTER
    wanted = accounts.filter(pl.col("state") == "ACTIVE", ~pl.col("is_blocked"))
    return (
        wanted.select("account_id", "name", "export")
        .unique("account_id", keep="first", maintain_order=True)
        .join(refused, on="account_id", how="left")
        .join(counts, on="account_id", how="left")
        .join(missing, on="account_id", how="left")
        .with_columns(pl.col("operations", "denied").fill_null(0))
        .with_columns(
            state=pl.when(pl.col("refused").is_not_null() | (pl.col("denied") > 0) | is_old.fill_null(False))
            .then(pl.lit(str(State.ERROR)))
            .when(pl.col("last_observed_at").is_null())
            .then(pl.lit(str(State.PENDING)))
            .otherwise(pl.lit(str(State.OK))),
            reason=pl.when(pl.col("refused").is_not_null())
            .then("refused")
            .when(pl.col("last_observed_at").is_null())
            .then(pl.lit("not collected yet"))
            .when(pl.col("denied") > 0)
            .then(
                pl.format("{} operations are denied or do not answer", "denied")
                + pl.when(pl.col("actions") != "").then(pl.format(": grant {}", "actions")).otherwise(pl.lit(""))
            )
            .when(is_old)
            .then(pl.lit("the last snapshot is older than an hour: see whether the schedule of metadata runs"))
            .otherwise(pl.lit("")),
        )
        .select("account_id", "name", "export", "state", "reason", "operations", "denied", "last_observed_at")
        .sort(pl.col("state").replace_strict({"Error": 0, "Pending": 1, "OK": 2}), "account_id")
    )


def _exports(
    configured: Sequence[Configured], accounts: pl.DataFrame, told: pl.DataFrame, objects: pl.DataFrame, at: datetime
) -> pl.DataFrame:
    known = sorted({*accounts["export"], *objects["export"]} - {one.name for one in configured})
    recent = objects.filter(pl.col("posted_at") > pl.lit(at - RECENT))
    rows = [_export(one, told, objects, recent, at) for one in configured]
    rows += [
        _numbers(name, told, objects, recent)
        | {"state": State.DISABLED, "reason": "the configuration does not have it any more", "to_do": ""}
        for name in known
    ]
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "export": pl.String, "state": pl.String, "reason": pl.String, "to_do": pl.String, "accounts": pl.Int64,
        "reached": pl.Int64, "objects": pl.Int64, "rows": pl.Int64, "rejected_lines": pl.Int64, "unreadable": pl.Int64,
        "newest_posted_at": pl.Datetime("us", "UTC"), "lag_p50": pl.Float64, "lag_p95": pl.Float64,
    }  # fmt: skip
    order = {
        str(state): place
        for place, state in enumerate((State.ERROR, State.START, State.PENDING, State.OK, State.DISABLED))
    }
    frame = pl.DataFrame([row | {"state": str(row["state"])} for row in rows], schema=schema)
    return frame.sort(pl.col("state").replace_strict(order, return_dtype=pl.Int64), "export")


def _export(
    one: Configured, told: pl.DataFrame, objects: pl.DataFrame, recent: pl.DataFrame, at: datetime
) -> dict[str, object]:
    numbers = _numbers(one.name, told, objects, recent)
    state, reason, to_do = _state(one, told.filter(pl.col("export") == one.name), numbers, at)
    return numbers | {"state": state, "reason": reason, "to_do": to_do}


def _state(
    one: Configured, accounts: pl.DataFrame, numbers: Mapping[str, object], at: datetime
) -> tuple[State, str, str]:
    newest = numbers["newest_posted_at"]
    observed = accounts.filter(pl.col("last_observed_at").is_not_null()).height
    if accounts.is_empty() and newest is None:
        return State.START, "nothing was collected yet", "run `kentik-dagster run`, or start the daemon"
    failing = accounts.filter(pl.col("state") == str(State.ERROR))
    if failing.height == accounts.height and failing.height:
        first = failing.row(0, named=True)
        return State.ERROR, f"account {first['account_id']}: {first['reason']}", "ask `kentik-dagster verify`"
    if one.collects_logs and isinstance(newest, datetime) and at - newest > _SILENT_AFTER:
        reason = f"no log object was posted since {newest:%Y-%m-%d %H:%M} UTC, or none was read"
        return State.ERROR, reason, "see whether the sensor runs, and ask `kentik-dagster verify --check flow_logs`"
    if numbers["unreadable"] and numbers["unreadable"] == numbers["objects"]:
        return State.ERROR, "no log object of the last 24 hours could be read", "see the errors below"
    if one.collects_logs and newest is None:
        reason = "no log object was read yet"
        return State.PENDING, reason, "wait a quarter of an hour; then ask `kentik-dagster verify`"
    if not observed:
        return State.PENDING, "no account's metadata was collected yet", "wait for the next snapshot"
    amiss = []
    if failing.height:
        amiss.append(f"{failing.height} of {accounts.height} accounts need something")
    if numbers["unreadable"]:
        amiss.append(f"{numbers['unreadable']} log objects could not be read")
    return State.OK, "; ".join(amiss), "see below" if amiss else ""


def _numbers(name: str, told: pl.DataFrame, objects: pl.DataFrame, recent: pl.DataFrame) -> dict[str, object]:
    accounts = told.filter(pl.col("export") == name)
    own = recent.filter(pl.col("export") == name)
    lag = (
        own.filter(pl.col("outcome") != "unreadable")
        .select((pl.col("ingested_at") - pl.col("posted_at")).dt.total_milliseconds() / 1000)
        .to_series()
    )
    return {
        "export": name,
        "accounts": accounts.height,
        "reached": accounts.filter(pl.col("last_observed_at").is_not_null()).height,
        "objects": own.height,
        "rows": int(own["rows"].sum() or 0),
        "rejected_lines": int(own["rejected_lines"].sum() or 0),
        "unreadable": own.filter(pl.col("outcome") == "unreadable").height,
        "newest_posted_at": objects.filter(pl.col("export") == name)["posted_at"].max(),
        "lag_p50": lag.quantile(0.5, "nearest"),
        "lag_p95": lag.quantile(0.95, "nearest"),
    }


def _networks(devices: pl.DataFrame, coverage: pl.DataFrame) -> pl.DataFrame:
    """Devices, and the networks that are known and are no devices: those that send nothing."""
    known = coverage.select(
        pl.col("resource_id").alias("device_id"), "coverage", "reason", "is_idle",
        of_account="account_id", of_region="region", of_type="resource_type", known_as="name",
    )  # fmt: skip
    joined = devices.join(known, on="device_id", how="full", coalesce=True)
    place = {"Error": 0, "Pending": 1, "OK": 2}
    return (
        joined.with_columns(
            account_id=pl.coalesce("account_id", "of_account"),
            region=pl.coalesce("region", "of_region"),
            device_type=pl.coalesce("device_type", "of_type"),
            device_name=pl.coalesce("device_name", "known_as"),
        )
        .with_columns(
            state=pl.when(pl.col("status").is_not_null())
            .then("status")
            .when(pl.col("is_idle") | (pl.col("coverage") == "read"))
            .then(pl.lit("Pending"))
            .otherwise(pl.lit("Error"))
        )
        .select(
            "device_type", "device_id", "device_name", "account_id", "region", "export", "state", "last_seen_at",
            "flows_per_second", "stored_flows_per_second", "coverage", "reason",
        )
        .sort(pl.col("state").replace_strict(place, default=0), "account_id", "region", "device_id")
    )  # fmt: skip
