"""What to ask of the ends of flow records: each question once, and for each record which are its own."""

from __future__ import annotations

import numpy as np
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

    An interface's own end is asked for as of the interface; any other as of what the interface's subnet sees, which is
    the same for many interfaces.

    Returns:
        One row per question: the columns of QUESTION, and what its record says of its interface (`said_*`); and for
        each side the number of each record's question, null where it has none.
    """
    gateways = pl.Categories.random()
    scopes, scope = numbered(places.select("instant", "vpc_id", "via"))
    scope_of_record = scope.gather(records["place"]) + places.height
    asked = pl.concat(
        records.select(
            pl.when(f"{side}_is_own").then("place").otherwise(scope_of_record).alias("scope"),
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
    # A range that is delegated to an interface changes with the network.
    asked = asked.with_columns(at=pl.max_horizontal(_last_change(asked, "address", index), "instant"))
    # What is asked of an interface itself changes with the interface.
    asked = asked.with_columns(at=pl.when("is_own").then(pl.max_horizontal("at", "seen_at")).otherwise("at"))
    distinct, numbers = _each_once(asked)
    is_asked = distinct.select(pl.col("address").is_not_null() & pl.col("at").is_not_null()).to_series()
    question = pl.select(pl.when(is_asked).then(is_asked.cum_sum().cast(pl.UInt32) - 1)).to_series().gather(numbers)
    by_side = dict(zip(SIDES, (question[: records.height], question[records.height :]), strict=True))
    where = pl.concat(
        [places.select("instant", "vpc_id", "via", "own_eni_id", *(f"said_{name}" for name in SAID)), scopes],
        how="diagonal",
    )
    return _asked(distinct.filter(is_asked), where, index), by_side


def _each_once(asked: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
    """`numbered`, own ends and others apart: an interface has few addresses, and a network few places."""
    is_own = asked["is_own"]
    own, of_own = numbered(asked.filter(is_own).select("scope", "address", "at"))
    others, of_others = numbered(asked.filter(~is_own).select("scope", "address", "tgw_vpc_id", "tgw_id", "at"))
    numbers = np.empty(asked.height, np.uint32)
    numbers[is_own.to_numpy()] = of_own.to_numpy()
    numbers[~is_own.to_numpy()] = of_others.to_numpy() + own.height
    told = (rows.with_columns(is_own=pl.lit(mark)) for rows, mark in ((own, True), (others, False)))
    return pl.concat(told, how="diagonal"), pl.Series(numbers)


def _asked(distinct: pl.DataFrame, where: pl.DataFrame, index: AddressIndex) -> pl.DataFrame:
    here = where.select(pl.all().gather(distinct["scope"]))
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
    """The instant at which the network is looked at for each record: when it last changed before.

    It is the same for all records of a stretch without a change, whichever batch they are of.
    """
    stretches = instants(index, moments)
    if len(stretches) < 2:
        instant = pl.lit(stretches[0] if len(stretches) else None, moments.dtype)
        return pl.select(pl.when(moments.is_not_null()).then(instant)).to_series().alias("instant")
    number = stretches.search_sorted(moments, side="right").cast(pl.Int64) - 1
    return stretches.gather(pl.select(pl.when(moments.is_not_null()).then(number)).to_series()).alias("instant")


def seen_at(records: pl.DataFrame, index: AddressIndex) -> pl.Series:
    """The last instant until each record at which anything changed about the interface that recorded it."""
    return _last_change(records.select("moment", eni_id="interface_id"), "eni_id", index).alias("seen_at")


def _last_change(rows: pl.DataFrame, of: str, index: AddressIndex) -> pl.Series:
    """When the address or interface (column `of`) of each row last changed until `moment`, if since the first one."""
    begin, end = rows["moment"].min(), rows["moment"].max()
    first = pl.lit(begin, rows.schema["moment"])
    since = rows.select(pl.when(pl.col("moment").is_not_null()).then(first).alias("since"))["since"]
    if begin is None or begin == end:
        return since
    values = rows.select(pl.col(of).unique()).drop_nulls().cast(pl.String)
    edges = index.edges_of(values, of, begin, end)  # type: ignore[arg-type]
    if edges.is_empty():
        return since
    asked = rows.select(pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"), pl.col(of).cast(pl.String), "moment")
    later = (
        asked.drop_nulls()
        .join(edges.select(of).unique(), on=of, how="semi")
        .sort("moment")
        .join_asof(edges, left_on="moment", right_on="edge", by=of, strategy="backward", check_sortedness=False)
        .select("row", "edge")
    )
    joined = asked.select("row").join(later, on="row", how="left", maintain_order="left")["edge"]
    return pl.select(pl.max_horizontal(since, joined)).to_series()
