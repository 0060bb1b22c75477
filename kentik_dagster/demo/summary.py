"""What the demo found, as a person wants to see it."""

from __future__ import annotations

import polars as pl
from rich.console import Group, RenderableType
from rich.table import Table as Grid

from kentik_dagster.lake.tables import Lake

_MOST_TALKERS = 8


def summary(lake: Lake) -> RenderableType:
    """Rows per table, how the ends of flows were resolved, top talkers, what REJECT cost, objects deleted."""
    return Group(_rows(lake), _resolutions(lake), _talkers(lake), _rejected(lake), _deleted(lake))


def top_talkers(enriched: pl.LazyFrame) -> pl.DataFrame:
    """Who sent most to whom: `source`, `destination`, `application`, `bytes` (B); each conversation counted once."""

    def name(side: str) -> pl.Expr:
        place = pl.coalesce(f"{side}_account_name", f"{side}_account_id")
        known = pl.concat_str(
            pl.coalesce(f"{side}_eni_entity_name", f"{side}_eni_id"), pl.lit(" ("), place, pl.lit(")")
        )
        return pl.coalesce(known, f"{side}_pkt_addr", f"{side}_addr")

    return (
        enriched.filter("is_primary_record", pl.col("action") == "ACCEPT")
        .group_by(source=name("src"), destination=name("dst"), application=pl.col("application").fill_null("other"))
        .agg(pl.col("bytes").sum())
        .sort("bytes", "source", "destination", descending=[True, False, False])
        .head(_MOST_TALKERS)
        .collect()
    )


def _rows(lake: Lake) -> Grid:
    grid = _grid("Tables", "table", "rows", "files")
    for table in lake.tables:
        files = table.open().files
        grid.add_row(table.table.name, f"{int(files['num_records'].sum()):,}", str(files.height))
    return grid


def _resolutions(lake: Lake) -> Grid:
    grid = _grid("Who owned both ends of the flows", "resolution", "ends", "share")
    ends = pl.concat([lake["enriched_flows"].scan().select(resolution=f"{side}_resolution") for side in ("src", "dst")])
    counts = ends.drop_nulls().group_by("resolution").len("ends").sort("ends", descending=True).collect()
    for resolution, number in counts.iter_rows():
        grid.add_row(resolution, f"{number:,}", f"{number / counts['ends'].sum():.2%}")
    return grid


def _talkers(lake: Lake) -> Grid:
    grid = _grid("Top talkers", "from", "to", "application", "bytes")
    for row in top_talkers(lake["enriched_flows"].scan()).iter_rows():
        grid.add_row(*row[:3], _bytes(row[3]))
    return grid


def _rejected(lake: Lake) -> str:
    rejected = lake["enriched_flows"].scan().filter(pl.col("action") == "REJECT", "is_primary_record")
    size, flows = rejected.select(pl.col("bytes").sum(), pl.len()).collect().row(0)
    return f"REJECT cost {_bytes(size or 0)} in {flows:,} flows."


def _deleted(lake: Lake) -> str:
    counts = dict(lake["deletion_sweep"].scan().group_by("outcome").len().collect().iter_rows())
    told = ", ".join(f"{number:,} {outcome}" for outcome, number in sorted(counts.items())) or "none"
    return f"Log objects in the deletion sweep: {told}."


def _grid(title: str, *columns: str) -> Grid:
    grid = Grid(title=title, title_justify="left")
    for column in columns:
        numeric = column in ("rows", "files", "ends", "share", "bytes")
        grid.add_column(column, justify="right" if numeric else "left", no_wrap=True, overflow="ellipsis")
    return grid


def _bytes(number: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:,.0f} {unit}" if unit == "B" else f"{number:,.1f} {unit}"
        number /= 1000
    return f"{number:,.1f} TB"
