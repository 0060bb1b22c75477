"""Each flow record gets both ends as they were at its time; rows stay in number and order."""

from __future__ import annotations

import functools
from itertools import product
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.address_index import AddressIndex
from kentik_dagster.core.enrichment import Knowledge, enriched_flows
from kentik_dagster.core.schemas import polars_schema
from kentik_dagster.errors import MissingColumnsError
from tests.core.made_up_book import BOOK, Answer, Fact, Has, Holds, Question, answers, at, book, index

FLOWS = polars_schema(TABLES["flow_logs"])
PARTITION = {"export": "prod", "hour": "2026-11-23T09", "source_object": "20261123T0900Z_0123456789ab"}

# Two interfaces of one VPC, and a host on the internet.
MINE = Has("vpc-1", eni="eni-1", address="10.0.0.1")
OTHER = Has("vpc-1", eni="eni-2", address="10.0.0.2")
RANGE = Holds("vpc-1", block="10.0.0.0/16")
OUTSIDE = "198.51.100.7"
NETWORK = (MINE, OTHER, RANGE)


def flow(src: str | None, dst: str | None, minute: int = 5, **values: Any) -> dict[str, Any]:
    """A record of eni-1."""
    usual = {"interface_id": "eni-1", "vpc_id": "vpc-1", "log_type": "vpc", "log_status": "OK", "end": at(minute)}
    return PARTITION | usual | {"srcaddr": src, "dstaddr": dst} | values


def enriched(*flows: dict[str, Any], facts: tuple[Fact, ...] = NETWORK, **described: Any) -> pl.DataFrame:
    """The flows enriched from a book of facts, in which every interface is described the same."""
    known = index(facts)
    if described:
        values = (pl.lit(value, BOOK[name]).alias(name) for name, value in described.items())
        known = AddressIndex(book(facts).with_columns(values))
    return enriched_flows(pl.DataFrame(flows, schema=FLOWS), Knowledge(index=known))


