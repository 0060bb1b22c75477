"""Which series are asked for, in how few requests, up to when; whose they are; and what a collection leaves alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.catalog.metrics import DAY_SECONDS, MOST_DATAPOINTS, MOST_QUERIES, Metric
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.metrics import (
    Window,
    fewest_requests,
    kept_period,
    listed,
    plan,
    requests,
    settled_until,
    windows,
    with_observed,
    with_resources,
)
from kentik_dagster.core.schemas import no_rows, polars_schema

HOUR = datetime(2026, 11, 23, 9, tzinfo=UTC)
WINDOW = Window(HOUR, HOUR + timedelta(hours=1))
LATER = HOUR + timedelta(hours=3)
CPU = Metric("AWS/EC2", "CPUUtilization", ("InstanceId",), ("Average", "Maximum"), "Percent", 300)
BYTES_OUT = Metric("AWS/NATGateway", "BytesOutToSource", ("NatGatewayId",), ("Sum",), "Bytes", 60)
SIZE = Metric("AWS/S3", "BucketSizeBytes", ("BucketName", "StorageType"), ("Average",), "Bytes", DAY_SECONDS)
ATTACHED = Metric(
    "AWS/TransitGateway", "BytesIn", ("TransitGateway", "TransitGatewayAttachment"), ("Sum",), "Bytes", 60
)
OWNER, SHARER = "222233334444", "111122223333"
SERIES = polars_schema(TABLES["metric_series"])


def series(metric: Metric, *values: str, account_id: str = "111122223333") -> pl.DataFrame:
    """A series of the metric as `metric_listings` has it."""
    dimensions = [{"Name": name, "Value": value} for name, value in zip(metric.dimensions, values, strict=True)]
    aws = [{"Namespace": metric.namespace, "MetricName": metric.name, "Dimensions": dimensions}]
    found = listed(aws, [metric], account_id=account_id, region="eu-west-1", namespace=metric.namespace)
    return found.with_columns(listed_at=pl.lit(LATER).cast(pl.Datetime("us", time_zone="UTC")))


# --- which --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dimensions", [{}, {"AutoScalingGroupName": "web"}, {"ImageId": "ami-1", "InstanceId": "i-1"}, None]
)
def test_aggregates_would_count_twice_and_are_left_out(dimensions: dict[str, str] | None) -> None:
    pairs = None if dimensions is None else [{"Name": name, "Value": value} for name, value in dimensions.items()]
    aws = [{"Namespace": "AWS/EC2", "MetricName": "CPUUtilization", "Dimensions": pairs}]

    assert listed(aws, [CPU], account_id="1", region="eu-west-1", namespace="AWS/EC2").is_empty()


def test_a_series_that_aws_lists_twice_and_in_another_order_is_one() -> None:
    pairs = [{"Name": "StorageType", "Value": "GlacierStorage"}, {"Name": "BucketName", "Value": "logs"}]
    aws = [
        {"Namespace": "AWS/S3", "MetricName": "BucketSizeBytes", "Dimensions": some} for some in (pairs, pairs[::-1])
    ]

    found = listed(aws, [SIZE], account_id="1", region="eu-west-1", namespace="AWS/S3")

    assert found["dimensions"].to_list() == [{"BucketName": "logs", "StorageType": "GlacierStorage"}]


def test_a_series_is_asked_for_once_for_each_statistic() -> None:
    asked = plan(pl.concat([series(CPU, "i-1"), series(CPU, "i-2")]), [CPU, BYTES_OUT], WINDOW, LATER)

    assert asked.select("statistic", "period_seconds").rows() == [("Average", 300), ("Maximum", 300)] * 2


def test_a_series_that_was_last_listed_before_the_window_is_not_asked_for() -> None:
    ended = series(CPU, "i-1").with_columns(listed_at=pl.lit(HOUR - timedelta(seconds=1)).dt.cast_time_unit("us"))

    assert plan(ended, [CPU], WINDOW, LATER).is_empty()
    assert plan(ended, [CPU], Window(HOUR - timedelta(hours=1), HOUR), LATER).height == 2


@pytest.mark.parametrize(
    ("period", "days", "kept"),
    [
        *((60, 0, 60), (60, 15, 60), (60, 16, 300), (60, 63, 300), (300, 64, 3600), (3600, 455, 3600)),
        *((60, 456, None), (DAY_SECONDS, 100, DAY_SECONDS), (420, 20, 600)),
    ],
)
def test_the_finest_period_is_asked_for_that_cloudwatch_still_keeps(period: int, days: int, kept: int | None) -> None:
    assert kept_period(period, timedelta(days=days)) == kept


# --- whose --------------------------------------------------------------------------------------------------------


def resources(*rows: dict[str, Any]) -> pl.DataFrame:
    """Rows of `metadata_changes`."""
    usual = {"account_id": SHARER, "region": "eu-west-1", "change": "added", "observed_at": HOUR - timedelta(days=9)}
    schema = polars_schema(TABLES["metadata_changes"])
    return pl.DataFrame([usual | row for row in rows], schema=schema)


def test_a_series_of_a_resource_that_was_gone_before_the_window_is_not_asked_for() -> None:
    asked = plan(
        pl.concat([series(CPU, f"i-{name}") for name in ("here", "gone", "going", "new")]), [CPU], WINDOW, LATER
    )
    known = resources(
        {"resource_type": "instance", "resource_id": "i-here"},
        {"resource_type": "instance", "resource_id": "i-gone"},
        {"resource_type": "instance", "resource_id": "i-gone", "change": "removed", "observed_at": HOUR},
        {"resource_type": "instance", "resource_id": "i-going"},
        {
            "resource_type": "instance",
            "resource_id": "i-going",
            "change": "removed",
            "observed_at": HOUR + timedelta(minutes=1),
        },
    )

    named = with_resources(asked, known, WINDOW)

    assert set(named.select("resource_type", "resource_id").rows()) == {
        ("instance", "i-here"),
        ("instance", "i-going"),
        ("instance", "i-new"),
    }


def test_a_load_balancer_is_named_as_metadata_names_it() -> None:
    requests_metric = Metric("AWS/ApplicationELB", "RequestCount", ("LoadBalancer",), ("Sum",), "Count", 60)
    arn = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/app/web/50dc6c495c0c9188"
    asked = plan(series(requests_metric, "app/web/50dc6c495c0c9188"), [requests_metric], WINDOW, LATER)

    named = with_resources(asked, resources({"resource_type": "load_balancer", "resource_id": arn}), WINDOW)

    assert named.select("resource_type", "resource_id").rows() == [("load_balancer", arn)]


def test_a_series_of_what_metadata_has_not_is_of_no_resource() -> None:
    asked = plan(
        series(SIZE, "logs", "StandardStorage"), [SIZE], Window(HOUR, LATER, is_daily=True), HOUR + timedelta(days=2)
    )

    assert with_resources(asked, resources(), WINDOW).select("resource_type", "resource_id").rows() == [(None, None)]


def test_an_attachment_that_two_accounts_see_counts_in_its_owners() -> None:
    both = [series(ATTACHED, "tgw-1", "tgw-attach-1", account_id=account) for account in (SHARER, OWNER)]
    asked = plan(pl.concat(both), [ATTACHED], WINDOW, LATER)
    attachment = {"resource_type": "transit_gateway_attachment", "resource_id": "tgw-attach-1"}
    known = resources(
        attachment | {"owner_account_id": OWNER}, attachment | {"account_id": OWNER, "owner_account_id": OWNER}
    )

    assert with_resources(asked, known, WINDOW)["account_id"].to_list() == [OWNER]
    assert with_resources(asked, resources(), WINDOW)["account_id"].to_list() == [SHARER]


# --- in which requests --------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 100), max_size=60, unique=True))
def test_windows_hold_every_hour_once_and_three_in_a_row_at_the_most(numbers: Sequence[int]) -> None:
    hours = [HOUR + timedelta(hours=number) for number in numbers]

    made = list(windows(hours))

    plain = [window for window in made if not window.is_daily]
    assert sorted(hour for window in plain for hour in window.hours) == sorted(hours)
    assert all(window.end - window.start <= timedelta(hours=3) for window in plain)
    assert [window.start for window in made if window.is_daily] == sorted(hour for hour in hours if hour.hour == 0)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1_300), st.integers(0, 1_300), st.integers(1, 3))
def test_requests_hold_every_query_once_within_the_limits_and_are_as_few_as_can_be(
    fine: int, coarse: int, hours: int
) -> None:
    window = Window(HOUR, HOUR + timedelta(hours=hours))
    periods = pl.Series("period_seconds", [60] * fine + [300] * coarse, dtype=pl.Int32)
    asked = pl.DataFrame(
        {"account_id": ["1"] * len(periods), "region": ["x"] * len(periods), "period_seconds": periods}
    )

    packed = list(requests(asked.with_row_index("query"), window))

    numbers = [query for request in packed for query in request["query"]]
    assert numbers == list(range(fine + coarse))
    for request in packed:
        assert request.height <= MOST_QUERIES
        assert (hours * 3_600 // request["period_seconds"]).sum() <= MOST_DATAPOINTS
    assert len(packed) == -(-(fine + coarse) // MOST_QUERIES) == fewest_requests(asked)


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
    until = settled_until(WINDOW, period_seconds, datetime.fromisoformat(f"2026-11-23T{now}+00:00"))

    assert until == datetime.fromisoformat(f"2026-11-23T{settled}:00+00:00")


# --- what stays ---------------------------------------------------------------------------------------------------

_minutes = st.integers(0, 11).map(lambda number: 5 * number)


def points(period: int, *at: int, series_id: str = "nat-1", value: float = 1.0) -> pl.DataFrame:
    """Datapoints of a NAT gateway at some minutes of the hour."""
    rows = [
        {
            "account_id": "1", "region": "eu-west-1", "namespace": "AWS/NATGateway", "metric_name": "BytesOutToSource",
            "dimensions": {"NatGatewayId": series_id}, "statistic": "Sum", "period_seconds": period,
            "timestamp": HOUR + timedelta(minutes=minute), "value": value, "unit": "Bytes", "hour": "2026-11-23T09",
        }
        for minute in at
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=SERIES)


def observed(period: int, *names: str) -> pl.DataFrame:
    return pl.concat([points(period, 0, series_id=name) for name in names] or [points(period)])


def test_series_that_were_observed_are_replaced_and_others_stay() -> None:
    there = pl.concat([points(60, 0, 1, series_id="nat-1"), points(60, 0, series_id="nat-2")])

    merged = with_observed(there, points(60, 1, value=2.0), observed(60, "nat-1"))

    assert sorted(merged.select("timestamp", "value").rows()) == [(HOUR, 1.0), (HOUR + timedelta(minutes=1), 2.0)]


@pytest.mark.parametrize("names", [(), ("nat-1",)])
def test_nothing_and_nothing_is_a_table_without_rows(names: tuple[str, ...]) -> None:
    merged = with_observed(no_rows(TABLES["metric_series"]), points(60), observed(60, *names))

    assert merged.is_empty()
    assert merged.schema == SERIES


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from(["nat-1", "nat-2"]), st.sampled_from([60, 300]), st.sets(_minutes)), max_size=6)
)
def test_no_two_rows_are_the_same_datapoint_and_collecting_again_changes_nothing(
    collections: list[tuple[str, int, set[int]]],
) -> None:
    there = no_rows(TABLES["metric_series"])
    for number, (name, period, minutes) in enumerate(collections):
        new = points(period, *sorted(minutes), series_id=name, value=float(number))
        merged = with_observed(there, new, observed(period, name))

        assert not merged.select(pl.struct(*[one for one in SERIES.names() if one != "value"])).is_duplicated().any()
        again = with_observed(merged, new, observed(period, name))
        assert sorted(again.rows(), key=repr) == sorted(merged.rows(), key=repr)
        there = merged
