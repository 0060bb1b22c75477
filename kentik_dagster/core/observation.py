"""Where flow records were taken: the interface that recorded, its VPC and the route table of its subnet."""

from __future__ import annotations

import polars as pl

from kentik_dagster.core.address_index import AddressIndex

# What an interface keeps for its life, and what may change.
_LASTING = ("account_id", "region", "az_id", "vpc_id", "subnet_id")
_PLACE = ("interface_id", "vpc_id", "subnet_id", "instance_id", "instant", "seen_at")


def observed_places(records: pl.DataFrame, index: AddressIndex) -> tuple[pl.DataFrame, pl.Series]:
    """The distinct places where records were taken.

    Args:
        records: one row per record: `interface_id`, `vpc_id`, `subnet_id`, `instance_id` (nullable) and `instant`
            (at which the network is looked at) and `seen_at` (at which the interface is).

    Returns:
        One row per place: `own_eni_id`; `known_account_id`, `known_region`, `known_az_id`, `vpc_id`, `subnet_id` (as
        the record says, else as the address book does), `known_instance_id` and `eni_type` (as they were then),
        `said_instance` (as the record says); `via`, the route table. And for each record the number of its place.
    """
    codes = records.select(
        *(pl.col(name).cast(pl.Categorical(pl.Categories.random())) for name in _PLACE[:-2]),
        pl.col("instant", "seen_at"),
    )
    distinct = codes.unique(maintain_order=True).with_row_index("place")
    numbers = codes.join(distinct, on=list(_PLACE), how="left", nulls_equal=True, maintain_order="left")["place"]
    places = distinct.with_columns(pl.col(_PLACE[:-2]).cast(pl.String))
    known = index.interface(places.select(eni_id="interface_id", at="seen_at"))
    owner = index.owners.select(
        pl.col(*_LASTING, "instance_id", "eni_type").gather(known["owner"]).cast(pl.String)
    ).rename({name: f"known_{name}" for name in (*_LASTING, "instance_id")})
    stands = known["stands"] | known["is_earliest"]
    places = pl.concat([places, owner], how="horizontal").select(
        "instant",
        "eni_type",
        pl.col("instance_id").alias("said_instance"),
        pl.col("interface_id").alias("own_eni_id"),
        pl.col("known_account_id", "known_region", "known_az_id"),
        pl.when(stands).then("known_instance_id").alias("known_instance_id"),
        *(pl.coalesce(name, f"known_{name}").alias(name) for name in ("vpc_id", "subnet_id")),
    )
    return _with_route_tables(places, index), numbers


def _with_route_tables(places: pl.DataFrame, index: AddressIndex) -> pl.DataFrame:
    parts = [
        part.with_columns(via=index.topology(instant).route_tables(part))
        for (instant,), part in places.with_row_index("place").partition_by("instant", as_dict=True).items()
        if instant is not None
    ]
    lacking = places.with_row_index("place").filter(pl.col("instant").is_null())
    lacking = lacking.with_columns(via=pl.lit(None, pl.String))
    return pl.concat([*parts, lacking], how="diagonal").sort("place").drop("place")
