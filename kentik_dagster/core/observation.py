"""Where flow records were taken: the interface that recorded, its VPC and the route table of its subnet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from kentik_dagster.core.address_index import AddressIndex, microseconds
from kentik_dagster.core.codes import gathered
from kentik_dagster.core.distinct import NONE, UNKNOWN, Numbers, numbered, texts
from kentik_dagster.core.moments import last_changes

# What an interface keeps for its life, and what may change.
_LASTING = ("account_id", "region", "az_id", "vpc_id", "subnet_id")
_OBSERVED = (*_LASTING, "instance_id")
# What a record itself says of the interface that recorded it.
SAID = (*_OBSERVED, "eni_id")


@dataclass(frozen=True, slots=True)
class Observed:
    """Where records were taken.

    Attributes:
        places: the distinct places, a row each: `instant` (at which the network is looked at); `seen_at` (at which the
            interface is looked at); `said_*`, as the record says (categories); `observing_*`, as the record says, else
            as the address book does (categories); `eni_type`; `own` (the interface, as a number of the index);
            `scope`, `vpc` and `via` of its scope.
        scopes: from where the network looks the same, a row each: `instant`, and as numbers of the index `vpc` and
            `via` (the route table).
        place: for each record the number of its place.
    """

    places: pl.DataFrame
    scopes: pl.DataFrame
    place: pl.Series


def observed_places(records: pl.DataFrame, index: AddressIndex) -> Observed:
    """The distinct places where records were taken.

    Args:
        records: one row per record: what it says of its interface, text or categories, all nullable: `interface_id`,
            `account_id`, `region`, `az_id`, `vpc_id`, `subnet_id`, `instance_id`; `moment`, and `instant` (at which the
            network is looked at).
    """
    names, number = texts(records["interface_id"])
    codes = np.append(index.codes.of(names), NONE)
    distinct, numbers = numbered(
        records.select(
            "interface_id", *_OBSERVED, "instant", seen_at=_seen_at(number, codes, records["moment"], index),
            number=gathered(number),
        )
    )  # fmt: skip
    distinct = distinct.with_columns(pl.when(pl.col("account_id") != "unknown").then("account_id"))
    interfaces = codes[distinct["number"].cast(pl.Int64).fill_null(NONE).to_numpy()]
    known = index.interface(interfaces, microseconds(distinct["seen_at"], 0))
    owner = index.owners.select(pl.col(*_OBSERVED, "eni_type").gather(gathered(known.row)))
    # What may change is told of a time alone, and some records have none.
    stands = pl.Series(known.stand | known.are_earliest) & distinct["seen_at"].is_not_null()
    owner = owner.with_columns(pl.when(stands).then("instance_id").alias("instance_id"))
    observing = {name: _either(distinct[name], owner[name]) for name in _OBSERVED}
    scopes, scope = _scopes(pl.DataFrame([distinct["instant"], observing["vpc_id"], observing["subnet_id"]]), index)
    said = distinct.select(
        pl.col(_LASTING).cast(pl.Categorical).name.prefix("said_"),
        said_instance_id="instance_id",
        said_eni_id="interface_id",
    )
    places = distinct.select("instant", "seen_at").with_columns(
        *said,
        *(observed.alias(f"observing_{name}") for name, observed in observing.items()),
        owner["eni_type"],
        *scopes.select(pl.col("vpc", "via").gather(scope)),
        own=pl.Series(interfaces),
        scope=scope,
    )
    return Observed(places, scopes, numbers)


def _either(said: pl.Series, known: pl.Series) -> pl.Series:
    """What a record says or, where it says nothing, what is known; categories."""
    if not said.null_count():
        return said
    dtype = said.dtype if said.null_count() < len(said) else pl.Categorical(pl.Categories.random())
    lacking = pl.select(pl.when(said.is_null()).then(known.cast(pl.String))).to_series()
    return pl.select(pl.coalesce(said.cast(dtype), lacking.cast(dtype))).to_series()


def _seen_at(which: Numbers, codes: Numbers, moments: pl.Series, index: AddressIndex) -> pl.Series:
    """The last instant until each record at which anything changed about the interface that recorded it.

    Where nothing changed in the time of these records, it is the time of the first of them.
    """
    changed = last_changes(which, codes, moments, index.interface_changes)
    first = pl.lit(moments.min(), moments.dtype)
    return pl.select(pl.when(moments.is_not_null()).then(pl.coalesce(changed, first)).alias("seen_at")).to_series()


def _scopes(places: pl.DataFrame, index: AddressIndex) -> tuple[pl.DataFrame, pl.Series]:
    """The distinct scopes of places, and for each place the number of its own.

    Args:
        places: `instant`, `vpc_id`, `subnet_id`.
    """
    subnets, of_place = numbered(places)
    vpc, subnet = (index.codes.of(subnets[name]) for name in ("vpc_id", "subnet_id"))
    via = np.full(subnets.height, NONE)
    for instant in subnets["instant"].unique().drop_nulls():
        there = np.flatnonzero((subnets["instant"] == instant).fill_null(False).to_numpy())
        via[there] = index.topology(instant).route_tables(vpc[there], subnet[there])
    scopes, of_subnet = numbered(
        subnets.select("instant", vpc=pl.Series(vpc - UNKNOWN), via=pl.Series(via - UNKNOWN))  # none is negative
    )
    return scopes.with_columns(pl.col("vpc", "via") + UNKNOWN), of_subnet.gather(of_place)