def told(frame: pl.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return frame.select(columns).rows()


# --- ends ---------------------------------------------------------------------------------------------------------


def test_both_ends_are_resolved() -> None:
    frame = enriched(flow("10.0.0.1", "10.0.0.2"), flow("10.0.0.2", OUTSIDE), flow("10.0.9.9", "10.0.0.1"))

    assert told(frame, "src_eni_id", "src_resolution", "dst_eni_id", "dst_resolution") == [
        ("eni-1", "exact", "eni-2", "exact"),
        ("eni-2", "exact", None, "external"),
        (None, "unknown", "eni-1", "exact"),
    ]


def test_an_end_is_described_as_the_book_describes_it() -> None:
    described: dict[str, Any] = {
        "account_id": "111122223333",
        "subnet_name": "private-a",
        "security_group_ids": ["sg-1"],
    }

    frame = enriched(flow("10.0.0.1", OUTSIDE), **described)

    assert told(frame, "src_account_id", "src_subnet_name", "src_security_group_ids", "src_vpc_id") == [
        ("111122223333", "private-a", ["sg-1"], "vpc-1")
    ]
    assert told(frame, "dst_account_id", "dst_subnet_name", "dst_security_group_ids") == [(None, None, None)]


def test_the_ends_are_those_of_the_packet_where_they_were_recorded() -> None:
    through_nat = flow("10.0.0.1", "10.0.0.9", pkt_srcaddr="10.0.0.2", pkt_dstaddr=OUTSIDE)

    frame = enriched(through_nat)

    assert told(frame, "src_addr", "dst_addr", "src_pkt_addr", "dst_pkt_addr", "src_eni_id", "dst_resolution") == [
        ("10.0.0.1", "10.0.0.9", "10.0.0.2", OUTSIDE, "eni-2", "external")
    ]


def test_a_record_without_data_has_no_ends() -> None:
    frame = enriched(flow(None, None, log_status="NODATA"), flow(None, None, log_status="SKIPDATA", vpc_id=None))

    assert told(frame, "src_resolution", "dst_resolution", "traffic_profile", "application", "is_primary_record") == [
        (None, None, None, None, False),
        (None, None, None, None, False),
    ]


# --- time ---------------------------------------------------------------------------------------------------------

BEFORE = Has("vpc-1", eni="eni-old", address="10.0.0.1", begin=0, end=5)
AFTER = Has("vpc-1", eni="eni-new", address="10.0.0.1", begin=5)


@pytest.mark.parametrize(("minute", "owner"), [(4, "eni-old"), (5, "eni-new"), (6, "eni-new")])
def test_an_address_belongs_to_who_had_it_when_the_record_ended(minute: int, owner: str) -> None:
    frame = enriched(flow("10.0.0.1", OUTSIDE, minute, start=at(0)), facts=(BEFORE, AFTER, RANGE))

    assert told(frame, "src_eni_id", "src_resolution") == [(owner, "exact")]


def test_a_format_without_end_is_matched_by_its_start_or_by_the_time_of_its_file() -> None:
    frame = enriched(
        flow("10.0.0.1", OUTSIDE, end=None, start=at(6)),
        flow("10.0.0.1", OUTSIDE, end=None),
        flow("10.0.0.1", OUTSIDE, end=None, source_object="20261123T0910Z_0123456789ab"),
        facts=(BEFORE, AFTER, RANGE),
    )

    assert frame["src_eni_id"].to_list() == ["eni-new", "eni-old", "eni-new"]


def test_flows_older_than_the_first_snapshot_say_so() -> None:
    known_later = Has("vpc-1", eni="eni-1", address="10.0.0.1", begin=9, is_first=True)

    frame = enriched(flow("10.0.0.1", OUTSIDE), facts=(known_later,), account_id="111122223333")

    assert told(frame, "src_eni_id", "src_resolution", "observing_account_id") == [
        ("eni-1", "earliest", "111122223333")
    ]


def test_a_flow_says_how_new_the_metadata_was() -> None:
    assert enriched(flow("10.0.0.1", OUTSIDE), facts=(BEFORE, AFTER))["metadata_as_of"].to_list() == [at(5)]
    assert enriched(flow("10.0.0.1", OUTSIDE), facts=())["metadata_as_of"].to_list() == [None]


# --- where it was recorded ----------------------------------------------------------------------------------------


def test_a_record_says_itself_where_it_was_recorded() -> None:
    place: dict[str, Any] = {
        "account_id": "111122223333",
        "region": "eu-west-1",
        "az_id": "euw1-az1",
        "subnet_id": "subnet-1",
    }

    elsewhere: dict[str, Any] = {"account_id": "444455556666", "region": "us-east-1", "az_id": "use1-az1"}

    frame = enriched(flow("10.0.0.1", OUTSIDE, **place, instance_id="i-1"), **elsewhere)

    assert told(frame, *(f"observing_{name}" for name in (*place, "instance_id", "vpc_id", "eni_id"))) == [
        (*place.values(), "i-1", "vpc-1", "eni-1")
    ]


@pytest.mark.parametrize("account_id", [None, "unknown"])
def test_what_a_record_does_not_say_is_known_of_its_interface(account_id: str | None) -> None:
    known: dict[str, Any] = {
        "account_id": "111122223333",
        "region": "eu-west-1",
        "az_id": "euw1-az1",
        "instance_id": "i-1",
    }

    frame = enriched(flow("10.0.0.1", "10.0.0.2", account_id=account_id, vpc_id=None), **known)

    assert told(frame, *(f"observing_{name}" for name in (*known, "vpc_id"))) == [(*known.values(), "vpc-1")]
    assert told(frame, "src_eni_id", "dst_eni_id") == [("eni-1", "eni-2")]


def test_an_interface_keeps_its_vpc_and_has_the_instance_of_the_moment() -> None:
    later = Has("vpc-1", eni="eni-1", address="10.0.0.1", begin=4)
    records = [flow("10.0.0.2", OUTSIDE, minute, vpc_id=None) for minute in (3, 5)]

    frame = enriched(*records, facts=(later, OTHER), instance_id="i-1")

    assert told(frame, "observing_vpc_id", "observing_instance_id") == [("vpc-1", None), ("vpc-1", "i-1")]


def test_a_record_without_any_time_is_told_no_instance_of_the_address_book() -> None:
    timeless: dict[str, Any] = {"end": None, "source_object": "whatever", "vpc_id": None}
    first = Has("vpc-1", eni="eni-1", address="10.0.0.1", is_first=True)

    frame = enriched(flow("10.0.0.1", OUTSIDE, **timeless), facts=(first, RANGE), instance_id="i-1")

    assert told(frame, "observing_vpc_id", "observing_instance_id", "src_resolution") == [("vpc-1", None, None)]


def test_a_record_of_an_interface_that_nobody_knows_keeps_what_it_says() -> None:
    frame = enriched(
        flow("10.0.0.1", "10.0.0.2", interface_id="eni-9", region="eu-west-1"),
        flow("10.0.0.1", "10.0.0.2", interface_id="eni-9", vpc_id=None),
        flow("10.0.0.1", "10.0.0.2", interface_id=None),
    )

    assert told(frame, "observing_region", "observing_vpc_id", "src_resolution") == [
        ("eu-west-1", "vpc-1", "exact"),
        (None, None, "unknown"),
        (None, "vpc-1", "exact"),
    ]


def test_a_record_of_an_interface_that_nobody_knows_names_nobody_else_as_its_own_end() -> None:
    own: dict[str, Any] = {
        "interface_id": "eni-9",
        "flow_direction": "egress",
        "pkt_srcaddr": "10.0.0.1",
        "pkt_dstaddr": OUTSIDE,
    }

    frame = enriched(flow("10.0.0.1", OUTSIDE, **own), flow("10.0.0.1", OUTSIDE, **own, instance_id="i-9"))

    assert told(frame, "src_resolution", "src_eni_id", "src_instance_id", "is_primary_record") == [
        ("ambiguous", None, None, True),
        ("exact", "eni-9", "i-9", True),
    ]


def test_an_own_end_is_never_looked_up_from_where_a_transit_gateway_would_see_it() -> None:
    both: dict[str, Any] = {
        "interface_id": "eni-9",
        "flow_direction": "egress",
        "pkt_srcaddr": "10.0.0.1",
        "pkt_dstaddr": OUTSIDE,
        "tgw_src_vpc_id": "vpc-1",
    }

    frame = enriched(flow("10.0.0.1", OUTSIDE, vpc_id=None, **both))

    assert told(frame, "src_resolution", "src_eni_id") == [("unknown", None)]


# --- counted once, and named --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("src", "dst", "direction", "is_primary"),
    [
        ("10.0.0.1", "10.0.0.2", "egress", True),  # the sender's
        ("10.0.0.2", "10.0.0.1", "ingress", False),  # the receiver's, of traffic that the sender has recorded
        (OUTSIDE, "10.0.0.1", "ingress", True),  # the sender is not ours
        ("10.0.9.9", "10.0.0.1", "ingress", False),  # an interface of the VPC, though unknown, has recorded it
        ("192.168.9.9", "10.0.0.1", "ingress", True),  # nobody knows where that is
        ("10.0.0.1", OUTSIDE, "egress", True),
        ("10.0.0.1", "10.0.0.2", None, True),  # eni-1 is the source: it sent
        ("10.0.0.2", "10.0.0.1", None, False),  # eni-1 is the destination: it received
        ("10.0.0.2", OUTSIDE, None, False),  # eni-1 is neither: eni-2 has recorded what it sent
    ],
)
def test_one_record_of_each_direction_counts(src: str, dst: str, direction: str | None, *, is_primary: bool) -> None:
    frame = enriched(flow(src, dst, flow_direction=direction))

    assert frame["is_primary_record"].to_list() == [is_primary]


