"""Traffic per minute is what the table says of the primary records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.schemas import no_rows
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import merge_partition
from kentik_dagster.work.flow_pictures import traffic_by_minute

HOUR = datetime(2026, 11, 20, 7, tzinfo=UTC)
PARTITION = {"export": "acme", "hour": "2026-11-20T07"}


def flow(minutes: float, size: int, **changes: object) -> dict[str, object]:
    return {
        **PARTITION, "source_object": "o", "start_time": HOUR + timedelta(minutes=minutes), "bytes": size,
        "traffic_profile": "internal cloud", "is_primary_record": True, **changes,
    }  # fmt: skip


def test_primary_records_count_in_their_minute_as_often_as_sampling_says(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    flows = [
        flow(0, 100),
        flow(0.9, 20),
        flow(0, 1, traffic_profile="cloud to outside", sample_rate=10.0),
        flow(59.5, 7),
        flow(-3, 5),
        flow(0, 1_000, is_primary_record=False),
        flow(500, 1_000, traffic_profile="through"),
    ]
    rows = pl.concat([no_rows(TABLES["enriched_flows"]), pl.DataFrame(flows)], how="diagonal_relaxed")
    merge_partition(lake["enriched_flows"], PARTITION, lambda _: rows)

    minutes = traffic_by_minute(lake, "acme", PARTITION["hour"])

    assert minutes.columns == ["minute", "internal cloud", "cloud to outside"]
    assert (minutes.height, minutes["minute"][0]) == (75, HOUR - timedelta(minutes=15))
    told = {row[0]: row[1:] for row in minutes.rows() if any(row[1:])}
    assert told == {
        HOUR - timedelta(minutes=3): (5, 0),
        HOUR: (120, 10),
        HOUR + timedelta(minutes=59): (7, 0),
    }


def test_an_hour_without_flows_has_its_minutes(tmp_path: Path) -> None:
    minutes = traffic_by_minute(Lake(str(tmp_path)), "acme", PARTITION["hour"])

    assert (minutes.columns, minutes.height) == (["minute"], 75)
