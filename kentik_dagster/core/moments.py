"""As of when things are looked up for a record: at the last change before it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from kentik_dagster.core.address_index import AddressIndex, microseconds
from kentik_dagster.core.codes import Rows
from kentik_dagster.core.distinct import Numbers
from kentik_dagster.core.resolution import instants

# What changed after an instant and until another, and when.
Changes = Callable[[int, int], tuple[Numbers, Numbers]]


def network_instants(moments: pl.Series, index: AddressIndex) -> pl.Series:
    """The instant at which the network is looked at for each record: when it last changed before.

    It is the same for all records of a stretch without a change, whichever batch they are of.
    """
    stretches = instants(index, moments)
    if len(stretches) == 1 and not moments.null_count():
        return stretches.new_from_index(0, len(moments)).alias("instant")
    if len(stretches) < 2:
        instant = pl.lit(stretches[0] if len(stretches) else None, moments.dtype)
        return pl.select(pl.when(moments.is_not_null()).then(instant)).to_series().alias("instant")
    number = stretches.search_sorted(moments, side="right").cast(pl.Int64) - 1
    return stretches.gather(pl.select(pl.when(moments.is_not_null()).then(number)).to_series()).alias("instant")


def last_changes(which: Numbers, codes: Numbers, moments: pl.Series, changes: Changes) -> pl.Series:
    """When what each record is about last changed until its moment; null where it did not since the first moment.

    Args:
        which: for each record, which of some addresses or interfaces it is about; NONE: none.
        codes: the numbers of these in the address index.
        moments: when each record was; null: not known.
        changes: of all addresses or interfaces.
    """
    nothing = pl.repeat(None, len(moments), dtype=moments.dtype, eager=True)
    times = moments.to_physical()
    begin, end = times.min(), times.max()
    if begin is None or begin == end:
        return nothing
    changed, edges = changes(int(str(begin)), int(str(end)))
    number, found = Rows(changed).pairs(codes)
    if not len(found):
        return nothing
    at, edge = np.unique(edges[found], return_inverse=True)
    keys = np.sort(number << 32 | edge)
    until = np.searchsorted(at, microseconds(moments, int(str(begin))), side="right")
    near = np.searchsorted(keys, which << 32 | until) - 1  # the last change that is before it
    is_there = (near >= 0) & (keys[near] >> 32 == which)
    last = pl.Series(at[keys[near] & 0xFFFF_FFFF]).cast(moments.dtype)
    return pl.select(pl.when(pl.Series(is_there)).then(last)).to_series()
