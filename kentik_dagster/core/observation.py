"""Where flow records were taken: the interface that recorded, its VPC and the route table of its subnet."""

from __future__ import annotations

import polars as pl

from kentik_dagster.core.address_index import AddressIndex
from kentik_dagster.core.distinct import numbered

# What an interface keeps for its life, and what may change.
_LASTING = ("account_id", "region", "az_id", "vpc_id", "subnet_id")
_OBSERVED = (*_LASTING, "instance_id")
# What a record itself says of the interface that recorded it.
SAID = (*_OBSERVED, "eni_id")


def observed_places(records: pl.DataFrame, index: AddressIndex) -> tuple[pl.DataFrame, pl.Series]:
    """The distinct places where records were taken.

    Args:
        records: one row per record: what it says of its interface, text or categories, all nullable: `interface_id`,
            `account_id`, `region`, `az_id`, `vpc_id`, `subnet_id`, `instance_id`; and `instant` (at which the network
            is looked at) and `seen_at` (at which the interface is).

    Returns:
        One row per place: `instant`; `own_eni_id`; `said_*`, as the record says; `observing_*`, as the record says,
        else as the address book does (categories); `vpc_id` of these (text); `eni_type`; `via`, the route table. And
        for each record the number of its place.
    """
    distinct, numbers = numbered(records.select("interface_id", *_OBSERVED, "instant", "seen_at"))
    places = distinct.with_columns(pl.selectors.categorical().cast(pl.String)).with_columns(
        pl.when(pl.col("account_id") != "unknown").then("account_id")
    )
    known = index.interface(places.select(eni_id="interface_id", at="seen_at"))
    owner = index.owners.select(pl.col(*_OBSERVED, "eni_type").gather(known["owner"]).cast(pl.String))
    stands = known["stands"] | known["is_earliest"]
    owner = owner.with_columns(pl.when(stands).then("instance_id").alias("instance_id"))
    observing = [pl.coalesce(places[name], owner[name]).alias(name) for name in _OBSERVED]
    whole = pl.concat(
        [
            places.select("instant", own_eni_id="interface_id"),
            places.select(pl.col(*_OBSERVED, "interface_id").name.prefix("said_")).rename(
                {"said_interface_id": "said_eni_id"}
            ),
            owner.select("eni_type"),
            pl.select(*observing).select(
                "vpc_id", "subnet_id", pl.all().cast(pl.Categorical(pl.Categories.random())).name.prefix("observing_")
            ),
        ],
        how="horizontal",
    )
    return _with_route_tables(whole, index).drop("subnet_id"), numbers


def _with_route_tables(places: pl.DataFrame, index: AddressIndex) -> pl.DataFrame:
    parts = [
        part.with_columns(via=index.topology(instant).route_tables(part))
        for (instant,), part in places.with_row_index("place").partition_by("instant", as_dict=True).items()
        if instant is not None
    ]
    lacking = places.with_row_index("place").filter(pl.col("instant").is_null())
    lacking = lacking.with_columns(via=pl.lit(None, pl.String))
    return pl.concat([*parts, lacking], how="diagonal").sort("place").drop("place")
