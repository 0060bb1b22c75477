"""A firewall's netflow events are flows of the VPC that it is in; what it logs besides is none."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.address_index import AddressIndex
from kentik_dagster.core.firewall_flows import firewall_flows
from kentik_dagster.core.schemas import polars_schema
from kentik_dagster.errors import MissingColumnsError
from tests.core.metadata_log import PAYMENTS, PLATFORM, Log, at

EVENTS = polars_schema(TABLES["firewall_logs"])
FLOWS = polars_schema(TABLES["flow_logs"])
PLACES = pl.Schema(dict.fromkeys(("account_id", "region", "name", "vpc_id"), pl.String()))
ARN = "arn:aws:network-firewall:eu-west-1:111122223333:firewall/egress"
EVENT: Mapping[str, Any] = {
    "export": "prod",
    "hour": "2026-11-23T09",
    "source_object": "20261123T0905Z_firewall0001",
    "account_id": PAYMENTS,
    "region": "eu-west-1",
    "firewall_name": "egress",
    "event_type": "netflow",
    "src_ip": "192.0.2.1",
    "src_port": 49_152,
    "dest_ip": "198.51.100.7",
    "dest_port": 443,
    "protocol": 6,
    "netflow_pkts": 3,
    "netflow_bytes": 300,
    "netflow_start": datetime(2026, 11, 23, 9, 0, 1, tzinfo=UTC),
    "netflow_end": datetime(2026, 11, 23, 9, 0, 9, tzinfo=UTC),
}


def events(*changes: Mapping[str, Any]) -> pl.DataFrame:
    """Events with all columns of the table."""
    return pl.DataFrame([{**EVENT, **changed} for changed in changes], schema=EVENTS)


def places(*rows: tuple[str, str, str, str | None]) -> pl.DataFrame:
    """Which VPC firewalls are in: account, region, name, VPC."""
    known = pl.DataFrame(rows, schema=PLACES, orient="row")
    return known.with_columns(valid_from=pl.lit(at(0), polars_schema(TABLES["address_book"])["valid_from"]))


EGRESS = places((PAYMENTS, "eu-west-1", "egress", "vpc-1"))


def firewall(name: str | None, vpc_id: str | None = "vpc-1", arn: str = ARN) -> dict[str, Any]:
    """A firewall as AWS describes it, with the parent that it was asked for."""
    described = {"FirewallName": name, "VpcId": vpc_id, "FirewallArn": arn, "FirewallId": f"id of {name}"}
    return {"FirewallArn": arn, "Firewall": described, "FirewallStatus": {"Status": "READY"}}


# --- flows --------------------------------------------------------------------------------------------------------


def test_a_netflow_event_is_a_flow_of_the_firewalls_vpc() -> None:
    flows = firewall_flows(events({}), EGRESS)

    assert flows.to_dicts() == [
        {
            "export": "prod",
            "hour": "2026-11-23T09",
            "source_object": "20261123T0905Z_firewall0001",
            "account_id": PAYMENTS,
            "region": "eu-west-1",
            "vpc_id": "vpc-1",
            "protocol": 6,
            "log_type": "network_firewall",
            "log_status": "OK",
            "srcaddr": "192.0.2.1",
            "dstaddr": "198.51.100.7",
            "srcport": 49_152,
            "dstport": 443,
            "packets": 3,
            "bytes": 300,
            "start": datetime(2026, 11, 23, 9, 0, 1, tzinfo=UTC),
            "end": datetime(2026, 11, 23, 9, 0, 9, tzinfo=UTC),
        }
    ]


def test_its_columns_are_those_of_flow_logs() -> None:
    flows = firewall_flows(events({}), EGRESS)

    assert dict(flows.schema) == {name: FLOWS[name] for name in flows.columns}


@pytest.mark.parametrize("event_type", ["alert", "tls", "", "NETFLOW", None])
def test_other_events_are_no_flows(event_type: str | None) -> None:
    flows = firewall_flows(events({"event_type": event_type}, {"src_port": 1}), EGRESS)

    assert flows["srcport"].to_list() == [1]


def test_flows_keep_the_order_of_their_events() -> None:
    known = places((PAYMENTS, "eu-west-1", "ingress", "vpc-2"), *EGRESS.drop("valid_from").rows())
    names = ["egress", "unheard of", "ingress", "egress"]

    flows = firewall_flows(events(*({"firewall_name": name} for name in names)), known)

    assert flows["vpc_id"].to_list() == ["vpc-1", None, "vpc-2", "vpc-1"]


@pytest.mark.parametrize(
    "other", [{"firewall_name": "ingress"}, {"account_id": PLATFORM}, {"region": "us-east-1"}, {"firewall_name": None}]
)
def test_the_vpc_of_a_firewall_that_metadata_does_not_know_is_null(other: Mapping[str, Any]) -> None:
    flows = firewall_flows(events(other), EGRESS)

    assert flows.select("vpc_id", "bytes").rows() == [(None, 300)]


def test_a_firewall_that_was_in_two_vpcs_makes_no_flow_twice() -> None:
    moved = places(*EGRESS.drop("valid_from").rows(), (PAYMENTS, "eu-west-1", "egress", "vpc-2"))

    flows = firewall_flows(events({}), moved)

    assert flows.select("vpc_id", "bytes").rows() == [("vpc-2", 300)]


def test_missing_columns_count_as_null() -> None:
    few = events({}).select("export", "hour", "source_object", "event_type", "src_ip")

    flows = firewall_flows(few, EGRESS)

    assert flows.schema == firewall_flows(events({}), EGRESS).schema
    (flow,) = flows.to_dicts()
    assert {name for name, value in flow.items() if value is not None} == {
        "export", "hour", "source_object", "srcaddr", "log_type", "log_status",
    }  # fmt: skip


def test_without_the_kind_of_event_nothing_is_a_flow() -> None:
    flows = firewall_flows(events({}).drop("event_type"), EGRESS)

    assert flows.is_empty()


def test_what_an_event_cannot_do_without_is_named() -> None:
    with pytest.raises(MissingColumnsError, match="source_object"):
        firewall_flows(events({}).drop("source_object"), EGRESS)


# --- in which VPC firewalls are -----------------------------------------------------------------------------------


def test_a_firewall_is_in_the_vpc_that_aws_describes() -> None:
    log = Log()
    log.see(0, "firewall", firewall("egress"))

    known = AddressIndex(log.whole_book()).firewalls

    assert known.rows(named=True) == [
        {"account_id": PAYMENTS, "region": "eu-west-1", "name": "egress", "vpc_id": "vpc-1", "valid_from": at(0)}
    ]
    assert firewall_flows(events({}), known)["vpc_id"].to_list() == ["vpc-1"]


def test_a_firewall_without_a_name_is_left_out() -> None:
    log = Log()
    log.see(0, "firewall", firewall(None), firewall("egress", arn=f"{ARN}-2"))

    assert log.book("firewall")["name"].to_list() == ["egress"]


def test_a_firewall_that_is_gone_was_there_until_then() -> None:
    log = Log()
    log.see(0, "firewall", firewall("egress"))
    log.see(3, "firewall")

    (row,) = log.book("firewall").to_dicts()

    assert (row["valid_from"], row["valid_to"], row["since_first_snapshot"]) == (at(0), at(3), True)


def test_a_firewall_that_is_made_again_elsewhere_is_where_it_was_at_the_time() -> None:
    log = Log()
    log.see(0, "firewall", firewall("egress", "vpc-2"))
    log.see(3, "firewall", firewall("egress", "vpc-1"))

    known = AddressIndex(log.whole_book()).firewalls
    flows = firewall_flows(events(*({"netflow_end": at(minute)} for minute in (-1, 1, 5))), known)

    assert flows["vpc_id"].to_list() == ["vpc-2", "vpc-2", "vpc-1"]