def test_a_direction_that_is_not_recorded_is_known_from_the_end_that_the_interface_is() -> None:
    frame = enriched(flow("10.0.0.1", "10.0.0.2"), flow("10.0.0.2", "10.0.0.1"), flow("10.0.0.2", OUTSIDE))

    assert frame["flow_direction"].to_list() == ["egress", "ingress", None]


@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_what_a_nat_gateway_records_is_a_second_view(direction: str) -> None:
    frame = enriched(flow("10.0.0.1", OUTSIDE, flow_direction=direction), eni_type="nat_gateway")

    assert frame["is_primary_record"].to_list() == [False]


@pytest.mark.parametrize(
    ("src", "dst", "profile"),
    [
        ("10.0.0.1", "10.0.0.2", "internal cloud"),
        ("10.0.0.1", OUTSIDE, "cloud to outside"),
        (OUTSIDE, "10.0.0.1", "outside to cloud"),
        ("10.0.0.1", "10.0.9.9", "unknown"),
        ("10.0.9.9", "10.0.0.1", "unknown"),
        (OUTSIDE, OUTSIDE, "through"),
    ],
)
def test_the_profile_says_between_whom(src: str, dst: str, profile: str) -> None:
    assert enriched(flow(src, dst))["traffic_profile"].to_list() == [profile]


@pytest.mark.parametrize(
    ("protocol", "srcport", "dstport", "application"),
    [
        (6, 49_152, 443, "https"),
        (6, 443, 49_152, "https"),
        (17, 49_152, 53, "domain"),
        (17, 49_152, 22, None),
        (6, 22, 443, "https"),  # the destination's port first
        (6, 49_152, 50_000, None),
        (1, 0, 0, "icmp"),
        (58, None, None, "ipv6-icmp"),
        (None, 49_152, 443, None),
    ],
)
def test_the_application_is_that_of_the_port_that_serves(
    protocol: int | None, srcport: int | None, dstport: int | None, application: str | None
) -> None:
    frame = enriched(flow("10.0.0.1", OUTSIDE, protocol=protocol, srcport=srcport, dstport=dstport))

    assert frame["application"].to_list() == [application]


