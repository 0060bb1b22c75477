"""Which CloudWatch series to ask for, in which requests, for which time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from kentik_dagster.catalog.metrics import Metric
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.schemas import no_rows, polars_schema, require

# Queries in one GetMetricData request, and datapoints in its answer (cloudwatch.md, "Limits").
MOST_QUERIES = 500
MOST_DATAPOINTS = 100_800
_SERIES = polars_schema(TABLES["metric_series"])
IDENTITY = ("account_id", "region", "namespace")


@dataclass(frozen=True, slots=True)
class Query:
    """One statistic of one series."""

    metric: Metric
    dimension_value: str
    statistic: str


def queries(listed: Iterable[Mapping[str, Any]], metrics: Sequence[Metric]) -> list[Query]:
    """The queries for the listed series that the catalog collects, by the catalog's exact dimension.

    Args:
        listed: series as ListMetrics gives them: `Namespace`, `MetricName`, `Dimensions`.
    """
    wanted = {(metric.namespace, metric.name, metric.dimension): metric for metric in metrics}
    found: dict[Query, None] = {}
    for series in listed:
        dimensions = series.get("Dimensions") or []
        if len(dimensions) != 1:
            continue
        metric = wanted.get((series["Namespace"], series["MetricName"], dimensions[0]["Name"]))
        if metric is not None:
            found.update(
                dict.fromkeys(Query(metric, str(dimensions[0]["Value"]), statistic) for statistic in metric.statistics)
            )
    return list(found)


def requests(asked: Sequence[Query], window: timedelta) -> Iterator[Sequence[Query]]:
    """The queries packed into as few requests as the limits allow; a request is of one period."""
    periods = sorted({query.metric.period_seconds for query in asked})
    for period in periods:
        same = [query for query in asked if query.metric.period_seconds == period]
        points = max(1, -(-int(window.total_seconds()) // period))
        size = max(1, min(MOST_QUERIES, MOST_DATAPOINTS // points))
        yield from (same[first : first + size] for first in range(0, len(same), size))


def settled_until(hour: datetime, period_seconds: int, now: datetime) -> datetime:
    """The end of the part of an hour whose datapoints no longer change: two periods back, whole periods."""
    last = now.timestamp() - 2 * period_seconds
    aligned = datetime.fromtimestamp(last // period_seconds * period_seconds, hour.tzinfo)
    return min(hour + timedelta(hours=1), max(hour, aligned))


def with_observed(there: pl.DataFrame, new: pl.DataFrame, observed: pl.DataFrame) -> pl.DataFrame:
    """An hour's rows after a collection: what was observed is replaced, the rest stays.

    Args:
        there: rows of `metric_series` of one hour.
        new: rows of the same hour that were collected now.
        observed: one row per observed scope: `account_id`, `region`, `namespace`.
    """
    require(new, *_SERIES.names(), by="with_observed")
    kept = there.join(observed, on=list(IDENTITY), how="anti")
    return pl.concat([kept, new]) if new.height or kept.height else no_rows(TABLES["metric_series"])
