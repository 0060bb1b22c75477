"""Accounts that nobody here made up: every address in them is found where a right reader of the samples finds it."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import jmespath
import polars as pl
import pytest

from kentik_dagster.catalog.network_operations import OPERATIONS
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.address_book import address_book
from kentik_dagster.core.address_index import AddressIndex
from kentik_dagster.core.network import Scope, new_changes
from kentik_dagster.core.resolution import resolve
from kentik_dagster.core.resources import resources
from kentik_dagster.core.schemas import no_rows
from tests.core.made_up_book import asked, at

FOLDERS = (
    "hybrid-cloud-aws", "test-direct-connect-gateway", "test-load-balancer", "test-public-subnet", "test-subnet",
    "test-transit-gateway", "test-transit-gateway-multi-account", "test-transit-gateway-multi-table",
    "test-vpc-endpoint-interface", "test-vpc-peering",
)  # fmt: skip
WITH_PUBLIC_ADDRESSES = (
    "test-load-balancer", "test-public-subnet", "test-transit-gateway", "test-transit-gateway-multi-account",
    "test-transit-gateway-multi-table", "test-vpc-endpoint-interface",
)  # fmt: skip
TRACED = (
    "test-public-subnet", "test-subnet", "test-transit-gateway", "test-transit-gateway-multi-account",
    "test-transit-gateway-multi-table", "test-vpc-peering",
)  # fmt: skip
# Files are named after the operation of EC2, `Describe` and then the file's name; but for these.
_OPERATIONS = {one.api_name.removeprefix("Describe"): one for one in OPERATIONS if one.service == "ec2"}
_OPERATIONS["Reservations"] = _OPERATIONS["Instances"]
_GATEWAY_ROUTES = "TransitGatewayStaticRoutes"  # one answer for each route table
_INTERNET = "8.8.8.8"


@dataclass(frozen=True, slots=True)
class Sample:
    """A recorded sample.

    Attributes:
        facts: what a right reader finds in it.
        route_tables: as AWS describes them.
        index: who had which address from minute 0 on.
    """

    facts: Mapping[str, Any]
    route_tables: list[dict[str, Any]]
    index: AddressIndex

    def asked(self, questions: Iterable[tuple[str | None, str | None, str]], when: datetime) -> list[dict[str, Any]]:
        """The answers, with what is known of the owner, to questions of a VPC, a route table and an address."""
        rows = [(vpc, via, address, None, False, when, when) for vpc, via, address in questions]
        found = resolve(asked(rows, self.index), self.index)
        owners = self.index.owners.select("vpc_id", "address", "eni_id", "subnet_id", "account_id", "instance_id")
        return pl.concat(
            [found.drop("owner"), owners.select(pl.all().gather(found["owner"]))], how="horizontal"
        ).to_dicts()

    def places(self) -> list[tuple[str | None, str | None]]:
        """From where an address can be asked for: every VPC with each of its route tables, or from nowhere known."""
        tables = [(table["VpcId"], table["RouteTableId"]) for table in self.route_tables]
        return [(None, None), *((vpc, None) for vpc in self.facts["vpc_cidrs"]), *tables]

    def place_of(self, instance_id: str) -> tuple[str, str]:
        """The VPC of an instance, and the route table of its subnet."""
        place = next(one for one in self.facts["private_ip_to_eni"].values() if one.get("instance") == instance_id)
        vpc, subnet = (self.index.codes.of(pl.Series([place[name]])) for name in ("vpc", "subnet"))
        (table,) = self.index.topology(at(5)).route_tables(vpc, subnet)
        tables = [one["RouteTableId"] for one in self.route_tables]
        return place["vpc"], tables[self.index.codes.of(pl.Series(tables)).tolist().index(table)]


@pytest.fixture(params=FOLDERS)
def sample(request: pytest.FixtureRequest, samples: Path) -> Sample:
    return _read(samples / "metadata", request.param)


@pytest.fixture
def peered(samples: Path) -> Sample:
    """Two VPCs with one range, both peered with a third."""
    return _read(samples / "metadata", "test-vpc-peering")


def test_every_private_address_is_its_interfaces(sample: Sample) -> None:
    facts = sample.facts["private_ip_to_eni"].values()
    keys = [key.split("|") for key in sample.facts["private_ip_to_eni"]]

    found = sample.asked([(vpc, None, address) for vpc, address in keys], at(5))

    assert facts
    assert {(one["resolution"], one["is_in_vpc"], one["gateway_id"]) for one in found} == {("exact", True, None)}
    columns = ("eni_id", "subnet_id", "account_id", "instance_id", "vpc_id", "address")
    assert [tuple(one[name] for name in columns) for one in found] == [
        (fact["eni"], fact["subnet"], fact["owner"], fact.get("instance"), vpc, address)
        for fact, (vpc, address) in zip(facts, keys, strict=True)
    ]


def test_before_the_first_snapshot_an_address_is_its_first_known_owners(peered: Sample) -> None:
    facts = peered.facts["private_ip_to_eni"]

    found = peered.asked([(vpc, None, address) for vpc, address in (key.split("|") for key in facts)], at(-5))

    assert [(one["resolution"], one["eni_id"]) for one in found] == [
        ("earliest", fact["eni"]) for fact in facts.values()
    ]


@pytest.mark.parametrize("sample", WITH_PUBLIC_ADDRESSES, indirect=True)
def test_a_public_address_is_its_interfaces_from_everywhere(sample: Sample) -> None:
    questions = [(*place, address) for place in sample.places() for address in sample.facts["public_ip_to_eni"]]

    found = sample.asked(questions, at(5))

    assert found
    assert [(one["resolution"], one["eni_id"]) for one in found] == [
        ("exact", sample.facts["public_ip_to_eni"][address]) for *_, address in questions
    ]


def test_a_private_address_is_never_that_of_another_vpc_with_the_same_range(peered: Sample) -> None:
    addresses = [key.split("|") for key in peered.facts["private_ip_to_eni"]]
    strangers = [
        (vpc, via, address)
        for vpc, via in peered.places()
        for home, address in addresses
        if vpc not in (None, home) and _holds(peered.facts["vpc_cidrs"][vpc], address)
    ]

    found = peered.asked(strangers, at(5))

    assert {(one["resolution"], one["eni_id"]) for one in found} == {("unknown", None)}


def test_packets_out_of_a_vpc_take_the_gateway_of_its_most_specific_route(sample: Sample) -> None:
    targets = {
        (table["VpcId"], table["RouteTableId"], _address_in(route["DestinationCidrBlock"])): (
            _target(route),
            route["State"],
        )
        for table in sample.route_tables
        for route in table["Routes"]
        if route.get("GatewayId") != "local"
    }

    found = sample.asked(targets, at(5))

    assert [(one["gateway_id"], one["forwarding_state"]) for one in found] == list(targets.values())


@pytest.mark.parametrize("sample", TRACED, indirect=True)
def test_packets_end_where_they_were_traced_to(sample: Sample) -> None:
    traces = [
        (one["from"], one["to"].split()[0], one["path"])
        for one in sample.facts["reachability"]["traces"]
        # Where packets are refused on the way says nothing about whose address it is.
        if one["from"].startswith("i-") and one["to"][0].isdigit() and one["path"][-1].startswith(("i-", "internet"))
    ]

    found = sample.asked([(*sample.place_of(begin), address) for begin, address, _ in traces], at(5))

    assert found
    for one, (_, _, path) in zip(found, traces, strict=True):
        assert path[-1] == (one["instance_id"] if one["resolution"] == "exact" else "internet")
        assert (one["resolution"] == "external") == (path[-1] == "internet")
        # A peering is not among the steps of a path.
        gateways = [step for step in path if step.startswith(("tgw-", "igw-"))]
        assert not gateways or gateways == [one["gateway_id"]]


def test_nobody_is_named_where_two_peers_have_the_range_and_no_route_decides(peered: Sample) -> None:
    vpc, via = peered.place_of("i-06ba034d88c84ef07")

    unrouted, routed, next_routed = peered.asked(
        [(vpc, via, "192.168.100.1"), (vpc, via, "192.168.1.106"), (vpc, via, "192.168.2.229")], at(5)
    )

    assert (unrouted["resolution"], unrouted["eni_id"], unrouted["gateway_id"]) == ("ambiguous", None, None)
    assert (routed["vpc_id"], routed["gateway_id"]) == ("vpc-00a31ce9d0c06675c", "pcx-0b89b559e3319d6cf")
    assert (next_routed["vpc_id"], next_routed["gateway_id"]) == ("vpc-09095dbf2886404ee", "pcx-0d5b836985ac8ca8c")


def test_what_a_transit_gateway_learned_and_nobody_recorded_is_unknown(samples: Path) -> None:
    # The sample holds static routes only: the range on premises, which Direct Connect announces, is not among them.
    sample = _read(samples / "metadata", "test-direct-connect-gateway")

    (found,) = sample.asked([(*sample.place_of("i-dx01"), "10.10.0.1")], at(5))

    assert (found["resolution"], found["eni_id"], found["gateway_id"]) == ("unknown", None, "tgw-dx01")


# --- reading a sample ---------------------------------------------------------------------------------------------


@cache
def _read(metadata: Path, name: str) -> Sample:
    """One snapshot of the sample's accounts, at minute 0."""
    facts = json.loads((metadata / "facts.json").read_text())["batfish"][name]
    owner = next(iter(facts["private_ip_to_eni"].values()))["owner"]
    folder = metadata / "batfish" / name
    scopes: list[Scope] = []
    seen: list[pl.DataFrame] = []
    route_tables: list[dict[str, Any]] = []
    for file in sorted(folder.rglob("*.json")):
        match file.parent.relative_to(folder).parts:
            case ("accounts", account_id, region):
                place = (account_id, region)
            case parts:
                place = (owner, parts[0] if parts else "us-east-2")
        content = json.loads(file.read_text())
        operation = _OPERATIONS.get(file.stem)
        if file.stem == _GATEWAY_ROUTES:
            operation = _OPERATIONS["SearchTransitGatewayRoutes"]
            content = {"Routes": [row | _table(answer) for answer in content[file.stem] for row in answer["Routes"]]}
        if operation is not None:
            items = jmespath.search(operation.rows, content) or []
            scopes.append(Scope(*place, operation.resource_type))
            seen.append(resources(items, operation, account_id=place[0], region=place[1]).rows)
            route_tables += items if operation.resource_type == "route_table" else []
    changes = new_changes(no_rows(TABLES["metadata_changes"]), pl.concat(seen), scopes, at(0))
    accounts = changes.select("account_id", name="account_id").unique()
    return Sample(facts, route_tables, AddressIndex(address_book(changes, accounts)))


def _table(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {"TransitGatewayRouteTableId": answer["TransitGatewayRouteTableId"]}


def _target(route: Mapping[str, str]) -> str:
    """The only member of a route that names where it leads."""
    (target,) = (value for member, value in route.items() if member.endswith("Id") and member[:4] != "Dest")
    return target


def _address_in(block: str) -> str:
    return _INTERNET if block == "0.0.0.0/0" else str(ipaddress.ip_network(block)[7])


def _holds(blocks: Iterable[str], address: str) -> bool:
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(block) for block in blocks)
