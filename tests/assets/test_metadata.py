"""Accounts and metadata as Dagster runs them: partitions by themselves, what changed in words, and checks that warn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.metadata_checks import (
    ACCOUNTS_REACHED,
    LOGS_READ,
    OPERATIONS_OBSERVED,
    REGIONS_ENABLED,
    SNAPSHOTS_RECENT,
)
from assets.partitions import ACCOUNTS
from kentik_dagster.code_location import build_definitions
from kentik_dagster.configuration import Configuration
from tests.fake_aws import FakeAws

PRIMARY, PAYMENTS, CLOSED_TO_US = "111122223333", "444455556666", "777788889999"
REGION = "us-east-1"


@dataclass
class Deployment:
    """An export of an organization with two accounts, whose second one has a VPC, and Dagster's instance."""

    fake: FakeAws
    instance: dg.DagsterInstance
    folder: Path
    now: datetime = datetime(2026, 11, 23, 9, tzinfo=UTC)
    export: str = "acme"
    regions: list[str] = field(default_factory=lambda: [REGION])

    def __post_init__(self) -> None:
        self.list_accounts(PRIMARY, PAYMENTS)
        self.answer("DescribeVpcs", Vpcs=[{"VpcId": "vpc-1", "Tags": [{"Key": "Name", "Value": "prod"}]}])
        self.deliver_logs_to("acme-logs")

    def list_accounts(self, *account_ids: str) -> None:
        accounts = [{"Id": account_id, "Name": account_id, "State": "ACTIVE"} for account_id in account_ids]
        self.fake.answers(PRIMARY, None, "organizations", "ListAccounts", {"Accounts": accounts})

    def answer(self, operation: str, **answer: Any) -> None:
        self.fake.answers(PAYMENTS, None, "ec2", operation, answer)

    def deliver_logs_to(self, bucket: str) -> None:
        log = {
            "FlowLogId": "fl-1", "ResourceId": "vpc-1", "FlowLogStatus": "ACTIVE", "DeliverLogsStatus": "SUCCESS",
            "TrafficType": "ALL", "LogDestinationType": "s3", "LogDestination": f"arn:aws:s3:::{bucket}/",
        }  # fmt: skip
        self.answer("DescribeFlowLogs", FlowLogs=[log])

    @property
    def definitions(self) -> dg.Definitions:
        export = {
            "name": self.export, "region": REGION, "regions_used": self.regions, "bucket": "acme-logs",
            "iam_role_arn": f"arn:aws:iam::{PRIMARY}:role/Primary", "external_id": "unique-id",
            "role_suffix": "Secondary", "organization_role": True, "start": date(2026, 11, 1), "collect_metrics": False,
        }  # fmt: skip
        configuration = Configuration.model_validate({"lake": str(self.folder / "lake"), "exports": [export]})
        return build_definitions(configuration, endpoint_url=self.fake.url, stopped_at=self.now.isoformat())

    def run(self, job: str) -> dg.ExecuteInProcessResult:
        """Run what the job's schedule asks for, a quarter of an hour after the last run."""
        self.now += timedelta(minutes=15)
        definitions = self.definitions
        repository = definitions.get_repository_def()
        (schedule,) = (one for one in repository.schedule_defs if one.job_name == job)
        context = dg.build_schedule_context(self.instance, scheduled_execution_time=self.now, repository_def=repository)
        (request,) = schedule.evaluate_tick(context).run_requests or []
        return definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance, partition_key=request.partition_key, tags=request.tags, raise_on_error=False
        )

    def snapshot(self) -> dg.ExecuteInProcessResult:
        """List the accounts, and take a snapshot of each."""
        assert self.run("accounts").success
        return self.run("metadata")


