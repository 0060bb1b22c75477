"""A snapshot of one account: every operation of the catalog, wherever it is to be asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from kentik_dagster.aws.fan_out import Observation
from kentik_dagster.aws.network import observe_account
from kentik_dagster.aws.sessions import AccountAccess
from kentik_dagster.catalog.network import Reach
from kentik_dagster.catalog.network_operations import OPERATIONS
from kentik_dagster.catalog.outcomes import Outcome
from kentik_dagster.core.resources import resources
from tests.catalog.made_up_answers import made_up_answer
from tests.fake_aws import FakeAws
from tests.work.snapshots import ELSEWHERE, HOME, PRIMARY, START, access, answer_everything, enable_regions, fake_aws

LIMITS = ("MaxResults", "maxResults", "PageSize", "MaxItems")
TABLES = ("tgw-rtb-1", "tgw-rtb-2", "tgw-rtb-3")
REGIONAL = [one for one in OPERATIONS if one.reach is Reach.REGION]


@pytest.fixture(scope="module")
def running() -> Iterator[FakeAws]:
    with fake_aws() as fake:
        yield fake


@pytest.fixture(scope="module")
def account(running: FakeAws) -> AccountAccess:
    return access().primary


@pytest.fixture
def fake(running: FakeAws) -> Iterator[FakeAws]:
    """One row of everything."""
    answer_everything(running)
    yield running
    running.page_size, running.empty_pages = None, False


def observe(account: AccountAccess, *regions: str) -> list[Observation]:
    return list(observe_account(account, regions or (HOME,), home_region=HOME, clock=lambda: START))


def observed(account: AccountAccess, name: str, service: str = "ec2") -> Observation:
    """What one operation showed."""
    seen = observe(account)
    return next(one for one in seen if (one.operation.service, one.operation.name) == (service, name))


def transit_gateway_tables(fake: FakeAws, *tables: str) -> None:
    rows = [{"TransitGatewayRouteTableId": table} for table in tables]
    fake.answers(None, None, "ec2", "DescribeTransitGatewayRouteTables", {"TransitGatewayRouteTables": rows})


def asked_of(fake: FakeAws, service: str, api_name: str, answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parameters of every request for an operation from now on."""
    asked: list[dict[str, Any]] = []

    def recorded(parameters: dict[str, Any]) -> Mapping[str, Any]:
        asked.append(parameters)
        return answer

    fake.answers(None, None, service, api_name, recorded)
    return asked


# Everything


@pytest.mark.parametrize(("page_size", "empty_pages"), [(None, False), (2, False), (2, True)])
def test_every_operation_of_the_catalog_is_observed_and_shows_its_resources(
    fake: FakeAws, account: AccountAccess, page_size: int | None, empty_pages: bool
) -> None:
    fake.page_size, fake.empty_pages = page_size, empty_pages

    seen = observe(account)

    shown = {
        one.operation: resources(one.answer.items, one.operation, account_id=PRIMARY, region=one.region) for one in seen
    }
    assert {one.answer.outcome for one in seen} == {Outcome.OBSERVED}
    assert {one.unobserved for one in seen} == {frozenset()}
    assert set(shown) == set(OPERATIONS)
    assert len(seen) == len(OPERATIONS)
    assert [one.name for one, found in shown.items() if found.rows.is_empty() or found.rejected] == []


def test_every_page_of_every_list_is_read(fake: FakeAws, account: AccountAccess) -> None:
    rows = {"ec2": {"Vpcs": "VpcId"}, "directconnect": {"virtualInterfaces": "virtualInterfaceId"}}
    for service, members in rows.items():
        for member, key in members.items():
            operation = f"Describe{member[:1].upper()}{member[1:]}"
            fake.answers(None, None, service, operation, {member: [{key: f"a-{number}"} for number in range(7)]})
    fake.page_size, fake.empty_pages = 2, True

    seen = {one.operation.resource_type: one.answer for one in observe(account)}

    for resource_type in ("vpc", "virtual_interface"):
        assert (len(seen[resource_type].items), seen[resource_type].pages) == (7, 8)


def test_every_request_says_how_long_pages_may_be(fake: FakeAws, account: AccountAccess) -> None:
    asked = {}
    for one in OPERATIONS:
        answer = made_up_answer(one.service, one.api_name)
        asked[one] = asked_of(fake, one.service, one.api_name, answer)
    enable_regions(fake, HOME)
    fake.empty_pages = True

    observe(account)

    limits = {
        one: [[parameters[limit] for limit in LIMITS if limit in parameters] for parameters in requests]
        for one, requests in asked.items()
        if requests
    }
    wrong = {
        one.name: said for one, said in limits.items() if said != [[one.page_size] if one.page_size else []] * len(said)
    }
    assert wrong == {}
    assert len(limits) > len(OPERATIONS) - 3


# Fan-outs


