"""Whose an address was follows from snapshots, and from when AWS says that it attached an interface."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.metadata_log import Log, at, interface

Stood = tuple[str, str, datetime, datetime | None]


@pytest.fixture
def log() -> Log:
    return Log()


def attached(eni_id: str, address: str, minute: int, instance: str = "i-1", **more: Any) -> dict[str, Any]:
    attachment = {"InstanceId": instance, "AttachTime": at(minute)}
    return interface(eni_id, address, Attachment=attachment, **more)


def stood(log: Log) -> list[Stood]:
    return list(
        log.book("interface_address")
        .sort("valid_from", "eni_id", "address")
        .select("eni_id", "address", "valid_from", "valid_to")
        .iter_rows()
    )


# --- when AWS attached it -----------------------------------------------------------------------------------------


def test_a_new_interface_has_its_primary_address_from_its_attachment_and_others_from_when_they_were_seen(
    log: Log,
) -> None:
    others = [{"PrivateIpAddress": "10.0.0.1", "Primary": True}, {"PrivateIpAddress": "10.0.0.2"}]
    log.see(0, "network_interface")
    log.see(1, "vpc", {"VpcId": "vpc-1"})
    log.see(15, "network_interface", attached("eni-1", "10.0.0.1", 7, PrivateIpAddresses=others))

    assert stood(log) == [("eni-1", "10.0.0.1", at(7), None), ("eni-1", "10.0.0.2", at(15), None)]


def test_the_former_owner_of_an_address_had_it_until_the_next_was_attached(log: Log) -> None:
    log.see(0, "network_interface", attached("eni-1", "10.0.0.1", -9))
    log.see(15, "network_interface", attached("eni-2", "10.0.0.1", 7))

    assert stood(log) == [("eni-1", "10.0.0.1", at(0), at(7)), ("eni-2", "10.0.0.1", at(7), None)]


def test_the_owner_in_another_vpc_keeps_its_address(log: Log) -> None:
    log.see(0, "network_interface", attached("eni-1", "10.0.0.1", -9, VpcId="vpc-2"))
    log.see(15, "network_interface", attached("eni-2", "10.0.0.1", 7))

    assert stood(log) == [("eni-1", "10.0.0.1", at(0), at(15)), ("eni-2", "10.0.0.1", at(7), None)]


def test_an_interface_moves_to_another_instance_when_it_was_attached_there(log: Log) -> None:
    log.see(0, "network_interface", attached("eni-1", "10.0.0.1", -9))
    log.see(15, "network_interface", attached("eni-1", "10.0.0.1", 7, instance="i-2"))

    book = log.book("interface_address").sort("valid_from")

    assert book.select("instance_id", "valid_from", "valid_to").rows() == [
        ("i-1", at(0), at(7)),
        ("i-2", at(7), None),
    ]


def test_a_change_that_is_no_new_attachment_begins_when_it_was_seen(log: Log) -> None:
    log.see(0, "network_interface", attached("eni-1", "10.0.0.1", -9))
    log.see(15, "network_interface", attached("eni-1", "10.0.0.1", -9, Groups=[{"GroupId": "sg-1"}]))

    assert stood(log) == [("eni-1", "10.0.0.1", at(0), at(15)), ("eni-1", "10.0.0.1", at(15), None)]


@pytest.mark.parametrize("minute", [-5, 0])
def test_an_attachment_before_the_state_that_the_snapshot_before_saw_is_not_believed(log: Log, minute: int) -> None:
    log.see(0, "network_interface", attached("eni-1", "10.0.0.1", -9))
    log.see(15, "network_interface", attached("eni-1", "10.0.0.1", minute, instance="i-2"))

    assert stood(log) == [("eni-1", "10.0.0.1", at(0), at(15)), ("eni-1", "10.0.0.1", at(15), None)]


@pytest.mark.parametrize("said", [at(99), "soon", "", None])
def test_an_attachment_in_the_future_or_at_no_time_is_not_believed(log: Log, said: datetime | str | None) -> None:
    attachment = {"InstanceId": "i-1", "AttachTime": said}
    log.see(0, "network_interface")
    log.see(1, "vpc", {"VpcId": "vpc-1"})
    log.see(15, "network_interface", interface("eni-1", "10.0.0.1", Attachment=attachment))

    assert stood(log) == [("eni-1", "10.0.0.1", at(15), None)]


def test_before_the_first_snapshot_nobody_had_an_address_before_being_attached(log: Log) -> None:
    log.see(0, "vpc", {"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16"})
    log.see(0, "network_interface", attached("eni-1", "10.0.0.1", -7))

    assert log.who("10.0.0.1", minute=-5) == ("earliest", "eni-1")
    assert log.who("10.0.0.1", minute=-8) == ("unknown", None)
    assert log.who("10.0.0.1", minute=3) == ("exact", "eni-1")


# --- all that an interface holds ----------------------------------------------------------------------------------


def test_addresses_of_a_delegated_prefix_are_the_interfaces(log: Log) -> None:
    prefixes: dict[str, Any] = {
        "Ipv4Prefixes": [{"Ipv4Prefix": "10.0.9.0/28"}],
        "Ipv6Prefixes": [{"Ipv6Prefix": "2001:db8:0:0:9::/80"}],
    }
    log.see(0, "vpc", {"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16"})
    log.see(0, "network_interface", interface("eni-1", "10.0.0.1", **prefixes))

    assert log.book("interface_range")["address"].to_list() == ["10.0.9.0/28", "2001:db8:0:0:9::/80"]
    assert log.who("10.0.9.15") == ("exact", "eni-1")
    assert log.who("10.0.9.16") == ("unknown", None)
    assert log.who("2001:db8::9:0:0:1") == ("exact", "eni-1")


def test_an_address_of_its_own_outweighs_a_prefix_that_holds_it(log: Log) -> None:
    holder = interface("eni-1", "10.0.0.1", Ipv4Prefixes=[{"Ipv4Prefix": "10.0.9.0/28"}])
    log.see(0, "network_interface", holder, interface("eni-2", "10.0.9.3"))

    assert log.who("10.0.9.3") == ("exact", "eni-2")


def test_an_elastic_address_goes_from_one_interface_to_another(log: Log) -> None:
    public = {"Association": {"PublicIp": "198.51.100.1"}}
    log.see(0, "network_interface", interface("eni-1", "10.0.0.1", **public), interface("eni-2", "10.0.0.2"))
    log.see(4, "network_interface", interface("eni-1", "10.0.0.1"), interface("eni-2", "10.0.0.2", **public))

    assert log.who("198.51.100.1", minute=3) == ("exact", "eni-1")
    assert log.who("198.51.100.1", minute=5) == ("exact", "eni-2")


def test_an_elastic_address_is_not_taken_from_its_owner_by_an_attachment(log: Log) -> None:
    public: dict[str, Any] = {"Association": {"PublicIp": "198.51.100.1"}}
    log.see(0, "network_interface", interface("eni-1", "10.0.0.1", **public))
    log.see(15, "network_interface", interface("eni-1", "10.0.0.1"), attached("eni-2", "10.0.0.2", 7, **public))

    assert log.who("198.51.100.1", minute=9) == ("exact", "eni-1")
    assert log.who("198.51.100.1", minute=15) == ("exact", "eni-2")


# --- what AWS need not say ----------------------------------------------------------------------------------------


def test_an_interface_of_which_aws_says_nothing_has_no_address(log: Log) -> None:
    empty: dict[str, Any] = {"PrivateIpAddresses": [], "Ipv6Addresses": [], "Groups": [], "Attachment": {}}
    nulls = dict.fromkeys([*empty, "VpcId", "SubnetId", "Association", "PrivateIpAddress", "InterfaceType"])
    log.see(
        0,
        "network_interface",
        {"NetworkInterfaceId": "eni-1"},
        {"NetworkInterfaceId": "eni-2", **empty},
        {"NetworkInterfaceId": "eni-3", **nulls},
        {"NetworkInterfaceId": "eni-4", "PrivateIpAddresses": [None, {}], "Ipv4Prefixes": [{}]},
    )

    assert log.whole_book()["kind"].unique().sort().to_list() == ["account", "snapshot"]


def test_an_interface_without_a_vpc_is_found_by_its_public_address(log: Log) -> None:
    log.see(
        0,
        "network_interface",
        {"NetworkInterfaceId": "eni-1", "Association": {"PublicIp": "198.51.100.1"}, "InterfaceType": "natGateway"},
    )

    assert log.who("198.51.100.1") == ("exact", "eni-1")
    assert log.book("interface_address")["eni_type"].to_list() == ["nat_gateway"]


@pytest.mark.parametrize("address", ["", "-", "10.0.0", "10.0.0.1/33", "nobody"])
def test_what_is_no_address_is_nobodys(log: Log, address: str) -> None:
    log.see(0, "network_interface", interface("eni-1", address, Ipv4Prefixes=[{"Ipv4Prefix": "10.0.0"}]))

    assert log.who("10.0.0.1") == ("unknown", None)


# --- any history --------------------------------------------------------------------------------------------------

_addresses = st.sampled_from(["10.0.0.1", "10.0.0.2"])
# Which of three interfaces a snapshot sees, with its address and how many minutes before AWS attached it.
_seen = st.dictionaries(
    st.sampled_from(["eni-1", "eni-2", "eni-3"]), st.tuples(_addresses, st.integers(-5, 25)), max_size=2
)


@settings(deadline=None, max_examples=40)
@given(st.lists(_seen, min_size=2, max_size=4))
def test_after_an_attachment_nobody_else_of_the_vpc_has_the_address(
    history: list[dict[str, tuple[str, int]]],
) -> None:
    log = Log()
    for number, snapshot in enumerate(history):
        holders = {address: (eni, ago) for eni, (address, ago) in snapshot.items()}  # AWS gives an address once
        log.see(
            10 * number,
            "network_interface",
            *(attached(eni, address, 10 * number - ago) for address, (eni, ago) in holders.items()),
        )

    book = log.book("interface_address").with_columns(ends=pl.col("valid_to").fill_null(at(999)))

    assert (book["valid_from"] < book["ends"]).all()
    by_word_of_aws = book.filter(
        pl.col("attached_at") == pl.col("valid_from"), pl.col("valid_from") < pl.col("observed_at")
    )
    both = by_word_of_aws.join(book, on=["vpc_id", "address"], suffix="_other").filter(
        pl.col("eni_id") != pl.col("eni_id_other"),
        pl.col("valid_from_other") < pl.col("valid_from"),
        pl.col("valid_from") < pl.col("ends_other"),
    )
    assert both.is_empty()
