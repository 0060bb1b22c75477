"""What is behind an interface is told by AWS's word, and by nobody's typing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.catalog.entities import RULES, TYPES_OF_USERS
from kentik_dagster.core.entities import entities, named_entities
from kentik_dagster.errors import MissingColumnsError

AWS, ROLE, PERSON, USER = "760845874091", "AROAEXAMPLE:session", "AROAEXAMPLE:ann@example.com", "AIDAEXAMPLE"
INSTANCE = "i-0ad23684d897727a0"
LAMBDA = "AWS Lambda VPC ENI-orders-api-8c7ac78b-e11d-4dea-8a47-ab2bdeba9bf5"
NLB = "net/edge/725b996cb6be8fba"
NLB_ARN = f"arn:aws:elasticloadbalancing:us-east-1:111122223333:loadbalancer/{NLB}"
COLUMNS = ("interface_type", "requester_id", "description", "instance_id")
Looks = tuple[str | None, str | None, str | None, str | None]


def interfaces(*looks: Looks) -> pl.DataFrame:
    """Interfaces eni-0, eni-1, ... that look so."""
    frame = pl.DataFrame(looks, schema=dict.fromkeys(COLUMNS, pl.String), orient="row")
    return frame.select(pl.format("eni-{}", pl.int_range(pl.len())).alias("eni_id"), *COLUMNS)


def told(
    description: str | None, type_: str | None = "interface", by: str | None = AWS, on: str | None = None
) -> tuple[str | None, str | None, str | None]:
    """Kind, id and name of what is behind one interface."""
    row = entities(interfaces((type_, by, description, on))).row(0, named=True)
    return row["entity_type"], row["entity_id"], row["entity_name"]


def names(*rows: tuple[str, str, str | None]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict.fromkeys(("resource_type", "resource_id", "name"), pl.String), orient="row")


def named(looks: Looks, *rows: tuple[str, str, str | None]) -> str | None:
    name: str | None = named_entities(entities(interfaces(looks)), names(*rows))["entity_name"][0]
    return name


# --- kinds --------------------------------------------------------------------------------------------------------


def test_a_plain_interface_is_the_instance_that_it_is_attached_to() -> None:
    assert told("Primary network interface", by=None, on=INSTANCE) == ("instance", INSTANCE, None)
    assert told(None, by=None, on=INSTANCE) == ("instance", INSTANCE, None)


def test_secondary_and_trunk_interfaces_of_a_node_are_the_node() -> None:
    assert told(f"aws-K8S-{INSTANCE}", by=f"AROAEXAMPLE:{INSTANCE}", on=INSTANCE) == ("instance", INSTANCE, None)
    assert told("aws-k8s-trunk-eni", "trunk", on=INSTANCE) == ("instance", INSTANCE, None)
    assert told("", "efa", by=None, on=INSTANCE) == ("instance", INSTANCE, None)


def test_a_task_on_an_instance_is_the_task() -> None:
    task = "arn:aws:ecs:us-east-1:111122223333:attachment/c8773f8d-1317-457a-ba3c-b57775ac6a04"

    assert told(task, on=INSTANCE) == ("ecs_task", "c8773f8d-1317-457a-ba3c-b57775ac6a04", None)


@pytest.mark.parametrize(
    ("description", "type_", "by", "expected"),
    [
        ("ELB app/shop/50dc6c495c", "interface", "amazon-elb", ("load_balancer", "app/shop/50dc6c495c", "shop")),
        (f"ELB {NLB}", "network_load_balancer", AWS, ("load_balancer", NLB, "edge")),
        ("ELB gwy/fw/725b996cb6", "gateway_load_balancer", AWS, ("load_balancer", "gwy/fw/725b996cb6", "fw")),
        ("ELB old", "interface", "amazon-elb", ("classic_load_balancer", "old", "old")),
        ("ELB old", None, AWS, ("classic_load_balancer", "old", "old")),
        (LAMBDA, "lambda", ROLE, ("lambda_function", "orders-api", "orders-api")),
        ("ElastiCache carts-001", "interface", "amazon-elasticache", ("elasticache_cluster", "carts-001", "carts-001")),
        ("Amazon EKS prod", "interface", "AROAEXAMPLE:AmazonEKS", ("eks_cluster", "prod", "prod")),
        ("RDSNetworkInterface", "interface", "amazon-rds", ("db_instance", None, None)),
    ],
)  # fmt: skip
def test_the_description_tells_id_and_name(
    description: str, type_: str | None, by: str, expected: tuple[str | None, ...]
) -> None:
    assert told(description, type_, by) == expected


def test_an_interface_type_of_aws_is_enough_and_a_strange_description_gives_no_id() -> None:
    assert told("Something new", "nat_gateway") == ("nat_gateway", None, None)
    assert told(None, "global_accelerator_managed", by=None) == ("global_accelerator", None, None)


def test_an_interface_that_no_rule_fits_is_not_told() -> None:
    assert told("my spare interface", by=None) == (None, None, None)
    assert told("RDSNetworkInterface of mine") == (None, None, None)
    assert told("RDSNetworkInterface\nELB app/shop/50dc6c495c") == (None, None, None)


# --- forgery ------------------------------------------------------------------------------------------------------

TYPED = st.sampled_from([rule.example for rule in RULES if rule.example] + [LAMBDA, "Amazon EKS prod"])


@settings(max_examples=100, deadline=None)
@given(
    description=TYPED | st.text(),
    type_=st.sampled_from([None, *TYPES_OF_USERS]),
    by=st.sampled_from([None, "", USER, PERSON]),
    on=st.sampled_from([None, INSTANCE]),
)
def test_what_a_person_types_never_makes_a_service(
    description: str, type_: str | None, by: str | None, on: str | None
) -> None:
    assert told(description, type_, by, on) == (("instance", on, None) if on else (None, None, None))


@settings(max_examples=100, deadline=None)
@given(description=TYPED, type_=st.sampled_from(TYPES_OF_USERS))
def test_what_a_role_writes_never_renames_an_instance(description: str, type_: str) -> None:
    assert told(description, type_, ROLE, INSTANCE) == ("instance", INSTANCE, None)


# --- shape --------------------------------------------------------------------------------------------------------

LOOKS = st.tuples(
    st.sampled_from([None, "interface", "lambda", "nat_gateway", "vpc_endpoint"]),
    st.sampled_from([None, AWS, ROLE, "amazon-rds"]),
    st.none() | TYPED,
    st.sampled_from([None, INSTANCE]),
)


@settings(max_examples=100, deadline=None)
@given(looks=st.lists(LOOKS, min_size=1, max_size=12))
def test_every_row_comes_back_in_its_place_and_is_told_as_it_is_alone(looks: list[Looks]) -> None:
    asked = interfaces(*looks)

    together = entities(asked)

    assert together["eni_id"].to_list() == asked["eni_id"].to_list()
    assert together.tail(1).equals(entities(asked.tail(1)))
    assert together.reverse().equals(entities(asked.reverse()))
    assert set(together.dtypes) == {pl.String}


def test_no_interfaces_are_no_entities() -> None:
    found = entities(interfaces())

    assert found.schema == dict.fromkeys(("eni_id", "entity_type", "entity_id", "entity_name"), pl.String)
    assert found.is_empty()


def test_a_missing_column_is_named() -> None:
    with pytest.raises(MissingColumnsError, match="requester_id"):
        entities(interfaces().drop("requester_id"))
    with pytest.raises(MissingColumnsError, match="resource_id"):
        named_entities(entities(interfaces()), names().drop("resource_id"))


# --- names --------------------------------------------------------------------------------------------------------

NAT: Looks = ("nat_gateway", AWS, "Interface for NAT Gateway nat-0a8b0e0d28266841f", None)


def test_the_name_of_the_resource_outweighs_what_the_description_says() -> None:
    looks: Looks = ("network_load_balancer", AWS, f"ELB {NLB}", None)

    assert named(looks, ("load_balancer", NLB_ARN, "front door")) == "front door"
    assert named(looks, ("nat_gateway", NLB, "another kind")) == "edge"


def test_without_any_name_the_id_stands_for_it() -> None:
    nat = "nat-0a8b0e0d28266841f"

    assert named(NAT, ("nat_gateway", nat, "egress-a")) == "egress-a"
    assert named(NAT, ("nat_gateway", nat, "")) == nat
    assert named(NAT, ("nat_gateway", nat, None)) == nat
    assert named(NAT) == nat


@pytest.mark.parametrize(
    ("looks", "row"),
    [
        (("interface", None, "", INSTANCE), ("instance", INSTANCE, "web-1")),
        (("vpc_endpoint", AWS, "VPC Endpoint Interface vpce-1a", None), ("vpc_endpoint", "vpce-1a", "s3")),
        (
            ("gateway_load_balancer_endpoint", AWS, "VPC Endpoint Interface vpce-2b", None),
            ("vpc_endpoint", "vpce-2b", "inspection"),
        ),
        (
            ("transit_gateway", AWS, "Network Interface for Transit Gateway Attachment tgw-attach-3c", None),
            ("transit_gateway_attachment", "tgw-attach-3c", "hub"),
        ),
    ],
)
def test_an_entity_is_named_by_its_metadata(looks: Looks, row: tuple[str, str, str]) -> None:
    assert named(looks, row) == row[2]


def test_what_is_not_known_gets_no_name() -> None:
    assert named(("interface", None, "spare", None), ("instance", INSTANCE, "web-1")) is None


def test_two_names_of_one_resource_do_not_double_the_interface() -> None:
    found = entities(interfaces(NAT, NAT))
    nat = "nat-0a8b0e0d28266841f"

    done = named_entities(found, names(("nat_gateway", nat, "before"), ("nat_gateway", nat, "after")))

    assert done["entity_name"].to_list() == ["after", "after"]
    assert done.columns == found.columns


# --- interfaces that nobody here made up --------------------------------------------------------------------------


def interfaces_in(value: Any) -> list[dict[str, Any]]:
    """Every answer of DescribeNetworkInterfaces inside a document."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = [value] if isinstance(value, dict) and {"NetworkInterfaceId", "RequesterManaged"} <= value.keys() else []
    return own + [found for one in inner for found in interfaces_in(one)]


