"""A real Parquet object, which nobody here wrote, gives the rows that its note says."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from kentik_dagster.core.flow_log_parquet import parquet_parts


def test_a_real_parquet_object_gives_the_rows_that_it_should(samples: Path) -> None:
    (path,) = (samples / "flow_logs" / "09_vpc_v2_parquet_sekoia").glob("*.parquet")
    expected = json.loads((path.parent / "expected.json").read_text(encoding="utf-8"))["files"][path.name]

    (part,) = parquet_parts(path.read_bytes(), largest_bytes=10**6)

    rows = part.rows.select(
        pl.col(name).dt.epoch("s") if name in ("start", "end") else pl.col(name) for name in expected["arrow_schema"]
    )
    assert rows.to_dicts() == expected["rows"]
    assert (rows["packets"].sum(), rows["bytes"].sum()) == (expected["sum_packets"], expected["sum_bytes"])
    assert part.rows["log_type"].unique().to_list() == ["vpc"]
    assert part.rejected.is_empty()
