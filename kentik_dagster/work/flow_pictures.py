"""What an hour of flows looks like: traffic per minute, read back from the table that people ask."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from kentik_dagster.core.flow_log_keys import hour_start
from kentik_dagster.lake.tables import Lake

# More rows than this are not read back for a picture: it would cost more than a second.
MOST_ROWS = 20_000_000
_MINUTE = timedelta(minutes=1)
# Aggregation begins up to ten minutes before the file that it ends in, and delivery is later than that.
_SHOWN_MINUTES = range(-15, 60)


def traffic_by_minute(lake: Lake, export: str, hour: str) -> pl.DataFrame:
    """The bytes of each minute of an hour and of the quarter before it, by traffic profile.

    A record counts in the minute in which it starts, as often as sampling says, and only if it is the primary record of
    its conversation.

    Returns:
        One row per `minute` (UTC), in order, even where there is no traffic; a column of bytes per profile, the largest
        first.
    """
    flows = lake["enriched_flows"].open()
    counted = flows.collected(
        flows.scan({"export": export, "hour": hour})
        .filter("is_primary_record", pl.col("start_time").is_not_null())
        .group_by(minute=pl.col("start_time").dt.truncate("1m"), profile=pl.col("traffic_profile").cast(pl.String))
        .agg((pl.col("bytes") * pl.col("sample_rate").fill_null(1.0)).sum())
    )
    minutes = [hour_start(hour) + number * _MINUTE for number in _SHOWN_MINUTES]
    every = pl.DataFrame({"minute": minutes}, schema={"minute": counted.schema["minute"]})
    shown = every.join(counted, on="minute", how="left", maintain_order="left")
    profiles = shown.drop_nulls("profile").group_by("profile").agg(pl.col("bytes").sum())
    names = profiles.sort("bytes", "profile", descending=[True, False])["profile"].to_list()
    return shown.group_by("minute", maintain_order=True).agg(
        pl.col("bytes").filter(pl.col("profile") == name).sum().alias(name) for name in names
    )
