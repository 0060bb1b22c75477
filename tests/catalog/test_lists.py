"""The short lists of the catalog hold what they claim: applications, address ranges, error codes."""

from __future__ import annotations

from ipaddress import ip_network
from itertools import combinations

from kentik_dagster.catalog.addresses import NOT_INTERNET
from kentik_dagster.catalog.applications import APPLICATIONS, PROTOCOL_NAMES
from kentik_dagster.catalog.outcomes import DENIED_CODES, EXPIRED_CODES, UNSUPPORTED_CODES, Outcome


def test_a_protocol_and_port_names_one_application() -> None:
    served = [(protocol, port) for protocol, port, _ in APPLICATIONS]

    assert len(set(served)) == len(served)
    assert all(0 < port < 65_536 for _, port in served)


def test_protocols_with_ports_are_named_by_their_ports() -> None:
    assert not {protocol for protocol, _, _ in APPLICATIONS} & PROTOCOL_NAMES.keys()


def test_ranges_that_are_nobodys_are_networks_that_do_not_overlap() -> None:
    networks = [ip_network(block) for block in NOT_INTERNET]

    assert not [
        (one, other) for one, other in combinations(networks, 2) if one.version == other.version and one.overlaps(other)
    ]


def test_outcomes_are_the_words_that_metadata_calls_is_queried_by() -> None:
    assert [str(outcome) for outcome in Outcome] == ["observed", "denied", "unavailable", "unsupported", "skipped"]


def test_an_error_code_means_one_thing() -> None:
    assert not DENIED_CODES & UNSUPPORTED_CODES
    assert not DENIED_CODES & EXPIRED_CODES
    assert not UNSUPPORTED_CODES & EXPIRED_CODES
