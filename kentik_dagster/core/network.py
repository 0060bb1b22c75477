"""Network metadata as a log of changes: what a snapshot saw, compared with what was known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import polars as pl

from kentik_dagster.catalog.network import Operation
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.schemas import polars_schema, require

_CHANGES = polars_schema(TABLES["metadata_changes"])
IDENTITY = ("account_id", "region", "resource_type", "resource_id")


@dataclass(frozen=True, slots=True)
class Scope:
    """What one observed operation can speak of: all resources of a type in an account and region."""

    account_id: str
    region: str
    resource_type: str


def resources(items: Iterable[Mapping[str, Any]], operation: Operation, scope: Scope) -> pl.DataFrame:
    """The resources of one answer, in the form in which they are compared and stored.

    Args:
        items: the resources as boto3 gives them.

    Returns:
        One row per resource id: the columns of `metadata_changes` but `change` and `observed_at`. A resource
        that the answer holds twice is there once, as it stood last.

    Raises:
        KeyError: a resource lacks its id.
    """
    rows = {str(item[operation.key]): _resource(item, operation, scope) for item in items}
    schema = {name: dtype for name, dtype in _CHANGES.items() if name not in ("change", "observed_at")}
    return pl.DataFrame(list(rows.values()), schema=schema)


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
        seen: rows of `resources`, of observed operations.
        scopes: the operations that were observed; nothing else can be removed.
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
    return pl.concat(
        frame.with_columns(observed_at=pl.lit(observed_at, dtype=_CHANGES["observed_at"])).select(_CHANGES.names())
        for frame in (differing, gone)
    )


def _resource(item: Mapping[str, Any], operation: Operation, scope: Scope) -> dict[str, Any]:
    tags = _tags(item, operation)
    name = tags.get("Name") or (item.get(operation.name_field) if operation.name_field else None)
    attributes = json.dumps(
        {key: value for key, value in item.items() if key not in operation.volatile and key != operation.tags},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        default=_as_json,
    )
    owner = _owner(item, operation)
    digest = hashlib.sha256(json.dumps([name, owner, attributes, sorted(tags.items())]).encode()).hexdigest()
    return {
        "account_id": scope.account_id,
        "region": scope.region,
        "resource_type": scope.resource_type,
        "resource_id": str(item[operation.key]),
        "name": name,
        "owner_account_id": owner or scope.account_id,
        "attributes": attributes,
        "tags": tags,
        "attributes_hash": digest[:32],
    }


def _tags(item: Mapping[str, Any], operation: Operation) -> dict[str, str]:
    listed = item.get(operation.tags) or [] if operation.tags else []
    return {str(tag["Key"]): str(tag.get("Value", "")) for tag in sorted(listed, key=lambda tag: str(tag["Key"]))}


def _owner(item: Mapping[str, Any], operation: Operation) -> str | None:
    value: Any = item
    for step in (operation.owner or "").split("."):
        value = value.get(step) if step and isinstance(value, Mapping) else None
    return str(value) if value else None


def _as_json(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="backslashreplace")
    raise TypeError(f"AWS answered a {type(value).__name__}, which JSON cannot hold")