def test_what_is_asked_of_each_parent_is_asked_once_of_each(fake: FakeAws, account: AccountAccess) -> None:
    transit_gateway_tables(fake, *TABLES, TABLES[0])
    routes = {"Routes": [{"DestinationCidrBlock": "192.0.2.0/24"}], "AdditionalRoutesAvailable": False}
    asked = asked_of(fake, "ec2", "SearchTransitGatewayRoutes", routes)

    seen = observed(account, "search_transit_gateway_routes")

    assert sorted(parameters["TransitGatewayRouteTableId"] for parameters in asked) == list(TABLES)
    assert Counter(row["TransitGatewayRouteTableId"] for row in seen.answer.items) == dict.fromkeys(TABLES, 1)


def test_routes_of_a_core_network_are_asked_of_each_segment_and_edge_by_its_owner(
    fake: FakeAws, account: AccountAccess
) -> None:
    segments = [
        {"Name": "prod", "EdgeLocations": ["us-east-1", "eu-west-1"]},
        {"Name": "test", "EdgeLocations": ["us-east-1"]},
        {"Name": "empty"},
    ]
    networks = {
        "core-own": {"CoreNetworkArn": f"arn:aws:networkmanager::{PRIMARY}:core-network/core-own"},
        "core-shared": {"CoreNetworkArn": "arn:aws:networkmanager::999988887777:core-network/core-shared"},
    }
    listed = [{"CoreNetworkId": name} for name in networks]
    fake.answers(None, None, "networkmanager", "ListCoreNetworks", {"CoreNetworks": listed})
    for name, arn in networks.items():
        network = {"CoreNetworkId": name, "GlobalNetworkId": "global-1", "Segments": segments, **arn}
        when = {"CoreNetworkId": name}
        fake.answers(None, None, "networkmanager", "GetCoreNetwork", {"CoreNetwork": network}, when=when)
    asked = asked_of(fake, "networkmanager", "GetNetworkRoutes", {"NetworkRoutes": []})

    seen = observed(account, "get_network_routes", "networkmanager")

    places = [parameters["RouteTableIdentifier"]["CoreNetworkSegmentEdge"] for parameters in asked]
    assert sorted(tuple(place.values()) for place in places) == [
        ("core-own", "prod", "eu-west-1"), ("core-own", "prod", "us-east-1"), ("core-own", "test", "us-east-1"),
    ]  # fmt: skip
    assert (seen.answer.outcome, seen.unobserved) == (Outcome.OBSERVED, frozenset())


def test_rule_groups_that_aws_manages_are_not_asked_for(fake: FakeAws, account: AccountAccess) -> None:
    own, managed = (
        "arn:aws:network-firewall:us-east-1:111122223333:rg/own",
        "arn:aws:nf:us-east-1:aws-managed:rg/theirs",
    )
    policy = made_up_answer("network-firewall", "DescribeFirewallPolicy")
    policy["FirewallPolicy"] |= {
        "StatefulRuleGroupReferences": [{"ResourceArn": own}, {"ResourceArn": managed}],
        "StatelessRuleGroupReferences": [{"ResourceArn": own, "Priority": 1}],
    }
    fake.answers(None, None, "network-firewall", "DescribeFirewallPolicy", policy)
    group = made_up_answer("network-firewall", "DescribeRuleGroup")
    asked = asked_of(fake, "network-firewall", "DescribeRuleGroup", group)

    observe(account)

    assert [parameters["RuleGroupArn"] for parameters in asked] == [own]


def test_a_failing_parent_is_named_and_the_others_are_observed(fake: FakeAws, account: AccountAccess) -> None:
    transit_gateway_tables(fake, *TABLES)

    with fake.deny(operation="SearchTransitGatewayRoutes", when={"TransitGatewayRouteTableId": TABLES[1]}):
        seen = observed(account, "search_transit_gateway_routes")

    assert (seen.answer.outcome, seen.answer.error_code) == (Outcome.DENIED, "UnauthorizedOperation")
    assert "1 of 3 requests failed, such as that of tgw-rtb-2" in str(seen.answer.error_message)
    assert {row["TransitGatewayRouteTableId"] for row in seen.answer.items} == {TABLES[0], TABLES[2]}
    assert seen.unobserved == frozenset({TABLES[1]})


def test_a_parent_that_vanished_has_no_children(fake: FakeAws, account: AccountAccess) -> None:
    transit_gateway_tables(fake, *TABLES)

    with fake.vanish("ec2", "SearchTransitGatewayRoutes", {"TransitGatewayRouteTableId": TABLES[1]}):
        seen = observed(account, "search_transit_gateway_routes")

    assert (seen.answer.outcome, seen.unobserved) == (Outcome.OBSERVED, frozenset())
    assert {row["TransitGatewayRouteTableId"] for row in seen.answer.items} == {TABLES[0], TABLES[2]}


def test_with_a_parent_that_says_no_id_nobody_knows_what_is_not_there(fake: FakeAws, account: AccountAccess) -> None:
    rows = [{"TransitGatewayRouteTableId": TABLES[0]}, {"State": "available"}]
    fake.answers(None, None, "ec2", "DescribeTransitGatewayRouteTables", {"TransitGatewayRouteTables": rows})

    seen = observed(account, "search_transit_gateway_routes")

    assert (seen.answer.outcome, seen.answer.error_code) == (Outcome.UNAVAILABLE, "MalformedAnswer")
    assert {row["TransitGatewayRouteTableId"] for row in seen.answer.items} == {TABLES[0]}
    assert seen.unobserved is None


