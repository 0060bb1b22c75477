"""The distinct rows of a frame, numbered: what is asked once for each of them, and told to every row by number."""

from __future__ import annotations

import polars as pl

_LARGEST = 2**63 - 1


def coded(text: pl.Series, categories: pl.Categories | None = None) -> pl.Series:
    """Text as categories: of this series alone, or those given. Categories are compared and written as numbers."""
    if isinstance(text.dtype, pl.Categorical) and categories is None:
        return text
    return text.cast(pl.Categorical(categories or pl.Categories.random()))


def numbered(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
    """The distinct rows in the order of their first appearance, and for each row the number of its distinct one.

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
        if size * count > _LARGEST:
            firsts, numbers = _numbered(key)
            key, size = numbers.cast(pl.Int64), len(firsts)
        key, size = key * count + codes, size * count
    firsts, numbers = _numbered(key)
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


def _numbered(key: pl.Series) -> tuple[pl.Series, pl.Series]:
    """The row at which each key appears first, and for each row which of the keys it has."""
    rows = key.alias("key").to_frame()
    firsts = rows.with_row_index("row").unique("key", keep="first", maintain_order=True).with_row_index("number")
    numbers = rows.join(firsts.select("key", "number"), on="key", how="left", maintain_order="left")["number"]
    return firsts["row"], numbers
