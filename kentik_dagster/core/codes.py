"""Texts as numbers, so that what is looked up by them is compared, sorted and searched for as numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from kentik_dagster.core.distinct import NONE, UNKNOWN, Numbers, texts

Flags = npt.NDArray[np.bool_]
# Keys below so many times the rows are looked up in a table of all of them.
_DENSE = 4


def gathered(rows: Numbers) -> pl.Series:
    """Rows as `gather` takes them: null for NONE."""
    return pl.Series(rows).cast(pl.UInt32, strict=False)


def values_of(values: npt.NDArray[Any], rows: Numbers) -> npt.NDArray[Any]:
    """The value of each row: of numbers or flags, NONE or False where the row is NONE."""
    nothing = False if values.dtype == bool else NONE
    if not len(values):
        return np.full(len(rows), nothing, values.dtype)
    return np.where(rows >= 0, values[rows], nothing)


class Codes:
    """A number for each known text, from 0; texts that are not known are not remembered."""

    def __init__(self, *columns: pl.Series) -> None:
        """`columns` of text or categories; nulls count for nothing."""
        distinct = (column if column.dtype == pl.String else texts(column)[0] for column in columns)
        given = pl.concat([pl.Series([], dtype=pl.String), *(one.alias("") for one in distinct)], rechunk=True)
        given = given.drop_nulls()
        self._seed = -1
        while True:
            self._seed += 1  # until no two of them have one hash
            hashes = given.hash(self._seed).to_numpy()
            order = np.argsort(hashes)
            hashes = hashes[order]
            again = np.flatnonzero(hashes[1:] == hashes[:-1]) + 1
            if (given.gather(order[again]) == given.gather(order[again - 1])).all():
                break
        self._hashes, self._texts = np.delete(hashes, again), given.gather(np.delete(order, again))

    def of(self, column: pl.Series) -> Numbers:
        """The number of each text or category, NONE where it is null, UNKNOWN where it is not known."""
        if column.dtype == pl.String:
            return self._of(column)
        distinct, rows = texts(column)
        return np.append(self._of(distinct), NONE)[rows]

    def _of(self, asked: pl.Series) -> Numbers:
        if not len(self._texts) or not len(asked):
            return np.where(asked.is_null().to_numpy(), NONE, UNKNOWN)
        hashes = asked.hash(self._seed).to_numpy()
        order = np.argsort(hashes)  # neighbours are searched for one after the other
        near = np.minimum(np.searchsorted(self._hashes, hashes[order]), len(self._hashes) - 1)
        places = np.empty(len(asked), np.int64)
        places[order] = near
        same = (self._texts.gather(places) == asked).fill_null(False)
        return np.where(same.to_numpy(), places, np.where(asked.is_null().to_numpy(), NONE, UNKNOWN))


class Rows:
    """The rows of a table by one or two of their numbers, sorted once."""

    def __init__(self, *columns: Numbers) -> None:
        """Rows with NONE or UNKNOWN in a column are found by nothing."""
        rows = np.flatnonzero(_are_known(columns))
        keys = _key([column[rows] for column in columns])
        if len(columns) == 1:  # to sort key and row as one number takes a tenth of sorting places by keys
            both = np.sort(keys << 32 | rows)
            self._rows, keys = both & 0xFFFF_FFFF, both >> 32
        else:
            order = np.argsort(keys, kind="stable")
            self._rows, keys = rows[order], keys[order]
        # Keys are searched for or, where they are dense, looked up in a table. Behind the last is the place of others.
        self._keys: Numbers | None = None
        size = int(keys[-1]) + 1 if len(keys) else 0
        if size <= _DENSE * len(keys):
            counts = np.bincount(keys, minlength=size)
            begins = np.cumsum(counts) - counts
        else:
            begins = np.flatnonzero(np.diff(keys, prepend=NONE))
            self._keys = keys[begins]
        self._nowhere = len(begins)
        self._begins = np.append(begins, [len(rows)] * 2)

    def pairs(self, *asked: Numbers) -> tuple[Numbers, Numbers]:
        """Each question, by its place, with each row that has its numbers; in order of both."""
        begins, counts = self._found(asked)
        questions = np.repeat(np.arange(len(counts)), counts)
        within = np.arange(len(questions)) - np.repeat(np.cumsum(counts) - counts, counts)
        return questions, self._rows[begins[questions] + within]

    def first(self, *asked: Numbers) -> Numbers:
        """The first row that has the numbers of each question, NONE where none has."""
        begins, counts = self._found(asked)
        first = np.full(len(begins), NONE)
        found = np.flatnonzero(counts)
        first[found] = self._rows[begins[found]]
        return first

    def _found(self, asked: tuple[Numbers, ...]) -> tuple[Numbers, Numbers]:
        """Where the rows of each question begin, and how many there are."""
        keys = _key(asked)
        if self._keys is None:
            place = np.where(_are_known(asked) & (keys < self._nowhere), keys, self._nowhere)
        else:
            place = np.searchsorted(self._keys, keys)
            is_there = self._keys[np.minimum(place, self._nowhere - 1)] == keys
            place[~is_there | ~_are_known(asked)] = self._nowhere
        begins = self._begins[place]
        return begins, self._begins[place + 1] - begins


def _key(columns: list[Numbers] | tuple[Numbers, ...]) -> Numbers:
    """One number for those of each row; numbers are below 2**31."""
    key = columns[0]
    for column in columns[1:]:
        key = key << 32 | column
    return key


def _are_known(columns: tuple[Numbers, ...]) -> Flags:
    known = columns[0] >= 0
    for column in columns[1:]:
        known = known & (column >= 0)
    return known
