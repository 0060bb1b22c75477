"""Rows of any query as people and programs read them: text in columns, CSV, lines of JSON.

Values come from logs and tags, and so from strangers: what would steer a terminal is written out instead.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

_WIDEST_COLUMN = 60
_TOLD_BY_ARROW = (pa.types.is_string, pa.types.is_null, pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
# Control characters, those that turn the direction of writing, and line separators.
_STEERING = r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"


def harmless(text: pl.Expr) -> pl.Expr:
    r"""Text without anything that a terminal obeys: ESC becomes `\x1b`, a line break `\x0a`, RLO `\u202e`."""
    return pl.when(text.str.contains(_STEERING)).then(text.map_elements(_written_out, pl.String)).otherwise(text)


def harmless_text(text: str) -> str:
    """The same of one text, whose line breaks stay: they are ours."""
    return "\n".join(map(_written_out, text.split("\n")))


def flat(rows: pa.RecordBatch) -> pl.DataFrame:
    """The same rows and columns as text.

    Instants are ISO 8601 (UTC ends in Z), lists, maps and structs are JSON, bytes are hexadecimal; null stays null.
    Nested values go through Python one by one, for want of anything that writes maps.
    """
    columns = [_text(name, column) for name, column in zip(rows.schema.names, rows.columns, strict=True)]
    return pl.DataFrame(columns)


def json_lines(rows: pa.RecordBatch) -> str:
    """One JSON object a row and line, ASCII only; row by row in Python, for the same reason.

    Instants, bytes and the like are texts as `flat` writes them; numbers that JSON lacks (NaN, infinity) are null.
    """
    names = rows.schema.names
    columns = [_finite(column).to_pylist(maps_as_pydicts="lossy") for column in rows.columns]
    lines = (json.dumps(dict(zip(names, row, strict=True)), default=_plain) for row in zip(*columns, strict=True))
    return "".join(f"{line}\n" for line in lines)


def text_table(rows: pa.RecordBatch, width: int | None) -> str:
    """Rows for a screen: columns side by side where they fit, else every row as a block of `column  value` lines.

    Args:
        width: of the screen in characters; None: as wide as it takes.
    """
    cells = flat(rows).with_columns(harmless(pl.all()).fill_null(""))
    names = [_written_out(name) for name in cells.columns]
    lengths = cells.select(pl.all().str.len_chars().max().fill_null(0)).row(0) if cells.width else ()
    widths = [min(max(len(name), length), _WIDEST_COLUMN) for name, length in zip(names, lengths, strict=True)]
    if width is not None and sum(widths) + 2 * len(widths) - 2 > width:
        return "\n".join(_block(number, names, row, width) for number, row in enumerate(cells.iter_rows(), start=1))
    is_number = [pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in rows.schema.types]
    lines = [
        "  ".join(
            _padded(cell, room, right=right) for cell, room, right in zip(row, widths, is_number, strict=True)
        ).rstrip()
        for row in [tuple(names), tuple("-" * room for room in widths), *cells.iter_rows()]
    ]
    return "\n".join(lines)


def _block(number: int, names: list[str], row: tuple[str, ...], width: int) -> str:
    room = max(map(len, names))
    lines = (
        f"{name.ljust(room)}  {_shortened(cell, max(20, width - room - 2))}".rstrip()
        for name, cell in zip(names, row, strict=True)
    )
    return "\n".join([f"row {number} " + "-" * max(0, min(width, 40) - len(f"row {number} ")), *lines])


def _padded(cell: str, room: int, *, right: bool) -> str:
    cell = _shortened(cell, room)
    return cell.rjust(room) if right else cell.ljust(room)


def _shortened(cell: str, room: int) -> str:
    return cell if len(cell) <= room else cell[: room - 3] + "..."


def _written_out(text: str) -> str:
    return "".join(_characters(text))


def _characters(text: str) -> Iterator[str]:
    for character in text:
        code = ord(character)
        if code < 0x20 or 0x7F <= code <= 0x9F:
            yield f"\\x{code:02x}"
        elif code in (0x61C, 0x200E, 0x200F) or 0x2028 <= code <= 0x202E or 0x2066 <= code <= 0x2069:
            yield f"\\u{code:04x}"
        else:
            yield character


def _text(name: str, column: pa.Array) -> pl.Series:
    kind = column.type
    if any(holds(kind) for holds in _TOLD_BY_ARROW):
        values = column.cast(pa.string())
    elif pa.types.is_nested(kind):
        nested = column.to_pylist(maps_as_pydicts="lossy")
        told = [None if value is None else json.dumps(value, default=_plain, ensure_ascii=False) for value in nested]
        values = pa.array(told, pa.string())
    else:
        values = pa.array([None if value is None else _plain(value) for value in column.to_pylist()], pa.string())
    series = pl.from_arrow(values)
    assert isinstance(series, pl.Series)
    return series.alias(name)


def _finite(column: pa.Array) -> pa.Array:
    if not pa.types.is_floating(column.type):
        return column
    return pc.if_else(pc.is_finite(column), column, pa.scalar(None, column.type))


def _plain(value: Any) -> str:
    match value:
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case date() | time():
            return value.isoformat()
        case timedelta():
            return f"{value.total_seconds():g} s"
        case bytes():
            return value.hex()
    return str(value)
