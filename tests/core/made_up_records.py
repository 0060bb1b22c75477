"""Made-up layouts and values of flow records, and the rows that they should give, by the reference alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote_to_bytes

from hypothesis import strategies as st

from kentik_dagster.catalog.flow_logs import FLOW_FIELDS, INSTANT, LARGEST_VALUE

FIELDS = {field.name: field for field in FLOW_FIELDS}
INSTANTS = {name for name, field in FIELDS.items() if field.type == INSTANT}
NUMBERS = {name for name, field in FIELDS.items() if str(field.type) in ("int32", "int64")} | INSTANTS
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNKNOWN = ("new-field", "text", "x9", "tgw-new")
# fmt: off
TEXTS = st.sampled_from([
    "-", "None", "192.0.2.1", "2001:db8::1", "eni-0a1", "ACCEPT", "TransitGateway", "ä", '"', "#", "\x00", "\xa0",
    "a\x0bb", "a" * 300, "a%20b", "100%", "%C3%A4+%25", "%ff", "%2D",
])
# fmt: on


@st.composite
def layouts(draw: st.DrawFn) -> list[str]:
    """Fields in any order, more than half of them known."""
    known = draw(st.lists(st.sampled_from(sorted(FIELDS)), min_size=1, max_size=7, unique=True))
    unknown = draw(st.lists(st.sampled_from(_UNKNOWN), max_size=(len(known) - 1) // 2, unique=True))
    return draw(st.permutations([*known, *unknown]))


@st.composite
def values(draw: st.DrawFn, layout: Sequence[str]) -> list[str]:
    """The values of one record, as text files have them."""
    numbers = {
        name: st.integers(0, largest(name)).map(str) | st.sampled_from(["-", str(largest(name))])
        for name in layout
        if name in NUMBERS
    }
    return [draw(numbers.get(name, TEXTS)) for name in layout]


def largest(name: str) -> int:
    if name in INSTANTS:
        return 4_102_444_800_000
    return LARGEST_VALUE.get(FIELDS[name].column, 2**31 - 1 if str(FIELDS[name].type) == "int32" else 2**63 - 1)


def value_of(name: str, text: str) -> Any:
    """What a good value says."""
    if text in ("-", "None"):
        return None
    if name in INSTANTS:
        return EPOCH + (timedelta(milliseconds=int(text)) if int(text) > 2**31 - 1 else timedelta(seconds=int(text)))
    if name in NUMBERS:
        return int(text)
    if "-tag" in name:
        try:
            return unquote_to_bytes(text).decode()
        except UnicodeDecodeError:
            return text
    return text


def row_of(layout: Sequence[str], texts: Sequence[str]) -> dict[str, Any]:
    """The row that a record should give: what is not null, by column; unknown fields by name."""
    values = {name: value_of(name, text) for name, text in zip(layout, texts, strict=True)}
    known = {FIELDS[name].column: value for name, value in values.items() if name in FIELDS}
    extra = {name: value for name, value in values.items() if name not in FIELDS}
    return said(known | {"extra_fields": extra, "log_type": log_type(values)})


def log_type(values: dict[str, Any]) -> str:
    given = {name for name, value in values.items() if value is not None}
    if values.get("resource-type") == "TransitGateway":
        return "transit_gateway"
    if not any(name.startswith("tgw-") for name in values):
        return "vpc"
    of_gateways = {name for name in given if name.startswith(("tgw-", "packets-lost-"))}
    of_vpcs = {name for name in given if name in FIELDS and FIELDS[name].tgw is None}
    return "vpc" if of_vpcs and not of_gateways else "transit_gateway"


def said(row: dict[str, Any]) -> dict[str, Any]:
    """What a row says: its values that are not null, its unknown fields too."""
    extra = {name: value for name, value in (row.get("extra_fields") or {}).items() if value is not None}
    return {name: value for name, value in (row | {"extra_fields": extra}).items() if value is not None}
