"""Resources as AWS describes them, in the form in which they are compared and stored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import jmespath
import polars as pl

from kentik_dagster.catalog.network import SECRETS, Operation
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.schemas import polars_schema

_SCHEMA = {
    name: dtype
    for name, dtype in polars_schema(TABLES["metadata_changes"]).items()
    if name not in ("change", "observed_at")
}
_NOTHING = pl.DataFrame(schema=_SCHEMA)
KEY_SEPARATOR = "|"


@dataclass(frozen=True, slots=True)
class Resources:
    """What one answer holds.

    Attributes:
        rows: one row per resource id: the columns of `metadata_changes` but `change` and `observed_at`.
        rejected: why a row of the answer is not among them, one sentence each.
    """

    rows: pl.DataFrame
    rejected: tuple[str, ...]


def resources(items: Iterable[Any], operation: Operation, *, account_id: str, region: str) -> Resources:
    """The resources of one answer, without secrets and without what changes by itself.

    Two answers that say the same give the same rows, in whatever order AWS lists things. A resource that the answer
    holds twice is there once.

    Args:
        items: the resources as boto3 gives them.
    """
    rows: dict[str, dict[str, Any]] = {}
    rejected = []
    for number, item in enumerate(items):
        try:
            row = _row(item, operation, account_id, region)
        except _UnreadableError as error:
            rejected.append(f"row {number} of {operation.name} {error}")
            continue
        known = rows.setdefault(row["resource_id"], row)
        if row["attributes_hash"] > known["attributes_hash"]:  # any rule but AWS's order
            rows[row["resource_id"]] = row
    return Resources(pl.DataFrame(list(rows.values()), schema=_SCHEMA) if rows else _NOTHING, tuple(rejected))


class _UnreadableError(ValueError):
    """A row of an answer is not as AWS's model says."""


def _row(item: Any, operation: Operation, account_id: str, region: str) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        raise _UnreadableError(f"is a {type(item).__name__}, not a resource")
    tags = _tags(item, operation)
    owner = _text(item, operation.owner)
    name = tags.get("Name") or _text(item, operation.name_field)
    kept = _kept(item, operation, operation.volatile, operation.digested)
    try:
        attributes = _clean(json.dumps(kept, **_COMPACT, default=_as_json))
    except (TypeError, ValueError) as error:
        raise _UnreadableError(f"cannot be kept as JSON ({type(error).__name__})") from error
    digest = hashlib.sha256(json.dumps([name, owner, attributes, sorted(tags.items())]).encode()).hexdigest()
    return {
        "account_id": account_id,
        "region": region,
        "resource_type": operation.resource_type,
        "resource_id": _id(item, operation),
        "name": name,
        "owner_account_id": owner or account_id,
        "attributes": attributes,
        "tags": tags,
        "attributes_hash": digest[:32],
    }


def _id(item: Mapping[str, Any], operation: Operation) -> str:
    parent = [str(item[name]) for name in operation.for_each.key] if operation.for_each is not None else []
    own = [jmespath.search(path, item) for path in operation.key]
    if own and not own[0]:
        raise _UnreadableError(f"has no {operation.key[0]}")
    return _clean(KEY_SEPARATOR.join([*parent, *("" if part is None else str(part) for part in own)]))


def _tags(item: Mapping[str, Any], operation: Operation) -> dict[str, str]:
    listed = jmespath.search(operation.tags, item) if operation.tags is not None else None
    if not isinstance(listed, list | None):
        raise _UnreadableError(f"has tags that are a {type(listed).__name__}")
    tags = {}
    for tag in listed or []:
        # Direct Connect and Network Firewall write `key` and `value` in small letters.
        key = tag.get("Key", tag.get("key")) if isinstance(tag, Mapping) else None
        if key is None:
            raise _UnreadableError("has a tag without a key")
        tags[_clean(str(key))] = _clean(str(tag.get("Value", tag.get("value")) or ""))
    return dict(sorted(tags.items()))


def _text(item: Mapping[str, Any], path: str | None) -> str | None:
    value = jmespath.search(path, item) if path is not None else None
    return _clean(str(value)) if value else None


def _kept(value: Any, operation: Operation, volatile: tuple[str, ...], digested: tuple[str, ...]) -> Any:
    """A value without secrets, tags and volatile members; lists that mean nothing by their order are sorted."""
    if isinstance(value, Mapping):
        dropped = {path for path in volatile if "." not in path} | SECRETS
        if operation.tags is not None and "." not in operation.tags:
            dropped.add(operation.tags)
        return {
            str(name): _digest(member)
            if name in digested and isinstance(member, str)
            else _kept(member, operation, _within(volatile, name), _within(digested, name))
            for name, member in value.items()
            if name not in dropped
        }
    if isinstance(value, list | tuple):
        members = [_kept(member, operation, volatile, digested) for member in value]
        return members if operation.in_order else sorted(members, key=_sortable)
    return value


def _within(paths: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(path.partition(".")[2] for path in paths if path.partition(".")[0] == name and "." in path)


_COMPACT: dict[str, Any] = {
    "sort_keys": True,
    "separators": (",", ":"),
    "ensure_ascii": False,
    "allow_nan": False,
}


def _sortable(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=_as_json) if isinstance(value, dict | list) else str(value)


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode(errors="replace")).hexdigest()
    return f"sha256:{digest} of {len(text)} characters"


def _clean(text: str) -> str:
    """Text that UTF-8 can hold: JSON escapes can say halves of a character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _as_json(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="backslashreplace")
    raise TypeError(f"AWS answered a {type(value).__name__}, which JSON cannot hold")
