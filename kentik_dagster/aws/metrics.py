"""CloudWatch series of one account and region: which there are, and their datapoints in a window of time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import polars as pl

from kentik_dagster.aws.calls import Answer, all_pages
from kentik_dagster.aws.sessions import AccountAccess
from kentik_dagster.catalog.metrics import ALSO_CALLED, Metric
from kentik_dagster.catalog.outcomes import Outcome
from kentik_dagster.core.metrics import Window, listed, requests
from kentik_dagster.errors import AwsError

_POINTS: dict[str, pl.DataType | type[pl.DataType]] = {
    "query": pl.UInt32,
    "timestamp": pl.Datetime("us", time_zone="UTC"),
    "value": pl.Float64,
}
# What GetMetricStatistics calls by name; all other statistics are percentiles and the like.
_PLAIN = frozenset({"Sum", "Average", "Minimum", "Maximum", "SampleCount"})


@dataclass(frozen=True, slots=True)
class Listed:
    """The series of one namespace; rows of `metric_listings` without `listed_at`, meaningful where OBSERVED."""

    rows: pl.DataFrame
    answer: Answer


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of one request.

    Attributes:
        namespaces: of its queries.
        answer: without its items, which are datapoints now.
    """

    operation: str
    namespaces: tuple[str, ...]
    queries: int
    answer: Answer


@dataclass(slots=True)
class Datapoints:
    """The datapoints of the queries of one account and region.

    Attributes:
        points: `query` (the row's number in the plan), `timestamp`, `value`; in no order.
        answered: the queries that CloudWatch answered in full, with or without datapoints.
        asked: the requests, in order; some were asked again in parts.
        refused: why the account could not be reached; nothing was asked then.
    """

    points: list[pl.DataFrame] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    refused: AwsError | None = None


def list_series(
    account: AccountAccess, region: str, namespace: str, metrics: Sequence[Metric], *, clock: Callable[[], datetime]
) -> Listed:
    """The series of a namespace that are collected, under every name that AWS has for the namespace."""
    client = account.client("cloudwatch", region)
    series: list[Any] = []
    answer: Answer | None = None
    for name in (namespace, *ALSO_CALLED.get(namespace, ())):
        answer = all_pages(client, "list_metrics", "Metrics", parameters={"Namespace": name}, clock=clock)
        series += answer.items
        if answer.outcome is not Outcome.OBSERVED:
            break
    assert answer is not None
    rows = listed(series, metrics, account_id=account.account_id, region=region, namespace=namespace)
    return Listed(rows, answer)


def read_datapoints(
    account: AccountAccess, region: str, plan: pl.DataFrame, window: Window, *, clock: Callable[[], datetime]
) -> Datapoints:
    """The datapoints of the queries of one account and region.

    A request that fails is asked again namespace by namespace, so that one takes no other with it; where
    GetMetricData is denied, GetMetricStatistics is asked series by series.

    Args:
        plan: rows of `core.metrics.plan`, and `query`, their number.
    """
    client = account.client("cloudwatch", region)
    done = Datapoints()
    is_denied = False
    for request in requests(plan, window):
        waiting = [request]
        while waiting:
            part = waiting.pop(0)
            if is_denied:
                if not _ask_statistics(client, part, window, done, clock):
                    return done
                continue
            asked = _ask(client, part, window, clock)
            if asked.answer.outcome is Outcome.DENIED:
                is_denied = True
                waiting.insert(0, part)
                continue
            if asked.answer.outcome is not Outcome.OBSERVED and len(asked.namespaces) > 1:
                waiting = part.partition_by("namespace", maintain_order=True)
                continue
            _keep(done, part, asked.answer)
            done.asked.append(replace(asked, answer=replace(asked.answer, items=[])))
    return done


