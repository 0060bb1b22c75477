"""Flow log records are written as AWS writes them, and the truth that they carry is true."""

from __future__ import annotations

import gzip
import re
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.demo.flows import FIELDS, TRUTH, WINDOW, LogObject, flow_records, log_objects, log_text
from kentik_dagster.demo.organization import Size, made_up_organization

START = datetime(2026, 11, 23, 9, 10, tzinfo=UTC)
ORGANIZATION = made_up_organization(7, Size())
RECORDS = flow_records(ORGANIZATION, start=START, end=START + WINDOW, records=20_000, seed=3)
TRAFFIC = RECORDS.filter(log_status="OK")
GATEWAYS = ORGANIZATION.nat_gateways["interface_id"].implode()


def objects(seed: int = 3, minutes: int = 10, prefix: str = "", objects_per_window: int = 1) -> list[LogObject]:
    return list(
        log_objects(
            ORGANIZATION,
            start=START,
            end=START + timedelta(minutes=minutes),
            records_per_object=200,
            objects_per_window=objects_per_window,
            seed=seed,
            prefix=prefix,
        )
    )


@settings(deadline=None, max_examples=30)
@given(records=st.integers(min_value=0, max_value=300))
def test_there_are_exactly_as_many_records_as_asked_for(records: int) -> None:
    made_up = flow_records(ORGANIZATION, start=START, end=START + WINDOW, records=records, seed=3)

    assert made_up.height == records
    assert made_up.columns == [*(field.replace("-", "_") for field in FIELDS), *TRUTH]


def test_the_same_seed_gives_the_same_records() -> None:
    again = flow_records(ORGANIZATION, start=START, end=START + WINDOW, records=20_000, seed=3)
    other = flow_records(ORGANIZATION, start=START, end=START + WINDOW, records=20_000, seed=4)

    assert RECORDS.equals(again)
    assert not RECORDS.equals(other)


@pytest.mark.parametrize("end", ["src", "dst"])
def test_every_true_interface_really_has_that_address(end: str) -> None:
    interfaces = ORGANIZATION.interfaces.select("interface_id", "account_id", "private_ip")
    known = TRAFFIC.filter(pl.col(f"true_{end}_kind") == "interface").join(
        interfaces, left_on=f"true_{end}_interface_id", right_on="interface_id", suffix="_of_interface"
    )

    assert known.height == TRAFFIC.filter(pl.col(f"true_{end}_kind") == "interface").height
    assert known[f"pkt_{end}addr"].equals(known["private_ip"], check_names=False)
    assert known[f"true_{end}_account_id"].equals(known["account_id_of_interface"], check_names=False)


@pytest.mark.parametrize("end", ["src", "dst"])
def test_an_end_that_is_not_an_interface_has_an_address_that_no_interface_has(end: str) -> None:
    others = TRAFFIC.filter(pl.col(f"true_{end}_kind") != "interface")
    addresses = ORGANIZATION.interfaces["private_ip"].implode()

    assert others[f"true_{end}_interface_id"].is_null().all()
    assert others[f"true_{end}_account_id"].is_null().all()
    assert not others[f"pkt_{end}addr"].is_in(addresses).any()
    assert set(others[f"true_{end}_kind"]) == {"external", "unknown"}
    in_a_vpc = others[f"pkt_{end}addr"].str.starts_with("10.")
    assert in_a_vpc.equals(others[f"true_{end}_kind"] == "unknown", check_names=False)


def test_records_tell_where_their_interface_is() -> None:
    places = ["interface_id", "account_id", "vpc_id", "subnet_id", "instance_id", "region", "az_id"]

    observed = RECORDS.select(places).unique()

    assert observed.height == ORGANIZATION.interfaces.height
    assert observed.sort("interface_id").equals(ORGANIZATION.interfaces.select(places).sort("interface_id"))


def test_a_record_has_its_interface_at_one_end_and_says_which() -> None:
    own = TRAFFIC.join(ORGANIZATION.interfaces.select("interface_id", "private_ip"), on="interface_id")

    assert own.filter(flow_direction="egress").filter(pl.col("srcaddr") != pl.col("private_ip")).is_empty()
    assert own.filter(flow_direction="ingress").filter(pl.col("dstaddr") != pl.col("private_ip")).is_empty()
    assert own.filter(pl.col("traffic_path").is_not_null() != (pl.col("flow_direction") == "egress")).is_empty()


def test_each_direction_of_a_conversation_has_one_record_that_counts() -> None:
    towards_client = pl.col("dstport") > pl.col("srcport")
    directions = TRAFFIC.filter(protocol=6).group_by("conversation_id", towards_client, "true_src_kind")

    counts = directions.agg(pl.col("is_first_view").sum(), pl.col("bytes").n_unique())

    assert counts.filter(true_src_kind="unknown")["is_first_view"].unique().to_list() == [0]
    assert counts.filter(pl.col("true_src_kind") != "unknown")["is_first_view"].unique().to_list() == [1]
    assert counts["bytes"].unique().to_list() == [1]
    assert TRAFFIC.filter("is_first_view", pl.col("interface_id").is_in(GATEWAYS)).is_empty()


