"""What is asked of CloudWatch for a window of hours: which series, as finely as it keeps them, in how many requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from kentik_dagster.catalog.metrics import (
    DAY_SECONDS,
    MEASURED,
    MOST_DATAPOINTS,
    MOST_QUERIES,
    RETENTION,
    Metric,
)
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.schemas import no_rows, polars_schema, require

_SERIES = polars_schema(TABLES["metric_series"])
_LISTINGS = polars_schema(TABLES["metric_listings"])
SCOPE = ("account_id", "region", "namespace")
# What tells series and their statistics apart.
_KEY = [*SCOPE, "metric_name", "dimensions", "statistic"]
# Up to so many hours are asked for at once: a metric costs the same for all of them as for one, and up to here it is
# the number of queries that fills a request, not the number of datapoints.
WINDOW_HOURS = 3
_OWNED = pl.col("namespace") == "AWS/TransitGateway"


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time that is asked for at once, [start, end), and whether for daily datapoints or for all others."""

    start: datetime
    end: datetime
    is_daily: bool = False

    @property
    def hours(self) -> list[datetime]:
        """The hours whose datapoints it holds; those of a day are stamped with its beginning."""
        count = 1 if self.is_daily else (self.end - self.start) // timedelta(hours=1)
        return [self.start + timedelta(hours=number) for number in range(count)]


def windows(hours: Iterable[datetime], *, daily_only: bool = False) -> Iterator[Window]:
    """Some hours as the windows to ask for, in order.

    Args:
        daily_only: only the datapoints of whole days, which CloudWatch has a day or two later.
    """
    ordered = sorted(set(hours))
    stretch: list[datetime] = []
    for hour in ordered:
        if hour.hour == 0:
            yield Window(hour, hour + timedelta(seconds=DAY_SECONDS), is_daily=True)
        if stretch and (hour - stretch[-1] > timedelta(hours=1) or len(stretch) == WINDOW_HOURS):
            yield from _stretch(stretch, daily_only=daily_only)
            stretch = []
        stretch.append(hour)
    yield from _stretch(stretch, daily_only=daily_only)


def _stretch(hours: Sequence[datetime], *, daily_only: bool) -> Iterator[Window]:
    if hours and not daily_only:
        yield Window(hours[0], hours[-1] + timedelta(hours=1))


def listed(
    series: Iterable[Mapping[str, Any]], metrics: Sequence[Metric], *, account_id: str, region: str, namespace: str
) -> pl.DataFrame:
    """Series that are collected; aggregates of them, which would count twice, and others are left out.

    Args:
        series: as ListMetrics gives them: `Namespace`, `MetricName`, `Dimensions`.
        namespace: as the catalog calls it, whatever AWS does.

    Returns:
        Rows of `metric_listings` without `listed_at`, each once.
    """
    wanted = {(metric.name, metric.dimensions) for metric in metrics if metric.namespace == namespace}
    found: dict[str, list[Any]] = {"listed_as": [], "metric_name": [], "dimensions": []}
    for one in series:
        dimensions = {str(each["Name"]): str(each["Value"]) for each in one.get("Dimensions") or []}
        names = tuple(sorted(dimensions))
        if (one["MetricName"], names) in wanted:
            found["listed_as"].append(one["Namespace"])
            found["metric_name"].append(one["MetricName"])
            found["dimensions"].append({name: dimensions[name] for name in names})
    places = {"account_id": account_id, "region": region, "namespace": namespace}
    return (
        pl.DataFrame(found, schema={name: _LISTINGS[name] for name in found})
        .select(*(pl.lit(value).alias(name) for name, value in places.items()), pl.all())
        .unique(maintain_order=True)
    )


