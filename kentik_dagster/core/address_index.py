"""The address book, sorted once so that batch after batch can look things up in it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property, lru_cache

import polars as pl

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.schemas import polars_schema, require
from kentik_dagster.core.topology import Topology, network_map

_BOOK = polars_schema(TABLES["address_book"])
# What many interfaces share is categorical; of ids and names of instances there are too many.
_OF_MANY = (
    "account_id", "account_name", "region", "az_id", "vpc_id", "vpc_name", "subnet_id", "subnet_name", "eni_type",
    "eni_entity_type",
)  # fmt: skip
_TIMES = ("valid_from", "valid_to", "since_first_snapshot", "attached_at")
_TOPOLOGIES = 16  # instants at which a batch may look at the network without building it again


class Sorted:
    """Rows found by the values of some columns: a hash of them, sorted once, is searched instead of all rows."""

    def __init__(self, rows: pl.DataFrame, *columns: str) -> None:
        self._columns = columns
        keys = rows.select(columns).with_row_index("row").drop_nulls()
        keys = keys.with_columns(hash=_hash(columns)).sort("hash")
        self._rows, self._hashes, self._keys = keys["row"], keys["hash"], keys.select(columns)

    def matches(self, asked: pl.DataFrame) -> pl.DataFrame:
        """Pairs of a question and a row with the same values.

        Args:
            asked: has the columns, of type String; questions with a null match nothing.

        Returns:
            `asked` (the number of the question) and `row` (the number of the row), both uint32.
        """
        questions = (
            asked.select(self._columns)
            .with_row_index("asked")
            .drop_nulls()
            .with_columns(hash=_hash(self._columns))
            .sort("hash")  # neighbours are searched for one after the other
        )
        low = self._hashes.search_sorted(questions["hash"], side="left")
        high = self._hashes.search_sorted(questions["hash"], side="right")
        pairs = (
            questions.select("asked", *(pl.col(name).alias(f"asked_{name}") for name in self._columns))
            .with_columns(place=pl.int_ranges(low, high))
            .filter(high > low)
            .explode("place")
        )
        known = self._keys.select(pl.all().gather(pairs["place"]))
        # Two values may have one hash.
        same = pl.all_horizontal(pl.col(f"asked_{name}") == pl.col(name) for name in self._columns)
        found = pl.concat([pairs, known], how="horizontal").filter(same)
        return pl.DataFrame({"asked": found["asked"], "row": self._rows.gather(found["place"])})


def _hash(columns: Sequence[str]) -> pl.Expr:
    return pl.struct(columns).hash()


class AddressIndex:
    """Who had which address, and how the network was, ready to be asked many times.

    Attributes:
        owners: rows of `address_book` of the kinds `interface_address` and `interface_range`; what many
            interfaces share is categorical.
        account_names: `account_id`, `account_name`, of all accounts, also of those that show nothing.
        firewalls: in which VPC they were since when: `account_id`, `region`, `name`, `vpc_id`, `valid_from`.
        as_of: the newest snapshot whose changes it knows; None: none.
    """

    def __init__(self, book: pl.DataFrame) -> None:
        require(book, *_BOOK.names(), by="AddressIndex")
        # In one piece: gathering from the many chunks of a table's files takes six times as long.
        owners = book.filter(pl.col("kind").is_in(("interface_address", "interface_range"))).rechunk()
        self._keys = owners.select("vpc_id", "address", "eni_id", *_TIMES)
        self.owners = owners.with_columns(pl.col(name).cast(pl.Categorical) for name in _OF_MANY)
        self.as_of: datetime | None = book["observed_at"].max()  # type: ignore[assignment]
        self._by_place = Sorted(self._keys, "vpc_id", "address")
        self._by_address = Sorted(self._keys, "address")
        self._by_interface = Sorted(self._keys, "eni_id")
        self._network = network_map(book).rechunk()
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
        return Topology(self._network, at)

    @cached_property
    def network_edges(self) -> pl.Series:
        """The instants at which a range, route or connection began or ended, sorted."""
        begun = self._network.filter(~pl.col("since_first_snapshot"))["valid_from"]
        # Whether a delegated range is only known to have stood later is asked as of an address.
        delegated = self._network.filter(pl.col("kind") == "interface_range")
        ends = [begun, self._network["valid_to"], delegated["valid_from"], delegated["attached_at"]]
        return pl.concat(ends).drop_nulls().unique().sort()

    def edges_of(self, asked: pl.DataFrame, column: str, begin: datetime, end: datetime) -> pl.DataFrame:
        """When something about an address or interface changed after `begin` and until `end`.

        Args:
            asked: the column `address` or `eni_id`, distinct.

        Returns:
            Rows `<column>`, `edge`, sorted by `edge`.
        """
        index = self._by_address if column == "address" else self._by_interface
        pairs = index.matches(asked)
        times = self._keys.select(pl.col(_TIMES).gather(pairs["row"]))
        # Before AWS attached it, an interface of the first snapshot cannot have been there.
        instants = pl.concat([times["valid_from"], times["valid_to"], times["attached_at"]])
        numbers = pl.concat([pairs["asked"]] * 3)
        return (
            pl.DataFrame({column: asked[column].gather(numbers), "edge": instants})
            .filter(pl.col("edge") > begin, pl.col("edge") <= end)
            .unique()
            .sort("edge")
        )

    def at_place(self, asked: pl.DataFrame) -> pl.DataFrame:
        """Who had an address in a VPC: `vpc_id`, `address`, `at`; see `_standing`."""
        return self._standing(self._by_place.matches(asked), asked)

    def at_address(self, asked: pl.DataFrame) -> pl.DataFrame:
        """Who had an address in any VPC: `address`, `at`; see `_standing`."""
        return self._standing(self._by_address.matches(asked), asked)

    def interface(self, asked: pl.DataFrame) -> pl.DataFrame:
        """An interface as it was at an instant, or at the nearest at which it is known.

        Args:
            asked: `eni_id`, `at`.

        Returns:
            One row per row of `asked`: `owner` (a row of `owners`, null: never seen), `stands` (it was so then),
            `is_earliest` (it is only known to have been so later, and may be older).
        """
        pairs = self._pairs(self._by_interface.matches(asked), asked).with_columns(
            away=pl.max_horizontal(
                pl.lit(0), (pl.col("valid_from") - pl.col("at")).dt.total_microseconds(),
                (pl.col("at") - pl.col("valid_to")).dt.total_microseconds(),
            )
        )  # fmt: skip
        best = pairs.sort("asked", ~pl.col("is_exact"), ~pl.col("is_earliest"), "away", "valid_from", "row").unique(
            "asked", keep="first", maintain_order=True
        )
        return (
            pl.DataFrame({"asked": pl.int_range(asked.height, dtype=pl.UInt32, eager=True)})
            .join(best, on="asked", how="left", maintain_order="left")
            .select(
                owner="row",
                stands=pl.col("is_exact").fill_null(False),
                is_earliest=(pl.col("is_earliest") & ~pl.col("is_exact")).fill_null(False),
            )
        )

    def had(self, asked: pl.DataFrame) -> pl.Series:
        """Whether an interface ever had an address: `eni_id`, `address`; null: the interface was never seen."""
        pairs = self._by_interface.matches(asked)
        same = asked["address"].gather(pairs["asked"]) == self._keys["address"].gather(pairs["row"])
        told = pairs.with_columns(same=same).group_by("asked").agg(pl.col("same").any())
        numbers = pl.DataFrame({"asked": pl.int_range(asked.height, dtype=pl.UInt32, eager=True)})
        return numbers.join(told, on="asked", how="left", maintain_order="left")["same"]

    def _pairs(self, pairs: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
        at = pl.col("at")
        return pl.concat(
            [
                pairs,
                asked.select(at.gather(pairs["asked"])),
                self._keys.select(pl.col("eni_id", *_TIMES).gather(pairs["row"])),
            ],
            how="horizontal",
        ).with_columns(
            is_exact=(pl.col("valid_from") <= at) & (pl.col("valid_to").is_null() | (at < pl.col("valid_to"))),
            is_earliest=pl.col("since_first_snapshot")
            & (at < pl.col("valid_from"))
            & (pl.col("attached_at").is_null() | (pl.col("attached_at") <= at)),
        )

    def _standing(self, pairs: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
        """The candidates that stood at the instant; else those that are only known to have stood later.

        Returns:
            One row per question that has any: `asked`, `owner` (a row of `owners`), `owners` (how many interfaces),
            `word` (`exact` or `earliest`).
        """
        candidates = self._pairs(pairs, asked).filter(pl.col("is_exact") | pl.col("is_earliest"))
        # What was true then outweighs what was only true later.
        candidates = candidates.filter(pl.col("is_exact") == pl.col("is_exact").any().over("asked"))
        return candidates.group_by("asked").agg(
            pl.col("row").min().alias("owner"),
            pl.col("eni_id").n_unique().alias("owners"),
            pl.when(pl.col("is_exact").any()).then(pl.lit("exact")).otherwise(pl.lit("earliest")).alias("word"),
        )
