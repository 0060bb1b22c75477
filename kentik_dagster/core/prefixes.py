"""Longest prefix match for many addresses at once: prefixes that may lie in each other, cut into pieces that do not."""

from __future__ import annotations

import polars as pl

from kentik_dagster.core.addresses import FIRST_IPV4, LAST_IPV4

_LARGEST = (1 << 128) - 1
_KEYS = ("scope", "is_ipv4")
PREFIXES = pl.Schema({
    "scope": pl.String(), "first": pl.UInt128(), "last": pl.UInt128(), "place": pl.UInt32()
})  # fmt: skip


class Pieces:
    """The prefixes of several scopes as sorted pieces of numbers that do not overlap."""

    def __init__(self, prefixes: pl.DataFrame) -> None:
        """`prefixes`: one row is a prefix: `scope`, `first` and `last` (uint128), `place` (uint32, what it says).

        The same prefix may be there for several places. Prefixes lie in each other or apart, as CIDR blocks do.
        """
        known = prefixes.select(*PREFIXES).with_columns(_is_ipv4(pl.col("first"))).drop_nulls()
        merged = known.group_by(*_KEYS, "first", "last").agg(
            pl.col("place").min(), pl.col("place").n_unique().alias("places")
        )
        after = merged.filter(pl.col("last") < _largest()).select(*_KEYS, (pl.col("last") + 1).alias("start"))
        pieces = (
            pl.concat([merged.select(*_KEYS, pl.col("first").alias("start")), after])
            .unique()
            .sort(*_KEYS, "start")
            .with_columns(place=pl.lit(None, pl.UInt32), places=pl.lit(0, pl.UInt32))
        )
        sizes = merged.select((pl.col("last") - pl.col("first")).unique().sort(descending=True)).to_series()
        for size in sizes:
            # Prefixes of one length do not overlap, so the last one that begins before a piece holds it or none does.
            of_size = merged.filter(pl.col("last") - pl.col("first") == pl.lit(size, pl.UInt128)).sort(*_KEYS, "first")
            inner = _at_or_before(pieces.select(*_KEYS, "start"), of_size, "first")
            holds = (inner["start"] <= inner["last"]).fill_null(False)
            pieces = pieces.with_columns(
                place=pl.when(holds).then(inner["place"]).otherwise("place"),
                places=pl.col("places") + pl.when(holds).then(inner["places"]).otherwise(0),
            )
        self._pieces = pieces

    def of(self, asked: pl.DataFrame) -> pl.DataFrame:
        """What holds each address.

        Args:
            asked: one row is a question: `scope`, `number` (uint128; null is held by nothing).

        Returns:
            One row per row of `asked`, in the same order: `place` of the longest prefix that holds it (null: none
            does; the smallest of several with that length), `places` (how many prefixes of places hold it).
        """
        if asked.is_empty() or self._pieces.is_empty():
            nothing = {"place": None, "places": 0}
            return pl.DataFrame(
                [
                    pl.repeat(value, asked.height, dtype=pl.UInt32, eager=True).alias(name)
                    for name, value in nothing.items()
                ]
            )
        questions = asked.select("scope", "number").with_columns(_is_ipv4(pl.col("number"))).with_row_index("row")
        found = _at_or_before(
            questions.drop_nulls().sort(*_KEYS, "number").rename({"number": "asked_number"}),
            self._pieces,
            "start",
            of="asked_number",
        )
        return questions.select("row").join(
            found.select("row", "place", "places"), on="row", how="left", maintain_order="left"
        ).select("place", pl.col("places").fill_null(0))  # fmt: skip


def _at_or_before(rows: pl.DataFrame, pieces: pl.DataFrame, start: str, *, of: str = "start") -> pl.DataFrame:
    """Each row with the last piece of its scope that begins at or before it; both sorted by scope and number."""
    return rows.join_asof(
        pieces.rename({start: "begins"}),
        left_on=of,
        right_on="begins",
        by=list(_KEYS),
        strategy="backward",
        check_sortedness=False,
    )


def _is_ipv4(number: pl.Expr) -> pl.Expr:
    """IPv4 addresses lie among the IPv6 ones, but no IPv6 prefix says anything of them."""
    return number.is_between(pl.lit(FIRST_IPV4, pl.UInt128), pl.lit(LAST_IPV4, pl.UInt128)).alias("is_ipv4")


def _largest() -> pl.Expr:
    return pl.lit(_LARGEST, pl.UInt128)