def plan(listings: pl.DataFrame, metrics: Sequence[Metric], window: Window, now: datetime) -> pl.DataFrame:
    """The queries of a window: one row per series and statistic.

    Args:
        listings: rows of `metric_listings`.

    Returns:
        `account_id`, `region`, `namespace`, `listed_as`, `metric_name`, `dimensions`, `statistic`, `unit`,
        `period_seconds` as CloudWatch still has it, `ends_at`: datapoints before it do not change any more.
    """
    require(listings, *SCOPE, "metric_name", "dimensions", "listed_at", by="plan")
    rows = [
        (metric.namespace, metric.name, "\n".join(metric.dimensions), metric.unit, period, statistic)
        for metric in metrics
        if (metric.period_seconds >= DAY_SECONDS) == window.is_daily
        and (period := kept_period(metric.period_seconds, now - window.start)) is not None
        for statistic in metric.statistics
    ]
    text = dict.fromkeys(("namespace", "metric_name", "names", "unit"), pl.String)
    wanted = pl.DataFrame(rows, schema={**text, "period_seconds": pl.Int32, "statistic": pl.String}, orient="row")
    ends = {period: settled_until(window, period, now) for period in wanted["period_seconds"].unique().to_list()}
    return (
        listings.filter(pl.col("metric_name").is_not_null() & (pl.col("listed_at") >= window.start))
        .with_columns(names=_names(pl.col("dimensions")))
        .join(wanted, on=["namespace", "metric_name", "names"], maintain_order="left")
        .with_columns(
            ends_at=pl.col("period_seconds").replace_strict(
                ends, default=None, return_dtype=pl.Datetime("us", time_zone="UTC")
            )
        )
        .filter(pl.col("ends_at") > window.start)
        .select(
            *SCOPE, "listed_as", "metric_name", "dimensions", "statistic", "unit", "period_seconds", "ends_at"
        )
        .sort(*SCOPE, "metric_name", maintain_order=True)
    )  # fmt: skip


