"""What `verify` says of one thing at a time, over an AWS that answers as told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from kentik_dagster.configuration import Configuration, Export
from kentik_dagster.core.verification import CHECKS, Finding, Status, has_failed
from kentik_dagster.work.verification import verify, verify_lake
from tests.fake_aws import FakeAws
from tests.work.snapshots import (
    HOME,
    PRIMARY,
    PRIMARY_ROLE,
    SECOND,
    SECONDARY_ROLE,
    START,
    access,
    answer_everything,
    enable_regions,
    export,
    fake_aws,
)

ANYBODY = "arn:aws:iam::999999999999:role"
NO_LOGS: dict[str, Any] = {"collect_flow_logs": False, "collect_metrics": False}


@pytest.fixture
def fake() -> Iterator[FakeAws]:
    with fake_aws() as running:
        enable_regions(running, HOME)
        running.role(PRIMARY_ROLE, trusts=running.ambient_account, external_id="unique-id")
        yield running


def findings(*checks: str, lake: str = "./lake", **changes: Any) -> list[Finding]:
    """What `verify` says of an export with these changes."""
    acme: Export = export(**changes)
    configuration = Configuration(lake=lake, exports=(acme,))
    reach = access(**changes)
    return list(verify(configuration, access_of=lambda _: reach, clock=lambda: START, checks=checks or CHECKS))


def only(found: list[Finding]) -> Finding:
    (finding,) = found
    return finding


def test_everything_that_is_well_is_said_to_be(fake: FakeAws) -> None:
    found = findings("ambient_identity", "primary_role", "external_id", "region", "metadata", **NO_LOGS)

    assert [finding.check for finding in found] == [
        "ambient_identity", "primary_role", "external_id", "region", "metadata"
    ]  # fmt: skip
    assert {finding.status for finding in found} == {Status.OK}
    assert not has_failed(found)


def trust(principal: str, **condition: Any) -> dict[str, Any]:
    """A trust policy."""
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole", "Condition": condition}
    return {"Version": "2012-10-17", "Statement": [statement]}


@pytest.mark.parametrize(
    ("policy", "sent", "to_do"),
    [
        (trust("arn:aws:iam::999999999999:role/other"), "unique-id", "name that as the principal"),
        (trust("*", StringEquals={"sts:ExternalId": "x"}), "unique-id", "make them the same"),
        (trust("*", StringEquals={"sts:ExternalId": "x"}), None, "add external_id to the export"),
        (trust("*", ArnEquals={"aws:PrincipalArn": "arn:aws:iam:9:role/r"}), "unique-id", "is no ARN and never true"),
        (trust("*", ArnEquals={"aws:PrincipalArn": f"{ANYBODY}/r"}), "unique-id", "name it there"),
        ({"Statement": []}, "unique-id", "no statement of its trust policy allows sts:AssumeRole"),
    ],
)  # fmt: skip
def test_a_trust_policy_that_can_be_read_tells_the_reason(
    policy: dict[str, Any], sent: str | None, to_do: str, fake: FakeAws
) -> None:
    arn = f"arn:aws:iam::{fake.ambient_account}:role/KentikPrimary"
    fake.role(arn, trusts="888888888888")
    fake.answers(None, None, "iam", "GetRole", role_answer(arn, policy))
    fake.deny(service="iam", operation="SimulatePrincipalPolicy")

    finding = only(findings("primary_role", iam_role_arn=arn, external_id=sent, **NO_LOGS))

    assert finding.status is Status.FAILED
    assert to_do in finding.to_do


def role_answer(arn: str, policy: dict[str, Any]) -> dict[str, Any]:
    return {"Role": {
        "Path": "/", "RoleName": arn.rpartition("/")[2], "RoleId": "AROA", "Arn": arn, "CreateDate": START,
        "AssumeRolePolicyDocument": quote(json.dumps(policy)),
    }}  # fmt: skip


def test_a_missing_role_in_our_own_account_is_said_to_be_missing(fake: FakeAws) -> None:
    arn = f"arn:aws:iam::{fake.ambient_account}:role/Missing"
    fake.fail(service="iam", operation="GetRole", code="NoSuchEntity", status=404)
    fake.deny(service="iam", operation="SimulatePrincipalPolicy")

    finding = only(findings("primary_role", iam_role_arn=arn, **NO_LOGS))

    assert finding.to_do == f"there is no role {arn}: create it, or correct its name"


def test_our_own_missing_permission_is_said(fake: FakeAws) -> None:
    fake.role(PRIMARY_ROLE, trusts="888888888888")
    denied = {"EvaluationResults": [{"EvalActionName": "sts:AssumeRole", "EvalDecision": "implicitDeny"}]}
    fake.answers(None, None, "iam", "SimulatePrincipalPolicy", denied)

    finding = only(findings("primary_role", **NO_LOGS))

    assert f"grant it sts:AssumeRole on {PRIMARY_ROLE}" in finding.to_do


def test_where_nobody_tells_the_reason_all_that_may_be_are_said(fake: FakeAws) -> None:
    fake.role(PRIMARY_ROLE, trusts="888888888888")
    fake.deny(service="iam")

    finding = only(findings("primary_role", **NO_LOGS))

    assert "AWS does not say why" in finding.says
    assert finding.to_do.count("; or ") == 3


def test_what_follows_a_role_that_refuses_is_skipped_and_said(fake: FakeAws) -> None:
    fake.role(PRIMARY_ROLE, trusts="888888888888")

    statuses = {finding.check: finding.status for finding in findings(**NO_LOGS) if finding.export}

    assert statuses["metadata"] is Status.SKIPPED


def test_a_role_that_opens_without_the_external_id_is_a_warning(fake: FakeAws) -> None:
    fake.role(PRIMARY_ROLE, trusts=fake.ambient_account)

    finding = only(findings("external_id", **NO_LOGS))

    assert finding.status is Status.WARNING
    assert "add the condition StringEquals sts:ExternalId" in finding.to_do


def test_one_bad_account_hides_no_other(fake: FakeAws) -> None:
    good = f"arn:aws:iam::{SECOND}:role/{SECONDARY_ROLE}"
    fake.role(good, trusts=PRIMARY_ROLE)

    found = findings("secondary_account", secondary_accounts=(SECOND, "333344445555"), **NO_LOGS)

    assert {finding.account_id: finding.status for finding in found} == {
        SECOND: Status.OK, "333344445555": Status.FAILED
    }  # fmt: skip


def test_each_operation_that_is_denied_is_named(fake: FakeAws) -> None:
    fake.deny(PRIMARY, None, "ec2", "DescribeSubnets")
    fake.deny(PRIMARY, None, "elbv2", "DescribeTargetGroups")

    finding = only(findings("metadata", **NO_LOGS))

    assert finding.status is Status.FAILED
    assert finding.to_do == f"grant ec2:DescribeSubnets, elasticloadbalancing:DescribeTargetGroups to {PRIMARY_ROLE}"
    outcomes = {(one["service"], one["operation"]): one["outcome"] for one in finding.details}
    assert outcomes["ec2", "describe_subnets"] == "denied"
    assert outcomes["ec2", "describe_vpcs"] == "observed"


def test_what_published_policies_lack_most_is_a_warning(fake: FakeAws) -> None:
    fake.deny(PRIMARY, None, "networkmanager")
    fake.deny(PRIMARY, None, "iam", "ListAccountAliases")

    finding = only(findings("metadata", **NO_LOGS))

    assert finding.status is Status.WARNING
    assert "iam:ListAccountAliases, networkmanager:DescribeGlobalNetworks" in finding.to_do


def test_an_operation_is_asked_for_one_small_page_and_one_parent(fake: FakeAws) -> None:
    tables = [{"TransitGatewayRouteTableId": f"tgw-rtb-{number:017x}"} for number in range(20)]
    fake.answers(None, None, "ec2", "DescribeTransitGatewayRouteTables", {"TransitGatewayRouteTables": tables})

    findings("metadata", **NO_LOGS)

    asked = {operation: count for (_, _, _, operation), count in fake.requests.items()}
    assert asked["DescribeTransitGatewayRouteTables"] == 1
    assert asked["SearchTransitGatewayRoutes"] == 1


def test_a_region_that_is_not_enabled_is_said(fake: FakeAws) -> None:
    enable_regions(fake, HOME, not_enabled=("me-south-1",))

    finding = only(findings("region", regions_used=(HOME, "me-south-1"), **NO_LOGS))

    assert finding.to_do == f"enable me-south-1 in account {PRIMARY}, or take it out of regions_used"


def test_a_region_that_does_not_exist_is_said(fake: FakeAws) -> None:
    found = findings("region", regions_used=(HOME, "eu-west-9"), **NO_LOGS)

    assert "correct region and regions_used of export 'acme'" in found[0].to_do


def test_an_organization_that_does_not_tell_is_said_with_where_it_would(fake: FakeAws) -> None:
    fake.deny(service="organizations")

    finding = only(findings("organization", organization_role=True, **NO_LOGS))

    assert finding.status is Status.FAILED
    assert "delegated administrator" in finding.to_do


def flow_log(vpc_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "FlowLogId": f"fl-{vpc_id}", "ResourceId": vpc_id, "FlowLogStatus": "ACTIVE", "DeliverLogsStatus": "SUCCESS",
        "LogDestinationType": "s3", "LogDestination": "arn:aws:s3:::acme-logs", "TrafficType": "ALL",
        "MaxAggregationInterval": 60, "LogFormat": "${version} ${account-id} ${interface-id}",
    } | changes  # fmt: skip


def test_each_network_and_flow_log_is_judged(fake: FakeAws) -> None:
    names = ("vpc-read", "vpc-none", "vpc-failing", "vpc-elsewhere")
    vpcs = [{"VpcId": name, "OwnerId": PRIMARY, "IsDefault": False} for name in names]
    fake.answers(None, None, "ec2", "DescribeVpcs", {"Vpcs": vpcs})
    logs = [
        flow_log("vpc-read"),
        flow_log("vpc-failing", DeliverLogsStatus="FAILED", DeliverLogsErrorMessage="Access error"),
        flow_log("vpc-elsewhere", LogDestination="arn:aws:s3:::other-logs"),
    ]
    fake.answers(None, None, "ec2", "DescribeFlowLogs", {"FlowLogs": logs})

    found = findings("flow_logs", "flow_log_format", collect_metrics=False)
    states = {finding.subject: (finding.status, finding.to_do) for finding in found if finding.check == "flow_logs"}

    assert states["vpc vpc-read"] == (Status.OK, "")
    assert states["vpc vpc-none"] == (Status.FAILED, "create one to s3://acme-logs/")
    assert states["vpc vpc-failing"][0] is Status.FAILED
    assert "delivery.logs.amazonaws.com" in states["vpc vpc-failing"][1]
    assert states["vpc vpc-elsewhere"][0] is Status.FAILED
    (form,) = [finding for finding in found if finding.check == "flow_log_format"]
    assert form.status is Status.WARNING
    assert "records of at most one minute; it lacks srcaddr, dstaddr" in form.says


def test_a_default_vpc_without_interfaces_is_no_reason_to_worry(fake: FakeAws) -> None:
    vpc = {"VpcId": "vpc-default", "OwnerId": PRIMARY, "IsDefault": True}
    fake.answers(None, None, "ec2", "DescribeVpcs", {"Vpcs": [vpc]})

    (finding,) = findings("flow_logs", collect_metrics=False)

    assert finding.status is Status.SKIPPED


def test_a_lake_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    assert verify_lake(str(tmp_path / "lake"), HOME).status is Status.OK
    assert list((tmp_path / "lake").iterdir()) == []
    finding = verify_lake(str(tmp_path / "file"), HOME)
    assert (finding.status, finding.to_do[:24]) == (Status.FAILED, "make the folder writable")


def test_what_was_read_does_not_hold_the_external_id(fake: FakeAws) -> None:
    answer_everything(fake)
    fake.role(PRIMARY_ROLE, trusts="888888888888")

    assert "unique-id" not in str([finding.as_dict() for finding in findings(**NO_LOGS)])
