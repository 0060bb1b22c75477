"""What AWS does not show stays as it is known, and says so: operations, accounts, regions, parents, roles, garbage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import polars as pl
import pytest

from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.catalog.network import Operation
from kentik_dagster.catalog.network_operations import OPERATIONS
from kentik_dagster.core.metadata_health import skipped_regions, unreachable_accounts
from kentik_dagster.errors import LakeError
from kentik_dagster.lake.tables import Lake
from kentik_dagster.work.metadata import collect_metadata
from tests.fake_aws import FakeAws
from tests.work.snapshots import (
    ELSEWHERE,
    FOURTH,
    HOME,
    PRIMARY,
    PRIMARY_ROLE,
    SECOND,
    SECONDARY_ROLE,
    SERVICES,
    START,
    THIRD,
    Snapshots,
    access,
    answer_everything,
    descendants,
    enable_regions,
    fake_aws,
    operation,
)

TABLES = ("tgw-rtb-1", "tgw-rtb-2", "tgw-rtb-3")
DENIED = {"ec2": "UnauthorizedOperation", "iam": "AccessDenied", "elb": "AccessDenied", "elbv2": "AccessDenied"}


@pytest.fixture(scope="module")
def running() -> Iterator[FakeAws]:
    """One row of everything; tests that change that leave it as it was."""
    with fake_aws() as fake:
        answer_everything(fake)
        yield fake


@pytest.fixture(scope="module")
def reached(running: FakeAws) -> ExportAccess:
    return access()


@pytest.fixture
def fake(running: FakeAws) -> Iterator[FakeAws]:
    """The same, for tests that give other answers."""
    yield running
    answer_everything(running)
    running.roles.clear()
    running.open_trust = True


@pytest.fixture
def snapshots(reached: ExportAccess, fake: FakeAws, tmp_path: Path) -> Snapshots:
    """Of the primary account: its clients serve all tests."""
    return Snapshots(Lake(str(tmp_path / "lake")), reached)


@pytest.fixture(scope="module")
def known(running: FakeAws, reached: ExportAccess, tmp_path_factory: pytest.TempPathFactory) -> Snapshots:
    """A lake that knows everything there is, for tests that add nothing to it."""
    snapshots = Snapshots(Lake(str(tmp_path_factory.mktemp("lake"))), reached)
    snapshots.take()
    return snapshots


# Operations, accounts and regions that are denied


# Operations that do not need each other are denied in one turn, so that eleven snapshots are enough for all.
TURNS = [
    [one for service in SERVICES for one in [each for each in OPERATIONS if each.service == service][turn::11]]
    for turn in range(11)
]


@pytest.mark.parametrize("turn", TURNS, ids=range(11))
def test_denied_operations_remove_nothing_and_are_the_only_ones_that_are_denied(
    running: FakeAws, known: Snapshots, turn: list[Operation]
) -> None:
    version = known.version
    expected = {}

    with ExitStack() as rules:
        for denied in turn:
            rules.enter_context(running.deny(PRIMARY, service=denied.service, operation=denied.api_name))
            expected[denied.service, denied.name] = ("denied", DENIED.get(denied.service, "AccessDeniedException"))
            for child in descendants(denied):
                expected[denied.service, child] = ("skipped", "ParentNotObserved")
        known.take()

    assert known.outcomes() == expected
    assert known.version == version


def test_once_everything_is_permitted_again_everything_is_observed(fake: FakeAws, known: Snapshots) -> None:
    with fake.deny(PRIMARY, service="ec2"):
        known.take()
    was_seen_at = known.call("describe_vpcs")["last_observed_at"]
    version, before = known.version, known.state

    known.take()

    assert known.outcomes() == {}
    assert (known.version, known.state) == (version, before)
    assert was_seen_at < known.call("describe_vpcs")["last_observed_at"] == known.at


@pytest.fixture(scope="module")
def organization(running: FakeAws, tmp_path_factory: pytest.TempPathFactory) -> Snapshots:
    """Two accounts in two regions, all of which is known."""
    reached = access(regions_used=(HOME, ELSEWHERE))
    snapshots = Snapshots(Lake(str(tmp_path_factory.mktemp("lake"))), reached, PRIMARY, THIRD)
    snapshots.take()
    return snapshots


@pytest.mark.parametrize(("account_id", "region"), [(PRIMARY, None), (THIRD, None), (None, HOME), (None, ELSEWHERE)])
def test_a_denied_account_or_region_removes_nothing_and_troubles_no_other(
    running: FakeAws, organization: Snapshots, account_id: str | None, region: str | None
) -> None:
    version, before = organization.version, organization.state

    with ExitStack() as denied:
        for service in SERVICES:
            denied.enter_context(running.deny(account_id, region, service))
        organization.take()

    assert (organization.version, organization.state) == (version, before)
    is_denied = pl.col("operation") != "assume_role"
    if account_id is not None:
        is_denied &= pl.col("account_id") == account_id
    if region is not None:
        is_denied &= pl.col("region") == region
    outcomes = organization.calls.with_columns(is_denied=is_denied)
    assert set(outcomes.filter("is_denied")["outcome"]) == {"denied", "skipped"}
    assert set(outcomes.filter(~pl.col("is_denied"))["outcome"]) == {"observed"}


# Parents


def transit_gateway_tables(fake: FakeAws, **destinations: str) -> None:
    """Route tables, each with routes to these destinations."""
    tables = [{"TransitGatewayRouteTableId": table.replace("_", "-")} for table in destinations]
    fake.answers(None, None, "ec2", "DescribeTransitGatewayRouteTables", {"TransitGatewayRouteTables": tables})
    for table, cidrs in destinations.items():
        answer = {
            "Routes": [{"DestinationCidrBlock": cidr} for cidr in cidrs.split()],
            "AdditionalRoutesAvailable": False,
        }
        when = {"TransitGatewayRouteTableId": table.replace("_", "-")}
        fake.answers(None, None, "ec2", "SearchTransitGatewayRoutes", answer, when=when)


@pytest.fixture
def routed(fake: FakeAws, snapshots: Snapshots) -> Snapshots:
    """Three route tables with two routes each are known."""
    transit_gateway_tables(fake, **dict.fromkeys(("tgw_rtb_1", "tgw_rtb_2", "tgw_rtb_3"), "10.0.0.0/8 10.1.0.0/16"))
    snapshots.take()
    return snapshots


def test_routes_of_a_denied_table_stay_while_those_of_others_go(fake: FakeAws, routed: Snapshots) -> None:
    transit_gateway_tables(fake, tgw_rtb_1="10.0.0.0/8", tgw_rtb_2="", tgw_rtb_3="10.0.0.0/8 10.1.0.0/16")

    with fake.deny(operation="SearchTransitGatewayRoutes", when={"TransitGatewayRouteTableId": "tgw-rtb-2"}):
        routed.take()

    assert routed.ids("transit_gateway_route") == [
        "tgw-rtb-1|10.0.0.0/8", "tgw-rtb-2|10.0.0.0/8", "tgw-rtb-2|10.1.0.0/16",
        "tgw-rtb-3|10.0.0.0/8", "tgw-rtb-3|10.1.0.0/16",
    ]  # fmt: skip
    assert routed.outcomes() == {("ec2", "search_transit_gateway_routes"): ("denied", "UnauthorizedOperation")}


def test_routes_of_a_table_that_vanished_between_list_and_detail_go(fake: FakeAws, routed: Snapshots) -> None:
    with fake.vanish("ec2", "SearchTransitGatewayRoutes", {"TransitGatewayRouteTableId": "tgw-rtb-2"}):
        routed.take()

    assert {route.split("|")[0] for route in routed.ids("transit_gateway_route")} == {"tgw-rtb-1", "tgw-rtb-3"}
    assert routed.outcomes() == {}


def test_routes_of_a_table_that_is_no_longer_listed_go(fake: FakeAws, routed: Snapshots) -> None:
    transit_gateway_tables(fake, tgw_rtb_1="10.0.0.0/8", tgw_rtb_3="10.0.0.0/8")

    routed.take()

    assert routed.ids("transit_gateway_route") == ["tgw-rtb-1|10.0.0.0/8", "tgw-rtb-3|10.0.0.0/8"]
    assert routed.ids("transit_gateway_route_table") == ["tgw-rtb-1", "tgw-rtb-3"]


def test_routes_stay_where_a_table_lost_its_id(fake: FakeAws, routed: Snapshots) -> None:
    before = routed.state
    listed = [{"TransitGatewayRouteTableId": "tgw-rtb-1"}, {"State": "available"}]
    fake.answers(None, None, "ec2", "DescribeTransitGatewayRouteTables", {"TransitGatewayRouteTables": listed})

    routed.take()

    known = ("transit_gateway_route", "transit_gateway_route_table")
    assert [row for row in routed.state if row[2] == known[0]] == [row for row in before if row[2] == known[0]]
    assert routed.ids(known[1]) == list(TABLES)
    assert set(routed.outcomes().values()) == {("unavailable", "MalformedAnswer")}


# Roles


@pytest.fixture
def trusting(fake: FakeAws) -> FakeAws:
    """Roles as they should be."""
    fake.role(PRIMARY_ROLE, trusts=fake.ambient_account, external_id="unique-id")
    for account_id in (SECOND, THIRD, FOURTH):
        fake.role(role_of(account_id), trusts=PRIMARY_ROLE)
    return fake


def role_of(account_id: str) -> str:
    return f"arn:aws:iam::{account_id}:role/{SECONDARY_ROLE}"


def test_accounts_whose_roles_are_refused_are_one_row_each_with_the_likely_causes(
    trusting: FakeAws, tmp_path: Path
) -> None:
    snapshots = Snapshots(Lake(str(tmp_path / "lake")), access(), PRIMARY, SECOND, THIRD, FOURTH)
    snapshots.take()
    before = snapshots.state

    trusting.role(role_of(SECOND), trusts=PRIMARY_ROLE, external_id="one that we do not know")
    trusting.role(role_of(THIRD), trusts="999988887777")
    del trusting.roles[role_of(FOURTH)]
    snapshots.take()

    assert snapshots.state == before
    failed = snapshots.calls.filter(pl.col("outcome") != "observed")
    refused = [(one, "sts", "assume_role", "denied", "AccessDenied") for one in (SECOND, THIRD, FOURTH)]
    assert failed.select("account_id", "service", "operation", "outcome", "error_code").rows() == refused
    assert snapshots.calls.filter(account_id=THIRD).height == len(OPERATIONS) + 1
    unreachable = unreachable_accounts(snapshots.calls).to_dicts()
    assert [one["account_id"] for one in unreachable] == [SECOND, THIRD, FOURTH]
    for one in unreachable:
        caller = f"arn:aws:sts::{PRIMARY}:assumed-role/KentikPrimary/"
        for cause in (role_of(one["account_id"]), "the role exists", f"it trusts {caller}", "no external id"):
            assert cause in one["error_message"]
        assert one["last_observed_at"] < snapshots.at


@pytest.mark.parametrize("external_id", ["wrong", None])
def test_without_the_external_id_no_account_of_the_export_is_reached(
    trusting: FakeAws, tmp_path: Path, external_id: str | None
) -> None:
    snapshots = Snapshots(Lake(str(tmp_path / "lake")), access(external_id=external_id), PRIMARY, SECOND)

    snapshots.take()

    rows = snapshots.calls.select("account_id", "operation", "outcome", "error_code").rows()
    assert rows == [(one, "assume_role", "denied", "AccessDenied") for one in (PRIMARY, SECOND)]
    messages = unreachable_accounts(snapshots.calls)["error_message"].to_list()
    assert all(PRIMARY_ROLE in message and "external id" in message for message in messages)


def test_a_session_of_another_account_collects_nothing(fake: FakeAws, tmp_path: Path) -> None:
    snapshots = Snapshots(Lake(str(tmp_path / "lake")), access(), SECOND)
    other = (
        "<AssumeRoleResponse xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><AssumeRoleResult><AssumedRoleUser>"
        f"<Arn>arn:aws:sts::{THIRD}:assumed-role/{SECONDARY_ROLE}/s</Arn><AssumedRoleId>A:s</AssumedRoleId>"
        "</AssumedRoleUser><Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
        "<SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
        "</AssumeRoleResult></AssumeRoleResponse>"
    )
    secondary = {"RoleArn": role_of(SECOND)}

    with fake.garble(service="sts", operation="AssumeRole", body=other.encode(), when=secondary):
        done = snapshots.take()[SECOND]

    assert done.changes.is_empty()
    (call,) = done.calls.to_dicts()
    assert (call["operation"], call["error_code"]) == ("assume_role", "WrongAccount")
    assert f"AWS gave arn:aws:sts::{THIRD}" in call["error_message"]


# Regions


def test_a_region_that_was_disabled_is_said_and_keeps_what_is_known(fake: FakeAws, organization: Snapshots) -> None:
    before = [row for row in organization.state if row[1] == ELSEWHERE]

    enable_regions(fake, HOME, of=THIRD)
    organization.take()
    enable_regions(fake, HOME, ELSEWHERE, of=THIRD)

    assert [row for row in organization.state if row[1] == ELSEWHERE] == before
    assert skipped_regions(organization.calls).rows() == [(THIRD, ELSEWHERE)]
    skipped = organization.calls.filter(outcome="skipped")
    assert (skipped["region"].unique().to_list(), skipped["error_code"].unique().to_list()) == (
        [ELSEWHERE], ["RegionNotEnabled"],
    )  # fmt: skip
    assert skipped["last_observed_at"].null_count() == 0


# Answers that are none

GARBAGE = {
    "cut off": b"<DescribeVpcsResponse><vpcSet><item><vpcId>vpc-1</vp",
    "page of a proxy": b"<html><body>Please log in</body></html>",
}
# One operation of each protocol, with what depends on it.
HARMED = [
    ("ec2", "describe_vpcs"),
    ("ec2", "describe_transit_gateway_route_tables"),
    ("elbv2", "describe_target_groups"),
    ("iam", "list_account_aliases"),
    ("directconnect", "describe_direct_connect_gateways"),
    ("network-firewall", "describe_firewall_policy"),
    ("networkmanager", "list_core_networks"),
]


@pytest.mark.parametrize("body", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_said_removes_nothing_and_harms_nothing_else(
    running: FakeAws, known: Snapshots, body: bytes
) -> None:
    version = known.version

    with ExitStack() as garbled:
        for service, name in HARMED:
            api_name = operation(name, service).api_name
            garbled.enter_context(running.garble(PRIMARY, service=service, operation=api_name, body=body))
        known.take()

    expected = dict.fromkeys(HARMED, ("unavailable", "MalformedAnswer"))
    for service, name in HARMED:
        children = descendants(operation(name, service))
        expected |= {(service, child): ("skipped", "ParentNotObserved") for child in children}
    assert known.outcomes() == expected
    assert "cannot be read" in known.call("describe_vpcs")["error_message"]
    assert known.version == version


def test_a_row_without_an_id_is_said_and_takes_nothing_for_removed(fake: FakeAws, snapshots: Snapshots) -> None:
    fake.answers(None, None, "ec2", "DescribeVpcs", {"Vpcs": [{"VpcId": "vpc-a"}, {"VpcId": "vpc-b"}]})
    fake.answers(None, None, "directconnect", "DescribeLags", {"lags": [{"lagId": "lag-a"}]})
    snapshots.take()

    fake.answers(None, None, "ec2", "DescribeVpcs", {"Vpcs": [{"VpcId": "vpc-c"}, {"CidrBlock": "10.0.0.0/8"}]})
    fake.answers(None, None, "directconnect", "DescribeLags", {"lags": [{"lagName": "nameless"}]})
    snapshots.take()

    assert snapshots.ids("vpc") == ["vpc-a", "vpc-b", "vpc-c"]
    assert snapshots.ids("lag") == ["lag-a"]
    malformed = ("unavailable", "MalformedAnswer")
    assert snapshots.outcomes() == {("ec2", "describe_vpcs"): malformed, ("directconnect", "describe_lags"): malformed}
    message = snapshots.call("describe_vpcs")["error_message"]
    assert message.startswith("1 of 2 rows are not stored, and nothing is taken for removed: row 1 of describe_vpcs")


def test_garbage_in_one_account_harms_no_other(fake: FakeAws, organization: Snapshots) -> None:
    version = organization.version

    with fake.garble(THIRD):
        organization.take()

    harmed = organization.calls.filter(pl.col("outcome") != "observed")
    assert harmed["account_id"].unique().to_list() == [THIRD]
    assert set(harmed["outcome"]) == {"unavailable", "skipped"}
    assert organization.version == version


def test_an_error_that_no_table_could_hold_ends_no_snapshot(fake: FakeAws, snapshots: Snapshots) -> None:
    with fake.fail(service="directconnect", operation="DescribeLags", code="DirectConnectServerException",
                   status=400, message="half \ud83d of a face"):  # fmt: skip
        snapshots.take()

    assert snapshots.call("describe_lags", "directconnect")["error_message"].endswith("half ? of a face")


# Failures of our own


def test_a_failing_lake_is_raised_once_the_other_accounts_are_logged(
    fake: FakeAws, reached: ExportAccess, tmp_path: Path
) -> None:
    lake = Lake(str(tmp_path / "lake"))
    lake["metadata_changes"].open()
    (tmp_path / "lake" / "metadata_changes" / f"account_id={PRIMARY}").write_text("no folder")
    accounts = dict.fromkeys((PRIMARY, SECOND), reached)
    done: list[str] = []

    with pytest.raises(LakeError) as raised:
        done.extend(one.account_id for one in collect_metadata(accounts, lake, clock=lambda: START))

    assert raised.value.__notes__ == [f"in account {PRIMARY}"]
    assert done == [SECOND]
    for table in ("metadata_changes", "metadata_calls"):
        assert set(lake[table].read()["account_id"]) == {SECOND}
