"""Arrow columns of any type as frames of flow records have them: numbers, times in UTC, and text for the rest."""

from __future__ import annotations

import json

import polars as pl
import pyarrow as pa

from kentik_dagster.core.flow_log_records import without_dashes


def polars_values(array: pa.Array, *, as_text: bool) -> pl.Series:
    """The values of a column as Polars has them.

    Args:
        as_text: numbers, times and nested values become text as well, as the catalog says nothing of them.

    Returns:
        Text (null where the file has a dash), numbers as they are, Datetime of any unit with the time zone UTC.

    Raises:
        pa.ArrowException, pl.exceptions.PolarsError, ValueError: a value is none of its type.
    """
    if isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    kind = array.type
    if pa.types.is_dictionary(kind):
        # Polars' strings share what they repeat; decoded by pyarrow, each row would have a copy.
        distinct = polars_values(array.dictionary, as_text=as_text)
        return distinct.gather(_series(array.indices))
    if pa.types.is_null(kind):
        return _series(array).cast(pl.String)
    if is_text(kind) or is_binary(kind):
        text = _text(array)
    elif as_text:
        text = _others_as_text(array)
    elif pa.types.is_timestamp(kind):
        # The instant is the same in each zone, and Polars does not know every name that a file may have.
        return _series(array.view(pa.timestamp(kind.unit, "UTC")))
    else:
        return _series(array)
    return text.to_frame("text").select(without_dashes(pl.col("text"))).to_series()


def _text(array: pa.Array) -> pl.Series:
    r"""Text, or bytes as text; bytes that are no UTF-8 are written as in text files: `\xff`."""
    text = array if is_text(array.type) else array.cast(pa.large_binary()).view(pa.large_string())
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        # A loop over values, which are distinct where pyarrow reads a dictionary.
        values = array.cast(pa.large_binary()).to_pylist()
        decoded = [None if value is None else value.decode(errors="backslashreplace") for value in values]
        return pl.Series(decoded, dtype=pl.String)
    return _series(text)


def _others_as_text(array: pa.Array) -> pl.Series:
    """Scalars as they are written, nested values as JSON."""
    kind = array.type
    if pa.types.is_timestamp(kind):
        zone = "" if kind.tz is None else "Z"
        return _series(array.view(pa.timestamp(kind.unit)).cast(pa.large_string())) + zone
    if not pa.types.is_nested(kind):
        return _series(array.cast(pa.large_string()))
    # A loop over rows: these columns are none of AWS's, and neither library writes all nested types as JSON.
    texts = [None if value is None else json_text(value) for value in array.to_pylist()]
    return pl.Series(texts, dtype=pl.String)


def json_text(value: object) -> str:
    """A value as JSON; bytes in hex, and times in ISO 8601."""
    return json.dumps(
        value, ensure_ascii=False, default=lambda other: other.hex() if isinstance(other, bytes) else str(other)
    )


def _series(array: pa.Array) -> pl.Series:
    series = pl.from_arrow(array)
    assert isinstance(series, pl.Series)
    return series


def is_text(kind: pa.DataType) -> bool:
    """Whether a column holds text, possibly with a dictionary."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_binary(kind: pa.DataType) -> bool:
    """Whether a column holds bytes that are not said to be text."""
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_fixed_size_binary(kind)
    )
