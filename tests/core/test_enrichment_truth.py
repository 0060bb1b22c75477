"""A made-up organization, observed, and its traffic, enriched: every end is the one that really was there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from kentik_dagster.catalog.network_operations import OPERATIONS
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.address_book import address_book
from kentik_dagster.core.address_index import AddressIndex
from kentik_dagster.core.enrichment import Knowledge, enriched_flows
from kentik_dagster.core.flow_log_text import parse_text
from kentik_dagster.core.network import Scope, new_changes
from kentik_dagster.core.resources import resources
from kentik_dagster.core.schemas import no_rows
from kentik_dagster.demo.flows import flow_records, log_text
from kentik_dagster.demo.organization import Organization, Size, made_up_organization

OPERATION = {operation.resource_type: operation for operation in OPERATIONS}
NOON, WINDOW = datetime(2026, 11, 23, 12, tzinfo=UTC), timedelta(minutes=5)


def replaced(organization: Organization) -> Organization:
    """The organization later: every fifth instance was replaced, and its interface's address used again."""
    old = organization.interfaces.filter(interface_type="interface").gather_every(5)
    return organization.renamed({name: f"{name[:-4]}beef" for name in [*old["interface_id"], *old["instance_id"]]})


EARLIER = made_up_organization(7, Size())
LATER = replaced(EARLIER)


def described(organization: Organization, account_id: str, region: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """What AWS answers there, by kind of resource."""

    def here(frame: pl.DataFrame) -> list[dict[str, Any]]:
        return frame.filter(account_id=account_id, region=region).to_dicts()

    def named(row: dict[str, Any]) -> dict[str, Any]:
        return {"Tags": [{"Key": "Name", "Value": row["name"]}]}

    yield (
        "vpc",
        [
            {"VpcId": row["vpc_id"], "OwnerId": account_id, "CidrBlock": row["cidr_block"], **named(row)}
            for row in here(organization.vpcs)
        ],
    )
    yield (
        "network_interface",
        [
            {
                "NetworkInterfaceId": row["interface_id"],
                "OwnerId": account_id,
                "VpcId": row["vpc_id"],
                "PrivateIpAddress": row["private_ip"],
                "Attachment": {"InstanceId": row["instance_id"]},
                "Association": {"PublicIp": row["public_ip"]},
            }
            for row in here(organization.interfaces)
        ],
    )
    yield (
        "nat_gateway",
        [
            {
                "NatGatewayId": row["nat_gateway_id"],
                "NatGatewayAddresses": [{"NetworkInterfaceId": row["interface_id"]}],
                **named(row),
            }
            for row in here(organization.nat_gateways)
        ],
    )
    both_sides = organization.peerings.join(organization.vpcs, left_on="requester_vpc_id", right_on="vpc_id")
    yield (
        "vpc_peering_connection",
        [
            {
                "VpcPeeringConnectionId": row["peering_id"],
                "RequesterVpcInfo": {"VpcId": row["requester_vpc_id"], "OwnerId": account_id},
                "AccepterVpcInfo": {"VpcId": row["accepter_vpc_id"]},
                "Status": {"Code": "active"},
            }
            for row in here(both_sides)
        ],
    )


def observed(log: pl.DataFrame, organization: Organization, at: datetime) -> pl.DataFrame:
    """The log of changes after a snapshot of all accounts and regions."""
    places = organization.vpcs.select("account_id", "region").unique().sort("account_id", "region")
    for account_id, region in places.iter_rows():
        for resource_type, items in described(organization, account_id, region):
            scope = Scope(account_id, region, resource_type)
            seen = resources(items, OPERATION[resource_type], account_id=account_id, region=region).rows
            log = pl.concat([log, new_changes(log, seen, [scope], at)])
    return log


def traffic(organization: Organization, start: datetime) -> pl.DataFrame:
    return flow_records(organization, start=start, end=start + WINDOW, records=6_000, seed=3)


@pytest.fixture(scope="module")
def records() -> pl.DataFrame:
    """Records of ten minutes, with the truth; half way, instances were replaced and addresses used again."""
    return pl.concat([traffic(EARLIER, NOON), traffic(LATER, NOON + WINDOW)])


def enriched(records: pl.DataFrame, *, snapshots: tuple[datetime, datetime]) -> pl.DataFrame:
    """The records, written, read, and enriched from a snapshot of the earlier and one of the later network."""
    log = observed(no_rows(TABLES["metadata_changes"]), EARLIER, snapshots[0])
    log = observed(log, LATER, snapshots[1])
    rows = parse_text(log_text(records)).rows.with_columns(
        export=pl.lit("prod"), hour=pl.lit("2026-11-23T12"), source_object=pl.lit("20261123T1200Z_0123456789ab")
    )
    return enriched_flows(rows, Knowledge(index=AddressIndex(address_book(log, EARLIER.accounts))))


@pytest.fixture(scope="module")
def flows(records: pl.DataFrame) -> pl.DataFrame:
    return enriched(records, snapshots=(NOON - WINDOW, NOON + WINDOW))


def told(flows: pl.DataFrame, records: pl.DataFrame, side: str) -> set[tuple[str | None, str | None]]:
    """What really was at an end, beside how it was resolved."""
    return set(zip(records[f"true_{side}_kind"], flows[f"{side}_resolution"], strict=True))


@pytest.mark.parametrize("side", ["src", "dst"])
def test_every_end_is_the_interface_and_account_that_really_was_there(
    flows: pl.DataFrame, records: pl.DataFrame, side: str
) -> None:
    assert flows[f"{side}_eni_id"].equals(records[f"true_{side}_interface_id"], check_names=False)
    assert flows[f"{side}_account_id"].equals(records[f"true_{side}_account_id"], check_names=False)
    assert told(flows, records, side) == {
        ("interface", "exact"),
        ("external", "external"),
        ("unknown", "unknown"),
        (None, None),
    }


def test_addresses_were_used_again_so_that_time_matters(records: pl.DataFrame) -> None:
    owners = records.group_by("vpc_id", "pkt_srcaddr").agg(pl.col("true_src_interface_id").drop_nulls().n_unique())

    assert owners["true_src_interface_id"].max() == 2


def test_summed_over_primary_records_traffic_counts_once(flows: pl.DataFrame, records: pl.DataFrame) -> None:
    assert flows["is_primary_record"].equals(records["is_first_view"], check_names=False)
    assert flows.filter("is_primary_record")["bytes"].sum() == records.filter("is_first_view")["bytes"].sum()


@pytest.mark.parametrize("side", ["src", "dst"])
def test_flows_before_the_first_snapshot_get_its_owners_and_say_so(records: pl.DataFrame, side: str) -> None:
    early = records.filter(pl.col("end") < (NOON + WINDOW).timestamp())

    flows = enriched(early, snapshots=(NOON + WINDOW, NOON + 2 * WINDOW))

    assert flows[f"{side}_eni_id"].equals(early[f"true_{side}_interface_id"], check_names=False)
    assert told(flows, early, side) == {
        ("interface", "earliest"),
        ("external", "external"),
        ("unknown", "unknown"),
        (None, None),
    }
