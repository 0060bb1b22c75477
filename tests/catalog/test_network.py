"""Every operation of the catalog is one that botocore knows, and answers what the catalog says."""

from __future__ import annotations

import re

import botocore.session
import pytest
from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import ListShape, OperationModel, Shape, StructureShape

from kentik_dagster.catalog.network import OPERATIONS, Operation

_SESSION = botocore.session.get_session()


def model(operation: Operation) -> OperationModel:
    """Botocore's own description of the operation."""
    service = _SESSION.get_service_model(operation.service)
    names = {xform_name(name): name for name in service.operation_names}
    assert operation.name in names, f"botocore's {operation.service} has no {operation.name}"
    return service.operation_model(names[operation.name])


def paginators(service: str) -> set[str]:
    loader: Loader = _SESSION.get_component("data_loader")
    return set(loader.load_service_model(service, "paginators-1")["pagination"])


def below(shape: Shape, path: str) -> Shape:
    """The shape at the end of a JMESPath of names and flattened lists."""
    for step in path.split("."):
        assert isinstance(shape, StructureShape)
        name = step.removesuffix("[]")
        assert name in shape.members, f"{shape.name} has no {name}: it has {', '.join(shape.members)}"
        shape = shape.members[name]
        if step.endswith("[]"):
            assert isinstance(shape, ListShape)
            shape = shape.member
    return shape


def resource(operation: Operation) -> StructureShape:
    """What AWS answers of one resource."""
    output = model(operation).output_shape
    assert output is not None
    rows = below(output, operation.rows)
    one = rows.member if isinstance(rows, ListShape) else rows
    assert isinstance(one, StructureShape)
    return one


all_operations = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


def test_no_operation_and_no_resource_type_stands_there_twice() -> None:
    names = [(operation.service, operation.name) for operation in OPERATIONS]
    types = [operation.resource_type for operation in OPERATIONS]

    assert len(set(names)) == len(names)
    assert len(set(types)) == len(types)
    assert [name for name in types if not re.fullmatch(r"[a-z]+(_[a-z]+)*", name)] == []


@all_operations
def test_an_answer_has_the_rows_and_each_row_its_key(operation: Operation) -> None:
    assert below(resource(operation), operation.key).type_name == "string"


@all_operations
def test_tags_owner_and_name_are_where_the_catalog_says(operation: Operation) -> None:
    shape = resource(operation)

    if operation.tags is not None:
        tags = shape.members[operation.tags]
        assert isinstance(tags, ListShape)
        assert {"Key", "Value"} <= set(tags.member.members)
    for path in (operation.owner, operation.name_field):
        if path is not None:
            assert below(shape, path).type_name == "string"


@all_operations
def test_no_operation_forgets_the_tags_that_aws_gives(operation: Operation) -> None:
    given = {"Tags", "TagSet"} & set(resource(operation).members)

    assert given == ({operation.tags} if operation.tags else set())


@all_operations
def test_volatile_fields_are_fields_of_the_resource_and_not_its_key(operation: Operation) -> None:
    assert set(operation.volatile) <= set(resource(operation).members)
    assert operation.key not in operation.volatile


@all_operations
def test_a_page_size_is_asked_for_exactly_where_botocore_can_page(operation: Operation) -> None:
    described = model(operation)

    assert (operation.page_size is not None) == (described.name in paginators(operation.service))
    assert operation.page_size is None or 5 <= operation.page_size <= 1000


@all_operations
def test_an_operation_is_permitted_by_the_action_of_its_name(operation: Operation) -> None:
    assert operation.action == f"{operation.service}:{model(operation).name}"


def test_what_the_address_book_is_built_from_is_collected() -> None:
    collected = {operation.resource_type for operation in OPERATIONS}

    assert collected >= {"vpc", "subnet", "network_interface", "instance", "nat_gateway", "vpc_peering_connection"}
