"""All pages of one operation, and what became of it: an error is never an empty list."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from kentik_dagster.aws.calls import MALFORMED, WITHHELD, Answer, all_pages
from kentik_dagster.catalog.outcomes import Outcome
from tests.fake_aws import FakeAws
from tests.fake_aws.test_fake_aws import client

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
CANARY = "CANARY-PRE-SHARED-KEY"

# One operation of each protocol and kind of paging.
CONNECTIONS = ("directconnect", "describe_connections", "connections")
VPCS = ("ec2", "describe_vpcs", "Vpcs")
LISTS = [
    VPCS,
    CONNECTIONS,
    ("ec2", "describe_vpn_connections", "VpnConnections"),
    ("elb", "describe_load_balancers", "LoadBalancerDescriptions"),
    ("elbv2", "describe_load_balancers", "LoadBalancers"),
    ("iam", "list_account_aliases", "AccountAliases"),
    ("network-firewall", "list_firewalls", "Firewalls"),
    ("networkmanager", "list_core_networks", "CoreNetworks"),
    ("organizations", "list_accounts", "Accounts"),
]
every_protocol = pytest.mark.parametrize(("service", "name", "rows"), LISTS)


@pytest.fixture(scope="module")
def running() -> Iterator[FakeAws]:
    with FakeAws() as fake:
        yield fake


@pytest.fixture
def fake(running: FakeAws) -> Iterator[FakeAws]:
    yield running
    running.page_size, running.empty_pages = None, False


_clients: dict[tuple[str, str], Any] = {}


def ask(fake: FakeAws, service: str, name: str, rows: str, **more: Any) -> Answer:
    key = (fake.url, service)
    if key not in _clients:
        _clients[key] = client(fake, service)
    return all_pages(_clients[key], name, rows, clock=lambda: NOW, **more)


def api_name(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


@pytest.mark.parametrize("empty_pages", [False, True])
@pytest.mark.parametrize(("call", "row"), [(VPCS, {"VpcId": "vpc-1"}), (CONNECTIONS, {"connectionId": "dxcon-1"})])
def test_all_pages_are_read_with_a_paginator_and_without(
    fake: FakeAws, call: tuple[str, str, str], row: dict[str, str], empty_pages: bool
) -> None:
    service, name, rows = call
    fake.answers(None, None, service, api_name(name), {rows: [row] * 5})
    fake.page_size, fake.empty_pages = 2, empty_pages

    answer = ask(fake, service, name, rows, page_size=100)

    assert (answer.outcome, len(answer.items)) == (Outcome.OBSERVED, 5)
    assert answer.pages == (6 if empty_pages else 3)


@pytest.mark.parametrize(("service", "name", "rows", "member"), [(*VPCS, "MaxResults"), (*CONNECTIONS, "maxResults")])
def test_the_page_size_is_said_with_every_page(fake: FakeAws, service: str, name: str, rows: str, member: str) -> None:
    asked: list[dict[str, Any]] = []

    def answer(parameters: dict[str, Any]) -> dict[str, Any]:
        asked.append(parameters)
        return {rows: [{}] * 3}

    fake.answers(None, None, service, api_name(name), answer)
    fake.page_size = 1
    ask(fake, service, name, rows, page_size=77)

    assert [parameters[member] for parameters in asked] == [77] * 3


@every_protocol
def test_a_denial_is_no_empty_list(fake: FakeAws, service: str, name: str, rows: str) -> None:
    with fake.deny(service=service):
        answer = ask(fake, service, name, rows)

    assert answer.outcome is Outcome.DENIED
    assert f"{api_name(name)} operation" in str(answer.error_message)


def test_pages_before_a_failure_are_no_answer(fake: FakeAws) -> None:
    fake.answers(None, None, "ec2", "DescribeVpcs", {"Vpcs": [{"VpcId": "vpc-1"}] * 3})
    fake.page_size = 1

    with fake.fail(operation="DescribeVpcs", code="InternalError", after=2):
        answer = ask(fake, *VPCS)

    assert (answer.outcome, answer.error_code, answer.items) == (Outcome.UNAVAILABLE, "InternalError", [])
    assert answer.pages == 2


def test_what_was_asked_of_something_that_vanished_is_observed_to_be_empty(fake: FakeAws) -> None:
    parameters = {"PrefixListId": "pl-1"}

    with fake.vanish("ec2", "GetManagedPrefixListEntries", parameters):
        answer = ask(fake, "ec2", "get_managed_prefix_list_entries", "Entries", parameters=parameters)

    assert (answer.outcome, answer.items) == (Outcome.OBSERVED, [])


def test_a_list_of_everything_cannot_vanish(fake: FakeAws) -> None:
    with fake.fail(operation="DescribeVpcs", code="NotFound", status=404):
        answer = ask(fake, *VPCS)

    assert (answer.outcome, answer.error_code) == (Outcome.UNAVAILABLE, "NotFound")


@every_protocol
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(f"<html><body>{CANARY}</body></html>", id="page of a proxy"),
        pytest.param(f"<cut-off>{CANARY}", id="cut off XML"),
        pytest.param(f'{{"message": "{CANARY}', id="cut off JSON"),
        pytest.param("", id="nothing"),
        pytest.param("{}", id="empty JSON"),
    ],
)
def test_an_answer_of_somebody_else_is_no_empty_list(
    fake: FakeAws, service: str, name: str, rows: str, body: str
) -> None:
    with fake.garble(service=service, body=body.encode()):
        answer = ask(fake, service, name, rows)

    assert (answer.outcome, answer.error_code) == (Outcome.UNAVAILABLE, MALFORMED)
    assert f"AWS's answer to {name} cannot be read" in str(answer.error_message)
    assert CANARY not in str(answer)


@every_protocol
@pytest.mark.parametrize("status", [400, 403, 500])
def test_an_error_without_a_code_does_not_quote_its_page(
    fake: FakeAws, service: str, name: str, rows: str, status: int
) -> None:
    with fake.garble(service=service, body=f"<html>{CANARY}".encode(), status=status):
        answer = ask(fake, service, name, rows)

    assert answer.outcome in (Outcome.UNAVAILABLE, Outcome.DENIED)
    assert CANARY not in str(answer)


@pytest.mark.parametrize(
    ("service", "name", "rows", "body"),
    [
        (*CONNECTIONS, b'{"connections": "a text"}'),
        (*CONNECTIONS, b'{"connections": ["a text"]}'),
        (*CONNECTIONS, b'{"connections": 7}'),
        ("networkmanager", "list_core_networks", "CoreNetworks", b'{"CoreNetworks": {"a": "text"}}'),
    ],
)
def test_a_list_that_is_none_cannot_be_read(fake: FakeAws, service: str, name: str, rows: str, body: bytes) -> None:
    with fake.garble(service=service, body=body):
        answer = ask(fake, service, name, rows)

    assert (answer.outcome, answer.error_code, answer.items) == (Outcome.UNAVAILABLE, MALFORMED, [])


@pytest.mark.parametrize(
    ("service", "name", "rows", "body"),
    [
        (*VPCS, b"<DescribeVpcsResponse><vpcSet/><nextToken>again</nextToken></DescribeVpcsResponse>"),
        (*CONNECTIONS, b'{"connections": [], "nextToken": "again"}'),
    ],
)
def test_a_token_that_leads_nowhere_is_no_end(fake: FakeAws, service: str, name: str, rows: str, body: bytes) -> None:
    with fake.garble(service=service, body=body):
        answer = ask(fake, service, name, rows)

    assert (answer.outcome, answer.error_code) == (Outcome.UNAVAILABLE, "PaginationError")


def test_rows_that_aws_keeps_back_are_said_and_the_others_kept(fake: FakeAws) -> None:
    one_of_many = (
        b"<SearchTransitGatewayRoutesResponse><routeSet><item><destinationCidrBlock>192.0.2.0/24</destinationCidrBlock>"
        b"</item></routeSet><additionalRoutesAvailable>true</additionalRoutesAvailable>"
        b"</SearchTransitGatewayRoutesResponse>"
    )
    table = {"TransitGatewayRouteTableId": "tgw-rtb-1", "Filters": [{"Name": "state", "Values": ["active"]}]}

    with fake.garble(operation="SearchTransitGatewayRoutes", body=one_of_many):
        answer = ask(
            fake, "ec2", "search_transit_gateway_routes", "Routes",
            parameters=table, withheld="AdditionalRoutesAvailable",
        )  # fmt: skip

    assert (answer.outcome, answer.error_code, len(answer.items)) == (Outcome.UNAVAILABLE, WITHHELD, 1)


def test_a_message_is_one_line_that_every_table_can_hold(fake: FakeAws) -> None:
    with fake.fail(service="directconnect", code="DirectConnectServerException", message="half \ud83d\nof a face"):
        answer = ask(fake, *CONNECTIONS)

    assert str(answer.error_message).endswith("half ? of a face")
