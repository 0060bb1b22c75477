"""The catalog of metrics agrees with the reference that was written from CloudWatch's documents."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from kentik_dagster.catalog.metric_list import METRICS, NAMESPACES
from kentik_dagster.catalog.metrics import ALSO_CALLED, DAY_SECONDS, HOME_REGIONS, MEASURED, Metric
from kentik_dagster.catalog.network_operations import OPERATIONS

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
def test_a_metric_is_published_with_its_dimensions_unit_and_statistics(
    metric: Metric, described: dict[tuple[str, str], dict[str, str]]
) -> None:
    row = described[metric.namespace, metric.name]
    alternatives = row["dimension_sets (| separates alternatives)"].split("|")
    dimension_sets = [text.split(" (")[0].strip().split(",") for text in alternatives]
    units = [text.split(" (")[0].strip() for text in row["unit"].split(" / ")]

    assert list(metric.dimensions) in dimension_sets
    assert metric.unit in units
    assert metric.statistics
    assert set(metric.statistics) <= set(row["statistics"].split(";"))


def test_the_catalog_has_every_metric_of_the_reference_once(described: dict[tuple[str, str], dict[str, str]]) -> None:
    names = [(metric.namespace, metric.name) for metric in METRICS]

    assert sorted(names) == sorted(described)


def test_there_are_sixteen_namespaces() -> None:
    assert len(NAMESPACES) == 16
    assert set(HOME_REGIONS) | set(ALSO_CALLED) | set(MEASURED) <= set(NAMESPACES)


def test_periods_are_those_that_cloudwatch_keeps_and_daily_metrics_are_daily() -> None:
    assert {metric.period_seconds for metric in METRICS} == {60, 300, DAY_SECONDS}


@all_metrics
def test_dimensions_are_in_alphabetical_order_as_series_are_compared_by_them(metric: Metric) -> None:
    assert metric.dimensions == tuple(sorted(metric.dimensions))


def test_what_a_series_measures_is_a_resource_of_the_metadata_and_a_dimension_of_its_metrics() -> None:
    types = {operation.resource_type for operation in OPERATIONS}
    dimensions = {(metric.namespace, name) for metric in METRICS for name in metric.dimensions}

    assert {one.resource_type for places in MEASURED.values() for one in places} <= types
    lacking = {(namespace, one.dimension) for namespace, places in MEASURED.items() for one in places} - dimensions
    assert lacking == set()
