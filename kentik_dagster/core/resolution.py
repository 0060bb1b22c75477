"""Who had an address at a moment, as seen from a place in the network: found by rule, or said not to be known.

A record's own end is the interface that recorded it. Any other address is looked up in the VPC of the record; then, if
that VPC's ranges do not hold it, where the subnet's route leads, else in the VPCs that can be reached by peering and
transit gateways; then, only if it is unique there, in the organization: one interface has it, and no other VPC's range
holds it. A range that holds the address ends the search: its owner is there or not known, so overlapping ranges never
give a wrong owner.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime

import numpy as np
import polars as pl

from kentik_dagster.core.address_index import AddressIndex, Owners
from kentik_dagster.core.addresses import numbers_of
from kentik_dagster.core.codes import Flags, gathered, values_of
from kentik_dagster.core.distinct import NONE, Numbers, texts
from kentik_dagster.core.topology import Topology

_BEGINNING = datetime.min.replace(tzinfo=UTC)
ANSWER = pl.Schema({
    "owner": pl.UInt32(), "resolution": pl.Categorical(), "is_on_premises": pl.Boolean(), "is_in_vpc": pl.Boolean(),
    "gateway_id": pl.Categorical(), "gateway_type": pl.Categorical(), "forwarding_state": pl.Categorical(),
    "aws_service": pl.Categorical(),
})  # fmt: skip
# How an end may be resolved, by number; 0: not yet.
_WORDS = (None, "exact", "earliest", "external", "ambiguous", "unknown")
_OPEN, _EXACT, _EARLIEST, _EXTERNAL, _AMBIGUOUS, _UNKNOWN = range(len(_WORDS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Questions, each once: who had an address at a moment, as seen from somewhere.

    VPCs, route tables, interfaces and addresses are numbers of `AddressIndex.codes`, or NONE or UNKNOWN.

    Attributes:
        vpc: of the record.
        via: the route table of the record's subnet, or the transit gateway that recorded.
        address: the address.
        text: the same, as text or categories.
        at: when it is looked up, in microseconds.
        instant: when the network is looked at; there are few.
        are_own: the address is that of the interface that recorded.
        own: that interface.
        are_disputed: the record speaks for its interface, of which nothing is known: nobody else is named.
    """

    vpc: Numbers
    via: Numbers
    address: Numbers
    text: pl.Series
    at: Numbers
    instant: pl.Series
    are_own: Flags
    own: Numbers
    are_disputed: Flags

    def take(self, rows: Numbers) -> Asked:
        """Some of the questions."""
        return Asked(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def resolve(asked: Asked, index: AddressIndex) -> pl.DataFrame:
    """Answer who had each address.

    Returns:
        One row per question, in the same order: `owner` (a row of `index.owners`, null unless found),
        `resolution`: `exact` (that interface had it then), `earliest` (older than the first snapshot, which saw it
        there), `external` (not in AWS's networks of the organization: on the internet, or on premises),
        `ambiguous` (several had it), `unknown`; `is_on_premises`; `is_in_vpc` (a VPC of ours holds the address, whoever
        has it); `gateway_id`, `gateway_type` and `forwarding_state`
        of the route to it (null inside the VPC); and `aws_service`, in whose address ranges it lies.
    """
    numbered = pl.DataFrame({"instant": asked.instant}).with_row_index("row")
    parts = numbered.partition_by("instant", as_dict=True, maintain_order=True)
    if len(parts) == 1:
        return _Answers(asked, index, index.topology(asked.instant[0])).frame()
    answers = [pl.DataFrame(schema=ANSWER)] + [
        _Answers(asked.take(part["row"].to_numpy()), index, index.topology(instant)).frame()
        for (instant,), part in parts.items()
    ]
    order = pl.concat([numbered["row"].clear(), *(part["row"] for part in parts.values())]).arg_sort()
    return pl.concat(answers).select(pl.all().gather(order))


class _Answers:
    """The questions of one instant, answered step by step; each step is for those that are open."""

    def __init__(self, asked: Asked, index: AddressIndex, topology: Topology) -> None:
        self._asked, self._index, self._topology = asked, index, topology
        count = len(asked.at)
        self._owner = np.full(count, NONE)
        self._resolution = np.zeros(count, np.int64)
        self._is_on_premises, self._is_in_vpc = np.zeros(count, bool), np.zeros(count, bool)
        self._route, self._cut = np.full(count, NONE), np.full(count, NONE)
        self._are_internet = np.zeros(count, bool)
        self._own_ends()
        self._in_own_vpc()
        self._along_routes()
        self._in_reach()
        self._anywhere()
        rows = self._open()
        self._say(rows, np.where(self._are_internet[rows], _EXTERNAL, _UNKNOWN))
        is_denied = asked.are_disputed & (self._owner >= 0)
        self._resolution[is_denied], self._owner[is_denied] = _AMBIGUOUS, NONE

    def frame(self) -> pl.DataFrame:
        """The columns of ANSWER."""
        words = pl.Series(_WORDS, dtype=pl.Categorical)
        service = np.full(len(self._owner), NONE)
        outside = np.flatnonzero(self._resolution == _EXTERNAL)
        service[outside] = self._topology.service(self._cut[outside])
        return pl.DataFrame({
            "owner": gathered(self._owner),
            "resolution": words.gather(self._resolution),
            "is_on_premises": self._is_on_premises,
            "is_in_vpc": self._is_in_vpc,
            **self._topology.routes.select(pl.all().gather(gathered(self._route))).to_dict(),
            "aws_service": self._topology.services.gather(gathered(service)),
        })  # fmt: skip

    def _open(self) -> Numbers:
        return np.flatnonzero(self._resolution == _OPEN)

    def _say(self, rows: Numbers, resolution: Numbers, owner: Numbers | int = NONE) -> None:
        self._resolution[rows], self._owner[rows] = resolution, owner

    def _own_ends(self) -> None:
        """The interface that recorded is the owner, whatever is known of it."""
        rows = np.flatnonzero(self._asked.are_own)
        found = self._index.interface(self._asked.own[rows], self._asked.at[rows])
        self._say(rows, _word(found.are_earliest), found.row)

    def _in_own_vpc(self) -> None:
        """Who had the address in the VPC of the record; nobody else did if that VPC's ranges hold it."""
        rows = self._open()
        vpc, are_ours = self._asked.vpc[rows], np.ones(len(rows), bool)
        nobody = self._had_in_vpc(rows, vpc, are_ours)
        self._as_numbers(rows[nobody])
        self._in_ranges(rows[nobody], vpc[nobody], are_ours[nobody], ends_search=True)

    def _in_vpc(self, rows: Numbers, vpc: Numbers, are_ours: Flags) -> None:
        """Who had the address in a VPC, which is one of ours or not; nobody else did."""
        nobody = self._had_in_vpc(rows, vpc, are_ours)
        self._in_ranges(rows[nobody], vpc[nobody], are_ours[nobody], ends_search=False)

    def _had_in_vpc(self, rows: Numbers, vpc: Numbers, are_ours: Flags) -> Flags:
        """Which interface of a VPC had the address itself; returns where none had."""
        had = self._index.at_place(vpc, self._asked.address[rows], self._asked.at[rows])
        resolution = _of_owners(had)
        self._say(rows, resolution, np.where(had.are_several, NONE, had.row))
        nobody: Flags = resolution == _OPEN
        self._is_in_vpc[rows] = are_ours & ~nobody
        return nobody

    def _in_ranges(self, rows: Numbers, vpc: Numbers, are_ours: Flags, *, ends_search: bool) -> None:
        """To which interface of a VPC a range was delegated that holds the address, which no interface had itself.

        Args:
            ends_search: where there is none, the address is `unknown` if the VPC's ranges hold it; else it always is.
        """
        cut = self._cut[rows]
        found = self._index.interface(self._topology.delegates(vpc, cut), self._asked.at[rows])
        held = self._topology.holds(vpc, cut) if ends_search else np.ones(len(rows), bool)
        resolution = np.where(found.row >= 0, _word(found.are_earliest), np.where(held, _UNKNOWN, _OPEN))
        self._say(rows, resolution, found.row)
        self._is_in_vpc[rows] = are_ours & (resolution != _OPEN)

    def _as_numbers(self, rows: Numbers) -> None:
        """Read the addresses that no interface of the VPC had: from here on they are looked for in ranges."""
        distinct, number = texts(self._asked.text.gather(rows))
        numbers = numbers_of(distinct)
        self._cut[rows] = values_of(self._index.cuts.of(numbers["number"]), number)
        self._are_internet[rows] = values_of(numbers["is_internet"].fill_null(False).to_numpy(), number)

    def _along_routes(self) -> None:
        """Where the most specific route of the record's subnet leads: into one VPC, or out of AWS."""
        rows = self._open()
        cut = self._cut[rows]
        lead = self._topology.leads(self._asked.vpc[rows], self._asked.via[rows], cut)
        self._route[rows] = lead.route
        # Some routes lead to more than is there: a VPC is not meant if its ranges are known and do not hold it.
        is_meant = self._topology.holds(lead.target, cut) | ~self._topology.are_known(lead.target)
        inside = (lead.target >= 0) & is_meant
        self._in_vpc(rows[inside], lead.target[inside], lead.target_is_ours[inside])
        outside = ~inside & lead.is_on_premises
        self._say(rows[outside], np.full(outside.sum(), _EXTERNAL))
        self._is_on_premises[rows[outside]] = True
        service = ~inside & ~outside & lead.is_endpoint & self._are_internet[rows]
        self._say(rows[service], np.full(service.sum(), _EXTERNAL))

    def _in_reach(self) -> None:
        """The questions whose address a VPC in reach holds; two such VPCs make them ambiguous."""
        rows = self._open()
        vpc, cut = self._asked.vpc[rows], self._cut[rows]
        held = self._topology.reachable(vpc, cut)
        self._resolution[rows[held.are_several]] = _AMBIGUOUS
        self._is_in_vpc[rows[held.are_several]] = True
        one = held.vpc >= 0
        self._in_vpc(rows[one], held.vpc[one], self._topology.are_ours(held.vpc[one]))
        behind = ~one & ~held.are_several & self._topology.are_on_premises(vpc, cut)
        self._resolution[rows[behind]] = _EXTERNAL
        self._is_on_premises[rows[behind]] = True

    def _anywhere(self) -> None:
        """The questions for which one interface of the organization had the address, and nothing speaks for another.

        A private address is asked for only where the record's VPC is known, so that it is known not to lie in it.
        """
        rows = self._open()
        rows = rows[self._are_internet[rows] | self._topology.were_ever(self._asked.vpc[rows])]
        had = self._index.at_address(self._asked.address[rows], self._asked.at[rows])
        found = np.flatnonzero(had.row >= 0)
        rows, had = rows[found], had.take(found)
        holders = self._topology.holders(self._cut[rows])
        its_vpc = self._index.owner_vpcs[had.row]
        is_clear = ~had.are_several & ~holders.are_several & ((holders.vpc == NONE) | (holders.vpc == its_vpc))
        self._say(rows, np.where(is_clear, _word(had.are_earliest), _AMBIGUOUS), np.where(is_clear, had.row, NONE))
        self._is_in_vpc[rows] = True


def _word(are_earliest: Flags) -> Numbers:
    return np.where(are_earliest, _EARLIEST, _EXACT)


def _of_owners(had: Owners) -> Numbers:
    """The resolution where somebody had the address, else _OPEN."""
    return np.where(had.row < 0, _OPEN, np.where(had.are_several, _AMBIGUOUS, _word(had.are_earliest)))


def instants(index: AddressIndex, moments: pl.Series) -> pl.Series:
    """The instants that stand for the times of records, as far as ranges, routes and connections go.

    Returns:
        The beginning of each stretch within which the network did not change, in order, from the one that holds the
        earliest moment to the one that holds the latest. What was before the first change of all begins at _BEGINNING.
    """
    begin, end = moments.min(), moments.max()
    if begin is None or end is None:
        return moments.clear()
    edges = pl.concat([pl.Series([_BEGINNING], dtype=moments.dtype), index.network_edges.cast(moments.dtype)])
    first, last = edges.search_sorted(pl.Series([begin, end], dtype=moments.dtype), side="right")
    return edges[first - 1 : last]
