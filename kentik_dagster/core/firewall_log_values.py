"""Values of Network Firewall records: from the text that stands in the JSON to typed columns, or the reason why not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import polars as pl

from kentik_dagster.catalog.firewall_logs import (
    ABSENT_AS_HYPHEN,
    BLOCKS,
    FIREWALL_FIELDS,
    HEXADECIMAL,
    PROTOCOL_NUMBERS,
    FirewallField,
)
from kentik_dagster.catalog.flow_logs import INSTANT
from kentik_dagster.catalog.tables import TABLES

# What the caller knows from the key of the object.
_FROM_KEY = ("export", "hour", "source_object", "account_id", "region", "firewall_log_type")
ROW_COLUMNS = tuple(c.name for c in TABLES["firewall_logs"].columns if c.name not in _FROM_KEY)
PATHS = tuple(dict.fromkeys(path for field in FIREWALL_FIELDS for path in field.paths))
BLOCK_NAMES = tuple(name for name, _ in BLOCKS)

_NAMES = tuple(tuple(path.split(".")) for path in PATHS)
_SURROGATE = re.compile(r"[\ud800-\udfff]")

_WIDTHS = {"int32": pl.Int32(), "int64": pl.Int64()}
_LARGEST = {"int32": 2**31 - 1, "int64": 2**63 - 1}
_ISO = (
    r"^(?<date>(?:19|20)\d{2}-\d{2}-\d{2})[T ](?<clock>\d{2}:\d{2}:\d{2})(?:\.(?<fraction>\d{1,9}))?"
    r"(?:Z|(?<sign>[+-])(?<hours>\d{2}):?(?<minutes>\d{2}))?$"
)
_EPOCH = r"^\d{1,13}(?:\.\d{1,9})?$"
# Later than 2038-01-19 in seconds: the value is in milliseconds.
_LAST_SECOND = 2**31 - 1
_LAST_MILLISECOND = 4_102_444_800_000  # 2100-01-01


def typed_events(events: pl.DataFrame) -> pl.DataFrame:
    """Records as rows of `firewall_logs`, each with the reason why it is none.

    Args:
        events: one row per record: a text column for each of PATHS and of BLOCK_NAMES, null where the record lacks
            the value, and `record`, the whole of it. Other columns stay as they are.

    Returns:
        The same rows in the same order: ROW_COLUMNS typed as the catalog says, `reason` (null: the row is good), and
        the other columns of `events`.
    """
    others = [name for name in events.columns if name not in {*PATHS, *BLOCK_NAMES, "record"}]
    texts = events.select(
        *others, *BLOCK_NAMES, "record", *(_text(field).alias(f"text:{field.column}") for field in FIREWALL_FIELDS)
    )
    typed = texts.with_columns(_value(field).alias(field.column) for field in FIREWALL_FIELDS)
    reasons = [_reason(field) for field in FIREWALL_FIELDS if str(field.type) != "string"]
    protocol = pl.col("proto").str.to_uppercase().replace_strict(PROTOCOL_NUMBERS, default=None, return_dtype=pl.Int32)
    return typed.with_columns(protocol=protocol, reason=pl.coalesce(*reasons)).select(*ROW_COLUMNS, "reason", *others)


def _text(field: FirewallField) -> pl.Expr:
    values = [pl.col(path) for path in field.paths]
    if field.column in ABSENT_AS_HYPHEN:
        values = [pl.when(value != "-").then(value) for value in values]
    return pl.coalesce(*values)


def _value(field: FirewallField) -> pl.Expr:
    """The value of a field; null where there is none, or where its text says none."""
    text = pl.col(f"text:{field.column}")
    if field.type == INSTANT:
        return pl.coalesce(_instant_of_iso(text), _instant_of_epoch(text))
    match str(field.type):
        case "string":
            return text
        case "bool":
            lower = text.str.to_lowercase()
            return pl.when(lower.is_in(["true", "false"])).then(lower == "true")
        case name:
            if field.column in HEXADECIMAL:
                digits = text.str.extract(r"^(?:0[xX])?([0-9A-Fa-f]{1,8})$", 1)
                number = digits.str.to_integer(base=16, strict=False, dtype=pl.Int64)
            else:
                number = text.str.extract(r"^([0-9]{1,19})$", 1).cast(pl.Int64, strict=False)
            return pl.when(number <= _largest(field)).then(number).cast(_WIDTHS[name])


def _reason(field: FirewallField) -> pl.Expr:
    """What is wrong with the text of a field; null where nothing is."""
    text = pl.col(f"text:{field.column}")
    if field.type == INSTANT:
        wanted = "no time of 1900 to 2100, in seconds since 1970 or in ISO 8601"
    elif str(field.type) == "bool":
        wanted = "neither true nor false"
    elif field.column in HEXADECIMAL:
        wanted = f"not a hexadecimal number from 0 to {_largest(field):x}"
    else:
        wanted = f"not a whole number from 0 to {_largest(field)}"
    is_wrong = text.is_not_null() & pl.col(field.column).is_null()
    path = field.paths[0]
    return pl.when(is_wrong).then(pl.format("{} is '{}': {}", pl.lit(path), text.str.head(100), pl.lit(wanted)))


def _largest(field: FirewallField) -> int:
    return field.largest if field.largest is not None else _LARGEST[str(field.type)]


def _instant_of_iso(text: pl.Expr) -> pl.Expr:
    """`2020-10-13T22:10:01.006481+0000`, `...+00:00`, `...Z`; without a zone it is UTC."""
    part = text.str.extract_groups(_ISO).struct
    second = pl.concat_str(part.field("date"), part.field("clock"), separator="T").str.to_datetime(
        "%Y-%m-%dT%H:%M:%S", time_unit="us", time_zone="UTC", strict=False
    )
    microseconds = part.field("fraction").fill_null("0").str.pad_end(6, "0").str.head(6).cast(pl.Int64, strict=False)
    minutes = part.field("hours").cast(pl.Int64, strict=False) * 60 + part.field("minutes").cast(pl.Int64, strict=False)
    ahead = pl.when(part.field("sign") == "-").then(-minutes).otherwise(minutes).fill_null(0)
    return second + pl.duration(microseconds=microseconds - ahead * 60_000_000, time_unit="us")


def _instant_of_epoch(text: pl.Expr) -> pl.Expr:
    number = text.str.extract(f"({_EPOCH})", 1).cast(pl.Float64, strict=False)
    milliseconds = pl.when(number <= _LAST_SECOND).then(number * 1_000).otherwise(number)
    # A float holds microseconds of this century exactly.
    microseconds = pl.when(milliseconds <= _LAST_MILLISECOND).then((milliseconds * 1_000).round())
    return microseconds.cast(pl.Int64, strict=False).cast(pl.Datetime("us", "UTC"))


def texts_of(record: dict[str, Any]) -> Iterator[str | None]:
    """The texts of a record that Python read, as Polars' decoder gives them: of PATHS, then of BLOCK_NAMES."""
    for names in _NAMES:
        value: Any = record
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        yield _as_text(value)
    for name in BLOCK_NAMES:
        block = record["event"].get(name)
        if isinstance(block, str):
            yield plain(block) if block.startswith("{") else _json(block)
        else:
            yield None if block is None else _json(block)


def _as_text(value: Any) -> str | None:
    """A value as Polars' decoder writes it into a text column; objects and arrays as JSON."""
    match value:
        case None:
            return None
        case str():
            return plain(value)
        case float() if abs(value) < float("inf"):
            return format(Decimal(int(value)) if value.is_integer() else Decimal(repr(value)), "f")
        case _:
            return _json(value)


def _json(value: Any) -> str:
    return plain(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def plain(text: str) -> str:
    r"""Text that any reader takes: a byte that is not UTF-8 becomes \xNN, half a surrogate pair \uNNNN."""
    return text if text.isascii() else _SURROGATE.sub(_written_out, text)


def _written_out(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
