"""Ranges, peerings, prefix lists and firewalls stand as long as AWS says so; what it does not say is not guessed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.metadata_log import PLATFORM, Log, at, interface


@pytest.fixture
def log() -> Log:
    return Log()


def peering(vpc_id: str = "vpc-2", owner: str = PLATFORM, code: str = "active", **peer: Any) -> dict[str, Any]:
    return {
        "VpcPeeringConnectionId": f"pcx-{vpc_id}",
        "Status": {"Code": code},
        "RequesterVpcInfo": {"VpcId": "vpc-1", "OwnerId": "111122223333", "CidrBlock": "10.0.0.0/16"},
        "AccepterVpcInfo": {"VpcId": vpc_id, "OwnerId": owner, **peer},
    }


def test_a_subnet_holds_its_blocks(log: Log) -> None:
    gone = {"Ipv6CidrBlock": "2001:db8:1::/64", "Ipv6CidrBlockState": {"State": "disassociated"}}
    stands = {"Ipv6CidrBlock": "2001:db8::/64", "Ipv6CidrBlockState": {"State": "associated"}}
    sets = {"Ipv6CidrBlockAssociationSet": [stands, gone]}
    log.see(0, "subnet", {"SubnetId": "subnet-1", "VpcId": "vpc-1", "CidrBlock": "10.0.1.0/24", **sets})

    book = log.book("subnet_cidr")

    assert book.select("vpc_id", "subnet_id", "address").rows() == [
        ("vpc-1", "subnet-1", "10.0.1.0/24"),
        ("vpc-1", "subnet-1", "2001:db8::/64"),
    ]


def test_ranges_of_a_vpc_that_nobody_shows_are_known_from_its_peering(log: Log) -> None:
    log.see(0, "vpc", {"VpcId": "vpc-1", "CidrBlock": "10.9.0.0/16"})
    log.see(0, "vpc_peering_connection", peering(owner="999999999999", CidrBlockSet=[{"CidrBlock": "10.1.0.0/16"}]))

    assert log.book("vpc_cidr").select("vpc_id", "address", "account_id").rows() == [
        ("vpc-1", "10.9.0.0/16", "111122223333"),
        ("vpc-2", "10.1.0.0/16", "999999999999"),
    ]
    assert log.who("10.1.0.1") == ("unknown", None)


@pytest.mark.parametrize("code", ["deleted", "rejected", "expired", "failed", "provisioning", "pending-acceptance"])
def test_a_peering_that_is_not_active_joins_nothing(log: Log, code: str) -> None:
    log.see(0, "vpc_peering_connection", peering(code=code, CidrBlock="10.1.0.0/16"))

    assert log.book("peering").is_empty()
    assert log.book("vpc_cidr").is_empty()


def test_an_entry_is_called_as_its_list(log: Log) -> None:
    log.see(0, "managed_prefix_list", {"PrefixListId": "pl-1", "PrefixListName": "offices"}, {"PrefixListId": "pl-2"})
    log.see(
        0,
        "managed_prefix_list_entry",
        {"PrefixListId": "pl-1", "Cidr": "192.0.2.0/24"},
        {"PrefixListId": "pl-9", "Cidr": "192.0.2.0/24"},
    )
    log.see(3, "managed_prefix_list_entry")

    assert log.book("prefix_list_entry").select("prefix_list_id", "address", "name", "valid_to").rows() == [
        ("pl-1", "192.0.2.0/24", "offices", at(3)),
        ("pl-9", "192.0.2.0/24", None, at(3)),
    ]


def test_members_that_are_missing_or_null_make_no_rows(log: Log) -> None:
    members = ("CidrBlock", "CidrBlockAssociationSet", "Ipv6CidrBlockAssociationSet", "VpcId", "AvailabilityZoneId")
    nulls = dict.fromkeys(members)
    log.see(0, "vpc", {"VpcId": "vpc-1"}, nulls | {"VpcId": "vpc-2"}, {"VpcId": "vpc-3", "CidrBlockAssociationSet": []})
    log.see(0, "subnet", {"SubnetId": "subnet-1"}, {"SubnetId": "subnet-2", **nulls})
    log.see(
        0, "vpc_peering_connection", {"VpcPeeringConnectionId": "pcx-1"}, peering(CidrBlock=None) | {"Status": None}
    )
    log.see(0, "managed_prefix_list", {"PrefixListId": "pl-1"})

    assert set(log.whole_book()["kind"]) == {"account", "snapshot"}


@pytest.mark.parametrize("block", ["10.0.0.0/33", "everywhere", ""])
def test_what_is_no_range_holds_nothing(log: Log, block: str) -> None:
    log.see(0, "vpc", {"VpcId": "vpc-1", "CidrBlock": block})
    log.see(0, "network_interface", interface("eni-1", "10.0.0.1"))

    assert log.who("10.0.0.1") == ("exact", "eni-1")
    assert log.who("10.0.0.2") == ("unknown", None)
