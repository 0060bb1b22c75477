"""Flow log text to rows: every line becomes a row or a rejected line with its number and the reason.

The layout comes from the header line, never from the `version` value. Two readers give the same rows:

- the *regular* reader hands a part with one layout, single blanks and whole lines to Polars' CSV parser;
- the *careful* reader looks at every line of anything else: headers inside the file or missing, damaged
  lines, CRLF, doubled blanks, numbers that are none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from kentik_dagster.catalog.flow_logs import TRANSIT_GATEWAY_DEFAULT_FORMAT, VPC_DEFAULT_FORMAT
from kentik_dagster.core.flow_log_records import (
    FIELDS,
    NULLS,
    NUMBERS,
    flow_rows,
    in_range,
    read_values,
    without_dashes,
)
from kentik_dagster.core.parsed import Parsed
from kentik_dagster.core.text_scan import Scan, scan
from kentik_dagster.errors import UnreadableObjectError

_HEADER = r"^[a-z][a-z0-9-]*(?: [a-z][a-z0-9-]*)*$"
# What separates values. Other white space, control characters and quotes are parts of a value.
_BLANKS = " \t\r"
_WHITE = _BLANKS.encode() + b"\n"
_FEW_BYTES = 1024  # stripping copies what it strips
_BYTE_ORDER_MARK = "\ufeff"
_DEFAULT_FORMATS = (VPC_DEFAULT_FORMAT, TRANSIT_GATEWAY_DEFAULT_FORMAT)


def parse_text(
    content: bytes, *, layout: tuple[str, ...] | None = None, first_line: int = 1, last: bool = True
) -> Parsed:
    """Read the uncompressed text of one flow log object, or a part of it that ends at a line's end.

    Args:
        layout: fields of the last header in the parts before (`Parsed.layout` of the one before); None: none yet.
        first_line: number of the part's first line in the object, from 1.
        last: whether the object ends here. If not, bytes after the last newline come back as `rest`.

    Raises:
        UnreadableObjectError: in the first part, no line says or shows which fields the lines have.
    """
    rest = b""
    if not last:
        end = content.rfind(b"\n") + 1
        content, rest = content[:end], content[end:]
    seen = scan(content)
    if not content[:_FEW_BYTES].strip(_WHITE) and not content.strip(_WHITE):
        return Parsed(lines=seen.lines, layout=layout, rest=rest)
    part = _read_regular(content, layout, seen) or _read_carefully(content, layout, first_line)
    return replace(part, lines=seen.lines, rest=rest)


def _read_regular(content: bytes, layout: tuple[str, ...] | None, seen: Scan) -> Parsed | None:
    """The rows of a part that is all in order; None where the careful reader has to look."""
    end = content.find(b"\n")
    head = content if end < 0 else content[:end]
    words = head.decode("ascii", errors="replace").split(" ")
    if not _begins_with_header(words, layout):
        headers = 0
        fields = layout or next((names for names in _DEFAULT_FORMATS if len(names) == len(words)), ())
    else:
        headers = 1
        fields = layout = tuple(words)
    if not seen.is_regular or len(set(fields)) < len(fields) or len(fields) < 2 or seen.lines == headers:
        return None
    # A header line inside the file fails to be numbers, so that the careful reader gets it.
    numbers = [name for name in fields if name in NUMBERS]
    # The parser refuses lines that are too long. With as many blanks as all lines should have, none is too short.
    if not numbers or seen.blanks != (len(fields) - 1) * seen.lines:
        return None
    try:
        frame = pl.read_csv(
            content,
            has_header=False,
            skip_lines=headers,
            separator=" ",
            quote_char=None,
            schema={name: NUMBERS.get(name, pl.String) for name in fields},
            null_values=list(NULLS),
        )
    except (pl.exceptions.ComputeError, pl.exceptions.SchemaError, pl.exceptions.NoDataError):
        return None
    if frame.height != seen.lines - headers or not all(in_range(frame[name]) for name in numbers):
        return None
    return Parsed(rows=flow_rows(frame), layout=layout)


def _begins_with_header(words: Sequence[str], layout: tuple[str, ...] | None) -> bool:
    """What `_header_lines` says of the first line."""
    known = sum(word in FIELDS for word in words)
    is_shaped = re.fullmatch(_HEADER, " ".join(words)) is not None and known > 0
    return is_shaped and (layout is None or tuple(words) == layout or 2 * known > len(words))


def _read_carefully(content: bytes, layout: tuple[str, ...] | None, first_line: int) -> Parsed:
    text = content.decode("utf-8", errors="backslashreplace").removesuffix("\n")
    lines = (
        pl.DataFrame({"text": [text]})
        .select(pl.col("text").str.split("\n"))
        .explode("text")
        .with_row_index("line_number")
        .with_columns(
            pl.col("line_number").cast(pl.Int64) + first_line,
            words=pl.col("text")
            .str.strip_prefix(_BYTE_ORDER_MARK)
            .str.strip_chars(_BLANKS)
            .str.replace_all(f"[{_BLANKS}]+", " "),
        )
        .filter(pl.col("words") != "")
        .with_columns(values=pl.col("words").str.split(" "))
        .with_columns(width=pl.col("values").list.len())
    )
    layouts = pl.when(pl.col("line_number").is_in(_header_lines(lines, layout).implode())).then("words").forward_fill()
    before = None if layout is None else " ".join(layout)
    lines = lines.with_columns(layout=layouts.fill_null(pl.lit(before, dtype=pl.String)))
    after = lines["layout"][-1]
    records = lines.filter(pl.col("words").ne_missing(pl.col("layout"))).with_columns(
        pl.coalesce(
            "layout", *(pl.when(width=len(fields)).then(pl.lit(" ".join(fields))) for fields in _DEFAULT_FORMATS)
        ).alias("layout")
    )
    if after is None and first_line == 1 and records["layout"].null_count() == records.height:
        raise UnreadableObjectError(
            f"no line names the fields, and no line has the {len(VPC_DEFAULT_FORMAT)} values of the default format "
            f"(the first has {records['width'][0]}). Add the header line that AWS writes, and post the object again."
        )
    rows: list[pl.DataFrame] = []
    rejected = [_rejected(records.filter(pl.col("layout").is_null()), _NO_LAYOUT)]
    for (words,), group in records.filter(pl.col("layout").is_not_null()).group_by("layout", maintain_order=True):
        fields = str(words).split(" ")
        if len(set(fields)) < len(fields):
            rejected.append(_rejected(group, pl.lit("the header names a field twice")))
            continue
        whole = group.filter(pl.col("width") == len(fields))
        rejected.append(_rejected(group.filter(pl.col("width") != len(fields)), _wrong_width(len(fields))))
        good, bad = _read_layout(whole, fields)
        rows.append(good)
        rejected.append(bad)
    table = pl.concat(rows, how="diagonal").sort("line_number").drop("line_number") if rows else pl.DataFrame()
    return Parsed(
        rows=table,
        rejected=pl.concat(rejected).sort("line_number"),
        layout=None if after is None else tuple(after.split(" ")),
    )


def _header_lines(lines: pl.DataFrame, layout: tuple[str, ...] | None) -> pl.Series:
    """Numbers of the lines that name fields: their words look like field names, and one is known.

    Once there is a layout, values may look like that too (`eni-0a1 region`, the second a tag's value), so that more
    than half of the words have to be known. (A header that only comes again changes nothing, and needs no number.)
    """
    shaped = lines.filter(pl.col("words").str.contains(_HEADER))
    known = shaped["values"].list.eval(pl.element().is_in(list(FIELDS))).list.sum()
    named = shaped.with_columns(known=known).filter(pl.col("known") > 0)
    is_first = pl.int_range(pl.len()) == 0 if layout is None else pl.lit(False)
    return named.filter(is_first | (2 * pl.col("known") > pl.col("width")))["line_number"]


_NO_LAYOUT = pl.format("{} values before the first header line, which the default formats do not have", "width")


def _wrong_width(expected: int) -> pl.Expr:
    return pl.format("{} values for {} fields", "width", pl.lit(expected))


def _read_layout(lines: pl.DataFrame, fields: Sequence[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lines of one layout as rows with their `line_number`; and those with a number that is none."""
    raw = lines.select(
        without_dashes(pl.col("values").list.get(index)).alias(name) for index, name in enumerate(fields)
    )
    records, reason = read_values(raw)
    judged = lines.select("line_number", "text", reason)
    is_good = reason.is_null()
    good = flow_rows(records.filter(is_good)).with_columns(lines["line_number"].filter(is_good))
    return good, judged.filter(~is_good)


def _rejected(lines: pl.DataFrame, reason: pl.Expr) -> pl.DataFrame:
    return lines.select("line_number", "text", reason.cast(pl.String).alias("reason"))
