"""An address book made of plain facts, and the questions that tests ask of it."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.address_index import AddressIndex, microseconds
from kentik_dagster.core.resolution import Asked, resolve
from kentik_dagster.core.schemas import polars_schema

BOOK = polars_schema(TABLES["address_book"])
QUESTIONS = pl.Schema(
    {
        **dict.fromkeys(("vpc_id", "via", "address", "own_eni_id"), pl.String()),
        "is_disputed": pl.Boolean(),
        **dict.fromkeys(("at", "instant"), BOOK["valid_from"]),
    }
)
# VPC, route table, address, its interface if the record speaks for it, disputed, moments of address and network.
FullQuestion = tuple[str | None, str | None, str | None, str | None, bool, datetime, datetime]
Question = tuple[str | None, str | None, int]  # VPC, address, minute
Answer = tuple[str, str | None, str | None]  # resolution, interface, VPC


def at(minute: int) -> datetime:
    return datetime(2026, 11, 23, 9, tzinfo=UTC) + timedelta(minutes=minute)


@dataclass(frozen=True, slots=True)
class Fact:
    """What the book knows: it stood from one minute to another.

    Attributes:
        is_first: the first snapshot saw it, so it may be older.
    """

    vpc: str
    begin: int = 0
    end: int | None = None
    is_first: bool = False

    def stood(self, minute: int) -> str | None:
        """`exact`: it stood then; `earliest`: it is only known to have stood later."""
        if self.begin <= minute and (self.end is None or minute < self.end):
            return "exact"
        return "earliest" if self.is_first and minute < self.begin else None

    def rows(self) -> list[dict[str, object]]:
        end = None if self.end is None else at(self.end)
        times = {
            "valid_from": at(self.begin),
            "valid_to": end,
            "since_first_snapshot": self.is_first,
            "observed_at": at(self.begin),
        }
        return [{"vpc_id": self.vpc, **times}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Has(Fact):
    """An interface had an address."""

    eni: str
    address: str

    def rows(self) -> list[dict[str, object]]:
        (row,) = Fact.rows(self)
        return [row | {"kind": "interface_address", "eni_id": self.eni, "address": self.address}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holds(Fact):
    """A VPC held a range."""

    block: str

    def rows(self) -> list[dict[str, object]]:
        (row,) = Fact.rows(self)
        return [row | {"kind": "vpc_cidr", "address": self.block}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peered(Fact):
    """Two VPCs were peered."""

    peer: str

    def rows(self) -> list[dict[str, object]]:
        (row,) = Fact.rows(self)
        return [
            row | {"kind": "peering", "gateway_id": f"pcx-{self.vpc}-{self.peer}", "peer_vpc_id": self.peer},
            row
            | {
                "kind": "peering",
                "gateway_id": f"pcx-{self.vpc}-{self.peer}",
                "vpc_id": self.peer,
                "peer_vpc_id": self.vpc,
            },
        ]


def book(facts: Iterable[Fact]) -> pl.DataFrame:
    return pl.DataFrame([row for fact in facts for row in fact.rows()], schema=BOOK)


@functools.lru_cache(maxsize=4)
def index(facts: tuple[Fact, ...]) -> AddressIndex:
    """The index of a book, made once: what it knows of an instant stays known."""
    return AddressIndex(book(facts))


def asked(questions: Iterable[FullQuestion], known: AddressIndex) -> Asked:
    """The questions as numbers of the index."""
    frame = pl.DataFrame(list(questions), schema=QUESTIONS, orient="row")
    vpc, via, address, own = (known.codes.of(frame[name]) for name in ("vpc_id", "via", "address", "own_eni_id"))
    return Asked(
        vpc=vpc, via=via, address=address, own=own,
        text=frame["address"],
        at=microseconds(frame["at"], 0),
        instant=frame["instant"],
        are_own=frame["own_eni_id"].is_not_null().to_numpy(),
        are_disputed=frame["is_disputed"].to_numpy(),
    )  # fmt: skip


def edges(known: AddressIndex, column: str, names: Sequence[str], begin: int, end: int) -> list[tuple[str, datetime]]:
    """When each address or interface (`column`) changed after one minute and until another, in order."""
    codes = known.codes.of(pl.Series(names))
    changes = {"address": known.address_changes, "eni_id": known.interface_changes}[column]
    changed, instants = changes(*microseconds(pl.Series([at(begin), at(end)], dtype=BOOK["valid_from"]), 0))
    name_of = dict(zip(codes.tolist(), names, strict=True))
    times = pl.Series(instants).cast(BOOK["valid_from"])
    return sorted(
        {(name_of[code], when) for code, when in zip(changed.tolist(), times, strict=True) if code in name_of}
    )


def answers(facts: Iterable[Fact], questions: Collection[Question]) -> dict[Question, Answer]:
    """The answer to each question."""
    known = index(tuple(facts))
    each = [(vpc, None, address, None, False, at(minute), at(minute)) for vpc, address, minute in questions]
    resolved = resolve(asked(each, known), known)
    owners = known.owners.select("eni_id", "vpc_id").select(pl.all().cast(pl.String).gather(resolved["owner"]))
    assert resolved.height == len(questions)
    return dict(zip(questions, zip(resolved["resolution"], *owners.get_columns(), strict=True), strict=True))


def answer(
    *facts: Fact, vpc: str | None = "vpc-1", address: str = "10.0.0.1", minute: int = 5
) -> tuple[str, str | None]:
    """Resolution and interface for one question."""
    resolution, eni, _ = answers(facts, [(vpc, address, minute)])[vpc, address, minute]
    return resolution, eni
