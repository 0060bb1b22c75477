"""Laws of numbering distinct rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kentik_dagster.core import distinct
from kentik_dagster.core.distinct import coded, numbered, numbered_keys, texts

_NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
_ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", None]),
        st.sampled_from([None, "x", "y", "z"]),
        st.sampled_from([_NOON, _NOON + timedelta(microseconds=1), None]),
        st.sampled_from([True, False, None]),
        st.sampled_from([0, 7, 2**32 - 1, None]),
    ),
    max_size=30,
)
_SCHEMA = pl.Schema(
    {
        "text": pl.String(),
        "code": pl.Categorical(),
        "at": pl.Datetime("us", "UTC"),
        "is": pl.Boolean(),
        "n": pl.UInt32(),
    }
)


@given(_ROWS, st.sampled_from([2**63 - 1, 2**33, 2**4]), st.sampled_from([0, 1, 1000]))
def test_each_row_is_told_by_the_number_of_its_distinct_one(
    rows: list[tuple[object, ...]], largest: int, dense: int
) -> None:
    frame = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distinct, "_LARGEST", largest)
        patch.setattr(distinct, "_DENSE", dense)
        once, numbers = numbered(frame)

    assert once.height == len(set(frame.rows()))
    assert once.select(pl.all().gather(numbers)).equals(frame)


@given(st.lists(st.tuples(*[st.sampled_from([0, 1, 2**32 - 1])] * 3), max_size=30))
def test_numbers_too_large_to_be_multiplied_stay_apart(rows: list[tuple[int, ...]]) -> None:
    frame = pl.DataFrame(rows, schema=dict.fromkeys("abc", pl.UInt32), orient="row")

    once, numbers = numbered(frame)

    assert once.height == len(set(rows))
    assert once.select(pl.all().gather(numbers)).equals(frame)


def test_columns_of_the_same_categories_can_be_compared() -> None:
    shared = pl.Categories.random()
    addresses = pl.Series(["10.0.0.1", "10.0.0.2", None])

    one, other = coded(addresses, shared), coded(coded(addresses.reverse()), shared)

    assert (one == other).to_list() == [None, True, None]


@given(st.lists(st.sampled_from(["vpc-1", "vpc-2", None]), max_size=6))
def test_categories_say_what_the_text_says(values: list[str | None]) -> None:
    text = pl.Series(values, dtype=pl.String)

    codes = coded(text)

    assert isinstance(codes.dtype, pl.Categorical)
    assert codes.to_list() == values


@given(st.lists(st.integers(0, 2**40)) | st.lists(st.integers(0, 3)), st.sampled_from([0, 1, 2**20]))
def test_each_key_has_a_row_of_its_own(keys: list[int], dense: int) -> None:
    array = np.array(keys, dtype=np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distinct, "_DENSE", dense if max(keys, default=0) < 2**20 else 0)
        rows, numbers = numbered_keys(array, max(keys, default=0) + 1)

    assert len(rows) == len(set(keys))
    assert array[rows][numbers].tolist() == keys


@given(st.lists(st.sampled_from(["", "a", "b", "10.0.0.1"]) | st.none()), st.booleans())
def test_each_text_is_told_by_its_number(words: list[str | None], are_categories: bool) -> None:
    column = pl.Series(words, dtype=pl.Categorical(pl.Categories.random()) if are_categories else pl.String)

    once, numbers = texts(column)

    assert sorted(once) == sorted({word for word in words if word is not None})
    assert [None if number < 0 else once[number] for number in numbers.tolist()] == words