def _ask(client: Any, part: pl.DataFrame, window: Window, clock: Callable[[], datetime]) -> Asked:
    queries = [
        {
            "Id": f"q{row['query']}",
            "MetricStat": {
                "Metric": _metric(row),
                "Period": row["period_seconds"],
                "Stat": row["statistic"],
            },
        }
        for row in part.iter_rows(named=True)
    ]
    parameters = {
        "MetricDataQueries": queries,
        "StartTime": window.start,
        "EndTime": part["ends_at"].max(),
        "ScanBy": "TimestampAscending",
    }
    answer = all_pages(client, "get_metric_data", "MetricDataResults", parameters=parameters, clock=clock)
    return Asked("get_metric_data", tuple(part["namespace"].unique(maintain_order=True)), part.height, answer)


def _keep(done: Datapoints, part: pl.DataFrame, answer: Answer) -> None:
    """The points of CloudWatch's results. One query may be answered in several pieces; the last says how it ended."""
    queries: list[int] = []
    counts: list[int] = []
    timestamps: list[datetime] = []
    values: list[float] = []
    status: dict[int, str] = {}
    for result in answer.items:
        query = int(result["Id"][1:])
        status[query] = result.get("StatusCode") or "Complete"
        queries.append(query)
        counts.append(len(result["Values"]))
        timestamps += result["Timestamps"]
        values += result["Values"]
    complete = [query for query in part["query"] if status.get(query) == "Complete"]
    done.answered += complete
    numbers = pl.Series(queries, dtype=pl.UInt32).repeat_by(pl.Series(counts, dtype=pl.UInt32)).explode(
        empty_as_null=False
    )  # fmt: skip
    points = pl.DataFrame({"query": numbers, "timestamp": timestamps, "value": values}, schema=_POINTS)
    done.points.append(points.filter(pl.col("query").is_in(complete)))


def _ask_statistics(
    client: Any, part: pl.DataFrame, window: Window, done: Datapoints, clock: Callable[[], datetime]
) -> bool:
    """Ask for each series by itself; False where that is denied, too, and no other needs to be asked for."""
    series = ["namespace", "metric_name", "dimensions", "period_seconds"]
    for rows in part.partition_by(series, maintain_order=True):
        first = rows.row(0, named=True)
        numbers = dict(zip(rows["statistic"], rows["query"], strict=True))
        plain, other = [name for name in numbers if name in _PLAIN], [name for name in numbers if name not in _PLAIN]
        for key, names in (("Statistics", plain), ("ExtendedStatistics", other)):
            if not names:
                continue
            parameters = {
                **_metric(first),
                "StartTime": window.start,
                "EndTime": first["ends_at"],
                "Period": first["period_seconds"],
                key: names,
            }
            answer = all_pages(client, "get_metric_statistics", "Datapoints", parameters=parameters, clock=clock)
            kept = replace(answer, items=[])
            done.asked.append(Asked("get_metric_statistics", (first["namespace"],), len(names), kept))
            if answer.outcome is Outcome.OBSERVED:
                done.answered += [numbers[name] for name in names]
                done.points += [_points(numbers[name], name, answer.items) for name in names]
            if answer.outcome is Outcome.DENIED:
                return False
    return True


def _points(query: int, statistic: str, items: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    found = [(item["Timestamp"], _value(item, statistic)) for item in items if _value(item, statistic) is not None]
    rows: Iterator[tuple[int, datetime, float | None]] = ((query, at, value) for at, value in found)
    return pl.DataFrame(list(rows), schema=_POINTS, orient="row")


def _value(item: Mapping[str, Any], statistic: str) -> float | None:
    value = item.get(statistic, item.get("ExtendedStatistics", {}).get(statistic))
    return None if value is None else float(value)


def _metric(row: Mapping[str, Any]) -> dict[str, Any]:
    dimensions = row["dimensions"]
    pairs = dimensions.items() if isinstance(dimensions, dict) else ((one["key"], one["value"]) for one in dimensions)
    return {
        "Namespace": row["listed_as"],
        "MetricName": row["metric_name"],
        "Dimensions": [{"Name": name, "Value": value} for name, value in pairs],
    }