def test_a_nat_gateway_records_both_of_its_sides() -> None:
    gateway = ORGANIZATION.nat_gateways.row(0, named=True)
    seen = TRAFFIC.filter(interface_id=gateway["interface_id"])
    conversation = seen.filter(conversation_id=seen["conversation_id"][0])
    own = gateway["private_ip"]

    sides = {
        (
            "own" if src == own else "far",
            "own" if dst == own else "far",
            "own" if pkt_src == own else "far",
            "own" if pkt_dst == own else "far",
        )
        for src, dst, pkt_src, pkt_dst in conversation.select(
            "srcaddr", "dstaddr", "pkt_srcaddr", "pkt_dstaddr"
        ).iter_rows()
    }

    assert sides == {
        ("far", "own", "far", "far"),  # from the instance
        ("own", "far", "own", "far"),  # to the internet
        ("far", "own", "far", "own"),  # from the internet
        ("own", "far", "far", "far"),  # to the instance
    }
    assert conversation["instance_id"].is_null().all()
    assert TRAFFIC.filter(conversation_id=conversation["conversation_id"][0]).height == 6


def test_elsewhere_the_addresses_of_the_packet_are_those_of_the_record() -> None:
    ordinary = TRAFFIC.filter(~pl.col("interface_id").is_in(GATEWAYS))

    assert ordinary["srcaddr"].equals(ordinary["pkt_srcaddr"], check_names=False)
    assert ordinary["dstaddr"].equals(ordinary["pkt_dstaddr"], check_names=False)


def test_an_address_that_exists_twice_is_seen_in_both_vpcs() -> None:
    owners = TRAFFIC.filter(true_src_kind="interface").group_by("pkt_srcaddr").agg(
        pl.col("true_src_account_id").n_unique()
    )  # fmt: skip

    assert owners["true_src_account_id"].max() == 2


def test_flows_between_accounts_are_those_over_a_peering() -> None:
    between = TRAFFIC.filter(pl.col("true_src_account_id") != pl.col("true_dst_account_id"))

    assert between.height > 1_000
    assert between["traffic_path"].drop_nulls().unique().to_list() == [4]


def test_rejected_records_are_one_attempt_to_open_a_connection() -> None:
    rejected = TRAFFIC.filter(action="REJECT")

    assert rejected["tcp_flags"].unique().to_list() == [2]
    assert rejected["packets"].unique().to_list() == [1]
    assert rejected["flow_direction"].unique().to_list() == ["ingress"]


def test_records_without_traffic_keep_only_their_place_and_time() -> None:
    silent = RECORDS.filter(pl.col("log_status") != "OK")
    kept = {name for name in silent.columns if silent[name].null_count() < silent.height}

    assert set(silent["log_status"]) == {"NODATA", "SKIPDATA"}
    assert kept == {
        "version", "account_id", "interface_id", "start", "end", "log_status",
        "vpc_id", "subnet_id", "instance_id", "region", "az_id", "is_first_view",
    }  # fmt: skip
    assert not silent["is_first_view"].any()


def test_the_text_is_what_aws_writes() -> None:
    silent = RECORDS.filter(log_status="NODATA").sort("end").head(1)

    text = log_text(silent, ["log-status", "account-id", "srcaddr", "start"])

    assert text.decode() == (
        f"log-status account-id srcaddr start\nNODATA {silent['account_id'][0]} - {silent['start'][0]}\n"
    )


@settings(deadline=None, max_examples=30)
@given(fields=st.lists(st.sampled_from(FIELDS), min_size=2, unique=True))
def test_any_choice_of_fields_can_be_read_back(fields: list[str]) -> None:
    records = RECORDS.head(50)
    columns = [field.replace("-", "_") for field in fields]

    lines = log_text(records, fields).decode().split("\n")

    assert lines[0] == " ".join(fields)
    assert lines[-1] == ""
    rows = [[None if value == "-" else value for value in line.split(" ")] for line in lines[1:-1]]
    assert rows == [list(row) for row in records.select(pl.col(columns).cast(pl.String)).iter_rows()]


def test_keys_are_laid_out_as_aws_lays_them_out() -> None:
    layout = re.compile(
        r"acme/logs/AWSLogs/(?P<account>\d{12})/vpcflowlogs/(?P<region>[a-z0-9-]+)/2026/11/23/"
        r"(?P=account)_vpcflowlogs_(?P=region)_fl-[0-9a-f]{17}_20261123T09(?:10|15)Z_[0-9a-f]{8}\.log\.gz"
    )

    keys = [log.key for log in objects(prefix="acme/logs", objects_per_window=2)]

    assert all(layout.fullmatch(key) for key in keys)
    assert len(set(keys)) == len(keys) == 8 * 2 * 2


def test_a_file_holds_records_of_its_account_region_and_window() -> None:
    for log in objects():
        _, account_id, _, region, *_ = log.key.split("/")
        window = int(log.file_time.timestamp())
        assert log.records["account_id"].unique().to_list() == [account_id]
        assert log.records["region"].unique().to_list() == [region]
        assert log.records["end"].is_between(window, window + 300, closed="left").all()
        assert timedelta(minutes=5) <= log.posted_at - log.file_time <= timedelta(minutes=9)


def test_a_file_is_the_text_of_its_records_and_the_same_bytes_every_time() -> None:
    first, second = objects(), objects()

    assert [log.body for log in first] == [log.body for log in second]
    assert [(log.key, log.posted_at) for log in first] == [(log.key, log.posted_at) for log in second]
    for log in first:
        assert gzip.decompress(log.body) == log_text(log.records)


def test_every_record_is_in_one_file() -> None:
    one, two = (pl.concat([log.records for log in objects(objects_per_window=count)]) for count in (1, 2))

    assert one.height == 2 * 8 * 200
    assert two.height == 2 * 8 * 200 * 2


def test_a_start_between_two_windows_is_refused() -> None:
    with pytest.raises(ValueError, match="not the beginning of a five-minute window"):
        next(
            log_objects(
                ORGANIZATION,
                start=START + timedelta(minutes=1),
                end=START + WINDOW,
                records_per_object=1,
                seed=1,
            )
        )
