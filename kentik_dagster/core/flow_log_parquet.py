"""Flow log Parquet to rows: every row becomes a row of `flow_logs` or a rejected one with its number and the reason.

The layout comes from the column names, never from the `version` value. AWS writes INT32, INT64 and STRING, a missing
number as NULL and a missing text as `-`; rewritten files have other widths, text for numbers, or times for `start`
and `end`. What a column cannot mean is said, and nothing is guessed into it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from kentik_dagster.core.arrow_values import is_binary, is_text, json_text, polars_values
from kentik_dagster.core.flow_log_records import (
    FIELDS,
    INSTANTS,
    NUMBERS,
    as_text,
    flow_rows,
    read_values,
)
from kentik_dagster.core.parsed import REJECTED, Parsed
from kentik_dagster.errors import UnreadableObjectError

ROWS_OF_A_PART = 100_000
# A small file can repeat a large text in every row: then a part has fewer rows.
BYTES_OF_A_PART = 256 * 2**20
_ROWS_OF_NESTED = 1_000
# What pyarrow and Polars raise about files; pyarrow's own errors derive from the others in part only.
_FAULTS = (pa.ArrowException, pl.exceptions.PolarsError, OSError, ValueError, OverflowError, KeyError, IndexError)


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the file: its name there, its type, and its field as AWS names it in LogFormat."""

    name: str
    type: pa.DataType
    field: str


def parquet_parts(content: bytes, *, largest_bytes: int) -> Iterator[Parsed]:
    """Read one flow log object in Parquet, in parts of at most 100,000 rows and some 256 MiB of text.

    Args:
        largest_bytes: how large the columns may be without compression, by the file's footer.

    Returns:
        Parts in the order of the file; none if it has no rows. `lines` counts rows; a rejected row has its number in
        the object (from 1) as `line_number`, and is JSON. Unknown columns are in `extra_fields`, their names with
        hyphens as in text files.

    Raises:
        UnreadableObjectError: the object is no whole Parquet file, is too large, names no field, or a column has a
            type that its field cannot have. Damage inside shows when its part is read.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        metadata = file.metadata
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        size = sum(group.total_byte_size for group in groups)
        columns = _columns(file.schema_arrow) if metadata.num_rows else ()
    except _FAULTS as error:
        raise UnreadableObjectError(_unreadable(content, error)) from error
    if not 0 <= size <= largest_bytes:
        raise UnreadableObjectError(
            f"the Parquet file has {size:,} bytes without compression, and `largest_object_bytes` allows "
            f"{largest_bytes:,}. Raise `largest_object_bytes` in the configuration if the file is meant to be so large."
        )
    if metadata.num_rows != sum(group.num_rows for group in groups):
        raise UnreadableObjectError(_unreadable(content, ValueError("its row groups do not add up to its rows")))
    return _parts(content, columns, metadata.num_rows) if metadata.num_rows else iter(())


def _unreadable(content: bytes, error: BaseException) -> str:
    if content[-4:] == b"PARE" or "decrypt" in str(error):
        reason = "the Parquet file is encrypted with a key of its own: turn off Parquet modular encryption"
    elif content[:2] == b"\x1f\x8b":
        reason = "the object is gzip, and no Parquet file: its key should end in .log.gz"
    else:
        lines = str(error).strip().splitlines()
        reason = f"this is no whole Parquet file ({lines[0] if lines else type(error).__name__})"
    return f"{reason}. Post the object again as AWS writes it."


def _columns(schema: pa.Schema) -> tuple[_Column, ...]:
    columns = tuple(
        _Column(
            name=entry.name,
            type=entry.type.storage_type if isinstance(entry.type, pa.BaseExtensionType) else entry.type,
            field=entry.name.replace("_", "-"),
        )
        for entry in schema
    )
    fields = [column.field for column in columns]
    twice = sorted({field for field in fields if fields.count(field) > 1})
    if twice:
        raise UnreadableObjectError(
            f"the columns name {', '.join(twice)} twice. Write each field once, and post the object again."
        )
    if not any(field in FIELDS for field in fields):
        raise UnreadableObjectError(
            f"no column is a field of flow logs: the file has {', '.join(schema.names[:20]) or 'no columns'}. "
            "Name the columns as AWS does (account_id, srcaddr, …), and post the object again."
        )
    for column in columns:
        if column.field in FIELDS:
            _check(column)
    return columns


def _check(column: _Column) -> None:
    """Raise unless the column's type can hold its field."""
    kind = column.type
    if pa.types.is_null(kind) or is_text(kind):
        return
    if column.field not in NUMBERS:
        expected = "Text"
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return
    elif column.field in INSTANTS:
        if pa.types.is_timestamp(kind) and kind.tz is not None:
            return
        expected = "A time with the time zone UTC, or whole seconds since 1970,"
    else:
        expected = "A whole number"
    without_zone = " without a time zone" if pa.types.is_timestamp(kind) and kind.tz is None else ""
    raise UnreadableObjectError(
        f"column {column.name} is {kind}{without_zone}. {expected} is needed: "
        f"write the column as such, and post the object again."
    )


