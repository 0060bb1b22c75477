"""The registries of ports and of protocols are whole, and IANA's."""

from __future__ import annotations

import pytest

from kentik_dagster.catalog.applications import APPLICATIONS, PROTOCOL_NAMES, TRANSPORTS

NAMES = {(protocol, port): name for protocol, port, name in APPLICATIONS}


def test_a_protocol_and_port_are_registered_once() -> None:
    assert len(NAMES) == len(APPLICATIONS) > 11_000


@pytest.mark.parametrize(
    ("transport", "port", "name"),
    [
        ("tcp", 22, "ssh"),
        ("sctp", 22, "ssh"),
        ("udp", 53, "domain"),
        ("tcp", 80, "http"),  # the first of three names
        ("udp", 443, "https"),
        ("tcp", 514, "shell"),
        ("udp", 514, "syslog"),
        ("tcp", 1433, "ms-sql-s"),
        ("tcp", 3389, "ms-wbt-server"),
        ("udp", 4789, "vxlan"),
        ("tcp", 6379, "redis"),
        ("tcp", 27017, "mongodb"),
        ("dccp", 5004, "avt-profile-1"),
    ],
)
def test_names_are_those_of_iana(transport: str, port: int, name: str) -> None:
    assert NAMES[TRANSPORTS[transport], port] == name


def test_no_name_is_given_to_ports_that_clients_use_for_themselves() -> None:
    assert all(0 < port < 49_152 for _, port in NAMES)


def test_every_transport_has_ports_and_no_other_protocol_has() -> None:
    assert {protocol for protocol, _ in NAMES} == set(TRANSPORTS.values())
    assert not PROTOCOL_NAMES.keys() & set(TRANSPORTS.values())


def test_ssh_is_never_spoken_over_udp() -> None:
    assert (TRANSPORTS["udp"], 22) not in NAMES


def test_names_are_words() -> None:
    names = {*NAMES.values(), *PROTOCOL_NAMES.values()}

    assert [name for name in names if not name or name != name.strip() or " " in name] == []


def test_protocols_have_the_keywords_of_iana() -> None:
    asked = {1: "icmp", 4: "ipv4", 41: "ipv6", 47: "gre", 50: "esp", 51: "ah", 58: "ipv6-icmp", 89: "ospfigp"}
    asked |= {94: "ipip", 103: "pim", 112: "vrrp", 115: "l2tp", 136: "udplite", 143: "ethernet", 147: "bit-emu"}

    assert {number: PROTOCOL_NAMES[number] for number in asked} == asked
    assert not PROTOCOL_NAMES.keys() & {61, 63, 68, 99, 114, *range(148, 256)}
