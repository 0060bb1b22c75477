"""The address book sorted: what is asked for is found, all of it and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.core.address_index import AddressIndex, Sorted
from kentik_dagster.errors import MissingColumnsError
from tests.core.made_up_book import BOOK, Fact, Has, Holds, at, book

PLACE = pl.Schema({"vpc_id": pl.String(), "address": pl.String()})
Place = tuple[str | None, str | None]

_texts = st.sampled_from(["", "a", "b", "ab"]) | st.none()
_places = st.lists(st.tuples(_texts, _texts), max_size=8)


def table(rows: Sequence[Place]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=PLACE, orient="row")


def eni(name: str = "eni-a", address: str = "10.0.0.1", begin: int = 0, *, end: int | None = None, **more: bool) -> Has:
    return Has("vpc-1", begin, end, eni=name, address=address, **more)


def index(*facts: Fact, attached: int | None = None) -> AddressIndex:
    """An index of these facts; AWS attached the interfaces at minute `attached`."""
    known = book(facts)
    attached_at = pl.lit(None if attached is None else at(attached), BOOK["attached_at"])
    return AddressIndex(known.with_columns(attached_at=attached_at))


def asked(*rows: tuple[str | None, int]) -> pl.DataFrame:
    """Questions: an interface, and a minute."""
    schema = pl.Schema({"eni_id": pl.String(), "at": BOOK["valid_from"]})
    return pl.DataFrame([(eni_id, at(minute)) for eni_id, minute in rows], schema=schema, orient="row")


def said(known: AddressIndex, *rows: tuple[str | None, int]) -> list[tuple[str | None, bool, bool]]:
    """Of each question the address that the interface had, whether it stood, and whether it is the earliest."""
    found = known.interface(asked(*rows))
    return found.select(known.owners["address"].gather(found["owner"]), "stands", "is_earliest").rows()


# --- rows by their values -----------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(_places, _places)
def test_matches_are_those_of_a_join(known: list[Place], questions: list[Place]) -> None:
    pairs = Sorted(table(known), "vpc_id", "address").matches(table(questions))

    joined = table(questions).with_row_index("asked").join(table(known).with_row_index("row"), on=PLACE.names())
    assert pairs.schema == {"asked": pl.UInt32, "row": pl.UInt32}
    assert sorted(pairs.rows()) == sorted(joined.select("asked", "row").rows())


def test_a_null_matches_nothing_not_even_a_null() -> None:
    rows = table([("vpc-1", None), (None, "10.0.0.1"), (None, None), ("vpc-1", "10.0.0.1")])

    pairs = Sorted(rows, "vpc_id", "address").matches(rows)

    assert pairs.rows() == [(3, 3)]


def test_one_column_of_many_is_enough() -> None:
    rows = table([("vpc-1", "10.0.0.1"), ("vpc-2", "10.0.0.1"), ("vpc-2", "10.0.0.2")])

    pairs = Sorted(rows, "address").matches(pl.DataFrame({"address": ["10.0.0.2", "10.0.0.1", "10.0.0.9"]}))

    assert sorted(pairs.rows()) == [(0, 2), (1, 0), (1, 1)]


@pytest.mark.parametrize(("known", "questions"), [(0, 0), (0, 2), (2, 0)])
def test_where_there_is_nothing_nothing_matches(known: int, questions: int) -> None:
    place: Place = ("vpc-1", "10.0.0.1")

    pairs = Sorted(table([place] * known), "vpc_id", "address").matches(table([place] * questions))

    assert pairs.is_empty()
    assert pairs.columns == ["asked", "row"]


# --- an interface as it was ---------------------------------------------------------------------------------------


def test_an_interface_stands_from_its_begin_until_before_its_end() -> None:
    known = index(eni(begin=2, end=4))

    assert said(known, ("eni-a", 2), ("eni-a", 3)) == [("10.0.0.1", True, False)] * 2
    assert said(known, ("eni-a", 1), ("eni-a", 4)) == [("10.0.0.1", False, False)] * 2


def test_an_interface_that_nobody_saw_has_no_owner() -> None:
    known = index(eni())

    found = known.interface(asked(("eni-b", 1), (None, 1)))

    assert found.rows() == [(None, False, False)] * 2


def test_an_interface_of_the_first_snapshot_may_be_older() -> None:
    known = index(eni(begin=5, is_first=True))

    assert said(known, ("eni-a", 0), ("eni-a", 5)) == [("10.0.0.1", False, True), ("10.0.0.1", True, False)]


def test_it_is_not_older_than_its_attachment() -> None:
    known = index(eni(begin=5, is_first=True), attached=3)

    assert said(known, ("eni-a", 2), ("eni-a", 3)) == [("10.0.0.1", False, False), ("10.0.0.1", False, True)]


def test_where_it_never_stood_the_nearest_time_counts() -> None:
    known = index(eni(address="10.0.0.1", begin=0, end=2), eni(address="10.0.0.2", begin=10, end=12))

    answers = said(known, ("eni-a", 5), ("eni-a", 8), ("eni-a", 6), ("eni-a", 20))

    # As far from both: the one before.
    assert [address for address, *_ in answers] == ["10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2"]
    assert not any(stands or is_earliest for _, stands, is_earliest in answers)


def test_what_stands_outweighs_what_is_nearer_and_what_may_be_older() -> None:
    known = index(eni(address="10.0.0.1", begin=6, is_first=True), eni(address="10.0.0.2", begin=1, end=9))

    assert said(known, ("eni-a", 5)) == [("10.0.0.2", True, False)]
    assert said(known, ("eni-a", 0)) == [("10.0.0.1", False, True)]


def test_each_question_has_one_answer_in_its_place() -> None:
    known = index(eni("eni-a", "10.0.0.1"), eni("eni-a", "10.0.0.2"), eni("eni-b", "10.0.0.3"))

    answers = said(known, ("eni-b", 1), ("eni-c", 1), ("eni-a", 1), ("eni-b", 2))

    assert [address for address, *_ in answers] == ["10.0.0.3", None, "10.0.0.1", "10.0.0.3"]


def test_nothing_asked_is_nothing_found() -> None:
    assert index(eni()).interface(asked()).is_empty()
    assert index().interface(asked(("eni-a", 1))).rows() == [(None, False, False)]


def test_an_interface_had_an_address_whenever_it_was() -> None:
    known = index(eni(address="10.0.0.1", end=2), eni(address="10.0.0.2", begin=2), eni("eni-b", "10.0.0.3"))
    questions = [("eni-a", "10.0.0.1"), ("eni-a", "10.0.0.2"), ("eni-a", "10.0.0.3"), ("eni-c", "10.0.0.1")]

    had = known.had(pl.DataFrame(questions, schema=["eni_id", "address"], orient="row"))

    assert had.to_list() == [True, True, False, None]


# --- when something changed ---------------------------------------------------------------------------------------


def edges(known: AddressIndex, column: str, *names: str, begin: int, end: int) -> list[tuple[str, datetime]]:
    return known.edges_of(pl.DataFrame({column: names}), column, at(begin), at(end)).rows()


def test_edges_are_when_something_begins_or_ends() -> None:
    known = index(eni(begin=2, end=4), eni("eni-b", begin=4, end=8), eni("eni-c", "10.0.0.9", begin=5))

    assert edges(known, "address", "10.0.0.1", begin=0, end=9) == [("10.0.0.1", at(minute)) for minute in (2, 4, 8)]
    assert edges(known, "eni_id", "eni-c", "eni-a", "eni-x", begin=0, end=9) == [
        ("eni-a", at(2)), ("eni-a", at(4)), ("eni-c", at(5)),
    ]  # fmt: skip


def test_edges_lie_after_the_begin_and_not_after_the_end() -> None:
    known = index(eni(begin=2, end=4))

    assert edges(known, "address", "10.0.0.1", begin=2, end=4) == [("10.0.0.1", at(4))]
    assert edges(known, "address", "10.0.0.1", begin=1, end=3) == [("10.0.0.1", at(2))]


def test_that_aws_attached_it_is_an_edge_too() -> None:
    known = index(eni(begin=5, is_first=True), attached=3)

    assert edges(known, "eni_id", "eni-a", begin=0, end=9) == [("eni-a", at(3)), ("eni-a", at(5))]


# --- the whole index ----------------------------------------------------------------------------------------------


def test_it_knows_as_much_as_its_newest_row() -> None:
    assert index(eni(begin=3), Holds("vpc-1", 7, block="10.0.0.0/8"), eni("eni-b", begin=5)).as_of == at(7)
    assert index().as_of is None


def test_only_interfaces_are_owners() -> None:
    known = index(eni(), Holds("vpc-1", block="10.0.0.0/8"))

    assert known.owners["kind"].to_list() == ["interface_address"]


def test_a_book_without_its_columns_is_refused() -> None:
    with pytest.raises(MissingColumnsError, match="valid_to"):
        AddressIndex(book([eni()]).drop("valid_to"))
