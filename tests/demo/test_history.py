"""The organization with a history keeps its own laws: otherwise nothing could be measured against it."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.schemas import polars_schema
from kentik_dagster.demo.history import BEGIN, END, SITUATIONS, TRUTH, History, Size
from kentik_dagster.demo.history_network import FIRST_SNAPSHOT, OUTAGE
from tests.core.history import changes, made_up_history, seen

HISTORY = made_up_history(1)
RECORDS = HISTORY.records()
IDS = HISTORY.network.account_ids
SIDES = ("src", "dst")
IS_REQUEST = pl.col("srcport") > pl.col("dstport")


def interfaces_of(history: History) -> pl.DataFrame:
    """What snapshots saw of interfaces: `at`, `account_id`, `eni_id`, `vpc_id`, `address` (each that it has)."""
    rows = [
        (at, account_id, row["NetworkInterfaceId"], row["VpcId"], address)
        for at in history.snapshots
        for account_id in history.accounts["account_id"]
        for region in history.regions
        for row in (history.answers(account_id, region, at) or {}).get("network_interface", [])
        for address in [
            *(private["PrivateIpAddress"] for private in row["PrivateIpAddresses"]),
            *(ipv6["Ipv6Address"] for ipv6 in row["Ipv6Addresses"]),
            *(str(one) for prefix in row.get("Ipv4Prefixes", []) for one in ipaddress.ip_network(prefix["Ipv4Prefix"])),
        ]
    ]
    return pl.DataFrame(rows, schema=["at", "account_id", "eni_id", "vpc_id", "address"], orient="row")


def test_records_have_the_columns_of_flow_logs_and_the_truth() -> None:
    schema = RECORDS.schema

    assert schema == pl.Schema([*polars_schema(TABLES["flow_logs"]).items(), *TRUTH.items()])
    assert set(RECORDS["situation"]) == set(SITUATIONS)


def test_the_same_seed_makes_the_same_history() -> None:
    again, other = History(1), History(2)

    assert again.records().equals(RECORDS)
    assert changes(again).equals(changes(HISTORY))
    assert not other.records().equals(RECORDS)


def test_it_does_not_matter_how_time_is_cut_into_pieces() -> None:
    edges = [BEGIN, BEGIN + timedelta(minutes=17), BEGIN + timedelta(minutes=92, seconds=13), END]

    pieces = [HISTORY.records(start, end) for start, end in pairwise(edges)]

    together = pl.concat(pieces).sort("conversation_id", maintain_order=True)
    assert together.equals(RECORDS)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(min_value=0, max_value=10**9), pairs=st.integers(min_value=1, max_value=4))
def test_each_direction_of_a_conversation_has_one_primary_record(seed: int, pairs: int) -> None:
    records = History(seed, Size(pairs=pairs)).records()

    counts = records.group_by("conversation_id", IS_REQUEST.alias("is_request")).agg(pl.col("is_primary").sum())

    assert set(counts["is_primary"]) == {1}


def test_primary_records_are_not_at_devices_in_between() -> None:
    primary = RECORDS.filter("is_primary")

    at_interfaces = primary.filter(log_type="vpc")
    at_transit_gateway = primary.filter(log_type="transit_gateway")

    between = [
        one.eni_id
        for one in HISTORY.network.interfaces.values()
        if one.interface_type in ("nat_gateway", "transit_gateway", "network_load_balancer")
    ]
    assert not at_interfaces["interface_id"].is_in(between).any()
    assert at_transit_gateway["true_src_eni_id"].is_null().all()
    assert at_transit_gateway["true_dst_eni_id"].is_null().all()
    assert at_transit_gateway.height > 0


def test_all_records_of_a_direction_tell_the_same_bytes() -> None:
    told = RECORDS.group_by("conversation_id", IS_REQUEST.alias("is_request")).agg(pl.col("bytes").n_unique())

    assert set(told["bytes"]) == {1}


def test_every_interface_is_in_one_accounts_answers() -> None:
    interfaces = interfaces_of(HISTORY)

    owners = interfaces.group_by("eni_id").agg(pl.col("account_id").n_unique())

    assert set(owners["account_id"]) == {1}


def test_an_address_in_a_vpc_is_one_interfaces_at_a_time() -> None:
    interfaces = interfaces_of(HISTORY)

    holders = interfaces.group_by("vpc_id", "address", "at").agg(pl.col("eni_id").n_unique())
    over_time = interfaces.group_by("vpc_id", "address").agg(pl.col("eni_id").n_unique())

    assert set(holders["eni_id"]) == {1}
    assert over_time["eni_id"].max() == 2


def test_between_snapshots_too_an_address_in_a_vpc_is_one_interfaces() -> None:
    stood = sorted(
        (one.subnet.vpc.vpc_id, one.address, one.since, one.until) for one in HISTORY.network.interfaces.values()
    )

    following = [(before, after) for before, after in pairwise(stood) if before[:2] == after[:2]]

    assert len(following) == 5  # three addresses that are used again, one before the first snapshot, one that moved
    assert all(before[3] < after[2] for before, after in following)


@pytest.mark.parametrize(("side", "direction"), [("src", "egress"), ("dst", "ingress")])
def test_an_interface_sees_its_own_side_by_its_primary_address(side: str, direction: str) -> None:
    primary = pl.DataFrame(
        [(one.eni_id, one.address) for one in HISTORY.network.interfaces.values()],
        schema=["interface_id", "primary"],
        orient="row",
    ).unique()
    records = RECORDS.filter(log_type="vpc", flow_direction=direction, type="IPv4")

    own = records.filter(pl.col(f"true_{side}_eni_id") == pl.col("interface_id")).join(primary, on="interface_id")

    assert own[f"{side}addr"].equals(own["primary"], check_names=False)
    assert own.filter(pl.col(f"{side}addr") != pl.col(f"pkt_{side}addr"))["situation"].unique().to_list() == [
        "eks_pods"
    ]


def test_what_aws_answers_is_accepted_whole() -> None:
    answered = seen(HISTORY)

    rejected = [(resource_type, found.rejected) for _, resource_type, found in answered if found.rejected]

    assert rejected == []
    assert {"vpc", "network_interface", "transit_gateway_route", "managed_prefix_list_entry", "vpn_connection"} <= {
        resource_type for _, resource_type, found in answered if found.rows.height
    }


def test_one_account_never_shows_anything_and_another_not_for_an_hour() -> None:
    hidden, paused = IDS["acquired"], IDS["platform"]

    shown = [HISTORY.answers(hidden, "us-east-1", at) for at in HISTORY.snapshots]
    silent = [at for at in HISTORY.snapshots if HISTORY.answers(paused, "us-east-1", at) is None]

    assert set(shown) == {None}
    assert silent == [at for at in HISTORY.snapshots if OUTAGE[0] <= at < OUTAGE[1]]
    assert len(silent) == 4


def test_a_shared_subnet_is_seen_by_its_participants_and_belongs_to_its_owner() -> None:
    at, shared = HISTORY.snapshots[0], HISTORY.network.vpcs["shared"]

    seers = {
        name: row["OwnerId"]
        for name in ("network", "payments", "analytics", "platform")
        for row in (HISTORY.answers(IDS[name], "us-east-1", at) or {})["subnet"]
        if row["VpcId"] == shared.vpc_id
    }

    assert seers == dict.fromkeys(("network", "payments", "analytics"), IDS["network"])


@pytest.mark.parametrize("side", SIDES)
def test_only_interfaces_are_resolvable_and_every_word_follows_from_the_truth(side: str) -> None:
    kind, word = pl.col(f"true_{side}_kind"), pl.col(f"expected_{side}_resolution")
    told = RECORDS.with_columns(is_early=pl.col("end") < FIRST_SNAPSHOT)

    pairs = set(told.select(kind, word, f"{side}_is_resolvable").unique().iter_rows())
    early = set(told.filter(kind == "interface", "is_early")[f"expected_{side}_resolution"])

    assert pairs == {
        ("interface", "exact", True),
        ("interface", "exact", False),  # it was deleted, and no snapshot has seen that yet
        ("interface", "earliest", True),
        ("interface", "unknown", False),
        ("external", "external", False),
        ("on_premises", "external", False),
        *([("nobody", "unknown", False)] if side == "dst" else []),  # who has no interface sends nothing
    }
    assert early == {"earliest", "exact", "unknown"}


def test_too_small_a_history_says_what_it_needs() -> None:
    with pytest.raises(ValueError, match="1 to 20 pairs"):
        History(1, Size(pairs=0))
