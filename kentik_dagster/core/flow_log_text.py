"""Flow log text to rows: every line becomes a row or a rejected line with its number and the reason.

The layout comes from the header line, never from the `version` value. Two readers give the same rows:

- the *regular* reader hands a file with one header, single blanks and whole lines to Polars' CSV parser;
- the *careful* reader looks at every line of anything else: headers inside the file or missing, damaged
  lines, CRLF, doubled blanks, numbers that are none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from kentik_dagster.catalog.flow_logs import (
    FLOW_FIELDS,
    INSTANT,
    LARGEST_VALUE,
    TRANSIT_GATEWAY_DEFAULT_FORMAT,
    VPC_DEFAULT_FORMAT,
)
from kentik_dagster.errors import UnreadableObjectError

_FIELDS = {field.name: field for field in FLOW_FIELDS}
_INSTANTS = frozenset(field.name for field in FLOW_FIELDS if field.type == INSTANT)
_WIDTHS = {"int32": pl.Int32, "int64": pl.Int64}
_NUMBERS = {
    field.name: pl.Int64 if field.name in _INSTANTS else _WIDTHS[str(field.type)]
    for field in FLOW_FIELDS
    if field.name in _INSTANTS or str(field.type) in _WIDTHS
}
_HEADER = r"^[a-z][a-z0-9-]*(?: [a-z][a-z0-9-]*)*$"
# What separates values. Other white space, control characters and quotes are parts of a value.
_BLANKS = " \t\r"
_BYTE_ORDER_MARK = "\ufeff"
# Bytes that only the careful reader understands.
_ODDITIES = (b"  ", b"\n ", b"\r", b"\t", b"None", _BYTE_ORDER_MARK.encode())
_NULLS = ("-", "None")
# Later than 2038-01-19 in seconds: the value is in milliseconds, as rewritten files have it.
_LAST_SECOND = 2**31 - 1
_LAST_MILLISECOND = 4_102_444_800_000  # 2100-01-01
_DEFAULT_FORMATS = (VPC_DEFAULT_FORMAT, TRANSIT_GATEWAY_DEFAULT_FORMAT)


@dataclass(frozen=True, slots=True)
class ParsedText:
    """What the text of one object gave.

    Attributes:
        rows: one row per flow record in file order, with the columns that the file's layouts name, typed
            as the catalog says, `log_type`, and `extra_fields` where a layout has fields that the
            catalog lacks.
        rejected: one row per line that could not be read: `line_number` (from 1), `text`, `reason`.
    """

    rows: pl.DataFrame
    rejected: pl.DataFrame


def parse_text(content: bytes) -> ParsedText:
    """Read the uncompressed text of one flow log object.

    Raises:
        UnreadableObjectError: no line says or shows which fields the lines have.
    """
    if not content.strip(_BLANKS.encode() + b"\n"):
        return ParsedText(pl.DataFrame(), _no_rejected())
    rows = _read_regular(content)
    return ParsedText(rows, _no_rejected()) if rows is not None else _read_carefully(content)


def _read_regular(content: bytes) -> pl.DataFrame | None:
    """The rows of a file that is all in order; None where the careful reader has to look."""
    head, _, body = content.partition(b"\n")
    header = head.decode("ascii", errors="replace")
    fields = header.split(" ")
    if not re.fullmatch(_HEADER, header) or len(set(fields)) < len(fields) or len(fields) < 2 or not body:
        return None
    if any(oddity in content for oddity in _ODDITIES):
        return None
    numbers = {name: _NUMBERS[name] for name in fields if name in _NUMBERS}
    if not numbers:
        return None
    # The last column stays text: only so a line that ends too early (null) differs from one that says '-'.
    last = fields[-1]
    schema = {name: pl.String if name == last else numbers.get(name, pl.String) for name in fields}
    try:
        frame = pl.read_csv(
            body,
            has_header=False,
            separator=" ",
            quote_char=None,
            schema=schema,
            null_values=dict.fromkeys(fields[:-1], "-"),
        )
    except (pl.exceptions.ComputeError, pl.exceptions.SchemaError, pl.exceptions.NoDataError):
        return None
    if frame[last].null_count() > 0 or frame.height != body.removesuffix(b"\n").count(b"\n") + 1:
        return None
    text = frame.get_column(last).replace("-", None)
    if last in numbers:
        typed = text.cast(numbers[last], strict=False)
        if typed.null_count() != text.null_count():
            return None
        text = typed
    frame = frame.with_columns(text.alias(last))
    extremes = frame.select(
        pl.any_horizontal(*(_out_of_range(name).any() for name in numbers)),
    )
    return None if extremes.item() else _typed(frame, fields)


def _read_carefully(content: bytes) -> ParsedText:
    text = content.decode("utf-8", errors="backslashreplace").removesuffix("\n")
    lines = (
        pl.DataFrame({"text": [text]})
        .select(pl.col("text").str.split("\n"))
        .explode("text")
        .with_row_index("line_number", offset=1)
        .with_columns(
            pl.col("line_number").cast(pl.Int64),
            words=pl.col("text")
            .str.strip_prefix(_BYTE_ORDER_MARK)
            .str.strip_chars(_BLANKS)
            .str.replace_all(f"[{_BLANKS}]+", " "),
        )
        .filter(pl.col("words") != "")
        .with_columns(values=pl.col("words").str.split(" "))
    )
    lines = lines.with_columns(width=pl.col("values").list.len(), is_header=_is_header()).with_columns(
        layout=pl.when("is_header").then("words").forward_fill()
    )
    records = lines.filter(~pl.col("is_header")).with_columns(
        pl.coalesce(
            "layout", *(pl.when(width=len(fields)).then(pl.lit(" ".join(fields))) for fields in _DEFAULT_FORMATS)
        ).alias("layout")
    )
    if records.height and not lines["is_header"].any() and records["layout"].null_count() == records.height:
        raise UnreadableObjectError(
            f"no line names the fields, and no line has the {len(VPC_DEFAULT_FORMAT)} values of the default format "
            f"(the first has {records['width'][0]}). Add the header line that AWS writes, and post the object again."
        )
    rows: list[pl.DataFrame] = []
    rejected = [_rejected(records.filter(pl.col("layout").is_null()), _NO_LAYOUT)]
    for (layout,), group in records.filter(pl.col("layout").is_not_null()).group_by("layout", maintain_order=True):
        fields = str(layout).split(" ")
        if len(set(fields)) < len(fields):
            rejected.append(_rejected(group, pl.lit("the header names a field twice")))
            continue
        whole = group.filter(pl.col("width") == len(fields))
        rejected.append(_rejected(group.filter(pl.col("width") != len(fields)), _wrong_width(len(fields))))
        good, bad = _read_values(whole, fields)
        rows.append(good)
        rejected.append(bad)
    table = pl.concat(rows, how="diagonal").sort("line_number").drop("line_number") if rows else pl.DataFrame()
    return ParsedText(table, pl.concat(rejected).sort("line_number"))


def _is_header() -> pl.Expr:
    """Whether a line names fields: its words look like field names, and one is known.

    Inside a file, values may look like that too (`eni-0a1 region`, the second a tag's value), so that more
    than half of the words have to be known, or the line is the first one again.
    """
    words = pl.col("words")
    known = pl.col("values").list.eval(pl.element().is_in(list(_FIELDS))).list.sum()
    is_first = words == words.first()
    return words.str.contains(_HEADER) & (known > 0) & (is_first | (2 * known > pl.col("values").list.len()))


_NO_LAYOUT = pl.format("{} values before the first header line, which the default formats do not have", "width")


def _wrong_width(expected: int) -> pl.Expr:
    return pl.format("{} values for {} fields", "width", pl.lit(expected))


def _read_values(lines: pl.DataFrame, fields: Sequence[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lines of one layout as typed rows with their `line_number`; and those with a number that is none."""
    raw = lines.select(
        "line_number",
        *(
            pl.col("values").list.get(index).replace(_NULLS, [None] * len(_NULLS)).alias(name)
            for index, name in enumerate(fields)
        ),
    )
    numbers = [name for name in fields if name in _NUMBERS]
    parsed = raw.with_columns(pl.col(name).cast(_NUMBERS[name], strict=False) for name in numbers)
    wrong = [
        pl.when((parsed[name].is_null() & raw[name].is_not_null()) | parsed.select(_out_of_range(name)).to_series())
        .then(pl.format("{} is '{}': not a whole number from 0 to {}", pl.lit(name), raw[name], pl.lit(_largest(name))))
        .alias(name)
        for name in numbers
    ]
    judged = lines.select("line_number", "text", pl.coalesce(pl.lit(None, dtype=pl.String), *wrong).alias("reason"))
    good = parsed.filter(judged["reason"].is_null())
    return _typed(good, fields).with_columns(good["line_number"]), judged.filter(pl.col("reason").is_not_null())


def _largest(name: str) -> int:
    if name in _INSTANTS:
        return _LAST_MILLISECOND
    largest = {pl.Int32: 2**31 - 1, pl.Int64: 2**63 - 1}[_NUMBERS[name]]
    return LARGEST_VALUE.get(_FIELDS[name].column, largest)


def _out_of_range(name: str) -> pl.Expr:
    return ((pl.col(name) < 0) | (pl.col(name) > _largest(name))).fill_null(False)


def _typed(frame: pl.DataFrame, fields: Sequence[str]) -> pl.DataFrame:
    """Hyphens become underscores, times instants, unknown fields a map, and the row says its log type."""
    columns = [
        (_instant(name) if name in _INSTANTS else pl.col(name)).alias(_FIELDS[name].column)
        for name in fields
        if name in _FIELDS
    ]
    unknown = [name for name in fields if name not in _FIELDS]
    if unknown:
        pairs = pl.concat_list(
            pl.struct(pl.lit(name).alias("key"), pl.col(name).alias("value")) for name in unknown
        ).list.filter(pl.element().struct.field("value").is_not_null())
        columns.append(pairs.cast(pl.Map(pl.String, pl.String)).alias("extra_fields"))
    if any(name.startswith("tgw-") for name in fields):
        log_type = pl.lit("transit_gateway")
    elif "resource-type" in fields:
        log_type = (
            pl.when(pl.col("resource-type") == "TransitGateway")
            .then(pl.lit("transit_gateway"))
            .otherwise(pl.lit("vpc"))
        )
    else:
        log_type = pl.lit("vpc")
    return frame.select(*columns, log_type.alias("log_type"))


def _instant(name: str) -> pl.Expr:
    value = pl.col(name)
    microseconds = pl.when(value > _LAST_SECOND).then(value * 1_000).otherwise(value * 1_000_000)
    return microseconds.cast(pl.Datetime("us", "UTC"))


def _rejected(lines: pl.DataFrame, reason: pl.Expr) -> pl.DataFrame:
    return lines.select("line_number", "text", reason.cast(pl.String).alias("reason"))


def _no_rejected() -> pl.DataFrame:
    return pl.DataFrame(schema={"line_number": pl.Int64, "text": pl.String, "reason": pl.String})
