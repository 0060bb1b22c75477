"""`metric_series` in Dagster: what a materialisation says, its checks, and a budget that is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from kentik_dagster.code_location import build_definitions
from kentik_dagster.configuration import Configuration
from kentik_dagster.errors import BudgetError
from tests.fake_aws import FakeAws
from tests.fake_aws.cloudwatch import CloudWatch, series
from tests.work.snapshots import HOME, PRIMARY, PRIMARY_ROLE, fake_aws

HOUR = "2026-11-23T09"
SERIES_KEY = dg.AssetKey("metric_series")
GATEWAYS = [series("AWS/NATGateway", "BytesOutToSource", NatGatewayId=f"nat-{number}") for number in range(3)]


@dataclass
class Deployment:
    fake: FakeAws
    instance: dg.DagsterInstance
    folder: Path

    def definitions(self, metrics: dict[str, Any]) -> dg.Definitions:
        export = {
            "name": "acme", "region": HOME, "bucket": "acme-logs", "iam_role_arn": PRIMARY_ROLE,
            "start": date(2025, 1, 1),
        }  # fmt: skip
        configuration = Configuration.model_validate(
            {"lake": str(self.folder / "lake"), "exports": [export], "metrics": metrics}
        )
        now = datetime(2026, 11, 23, 12, tzinfo=UTC)
        return build_definitions(configuration, endpoint_url=self.fake.url, stopped_at=now.isoformat())

    def list_again(self) -> dg.ExecuteInProcessResult:
        job = self.definitions({}).resolve_job_def("__ASSET_JOB")
        return job.get_subset(asset_selection={dg.AssetKey("metric_listings")}).execute_in_process(
            instance=self.instance
        )

    def run(self, *, hours: tuple[str, str] = (HOUR, HOUR), **metrics: Any) -> dg.ExecuteInProcessResult:
        definitions = self.definitions(metrics)
        accounts = definitions.resolve_job_def("accounts").execute_in_process(instance=self.instance)
        assert accounts.success
        return definitions.resolve_job_def("metrics").execute_in_process(
            instance=self.instance,
            tags={
                "dagster/asset_partition_range_start": hours[0],
                "dagster/asset_partition_range_end": hours[1],
            },
            raise_on_error=False,
        )


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    with fake_aws() as fake, dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        CloudWatch(GATEWAYS).serve(fake, PRIMARY, HOME)
        yield Deployment(fake, instance, tmp_path)


def metadata_of(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for event in result.get_asset_materialization_events():
        if event.asset_key == SERIES_KEY:
            found |= {
                name: value.value for name, value in event.step_materialization_data.materialization.metadata.items()
            }
    return found


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {evaluation.check_name: evaluation.passed for evaluation in result.get_asset_check_evaluations()}


def test_a_materialisation_says_what_it_asked_for_and_what_that_costs(deployment: Deployment) -> None:
    result = deployment.run(hours=(HOUR, "2026-11-23T10"), price_per_thousand=10.0)

    said = metadata_of(result)
    assert result.success
    assert (said["metrics_planned"], said["metrics_requested"], said["requests"]) == (3, 3, 1)
    assert said["cost"] == said["cost_planned"] == pytest.approx(0.03)
    assert said["dagster/partition_row_count"] == 180
    assert "| AWS/NATGateway | 180 | BytesOutToSource | ▁" in said["namespaces"]
    assert checks_of(result) == {"every_namespace_observed": True, "bill_as_planned": True}


def test_a_run_over_its_budget_requests_no_metric(deployment: Deployment) -> None:
    result = deployment.run(price_per_thousand=10.0, budget_per_run=0.02)

    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert BudgetError.__name__ in str(failure.event_specific_data)
    assert "metrics.budget_per_run is 0.02" in str(failure.event_specific_data)
    assert deployment.fake.requests[PRIMARY, HOME, "cloudwatch", "GetMetricData"] == 0


def test_a_denied_account_degrades_the_check_and_names_what_was_not_observed(deployment: Deployment) -> None:
    deployment.fake.deny(PRIMARY, service="cloudwatch", operation="ListMetrics")

    result = deployment.run()

    assert result.success
    assert checks_of(result)["every_namespace_observed"] is False
    (check,) = [one for one in result.get_asset_check_evaluations() if not one.passed]
    assert check.severity is dg.AssetCheckSeverity.WARN
    assert f"in account {PRIMARY}, {HOME}" in (check.description or "")


def test_a_backfill_of_long_ago_says_what_cloudwatch_has_no_more(deployment: Deployment) -> None:
    old = deployment.run(hours=("2025-06-01T00", "2025-06-01T01"))
    month = deployment.run(hours=("2026-10-23T01", "2026-10-23T04"))

    assert "no datapoints any more" in metadata_of(old)["no_longer_kept"]
    assert "datapoints of 300 s only" in metadata_of(month)["no_longer_kept"]


def test_listings_are_kept_between_runs_and_asked_for_again_by_materialising_them(deployment: Deployment) -> None:
    listing = (PRIMARY, HOME, "cloudwatch", "ListMetrics")
    deployment.run()
    first = deployment.fake.requests[listing]
    deployment.run()
    second = deployment.fake.requests[listing]

    result = deployment.list_again()

    assert result.success
    assert first == second > 0
    assert deployment.fake.requests[listing] == 2 * first


def test_series_that_are_listed_on_the_way_are_told_as_if_their_table_had_been_asked_for(
    deployment: Deployment,
) -> None:
    def said() -> list[dict[str, Any]]:
        records = deployment.instance.fetch_materializations(dg.AssetKey("metric_listings"), limit=10).records
        told = [record.asset_materialization for record in records]
        return [{name: value.value for name, value in one.metadata.items()} for one in told if one is not None]

    deployment.run()
    first = said()
    deployment.run()

    assert [one["series_by_namespace"] for one in first] == [{"AWS/NATGateway": 3}]
    assert first[0]["requests_in_run"] > 0
    assert said() == first
