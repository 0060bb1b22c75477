"""What snapshots write, and what they do not: differences, each once, without secrets and without chance."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kentik_dagster.catalog.network import SECRETS
from kentik_dagster.catalog.network_operations import OPERATIONS
from kentik_dagster.lake.tables import Lake
from tests.catalog.made_up_answers import made_up_answer
from tests.fake_aws import FakeAws
from tests.work.snapshots import (
    ELSEWHERE,
    HOME,
    PRIMARY,
    SECOND,
    Snapshots,
    access,
    answer_everything,
    fake_aws,
)

CANARY = "CANARY-PRE-SHARED-KEY"
TABLE = "tgw-rtb-1"


@pytest.fixture(scope="module")
def running() -> Iterator[FakeAws]:
    with fake_aws() as fake:
        yield fake


@pytest.fixture
def fake(running: FakeAws) -> Iterator[FakeAws]:
    """One row of everything."""
    answer_everything(running)
    yield running
    running.page_size, running.empty_pages = None, False


@pytest.fixture(scope="module")
def reached(running: FakeAws) -> Any:
    return access()


@pytest.fixture
def snapshots(reached: Any, fake: FakeAws, tmp_path: Path) -> Snapshots:
    """Of the primary account: its clients serve all tests."""
    return Snapshots(Lake(str(tmp_path / "lake")), reached)


def routes(count: int) -> dict[str, Any]:
    found = [{"DestinationCidrBlock": f"10.{number // 256}.{number % 256}.0/24"} for number in range(count)]
    return {"Routes": found, "AdditionalRoutesAvailable": False}


# Everything, and nothing twice


def test_every_type_of_resource_is_stored_and_every_operation_accounted_for(snapshots: Snapshots) -> None:
    done = snapshots.take()[PRIMARY]

    assert {row[2] for row in snapshots.state} == {one.resource_type for one in OPERATIONS}
    asked = {(call["service"], call["operation"]) for call in done.calls.to_dicts()}
    assert asked == {("sts", "assume_role")} | {(one.service, one.name) for one in OPERATIONS}
    assert snapshots.outcomes() == {}


def test_an_unchanged_organization_writes_no_change_in_whatever_order_aws_lists_it(
    snapshots: Snapshots, fake: FakeAws
) -> None:
    whole = {
        one: _several(made_up_answer(one.service, one.api_name) | _ALL_ROUTES.get(one.name, {}), in_order=one.in_order)
        for one in OPERATIONS
        if one.name != "describe_regions"
    }
    for one, answer in whole.items():
        fake.answers(None, None, one.service, one.api_name, answer)
    snapshots.take()
    before, version = snapshots.state, snapshots.version

    fake.page_size = 2
    dice = random.Random(7)
    for one, answer in whole.items():
        fake.answers(None, None, one.service, one.api_name, answer if one.in_order else _shuffled(answer, dice))
    done = snapshots.take()[PRIMARY]

    assert snapshots.outcomes() == {}
    assert done.changes.rows() == []
    assert (snapshots.state, snapshots.version) == (before, version)


_ALL_ROUTES = {"search_transit_gateway_routes": {"AdditionalRoutesAvailable": False}}


def _several(value: Any, *, in_order: bool, within: tuple[str, ...] = ()) -> Any:
    """Lists have three members that differ by their texts, but for those by which parents and regions are found."""
    if isinstance(value, dict):
        return {name: _several(inner, in_order=in_order, within=(*within, name)) for name, inner in value.items()}
    if not isinstance(value, list) or in_order:
        return value
    return [_marked(_several(member, in_order=in_order), number) for member in value for number in range(3)]


def _marked(value: Any, number: int) -> Any:
    if isinstance(value, dict):
        return {name: _marked(inner, number) for name, inner in value.items()}
    is_free_text = isinstance(value, str) and value.startswith("a ")
    return f"{value} {number}" if is_free_text else value


def _shuffled(value: Any, dice: random.Random) -> Any:
    if isinstance(value, dict):
        return {name: _shuffled(inner, dice) for name, inner in value.items()}
    if isinstance(value, list):
        return dice.sample([_shuffled(inner, dice) for inner in value], len(value))
    return value


def test_what_changed_is_one_row_and_what_went_is_one(snapshots: Snapshots, fake: FakeAws) -> None:
    vpcs = [{"VpcId": f"vpc-{name}", "CidrBlock": "10.0.0.0/16"} for name in "ab"]
    fake.answers(None, None, "ec2", "DescribeVpcs", {"Vpcs": vpcs})
    snapshots.take()

    fake.answers(None, None, "ec2", "DescribeVpcs", {"Vpcs": [{"VpcId": "vpc-b", "CidrBlock": "10.1.0.0/16"}]})
    done = snapshots.take()[PRIMARY]

    told = done.changes.select("resource_id", "change").sort("resource_id").rows()
    assert told == [("vpc-a", "removed"), ("vpc-b", "changed")]


def test_a_region_that_is_named_twice_gives_no_row_twice(running: FakeAws, fake: FakeAws, tmp_path: Path) -> None:
    reached = access(regions_used=(HOME, ELSEWHERE, HOME))
    snapshots = Snapshots(Lake(str(tmp_path / "lake")), reached)

    done = snapshots.take()[PRIMARY]

    for rows, identity in (
        (done.changes, ["region", "resource_type", "resource_id"]),
        (done.calls, ["region", "service", "operation"]),
    ):
        assert rows.select(identity).is_duplicated().any() is False


# What AWS's answers may hold

NAMES = {
    "beyond 16 bits": "network \U0001d518 🌐",
    "right to left": "שלום \u202e مرحبا",
    "combining": "e\u0301 \u200d \ufeff",
    "markup": "<a> & \"b\" 'c' ]]>",
    "a pipe": "a|b|c",
    "spaces": "  two  ",
    "long": "x" * 256,
}


def test_names_are_stored_as_they_are(snapshots: Snapshots, fake: FakeAws) -> None:
    vpcs, interfaces = [], []
    for what, name in NAMES.items():
        tags = [{"Key": "Name", "Value": name}, {"Key": name[:128], "Value": name}]
        vpcs.append({"VpcId": what, "Tags": tags})
        interfaces.append({"virtualInterfaceId": what, "virtualInterfaceName": name})
    fake.answers(None, None, "ec2", "DescribeVpcs", {"Vpcs": vpcs})
    fake.answers(None, None, "directconnect", "DescribeVirtualInterfaces", {"virtualInterfaces": interfaces})

    done = snapshots.take()[PRIMARY]
    again = snapshots.take()[PRIMARY]

    stored = done.changes.filter(pl.col("resource_type").is_in(["vpc", "virtual_interface"])).to_dicts()
    assert [row["name"] for row in stored] == [NAMES[row["resource_id"]] for row in stored]
    assert len(stored) == 2 * len(NAMES)
    tagged = {row["resource_id"]: dict(row["tags"]) for row in stored if row["resource_type"] == "vpc"}
    assert tagged == {what: {"Name": name, name[:128]: name} for what, name in NAMES.items()}
    assert again.changes.is_empty()


def test_half_a_character_is_stored_as_one_that_is_unknown(snapshots: Snapshots, fake: FakeAws) -> None:
    interface = {"virtualInterfaceId": "dxvif-1", "virtualInterfaceName": "half \ud83d", "tags": [{"key": "\udc00"}]}
    fake.answers(None, None, "directconnect", "DescribeVirtualInterfaces", {"virtualInterfaces": [interface]})

    done = snapshots.take()[PRIMARY]
    again = snapshots.take()[PRIMARY]

    (stored,) = done.changes.filter(resource_type="virtual_interface").to_dicts()
    assert stored["name"] == "half \ufffd"
    assert again.changes.is_empty()


def test_tags_may_be_fifty_or_none_and_an_id_may_come_twice(snapshots: Snapshots, fake: FakeAws) -> None:
    tagged = {"VpcId": "vpc-tagged", "Tags": [{"Key": f"key {n}", "Value": f"value {n}"} for n in range(50)]}
    vpcs = [tagged, {"VpcId": "vpc-bare"}, {"VpcId": "vpc-empty", "Tags": []}, tagged]
    fake.answers(None, None, "ec2", "DescribeVpcs", {"Vpcs": vpcs})

    done = snapshots.take()[PRIMARY]

    stored = {row["resource_id"]: dict(row["tags"]) for row in done.changes.filter(resource_type="vpc").to_dicts()}
    assert done.changes.filter(resource_type="vpc").height == 3
    assert stored["vpc-tagged"] == {f"key {n}": f"value {n}" for n in range(50)}
    assert (stored["vpc-bare"], stored["vpc-empty"]) == ({}, {})


# Routes


def test_thousands_of_routes_are_read_over_all_pages(snapshots: Snapshots, fake: FakeAws) -> None:
    fake.answers(None, None, "ec2", "SearchTransitGatewayRoutes", routes(5000))

    snapshots.take()

    assert len(snapshots.ids("transit_gateway_route")) == 5000
    call = snapshots.call("search_transit_gateway_routes")
    assert (call["outcome"], call["items"], call["pages"]) == ("observed", 5000, 5)


def test_routes_that_aws_keeps_back_are_not_removed_and_those_it_gives_are_stored(
    snapshots: Snapshots, fake: FakeAws
) -> None:
    fake.answers(None, None, "ec2", "SearchTransitGatewayRoutes", routes(3))
    snapshots.take()
    before = snapshots.ids("transit_gateway_route")

    more = (
        b"<SearchTransitGatewayRoutesResponse><routeSet><item><destinationCidrBlock>192.0.2.0/24</destinationCidrBlock>"
        b"</item></routeSet><additionalRoutesAvailable>true</additionalRoutesAvailable>"
        b"</SearchTransitGatewayRoutesResponse>"
    )
    with fake.garble(operation="SearchTransitGatewayRoutes", body=more):
        done = snapshots.take()[PRIMARY]

    assert snapshots.outcomes() == {("ec2", "search_transit_gateway_routes"): ("unavailable", "RowsWithheld")}
    (added,) = done.changes.to_dicts()
    assert (added["change"], added["resource_id"].split("|")[-1]) == ("added", "192.0.2.0/24")
    assert set(before) < set(snapshots.ids("transit_gateway_route"))


# Secrets


def everything_written(folder: Path) -> Iterator[tuple[str, bytes]]:
    for file in folder.rglob("*"):
        if file.suffix == ".parquet":
            yield str(file), file.read_bytes() + str(pl.read_parquet(file).to_dicts()).encode()
        elif file.is_file():
            yield str(file), file.read_bytes()


def test_no_secret_is_written_logged_or_said(
    snapshots: Snapshots, fake: FakeAws, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    answer_everything(fake, **dict.fromkeys(SECRETS, CANARY))
    caplog.set_level(logging.DEBUG, logger="kentik_dagster")

    done = [snapshots.take()[PRIMARY]]
    for body in (f"<cut-off>{CANARY}", f"<html>{CANARY}</html>", json.dumps({"message": CANARY})):
        for status in (200, 403):
            with (
                fake.garble(operation="DescribeVpnConnections", body=body.encode(), status=status),
                fake.garble(operation="DescribeVirtualInterfaces", body=body.encode(), status=status),
            ):
                done.append(snapshots.take()[PRIMARY])

    for service, name in (("ec2", "describe_vpn_connections"), ("directconnect", "describe_virtual_interfaces")):
        asked = [one.calls.filter(service=service, operation=name)["outcome"].item() for one in done]
        assert asked[0] == "observed"
        assert "observed" not in asked[1:]
    written = dict(everything_written(tmp_path))
    assert any(name.endswith(".parquet") for name in written)
    assert [name for name, content in written.items() if CANARY.encode() in content] == []
    assert not any(CANARY in str(one.calls.to_dicts()) or CANARY in str(one.changes.to_dicts()) for one in done)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("kentik_dagster")]
    assert not any(CANARY in message for message in ours)


def test_the_canary_would_be_found_where_it_may_stand(snapshots: Snapshots, fake: FakeAws, tmp_path: Path) -> None:
    """The guard of the test above: AWS does send it, and reading the lake's files does find what is stored."""
    answer = made_up_answer("ec2", "DescribeVpnConnections")
    answer["VpnConnections"][0] |= {"CustomerGatewayConfiguration": CANARY, "Category": CANARY}
    fake.answers(None, None, "ec2", "DescribeVpnConnections", answer)

    snapshots.take()

    assert any(CANARY.encode() in content for _, content in everything_written(tmp_path))


# Expired sessions


def test_a_snapshot_after_all_sessions_have_expired_is_observed_in_full(fake: FakeAws, tmp_path: Path) -> None:
    snapshots = Snapshots(
        Lake(str(tmp_path / "lake")), access(secondary_accounts=(SECOND,), external_id=None), PRIMARY, SECOND
    )
    snapshots.take()

    fake.expire_sessions()
    done = snapshots.take()

    assert {account_id: one.changes.height for account_id, one in done.items()} == {PRIMARY: 0, SECOND: 0}
    assert snapshots.calls["outcome"].unique().to_list() == ["observed"]
    assert snapshots.calls["started_at"].unique().to_list() == [snapshots.at]
