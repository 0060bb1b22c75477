"""The rows of the network that stood at one instant."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import polars as pl

from kentik_dagster.core.addresses import ranges
from kentik_dagster.core.codes import Codes, Flags
from kentik_dagster.core.distinct import Numbers
from kentik_dagster.core.prefixes import Cuts, Pieces

# The ids by which the rows of the network are found.
IDS = (
    "vpc_id", "peer_vpc_id", "subnet_id", "route_table_id", "gateway_id", "peer_gateway_id", "account_id", "eni_id",
)  # fmt: skip


def network_map(book: pl.DataFrame) -> pl.DataFrame:
    """The rows of the address book that are not of interfaces, with `first` and `last` of their range (uint128)."""
    rows = book.filter(~pl.col("kind").is_in(("interface_address", "snapshot")))
    return rows.join(ranges(rows["address"]), left_on="address", right_on="cidr_block", how="left")


class Standing:
    """What stood at one instant; what only the first snapshot knew counts as older.

    Attributes:
        network: rows of `network_map`, of all times.
    """

    def __init__(self, network: pl.DataFrame, at: datetime, codes: Codes, cuts: Cuts) -> None:
        """`codes` of the IDS and `cuts` of the ranges of `network`."""
        instant = pl.lit(at, network.schema["valid_from"])
        stands = (pl.col("since_first_snapshot") | (pl.col("valid_from") <= instant)) & (
            pl.col("valid_to").is_null() | (instant < pl.col("valid_to"))
        )
        self.network = network
        self._codes, self._cuts = codes, cuts
        self._kinds: Mapping[str, pl.DataFrame] = {
            str(kind): rows
            for (kind,), rows in network.filter(stands.fill_null(False)).partition_by("kind", as_dict=True).items()
        }

    def of(self, kind: str) -> pl.DataFrame:
        """The rows of a kind that stood."""
        return self._kinds.get(kind, self.network.clear())

    def codes(self, ids: pl.Series) -> Numbers:
        """The numbers of ids."""
        return self._codes.of(ids)

    def pieces(self, rows: pl.DataFrame, scope: str | None, places: Numbers | None = None) -> Pieces:
        """What holds addresses in the scope that a column names, or in one (number 0) of all.

        Args:
            rows: with `first` and `last`.
            places: what each row says; None: which row it is.
        """
        scopes = np.zeros(rows.height, np.int64) if scope is None else self.codes(rows[scope])
        said = np.arange(rows.height) if places is None else places
        prefixes = rows.select("first", "last").with_columns(pl.Series("scope", scopes), pl.Series("place", said))
        return Pieces(prefixes, self._cuts)


def are(column: pl.Series, *words: str) -> Flags:
    """Where a column says one of some words; not where it is null."""
    return column.is_in(words).fill_null(False).to_numpy()
