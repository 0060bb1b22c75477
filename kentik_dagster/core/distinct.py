"""The distinct rows of a frame, numbered: what is asked once for each of them, and told to every row by number."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Numbers = npt.NDArray[np.int64]
# The numbers of what has none: of null, and of what is not known. Others begin at 0.
NONE, UNKNOWN = -1, -2
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


def texts(column: pl.Series) -> tuple[pl.Series, Numbers]:
    """The distinct texts of a column of text or categories, and for each row the number of its own, NONE for null."""
    if column.dtype == pl.String:
        column = coded(column)
    codes = column.to_physical()
    size = 0 if codes.null_count() == len(codes) else int(str(codes.max())) + 1
    places = codes.cast(pl.Int64).fill_null(size).to_numpy()
    first = np.full(size + 1, NONE)
    first[places] = np.arange(len(places))
    used = np.flatnonzero(first[:size] >= 0)
    number = np.full(size + 1, NONE)
    number[used] = np.arange(len(used))
    return column.gather(first[used]).cast(pl.String), number[places]


def numbered(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
    """The distinct rows in no order, and for each row the number of its distinct one (uint32).

    Nulls are equal to each other. Columns with one value cost next to nothing.

    Args:
        rows: columns of text, categories, instants, Booleans and whole numbers that are not negative.
    """
    # Neighbours are often the same: only where a row differs from the one before is it looked at.
    differs = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift()) for name in rows.columns)
    begins = rows.select((differs | (pl.int_range(pl.len()) == 0)).alias("begins")).to_series().arg_true()
    runs = rows.select(pl.all().gather(begins))
    key, size = np.zeros(runs.height, np.int64), 1  # keys are below the size
    for column in runs:
        if size >= len(key):
            firsts, key = _numbered(key, size)
            size = len(firsts)
            if size == len(key):
                break  # no two are the same
        codes, count = _codes(column)
        if count == 1:
            continue
        if size * count > min(_DENSE * len(key), _LARGEST):
            firsts, key = _numbered(key, size)
            size = len(firsts)
        key, size = (codes if size == 1 else key * count + codes), size * count
    firsts, numbers = _numbered(key, size)
    each = _repeated(numbers.astype(np.uint32), begins.to_numpy(), rows.height)
    return runs.select(pl.all().gather(firsts)), pl.Series(each)


def numbered_keys(keys: Numbers, size: int) -> tuple[Numbers, Numbers]:
    """A row of each distinct key, of whole numbers from 0 to below `size`; and for each row the number of its own."""
    is_new = np.diff(keys, prepend=-1) != 0
    begins = np.flatnonzero(is_new)
    firsts, numbers = _numbered(keys[begins], size)
    return begins[firsts], _repeated(numbers, begins, len(keys))


def _repeated(said: npt.NDArray[Any], begins: npt.NDArray[Any], count: int) -> npt.NDArray[Any]:
    """For each of `count` rows what is said of the run that it lies in; the first run begins at the first row."""
    return np.repeat(said, np.diff(begins, append=count))


def _codes(column: pl.Series) -> tuple[Numbers, int]:
    """Numbers from 0 for the values of a column, and how many there may be; nulls have a number, too."""
    if column.null_count() == len(column):
        return np.zeros(len(column), np.int64), 1
    if isinstance(column.dtype, pl.Datetime):
        moments = column.unique().drop_nulls().sort()
        column = pl.select(pl.when(column.is_not_null()).then(moments.search_sorted(column))).to_series()
    elif isinstance(column.dtype, pl.String):
        column = coded(column)
    codes = column.to_physical().cast(pl.Int64)
    count = int(str(codes.max())) + 1
    if codes.null_count():
        return codes.fill_null(count).to_numpy(), count + 1
    return codes.to_numpy(), 1 if codes.min() == count - 1 else count


def _numbered(keys: Numbers, size: int) -> tuple[Numbers, Numbers]:
    """`numbered_keys` of keys that need not be alike next to each other."""
    if size <= _DENSE * len(keys):
        places = np.full(size, NONE)
        places[keys] = np.arange(len(keys))
        there = np.flatnonzero(places >= 0)
        firsts = places[there]
        places[there] = np.arange(len(there))
        return firsts, places[keys]
    order = np.argsort(keys)
    is_new = np.diff(keys[order], prepend=-1) != 0
    numbers = np.empty(len(keys), np.int64)
    numbers[order] = np.cumsum(is_new) - 1
    return order[is_new], numbers
