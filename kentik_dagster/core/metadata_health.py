"""How well the network metadata is seen: what `metadata_calls` says of accounts, regions and operations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import polars as pl

from kentik_dagster.catalog.metrics import METRICS_SERVICE
from kentik_dagster.core.schemas import require

ROLE = pl.col("operation") == "assume_role"
_DEGRADED = ("denied", "unavailable")


def calls_of(accounts: pl.DataFrame, calls: pl.DataFrame) -> pl.DataFrame:
    """The calls for network metadata in some accounts, those of `collectible_accounts`.

    What left or is blocked is no concern any more; metrics have a check of their own.
    """
    ours = calls.filter(pl.col("service") != METRICS_SERVICE)
    return ours.join(accounts.select("account_id"), on="account_id", how="semi")


def unreachable_accounts(calls: pl.DataFrame) -> pl.DataFrame:
    """The accounts whose role could not be assumed with the last snapshot.

    Args:
        calls: rows of `metadata_calls`.

    Returns:
        `account_id`, `error_code`, `error_message` (with the likely causes), `last_observed_at`.
    """
    require(calls, "account_id", "operation", "outcome", "error_message", by="unreachable_accounts")
    refused = calls.filter(ROLE, pl.col("outcome") != "observed").sort("account_id")
    return refused.select("account_id", "error_code", "error_message", "last_observed_at")


def degraded_operations(calls: pl.DataFrame, actions: Mapping[tuple[str, str], str]) -> pl.DataFrame:
    """The operations that AWS denied or did not answer; what is known of them stays as it was.

    Args:
        calls: rows of `metadata_calls`.
        actions: the IAM action of each service and operation.

    Returns:
        One row per account, region and operation: `account_id`, `region`, `service`, `operation`, `outcome`,
        `missing_action` (where it was denied), `error_code`, `error_message`, `last_observed_at`.
    """
    require(calls, "account_id", "region", "service", "operation", "outcome", by="degraded_operations")
    named = pl.DataFrame(
        [(service, operation, action) for (service, operation), action in actions.items()],
        schema={"service": pl.String, "operation": pl.String, "action": pl.String},
        orient="row",
    )
    return (
        calls.filter(~ROLE, pl.col("outcome").is_in(_DEGRADED))
        .join(named, on=["service", "operation"], how="left")
        .with_columns(missing_action=pl.when(pl.col("outcome") == "denied").then("action"))
        .select(
            "account_id", "region", "service", "operation", "outcome", "missing_action", "error_code", "error_message",
            "last_observed_at",
        )
        .sort("outcome", "account_id", "region", "service", "operation")
    )  # fmt: skip


def skipped_regions(calls: pl.DataFrame) -> pl.DataFrame:
    """The regions that are to be collected but are not enabled: `account_id`, `region`."""
    require(calls, "account_id", "region", "error_code", by="skipped_regions")
    skipped = calls.filter(pl.col("error_code") == "RegionNotEnabled").select("account_id", "region")
    return skipped.unique().sort("account_id", "region")


def stale_snapshots(accounts: pl.DataFrame, calls: pl.DataFrame, *, now: datetime, after: timedelta) -> pl.DataFrame:
    """The accounts that no snapshot has reached for a while, or ever.

    Args:
        accounts: those to collect, of `collectible_accounts`.
        calls: rows of `metadata_calls`.
        now: the present.
        after: how old a snapshot may be.

    Returns:
        `account_id`, `last_observed_at` (null: never).
    """
    reached = calls.filter(ROLE).select("account_id", "last_observed_at")
    known = accounts.select("account_id").join(reached, on="account_id", how="left")
    is_recent = (pl.col("last_observed_at") >= pl.lit(now - after)).fill_null(False)
    return known.filter(~is_recent).sort("account_id")


def changes_by_type(changes: pl.DataFrame, names: int = 5) -> pl.DataFrame:
    """How many resources of each type changed, with the names of the first few.

    Args:
        changes: rows of `metadata_changes`.
        names: of how many resources the name is told.

    Returns:
        One row per resource type: `resource_type`, `added`, `changed`, `removed`, `such_as`.
    """
    require(changes, "resource_type", "resource_id", "name", "change", by="changes_by_type")

    def count(change: str) -> pl.Expr:
        return (pl.col("change") == change).sum().alias(change)

    ordered = pl.coalesce("name", "resource_id").sort_by("observed_at", "resource_id")
    told = ordered.unique(maintain_order=True).head(names).str.join(", ")
    return (
        changes.group_by("resource_type")
        .agg(count("added"), count("changed"), count("removed"), told.alias("such_as"))
        .sort("resource_type")
    )
