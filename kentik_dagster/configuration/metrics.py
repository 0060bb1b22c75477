"""What kentik.yaml may say of CloudWatch metrics: which are collected, and what they may cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from kentik_dagster.catalog.metric_list import METRICS
from kentik_dagster.catalog.metrics import DAY_SECONDS, Metric
from kentik_dagster.configuration.values import Strict, matching

# CloudWatch user guide, "Statistics definitions".
Statistic = Annotated[
    str,
    matching(
        r"Sum|Average|Minimum|Maximum|SampleCount|IQM|(p|tm|wm|tc|ts)\d{1,2}(\.\d{1,10})?|p100",
        "a statistic of CloudWatch: Sum, Average, Minimum, Maximum, SampleCount, or a percentile such as p99",
    ),
]
Text = Annotated[str, Field(min_length=1, max_length=255)]


def _period(value: int) -> int:
    if value <= 0 or value % 60 or DAY_SECONDS % value or (value > 3600 and value != DAY_SECONDS):
        raise ValueError(f"{value} is no period: write 60, 300, 3600, 86400 or another part of an hour, in seconds")
    return value


class MetricRule(Strict):
    """What is to be different about a metric of the catalog, about a whole namespace, or a metric of one's own."""

    namespace: Text
    name: Text | None = None
    collect: bool = True
    dimensions: tuple[Text, ...] | None = None
    statistics: Annotated[tuple[Statistic, ...], Field(min_length=1)] | None = None
    unit: Text | None = None
    period_seconds: Annotated[int, AfterValidator(_period)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        changes = self._changes
        if not self.collect and changes:
            raise ValueError(f"collect: false leaves it out, so that {', '.join(changes)} has no meaning: remove one")
        if self.name is None and "dimensions" in changes:
            raise ValueError("name is missing: dimensions are those of one metric")
        if self.collect and not changes:
            raise ValueError("it changes nothing: write collect: false, or what is to be different, such as statistics")
        known = any(self._is_about(metric) for metric in METRICS)
        if not known and self.collect and (self.name is None or not {"dimensions", "statistics"} <= changes.keys()):
            raise ValueError(
                f"{self.namespace} {self.name or ''} is not in the catalog (names are case sensitive): for a metric of "
                "your own, write its name, dimensions and statistics"
            )
        if not known and not self.collect:
            raise ValueError(
                f"{self.namespace} {self.name or ''} is not in the catalog (names are case sensitive), and not "
                "collected anyway: see docs/metrics.md"
            )
        return self

    def applied(self, metrics: Sequence[Metric]) -> list[Metric]:
        """The metrics as this rule wants them."""
        if not self.collect:
            return [metric for metric in metrics if not self._is_about(metric)]
        if not any(self._is_about(metric) for metric in metrics):
            own: dict[str, Any] = {"unit": "None", "period_seconds": 300} | self._changes
            return [*metrics, Metric(namespace=self.namespace, name=str(self.name), **own)]
        return [replace(metric, **self._changes) if self._is_about(metric) else metric for metric in metrics]

    @property
    def _changes(self) -> dict[str, Any]:
        given = {
            "dimensions": None if self.dimensions is None else tuple(sorted(self.dimensions)),
            "statistics": None if self.statistics is None else tuple(dict.fromkeys(self.statistics)),
            "unit": self.unit,
            "period_seconds": self.period_seconds,
        }
        return {name: value for name, value in given.items() if value is not None}

    def _is_about(self, metric: Metric) -> bool:
        return metric.namespace == self.namespace and self.name in (None, metric.name)


class Metrics(Strict):
    """CloudWatch metrics of all exports.

    Attributes:
        price_per_thousand: what CloudWatch charges for a thousand metrics that are requested, in any currency.
        budget_per_run: what one run may cost at the most, in the same currency; None: as much as it takes.
        catalog: `none` collects the rules' own metrics only.
    """

    price_per_thousand: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01
    budget_per_run: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    catalog: Literal["all", "none"] = "all"
    rules: tuple[MetricRule, ...] = ()

    @property
    def chosen(self) -> tuple[Metric, ...]:
        """The metrics that are collected."""
        metrics: list[Metric] = list(METRICS) if self.catalog == "all" else []
        for rule in self.rules:
            metrics = rule.applied(metrics)
        return tuple(metrics)

    def cost(self, requested: int) -> float:
        """What so many requested metrics cost."""
        return requested * self.price_per_thousand / 1_000
