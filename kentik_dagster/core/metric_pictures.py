"""Metrics for people to look at: a line of blocks for each namespace, and what CloudWatch no longer keeps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

import polars as pl

from kentik_dagster.catalog.metrics import RETENTION

_BLOCKS = "▁▂▃▄▅▆▇█"
_WIDTH = 30


def namespace_pictures(summary: pl.DataFrame) -> str:
    """For each namespace its datapoints, and how its busiest sum went, or the mean of a metric where it has no sums.

    Args:
        summary: one row per `namespace`, `metric_name`, `statistic`, `timestamp`: `datapoints`, `total`, `mean`.

    Returns:
        A Markdown table.
    """
    head = "| namespace | datapoints | metric | from first to last |\n|---|---:|---|---|"
    parts = summary.sort("namespace").partition_by("namespace", maintain_order=True)
    return "\n".join([head, *map(_line, parts)])


def _line(rows: pl.DataFrame) -> str:
    sums = rows.filter(pl.col("statistic") == "Sum")
    by_size = (
        sums.group_by("metric_name").agg(pl.col("total").sum()).sort("total", "metric_name", descending=[True, False])
    )
    name = by_size["metric_name"][0] if by_size.height else rows["metric_name"].min()
    shown = (sums if by_size.height else rows).filter(pl.col("metric_name") == name).sort("timestamp", "statistic")
    over_time = shown.unique("timestamp", keep="first", maintain_order=True)
    values = over_time["total" if by_size.height else "mean"].tail(_WIDTH).to_list()
    count = rows["datapoints"].sum()
    return f"| {_cell(rows['namespace'][0])} | {count:,} | {_cell(str(name))} | {sparkline(values)} |"


def sparkline(values: Sequence[float]) -> str:
    """Values as blocks, the smallest the lowest; equal ones are all low."""
    if not values:
        return ""
    lowest, span = min(values), max(values) - min(values)
    top = len(_BLOCKS) - 1
    return "".join(_BLOCKS[round((value - lowest) / span * top) if span > 0 else 0] for value in values)


def _cell(text: str) -> str:
    """Text of AWS in a cell of a Markdown table: neither HTML nor the end of the cell."""
    return "".join(f"&#{ord(mark)};" if mark in "|<>&`*_[]\\\n\r" else mark for mark in text)


def coarser_hours(starts: Sequence[datetime], now: datetime) -> str:
    """What CloudWatch has no more of times that begin at these instants, as a sentence; empty if it has all."""
    gone = [start for start in starts if now - start > RETENTION[-1][0]]
    said = [
        f"- {_span(gone)}: no datapoints any more, CloudWatch keeps them {RETENTION[-1][0].days} days; what the table "
        "has stays"
    ] if gone else []  # fmt: skip
    for (kept, _), (longer, period) in pairwise(RETENTION):
        aged = [start for start in starts if kept < now - start <= longer]
        if aged:
            said.append(f"- {_span(aged)}: datapoints of {period} s only, finer ones are kept {kept.days} days")
    return "\n".join(said)


def _span(starts: Sequence[datetime]) -> str:
    first, last = min(starts), max(starts)
    return f"{first:%Y-%m-%dT%H}" if first == last else f"{first:%Y-%m-%dT%H} to {last:%Y-%m-%dT%H}"
