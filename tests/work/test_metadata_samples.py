"""Accounts that nobody here made up: a snapshot finds in them what was counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kentik_dagster.core.resource_views import resources_at
from kentik_dagster.lake.tables import Lake
from tests.fake_aws import FakeAws
from tests.fake_aws.samples import load_batfish
from tests.work.snapshots import Snapshots, access, fake_aws

MULTI_ACCOUNT = "test-transit-gateway-multi-account"
OLDEST = "hybrid-cloud-aws"  # recorded before availability zones had ids
FOLDERS = (
    OLDEST,
    "test-direct-connect-gateway",
    "test-load-balancer",
    "test-public-subnet",
    "test-subnet",
    "test-transit-gateway",
    MULTI_ACCOUNT,
    "test-transit-gateway-multi-table",
    "test-vpc-endpoint-interface",
    "test-vpc-peering",
)
# fmt: off
COUNTED = {
    "Addresses": "address", "AvailabilityZones": "availability_zone", "CustomerGateways": "customer_gateway",
    "DirectConnectGatewayAssociations": "direct_connect_gateway_association",
    "DirectConnectGateways": "direct_connect_gateway", "Instances": "instance",
    "InternetGateways": "internet_gateway", "LoadBalancers": "load_balancer", "NetworkAcls": "network_acl",
    "NetworkInterfaces": "network_interface", "PrefixLists": "prefix_list", "RouteTables": "route_table",
    "SecurityGroups": "security_group", "Subnets": "subnet", "TargetGroups": "target_group",
    "TransitGatewayAttachments": "transit_gateway_attachment",
    "TransitGatewayRouteTables": "transit_gateway_route_table",
    "TransitGatewayVpcAttachments": "transit_gateway_vpc_attachment", "TransitGateways": "transit_gateway",
    "VirtualInterfaces": "virtual_interface", "VpcEndpoints": "vpc_endpoint",
    "VpcPeeringConnections": "vpc_peering_connection", "Vpcs": "vpc", "VpnConnections": "vpn_connection",
    "VpnGateways": "vpn_gateway",
}
# Counts of reservations, of answers that are asked per parent, and of what is not collected.
NOT_COLLECTED = {
    "DBInstances", "DhcpOptions", "DomainStatusList", "LoadBalancerAttributes", "LoadBalancerListeners",
    "LoadBalancerTargetHealth", "Reservations", "ServiceDetails", "ServiceNames", "Tags",
    "TransitGatewayPropagations", "TransitGatewayStaticRoutes",
}
# fmt: on


@pytest.fixture(scope="module")
def facts(samples: Path) -> dict[str, Any]:
    counted: dict[str, Any] = json.loads((samples / "metadata" / "facts.json").read_text())["batfish"]
    return counted


@pytest.fixture(scope="module")
def loaded(samples: Path) -> Iterator[tuple[FakeAws, dict[str, dict[str, list[str]]]]]:
    """Every sample as accounts of the fake; those of one owner get accounts of their own."""
    with fake_aws() as fake:
        accounts = {}
        for number, folder in enumerate(FOLDERS):
            own = None if folder == MULTI_ACCOUNT else f"{700000000000 + number}"
            accounts[folder] = load_batfish(fake, samples / "metadata" / "batfish" / folder, own).accounts
        yield fake, accounts


@pytest.fixture(scope="module")
def taken(
    loaded: tuple[FakeAws, dict[str, dict[str, list[str]]]], tmp_path_factory: pytest.TempPathFactory
) -> Snapshots:
    """One snapshot of each of these accounts, in the region where it has something."""
    fake, accounts = loaded
    fake.page_size = 3
    lake = Lake(str(tmp_path_factory.mktemp("lake")))
    places = [(account_id, region) for found in accounts.values() for account_id, (region,) in found.items()]
    for used in sorted({region for _, region in places}):
        there = [account_id for account_id, region in places if region == used]
        Snapshots(lake, access(regions_used=(used,)), *there).take()
    later = Snapshots(lake, access(), *accounts[MULTI_ACCOUNT])
    later.at += timedelta(hours=1)
    return later


def test_every_count_is_of_something_that_is_collected_or_known_not_to_be(facts: dict[str, Any]) -> None:
    counts = {name for folder in FOLDERS for place in facts[folder]["counts"].values() for name in place}

    assert counts == (COUNTED.keys() | NOT_COLLECTED) & counts
    assert not COUNTED.keys() & NOT_COLLECTED


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_snapshot_finds_as_many_resources_as_were_counted(
    facts: dict[str, Any],
    loaded: tuple[FakeAws, dict[str, dict[str, list[str]]]],
    taken: Snapshots,
    folder: str,
) -> None:
    (own, regions), *_ = loaded[1][folder].items()

    found = Counter((row[0], row[1], row[2]) for row in taken.state)

    for place, counts in facts[folder]["counts"].items():
        account_id, _, region = place.rpartition("/")
        account_id, region = account_id or own, regions[0] if region == "single" else region
        expected = {COUNTED[name]: count for name, count in counts.items() if name in COUNTED}
        if folder == OLDEST:
            expected["availability_zone"] = 0
        # Direct Connect's gateways are the same in every region, and are asked for in the export's.
        seen = {
            name: found[account_id, "us-east-1" if name.startswith("direct_connect_gateway") else region, name]
            for name in expected
        }
        assert seen == expected


def test_nothing_but_zones_without_an_id_is_unreadable(
    loaded: tuple[FakeAws, dict[str, dict[str, list[str]]]], taken: Snapshots
) -> None:
    (unseen,) = taken.calls.filter(pl.col("outcome") != "observed").to_dicts()

    assert [unseen["account_id"]] == list(loaded[1][OLDEST])
    assert unseen["error_message"].startswith("3 of 3 rows are not stored")
    assert unseen["error_message"].endswith("row 0 of describe_availability_zones has no ZoneId")


def test_another_snapshot_changes_nothing(taken: Snapshots) -> None:
    version = taken.version

    done = taken.take()

    assert sum(one.changes.height for one in done.values()) == 0
    assert taken.version == version


def test_a_transit_gateway_that_two_accounts_share_is_there_once_as_its_owner_sees_it(
    loaded: tuple[FakeAws, dict[str, dict[str, list[str]]]], taken: Snapshots
) -> None:
    owner, guest = "028403472736", "951601349076"
    assert set(loaded[1][MULTI_ACCOUNT]) == {owner, guest}

    changes = taken.lake["metadata_changes"].read()
    everything = resources_at(changes.filter(changes["account_id"].is_in([owner, guest])))

    (gateway,) = everything.filter(resource_type="transit_gateway").to_dicts()
    assert (gateway["account_id"], gateway["owner_account_id"]) == (owner, owner)
    assert gateway["seen_from"] == [owner, guest]
    attachments = everything.filter(resource_type="transit_gateway_attachment")
    assert attachments["account_id"].unique().to_list() == [owner]
    assert all("Association" in json.loads(attributes) for attributes in attachments["attributes"])
