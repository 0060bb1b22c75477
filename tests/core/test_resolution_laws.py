"""Any book, any question: the answer is that of the rule, and never the owner in another VPC."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.catalog.addresses import NOT_INTERNET
from kentik_dagster.core.address_index import AddressIndex
from kentik_dagster.core.resolution import instants
from tests.core.made_up_book import BOOK, Fact, Has, Holds, Peered, answers, at, book, edges

VPCS = ("vpc-1", "vpc-2", "vpc-3")
BLOCKS = ("10.0.0.0/24", "10.0.0.0/25", "10.1.0.0/24", "198.51.100.0/24", "2001:db8::/64")
ADDRESSES = ("10.0.0.1", "10.0.0.200", "10.1.0.1", "198.51.100.1", "2001:db8::1", "8.8.8.8", "nonsense")
EVERY_QUESTION = list(product((*VPCS, None), ADDRESSES, range(6)))

_begins = st.integers(0, 4)
_times = _begins.flatmap(
    lambda begin: st.fixed_dictionaries(
        {"begin": st.just(begin), "end": st.none() | st.integers(begin + 1, 6), "is_first": st.booleans()}
    )
)
_has = st.builds(
    lambda eni, address, times: Has(vpc=f"vpc-{1 + eni % 3}", eni=f"eni-{eni}", address=address, **times),
    st.integers(1, 6),
    st.sampled_from(ADDRESSES[:-1]),
    _times,
)
_holds = st.builds(
    lambda vpc, block, times: Holds(vpc=vpc, block=block, **times),
    st.sampled_from(VPCS),
    st.sampled_from(BLOCKS),
    _times,
)
_peered = st.builds(
    lambda pair, times: Peered(vpc=pair[0], peer=pair[1], **times),
    st.sampled_from([("vpc-1", "vpc-2"), ("vpc-2", "vpc-3"), ("vpc-1", "vpc-3")]),
    _times,
)


@dataclass(frozen=True, slots=True)
class World:
    """A book's facts, looked through one by one."""

    has: Sequence[Has]
    holds: Sequence[Holds]
    peered: Sequence[Peered]

    @property
    def facts(self) -> list[Fact]:
        return [*self.has, *self.holds, *self.peered]

    def holders(self, address: str, minute: int) -> set[str]:
        """The VPCs that hold the address, or are known to have held it later."""
        return {
            fact.vpc
            for fact in self.holds
            if fact.stood(minute)
            and is_address(address)
            and ipaddress.ip_address(address) in ipaddress.ip_network(fact.block)
        }

    def peers(self, vpc: str | None, minute: int) -> set[str]:
        pairs = [(fact.vpc, fact.peer) for fact in self.peered if fact.stood(minute)]
        return {other for pair in pairs for one, other in (pair, pair[::-1]) if one == vpc}

    def owner(self, address: str, minute: int, vpcs: Iterable[str]) -> tuple[str, str | None] | None:
        """Who had the address in one of these VPCs; None: nobody."""
        known = [(fact.stood(minute), fact.eni) for fact in self.has if fact.address == address and fact.vpc in vpcs]
        for word in ("exact", "earliest"):
            owners = {eni for stood, eni in known if stood == word}
            if owners:
                return (word, owners.pop()) if len(owners) == 1 else ("ambiguous", None)
        return None

    def answer(self, vpc: str | None, address: str, minute: int) -> tuple[str, str | None]:
        """The rule, step by step."""
        holders = self.holders(address, minute)
        mine = self.owner(address, minute, [vpc] if vpc else [])
        if mine:
            return mine
        if vpc in holders:
            return "unknown", None
        holding_peers = self.peers(vpc, minute) & holders
        if len(holding_peers) > 1:
            return "ambiguous", None
        if holding_peers:
            return self.owner(address, minute, holding_peers) or ("unknown", None)
        if is_internet(address) or vpc in {fact.vpc for fact in self.holds}:
            anybody = self.owner(address, minute, VPCS)
            if anybody:
                homes = {fact.vpc for fact in self.has if fact.eni == anybody[1]}
                return ("ambiguous", None) if anybody[1] and holders - homes else anybody
        return ("external" if is_internet(address) else "unknown"), None


def is_address(text: str) -> bool:
    return text != "nonsense"


def is_internet(address: str) -> bool:
    if not is_address(address):
        return False
    number = ipaddress.ip_address(address)
    return not any(number in ipaddress.ip_network(block) for block in NOT_INTERNET)


worlds = st.builds(World, st.lists(_has, max_size=6), st.lists(_holds, max_size=5), st.lists(_peered, max_size=2))


@settings(deadline=None, max_examples=30)
@given(worlds)
def test_every_answer_is_that_of_the_rule_and_never_the_owner_in_another_vpc(world: World) -> None:
    found = answers(world.facts, EVERY_QUESTION)

    # An overlapping range never gives the owner elsewhere: this has to hold whatever the rule below says.
    for vpc, address, minute in EVERY_QUESTION:
        _, _, found_in = found[vpc, address, minute]
        holders = world.holders(address, minute)
        if found_in is not None and found_in != vpc:
            assert vpc not in holders
            nearer = holders & world.peers(vpc, minute)
            assert (nearer or holders) <= {found_in}
    assert {question: (resolution, eni) for question, (resolution, eni, _) in found.items()} == {
        question: world.answer(*question) for question in EVERY_QUESTION
    }


@settings(deadline=None, max_examples=20)
@given(worlds, st.lists(st.integers(-1, 7), min_size=1, max_size=5))
def test_between_two_edges_no_answer_changes(world: World, minutes: list[int]) -> None:
    index = AddressIndex(book(world.facts))
    begin = at(min(minutes))

    network = instants(index, pl.Series([at(minute) for minute in minutes], dtype=BOOK["valid_from"]))
    changes = edges(index, "address", ADDRESSES, min(minutes), max(minutes))

    assert network[0] <= begin
    for minute, address in product(minutes, ADDRESSES):
        own = [instant for name, instant in changes if name == address]
        last = max(instant for instant in [begin, *network, *own] if instant <= at(minute))
        for vpc in (*VPCS, None):
            begun = int((last - at(0)).total_seconds()) // 60
            assert world.answer(vpc, address, begun) == world.answer(vpc, address, minute)
