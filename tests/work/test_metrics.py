"""Hours of CloudWatch datapoints: everything of the catalog, gaps that fill, late words, and partial failure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.catalog.metric_list import METRICS, NAMESPACES
from kentik_dagster.catalog.metrics import ALSO_CALLED, DAY_SECONDS, HOME_REGIONS, Metric
from kentik_dagster.lake.tables import Lake
from kentik_dagster.work.metrics import Plan, WindowCollected, collect, planned
from tests.fake_aws import FakeAws
from tests.fake_aws.cloudwatch import CloudWatch, Series, series
from tests.work.snapshots import ELSEWHERE, HOME, PRIMARY, SECOND, access, fake_aws

NINE = datetime(2026, 11, 23, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
NETWORK_IN = Metric("AWS/EC2", "NetworkIn", ("InstanceId",), ("Sum",), "Bytes", 300)
CPU = Metric("AWS/EC2", "CPUUtilization", ("InstanceId",), ("Average", "Maximum"), "Percent", 300)
BYTES_OUT = Metric("AWS/NATGateway", "BytesOutToSource", ("NatGatewayId",), ("Sum",), "Bytes", 60)
FEW = (NETWORK_IN, CPU, BYTES_OUT)
INSTANCE = series("AWS/EC2", "NetworkIn", InstanceId="i-1")
INSTANCE_CPU = series("AWS/EC2", "CPUUtilization", InstanceId="i-1")
GATEWAY = series("AWS/NATGateway", "BytesOutToSource", NatGatewayId="nat-1")
THREE = (INSTANCE, INSTANCE_CPU, GATEWAY)
IDENTITY = [
    "account_id", "region", "namespace", "metric_name", "dimensions", "statistic", "period_seconds", "timestamp",
]  # fmt: skip


@dataclass
class Collector:
    """Runs of `metric_series`; the clock stands."""

    lake: Lake
    accounts: Sequence[str] = (PRIMARY,)
    regions: tuple[str, ...] = (HOME,)
    metrics: Sequence[Metric] = FEW
    now: datetime = NINE + 2 * HOUR
    results: list[WindowCollected] = field(default_factory=list)
    reached: dict[tuple[str, ...], ExportAccess] = field(default_factory=dict)

    def run(self, *hours: datetime, daily_only: bool = False) -> Plan:
        if self.regions not in self.reached:
            self.reached[self.regions] = access(regions_used=self.regions)
        accounts = dict.fromkeys(self.accounts, self.reached[self.regions])
        made = planned(accounts, self.lake, hours, self.metrics, clock=lambda: self.now, daily_only=daily_only)
        self.results = list(collect(made, accounts, self.lake, clock=lambda: self.now))
        return made

    def give_up_at_once(self) -> None:
        """What AWS throttles is not asked for again, which takes botocore half a minute."""
        client = self.reached[self.regions].account(self.accounts[0]).client("cloudwatch", self.regions[0])
        client.meta.events.unregister("needs-retry.cloudwatch", unique_id="retry-config-cloudwatch")

    @property
    def rows(self) -> pl.DataFrame:
        rows = self.lake["metric_series"].read()
        return rows.sort([*(name for name in IDENTITY if name != "dimensions"), "resource_id"], nulls_last=True)

    @property
    def failed(self) -> list[tuple[str, str, str]]:
        calls = self.lake["metadata_calls"].read().filter(pl.col("outcome") != "observed").sort(pl.all())
        return calls.select("account_id", "region", "operation").rows()


@pytest.fixture
def fake() -> Iterator[FakeAws]:
    with fake_aws() as fake:
        yield fake


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return Collector(Lake(str(tmp_path / "lake")))


# What is collected


def _series_of(metric: Metric, namespace: str | None = None) -> Series:
    return namespace or metric.namespace, metric.name, tuple((name, f"{name}-1") for name in metric.dimensions)


def test_every_metric_of_the_catalog_is_collected_with_every_statistic_where_it_lives(
    fake: FakeAws, collector: Collector
) -> None:
    at_home = [_series_of(metric) for metric in METRICS if metric.namespace not in HOME_REGIONS]
    CloudWatch(at_home).serve(fake, PRIMARY, ELSEWHERE)
    for region in ("us-east-1", "us-west-2"):
        there = [one for one, home in HOME_REGIONS.items() if home["aws"] == region]
        CloudWatch([_series_of(metric) for metric in METRICS if metric.namespace in there]).serve(fake, PRIMARY, region)
    collector.metrics, collector.regions = METRICS, (ELSEWHERE,)
    midnight = NINE.replace(hour=0)
    collector.now = midnight + timedelta(days=2)

    collector.run(midnight)

    found = collector.rows.group_by("namespace", "metric_name", "statistic", "period_seconds", "unit").len()
    assert set(found.rows()) == {
        (metric.namespace, metric.name, statistic, metric.period_seconds, metric.unit,
         1 if metric.period_seconds == DAY_SECONDS else 3_600 // metric.period_seconds)
        for metric in METRICS
        for statistic in metric.statistics
    }  # fmt: skip
    regions = dict(collector.rows.select("namespace", "region").unique().rows())
    assert regions == {name: HOME_REGIONS.get(name, {}).get("aws", ELSEWHERE) for name in NAMESPACES}


def test_a_namespace_that_aws_writes_in_two_ways_is_found_under_both_and_kept_under_one(
    fake: FakeAws, collector: Collector
) -> None:
    metric = next(metric for metric in METRICS if metric.namespace == "AWS/NetworkManager")
    other = ALSO_CALLED["AWS/NetworkManager"][0]
    CloudWatch([_series_of(metric, other)]).serve(fake, PRIMARY, "us-west-2")
    collector.metrics = (metric,)

    collector.run(NINE)

    assert collector.rows["namespace"].unique().to_list() == ["AWS/NetworkManager"]
    assert collector.rows.height == 60


def test_series_with_other_dimensions_are_not_asked_for(fake: FakeAws, collector: Collector) -> None:
    group = series("AWS/EC2", "CPUUtilization", AutoScalingGroupName="web")
    cloudwatch = CloudWatch([INSTANCE_CPU, group, ("AWS/EC2", "CPUUtilization", ())]).serve(fake)

    made = collector.run(NINE)

    assert made.queries == 2
    assert cloudwatch.queried == [2]


def test_lists_of_many_pages_and_empty_ones_are_read_to_the_end(fake: FakeAws, collector: Collector) -> None:
    fake.page_size, fake.empty_pages = 7, True
    many = [series("AWS/NATGateway", "BytesOutToSource", NatGatewayId=f"nat-{number}") for number in range(40)]
    CloudWatch(many).serve(fake)

    collector.run(NINE)

    assert collector.rows["resource_id"].n_unique() == 40
    assert collector.rows.height == 40 * 60


def test_series_are_listed_once_an_hour(fake: FakeAws, collector: Collector) -> None:
    CloudWatch(THREE).serve(fake)
    listing = (PRIMARY, HOME, "cloudwatch", "ListMetrics")

    collector.run(NINE)
    first = fake.requests[listing]
    collector.now += timedelta(minutes=59)
    collector.run(NINE)
    second = fake.requests[listing]
    collector.now += timedelta(minutes=2)
    collector.run(NINE)

    assert first == second == len({metric.namespace for metric in FEW})
    assert fake.requests[listing] == 2 * first


# Gaps, late words, old hours


def test_an_outage_of_six_hours_and_one_backfill_give_the_table_of_an_undisturbed_run(
    fake: FakeAws, tmp_path: Path
) -> None:
    CloudWatch(THREE).serve(fake)
    undisturbed = Collector(Lake(str(tmp_path / "undisturbed")))
    disturbed = Collector(Lake(str(tmp_path / "disturbed")))
    for minutes in range(0, 10 * 60, 30):
        now = NINE + timedelta(minutes=minutes)
        hours = [now.replace(minute=0) - HOUR, now.replace(minute=0)]
        for collector in (undisturbed, disturbed):
            if collector is undisturbed or not 2 <= minutes / 60 < 8:
                collector.now = now
                collector.run(*hours)
    lacking = undisturbed.rows.height - disturbed.rows.height

    disturbed.run(*(NINE + number * HOUR for number in range(-1, 9)))

    assert lacking >= 4 * 3 * 12
    assert_frame_equal(disturbed.rows, undisturbed.rows)


def test_the_same_run_again_writes_nothing(fake: FakeAws, collector: Collector) -> None:
    CloudWatch(THREE).serve(fake)
    collector.run(NINE, NINE + HOUR)
    version = collector.lake["metric_series"].open().version

    collector.run(NINE, NINE + HOUR)

    assert collector.lake["metric_series"].open().version == version


def test_datapoints_that_come_late_or_change_are_taken(fake: FakeAws, collector: Collector) -> None:
    cloudwatch = CloudWatch([GATEWAY]).serve(fake)
    late, changing = NINE + timedelta(minutes=50), NINE + timedelta(minutes=10)
    cloudwatch.silent = lambda _series, at: at >= late
    collector.now = NINE + HOUR
    collector.run(NINE)
    early = collector.rows

    cloudwatch.silent = lambda _series, at: False
    cloudwatch.changed[changing] = 1_000_000.0
    collector.now = NINE + timedelta(minutes=75)
    collector.run(NINE, NINE + HOUR)

    rows = collector.rows.filter(pl.col("hour") == "2026-11-23T09")
    assert early.height == 50
    assert rows.height == 60
    assert rows.filter(pl.col("timestamp") == changing)["value"][0] > 1_000_000


def test_periods_that_are_open_are_not_taken(fake: FakeAws, collector: Collector) -> None:
    CloudWatch(THREE).serve(fake)
    collector.now = NINE + timedelta(minutes=31, seconds=30)

    collector.run(NINE)

    last = collector.rows.group_by("period_seconds").agg(pl.col("timestamp").max()).sort("period_seconds")
    assert last["timestamp"].to_list() == [NINE + timedelta(minutes=28), NINE + timedelta(minutes=15)]


def test_of_an_old_hour_what_cloudwatch_still_keeps_is_asked_for(fake: FakeAws, collector: Collector) -> None:
    cloudwatch = CloudWatch([GATEWAY]).serve(fake)
    cloudwatch.now = lambda: collector.now
    collector.run(NINE)
    collector.metrics = (BYTES_OUT,)
    periods = {}
    for days in (14, 20, 100, 500):
        hour = NINE - timedelta(days=days)
        collector.run(hour)
        rows = collector.lake["metric_series"].read({"hour": f"{hour:%Y-%m-%dT%H}"})
        periods[days] = rows["period_seconds"].unique().to_list(), rows.height

    assert periods == {14: ([60], 60), 20: ([300], 12), 100: ([3600], 1), 500: ([], 0)}


def test_finer_datapoints_stay_and_coarser_ones_fill_their_gaps(fake: FakeAws, collector: Collector) -> None:
    cloudwatch = CloudWatch([GATEWAY]).serve(fake)
    cloudwatch.now = lambda: collector.now
    half = NINE + timedelta(minutes=30)
    cloudwatch.silent = lambda _series, at: at >= half
    collector.run(NINE)

    cloudwatch.silent = lambda _series, at: False
    collector.now = NINE + timedelta(days=20)
    collector.run(NINE)

    counts = collector.rows.group_by("period_seconds").agg(pl.len(), pl.col("timestamp").min()).sort("period_seconds")
    assert counts.rows() == [(60, 30, NINE), (300, 6, half)]


def test_whole_days_are_taken_once_they_are_over(fake: FakeAws, collector: Collector) -> None:
    daily = next(metric for metric in METRICS if metric.name == "BucketSizeBytes")
    CloudWatch([_series_of(daily), GATEWAY]).serve(fake)
    collector.metrics = (daily, BYTES_OUT)
    midnight = NINE.replace(hour=0)

    collector.now = midnight + timedelta(hours=23)
    collector.run(midnight, daily_only=True)
    during = collector.rows.height
    collector.now = midnight + timedelta(days=1)
    collector.run(midnight, midnight + HOUR, daily_only=True)

    assert during == 0
    assert collector.rows.select("metric_name", "timestamp", "period_seconds").rows() == [
        ("BucketSizeBytes", midnight, DAY_SECONDS)
    ]


# Partial failure


def test_a_denied_account_a_denied_region_and_a_failing_namespace_keep_the_others(
    fake: FakeAws, collector: Collector
) -> None:
    CloudWatch(THREE).serve(fake)
    third = "333344445555"
    collector.accounts, collector.regions = (PRIMARY, SECOND, third), (HOME, ELSEWHERE)
    collector.run(NINE)
    before = collector.rows

    fake.deny(SECOND, service="cloudwatch")
    fake.deny(PRIMARY, ELSEWHERE, "cloudwatch")
    fake.fail(third, HOME, "cloudwatch", "ListMetrics", "ValidationError", status=400, when={"Namespace": "AWS/EC2"})
    collector.now += 2 * HOUR
    collector.run(NINE, NINE + HOUR)

    added = collector.rows.filter(pl.col("hour") == "2026-11-23T10")
    assert collector.rows.filter(pl.col("hour") == "2026-11-23T09").equals(before)
    assert sorted(added.select("account_id", "region", "namespace").unique().rows()) == [
        (PRIMARY, HOME, "AWS/EC2"),
        (PRIMARY, HOME, "AWS/NATGateway"),
        (third, ELSEWHERE, "AWS/EC2"),
        (third, ELSEWHERE, "AWS/NATGateway"),
        (third, HOME, "AWS/EC2"),  # as it was listed before
        (third, HOME, "AWS/NATGateway"),
    ]
    denied = ((SECOND, HOME), (SECOND, ELSEWHERE), (PRIMARY, ELSEWHERE))
    assert collector.failed == sorted(
        [
            *(
                (*place, f"{operation} {namespace}")
                for place in denied
                for operation in ("list_metrics", "get_metric_statistics")
                for namespace in ("AWS/EC2", "AWS/NATGateway")
            ),
            (third, HOME, "list_metrics AWS/EC2"),
        ]
    )


def test_what_is_denied_altogether_is_asked_for_once(fake: FakeAws, collector: Collector) -> None:
    CloudWatch([series("AWS/EC2", "NetworkIn", InstanceId=f"i-{number}") for number in range(600)]).serve(fake)
    fake.deny(service="cloudwatch", operation="GetMetricData")
    fake.deny(service="cloudwatch", operation="GetMetricStatistics")

    collector.run(NINE)

    asked = {key[3]: count for key, count in fake.requests.items() if key[2] == "cloudwatch"}
    assert (asked["GetMetricData"], asked["GetMetricStatistics"]) == (1, 1)
    assert collector.failed == [(PRIMARY, HOME, "get_metric_statistics AWS/EC2")]


def test_a_throttled_namespace_lands_late_and_a_namespace_that_stays_throttled_takes_no_other_with_it(
    fake: FakeAws, collector: Collector
) -> None:
    CloudWatch(THREE).serve(fake)
    first = fake.throttle(service="cloudwatch", operation="ListMetrics", when={"Namespace": "AWS/EC2"}, times=1)
    collector.metrics = (NETWORK_IN,)
    collector.run(NINE)
    landed = collector.rows["namespace"].unique().to_list()
    collector.metrics = FEW
    collector.give_up_at_once()
    throttled = fake.throttle(service="cloudwatch", operation="ListMetrics", when={"Namespace": "AWS/NATGateway"})

    collector.run(NINE)
    one = collector.rows["namespace"].unique().to_list()
    said = collector.lake["metadata_calls"].read().filter(pl.col("outcome") != "observed")
    throttled.lift()
    collector.run(NINE)

    assert first.fired == 1
    assert landed == one == ["AWS/EC2"]
    assert said.select("operation", "outcome", "error_code").rows() == [
        ("list_metrics AWS/NATGateway", "unavailable", "ThrottlingException")
    ]
    assert sorted(collector.rows["namespace"].unique()) == ["AWS/EC2", "AWS/NATGateway"]
    assert collector.failed == []


def test_where_get_metric_data_is_denied_get_metric_statistics_gives_the_same_rows(
    fake: FakeAws, tmp_path: Path
) -> None:
    latency = Metric("AWS/ELB", "Latency", ("LoadBalancerName",), ("Average", "p99"), "Seconds", 60)
    CloudWatch([*THREE, series("AWS/ELB", "Latency", LoadBalancerName="web")]).serve(fake)
    usual = Collector(Lake(str(tmp_path / "usual")), metrics=(*FEW, latency))
    fallback = Collector(Lake(str(tmp_path / "fallback")), metrics=(*FEW, latency))
    usual.run(NINE)

    fake.deny(service="cloudwatch", operation="GetMetricData")
    fallback.run(NINE)

    assert_frame_equal(fallback.rows, usual.rows)
    assert usual.rows.height == 12 * 3 + 60 * 3
    assert fallback.failed == []


def test_a_series_that_is_answered_in_part_keeps_what_was_there_and_says_so(
    fake: FakeAws, collector: Collector
) -> None:
    cloudwatch = CloudWatch(THREE).serve(fake)
    collector.run(NINE)
    before = collector.rows

    cloudwatch.partial = {GATEWAY}
    cloudwatch.changed = {NINE: 5_000.0}
    collector.run(NINE)

    changed = collector.rows.join(before, on=[*IDENTITY, "value"], how="anti")
    assert changed["namespace"].unique().to_list() == ["AWS/EC2"]
    assert collector.rows.filter(pl.col("namespace") == "AWS/NATGateway").height == 60
    assert collector.failed == [(PRIMARY, HOME, "get_metric_data AWS/NATGateway")]


def test_a_request_that_fails_for_one_namespace_is_asked_again_namespace_by_namespace(
    fake: FakeAws, collector: Collector
) -> None:
    cloudwatch = CloudWatch(THREE).serve(fake)
    answer = cloudwatch._data

    def refuses(parameters: dict[str, object]) -> object:
        from tests.fake_aws import RefusedError

        if "AWS/NATGateway" in repr(parameters["MetricDataQueries"]):
            raise RefusedError("ValidationError", "not this one")
        return answer(parameters)

    fake.answers(None, None, "cloudwatch", "GetMetricData", refuses)  # type: ignore[arg-type]

    collector.run(NINE)

    assert collector.rows["namespace"].unique().to_list() == ["AWS/EC2"]
    assert collector.failed == [(PRIMARY, HOME, "get_metric_data AWS/NATGateway")]


def test_a_series_that_is_listed_no_more_keeps_its_rows_and_is_asked_for_in_its_own_time_only(
    fake: FakeAws, collector: Collector
) -> None:
    cloudwatch = CloudWatch(THREE).serve(fake)
    collector.run(NINE)

    cloudwatch.series = [INSTANCE, INSTANCE_CPU]
    collector.now += timedelta(days=1)
    live = collector.run(collector.now - HOUR)
    back = collector.run(NINE)

    assert live.queries == 3
    assert back.queries == 4
    assert set(collector.rows.filter(pl.col("timestamp") < NINE + HOUR)["namespace"]) == {"AWS/EC2"}


# How much is asked


def test_requests_are_as_few_as_the_limits_allow_and_rows_are_told_apart(fake: FakeAws, collector: Collector) -> None:
    counts = {(PRIMARY, HOME): 501, (PRIMARY, ELSEWHERE): 499, (SECOND, HOME): 1_001, (SECOND, ELSEWHERE): 0}
    served = {}
    for (account_id, region), count in counts.items():
        gateways = [series("AWS/NATGateway", "BytesOutToSource", NatGatewayId=f"nat-{one}") for one in range(count)]
        served[account_id, region] = CloudWatch(gateways).serve(fake, account_id, region)
    collector.accounts, collector.regions = (PRIMARY, SECOND), (HOME, ELSEWHERE)
    collector.metrics = (replace(BYTES_OUT, period_seconds=300),)

    made = collector.run(NINE)

    sent = {place: len(cloudwatch.queried) for place, cloudwatch in served.items()}
    assert sent == {place: -(-count // 500) for place, count in counts.items()}
    assert made.requests == sum(sent.values()) == sum(result.requests for result in collector.results)
    assert made.queries == sum(counts.values()) == sum(result.requested for result in collector.results)
    assert collector.rows.height == 12 * sum(counts.values())
    assert not collector.rows.select(IDENTITY).is_duplicated().any()
