"""What AWS describes, as it is compared and stored: without secrets, without chance, and never a crash."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.catalog.network import Operation
from kentik_dagster.catalog.network_operations import OPERATIONS
from kentik_dagster.core.resources import Resources, resources

OPERATION = {operation.resource_type: operation for operation in OPERATIONS}
VPC, PEERING, VPN, INTERFACE = (
    OPERATION[name] for name in ("vpc", "vpc_peering_connection", "vpn_connection", "virtual_interface")
)
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


def read(items: Sequence[Any], operation: Operation) -> Resources:
    return resources(items, operation, account_id="111122223333", region="eu-west-1")


def stored(items: Sequence[Any], operation: Operation) -> pl.DataFrame:
    return read(items, operation).rows


def vpc(vpc_id: str, **fields: object) -> dict[str, object]:
    """A VPC as boto3 gives it."""
    return {"VpcId": vpc_id, "CidrBlock": "10.0.0.0/16", "OwnerId": "111122223333", **fields}


def test_a_resource_is_stored_with_its_name_owner_tags_and_attributes() -> None:
    tags = [{"Key": "Name", "Value": "prod"}, {"Key": "team", "Value": "payments"}]

    (row,) = stored([vpc("vpc-1", OwnerId="444455556666", Tags=tags)], VPC).to_dicts()

    assert (row["name"], row["owner_account_id"], row["account_id"]) == ("prod", "444455556666", "111122223333")
    assert row["tags"] == {"Name": "prod", "team": "payments"}
    assert json.loads(row["attributes"]) == {"CidrBlock": "10.0.0.0/16", "OwnerId": "444455556666", "VpcId": "vpc-1"}


def test_an_account_owns_what_names_no_owner() -> None:
    rows = stored([{"VpcId": "vpc-1"}], VPC)

    assert rows.select("owner_account_id", "name").rows() == [("111122223333", None)]


def test_a_peering_is_owned_by_its_requester() -> None:
    peering = {"VpcPeeringConnectionId": "pcx-1", "RequesterVpcInfo": {"OwnerId": "444455556666"}}
    rows = stored([peering], PEERING)

    assert rows["owner_account_id"].to_list() == ["444455556666"]


def test_times_and_bytes_of_aws_become_text() -> None:
    rows = stored([vpc("vpc-1", When=NOW, Raw=b"\xffa")], VPC)

    attributes = json.loads(rows["attributes"][0])
    assert (attributes["When"], attributes["Raw"]) == ("2026-11-23T09:00:00+00:00", "\\xffa")


def test_secrets_are_stored_nowhere() -> None:
    tunnel = {"OutsideIpAddress": "192.0.2.1", "PreSharedKey": "CANARY"}
    vpn = {
        "VpnConnectionId": "vpn-1",
        "CustomerGatewayConfiguration": "<x>CANARY</x>",
        "Options": {"TunnelOptions": [tunnel]},
    }
    interface = {
        "virtualInterfaceId": "dxvif-1",
        "authKey": "CANARY",
        "bgpPeers": [{"authKey": "CANARY", "asn": 65001}],
    }

    rows = pl.concat([stored([vpn], VPN), stored([interface], INTERFACE)])

    assert "CANARY" not in str(rows.to_dicts())
    assert json.loads(rows["attributes"][0])["Options"]["TunnelOptions"] == [{"OutsideIpAddress": "192.0.2.1"}]


def test_text_that_is_too_large_is_stored_as_its_digest() -> None:
    group = {
        "RuleGroupArn": "arn:1",
        "RuleGroup": {"RulesSource": {"RulesString": "pass tcp any any\n" * 100}},
        "RuleGroupResponse": {"RuleGroupName": "egress", "ConsumedCapacity": 7, "Capacity": 100},
    }

    (row,) = stored([group], OPERATION["rule_group"]).to_dicts()

    attributes = json.loads(row["attributes"])
    assert attributes["RuleGroup"]["RulesSource"]["RulesString"].endswith(" of 1700 characters")
    assert attributes["RuleGroupResponse"] == {"RuleGroupName": "egress", "Capacity": 100}
    assert row["name"] == "egress"


def test_a_child_is_named_after_its_parent() -> None:
    route = {"TransitGatewayRouteTableId": "tgw-rtb-1", "DestinationCidrBlock": "10.0.0.0/8", "Type": "static"}

    rows = stored([route], OPERATION["transit_gateway_route"])

    assert rows["resource_id"].to_list() == ["tgw-rtb-1|10.0.0.0/8"]


def test_the_order_in_which_aws_lists_things_means_nothing() -> None:
    one, other = {"GroupId": "sg-1", "GroupName": "a"}, {"GroupId": "sg-2", "GroupName": "b"}

    rows = stored([vpc("vpc-1", Groups=[one, other]), vpc("vpc-2", Groups=[other, one])], VPC)

    assert rows["attributes"].str.replace("vpc-[12]", "vpc").n_unique() == 1


def test_the_order_of_firewall_rules_means_something() -> None:
    def group(*rules: str) -> dict[str, object]:
        return {"RuleGroupArn": "arn:1", "RuleGroup": {"RulesSource": {"StatefulRules": list(rules)}}}

    hashes = [
        stored([one], OPERATION["rule_group"])["attributes_hash"][0] for one in (group("a", "b"), group("b", "a"))
    ]

    assert hashes[0] != hashes[1]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"CidrBlock": "10.0.0.0/16"}, "has no VpcId"),
        ({"VpcId": None}, "has no VpcId"),
        ("vpc-1", "is a str, not a resource"),
        (None, "is a NoneType, not a resource"),
        (vpc("vpc-1", Tags="prod"), "has tags that are a str"),
        (vpc("vpc-1", Tags=[{"Value": "prod"}]), "has a tag without a key"),
        (vpc("vpc-1", Tags=["prod"]), "has a tag without a key"),
        (vpc("vpc-1", Size=float("nan")), "cannot be kept as JSON"),
        (vpc("vpc-1", Size={1, 2}), "cannot be kept as JSON"),
    ],
)
def test_what_cannot_be_read_is_rejected_with_the_reason_and_the_others_stay(item: object, reason: str) -> None:
    found = read([vpc("vpc-0"), item, vpc("vpc-2")], VPC)

    assert found.rows["resource_id"].to_list() == ["vpc-0", "vpc-2"]
    assert len(found.rejected) == 1
    assert found.rejected[0].startswith("row 1 of describe_vpcs ")
    assert reason in found.rejected[0]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
_tags = st.lists(st.fixed_dictionaries({"Key": st.text(), "Value": st.text()}), max_size=50)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["vpc-1", "vpc-2", "vpc-3"]), _tags, _json), max_size=6), st.randoms())
def test_any_answer_in_any_order_gives_the_same_rows(answer: list[tuple[str, list[Any], Any]], chance: Any) -> None:
    items = [vpc(vpc_id, Tags=tags, Unknown=more) for vpc_id, tags, more in answer]
    shuffled = [item | {"Tags": item["Tags"]} for item in chance.sample(items, len(items))]

    one, other = read(items, VPC), read(shuffled, VPC)

    assert one.rejected == other.rejected == ()
    assert sorted(one.rows["resource_id"].to_list()) == sorted({vpc_id for vpc_id, _, _ in answer})
    assert one.rows.sort("resource_id").drop("tags").equals(other.rows.sort("resource_id").drop("tags"))
    for text in one.rows["attributes"]:
        assert json.loads(text)["CidrBlock"] == "10.0.0.0/16"
