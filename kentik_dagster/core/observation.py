"""Where flow records were taken: the interface that recorded, its VPC and the route table of its subnet."""

from __future__ import annotations

import polars as pl

from kentik_dagster.core.address_index import AddressIndex, microseconds
from kentik_dagster.core.codes import gathered
from kentik_dagster.core.distinct import numbered, texts
from kentik_dagster.core.moments import last_changes

# What an interface keeps for its life, and what may change.
_LASTING = ("account_id", "region", "az_id", "vpc_id", "subnet_id")
_OBSERVED = (*_LASTING, "instance_id")
# What a record itself says of the interface that recorded it.
SAID = (*_OBSERVED, "eni_id")


def observed_places(records: pl.DataFrame, index: AddressIndex) -> tuple[pl.DataFrame, pl.Series]:
    """The distinct places where records were taken.

    Args:
        records: one row per record: what it says of its interface, text or categories, all nullable: `interface_id`,
            `account_id`, `region`, `az_id`, `vpc_id`, `subnet_id`, `instance_id`; `moment`, and `instant` (at which the
            network is looked at).

    Returns:
        One row per place: `instant`; `seen_at` (at which the interface is looked at); `own` (the interface, a number of
        the index); `said_*`, as the record says (categories); `observing_*`, as the record says,
        else as the address book does (categories); `vpc_id` of these (text); `eni_type`; `via`, the route table. And
        for each record the number of its place.
    """
    distinct, numbers = numbered(
        records.select("interface_id", *_OBSERVED, "instant").with_columns(_seen_at(records, index))
    )
    distinct = distinct.with_columns(pl.when(pl.col("account_id") != "unknown").then("account_id"))
    places = distinct.with_columns(pl.selectors.categorical().cast(pl.String))
    interfaces = index.codes.of(distinct["interface_id"])
    known = index.interface(interfaces, microseconds(distinct["seen_at"], 0))
    owner = index.owners.select(pl.col(*_OBSERVED, "eni_type").gather(gathered(known.row)).cast(pl.String))
    stands = pl.Series(known.stand | known.are_earliest)
    owner = owner.with_columns(pl.when(stands).then("instance_id").alias("instance_id"))
    observing = [pl.coalesce(places[name], owner[name]).alias(name) for name in _OBSERVED]
    whole = pl.concat(
        [
            distinct.select("instant", "seen_at", own=pl.Series(interfaces)),
            distinct.select(
                pl.col(_LASTING).cast(pl.Categorical).name.prefix("said_"),
                said_instance_id="instance_id",
                said_eni_id="interface_id",
            ),
            owner.select("eni_type"),
            pl.select(*observing).select(
                "vpc_id", "subnet_id", pl.all().cast(pl.Categorical(pl.Categories.random())).name.prefix("observing_")
            ),
        ],
        how="horizontal",
    )
    return _with_route_tables(whole, index).drop("subnet_id"), numbers


def _seen_at(records: pl.DataFrame, index: AddressIndex) -> pl.Series:
    """The last instant until each record at which anything changed about the interface that recorded it.

    Where nothing changed in the time of these records, it is the time of the first of them.
    """
    moments = records["moment"]
    interfaces, interface = texts(records["interface_id"])
    changed = last_changes(interface, index.codes.of(interfaces), moments, index.interface_changes)
    first = pl.lit(moments.min(), moments.dtype)
    return pl.select(pl.when(moments.is_not_null()).then(pl.coalesce(changed, first)).alias("seen_at")).to_series()


def _with_route_tables(places: pl.DataFrame, index: AddressIndex) -> pl.DataFrame:
    parts = [
        part.with_columns(via=index.topology(instant).route_tables(part))
        for (instant,), part in places.with_row_index("place").partition_by("instant", as_dict=True).items()
        if instant is not None
    ]
    lacking = places.with_row_index("place").filter(pl.col("instant").is_null())
    lacking = lacking.with_columns(via=pl.lit(None, pl.String))
    return pl.concat([*parts, lacking], how="diagonal").sort("place").drop("place")
