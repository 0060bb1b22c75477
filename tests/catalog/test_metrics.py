"""The catalog of metrics agrees with the reference that was written from CloudWatch's documents."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from kentik_dagster.catalog.metrics import METRICS, Metric

_REFERENCE = Path(os.environ.get("KENTIK_DAGSTER_REFERENCE") or Path(__file__).parents[3] / "shared" / "reference")


@pytest.fixture(scope="module")
def described() -> dict[tuple[str, str], dict[str, str]]:
    """The reference's rows by namespace and metric."""
    path = _REFERENCE / "cloudwatch_metrics.csv"
    if not path.is_file():
        pytest.skip(f"no reference at {path}; name its folder in KENTIK_DAGSTER_REFERENCE")
    with path.open(encoding="utf-8", newline="") as text:
        return {(row["namespace"], row["metric"]): row for row in csv.DictReader(text)}


all_metrics = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: f"{metric.namespace}-{metric.name}")


@all_metrics
def test_a_metric_is_published_with_its_dimension_and_unit(
    metric: Metric, described: dict[tuple[str, str], dict[str, str]]
) -> None:
    row = described[metric.namespace, metric.name]
    dimension_sets = [text.strip() for text in row["dimension_sets (| separates alternatives)"].split("|")]

    assert metric.dimension in dimension_sets
    assert metric.unit == row["unit"]


@all_metrics
def test_a_metric_is_read_as_a_statistic_that_means_something(
    metric: Metric, described: dict[tuple[str, str], dict[str, str]]
) -> None:
    row = described[metric.namespace, metric.name]

    assert metric.statistics
    assert set(metric.statistics) <= set(row["statistics"].split(";"))


def test_no_metric_stands_there_twice() -> None:
    names = [(metric.namespace, metric.name) for metric in METRICS]

    assert len(set(names)) == len(names)


def test_periods_are_whole_minutes() -> None:
    assert {metric.period_seconds % 60 for metric in METRICS} == {0}