@contextmanager
def deployed(folder: Path) -> Iterator[Deployment]:
    with (
        FakeAws() as fake,
        dg.DagsterInstance.local_temp(str(folder)) as instance,
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv("AWS_ENDPOINT_URL", fake.url)
        environment.setenv("AWS_ACCESS_KEY_ID", "AMBIENT")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        yield Deployment(fake, instance, folder)


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    with deployed(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def ailing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.ExecuteInProcessResult]:
    """A snapshot of an organization of which much cannot be seen."""
    with deployed(tmp_path_factory.mktemp("ailing")) as made:
        made.list_accounts(PRIMARY, PAYMENTS, CLOSED_TO_US)
        made.regions = [REGION, "af-south-1"]
        made.fake.deny(service="sts", operation="AssumeRole", when={"RoleArn": role_of(CLOSED_TO_US)})
        made.fake.deny(account=PAYMENTS, service="ec2", operation="DescribeSubnets")
        made.deliver_logs_to("another-bucket")
        yield made.snapshot()


def role_of(account_id: str) -> str:
    return f"arn:aws:iam::{account_id}:role/Secondary"


def warnings(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """The checks that did not pass, and what they say."""
    return {
        check.check_name: str(check.description) for check in result.get_asset_check_evaluations() if not check.passed
    }


def metadata_of(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    """What the materialisations of an asset say, that of the whole run last."""
    told: dict[str, Any] = {}
    for event in result.get_asset_materialization_events():
        if event.asset_key == dg.AssetKey(asset):
            told |= {
                name: value.records if isinstance(value, dg.TableMetadataValue) else value.value
                for name, value in event.materialization.metadata.items()
            }
    return told


def test_a_healthy_organization_has_no_warnings(deployment: Deployment) -> None:
    result = deployment.snapshot()

    assert result.success
    assert warnings(result) == {}
    assert {check.check_name for check in result.get_asset_check_evaluations()} == {
        ACCOUNTS_REACHED, OPERATIONS_OBSERVED, REGIONS_ENABLED, LOGS_READ, SNAPSHOTS_RECENT,
    }  # fmt: skip


def test_what_joins_is_a_partition_what_leaves_stays_one_and_changes_are_told(deployment: Deployment) -> None:
    deployment.snapshot()
    deployment.list_accounts(PRIMARY, PAYMENTS, CLOSED_TO_US)
    deployment.run("accounts")
    deployment.list_accounts(PRIMARY, PAYMENTS)
    deployment.answer("DescribeVpcs", Vpcs=[{"VpcId": "vpc-2", "Tags": [{"Key": "Name", "Value": "test"}]}])

    told = metadata_of(deployment.snapshot(), "metadata_changes")

    assert deployment.instance.get_dynamic_partitions(str(ACCOUNTS.name)) == [PRIMARY, PAYMENTS, CLOSED_TO_US]
    (row,) = told["changes_by_type"]
    assert row.data == {"resource_type": "vpc", "added": 1, "changed": 0, "removed": 1, "such_as": "prod, test"}
    assert told["changes_in_run"] == 2


def test_a_snapshot_in_which_much_cannot_be_seen_ends_well_and_warns(ailing: dg.ExecuteInProcessResult) -> None:
    assert ailing.success
    assert len(warnings(ailing)) == 5


def test_a_refused_role_is_said_with_its_likely_causes(ailing: dg.ExecuteInProcessResult) -> None:
    told = warnings(ailing)

    assert f"1 accounts were not reached: cannot assume {role_of(CLOSED_TO_US)}" in told[ACCOUNTS_REACHED]
    assert "trusts" in told[ACCOUNTS_REACHED]
    assert f"such as {CLOSED_TO_US}, last at no time" in told[SNAPSHOTS_RECENT]


def test_a_denied_operation_is_said_with_the_action_to_grant(ailing: dg.ExecuteInProcessResult) -> None:
    assert "Grant ec2:DescribeSubnets." in warnings(ailing)[OPERATIONS_OBSERVED]


def test_a_region_that_is_not_enabled_is_said(ailing: dg.ExecuteInProcessResult) -> None:
    assert (
        "2 regions are not collected because they are not enabled, such as af-south-1"
        in warnings(ailing)[REGIONS_ENABLED]
    )


def test_a_vpc_without_a_flow_log_that_we_read_is_said(ailing: dg.ExecuteInProcessResult) -> None:
    told = warnings(ailing)[LOGS_READ]

    assert "vpc-1 (prod)" in told
    assert "another-bucket" in told


def test_old_snapshots_are_said_also_while_none_are_taken(deployment: Deployment) -> None:
    deployment.run("accounts")

    deployment.export = "renamed"
    assert warnings(deployment.run("upkeep")) == {}
    deployment.export = "acme"
    told = warnings(deployment.run("upkeep"))

    assert "2 accounts were not reached within 30 minutes" in told[SNAPSHOTS_RECENT]
