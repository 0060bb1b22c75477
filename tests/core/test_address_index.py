"""The address book sorted: what is asked for is found, all of it and nothing else."""

from __future__ import annotations

import polars as pl
import pytest

from kentik_dagster.core.address_index import AddressIndex, microseconds
from kentik_dagster.core.codes import gathered
from kentik_dagster.errors import MissingColumnsError
from tests.core.made_up_book import BOOK, Fact, Has, Holds, at, book, edges


def eni(name: str = "eni-a", address: str = "10.0.0.1", begin: int = 0, *, end: int | None = None, **more: bool) -> Has:
    return Has("vpc-1", begin, end, eni=name, address=address, **more)


def index(*facts: Fact, attached: int | None = None) -> AddressIndex:
    """An index of these facts; AWS attached the interfaces at minute `attached`."""
    known = book(facts)
    attached_at = pl.lit(None if attached is None else at(attached), BOOK["attached_at"])
    return AddressIndex(known.with_columns(attached_at=attached_at))


Said = tuple[str | None, bool, bool]


def said(known: AddressIndex, *questions: tuple[str | None, int]) -> list[Said]:
    """Of each interface at a minute: the address that it had, whether it stood, and whether it is the earliest."""
    names, minutes = zip(*questions, strict=True) if questions else ((), ())
    times = pl.Series([at(minute) for minute in minutes], dtype=BOOK["valid_from"])
    found = known.interface(known.codes.of(pl.Series(names, dtype=pl.String)), microseconds(times, 0))
    addresses = known.owners["address"].gather(gathered(found.row))
    return list(zip(addresses, found.stand.tolist(), found.are_earliest.tolist(), strict=True))


# --- an interface as it was ---------------------------------------------------------------------------------------


def test_an_interface_stands_from_its_begin_until_before_its_end() -> None:
    known = index(eni(begin=2, end=4))

    assert said(known, ("eni-a", 2), ("eni-a", 3)) == [("10.0.0.1", True, False)] * 2
    assert said(known, ("eni-a", 1), ("eni-a", 4)) == [("10.0.0.1", False, False)] * 2


def test_an_interface_that_nobody_saw_has_no_owner() -> None:
    assert said(index(eni()), ("eni-b", 1), (None, 1)) == [(None, False, False)] * 2


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
    assert said(index(eni())) == []
    assert said(index(), ("eni-a", 1)) == [(None, False, False)]


def test_an_interface_had_an_address_whenever_it_was() -> None:
    known = index(eni(address="10.0.0.1", end=2), eni(address="10.0.0.2", begin=2), eni("eni-b", "10.0.0.3"))
    enis = pl.Series(["eni-a", "eni-a", "eni-a", "eni-c"])
    addresses = pl.Series(["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.1"])

    were_seen, had = known.had(known.codes.of(enis), known.codes.of(addresses))

    assert were_seen.tolist() == [True, True, True, False]
    assert had.tolist() == [True, True, False, False]


def test_an_address_that_nobody_knows_was_had_by_nobody() -> None:
    known = index(eni())

    were_seen, had = known.had(known.codes.of(pl.Series(["eni-a"])), known.codes.of(pl.Series(["10.9.9.9"])))

    assert (were_seen.tolist(), had.tolist()) == ([True], [False])


# --- when something changed ---------------------------------------------------------------------------------------


def test_edges_are_when_something_begins_or_ends() -> None:
    known = index(eni(begin=2, end=4), eni("eni-b", begin=4, end=8), eni("eni-c", "10.0.0.9", begin=5))

    assert edges(known, "address", ["10.0.0.1"], begin=0, end=9) == [("10.0.0.1", at(minute)) for minute in (2, 4, 8)]
    assert edges(known, "eni_id", ["eni-c", "eni-a", "eni-x"], begin=0, end=9) == [
        ("eni-a", at(2)), ("eni-a", at(4)), ("eni-c", at(5)),
    ]  # fmt: skip


def test_edges_lie_after_the_begin_and_not_after_the_end() -> None:
    known = index(eni(begin=2, end=4))

    assert edges(known, "address", ["10.0.0.1"], begin=2, end=4) == [("10.0.0.1", at(4))]
    assert edges(known, "address", ["10.0.0.1"], begin=1, end=3) == [("10.0.0.1", at(2))]


def test_that_aws_attached_it_is_an_edge_too() -> None:
    known = index(eni(begin=5, is_first=True), attached=3)

    assert edges(known, "eni_id", ["eni-a"], begin=0, end=9) == [("eni-a", at(3)), ("eni-a", at(5))]


# --- the whole index ----------------------------------------------------------------------------------------------


def test_it_knows_as_much_as_its_newest_row() -> None:
    assert index(eni(begin=3), Holds("vpc-1", 7, block="10.0.0.0/8"), eni("eni-b", begin=5)).as_of == at(7)
    assert index().as_of is None


def test_only_interfaces_are_owners() -> None:
    known = index(Holds("vpc-1", block="10.0.0.0/8"), eni(), Holds("vpc-2", block="10.0.0.0/8"))

    assert known.owners["eni_id"].to_list() == ["eni-a"]


def test_a_book_without_its_columns_is_refused() -> None:
    with pytest.raises(MissingColumnsError, match="valid_to"):
        AddressIndex(book([eni()]).drop("valid_to"))
