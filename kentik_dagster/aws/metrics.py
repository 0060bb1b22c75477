"""CloudWatch datapoints of one account and region."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl
from botocore.exceptions import BotoCoreError, ClientError

from kentik_dagster.aws.calls import Answer, all_pages, outcome_of
from kentik_dagster.aws.sessions import AccountAccess, error_code
from kentik_dagster.catalog.metrics import METRICS, Metric
from kentik_dagster.catalog.outcomes import Outcome
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.flow_log_keys import hour_of
from kentik_dagster.core.metrics import Query, queries, requests, settled_until
from kentik_dagster.core.schemas import polars_schema

_SERIES = polars_schema(TABLES["metric_series"])


@dataclass(frozen=True, slots=True)
class NamespaceSeries:
    """The datapoints of one namespace in one account and region, and whether AWS let us see them.

    Attributes:
        rows: rows of `metric_series`; meaningful only where the outcome is OBSERVED.
        requested: metrics that GetMetricData was asked for, which is what AWS charges.
    """

    account_id: str
    region: str
    namespace: str
    rows: pl.DataFrame
    answer: Answer
    requested: int

    @property
    def outcome(self) -> Outcome:
        """What became of the calls."""
        return self.answer.outcome


def collect_namespace(
    account: AccountAccess, region: str, namespace: str, hour: datetime, *, clock: Callable[[], datetime]
) -> NamespaceSeries:
    """Every catalog metric of a namespace for one hour, up to the last period that no longer changes."""
    client = account.client("cloudwatch", region)
    metrics = [metric for metric in METRICS if metric.namespace == namespace]
    series = all_pages(client, "list_metrics", "Metrics", parameters={"Namespace": namespace}, clock=clock)
    rows: list[dict[str, Any]] = []
    asked = queries(series.items, metrics) if series.outcome is Outcome.OBSERVED else []
    try:
        for request in requests(asked, timedelta(hours=1)):
            rows += _datapoints(client, request, hour, clock())
    except (ClientError, BotoCoreError) as error:
        series = Answer(
            outcome=outcome_of(error),
            items=[],
            pages=series.pages,
            started_at=series.started_at,
            ended_at=clock(),
            error_code=error_code(error),
            error_message=" ".join(str(error).split())[:1000],
        )
    placed = [row | {"account_id": account.account_id, "region": region} for row in rows]
    return NamespaceSeries(account.account_id, region, namespace, _frame(placed), series, len(asked))


def _datapoints(client: Any, request: Sequence[Query], hour: datetime, now: datetime) -> list[dict[str, Any]]:
    end = settled_until(hour, request[0].metric.period_seconds, now)
    if end <= hour:
        return []
    asked = {f"q{number}": query for number, query in enumerate(request)}
    pages = client.get_paginator("get_metric_data").paginate(
        MetricDataQueries=[_as_aws(name, query) for name, query in asked.items()],
        StartTime=hour,
        EndTime=end,
        ScanBy="TimestampAscending",
    )
    return [
        {
            "namespace": asked[result["Id"]].metric.namespace,
            "metric_name": asked[result["Id"]].metric.name,
            "dimensions": {asked[result["Id"]].metric.dimension: asked[result["Id"]].dimension_value},
            "statistic": asked[result["Id"]].statistic,
            "period_seconds": asked[result["Id"]].metric.period_seconds,
            "timestamp": timestamp,
            "value": float(value),
            "unit": asked[result["Id"]].metric.unit,
            "hour": hour_of(hour),
        }
        for page in pages
        for result in page["MetricDataResults"]
        for timestamp, value in zip(result["Timestamps"], result["Values"], strict=True)
        if hour <= timestamp < end
    ]


def _as_aws(name: str, query: Query) -> dict[str, Any]:
    metric: Metric = query.metric
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {
                "Namespace": metric.namespace,
                "MetricName": metric.name,
                "Dimensions": [{"Name": metric.dimension, "Value": query.dimension_value}],
            },
            "Period": metric.period_seconds,
            "Stat": query.statistic,
        },
    }


def _frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=_SERIES).unique(
        ["account_id", "region", "namespace", "metric_name", "dimensions", "statistic", "period_seconds", "timestamp"],
        keep="last",
        maintain_order=True,
    )
