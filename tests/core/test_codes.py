"""Laws of texts as numbers, and of rows that are found by them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kentik_dagster.core import codes as codes_module
from kentik_dagster.core.codes import Codes, Rows, gathered
from kentik_dagster.core.distinct import NONE, UNKNOWN, Numbers

_texts = st.lists(st.sampled_from(["", "a", "b", "ab", "10.0.0.1"]) | st.none(), max_size=10)
_numbers = st.lists(st.integers(UNKNOWN, 3) | st.just(1_000_000), max_size=12)
_pairs = st.lists(st.tuples(st.integers(UNKNOWN, 3), st.integers(UNKNOWN, 3) | st.just(2**31 - 1)), max_size=12)


def series(texts: Sequence[str | None], *, as_categories: bool = False) -> pl.Series:
    text = pl.Series(texts, dtype=pl.String)
    return text.cast(pl.Categorical(pl.Categories.random())) if as_categories else text


def numbers(values: Sequence[int]) -> Numbers:
    return np.array(values, dtype=np.int64)


# --- texts --------------------------------------------------------------------------------------------------------


@given(_texts, _texts, st.booleans(), st.booleans())
def test_known_texts_have_one_number_each_and_others_none(
    known: list[str | None], asked: list[str | None], is_known_as_categories: bool, are_categories: bool
) -> None:
    codes = Codes(series(known, as_categories=is_known_as_categories))

    found = codes.of(series(asked, as_categories=are_categories)).tolist()

    number_of = {text: number for text, number in zip(asked, found, strict=True) if number >= 0}
    assert number_of.keys() == {text for text in asked if text is not None and text in known}
    assert len(set(number_of.values())) == len(number_of)
    assert all(0 <= number < len(set(known)) for number in number_of.values())
    assert found == [NONE if text is None else number_of.get(text, UNKNOWN) for text in asked]


def test_texts_of_several_columns_are_known() -> None:
    codes = Codes(series(["a", None]), series(["b", "a"], as_categories=True))

    assert sorted(codes.of(series(["a", "b"])).tolist()) == [0, 1]


def test_texts_whose_hashes_are_alike_have_numbers_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    letters = {"a": 1, "b": 2}

    def rough(self: pl.Series, seed: int) -> pl.Series:
        length = self.str.len_bytes() if seed > 1 else 0
        return (length * 10 + self.str.head(1).replace_strict(letters)).cast(pl.UInt64)

    monkeypatch.setattr(pl.Series, "hash", rough)

    codes = Codes(series(["a", "ab", "b"]))

    assert sorted(codes.of(series(["a", "ab", "b"])).tolist()) == [0, 1, 2]


# --- rows ---------------------------------------------------------------------------------------------------------


@given(_numbers, _numbers, st.sampled_from([0, 4, 10**7]))
def test_rows_are_those_that_have_the_number(known: list[int], asked: list[int], dense: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codes_module, "_DENSE", dense)
        rows = Rows(numbers(known))

    questions, found = rows.pairs(numbers(asked))

    by_hand = [
        (question, row)
        for question, one in enumerate(asked)
        for row, other in enumerate(known)
        if one == other and one >= 0
    ]
    assert list(zip(questions.tolist(), found.tolist(), strict=True)) == by_hand
    first = dict(reversed(by_hand))
    assert rows.first(numbers(asked)).tolist() == [first.get(question, NONE) for question in range(len(asked))]


@given(_pairs, _pairs)
def test_two_numbers_have_to_be_the_same_ones(known: list[tuple[int, int]], asked: list[tuple[int, int]]) -> None:
    rows = Rows(*(numbers([pair[side] for pair in known]) for side in (0, 1)))

    questions, found = rows.pairs(*(numbers([pair[side] for pair in asked]) for side in (0, 1)))

    assert list(zip(questions.tolist(), found.tolist(), strict=True)) == [
        (question, row)
        for question, one in enumerate(asked)
        for row, other in enumerate(known)
        if one == other and min(one) >= 0
    ]


def test_what_is_not_there_is_gathered_as_null() -> None:
    assert pl.Series(["a", "b"]).gather(gathered(numbers([1, NONE, 0]))).to_list() == ["b", None, "a"]
