"""Lines of blocks for people, whatever AWS calls things; and what CloudWatch has no more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.core.metric_pictures import coarser_hours, namespace_pictures, sparkline

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-1e300, 1e300), max_size=40))
def test_a_line_has_a_block_for_each_value_and_higher_ones_are_no_lower(values: list[float]) -> None:
    line = sparkline(values)

    assert len(line) == len(values)
    ordered = sorted(zip(values, line, strict=True))
    assert [block for _, block in ordered] == sorted(line)


def test_a_namespace_is_shown_by_its_busiest_sum() -> None:
    rows = [
        ("AWS/NATGateway", "BytesOut", "Sum", NOW, 2, 10.0, 5.0),
        ("AWS/NATGateway", "BytesOut", "Sum", NOW + timedelta(minutes=1), 2, 90.0, 45.0),
        ("AWS/NATGateway", "ErrorPortAllocation", "Sum", NOW, 2, 1.0, 0.5),
        ("AWS/EC2", "CPUUtilization", "Average", NOW, 1, 7.0, 7.0),
        ("Own|<b>", "x", "Maximum", NOW, 1, 7.0, 7.0),
    ]
    names = ["namespace", "metric_name", "statistic", "timestamp", "datapoints", "total", "mean"]

    picture = namespace_pictures(pl.DataFrame(rows, schema=names, orient="row"))

    assert picture.splitlines()[2:] == [
        "| AWS/EC2 | 1 | CPUUtilization | ▁ |",
        "| AWS/NATGateway | 6 | BytesOut | ▁█ |",
        "| Own&#124;&#60;b&#62; | 1 | x | ▁ |",
    ]


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (1, ""),
        (15, ""),
        (16, "300 s only, finer ones are kept 15 days"),
        (64, "3600 s only"),
        (456, "no datapoints any"),
    ],
)
def test_of_an_old_hour_it_is_said_what_is_no_longer_kept(days: int, said: str) -> None:
    text = coarser_hours([NOW - timedelta(days=days), NOW], NOW)

    assert said in text
    assert bool(text) == bool(said)