def test_what_was_recorded_is_copied() -> None:
    recorded: dict[str, Any] = {"protocol": 6, "packets": 7, "bytes": 700, "action": "ACCEPT", "tcp_flags": 2}
    recorded |= {"traffic_path": 1, "sample_rate": 100}

    frame = enriched(flow("10.0.0.1", OUTSIDE, start=at(4), srcport=1, dstport=2, pkt_dst_aws_service="S3", **recorded))

    assert frame.select(*recorded).row(0, named=True) == recorded
    assert told(frame, "start_time", "end_time", "src_port", "dst_port", "src_aws_service", "dst_aws_service") == [
        (at(4), at(5), 1, 2, None, "S3")
    ]


# --- whole frames -------------------------------------------------------------------------------------------------


def test_the_columns_are_those_of_the_table() -> None:
    everything = polars_schema(TABLES["enriched_flows"])

    for frame in (enriched(flow("10.0.0.1", OUTSIDE)), enriched(), enriched(flow("10.0.0.1", OUTSIDE), facts=())):
        assert frame.cast({pl.Categorical: pl.String}).schema == everything


def test_columns_that_the_flows_lack_count_as_null() -> None:
    frame = enriched_flows(pl.DataFrame({**PARTITION, "srcaddr": ["10.0.0.1"]}), Knowledge(index=index(NETWORK)))

    assert told(frame, "src_resolution", "dst_resolution", "sample_rate") == [("unknown", None, 1)]


def test_columns_without_a_type_count_as_null() -> None:
    untyped = pl.DataFrame({**PARTITION, "srcaddr": ["10.0.0.1"], "interface_id": [None], "instance_id": [None]})
    known = AddressIndex(book(NETWORK).with_columns(instance_id=pl.lit("i-1")))

    frame = enriched_flows(untyped.with_columns(vpc_id=pl.lit("vpc-1"), end=at(5)), Knowledge(index=known))

    assert told(frame, "src_resolution", "src_instance_id") == [("exact", "i-1")]


def test_flows_that_do_not_say_whence_they_came_are_refused() -> None:
    with pytest.raises(MissingColumnsError, match="enriched_flows needs the columns hour, source_object"):
        enriched_flows(pl.DataFrame({"export": ["prod"]}), Knowledge(index=index(NETWORK)))


ADDRESSES = ("10.0.0.1", "10.0.0.2", "10.0.9.9", OUTSIDE, "nonsense")
VPCS = ("vpc-1", "vpc-2", None)
MINUTES = range(7)
_addresses = st.sampled_from([*ADDRESSES, None])
_flows = st.tuples(_addresses, _addresses, st.sampled_from(VPCS), st.sampled_from(MINUTES))
_facts = (
    BEFORE,
    AFTER,
    Has("vpc-1", eni="eni-2", address="10.0.0.2", begin=3, is_first=True),
    Has("vpc-2", eni="eni-3", address="10.0.0.1", begin=1, end=6),
    Has("vpc-2", eni="eni-4", address=OUTSIDE, begin=2, end=4),
    RANGE,
    Holds("vpc-2", block="10.0.0.0/24"),
)


@functools.cache
def alone() -> dict[Question, Answer]:
    """The answer to each question that a flow can ask."""
    return answers(_facts, list(product(VPCS, ADDRESSES, MINUTES)))


@settings(deadline=None, max_examples=30)
@given(st.lists(_flows, max_size=12))
def test_many_flows_get_the_answers_that_each_gets_alone_in_the_same_order(
    flows: list[tuple[str | None, str | None, str | None, int]],
) -> None:
    records = [
        flow(src, dst, minute, interface_id=None, vpc_id=vpc, srcport=row)
        for row, (src, dst, vpc, minute) in enumerate(flows)
    ]

    frame = enriched(*records, facts=_facts)

    assert frame["src_port"].to_list() == list(range(len(flows)))
    for place, side in ((0, "src"), (1, "dst")):
        asked = [(vpc, ends[place], minute) for *ends, vpc, minute in flows]
        assert told(frame, f"{side}_resolution", f"{side}_eni_id", f"{side}_vpc_id") == [
            alone().get(question, (None, None, None)) for question in asked
        ]
