"""What kentik.yaml may say of metrics: rules that add, change and leave out, and prices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from kentik_dagster.catalog.metric_list import METRICS
from kentik_dagster.catalog.metrics import Metric
from kentik_dagster.configuration.metrics import Metrics
from kentik_dagster.configuration_file import load_configuration
from kentik_dagster.errors import ConfigurationError


def chosen(*rules: dict[str, Any], **more: Any) -> tuple[Metric, ...]:
    return Metrics.model_validate({"rules": rules} | more).chosen


def test_without_rules_the_whole_catalog_is_collected() -> None:
    assert chosen() == METRICS


def test_a_namespace_or_a_metric_can_be_left_out() -> None:
    without = chosen(
        {"namespace": "AWS/S3", "collect": False},
        {"namespace": "AWS/EC2", "name": "CPUCreditBalance", "collect": False},
    )

    gone = {(metric.namespace, metric.name) for metric in set(METRICS) - set(without)}
    assert {namespace for namespace, _ in gone} == {"AWS/S3", "AWS/EC2"}
    assert {name for namespace, name in gone if namespace == "AWS/EC2"} == {"CPUCreditBalance"}


def test_statistics_periods_and_dimensions_of_the_catalog_can_be_others() -> None:
    changed = chosen(
        {"namespace": "AWS/ELB", "name": "Latency", "statistics": ["Average", "p50", "p99.9"]},
        {"namespace": "AWS/NATGateway", "period_seconds": 300},
        {"namespace": "AWS/VPN", "name": "TunnelState", "dimensions": ["VpnId", "TunnelIpAddress"]},
    )

    by_name = {(metric.namespace, metric.name): metric for metric in changed}
    assert len(changed) == len(METRICS)
    assert by_name["AWS/ELB", "Latency"].statistics == ("Average", "p50", "p99.9")
    assert {metric.period_seconds for metric in changed if metric.namespace == "AWS/NATGateway"} == {300}
    assert by_name["AWS/VPN", "TunnelState"].dimensions == ("TunnelIpAddress", "VpnId")


def test_metrics_of_ones_own_stand_beside_the_catalog_or_alone() -> None:
    own = {"namespace": "Shop", "name": "Orders", "dimensions": ["Store"], "statistics": ["Sum"], "unit": "Count"}
    expected = Metric("Shop", "Orders", ("Store",), ("Sum",), "Count", 300)

    assert chosen(own) == (*METRICS, expected)
    assert chosen(own, catalog="none") == (expected,)


@pytest.mark.parametrize(
    ("rule", "fix"),
    [
        ({"namespace": "AWS/NatGateway", "collect": False}, "names are case sensitive"),
        ({"namespace": "AWS/EC2", "name": "networkin", "collect": False}, "names are case sensitive"),
        ({"namespace": "Shop", "name": "Orders", "statistics": ["Sum"]}, "write its name, dimensions and statistics"),
        ({"namespace": "AWS/EC2"}, "it changes nothing"),
        ({"namespace": "AWS/EC2", "collect": False, "unit": "Bytes"}, "remove one"),
        ({"namespace": "AWS/EC2", "dimensions": ["InstanceId"]}, "name is missing"),
        ({"namespace": "AWS/EC2", "period_seconds": 45}, "45 is no period"),
        ({"namespace": "AWS/EC2", "period_seconds": 7_200}, "7200 is no period"),
        ({"namespace": "AWS/EC2", "statistics": ["average"]}, "is not a statistic of CloudWatch"),
        ({"namespace": "AWS/EC2", "statistics": []}, "at least 1"),
        ({"namespace": "AWS/EC2", "colour": "red"}, "Extra inputs"),
    ],
)
def test_a_rule_that_means_nothing_says_what_to_write(rule: dict[str, Any], fix: str) -> None:
    with pytest.raises(ValidationError, match=fix):
        chosen(rule)


@pytest.mark.parametrize("values", [{"price_per_thousand": -1}, {"budget_per_run": float("nan")}, {"catalog": "some"}])
def test_prices_are_numbers_that_can_be_paid(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Metrics.model_validate(values)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{rules: [{namespace: AWS/EC2, period: 60}]}", "metrics.rules[0].period: there is no such key. Did you mean "),
        ("{rules: [AWS/S3]}", "metrics.rules[0]: this is a rule: write it as {namespace: AWS/S3, collect: false}"),
        ("{budget: 5}", "metrics.budget: there is no such key. Did you mean 'budget_per_run'?"),
        ("5", "metrics: these are keys"),
    ],
)
def test_a_mistake_in_the_file_names_its_place_and_the_fix(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "kentik.yaml"
    path.write_text(f"metrics: {text}\nexports: []\n")

    with pytest.raises(ConfigurationError) as refused:
        load_configuration(path)

    assert len(refused.value.problems) == 1
    assert refused.value.problems[0].startswith(problem)