def test_recorded_interfaces_are_told(samples: Path) -> None:
    recorded = [
        interface
        for file in sorted((samples / "metadata").rglob("*.json"))
        for interface in interfaces_in(json.loads(file.read_text()))
    ]
    looks = [
        (
            interface.get("InterfaceType"),
            interface.get("RequesterId"),
            interface.get("Description"),
            (interface.get("Attachment") or {}).get("InstanceId"),
        )
        for interface in recorded
    ]

    found = entities(interfaces(*looks))

    kinds = dict(found.group_by("entity_type").len().iter_rows())
    assert kinds.keys() == {
        "classic_load_balancer", "db_instance", "directory", "ecs_task", "efs_mount_target", "instance",
        "lambda_function", "load_balancer", "nat_gateway", "transit_gateway_attachment", "vpc_endpoint", None,
    }  # fmt: skip
    assert kinds["transit_gateway_attachment"] == 10
    assert kinds["instance"] == sum(one[3] is not None for one in looks)
    untold = found.filter(pl.col("entity_type").is_null())["eni_id"].str.strip_prefix("eni-").cast(pl.Int64)
    assert {looks[number][2] for number in untold} == {""}
    nameless = found.filter(pl.col("entity_id").is_null(), pl.col("entity_type").is_not_null())
    assert set(nameless["entity_type"]) == {"db_instance"}
