"""Which hours of enriched flows newer metadata may say more of."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from kentik_dagster.core.addresses import address_numbers, ranges

_NOT_OF_FLOWS = ("snapshot", "account", "firewall")
# Records of an hour's objects end before the objects are posted; one that names a later time has a wrong clock.
_LONGEST = timedelta(hours=1, minutes=15)


def newly_known(book: pl.DataFrame, *, since: datetime | None, hour_began_at: datetime) -> pl.DataFrame:
    """What became known after an hour was enriched, and concerns the time of that hour.

    Args:
        book: rows of `address_book`.
        since: the newest metadata that the hour was enriched with; None: none.

    Returns:
        Rows of `book`.
    """
    ends_at = hour_began_at + _LONGEST
    stood = pl.col("since_first_snapshot") | (pl.col("valid_from") < ends_at)
    lasted = pl.col("valid_to").is_null() | (pl.col("valid_to") > hour_began_at - _LONGEST)
    is_new = pl.lit(value=True) if since is None else pl.col("observed_at") > since
    return book.filter(~pl.col("kind").is_in(_NOT_OF_FLOWS), is_new.fill_null(False), stood, lasted)


def concerned_ends(ends: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """The ends of flows of which new knowledge may say something else.

    Args:
        ends: distinct ends that are not known for certain: `address`, `vpc_id` (the observing VPC).
        new: rows of `newly_known`.

    Returns:
        Rows of `ends`: whose address an interface is now known to have had, or lies in a range that is now known, or
        which were recorded in a VPC of which a route or connection is now known.
    """
    addresses = new.filter(pl.col("kind") == "interface_address")["address"].unique()
    network = new.filter(pl.col("kind").is_in(("peering", "route", "route_table", "transit_gateway_attachment")))
    # What lies behind gateways may concern every VPC that reaches them.
    behind = not new.filter(
        pl.col("kind").is_in(("transit_gateway_route", "transit_gateway_peering", "on_premises", "vpn_gateway"))
    ).is_empty()
    blocks = ranges(new.filter(pl.col("kind").is_in(("interface_range", "vpc_cidr")))["address"])
    numbered = ends.join(address_numbers(ends["address"]), on="address", how="left", maintain_order="left")
    if blocks.height:
        inside = numbered.join_where(blocks, pl.col("number") >= pl.col("first"), pl.col("number") <= pl.col("last"))[
            "address"
        ].unique()
    else:
        inside = addresses.clear()
    concerned = pl.col("address").is_in(pl.concat([addresses, inside]).implode()) | (
        (pl.lit(behind) | pl.col("vpc_id").is_in(network["vpc_id"].drop_nulls().unique().implode()).fill_null(False))
        & ~pl.col("is_internet").fill_null(False)
    )
    return numbered.filter(concerned.fill_null(False)).select(ends.columns)


def concerned_owners(owned: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """The ends of flows that were found, and belong to somebody else as is known now.

    Args:
        owned: distinct ends that were found: `address`, `vpc_id`, `eni_id`, `instance_id`, `eni_type` (null: the record
            alone told of the interface) and `until`, the newest record's time.
        new: rows of `newly_known`.

    Returns:
        Rows of `owned`.
    """
    known = new.filter(pl.col("kind") == "interface_address").select(
        "address", "vpc_id", "valid_from", new_eni_id="eni_id", new_instance_id="instance_id"
    )
    is_other = (
        pl.col("eni_id").ne_missing(pl.col("new_eni_id"))
        | pl.col("instance_id").ne_missing(pl.col("new_instance_id"))
        | pl.col("eni_type").is_null()
    )
    return (
        owned.join(known, on=["address", "vpc_id"], how="inner")
        .filter(pl.col("valid_from") <= pl.col("until"), is_other)
        .select(owned.columns)
        .unique()
    )