def test_a_parent_that_lacks_what_it_is_chosen_by_ends_no_snapshot(fake: FakeAws, account: AccountAccess) -> None:
    network = {"CoreNetworkId": "core-1", "GlobalNetworkId": "global-1", "Segments": [{"EdgeLocations": ["us-east-1"]}]}
    fake.answers(None, None, "networkmanager", "GetCoreNetwork", {"CoreNetwork": network})

    seen = observed(account, "get_network_routes", "networkmanager")

    assert (seen.answer.error_code, seen.unobserved) == ("MalformedAnswer", None)


# Throttling and expired sessions


@pytest.mark.parametrize(
    ("service", "name"),
    [("ec2", "describe_vpcs"), ("directconnect", "describe_lags"), ("elb", "describe_load_balancers")],
)
def test_throttled_requests_are_sent_again_and_counted(
    fake: FakeAws, account: AccountAccess, service: str, name: str
) -> None:
    api_name = "".join(word.capitalize() for word in name.split("_"))

    with fake.throttle(service=service, operation=api_name, times=2):
        seen = observed(account, name, service)
    again = observed(account, name, service)

    assert (seen.answer.outcome, len(seen.answer.items), seen.throttled) == (Outcome.OBSERVED, 1, 2)
    assert again.throttled == 0


def test_a_session_that_expires_in_the_middle_is_renewed(fake: FakeAws, account: AccountAccess) -> None:
    is_first = True

    def expiring(parameters: dict[str, Any]) -> dict[str, Any]:
        nonlocal is_first
        if is_first:
            is_first = False
            fake.expire_sessions()
        return {"Vpcs": [{"VpcId": "vpc-1"}]}

    fake.answers(None, None, "ec2", "DescribeVpcs", expiring)

    seen = observe(account)

    assert not is_first
    assert {one.answer.outcome for one in seen} == {Outcome.OBSERVED}


# Regions


def test_regions_are_asked_for_what_is_theirs_and_one_for_what_is_global(fake: FakeAws, account: AccountAccess) -> None:
    seen = observe(account, HOME, ELSEWHERE)

    regions = Counter(one.operation for one in seen)
    assert {one.name for one, times in regions.items() if times == 2} == {one.name for one in REGIONAL}
    assert {times for one, times in regions.items() if one.reach is not Reach.REGION} == {1}
    homes = {one.operation.service: one.region for one in seen if one.operation.reach is Reach.SERVICE_HOME}
    assert homes == {"iam": "us-east-1", "networkmanager": "us-west-2"}


def test_a_region_that_is_named_twice_is_asked_once(fake: FakeAws, account: AccountAccess) -> None:
    seen = observe(account, HOME, ELSEWHERE, HOME)

    assert set(Counter((one.region, one.operation) for one in seen).values()) == {1}


@pytest.mark.parametrize("is_listed", [False, True])
def test_a_region_that_is_not_enabled_is_skipped_and_asked_nothing(
    fake: FakeAws, account: AccountAccess, is_listed: bool
) -> None:
    enable_regions(fake, HOME, not_enabled=("me-south-1",) if is_listed else ())

    seen = [one for one in observe(account, HOME, "me-south-1") if one.region == "me-south-1"]

    assert {one.operation.name for one in seen} == {one.name for one in REGIONAL}
    assert {(one.answer.outcome, one.answer.error_code) for one in seen} == {(Outcome.SKIPPED, "RegionNotEnabled")}
    assert {one.unobserved for one in seen} == {None}
    assert [key for key in fake.requests if key[1] == "me-south-1"] == []


def test_where_regions_may_not_be_listed_they_are_asked_as_configured(fake: FakeAws, account: AccountAccess) -> None:
    with fake.deny(operation="DescribeRegions"):
        seen = observe(account, HOME, ELSEWHERE)

    outcomes = Counter((one.region, one.answer.outcome) for one in seen if one.operation.reach is Reach.REGION)
    assert outcomes == {(region, Outcome.OBSERVED): len(REGIONAL) for region in (HOME, ELSEWHERE)}
    assert [one.operation.name for one in seen if one.answer.outcome is Outcome.DENIED] == ["describe_regions"]


@pytest.mark.parametrize("rows", [b"", b"<item><optInStatus>opted-in</optInStatus></item>"])
def test_a_list_of_regions_without_names_says_nothing_of_the_regions(
    fake: FakeAws, account: AccountAccess, rows: bytes
) -> None:
    body = b"<DescribeRegionsResponse><regionInfo>" + rows + b"</regionInfo></DescribeRegionsResponse>"

    with fake.garble(operation="DescribeRegions", body=body):
        seen = observe(account)

    assert {one.answer.outcome for one in seen if one.operation in REGIONAL} == {Outcome.OBSERVED}
