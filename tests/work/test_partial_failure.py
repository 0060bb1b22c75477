"""Empty is not unknown: what AWS refuses is said, and takes nothing away that was known."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from kentik_dagster.aws.flow_logs import LogBucket
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.configuration import Export
from kentik_dagster.core.accounts import collectible_accounts
from kentik_dagster.core.network import current_state
from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.lake.tables import Lake
from kentik_dagster.work.ingest import ingest_hour
from kentik_dagster.work.metadata import AccountObserved, collect_accounts, collect_metadata
from kentik_dagster.work.metrics import collect_hour
from kentik_dagster.work.sweep import sweep_hour
from tests.work.refusing_aws import RefusingAws

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
HOUR = "2026-11-23T09"


@pytest.fixture(scope="module")
def organization(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A small made-up organization with ten minutes of logs."""
    folder = tmp_path_factory.mktemp("organization")
    with Emulator(start=START, minutes=10, records_per_object=50, interfaces=40, folder=folder) as running:
        yield running


@pytest.fixture
def aws(organization: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[RefusingAws]:
    with RefusingAws(organization.endpoint_url) as refusing:
        for name, value in organization.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", refusing.url)
        yield refusing


@pytest.fixture
def export(organization: Emulator) -> Export:
    facts = organization.organization
    return Export(
        name="acme",
        iam_role_arn=facts["primary_role_arn"],
        external_id="made-up-external-id",
        region=facts["bucket_region"],
        organization_role=True,
        regions_used=(facts["bucket_region"],),
        role_suffix=facts["secondary_role_name"],
        bucket=facts["bucket"],
        start=START,
    )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


class Clock:
    """Goes on by a minute whenever a snapshot is taken."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at


def access(export: Export) -> ExportAccess:
    return ExportAccess(export, custom_endpoint=True)


def snapshot(export: Export, lake: Lake, clock: Clock) -> dict[str, AccountObserved]:
    """List the accounts and take a snapshot of each, a minute after the last one."""
    clock.at += timedelta(minutes=1)
    reached = access(export)
    accounts = collectible_accounts(collect_accounts([reached], lake, clock=clock).accounts)["account_id"].to_list()
    return {done.account_id: done for done in collect_metadata(dict.fromkeys(accounts, reached), lake, clock=clock)}


def state(lake: Lake) -> list[tuple[object, ...]]:
    known = current_state(lake["metadata_changes"].read()).select("account_id", "region", "resource_id")
    return known.sort(known.columns).rows()


def test_an_unchanged_organization_adds_no_change(export: Export, lake: Lake, aws: RefusingAws) -> None:
    clock = Clock()
    snapshot(export, lake, clock)
    version = lake["metadata_changes"].open().version

    again = snapshot(export, lake, clock)

    assert [done.changes.height for done in again.values()] == [0] * len(again)
    assert lake["metadata_changes"].open().version == version


def test_a_refused_operation_removes_nothing_and_is_said_to_be_denied(
    export: Export, lake: Lake, aws: RefusingAws
) -> None:
    clock = Clock()
    snapshot(export, lake, clock)
    before = state(lake)

    aws.refuses = lambda request: "Action=DescribeNetworkInterfaces" in request.body
    done = snapshot(export, lake, clock)

    assert state(lake) == before
    calls = pl.concat([account.calls for account in done.values()])
    denied = calls.filter(pl.col("outcome") != "observed")
    assert denied["operation"].unique().to_list() == ["describe_network_interfaces"]
    assert denied["outcome"].unique().to_list() == ["denied"]
    assert denied["last_observed_at"].null_count() == 0
    assert denied.height == len(done) * len(export.regions)


def test_an_account_whose_role_is_refused_stays_known_and_holds_no_other_up(
    export: Export, lake: Lake, aws: RefusingAws, organization: Emulator
) -> None:
    clock = Clock()
    snapshot(export, lake, clock)
    before = state(lake)
    refused = next(
        account for account in organization.organization["account_ids"]
        if account != organization.organization["management_account_id"]
    )  # fmt: skip

    aws.refuses = lambda request: "Action=AssumeRole" in request.body and refused in request.body
    done = snapshot(export, lake, clock)

    assert state(lake) == before
    (denied,) = done[refused].calls.filter(pl.col("outcome") == "denied").to_dicts()
    assert (denied["service"], denied["operation"]) == ("sts", "assume_role")
    assert "cannot assume" in denied["error_message"]
    assert denied["last_observed_at"] == START + timedelta(minutes=1)
    others = pl.concat([account.calls for name, account in done.items() if name != refused])
    assert others["outcome"].unique().to_list() == ["observed"]


def test_an_organization_that_may_not_be_listed_keeps_its_accounts(
    export: Export, lake: Lake, aws: RefusingAws
) -> None:
    clock = Clock()
    known = collect_accounts([access(export)], lake, clock=clock).accounts

    aws.refuses = lambda request: "ListAccounts" in request.target
    listed = collect_accounts([access(export)], lake, clock=clock)

    assert listed.accounts.equals(known)
    assert "organizations:ListAccounts" in listed.failures["acme"]


def test_a_refused_object_is_unreadable_and_the_others_land(export: Export, lake: Lake, aws: RefusingAws) -> None:
    bucket = LogBucket(access(export))
    listed = bucket.objects([START.date()])
    refused = listed["key"][0]

    aws.refuses = lambda request: request.method == "GET" and refused in request.path
    done = ingest_hour(bucket, lake, HOUR, listed, run_id="run", clock=Clock())

    assert done.count("unreadable") == 1
    assert done.count("ingested") == listed.height - 1
    (line,) = done.objects.filter(pl.col("outcome") == "unreadable").to_dicts()
    assert (line["key"], line["rows"]) == (refused, 0)
    assert "s3:GetObject" in line["error"]


def test_a_refused_deletion_is_a_failed_line_with_the_missing_action(
    export: Export, lake: Lake, aws: RefusingAws
) -> None:
    reached = access(export.model_copy(update={"delete_after_read": True}))
    listed = LogBucket(reached).objects([START.date()])
    ingest_hour(LogBucket(reached), lake, HOUR, listed, run_id="run", clock=Clock())

    aws.refuses = lambda request: request.method == "DELETE"
    swept = sweep_hour(reached, lake, HOUR, listed, run_id="run", clock=Clock())

    assert swept["outcome"].unique().to_list() == ["failed"]
    assert "s3:DeleteObject" in swept["error"][0]
    assert LogBucket(reached).objects([START.date()]).height == listed.height


def test_a_refused_namespace_keeps_the_datapoints_that_were_there(export: Export, lake: Lake, aws: RefusingAws) -> None:
    clock = Clock()
    clock.at = START + timedelta(hours=2)
    reached = access(export)
    accounts = dict.fromkeys([reached.primary.account_id], reached)
    before = collect_hour(accounts, lake, HOUR, clock=clock)
    rows = lake["metric_series"].read()

    aws.refuses = lambda request: "GetMetricData" in request.target
    after = collect_hour(accounts, lake, HOUR, clock=clock)

    assert before.rows > 0
    assert after.rows == before.rows
    assert lake["metric_series"].read().equals(rows)
    assert set(after.failures["namespace"]) <= {"AWS/EC2", "AWS/NATGateway"}
    assert after.failures["outcome"].unique().to_list() == ["denied"]
