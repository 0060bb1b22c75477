"""Who had an address is found by rule, or said not to be known."""

from __future__ import annotations

import polars as pl
import pytest

from kentik_dagster.core.address_index import AddressIndex
from kentik_dagster.core.resolution import instants, resolve
from tests.core.made_up_book import BOOK, Has, Holds, Peered, answer, asked, at, book, edges

MINE = Has("vpc-1", eni="eni-1", address="10.0.0.1")
THEIRS = Has("vpc-2", eni="eni-2", address="10.0.0.1")
MY_RANGE = Holds("vpc-1", block="10.0.0.0/16")
MY_OTHER_RANGE = Holds("vpc-1", block="172.16.0.0/16")
THEIR_RANGE = Holds("vpc-2", block="10.0.0.0/16")
PEERING = Peered("vpc-1", peer="vpc-2")
NOBODY = None


# --- in the VPC of the record -------------------------------------------------------------------------------------


def test_an_address_is_found_in_the_vpc_of_the_record() -> None:
    assert answer(MINE, THEIRS, MY_RANGE, THEIR_RANGE) == ("exact", "eni-1")
    assert answer(MINE, THEIRS, MY_RANGE, THEIR_RANGE, vpc="vpc-2") == ("exact", "eni-2")


def test_an_address_of_the_vpcs_own_range_that_nobody_there_has_is_unknown() -> None:
    assert answer(THEIRS, MY_RANGE, THEIR_RANGE, PEERING) == ("unknown", NOBODY)


@pytest.mark.parametrize(("minute", "expected"), [(2, "eni-1"), (3, "eni-2"), (5, "eni-2"), (6, NOBODY)])
def test_the_owner_is_that_of_the_moment(minute: int, expected: str | None) -> None:
    first = Has("vpc-1", eni="eni-1", address="10.0.0.1", begin=0, end=3)
    second = Has("vpc-1", eni="eni-2", address="10.0.0.1", begin=3, end=6)

    assert answer(first, second, MY_RANGE, minute=minute)[1] == expected


def test_before_the_first_snapshot_the_first_known_owner_counts_and_is_said_to() -> None:
    later = Has("vpc-1", eni="eni-1", address="10.0.0.1", begin=9, is_first=True)

    assert answer(later, MY_RANGE) == ("earliest", "eni-1")


def test_what_a_later_snapshot_added_was_not_there_before() -> None:
    later = Has("vpc-1", eni="eni-1", address="10.0.0.1", begin=9)

    assert answer(later, Holds("vpc-1", block="10.0.0.0/16", begin=0)) == ("unknown", NOBODY)


def test_what_was_true_then_outweighs_what_was_only_true_later() -> None:
    later = Has("vpc-1", eni="eni-9", address="10.0.0.1", begin=9, is_first=True)

    assert answer(MINE, later) == ("exact", "eni-1")


def test_two_owners_at_one_moment_are_ambiguous() -> None:
    assert answer(MINE, Has("vpc-1", eni="eni-9", address="10.0.0.1")) == ("ambiguous", NOBODY)


def test_an_interface_that_the_book_holds_twice_is_one_owner() -> None:
    assert answer(MINE, MINE) == ("exact", "eni-1")


# --- in peered VPCs -----------------------------------------------------------------------------------------------


def test_an_address_is_found_in_a_peered_vpc_from_both_sides() -> None:
    mine = Has("vpc-1", eni="eni-1", address="172.16.0.1")

    assert answer(THEIRS, MY_OTHER_RANGE, THEIR_RANGE, PEERING) == ("exact", "eni-2")
    assert answer(mine, MY_OTHER_RANGE, THEIR_RANGE, PEERING, vpc="vpc-2", address="172.16.0.1") == ("exact", "eni-1")


def test_an_address_of_a_peers_range_that_nobody_there_has_is_unknown() -> None:
    stranger = Has("vpc-3", eni="eni-3", address="10.0.0.1")

    assert answer(stranger, MY_OTHER_RANGE, THEIR_RANGE, PEERING) == ("unknown", NOBODY)


def test_two_peers_with_one_range_are_ambiguous() -> None:
    others = Holds("vpc-3", block="10.0.0.0/24"), Peered("vpc-1", peer="vpc-3")

    assert answer(THEIRS, MY_OTHER_RANGE, THEIR_RANGE, PEERING, *others) == ("ambiguous", NOBODY)
    assert answer(MY_OTHER_RANGE, THEIR_RANGE, PEERING, *others) == ("ambiguous", NOBODY)


def test_a_peering_counts_while_it_stands() -> None:
    over = Peered("vpc-1", peer="vpc-3", begin=0, end=3)
    others = Holds("vpc-3", block="10.0.0.0/24"), Has("vpc-3", eni="eni-3", address="10.0.0.1")

    assert answer(*others, MY_OTHER_RANGE, over, minute=2) == ("exact", "eni-3")
    assert answer(*others, THEIRS, MY_OTHER_RANGE, THEIR_RANGE, over, PEERING, minute=2) == ("ambiguous", NOBODY)
    assert answer(*others, THEIRS, MY_OTHER_RANGE, THEIR_RANGE, over, PEERING, minute=5) == ("exact", "eni-2")


