"""A CloudWatch of made-up series behind the fake: exact dimensions, limits, retention, late datapoints."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.fake_aws.fake import FakeAws
from tests.fake_aws.refusals import RefusedError

Series = tuple[str, str, tuple[tuple[str, str], ...]]
_KEPT = ((timedelta(hours=3), 1), (timedelta(days=15), 60), (timedelta(days=63), 300), (timedelta(days=455), 3_600))


def series(namespace: str, name: str, **dimensions: str) -> Series:
    """A series; names of dimensions with blanks are given by a mapping."""
    return namespace, name, tuple(sorted(dimensions.items()))


class CloudWatch:
    """Series of one account and region. Every period of a series has a datapoint, as its sum of what minutes have.

    Attributes:
        series: what ListMetrics lists.
        now: how old datapoints are is told from it; None: everything is kept for ever.
        changed: what is added to the datapoints of an instant.
        silent: whether there is no datapoint of a series at an instant.
        partial: series of which CloudWatch gives some datapoints only.
        queried: how many metrics GetMetricData was asked for, by request.
        sizes: how many datapoints each answer had.
    """

    def __init__(self, series: Iterable[Series] = ()) -> None:
        self.series = list(series)
        self.now: Callable[[], datetime] | None = None
        self.changed: dict[datetime, float] = {}
        self.silent: Callable[[Series, datetime], bool] = lambda _series, _at: False
        self.partial: set[Series] = set()
        self.queried: list[int] = []

    def serve(self, fake: FakeAws, account_id: str | None = None, region: str | None = None) -> CloudWatch:
        """Answers for an account and region, or for all."""
        for operation, answer in (
            ("ListMetrics", self._listed),
            ("GetMetricData", self._data),
            ("GetMetricStatistics", self._statistics),
        ):
            fake.answers(account_id, region, "cloudwatch", operation, answer)
        return self

    def value(self, one: Series, statistic: str, at: datetime, period: int) -> float:
        """A datapoint."""
        minutes = max(1, period // 60) if statistic == "Sum" else 1
        seed = zlib.crc32(repr((one, statistic)).encode()) % 1_000
        return minutes * (seed + at.minute) + self.changed.get(at, 0.0)

    def _listed(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        wanted = parameters.get("Namespace")
        return {
            "Metrics": [
                {"Namespace": namespace, "MetricName": name, "Dimensions": _pairs(dimensions)}
                for namespace, name, dimensions in self.series
                if wanted in (None, namespace)
            ]
        }

    def _data(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        queries = parameters["MetricDataQueries"]
        start, end = parameters["StartTime"], parameters["EndTime"]
        if len(queries) > 500 or max(Counter(query["Id"] for query in queries).values()) > 1:
            raise RefusedError("ValidationError", "at most 500 queries, each with an id of its own")
        self.queried.append(len(queries))
        there = set(self.series)
        results = []
        for query in queries:
            stat = query["MetricStat"]
            one = _of(stat["Metric"])
            times = list(self._times(one, start, end, stat["Period"])) if one in there else []
            values = [self.value(one, stat["Stat"], at, stat["Period"]) for at in times]
            status = "PartialData" if one in self.partial else "Complete"
            results.append({"Id": query["Id"], "Timestamps": times, "Values": values, "StatusCode": status})
        if sum(len(result["Values"]) for result in results) > 100_800:
            raise RefusedError("ValidationError", "at most 100,800 datapoints")
        return {"MetricDataResults": results}

    def _statistics(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        one = _of(parameters)
        plain, other = parameters.get("Statistics") or [], parameters.get("ExtendedStatistics") or []
        if plain and other:
            raise RefusedError("InvalidParameterCombination", "statistics or extended statistics, not both")
        period = parameters["Period"]
        points = []
        for at in self._times(one, parameters["StartTime"], parameters["EndTime"], period):
            point: dict[str, Any] = {"Timestamp": at, "Unit": "None"}
            point |= {name: self.value(one, name, at, period) for name in plain}
            if other:
                point["ExtendedStatistics"] = {name: self.value(one, name, at, period) for name in other}
            points.append(point)
        return {"Label": one[1], "Datapoints": points[::-1]}

    def _times(self, one: Series, start: datetime, end: datetime, period: int) -> Iterable[datetime]:
        start, end = _utc(start), _utc(end)
        if self.now is not None and period < _finest(self.now() - start):
            return
        at = datetime.fromtimestamp(start.timestamp() // period * period, UTC)
        while at < end:
            if not self.silent(one, at):
                yield at
            at += timedelta(seconds=period)


def _utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)


def _finest(age: timedelta) -> float:
    return next((period for kept, period in _KEPT if age <= kept), float("inf"))


def _of(metric: Mapping[str, Any]) -> Series:
    dimensions = sorted((one["Name"], one["Value"]) for one in metric.get("Dimensions", ()))
    return metric["Namespace"], metric["MetricName"], tuple(dimensions)


def _pairs(dimensions: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in dimensions]
