"""The address book says who had which address in which VPC, from when until when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.address_book import address_book
from kentik_dagster.core.schemas import polars_schema
from tests.core.metadata_log import ACCOUNTS, PAYMENTS, PLATFORM, Log, at, interface, named


@pytest.fixture
def log() -> Log:
    return Log()


def owners(book: pl.DataFrame) -> list[tuple[str, str, datetime, datetime | None]]:
    """Who had which address when."""
    return list(
        book.sort("valid_from", "eni_id", "address").select("eni_id", "address", "valid_from", "valid_to").rows()
    )


def test_all_addresses_of_an_interface_are_its(log: Log) -> None:
    log.see(
        0,
        "network_interface",
        interface(
            "eni-1",
            "10.0.0.1",
            Association={"PublicIp": "198.51.100.1"},
            PrivateIpAddresses=[
                {"PrivateIpAddress": "10.0.0.1", "Association": {"PublicIp": "198.51.100.1"}},
                {"PrivateIpAddress": "10.0.0.2", "Association": {"PublicIp": "198.51.100.2"}},
                {"PrivateIpAddress": "10.0.0.3"},
            ],
            Ipv6Addresses=[{"Ipv6Address": "2001:db8::1"}],
        ),
    )

    book = log.book("interface_address")

    assert book.select("address", "is_public").rows() == [
        ("10.0.0.1", False),
        ("10.0.0.2", False),
        ("10.0.0.3", False),
        ("198.51.100.1", True),
        ("198.51.100.2", True),
        ("2001:db8::1", False),
    ]
    assert set(book["vpc_id"]) == {"vpc-1"}


def test_a_public_address_is_found_where_aws_names_it_once(log: Log) -> None:
    log.see(0, "network_interface", interface("eni-1", "10.0.0.1", Association={"PublicIp": "198.51.100.1"}))

    assert log.book("interface_address")["address"].to_list() == ["10.0.0.1", "198.51.100.1"]


def test_an_interface_is_described_by_what_it_belongs_to(log: Log) -> None:
    groups, attachment = [{"GroupId": "sg-1"}, {"GroupId": "sg-2"}], {"InstanceId": "i-1"}
    log.see(0, "vpc", {"VpcId": "vpc-1", **named("prod")})
    log.see(0, "subnet", {"SubnetId": "subnet-1", "AvailabilityZoneId": "euw1-az1", **named("private-a")})
    log.see(0, "instance", {"InstanceId": "i-1", **named("web-1")})
    log.see(0, "network_interface", interface("eni-1", "10.0.0.1", Groups=groups, Attachment=attachment))

    (row,) = log.book("interface_address").to_dicts()

    assert {name: value for name, value in row.items() if value is not None} == {
        "kind": "interface_address",
        "address": "10.0.0.1",
        "vpc_id": "vpc-1",
        "observed_at": at(0),
        "valid_from": at(0),
        "since_first_snapshot": True,
        "is_public": False,
        "account_id": PAYMENTS,
        "account_name": "payments",
        "region": "eu-west-1",
        "az_id": "euw1-az1",
        "vpc_name": "prod",
        "subnet_id": "subnet-1",
        "subnet_name": "private-a",
        "instance_id": "i-1",
        "instance_name": "web-1",
        "eni_id": "eni-1",
        "eni_type": "interface",
        "eni_entity_type": "instance",
        "eni_entity_name": "web-1",
        "tags": {"Name": "web-1"},
        "security_group_ids": ["sg-1", "sg-2"],
    }


def test_an_interface_of_a_nat_gateway_is_named_after_it(log: Log) -> None:
    addresses = [{"NetworkInterfaceId": "eni-1"}, {"NetworkInterfaceId": "eni-2"}, {}]
    log.see(0, "nat_gateway", {"NatGatewayId": "nat-1", "NatGatewayAddresses": addresses, **named("way-out")})
    log.see(0, "network_interface", *(interface(f"eni-{number}", f"10.0.0.{number}") for number in (1, 2, 3)))

    assert log.book("interface_address").select("eni_id", "eni_type", "eni_entity_name").rows() == [
        ("eni-1", "nat_gateway", "way-out"),
        ("eni-2", "nat_gateway", "way-out"),
        ("eni-3", "interface", None),
    ]


def test_an_instance_without_a_name_is_named_by_its_id(log: Log) -> None:
    log.see(0, "network_interface", interface("eni-1", "10.0.0.1", Attachment={"InstanceId": "i-1"}))

    assert log.book("interface_address")["eni_entity_name"].to_list() == ["i-1"]


def test_an_address_moves_from_one_interface_to_another(log: Log) -> None:
    log.see(0, "network_interface", interface("eni-1", "10.0.0.1"))
    log.see(5, "network_interface", interface("eni-2", "10.0.0.1"))
    log.see(9, "network_interface", interface("eni-2", "10.0.0.1"), interface("eni-1", "10.0.0.9"))

    assert owners(log.book("interface_address")) == [
        ("eni-1", "10.0.0.1", at(0), at(5)),
        ("eni-2", "10.0.0.1", at(5), None),
        ("eni-1", "10.0.0.9", at(9), None),
    ]


def test_an_address_that_was_removed_has_an_end(log: Log) -> None:
    log.see(0, "network_interface", interface("eni-1", "10.0.0.1"))
    log.see(5, "network_interface")

    assert owners(log.book("interface_address")) == [("eni-1", "10.0.0.1", at(0), at(5))]


def test_a_name_that_changes_splits_the_time_of_an_address(log: Log) -> None:
    log.see(0, "network_interface", interface("eni-1", "10.0.0.1", Attachment={"InstanceId": "i-1"}))
    log.see(0, "instance", {"InstanceId": "i-1", **named("web-1")})
    log.see(5, "instance", {"InstanceId": "i-1", **named("web-2")})

    book = log.book("interface_address").sort("valid_from")

    assert book.select("instance_name", "eni_entity_name", "valid_from", "valid_to", "since_first_snapshot").rows() == [
        ("web-1", "web-1", at(0), at(5), True),
        ("web-2", "web-2", at(5), None, False),
    ]


def test_only_what_the_first_snapshot_saw_may_be_older(log: Log) -> None:
    log.see(0, "network_interface", interface("eni-1", "10.0.0.1"))
    log.see(5, "network_interface", interface("eni-1", "10.0.0.1"), interface("eni-2", "10.0.0.2"))

    book = log.book("interface_address")

    assert book.select("eni_id", "since_first_snapshot").rows() == [("eni-1", True), ("eni-2", False)]


def test_an_interface_in_a_shared_subnet_is_there_once_as_its_owner_sees_it(log: Log) -> None:
    log.see(0, "network_interface", interface("eni-1", "10.0.0.1"), account=PLATFORM)
    log.see(1, "network_interface", interface("eni-1", "10.0.0.1"), account=PAYMENTS)

    book = log.book("interface_address")

    assert book.select("eni_id", "account_name", "valid_from").rows() == [("eni-1", "payments", at(1))]


def test_an_interface_of_an_account_that_is_not_collected_is_known_from_others(log: Log) -> None:
    stranger = interface("eni-1", "10.0.0.1", OwnerId="999999999999")
    log.see(0, "network_interface", stranger, account=PAYMENTS)
    log.see(0, "network_interface", stranger, account=PLATFORM)

    book = log.book("interface_address")

    assert book.select("eni_id", "account_id", "account_name").rows() == [("eni-1", "999999999999", None)]


def test_a_vpc_holds_its_standing_ranges(log: Log) -> None:
    def block(cidr_block: str, state: str) -> dict[str, Any]:
        return {"CidrBlock": cidr_block, "CidrBlockState": {"State": state}}

    log.see(
        0,
        "vpc",
        {
            "VpcId": "vpc-1",
            "CidrBlock": "10.0.0.0/16",
            "CidrBlockAssociationSet": [
                block("10.0.0.0/16", "associated"),
                block("10.1.0.0/16", "associated"),
                block("10.2.0.0/16", "associating"),
                block("10.3.0.0/16", "disassociated"),
                block("10.4.0.0/16", "failed"),
                {"CidrBlock": "10.5.0.0/16"},
            ],
            "Ipv6CidrBlockAssociationSet": [
                {"Ipv6CidrBlock": "2001:db8::/56", "Ipv6CidrBlockState": {"State": "associated"}},
                {"Ipv6CidrBlock": "2001:db8:1::/56", "Ipv6CidrBlockState": {"State": "disassociated"}},
            ],
            **named("prod"),
        },
    )

    book = log.book("vpc_cidr")

    assert book["address"].to_list() == ["10.0.0.0/16", "10.1.0.0/16", "10.2.0.0/16", "10.5.0.0/16", "2001:db8::/56"]
    assert set(book.select("vpc_id", "vpc_name", "account_id").rows()) == {("vpc-1", "prod", PAYMENTS)}


def test_a_range_that_a_vpc_gives_back_has_an_end(log: Log) -> None:
    blocks = [{"CidrBlock": "10.0.0.0/16"}, {"CidrBlock": "10.1.0.0/16"}]
    log.see(0, "vpc", {"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16", "CidrBlockAssociationSet": blocks})
    log.see(5, "vpc", {"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16", "CidrBlockAssociationSet": blocks[:1]})

    book = log.book("vpc_cidr").sort("valid_from", "address")

    assert book.select("address", "valid_from", "valid_to").rows() == [
        ("10.0.0.0/16", at(0), at(5)),
        ("10.1.0.0/16", at(0), at(5)),
        ("10.0.0.0/16", at(5), None),
    ]


def peering(state: str, requester: str | None = "vpc-1") -> dict[str, Any]:
    return {
        "VpcPeeringConnectionId": "pcx-1",
        "RequesterVpcInfo": {"VpcId": requester, "OwnerId": PAYMENTS},
        "AccepterVpcInfo": {"VpcId": "vpc-2", "OwnerId": PLATFORM},
        "Status": {"Code": state},
    }


def test_an_active_peering_joins_its_vpcs_both_ways(log: Log) -> None:
    log.see(0, "vpc_peering_connection", peering("pending-acceptance"))
    log.see(1, "vpc_peering_connection", peering("active"))
    log.see(2, "vpc_peering_connection", peering("deleted"))

    assert log.book("peering").select("vpc_id", "peer_vpc_id", "valid_from", "valid_to").rows() == [
        ("vpc-1", "vpc-2", at(1), at(2)),
        ("vpc-2", "vpc-1", at(1), at(2)),
    ]


def test_a_peering_that_both_sides_show_is_there_once(log: Log) -> None:
    for account, region in ((PAYMENTS, "eu-west-1"), (PAYMENTS, "us-east-1"), (PLATFORM, "us-east-1")):
        log.see(0, "vpc_peering_connection", peering("active"), account=account, region=region)

    assert log.book("peering").select("vpc_id", "peer_vpc_id").rows() == [("vpc-1", "vpc-2"), ("vpc-2", "vpc-1")]


def test_a_peering_with_a_vpc_that_aws_does_not_name_joins_nothing(log: Log) -> None:
    log.see(0, "vpc_peering_connection", peering("active", requester=None))

    assert log.book("peering").is_empty()


def test_the_book_has_the_columns_of_its_table_also_where_nothing_is_known(log: Log) -> None:
    empty = address_book(log.rows, ACCOUNTS)
    nothing = address_book(log.rows, ACCOUNTS.clear())
    log.see(0, "vpc", {"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16"})
    full = address_book(log.rows, ACCOUNTS)

    assert empty.select("kind", "account_id", "account_name").rows() == [
        ("account", PAYMENTS, "payments"),
        ("account", PLATFORM, "platform"),
    ]
    assert nothing.is_empty()
    assert nothing.schema == empty.schema == full.schema == polars_schema(TABLES["address_book"])


def test_the_book_says_from_when_until_when_each_account_and_region_was_looked_at(log: Log) -> None:
    log.see(0, "vpc", {"VpcId": "vpc-1"})
    log.see(5, "vpc", {"VpcId": "vpc-1"}, {"VpcId": "vpc-2"})
    log.see(7, "vpc", {"VpcId": "vpc-3"}, account=PLATFORM, region="us-east-1")

    assert log.book("snapshot").select("account_id", "region", "valid_from", "observed_at").rows() == [
        (PAYMENTS, "eu-west-1", at(0), at(5)),
        (PLATFORM, "us-east-1", at(7), at(7)),
    ]


def test_an_interface_is_tagged_as_its_instance_else_as_itself(log: Log) -> None:
    own = [{"Key": "team", "Value": "network"}]
    attached = interface("eni-1", "10.0.0.1", TagSet=own, Attachment={"InstanceId": "i-1"})
    log.see(0, "instance", {"InstanceId": "i-1", "Tags": [{"Key": "team", "Value": "web"}]})
    log.see(0, "network_interface", attached, interface("eni-2", "10.0.0.2", TagSet=own))

    assert [dict(tags) for tags in log.book("interface_address")["tags"]] == [{"team": "web"}, {"team": "network"}]


def test_the_book_is_the_same_whatever_the_order_of_the_log(log: Log) -> None:
    log.see(0, "network_interface", interface("eni-1", "10.0.0.1"), interface("eni-2", "10.0.0.2"))
    log.see(5, "network_interface", interface("eni-2", "10.0.0.1"))
    log.see(5, "vpc", {"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16", **named("prod")})

    assert address_book(log.rows.reverse(), ACCOUNTS).equals(address_book(log.rows, ACCOUNTS))


# --- any history --------------------------------------------------------------------------------------------------

# What one snapshot observes: the address of each interface, and the name of the VPC; None: the call failed.
_interfaces = st.none() | st.dictionaries(
    st.sampled_from(["eni-1", "eni-2"]), st.sampled_from(["10.0.0.1", "10.0.0.2"])
)
_names = st.none() | st.sampled_from(["", "blue", "green"])
_snapshots = st.lists(st.tuples(_interfaces, _names), min_size=1, max_size=7)


@settings(deadline=None, max_examples=30)
@given(_snapshots)
def test_at_every_time_the_book_says_what_was_last_observed(
    history: Sequence[tuple[Mapping[str, str] | None, str | None]],
) -> None:
    log = Log()
    for minute, (interfaces, vpc_name) in enumerate(history):
        if interfaces is not None:
            log.see(minute, "network_interface", *(interface(eni, address) for eni, address in interfaces.items()))
        if vpc_name is not None:  # an empty name: there is no VPC any more
            log.see(minute, "vpc", *([{"VpcId": "vpc-1", **named(vpc_name)}] if vpc_name else []))

    book = log.book("interface_address")

    assert (book["valid_from"] < book["valid_to"].fill_null(at(99))).all()
    known: Mapping[str, str] = {}
    # Before it is first seen, the VPC has its first name; after its removal its last.
    name = next((seen for _, seen in history if seen), None)
    for minute, (interfaces, vpc_name) in enumerate(history):
        known = interfaces if interfaces is not None else known
        name = vpc_name or name
        standing = book.filter(
            pl.col("valid_from") <= at(minute), pl.col("valid_to").is_null() | (pl.col("valid_to") > at(minute))
        )
        assert sorted(standing.select("eni_id", "address", "vpc_name").rows()) == sorted(
            (eni, address, name) for eni, address in known.items()
        )
