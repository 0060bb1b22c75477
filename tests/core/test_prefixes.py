"""The longest prefix that holds an address is found as one would find it by looking at each prefix."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.core.addresses import address_numbers, ranges
from kentik_dagster.core.distinct import NONE
from kentik_dagster.core.prefixes import Cuts, Pieces

Prefix = tuple[str, str, int]  # scope, CIDR block, place


def held(prefixes: Sequence[Prefix], asked: Sequence[tuple[str | None, str | None]]) -> list[tuple[int | None, int]]:
    """The place and the number of places that hold each address."""
    scopes = {scope: number for number, scope in enumerate(sorted({scope for scope, _, _ in prefixes}))}
    rows = [(scopes[scope], block, place) for scope, block, place in prefixes]
    blocks = pl.DataFrame(rows, schema={"scope": pl.Int64, "cidr_block": pl.String, "place": pl.Int64}, orient="row")
    known = blocks.join(ranges(blocks["cidr_block"]), on="cidr_block")
    addresses = pl.DataFrame({"address": [address for _, address in asked]}, schema={"address": pl.String})
    numbers = addresses.join(address_numbers(addresses["address"]), on="address", how="left", maintain_order="left")
    cuts = Cuts(known)
    found = Pieces(known, cuts).of(
        np.array([scopes.get(scope or "", NONE) for scope, _ in asked]), cuts.of(numbers["number"])
    )
    places = [None if place == NONE else place for place in found.place.tolist()]
    return list(zip(places, found.places.tolist(), strict=True))


def test_the_most_specific_prefix_of_the_scope_counts() -> None:
    prefixes = [
        ("rtb-1", "0.0.0.0/0", 1),
        ("rtb-1", "10.0.0.0/8", 2),
        ("rtb-1", "10.1.0.0/16", 3),
        ("rtb-2", "10.1.2.0/24", 4),
    ]

    found = held(
        prefixes, [("rtb-1", "10.1.2.3"), ("rtb-1", "10.9.9.9"), ("rtb-1", "192.0.2.1"), ("rtb-2", "192.0.2.1")]
    )

    assert found == [(3, 3), (2, 2), (1, 1), (None, 0)]


def test_a_default_route_of_one_family_says_nothing_of_the_other() -> None:
    asked = [("rtb-1", "192.0.2.1"), ("rtb-1", "2001:db8::1")]

    assert held([("rtb-1", "::/0", 6)], asked) == [(None, 0), (6, 1)]
    assert held([("rtb-1", "0.0.0.0/0", 4)], asked) == [(4, 1), (None, 0)]


def test_a_prefix_that_ends_among_the_addresses_of_the_other_family_says_nothing_of_them() -> None:
    around = [("rtb-1", "::fffe:0:0/95", 6)]

    assert held(around, [("rtb-1", "10.0.0.1"), ("rtb-1", "::fffe:0:1"), ("rtb-1", "2001:db8::1")]) == [
        (None, 0), (6, 1), (None, 0),
    ]  # fmt: skip


def test_what_is_no_address_or_has_no_scope_is_held_by_nothing() -> None:
    assert held([("vpc-1", "10.0.0.0/8", 1)], [("vpc-1", "-"), (None, "10.0.0.1"), ("vpc-1", None)]) == [(None, 0)] * 3


def test_without_prefixes_nothing_is_held() -> None:
    assert held([], [("vpc-1", "10.0.0.1")]) == [(None, 0)]


_scopes = st.sampled_from(["a", "b"])
_ipv4 = st.builds(lambda high, low: f"10.{high}.0.{low}", st.integers(0, 3), st.integers(0, 7))
_ipv6 = st.builds(lambda low: f"2001:db8::{low:x}", st.integers(0, 15))
_blocks = st.one_of(
    st.builds(lambda address, length: f"{ipaddress.ip_network(f'{address}/{length}', strict=False)}", _ipv4,
              st.sampled_from([0, 8, 14, 15, 16, 24, 29, 31, 32])),
    st.builds(lambda address, length: f"{ipaddress.ip_network(f'{address}/{length}', strict=False)}", _ipv6,
              st.sampled_from([0, 64, 125, 127, 128])),
)  # fmt: skip


@given(
    st.lists(st.tuples(_scopes, _blocks, st.integers(0, 9)), max_size=12),
    st.lists(st.tuples(_scopes, st.one_of(_ipv4, _ipv6)), min_size=1, max_size=8),
)
@settings(max_examples=60, deadline=None)
def test_it_is_what_looking_at_each_prefix_would_find(prefixes: list[Prefix], asked: list[tuple[str, str]]) -> None:
    def by_hand(scope: str, text: str) -> tuple[int | None, int]:
        address = ipaddress.ip_address(text)
        matching = {
            (network, place)
            for own, block, place in prefixes
            if own == scope and address in (network := ipaddress.ip_network(block))
        }
        longest = max((network.prefixlen for network, _ in matching), default=0)
        places = [place for network, place in matching if network.prefixlen == longest]
        return min(places, default=None), len(matching)

    assert held(prefixes, list(asked)) == [by_hand(scope, text) for scope, text in asked]