def test_a_range_that_was_given_back_holds_nothing() -> None:
    given_back = Holds("vpc-1", block="10.0.0.0/16", begin=0, end=3)

    assert answer(THEIRS, given_back, MY_OTHER_RANGE, THEIR_RANGE, PEERING, minute=2) == ("unknown", NOBODY)
    assert answer(THEIRS, given_back, MY_OTHER_RANGE, THEIR_RANGE, PEERING, minute=5) == ("exact", "eni-2")


# --- in the organization ------------------------------------------------------------------------------------------


def test_an_address_that_is_unique_in_the_organization_is_found_there() -> None:
    assert answer(THEIRS, MY_OTHER_RANGE, THEIR_RANGE) == ("exact", "eni-2")


def test_an_address_of_two_owners_in_the_organization_is_ambiguous() -> None:
    assert answer(THEIRS, Has("vpc-3", eni="eni-3", address="10.0.0.1"), MY_OTHER_RANGE) == ("ambiguous", NOBODY)


def test_an_address_in_ranges_of_two_vpcs_is_ambiguous_though_only_one_interface_is_known() -> None:
    empty_twin = Holds("vpc-3", block="10.0.0.0/24")

    assert answer(THEIRS, MY_OTHER_RANGE, THEIR_RANGE, empty_twin) == ("ambiguous", NOBODY)


def test_a_range_that_no_longer_stands_makes_nothing_ambiguous() -> None:
    past = Holds("vpc-3", block="10.0.0.0/24", begin=0, end=3)

    assert answer(THEIRS, MY_OTHER_RANGE, THEIR_RANGE, past) == ("exact", "eni-2")


def test_a_private_address_seen_from_an_unknown_vpc_is_unknown() -> None:
    assert answer(THEIRS, MY_OTHER_RANGE, THEIR_RANGE, vpc=None) == ("unknown", NOBODY)
    assert answer(THEIRS, MY_OTHER_RANGE, THEIR_RANGE, vpc="vpc-9") == ("unknown", NOBODY)


@pytest.mark.parametrize("vpc", ["vpc-1", "vpc-9", None])
def test_a_public_address_of_ours_is_found_from_everywhere(vpc: str | None) -> None:
    public = Has("vpc-2", eni="eni-2", address="198.51.100.1")

    assert answer(public, MY_RANGE, THEIR_RANGE, vpc=vpc, address="198.51.100.1") == ("exact", "eni-2")


@pytest.mark.parametrize("vpc", ["vpc-1", "vpc-9", None])
@pytest.mark.parametrize("address", ["198.51.100.1", "2001:db8::1", "8.8.8.8"])
def test_an_internet_address_that_nobody_of_ours_has_is_external(vpc: str | None, address: str) -> None:
    assert answer(MINE, MY_RANGE, vpc=vpc, address=address) == ("external", NOBODY)


@pytest.mark.parametrize("vpc", ["vpc-1", None])
@pytest.mark.parametrize("address", ["192.168.1.1", "fd00::1", "169.254.169.254", "unknown", "", "10.0.0.01"])
def test_a_private_address_or_no_address_that_nobody_has_is_unknown(vpc: str | None, address: str) -> None:
    assert answer(MINE, MY_RANGE, vpc=vpc, address=address) == ("unknown", NOBODY)


def test_ipv6_is_found_as_ipv4_is() -> None:
    mine = Has("vpc-1", eni="eni-1", address="2001:db8::1")
    mine_too = Holds("vpc-1", block="2001:db8::/64")

    assert answer(mine, mine_too, address="2001:db8::1") == ("exact", "eni-1")
    assert answer(mine, mine_too, address="2001:db8::2") == ("unknown", NOBODY)


def test_no_questions_have_no_answers() -> None:
    known = AddressIndex(book([MINE]))

    assert resolve(asked([], known), known).is_empty()
    assert answer() == ("unknown", NOBODY)


# --- instants -----------------------------------------------------------------------------------------------------


def moments(*minutes: int) -> pl.Series:
    return pl.Series([at(minute) for minute in minutes], dtype=BOOK["valid_from"])


def test_the_network_has_an_instant_for_each_stretch_without_a_change() -> None:
    index = AddressIndex(book([Holds("vpc-1", block="10.0.0.0/16", begin=3, end=6), MY_RANGE]))

    assert instants(index, moments(1, 9)).to_list() == [at(0), at(3), at(6)]
    assert instants(index, moments(4, 5)).to_list() == [at(3)]
    assert instants(index, moments(3)).to_list() == [at(3)]
    assert instants(index, moments(-2)).equals(instants(index, moments(-9, -1)))
    assert instants(index, moments(-9))[0] < at(-9)
    assert instants(index, moments()).is_empty()


def test_what_happens_to_an_address_concerns_that_address_alone() -> None:
    facts = [
        Has("vpc-1", eni="eni-1", address=address, begin=minute)
        for minute, address in ((1, "10.0.0.1"), (2, "10.0.0.2"))
    ]

    changed = edges(AddressIndex(book(facts)), "address", ["10.0.0.1", "10.0.0.3"], begin=0, end=9)

    assert changed == [("10.0.0.1", at(1))]