def _parts(content: bytes, columns: Sequence[_Column], expected: int) -> Iterator[Parsed]:
    done = 0
    try:
        for raw in _frames(content, columns):
            yield _part(raw, columns, done)
            done += raw.height
    except _FAULTS as error:
        raise UnreadableObjectError(_unreadable(content, error)) from error
    if done != expected:
        raise UnreadableObjectError(_unreadable(content, ValueError(f"{done} of its {expected} rows can be read")))


def _frames(content: bytes, columns: Sequence[_Column]) -> Iterator[pl.DataFrame]:
    """The rows of the file as they stand, neither many nor large at a time; columns are named as fields."""
    repeated = [column.name for column in columns if is_text(column.type) or is_binary(column.type)]
    has_nested = any(pa.types.is_nested(column.type) for column in columns)
    file = pq.ParquetFile(pa.BufferReader(content), read_dictionary=repeated)
    pending: list[pl.DataFrame] = []
    rows = size = 0
    for batch in file.iter_batches(_ROWS_OF_NESTED if has_nested else ROWS_OF_A_PART, use_threads=False):
        frame = pl.DataFrame(
            [
                polars_values(array, as_text=column.field not in FIELDS).alias(column.field)
                for array, column in zip(batch.columns, columns, strict=True)
            ]
        )
        bytes_of_a_row = _text_bytes(frame) / max(frame.height, 1)
        for piece in frame.iter_slices(max(1, int(BYTES_OF_A_PART / max(bytes_of_a_row, 1)))):
            bytes_of_piece = int(bytes_of_a_row * piece.height)
            if pending and (rows + piece.height > ROWS_OF_A_PART or size + bytes_of_piece > BYTES_OF_A_PART):
                yield pl.concat(pending, rechunk=True)
                pending, rows, size = [], 0, 0
            pending.append(piece)
            rows, size = rows + piece.height, size + bytes_of_piece
    if pending:
        yield pl.concat(pending, rechunk=True)


def _text_bytes(frame: pl.DataFrame) -> int:
    return sum(int(text.str.len_bytes().sum()) for text in frame.iter_columns() if text.dtype == pl.String)


def _part(raw: pl.DataFrame, columns: Sequence[_Column], rows_before: int) -> Parsed:
    records, reason = read_values(raw)
    return Parsed(
        rows=flow_rows(records.filter(reason.is_null())),
        rejected=_rejected(raw, reason, columns, rows_before),
        lines=raw.height,
        layout=tuple(column.field for column in columns),
    )


def _rejected(raw: pl.DataFrame, reason: pl.Series, columns: Sequence[_Column], rows_before: int) -> pl.DataFrame:
    """The rows that could not be read. The loop is over these only."""
    numbers = pl.select(pl.int_range(1, raw.height + 1) + rows_before).to_series()
    wrong = raw.filter(reason.is_not_null())
    times = [name for name, dtype in raw.schema.items() if isinstance(dtype, pl.Datetime)]
    named = wrong.with_columns(as_text(wrong[name]) for name in times).rename(
        {column.field: column.name for column in columns}
    )
    return pl.DataFrame(
        {
            "line_number": numbers.filter(reason.is_not_null()),
            "text": [json_text(_without_infinities(row)) for row in named.iter_rows(named=True)],
            "reason": reason.drop_nulls(),
        },
        schema=REJECTED,
    )


def _without_infinities(row: dict[str, object]) -> dict[str, object]:
    """JSON has no NaN and no infinity: they become text."""
    return {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }
