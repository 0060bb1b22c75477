"""Hours whose flows were enriched before something was known that concerns them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from kentik_dagster.core.flow_log_keys import hour_start
from kentik_dagster.core.new_knowledge import concerned_ends, newly_known
from kentik_dagster.lake.tables import Lake, Snapshot

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
    """The hours, newest first, for whose unknown, ambiguous or earliest ends newer metadata speaks.

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
        ends = concerned_ends(_uncertain_ends(snapshot, export, hour), new)
        if ends.height:
            outdated.append(OutdatedHour(export, hour, as_of, ends.height))
    return outdated


def _uncertain_ends(snapshot: Snapshot, export: str, hour: str) -> pl.DataFrame:
    """Distinct ends of an hour that were not found as they were then: `address`, `vpc_id`."""
    rows = snapshot.scan({"export": export, "hour": hour})
    sides = [
        rows.filter(pl.col(f"{side}_resolution").is_in(("earliest", "unknown", "ambiguous"))).select(
            address=pl.coalesce(f"{side}_pkt_addr", f"{side}_addr"), vpc_id="observing_vpc_id"
        )
        for side in ("src", "dst")
    ]
    return pl.concat(sides).unique().collect()
