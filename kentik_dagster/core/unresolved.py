"""How the ends of flows were resolved: which are not known, where they were recorded, and why."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl

from kentik_dagster.core.addresses import address_numbers
from kentik_dagster.core.distinct import numbered
from kentik_dagster.core.schemas import require
from kentik_dagster.core.traffic import FOUND

ENDS = pl.Schema({"vpc_id": pl.String(), "resolution": pl.String(), "is_internal": pl.Boolean(), "ends": pl.UInt32()})
UNRESOLVED = ("ambiguous", "unknown")
_PLACE = ("vpc_id", "resolution", "is_internal")
_RESOLUTIONS = ("src_resolution", "dst_resolution")


def ends_by_vpc(enriched: pl.DataFrame) -> pl.DataFrame:
    """How the ends of flows were resolved, by the VPC that recorded them.

    Args:
        enriched: rows of `enriched_flows`.

    Returns:
        One row per `vpc_id` (null: not known), `resolution` and `is_internal` (an interface of ours, or an address of a
        range that is nobody's on the internet), in no order: `ends`, both sides together.
    """
    require(enriched, "observing_vpc_id", "src_resolution", "dst_resolution", by="ends_by_vpc")
    return _ends(enriched).select(ENDS.names()).cast(ENDS)


def ends_by_hour(enriched: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """`ends_by_vpc` of each hour (`hour`) that flows are of."""
    require(enriched, "hour", "observing_vpc_id", "src_resolution", "dst_resolution", by="ends_by_hour")
    parts = _ends(enriched, "hour").partition_by("hour", as_dict=True)
    return {str(hour): ends.select(ENDS.names()).cast(ENDS) for (hour,), ends in parts.items()}


def _ends(enriched: pl.DataFrame, *also: str) -> pl.DataFrame:
    """Ends by `_PLACE` and the columns of `also`; only what is unresolved, which is little, is looked at by address."""
    place = (*also, "observing_vpc_id")
    once, number = numbered(enriched.select(*place, *_RESOLUTIONS))
    counts = np.bincount(number.to_numpy(), minlength=once.height)
    resolved = (
        pl.concat(once.select(*place, resolution=name, ends=pl.Series(counts)) for name in _RESOLUTIONS)
        .filter(~pl.col("resolution").is_in(UNRESOLVED))
        .with_columns(is_internal=pl.col("resolution").is_in(FOUND))
    )
    is_unresolved = once.select(pl.any_horizontal(pl.col(_RESOLUTIONS).is_in(UNRESOLVED).fill_null(False))).to_series()
    rows = np.flatnonzero(is_unresolved.to_numpy()[number.to_numpy()])
    addresses = (f"{side}{kind}_addr" for side in ("src", "dst") for kind in ("", "_pkt"))
    records = enriched.select(pl.col(*place, *_RESOLUTIONS, *addresses).gather(rows))
    ends = pl.concat(
        records.select(*place, resolution=f"{side}_resolution", address=pl.coalesce(f"{side}_pkt_addr", f"{side}_addr"))
        for side in ("src", "dst")
    )
    ends = ends.filter(pl.col("resolution").is_in(UNRESOLVED)).cast({"address": pl.String})
    numbers = address_numbers(ends["address"])
    internal = ends.join(numbers, on="address", how="left").select(
        *place, "resolution", ends=pl.lit(1, pl.Int64), is_internal=~pl.col("is_internet").fill_null(False)
    )
    both = pl.concat([resolved, internal]).rename({"observing_vpc_id": "vpc_id"})
    return both.group_by(*also, *_PLACE).agg(pl.col("ends").sum())


def together(counts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Frames of `ends_by_vpc` as one, most ends first."""
    everything = pl.concat([pl.DataFrame(schema=ENDS), *counts])
    return (
        everything.group_by(_PLACE)
        .agg(pl.col("ends").sum())
        .select(ENDS.names())
        .sort("ends", *_PLACE, descending=[True, False, False, False], nulls_last=True)
    )


def shares(ends: pl.DataFrame) -> pl.DataFrame:
    """How ends were resolved altogether.

    Args:
        ends: rows of `ends_by_vpc`.

    Returns:
        One row per resolution: `resolution`, `ends`, `share` (0 to 1), most ends first.
    """
    counts = ends.group_by("resolution").agg(pl.col("ends").sum())
    return counts.with_columns(share=pl.col("ends") / pl.col("ends").sum()).sort(
        "ends", "resolution", descending=[True, False]
    )


def unresolved_share(ends: pl.DataFrame) -> float:
    """The share (0 to 1) of internal ends that are unknown or ambiguous; 0 where there are none."""
    internal = ends.filter("is_internal")
    total = int(internal["ends"].sum())
    unresolved = int(internal.filter(pl.col("resolution").is_in(UNRESOLVED))["ends"].sum())
    return unresolved / total if total else 0.0
