"""The application of a flow is that of the port that serves, or its protocol."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.catalog.applications import APPLICATIONS, PROTOCOL_NAMES
from kentik_dagster.core.applications import application
from kentik_dagster.errors import MissingColumnsError

TCP, UDP, DCCP, SCTP = 6, 17, 33, 132
Flow = tuple[int | None, int | None, int | None]
SCHEMA = {"protocol": pl.Int32, "srcport": pl.Int32, "dstport": pl.Int32}


def applications(*flows: Flow, names: dict[tuple[int, int], str] | None = None) -> list[str | None]:
    return application(pl.DataFrame(flows, schema=SCHEMA, orient="row"), names or {}).to_list()


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        ((TCP, 49_152, 443), "https"),
        ((TCP, 443, 49_152), "https"),
        ((UDP, 49_152, 53), "domain"),
        ((SCTP, 49_152, 2905), "m3ua"),
        ((DCCP, 49_152, 5004), "avt-profile-1"),
        ((UDP, 49_152, 22), None),  # nobody speaks ssh over UDP
        ((TCP, 49_152, 50_000), None),
        ((TCP, 8_443, 443), "https"),  # a system port before a higher one
        ((TCP, 443, 8_443), "https"),
        ((TCP, 3_306, 5_432), "mysql"),  # the lower one
        ((TCP, 5_432, 3_306), "mysql"),
        ((TCP, 22, 443), "https"),  # of two system ports the destination's
        ((TCP, 443, 22), "ssh"),
        ((TCP, None, 443), "https"),
        ((TCP, 443, None), "https"),
        ((TCP, None, None), None),
        ((TCP, -1, 65_536), None),
    ],
)
def test_the_port_that_serves_names_the_application(flow: Flow, expected: str | None) -> None:
    assert applications(flow) == [expected]


@pytest.mark.parametrize(
    ("flow", "expected"),
    [((1, 0, 0), "icmp"), ((58, None, None), "ipv6-icmp"), ((47, 443, 80), "gre"), ((253, 0, 0), None)],
)
def test_a_protocol_without_ports_is_an_application(flow: Flow, expected: str | None) -> None:
    assert applications(flow) == [expected]


@pytest.mark.parametrize("protocol", [None, -1, 256, 2**31 - 1])
def test_a_protocol_that_is_none_has_no_application(protocol: int | None) -> None:
    assert applications((protocol, 49_152, 443)) == [None]


@pytest.mark.parametrize("flow", [(TCP, 443, 9_092), (TCP, 9_092, 443), (TCP, 50_000, 9_092), (TCP, 1_433, 9_092)])
def test_a_name_of_the_users_own_comes_first(flow: Flow) -> None:
    assert applications(flow, names={(TCP, 9_092): "kafka"}) == ["kafka"]


def test_a_name_of_the_users_own_is_for_its_protocol_only() -> None:
    names = {(TCP, 9_999): "shop"}

    assert applications((TCP, 50_000, 9_999), (SCTP, 50_000, 9_999), names=names) == ["shop", None]


def test_of_two_names_of_the_users_own_the_lower_port_serves() -> None:
    names = {(TCP, 9_001): "one", (TCP, 9_002): "two"}

    assert applications((TCP, 9_001, 9_002), (TCP, 9_002, 9_001), names=names) == ["one", "one"]


def test_the_ports_of_any_protocol_may_be_named() -> None:
    udplite = 136

    found = applications((udplite, 1, 7_000), (udplite, 1, 2), (udplite, None, None), names={(udplite, 7_000): "video"})

    assert found == ["video", "udplite", "udplite"]


def test_names_of_one_call_do_not_reach_the_next() -> None:
    assert applications((TCP, 50_000, 443), names={(TCP, 443): "shop"}) == ["shop"]
    assert applications((TCP, 50_000, 443)) == ["https"]


def test_no_flow_has_no_application() -> None:
    assert applications() == []


def test_a_missing_column_is_named() -> None:
    with pytest.raises(MissingColumnsError, match="application needs the columns dstport"):
        application(pl.DataFrame({"protocol": [6], "srcport": [1]}), {})


REGISTERED = {(protocol, port): name for protocol, port, name in APPLICATIONS}
_ports = st.one_of(st.none(), st.integers(0, 65_535), st.sampled_from([22, 53, 80, 443, 1433, 5432, 8080, 8443, 9092]))
_protocols = st.one_of(st.none(), st.integers(0, 255), st.sampled_from([TCP, UDP, SCTP, DCCP]))
_flows = st.tuples(_protocols, _ports, _ports)


@settings(deadline=None, max_examples=100)
@given(st.lists(_flows, max_size=20))
def test_an_application_is_registered_for_one_of_the_ports_or_for_the_protocol(flows: list[Flow]) -> None:
    for (protocol, *ports), found in zip(flows, applications(*flows), strict=True):
        served = {REGISTERED.get((protocol or 0, port or 0)) for port in ports} - {None}

        assert found in (served or {PROTOCOL_NAMES.get(-1 if protocol is None else protocol)})


@settings(deadline=None, max_examples=100)
@given(_protocols, _ports, _ports.filter(lambda port: port is None or port >= 1_024))
def test_both_directions_of_a_conversation_have_one_application(
    protocol: int | None, server: int | None, client: int | None
) -> None:
    there, back = applications((protocol, client, server), (protocol, server, client))

    assert there == back
