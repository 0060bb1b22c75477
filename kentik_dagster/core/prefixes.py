"""Longest prefix match for many addresses at once: prefixes that may lie in each other, cut into pieces that do not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

from kentik_dagster.core.addresses import FIRST_IPV4, LAST_IPV4
from kentik_dagster.core.codes import Flags
from kentik_dagster.core.distinct import NONE, Numbers

_LARGEST = (1 << 128) - 1
_NUMBER = pl.UInt128()
PREFIXES = pl.Schema({
    "scope": pl.Int64(), "first": _NUMBER, "last": _NUMBER, "place": pl.Int64()
})  # fmt: skip


class Cuts:
    """Where prefixes begin and end, in order: between two cuts, every address lies in the same prefixes."""

    def __init__(self, prefixes: pl.DataFrame) -> None:
        """`prefixes`: with `first` and `last` (uint128)."""
        families = pl.Series([FIRST_IPV4, LAST_IPV4 + 1], dtype=_NUMBER)
        after = pl.col("last").filter(pl.col("last") < pl.lit(_LARGEST, _NUMBER)) + 1
        edges = [prefixes.select(edge).to_series() for edge in ("first", after)]
        self._cuts = pl.concat([families, *edges]).drop_nulls().unique().sort()
        self._ipv4 = self._cuts.search_sorted(families, side="right").to_numpy()

    def of(self, numbers: pl.Series) -> Numbers:
        """How many cuts lie at or before each number (uint128), NONE for a null."""
        before = self._cuts.search_sorted(numbers, side="right").cast(pl.Int64).to_numpy()
        return np.where(numbers.is_null().to_numpy(), NONE, before)

    def are_ipv4(self, cut: Numbers) -> Flags:
        """IPv4 addresses lie among the IPv6 ones, but no IPv6 prefix says anything of them."""
        begin, end = self._ipv4
        flags: Flags = (begin <= cut) & (cut < end)
        return flags


@dataclass(frozen=True, slots=True)
class Held:
    """What holds each address.

    Attributes:
        place: of the longest prefix that holds it (NONE: none does; the smallest of several with that length).
        places: how many prefixes of places hold it.
    """

    place: Numbers
    places: Numbers


class Pieces:
    """The prefixes of several scopes as sorted pieces that do not overlap."""

    def __init__(self, prefixes: pl.DataFrame, cuts: Cuts) -> None:
        """The same prefix may be there for several places. Prefixes lie in each other or apart, as CIDR blocks do.

        Args:
            prefixes: one row is a prefix: the columns of PREFIXES, `scope` (a number), `first` and `last`, `place`
                (a number, what it says).
            cuts: with those of these prefixes.
        """
        self._cuts = cuts
        known = prefixes.select(*PREFIXES).drop_nulls().filter(pl.col("scope") >= 0)
        merged = (
            known.group_by("scope", "first", "last")
            .agg(pl.col("place").min(), pl.col("place").n_unique().cast(pl.Int64).alias("places"))
            .sort(pl.col("last") - pl.col("first"), descending=True)
        )
        scope, place, places = (merged[name].to_numpy() for name in ("scope", "place", "places"))
        first = cuts.of(merged["first"])
        family = cuts.are_ipv4(first)
        begin, last = (_key(scope, family, cut) for cut in (first, cuts.of(merged["last"])))
        self._begins = np.unique(np.concatenate([begin, last + 1]))
        self._place = np.full(len(self._begins), NONE)
        self._places = np.zeros(len(self._begins), np.int64)
        # Prefixes of one length do not overlap, so the last one that begins before a piece holds it or none does.
        for rows in _of_each_size(merged):
            rows = rows[np.argsort(begin[rows])]
            near = np.searchsorted(begin[rows], self._begins, side="right") - 1
            inner = rows[np.maximum(near, 0)]
            holds = (near >= 0) & (self._begins <= last[inner])
            self._place = np.where(holds, place[inner], self._place)
            self._places += np.where(holds, places[inner], 0)

    def of(self, scope: Numbers, cut: Numbers) -> Held:
        """What holds each address.

        Args:
            scope: numbers; NONE is held by nothing.
            cut: what `Cuts.of` says of the address.
        """
        if not len(self._begins):
            return Held(np.full(len(cut), NONE), np.zeros(len(cut), np.int64))
        asked = _key(scope, self._cuts.are_ipv4(cut), cut)
        near = np.maximum(np.searchsorted(self._begins, asked, side="right") - 1, 0)
        # Where the scope or the family ends, so does the last piece of it.
        is_there = (self._begins[near] <= asked) & (self._begins[near] >> 32 == asked >> 32)
        return Held(np.where(is_there, self._place[near], NONE), np.where(is_there, self._places[near], 0))


def _key(scope: Numbers, is_ipv4: Flags, cut: Numbers) -> Numbers:
    """A number that grows with scope, family and cut; NONE where scope or cut is."""
    return np.where((scope >= 0) & (cut >= 0), (scope * 2 + is_ipv4) << 32 | cut, NONE)


def _of_each_size(prefixes: pl.DataFrame) -> Iterable[Numbers]:
    """The rows of prefixes of each size, the widest first; sorted so."""
    sizes = (prefixes["last"] - prefixes["first"]).rle_id().to_numpy()
    return np.split(np.arange(len(sizes)), np.flatnonzero(np.diff(sizes)) + 1) if len(sizes) else ()
