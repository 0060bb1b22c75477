"""States of resources, each with the time it stood: the log of metadata changes, read as intervals."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from kentik_dagster.core.network import IDENTITY

NEVER = pl.datetime(9999, 1, 1, time_unit="us", time_zone="UTC")
_LONG_AGO = pl.datetime(1970, 1, 1, time_unit="us", time_zone="UTC")


def resource_states(changes: pl.DataFrame, snapshots: pl.DataFrame | None = None) -> pl.DataFrame:
    """Each state of each resource with the time it stood: [valid_from, valid_to).

    Args:
        changes: rows of `metadata_changes`: of each resource all or none.
        snapshots: the first snapshot (`valid_from`) of each `account_id` and `region`; None: it is the first of the
            changes, which are the whole log then.

    Returns:
        One row per state: `resource_type`, `resource_id`, `name`, `region`, `owner_account_id`, `attributes`, `tags`,
        `observed_at` and `valid_from` (the first snapshot that saw it so), `valid_to` (the first that saw it
        otherwise, else NEVER), `since_first_snapshot`. What several accounts or regions see is there as one of them
        sees it: its owner, if the owner's account is collected.
    """
    if snapshots is None:
        first = changes.group_by("account_id", "region").agg(pl.col("observed_at").min().alias("first_snapshot_at"))
    else:
        first = snapshots.select("account_id", "region", pl.col("valid_from").alias("first_snapshot_at"))
    states = (
        changes.join(first, on=["account_id", "region"])
        .sort("observed_at", maintain_order=True)
        .with_columns(
            valid_from=pl.col("observed_at"),
            valid_to=pl.col("observed_at").shift(-1).over(IDENTITY).fill_null(NEVER),
            since_first_snapshot=pl.col("observed_at") == pl.col("first_snapshot_at"),
            is_foreign=(pl.col("owner_account_id") != pl.col("account_id")).fill_null(True),
        )
        .filter(pl.col("change") != "removed")
    )
    return _of_one_witness(states).select(
        "resource_type", "resource_id", "name", "region", "owner_account_id", "attributes", "tags", "observed_at",
        "valid_from", "valid_to", "since_first_snapshot",
    )  # fmt: skip


def of_type(states: pl.DataFrame, resource_type: str, dtype: pl.Struct) -> pl.DataFrame:
    """The states of one kind of resource, their `attributes` read as a struct.

    A resource that is not described as AWS describes its kind is left out: it must not keep the others away.
    """
    rows = states.filter(pl.col("resource_type") == resource_type).drop("resource_type")
    try:
        return rows.with_columns(pl.col("attributes").str.json_decode(dtype))
    except pl.exceptions.PolarsError:
        rows = rows.filter(pl.Series([_is_readable(text, dtype) for text in rows["attributes"]], dtype=pl.Boolean))
        return rows.with_columns(pl.col("attributes").str.json_decode(dtype))


def _is_readable(text: str | None, dtype: pl.Struct) -> bool:
    try:
        return len(pl.Series([text]).str.json_decode(dtype)) == 1
    except pl.exceptions.PolarsError:
        return False


def split_by_name(rows: pl.DataFrame, states: pl.DataFrame, resource_type: str, *said: str) -> pl.DataFrame:
    """Rows with the name that a thing of theirs had, split where that name changed.

    Args:
        rows: one row per stretch of time: `<resource_type>_id`, `valid_from`, `valid_to`, `observed_at`,
            `since_first_snapshot`, and whatever else.
        states: of `resource_states`.
        said: what is told of the thing besides its `name`: columns of `states`.

    Returns:
        The rows with `<resource_type>_name` and likewise for `said`; the parts of a split row together cover its
        time once.
    """
    thing, told = f"{resource_type}_id", {name: f"{resource_type}_{name}" for name in ("name", *said)}
    joined = rows.join(_told(states, resource_type, thing, told), on=thing, how="left").with_columns(
        part_from=pl.max_horizontal("valid_from", "told_from"), part_to=pl.min_horizontal("valid_to", "told_to")
    )
    return (
        joined.filter(pl.col("part_from") < pl.col("part_to"))
        .with_columns(
            since_first_snapshot=pl.col("since_first_snapshot") & (pl.col("part_from") == pl.col("valid_from")),
            observed_at=pl.when(pl.col("part_from") > pl.col("valid_from"))
            .then(pl.max_horizontal("observed_at", "part_from"))
            .otherwise("observed_at"),
            valid_from=pl.col("part_from"),
            valid_to=pl.col("part_to"),
        )
        .drop("told_from", "told_to", "part_from", "part_to")
    )


def _of_one_witness(states: pl.DataFrame) -> pl.DataFrame:
    """Each resource as one account and region shows it: the owner's account, else the first that sees it."""
    resource = ("resource_type", "resource_id")
    shown_by_owner = ~pl.col("is_foreign")
    states = states.filter(shown_by_owner | ~shown_by_owner.any().over(resource))
    for place in ("account_id", "region"):
        states = states.filter(pl.col(place) == pl.col(place).min().over(resource))
    return states


def _told(states: pl.DataFrame, resource_type: str, thing: str, told: Mapping[str, str]) -> pl.DataFrame:
    """What is told of each thing: `told_from`, `told_to`, together all of time.

    Before the first snapshot and after a removal the nearest state holds: ids are never used again.
    """
    columns = list(told.values())
    return (
        states.filter(pl.col("resource_type") == resource_type)
        .sort("valid_from")
        .select(
            pl.col("resource_id").alias(thing),
            *(pl.col(name).alias(alias) for name, alias in told.items()),
            pl.when(pl.int_range(pl.len()).over("resource_id") == 0)
            .then(_LONG_AGO)
            .otherwise("valid_from")
            .alias("told_from"),
            pl.col("valid_from").shift(-1).over("resource_id").fill_null(NEVER).alias("told_to"),
        )
        .with_columns(run=pl.struct(columns).rle_id().over(thing))
        .group_by(thing, "run")
        .agg(pl.col(columns).first(), pl.col("told_from").min(), pl.col("told_to").max())
        .drop("run")
    )
