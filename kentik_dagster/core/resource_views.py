"""The log of metadata changes for people: what there is now, or was at an instant, each resource once.

`catalog.views` says the same in SQL.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

from kentik_dagster.core.network import IDENTITY, current_state
from kentik_dagster.core.schemas import require

RESOURCE = ("resource_type", "resource_id")


def resources_at(changes: pl.DataFrame, at: datetime | None = None) -> pl.DataFrame:
    """The resources that stood after the last change, or at an instant, each once although several accounts see it.

    Args:
        changes: rows of `metadata_changes`, at most one per account, region, resource and instant.
        at: changes after this instant are left out; None: all count.

    Returns:
        The rows of `each_once`.
    """
    return each_once(current_state(changes, at))


def each_once(state: pl.DataFrame) -> pl.DataFrame:
    """Each resource as one account and region shows it.

    Args:
        state: what each account and region sees, as `current_state` returns it.

    Returns:
        One row per resource type and id, sorted by them: the columns of `state` as the owner's account shows
        it, if that is collected, else as the first account that sees it; and `seen_from`, the ids of all
        accounts that see it, sorted. Where one account sees it in several regions, the first region counts.

    Raises:
        MissingColumnsError: `state` lacks the columns that say whose and what a resource is.
    """
    require(state, *IDENTITY, "owner_account_id", by="each_once")
    witnesses = state.group_by(RESOURCE).agg(pl.col("account_id").unique().sort().alias("seen_from"))
    is_foreign = pl.col("owner_account_id").ne_missing(pl.col("account_id"))
    shown = state.sort(is_foreign, "account_id", "region").unique(RESOURCE, keep="first", maintain_order=True)
    return shown.join(witnesses, on=list(RESOURCE)).sort(RESOURCE)
