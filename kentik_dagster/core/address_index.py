"""The address book, sorted once so that batch after batch can look things up in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache

import numpy as np
import polars as pl

from kentik_dagster.catalog.tables import END_COLUMNS, TABLES
from kentik_dagster.core.codes import Codes, Flags, Rows
from kentik_dagster.core.distinct import NONE, Numbers
from kentik_dagster.core.prefixes import Cuts
from kentik_dagster.core.schemas import polars_schema, require
from kentik_dagster.core.standing import IDS, Standing, network_map
from kentik_dagster.core.topology import Topology

_BOOK = polars_schema(TABLES["address_book"])
# What many interfaces share is categorical; of ids and names of instances there are too many.
_OF_MANY = (
    "account_id", "account_name", "region", "az_id", "vpc_id", "vpc_name", "subnet_id", "subnet_name", "eni_type",
    "eni_entity_type",
)  # fmt: skip
_TOPOLOGIES = 16  # instants at which a batch may look at the network without building it again
# Earlier and later than all instants, by less than what makes a difference overflow.
_ALWAYS, _NEVER = -(2**62), 2**62


@dataclass(frozen=True, slots=True)
class Owners:
    """Who had each address at an instant: those who had it then; else those who are only known to have had it later.

    Attributes:
        row: of `AddressIndex.owners`, the first of them; NONE: nobody had it.
        are_several: more than one interface had it.
        are_earliest: it is only known that they had it later.
    """

    row: Numbers
    are_several: Flags
    are_earliest: Flags

    def take(self, asked: Numbers) -> Owners:
        """The answers to some of the questions."""
        return Owners(self.row[asked], self.are_several[asked], self.are_earliest[asked])


@dataclass(frozen=True, slots=True)
class Interfaces:
    """Interfaces as they were at an instant, or at the nearest at which they are known.

    Attributes:
        row: of `AddressIndex.owners`, NONE: never seen.
        stand: it was so then.
        are_earliest: it is only known to have been so later, and may be older.
    """

    row: Numbers
    stand: Flags
    are_earliest: Flags


class AddressIndex:
    """Who had which address, and how the network was, ready to be asked many times.

    Addresses and ids are asked for by their numbers in `codes`, instants are microseconds since 1970.

    Attributes:
        owners: rows of `address_book` of the kinds `interface_address` and `interface_range`: END_COLUMNS, `address`
            and times; what many interfaces share is categorical.
        owner_vpcs: the VPC of each, as a number.
        cuts: where the ranges of the network begin and end.
        account_names: `account_id`, `account_name`, of all accounts, also of those that show nothing.
        firewalls: in which VPC they were since when: `account_id`, `region`, `name`, `vpc_id`, `valid_from`.
        as_of: the newest snapshot whose changes it knows; None: none.
    """

    def __init__(self, book: pl.DataFrame) -> None:
        require(book, *_BOOK.names(), by="AddressIndex")
        self.owners = owners = _of_interfaces(book)
        self.as_of: datetime | None = book["observed_at"].max()  # type: ignore[assignment]
        self._network = network_map(book).rechunk()
        self.cuts = Cuts(self._network)
        self.codes = Codes(
            *(self.owners[name] for name in ("address", "vpc_id", "eni_id")), *(self._network[name] for name in IDS)
        )
        self._addresses, self.owner_vpcs, self._interfaces = (
            self.codes.of(self.owners[name]) for name in ("address", "vpc_id", "eni_id")
        )
        self._by_place = Rows(self.owner_vpcs, self._addresses)
        self._by_address = Rows(self._addresses)
        self._by_interface = Rows(self._interfaces)
        self._from, self._to, self._attached = (
            microseconds(owners[name], null)
            for name, null in (("valid_from", _NEVER), ("valid_to", _NEVER), ("attached_at", _ALWAYS))
        )
        self._may_be_older = owners.select(
            pl.col("since_first_snapshot").fill_null(False) & pl.col("valid_from").is_not_null()
        )["since_first_snapshot"].to_numpy()
        self.account_names = book.filter(pl.col("kind") == "account").select(
            pl.col("account_id", "account_name").cast(pl.Categorical)
        )
        self.firewalls = (
            book.filter(pl.col("kind") == "firewall")
            .sort("valid_from")
            .select("account_id", "region", "name", "vpc_id", "valid_from")
        )
        self.topology = lru_cache(maxsize=_TOPOLOGIES)(self._topology)

    def _topology(self, at: datetime) -> Topology:
        return Topology(Standing(self._network, at, self.codes, self.cuts))

    @cached_property
    def network_edges(self) -> pl.Series:
        """The instants at which a range, route or connection began or ended, sorted."""
        begun = self._network.filter(~pl.col("since_first_snapshot"))["valid_from"]
        # Whether a delegated range is only known to have stood later is asked as of an address.
        delegated = self._network.filter(pl.col("kind") == "interface_range")
        ends = [begun, self._network["valid_to"], delegated["valid_from"], delegated["attached_at"]]
        return pl.concat(ends).drop_nulls().unique().sort()

    def address_changes(self, begin: int, end: int) -> tuple[Numbers, Numbers]:
        """Which addresses changed hands, or might have, after `begin` and until `end`, and when; in no order."""
        instants, rows = self._changes(begin, end)
        return self._addresses[rows], instants

    def interface_changes(self, begin: int, end: int) -> tuple[Numbers, Numbers]:
        """Which interfaces changed after `begin` and until `end`, and when; in no order."""
        instants, rows = self._changes(begin, end)
        return self._interfaces[rows], instants

    def _changes(self, begin: int, end: int) -> tuple[Numbers, Numbers]:
        instants, rows = self._edges
        within = slice(*np.searchsorted(instants, [begin, end], side="right"))
        return instants[within], rows[within]

    @cached_property
    def _edges(self) -> tuple[Numbers, Numbers]:
        """When something changed about a row, in order, and the row."""
        # Before AWS attached it, an interface of the first snapshot cannot have been there.
        instants = np.concatenate([self._from, self._to, self._attached])
        there = np.flatnonzero((instants > _ALWAYS) & (instants < _NEVER))
        there = there[np.argsort(instants[there])]
        return instants[there], there % max(1, len(self._from))

    def at_place(self, vpc: Numbers, address: Numbers, at: Numbers) -> Owners:
        """Who had an address in a VPC."""
        return self._owners(*self._by_place.pairs(vpc, address), at)

    def at_address(self, address: Numbers, at: Numbers) -> Owners:
        """Who had an address in any VPC."""
        return self._owners(*self._by_address.pairs(address), at)

    def interface(self, interface: Numbers, at: Numbers) -> Interfaces:
        """Interfaces as they were at an instant, or at the nearest at which they are known."""
        asked, rows = self._by_interface.pairs(interface)
        then, begin = at[asked], self._from[rows]
        pair = np.full(len(interface), NONE)
        if not len(rows):
            return Interfaces(pair, pair >= 0, pair >= 0)
        stood, were_later = self._stood(rows, then)
        # Of the rows that say how it was then, the one that says so since longest.
        firsts = np.flatnonzero(np.diff(asked, prepend=NONE))
        since = np.minimum.reduceat(np.where(stood, begin, _NEVER), firsts)
        best = np.flatnonzero(stood & (begin == np.repeat(since, np.diff(firsts, append=len(asked)))))
        pair[asked[best[::-1]]] = best[::-1]
        # If none does, the nearest, and one that may be older before others.
        others = np.flatnonzero(pair[asked] == NONE)
        away = np.maximum(begin[others] - then[others], then[others] - self._to[rows[others]])
        keys = (rows[others], begin[others], away, ~were_later[others], asked[others])  # the last one first
        best = others[np.lexsort(keys)]
        pair[asked[best[::-1]]] = best[::-1]
        is_there = pair >= 0
        return Interfaces(np.where(is_there, rows[pair], NONE), is_there & stood[pair], is_there & were_later[pair])

    def had(self, interface: Numbers, address: Numbers) -> tuple[Flags, Flags]:
        """Whether an interface was ever seen, and whether it ever had an address."""
        asked, rows = self._by_interface.pairs(interface)
        seen, had = np.zeros(len(interface), bool), np.zeros(len(interface), bool)
        seen[asked] = True
        had[asked[self._addresses[rows] == address[asked]]] = True
        return seen, had

    def _stood(self, rows: Numbers, at: Numbers) -> tuple[Flags, Flags]:
        """Whether what a row says was so at an instant, and whether it was only seen later and may be older."""
        begin = self._from[rows]
        stood = (begin <= at) & (at < self._to[rows])
        return stood, self._may_be_older[rows] & (at < begin) & (self._attached[rows] <= at)

    def _owners(self, asked: Numbers, rows: Numbers, at: Numbers) -> Owners:
        stood, were_later = self._stood(rows, at[asked])
        # What was true then outweighs what was only true later.
        any_stood = np.zeros(len(at), bool)
        any_stood[asked[stood]] = True
        counts = np.where(any_stood[asked], stood, were_later)
        asked, rows = asked[counts], rows[counts]
        first = np.full(len(at), NONE)
        first[asked[::-1]] = rows[::-1]
        are_several = np.zeros(len(at), bool)
        are_several[asked[self._interfaces[rows] != self._interfaces[first[asked]]]] = True
        return Owners(first, are_several, (first >= 0) & ~any_stood)


def _of_interfaces(book: pl.DataFrame) -> pl.DataFrame:
    """The rows of `book` that say who had an address, in one piece.

    To gather from the many chunks of a table's files takes six times as long. Only what is asked for is copied.
    """
    columns = [*END_COLUMNS, "address", "valid_from", "valid_to", "attached_at", "since_first_snapshot"]
    rows = book.select("kind", *columns).with_columns(pl.col(name).cast(pl.Categorical) for name in _OF_MANY)
    return rows.filter(pl.col("kind").is_in(["interface_address", "interface_range"])).drop("kind").rechunk()


def microseconds(instants: pl.Series, null: int) -> Numbers:
    """Instants as microseconds since 1970, a number of its own for null."""
    return instants.to_physical().fill_null(null).to_numpy()
