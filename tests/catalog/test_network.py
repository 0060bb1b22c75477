"""Every operation of the catalog is one that botocore knows, and answers what the catalog says."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import botocore.session
import jmespath
import pytest
from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import ListShape, OperationModel, Shape, StructureShape

from kentik_dagster.catalog.network import PACE, SECRETS, SERVICE_HOMES, Operation, Reach
from kentik_dagster.catalog.network_operations import OPERATIONS, OTHER_CALLS
from tests.catalog.made_up_answers import made_up_answer

_SESSION = botocore.session.get_session()
_BY_NAME = {(operation.service, operation.name): operation for operation in OPERATIONS}


def model(operation: Operation) -> OperationModel:
    """Botocore's own description of the operation."""
    return _SESSION.get_service_model(operation.service).operation_model(operation.api_name)


def paginators(service: str) -> set[str]:
    loader: Loader = _SESSION.get_component("data_loader")
    return set(loader.load_service_model(service, "paginators-1")["pagination"])


def rows(operation: Operation) -> list[Any]:
    """The resources of an answer in which every member that AWS may send is there."""
    found = jmespath.search(operation.rows, made_up_answer(operation.service, operation.api_name))
    assert isinstance(found, list)
    return found


def members(shape: Shape | None, path: str = "", within: tuple[str, ...] = ()) -> dict[str, Shape]:
    """All members of a shape with their paths; what holds itself is followed once."""
    found: dict[str, Shape] = {}
    if shape is None or shape.name in within:
        return found
    if isinstance(shape, ListShape):
        return members(shape.member, path, (*within, shape.name))
    if isinstance(shape, StructureShape):
        for name, member in shape.members.items():
            here = f"{path}.{name}" if path else name
            found |= {here: member} | members(member, here, (*within, shape.name))
    return found


all_operations = pytest.mark.parametrize(
    "operation", OPERATIONS, ids=lambda operation: f"{operation.service}-{operation.name}"
)


def test_no_operation_and_no_resource_type_stands_there_twice() -> None:
    types = [operation.resource_type for operation in OPERATIONS]

    assert len(_BY_NAME) == len(OPERATIONS)
    assert len(set(types)) == len(types)
    assert [name for name in types if not re.fullmatch(r"[a-z]+(_[a-z]+)*", name)] == []


def test_every_operation_of_the_reference_list_is_called(samples: Path) -> None:
    listed = csv.DictReader((samples.parent / "reference" / "metadata_endpoints.csv").read_text().splitlines())
    wanted = {
        (row["boto3_client"], row["boto3_method"]) for row in listed if row["origin_and_value"].startswith("guide")
    }

    called = set(_BY_NAME) | {(call.service, xform_name(call.api_name)) for call in OTHER_CALLS}

    assert len(wanted) == 48
    assert wanted - called == set()


@all_operations
def test_boto3_and_aws_name_it_so(operation: Operation) -> None:
    assert model(operation).name == operation.api_name
    assert xform_name(operation.api_name) == operation.name


@all_operations
def test_an_answer_has_rows_with_a_key(operation: Operation) -> None:
    (row,) = rows(operation)

    assert isinstance(row, dict)
    assert all(jmespath.search(path, row) for path in operation.key)
    assert operation.key or operation.for_each is not None


@all_operations
def test_tags_owner_and_name_are_where_the_catalog_says(operation: Operation) -> None:
    (row,) = rows(operation)

    if operation.tags is not None:
        (tag,) = jmespath.search(operation.tags, row)
        assert {name.lower() for name in tag} >= {"key", "value"}
    for path in (operation.owner, operation.name_field):
        assert path is None or isinstance(jmespath.search(path, row), str)


@all_operations
def test_no_operation_forgets_the_tags_that_aws_gives(operation: Operation) -> None:
    (row,) = rows(operation)

    given = [name for name in row if name.lower() in ("tags", "tagset")]

    assert given == ([operation.tags] if operation.tags is not None and "." not in operation.tags else [])


@all_operations
def test_volatile_and_digested_members_are_members_of_the_resource(operation: Operation) -> None:
    (row,) = rows(operation)

    assert all(jmespath.search(path, row) is not None for path in (*operation.volatile, *operation.digested))
    assert set(operation.key).isdisjoint(operation.volatile)


@all_operations
def test_a_page_size_is_asked_for_wherever_there_are_pages_and_aws_takes_it(operation: Operation) -> None:
    described = model(operation)
    taken = described.input_shape.members if described.input_shape is not None else {}
    limits = [taken[name] for name in ("MaxResults", "maxResults", "PageSize", "MaxItems") if name in taken]

    assert (operation.page_size is not None) == bool(limits)
    assert (described.name in paginators(operation.service)) <= (operation.page_size is not None)
    for limit in limits:
        assert operation.page_size is not None
        assert limit.metadata.get("min", 1) <= operation.page_size <= limit.metadata.get("max", 1000)


@all_operations
def test_every_required_parameter_is_given_and_none_that_aws_does_not_know(operation: Operation) -> None:
    described = model(operation)
    taken = described.input_shape.members if described.input_shape is not None else {}
    required = described.input_shape.required_members if described.input_shape is not None else []
    given = set(operation.parameters) | set(operation.for_each.parameters if operation.for_each else {})

    assert set(required) <= given <= set(taken)


@all_operations
def test_what_is_asked_for_each_parent_is_found_in_the_parents_rows(operation: Operation) -> None:
    each = operation.for_each
    if each is None:
        return
    parent = _BY_NAME[operation.service, each.operation]
    place: dict[str, Any] = {"parent": rows(parent)[0], "account": "111122223333"}
    for name, path in each.within:
        place[name] = jmespath.search(path, place)[0]

    found = [jmespath.search(path, place) for path in (*each.parameters.values(), *each.key.values())]

    assert all(found)
    assert parent.reach is operation.reach
    assert each.where is None or jmespath.search(each.where, place) in (True, False)


@all_operations
def test_what_aws_says_it_keeps_back_is_a_member_of_the_answer(operation: Operation) -> None:
    answer = made_up_answer(operation.service, operation.api_name)

    assert operation.withheld is None or jmespath.search(operation.withheld, answer) is True


@all_operations
def test_every_member_that_botocore_calls_sensitive_is_a_secret(operation: Operation) -> None:
    sensitive = {
        path.rpartition(".")[2]
        for path, shape in members(model(operation).output_shape).items()
        if shape.metadata.get("sensitive")
    }

    assert sensitive <= SECRETS


@all_operations
def test_every_service_has_a_pace_and_a_global_one_a_home(operation: Operation) -> None:
    assert operation.service in PACE
    assert (operation.reach is not Reach.SERVICE_HOME) or operation.service in SERVICE_HOMES


def test_the_permissions_are_those_of_aws() -> None:
    actions = {operation.action for operation in OPERATIONS}

    assert {
        "ec2:DescribeVpcs",
        "elasticloadbalancing:DescribeLoadBalancers",
        "network-firewall:ListFirewalls",
    } < actions
    assert len(actions) == len(OPERATIONS) - 1  # both load balancing services have DescribeLoadBalancers


def test_what_the_address_book_is_built_from_is_collected() -> None:
    collected = {operation.resource_type for operation in OPERATIONS}

    assert collected >= {"vpc", "subnet", "network_interface", "instance", "nat_gateway", "vpc_peering_connection"}
