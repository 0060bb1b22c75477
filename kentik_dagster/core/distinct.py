"""The distinct rows of a frame, numbered: what is asked once for each of them, and told to every row by number."""

from __future__ import annotations

import numpy as np
import polars as pl

_LARGEST = 2**63 - 1
# Keys of a range of so many times the rows are counted in a table of the range, which costs a quarter of hashing them.
_DENSE = 4


def coded(text: pl.Series, categories: pl.Categories | None = None) -> pl.Series:
    """Text as categories: of this series alone, or those given. Categories are compared and written as numbers."""
    if isinstance(text.dtype, pl.Categorical) and categories is None:
        return text
    dtype = pl.Categorical(categories or pl.Categories.random())
    if len(text) and not text.null_count() and text[0] == text[-1] and (text == text[0]).all():
        return text[:1].cast(dtype).new_from_index(0, len(text))
    return text.cast(dtype)


def numbered(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
    """The distinct rows in no order, and for each row the number of its distinct one (uint32).

    Nulls are equal to each other. Columns with one value cost next to nothing.

    Args:
        rows: columns of text, categories, instants, Booleans and whole numbers that are not negative.
    """
    key = pl.repeat(0, rows.height, dtype=pl.Int64, eager=True)
    size = 1  # keys are below it
    for column in rows:
        codes, count = _codes(column)
        if count == 1:
            continue
        if size > 1 and size * count > min(_DENSE * rows.height, _LARGEST):
            firsts, numbers = _numbered(key, size)
            key, size = numbers.cast(pl.Int64), len(firsts)
        key, size = (codes if size == 1 else key * count + codes), size * count
    firsts, numbers = _numbered(key, size)
    return rows.select(pl.all().gather(firsts)), numbers


def _codes(column: pl.Series) -> tuple[pl.Series, int]:
    """Numbers from 0 for the values of a column, and how many there may be; nulls have a number, too."""
    if isinstance(column.dtype, pl.Datetime):
        moments = column.unique().drop_nulls().sort()
        if len(moments) == 1 and not column.null_count():
            return column, 1
        column = pl.select(pl.when(column.is_not_null()).then(moments.search_sorted(column))).to_series()
    elif isinstance(column.dtype, pl.String):
        column = coded(column)
    codes = column.to_physical().cast(pl.Int64)
    largest = codes.max()
    if largest is None:
        return codes, 1
    count = int(str(largest)) + 1
    if codes.null_count():
        return codes.fill_null(count), count + 1
    return codes, 1 if codes.min() == largest else count


def _numbered(key: pl.Series, size: int) -> tuple[pl.Series, pl.Series]:
    """The row at which each key, of those below `size`, appears first, and for each row which of the keys it has."""
    if size <= _DENSE * len(key):
        keys = key.to_numpy()
        places = np.full(size, -1, np.int32)
        places[keys[::-1]] = np.arange(len(keys) - 1, -1, -1, dtype=np.int32)
        there = np.flatnonzero(places >= 0)
        first_rows = places[there]
        places[there] = np.arange(len(there), dtype=np.int32)
        return pl.Series(first_rows), pl.Series(places[keys].view(np.uint32))
    # Neighbours often have the same key: only where it changes is it looked at.
    run = key.rle_id()
    begins = pl.Series(np.flatnonzero(np.diff(run.to_numpy(), prepend=-1)))
    runs = pl.DataFrame({"key": key.gather(begins), "row": begins})
    firsts = runs.unique("key", keep="first", maintain_order=True).with_row_index("number")
    numbers = runs.join(firsts.select("key", "number"), on="key", how="left", maintain_order="left")["number"]
    return firsts["row"], numbers.gather(run)
