"""Network metadata as a log of changes: what a snapshot saw, compared with what was known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.resources import KEY_SEPARATOR
from kentik_dagster.core.schemas import polars_schema, require

_CHANGES = polars_schema(TABLES["metadata_changes"])
IDENTITY = ("account_id", "region", "resource_type", "resource_id")


@dataclass(frozen=True, slots=True)
class Scope:
    """What one observed operation can speak of: all resources of a type in an account and region.

    Attributes:
        unobserved: but not of the children of these parents; their resource ids begin with one of these keys.
    """

    account_id: str
    region: str
    resource_type: str
    unobserved: frozenset[str] = frozenset()


def current_state(changes: pl.DataFrame, at: datetime | None = None) -> pl.DataFrame:
    """The resources that stood after the last change, or at an instant.

    Args:
        changes: rows of `metadata_changes`.
        at: changes after this instant are left out; None: all count.

    Returns:
        The last change of each resource that was not a removal.
    """
    require(changes, *IDENTITY, "observed_at", "change", by="current_state")
    if at is not None:
        changes = changes.filter(pl.col("observed_at") <= at)
    last = changes.sort("observed_at", maintain_order=True).group_by(IDENTITY, maintain_order=True).last()
    return last.filter(pl.col("change") != "removed").select(changes.columns)


def new_changes(
    known: pl.DataFrame, seen: pl.DataFrame, scopes: Sequence[Scope], observed_at: datetime
) -> pl.DataFrame:
    """What a snapshot adds to the log: only differences, and removals only where AWS gave its whole answer.

    Args:
        known: rows of `metadata_changes` so far.
        seen: resources that AWS showed: rows of `core.resources`.
        scopes: what the observed operations can speak of; nothing else can be removed.
        observed_at: when the snapshot began.

    Returns:
        Rows of `metadata_changes`: `added`, `changed` or `removed`. A removal keeps the last name, owner,
        attributes and tags, so that the log can be read alone.
    """
    state = current_state(known)
    compared = seen.join(
        state.select(*IDENTITY, pl.col("attributes_hash").alias("hash_before")), on=list(IDENTITY), how="left"
    )
    differing = compared.filter(pl.col("attributes_hash").ne_missing(pl.col("hash_before"))).with_columns(
        change=pl.when(pl.col("hash_before").is_null()).then(pl.lit("added")).otherwise(pl.lit("changed"))
    )
    observed = pl.DataFrame(
        [(scope.account_id, scope.region, scope.resource_type) for scope in scopes],
        schema=dict.fromkeys(IDENTITY[:3], pl.String),
        orient="row",
    ).unique()
    gone = (
        state.join(observed, on=list(IDENTITY[:3]), how="semi")
        .join(seen, on=list(IDENTITY), how="anti")
        .with_columns(change=pl.lit("removed"))
    )
    for scope in scopes:
        if scope.unobserved:
            gone = gone.filter(~_of_parents(scope))
    return pl.concat(
        frame.with_columns(observed_at=pl.lit(observed_at, dtype=_CHANGES["observed_at"])).select(_CHANGES.names())
        for frame in (differing, gone)
    )


def _of_parents(scope: Scope) -> pl.Expr:
    """Whether a resource is a child of a parent that was not observed."""
    parts = max((key.count(KEY_SEPARATOR) + 1 for key in scope.unobserved), default=1)
    parent = pl.col("resource_id").str.split(KEY_SEPARATOR).list.head(parts).list.join(KEY_SEPARATOR)
    return pl.all_horizontal(
        pl.col(name) == value
        for name, value in zip(IDENTITY, (scope.account_id, scope.region, scope.resource_type), strict=False)
    ) & parent.is_in(list(scope.unobserved))
