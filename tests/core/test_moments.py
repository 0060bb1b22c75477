"""The last change before each record is found as one would find it by looking at each change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from kentik_dagster.core.distinct import NONE, Numbers
from kentik_dagster.core.moments import last_changes

_NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
_CODES = (NONE, 7, 3, 2**31 - 1)  # of what records are about; NONE: the index does not know it


def at(second: int) -> datetime:
    return _NOON + timedelta(seconds=second)


def microseconds(second: int) -> int:
    return int(at(second).timestamp()) * 1_000_000


@given(
    st.lists(st.tuples(st.integers(NONE, len(_CODES) - 1), st.integers(0, 9) | st.none()), max_size=12),
    st.lists(st.tuples(st.sampled_from([3, 4, 7, 2**31 - 1]), st.integers(-2, 11)), max_size=8),
)
def test_it_is_the_last_one_that_is_not_later(
    records: list[tuple[int, int | None]], changes: list[tuple[int, int]]
) -> None:
    def between(begin: int, end: int) -> tuple[Numbers, Numbers]:
        there = [(code, microseconds(second)) for code, second in changes if begin < microseconds(second) <= end]
        codes, instants = zip(*there, strict=True) if there else ((), ())
        return np.array(codes, dtype=np.int64), np.array(instants, dtype=np.int64)

    which = np.array([one for one, _ in records], dtype=np.int64)
    times = [None if second is None else at(second) for _, second in records]

    found = last_changes(which, np.array(_CODES), pl.Series(times, dtype=pl.Datetime("us", "UTC")), between)

    first = min((second for _, second in records if second is not None), default=0)

    def by_hand(one: int, moment: int | None) -> datetime | None:
        until = -1 if moment is None else moment
        its_own = [second for code, second in changes if one > 0 and code == _CODES[one] and first < second <= until]
        return at(max(its_own)) if its_own else None

    assert found.to_list() == [by_hand(*record) for record in records]
