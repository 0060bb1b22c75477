"""What to ask of the ends of flow records: each question once, and for each record which are its own."""

from __future__ import annotations

import polars as pl

from kentik_dagster.core.address_index import AddressIndex
from kentik_dagster.core.distinct import numbered
from kentik_dagster.core.observation import SAID
from kentik_dagster.core.resolution import QUESTION, instants

SIDES = ("src", "dst")


def end_questions(
    records: pl.DataFrame, places: pl.DataFrame, index: AddressIndex
) -> tuple[pl.DataFrame, dict[str, pl.Series]]:
    """What to ask of the ends of records, each question once.

    Returns:
        One row per question: the columns of QUESTION, and what its record says of its interface (`said_*`); and for
        each side the number of each record's question, null where it has none.
    """
    gateways = pl.Categories.random()
    asked = pl.concat(
        records.select(
            "place",
            pl.col(f"{side}_end").alias("address"),
            pl.col(f"{side}_is_own").alias("is_own"),
            pl.col(f"tgw_{side}_vpc_id").cast(pl.Categorical(gateways)).alias("tgw_vpc_id"),
            pl.col("tgw_id").cast(pl.Categorical(gateways)),
            "moment",
            "instant",
            "seen_at",
        )
        for side in SIDES
    )
    asked = asked.with_columns(at=_last_change(asked, "address", index))
    # What is asked of an interface itself changes with the interface.
    asked = asked.with_columns(at=pl.when("is_own").then(pl.max_horizontal("at", "seen_at")).otherwise("at"))
    distinct, numbers = numbered(asked.select("place", "address", "is_own", "tgw_vpc_id", "tgw_id", "at"))
    is_asked = distinct.select(pl.col("address").is_not_null() & pl.col("at").is_not_null()).to_series()
    question = pl.select(pl.when(is_asked).then(is_asked.cum_sum().cast(pl.UInt32) - 1)).to_series().gather(numbers)
    by_side = dict(zip(SIDES, (question[: records.height], question[records.height :]), strict=True))
    return _asked(distinct.filter(is_asked), places, index), by_side


def _asked(distinct: pl.DataFrame, places: pl.DataFrame, index: AddressIndex) -> pl.DataFrame:
    here = places.select(
        pl.col("instant", "vpc_id", "via", "own_eni_id", *(f"said_{name}" for name in SAID)).gather(distinct["place"])
    )
    asked = pl.concat([distinct.with_columns(pl.selectors.categorical().cast(pl.String)), here], how="horizontal")
    asked = asked.with_columns(had_id=pl.when("is_own").then("own_eni_id"))
    had = index.had(asked.select(pl.col("had_id").alias("eni_id"), "address"))
    # An interface that metadata has never shown is taken at its word if it is an instance's.
    is_own = pl.col("is_own") & had.fill_null(asked["said_instance_id"].is_not_null())
    return asked.with_columns(
        vpc_id=pl.coalesce("vpc_id", "tgw_vpc_id"),
        via=pl.coalesce("via", "tgw_id"),
        own_eni_id=pl.when(is_own).then("own_eni_id"),
        is_disputed=pl.col("is_own") & had.is_null() & asked["said_instance_id"].is_null(),
    ).select(*QUESTION, *(f"said_{name}" for name in SAID))


def is_own() -> dict[str, pl.Expr]:
    """Whether an end is the interface that recorded: it sent or received the packet with its own address.

    Where it only hands packets on, the address in the packet is another than that which the interface sees.
    """
    return {
        f"{side}_is_own": (
            (pl.col("flow_direction") == way)
            & (pl.col(f"{side}addr") == pl.col(f"pkt_{side}addr"))
            & pl.col("interface_id").is_not_null()
        ).fill_null(False)
        for side, way in zip(SIDES, ("egress", "ingress"), strict=True)
    }


def network_instants(moments: pl.Series, index: AddressIndex) -> pl.Series:
    """The instant at which the network is looked at for each record."""
    stretches = instants(index, moments)["instant"]
    if len(stretches) < 2:
        instant = pl.lit(stretches[0] if len(stretches) else None, moments.dtype)
        return pl.select(pl.when(moments.is_not_null()).then(instant)).to_series().alias("instant")
    number = stretches.search_sorted(moments, side="right").cast(pl.Int64) - 1
    return stretches.gather(pl.select(pl.when(moments.is_not_null()).then(number)).to_series()).alias("instant")


def seen_at(records: pl.DataFrame, index: AddressIndex) -> pl.Series:
    """The last instant until each record at which anything changed about the interface that recorded it."""
    asked = records.select("instant", "moment", eni_id="interface_id")
    return _last_change(asked, "eni_id", index).alias("seen_at")


def _last_change(rows: pl.DataFrame, of: str, index: AddressIndex) -> pl.Series:
    """`instant` of each row, or, if later, when its address or interface (column `of`) changed last until `moment`."""
    begin, end = rows["instant"].min(), rows["moment"].max()
    values = rows.select(pl.col(of).unique()).drop_nulls().cast(pl.String)
    if begin is None or begin == end:
        return rows["instant"]
    edges = index.edges_of(values, of, begin, end)  # type: ignore[arg-type]
    if edges.is_empty():
        return rows["instant"]
    asked = rows.select(pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"), pl.col(of).cast(pl.String), "moment")
    later = (
        asked.drop_nulls()
        .join(edges.select(of).unique(), on=of, how="semi")
        .sort("moment")
        .join_asof(edges, left_on="moment", right_on="edge", by=of, strategy="backward", check_sortedness=False)
        .select("row", "edge")
    )
    joined = asked.select("row").join(later, on="row", how="left", maintain_order="left")["edge"]
    return pl.select(pl.max_horizontal(rows["instant"], joined)).to_series()
