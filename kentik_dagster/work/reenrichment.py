"""Hours whose flows were enriched before something was known that concerns them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from kentik_dagster.core.flow_log_keys import hour_start
from kentik_dagster.core.new_knowledge import concerned_ends, concerned_owners, newly_known
from kentik_dagster.lake.tables import Lake

_OLDEST = "min.metadata_as_of"
_STATED_TO = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class OutdatedHour:
    """An hour to enrich anew.

    Attributes:
        as_of: the newest metadata of which its rows know; None: of none.
        ends: how many distinct ends may be resolved otherwise now.
    """

    export: str
    hour: str
    as_of: datetime | None
    ends: int


def outdated_hours(lake: Lake, book: pl.DataFrame, hours: Collection[tuple[str, str]]) -> list[OutdatedHour]:
    """The hours, newest first, of whose ends newer metadata says something else, or the first thing.

    What the table's log says of its files tells for most hours that nothing new concerns them; the ends of the others
    are read.

    Args:
        book: rows of `address_book`.
        hours: exports and hours to look at.
    """
    snapshot = lake["enriched_flows"].open()
    files = snapshot.files
    if _OLDEST not in files.columns:  # no file states one
        files = files.with_columns(pl.lit(None, book.schema["observed_at"]).alias(_OLDEST))
    enriched = files.group_by("partition.export", "partition.hour").agg(
        # A file of rows that knew of nothing states no smallest value. Others state it to the millisecond before it.
        pl.when(pl.col(_OLDEST).null_count() == 0).then(pl.col(_OLDEST).min() + _STATED_TO).alias("as_of")
    )
    outdated = []
    for export, hour, as_of in enriched.sort("partition.hour", descending=True).iter_rows():
        if (export, hour) not in hours:
            continue
        new = newly_known(book, since=as_of, hour_began_at=hour_start(hour))
        if new.is_empty():
            continue
        rows = snapshot.scan({"export": export, "hour": hour})
        ends = concerned_ends(snapshot.collected(_uncertain_ends(rows)), new)
        owned = concerned_owners(snapshot.collected(_owned_ends(rows, new["address"].drop_nulls().unique())), new)
        if ends.height or owned.height:
            outdated.append(OutdatedHour(export, hour, as_of, ends.height + owned.height))
    return outdated


def _uncertain_ends(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Distinct ends of an hour that were not found as they were then: `address`, `vpc_id` (the observing VPC)."""
    sides = [
        rows.filter(pl.col(f"{side}_resolution").is_in(("earliest", "unknown", "ambiguous"))).select(
            address=_address(side), vpc_id="observing_vpc_id"
        )
        for side in ("src", "dst")
    ]
    return pl.concat(sides).unique()


def _owned_ends(rows: pl.LazyFrame, addresses: pl.Series) -> pl.LazyFrame:
    """Distinct ends of an hour at some addresses that were found as they were then; see `concerned_owners`."""
    columns = ("vpc_id", "eni_id", "instance_id", "eni_type")
    sides = [
        rows.filter(pl.col(f"{side}_resolution") == "exact", _address(side).is_in(addresses.implode())).select(
            pl.coalesce("end_time", "start_time").alias("until"),
            address=_address(side),
            **{name: pl.col(f"{side}_{name}") for name in columns},
        )
        for side in ("src", "dst")
    ]
    return pl.concat(sides).group_by("address", *columns).agg(pl.col("until").max())


def _address(side: str) -> pl.Expr:
    return pl.coalesce(f"{side}_pkt_addr", f"{side}_addr")
