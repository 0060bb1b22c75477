"""Accounts of all exports: what was listed now, beside what was known."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import polars as pl

from kentik_dagster.core.schemas import require


def merged_accounts(
    known: pl.DataFrame, listed: pl.DataFrame, observed_exports: Sequence[str], without_alias: Sequence[str] = ()
) -> pl.DataFrame:
    """The rows of `org_accounts` after a listing.

    Args:
        known: rows of `org_accounts` so far.
        listed: rows of `org_accounts` of the exports that could be listed.
        observed_exports: those exports; the accounts of every other one stay as they are.
        without_alias: listed accounts that did not tell their alias; the known one stays.

    Returns:
        One row per export and account. An account that an observed export no longer lists stays, as LEFT.
    """
    require(known, "export", "account_id", "state", by="merged_accounts")
    require(listed, "export", "account_id", by="merged_accounts")
    aliases = known.select("export", "account_id", pl.col("alias").alias("known_alias"))
    is_untold = pl.col("account_id").is_in(list(without_alias))
    listed = listed.join(aliases, on=["export", "account_id"], how="left").with_columns(
        alias=pl.when(is_untold).then("known_alias").otherwise("alias")
    )
    before = known.join(listed, on=["export", "account_id"], how="anti")
    gone = pl.col("export").is_in(list(observed_exports))
    left = before.with_columns(state=pl.when(gone).then(pl.lit("LEFT")).otherwise("state"))
    return pl.concat([listed.select(known.columns), left]).sort("export", "account_id")


def collectible_accounts(accounts: pl.DataFrame, exports: Collection[str] | None = None) -> pl.DataFrame:
    """The accounts to collect: ACTIVE and not blocked, each once, through the first export that has it.

    Args:
        accounts: rows of `org_accounts`.
        exports: the exports that the configuration still has; None: all.
    """
    require(accounts, "account_id", "export", "state", "is_blocked", by="collectible_accounts")
    active = accounts.filter(pl.col("state") == "ACTIVE", ~pl.col("is_blocked"))
    if exports is not None:
        active = active.filter(pl.col("export").is_in(list(exports)))
    return active.sort("account_id", "export").unique("account_id", keep="first", maintain_order=True)