def kept_period(period_seconds: int, age: timedelta) -> int | None:
    """The finest period, a multiple of `period_seconds` or coarser, that CloudWatch keeps so long; None: none."""
    for kept_for, coarsest in RETENTION:
        if age <= kept_for:
            return -(-period_seconds // coarsest) * coarsest
    return None


def settled_until(window: Window, period_seconds: int, now: datetime) -> datetime:
    """The end of the part of a window whose datapoints no longer change: two periods back, whole periods.

    A day's datapoint is taken once the day is over, and again on the days after it.
    """
    behind = 0 if window.is_daily else 2 * period_seconds
    last = int(now.timestamp() - behind) // period_seconds * period_seconds
    return min(window.end, max(window.start, datetime.fromtimestamp(last, UTC)))


def with_resources(asked: pl.DataFrame, resources: pl.DataFrame, window: Window) -> pl.DataFrame:
    """Queries with the resource that each measures, without those of resources that were gone before the window.

    Args:
        asked: rows of `plan`.
        resources: rows of `metadata_changes`; what it does not know may be there all the same.

    Returns:
        The rows with `resource_type` and `resource_id`, as metadata calls them where it knows them, else as the
        dimension says; null where nothing is measured that metadata has. A series that several accounts see is
        asked for in the account of the resource's owner, where that is among them, else in the first.
    """
    known = _known(resources)
    named = asked.with_columns(_measured("resource_type"), _measured("said")).join(
        known, on=["account_id", "resource_type", "said"], how="left", maintain_order="left"
    )
    owners = known.drop_nulls("owner_account_id").unique(["resource_type", "said"], keep="first", maintain_order=True)
    series = ["region", "namespace", "metric_name", "dimensions", "statistic"]
    return (
        named.filter((pl.col("gone_at") > window.start).fill_null(True))
        .join(
            owners.select("resource_type", "said", owner="owner_account_id"),
            on=["resource_type", "said"],
            how="left",
            maintain_order="left",
        )
        .with_columns(is_owners=(pl.col("account_id") == pl.col("owner")).fill_null(False))
        .with_columns(preference=pl.struct(~pl.col("is_owners"), "account_id").rank("ordinal").over(series))
        .filter(~_OWNED | (pl.col("preference") == 1))
        .with_columns(resource_id=pl.coalesce("resource_id", "said"))
        .select(*asked.columns, "resource_type", "resource_id")
    )


def _known(resources: pl.DataFrame) -> pl.DataFrame:
    """What dimensions may say: `account_id`, `resource_type`, `said`, `resource_id`, owner, and when it was gone."""
    last = resources.sort("observed_at").unique(
        ["account_id", "resource_type", "resource_id"], keep="last", maintain_order=True
    )
    said = [
        last.filter(pl.col("resource_type") == one.resource_type).select(
            "account_id",
            "resource_type",
            "resource_id",
            "owner_account_id",
            said=pl.col(one.said_by).str.extract(one.pattern),
            gone_at=pl.when(pl.col("change") == "removed").then("observed_at"),
        )
        for one in dict.fromkeys(one for namespace in MEASURED.values() for one in namespace)
    ]
    keys = ["account_id", "resource_type", "said"]
    return pl.concat(said).drop_nulls("said").sort("gone_at", nulls_last=False).unique(keys, keep="first")


def _measured(what: str) -> pl.Expr:
    """`resource_type`, or what the dimension says of it, by the namespace and the dimensions of a series."""
    chosen: Any = pl
    for namespace, places in MEASURED.items():
        for one in places:
            says = pl.col("dimensions").map.get(one.dimension)
            chosen = chosen.when((pl.col("namespace") == namespace) & says.is_not_null()).then(
                pl.lit(one.resource_type) if what == "resource_type" else says
            )
    answer: pl.Expr = chosen.otherwise(None).alias(what)
    return answer


def _names(dimensions: pl.Expr) -> pl.Expr:
    return dimensions.map.keys().list.join("\n")


def requests(asked: pl.DataFrame, window: Window) -> Iterator[pl.DataFrame]:
    """The queries of one account and region in as few requests as the limits allow."""
    if asked.is_empty():
        return
    finest: int = asked.select(pl.col("period_seconds").min()).item()
    points = max(1, -(-int((window.end - window.start).total_seconds()) // finest))
    yield from asked.iter_slices(max(1, min(MOST_QUERIES, MOST_DATAPOINTS // points)))


def fewest_requests(asked: pl.DataFrame) -> int:
    """How many requests the queries of a window need: in each account and region, 500 queries fill one."""
    return sum(-(-count // MOST_QUERIES) for count in asked.group_by("account_id", "region").len()["len"])


def with_observed(there: pl.DataFrame, new: pl.DataFrame, observed: pl.DataFrame) -> pl.DataFrame:
    """An hour's rows after a collection: the series that were observed are replaced, the others stay.

    Of an old hour CloudWatch has coarser datapoints only. Finer ones that are there stay, and coarser ones fill the
    gaps between them.

    Args:
        there: rows of `metric_series` of one hour.
        new: rows of the same hour that were collected now.
        observed: one row per series and statistic that was answered, with or without datapoints: `account_id`,
            `region`, `namespace`, `metric_name`, `dimensions`, `statistic`, `period_seconds`.
    """
    require(new, *_SERIES.names(), by="with_observed")
    asked = observed.select(*_KEY, asked_seconds="period_seconds")
    before = there.join(asked, on=_KEY, how="left", maintain_order="left")
    finer = pl.col("period_seconds") < pl.col("asked_seconds")
    stays = before.filter(pl.col("asked_seconds").is_null() | finer)
    covered = stays.drop_nulls("asked_seconds").select(
        *_KEY, timestamp=_floor(pl.col("timestamp"), pl.col("asked_seconds"))
    )
    added = new.join(covered, on=[*_KEY, "timestamp"], how="anti", maintain_order="left")
    rows = pl.concat([stays.select(_SERIES.names()), added.select(_SERIES.names())])
    return rows if rows.height else no_rows(TABLES["metric_series"])


def _floor(instant: pl.Expr, seconds: pl.Expr) -> pl.Expr:
    epoch = instant.dt.epoch("s")
    return (epoch // seconds * seconds * 1_000_000).cast(pl.Datetime("us", time_zone="UTC"))
