"""Which series are asked for, in how few requests, up to when; and what a failed collection leaves alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.catalog.metrics import METRICS, Metric
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.metrics import (
    IDENTITY,
    MOST_DATAPOINTS,
    MOST_QUERIES,
    Query,
    queries,
    requests,
    settled_until,
    with_observed,
)
from kentik_dagster.core.schemas import no_rows, polars_schema

HOUR = datetime(2026, 11, 23, 9, tzinfo=UTC)
NETWORK_IN = Metric("AWS/EC2", "NetworkIn", "InstanceId", ("Sum",), "Bytes", 300)
CPU = Metric("AWS/EC2", "CPUUtilization", "InstanceId", ("Average", "Maximum"), "Percent", 300)
BYTES_OUT = Metric("AWS/NATGateway", "BytesOutToSource", "NatGatewayId", ("Sum",), "Bytes", 60)


def series(metric: Metric, **dimensions: str) -> dict[str, Any]:
    """A series as ListMetrics gives it."""
    listed = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    return {"Namespace": metric.namespace, "MetricName": metric.name, "Dimensions": listed}


# --- which --------------------------------------------------------------------------------------------------------


def test_a_listed_series_is_asked_for_once_for_each_statistic() -> None:
    listed = [series(CPU, InstanceId="i-1"), series(CPU, InstanceId="i-2"), series(CPU, InstanceId="i-1")]

    assert queries(listed, [NETWORK_IN, CPU]) == [
        Query(CPU, "i-1", "Average"),
        Query(CPU, "i-1", "Maximum"),
        Query(CPU, "i-2", "Average"),
        Query(CPU, "i-2", "Maximum"),
    ]


@pytest.mark.parametrize(
    "listed",
    [
        series(CPU, AutoScalingGroupName="web"),
        series(CPU, InstanceId="i-1", ImageId="ami-1"),
        series(CPU),
        {"Namespace": "AWS/EC2", "MetricName": "CPUUtilization"},
        series(NETWORK_IN, InstanceId="i-1"),
        series(BYTES_OUT, InstanceId="i-1"),
    ],
)
def test_aggregates_and_series_that_nobody_wants_would_count_twice_and_are_left_out(listed: dict[str, Any]) -> None:
    assert queries([listed], [CPU, BYTES_OUT]) == []


def test_every_metric_of_the_catalog_is_asked_for_by_its_own_dimension() -> None:
    asked = queries([series(metric, **{metric.dimension: "x"}) for metric in METRICS], METRICS)

    assert len(asked) == sum(len(metric.statistics) for metric in METRICS)


# --- in which requests --------------------------------------------------------------------------------------------

_counts = st.fixed_dictionaries({metric: st.integers(0, 1_300) for metric in (NETWORK_IN, CPU, BYTES_OUT)})


@settings(deadline=None, max_examples=60)
@given(_counts, st.integers(1, 5_000))
def test_requests_hold_every_query_once_within_the_limits_and_are_as_few_as_can_be(
    counts: Mapping[Metric, int], minutes: int
) -> None:
    window = timedelta(minutes=minutes)
    asked = [Query(metric, f"x-{number}", "Sum") for metric, count in counts.items() for number in range(count)]

    packed = list(requests(asked, window))

    assert sorted((query for request in packed for query in request), key=repr) == sorted(asked, key=repr)
    for request in packed:
        (period,) = {query.metric.period_seconds for query in request}
        assert 0 < len(request) <= MOST_QUERIES
        assert len(request) * -(-minutes * 60 // period) <= MOST_DATAPOINTS
    least = 0
    for period in (60, 300):
        same = sum(count for metric, count in counts.items() if metric.period_seconds == period)
        least += -(-same // min(MOST_QUERIES, MOST_DATAPOINTS // -(-minutes * 60 // period)))
    assert len(packed) == least


def test_a_series_that_fills_a_request_by_itself_is_still_asked_for() -> None:
    packed = list(requests([Query(BYTES_OUT, "nat-1", "Sum"), Query(BYTES_OUT, "nat-2", "Sum")], timedelta(days=365)))

    assert [len(request) for request in packed] == [1, 1]


# --- up to when ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("period_seconds", "now", "settled"),
    [
        (60, "09:00:00", "09:00"),
        (60, "09:02:59", "09:00"),
        (60, "09:03:00", "09:01"),
        (60, "09:30:30", "09:28"),
        (300, "09:14:59", "09:00"),
        (300, "09:15:00", "09:05"),
        (60, "10:01:59", "09:59"),
        (60, "10:02:00", "10:00"),
        (60, "23:00:00", "10:00"),
        (60, "08:00:00", "09:00"),
    ],
)
def test_datapoints_count_once_two_periods_have_passed(period_seconds: int, now: str, settled: str) -> None:
    until = settled_until(HOUR, period_seconds, datetime.fromisoformat(f"2026-11-23T{now}+00:00"))

    assert until == datetime.fromisoformat(f"2026-11-23T{settled}:00+00:00")


# --- what stays ---------------------------------------------------------------------------------------------------

SERIES = polars_schema(TABLES["metric_series"])


def rows(value: float, *scopes: tuple[str, str, str]) -> pl.DataFrame:
    """One datapoint in each scope of account, region and namespace."""
    return pl.DataFrame([dict(zip(IDENTITY, scope, strict=True)) | {"value": value} for scope in scopes], schema=SERIES)


def scopes(*observed: tuple[str, str, str]) -> pl.DataFrame:
    return pl.DataFrame(observed, schema=dict.fromkeys(IDENTITY, pl.String), orient="row")


HERE, ELSEWHERE = ("111122223333", "eu-west-1", "AWS/EC2"), ("111122223333", "us-east-1", "AWS/EC2")


def test_what_was_observed_is_replaced_and_what_was_denied_stays() -> None:
    merged = with_observed(rows(1.0, HERE, ELSEWHERE), rows(2.0, HERE), scopes(HERE))

    assert sorted(merged.select("region", "value").rows()) == [("eu-west-1", 2.0), ("us-east-1", 1.0)]


def test_what_was_observed_without_datapoints_goes() -> None:
    merged = with_observed(rows(1.0, HERE, ELSEWHERE), rows(0.0), scopes(HERE))

    assert merged["region"].to_list() == ["us-east-1"]


@pytest.mark.parametrize("observed", [(), (HERE,)])
def test_nothing_and_nothing_is_a_table_without_rows(observed: tuple[tuple[str, str, str], ...]) -> None:
    merged = with_observed(no_rows(TABLES["metric_series"]), no_rows(TABLES["metric_series"]), scopes(*observed))

    assert merged.is_empty()
    assert merged.schema == SERIES
