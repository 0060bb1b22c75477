"""Answers of AWS in which every member is there, made from botocore's own description of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, Shape, StructureShape

_SESSION = botocore.session.get_session()
_SCALARS: dict[str, Any] = {
    "string": "text",
    "character": "t",
    "integer": 7,
    "long": 7,
    "float": 0.5,
    "double": 0.5,
    "boolean": True,
    "timestamp": datetime(2026, 11, 23, 9, tzinfo=UTC),
    "blob": b"bytes",
}


def made_up_answer(service: str, api_name: str) -> dict[str, Any]:
    """One answer: each list has one member, each text says which member it is."""
    shape = _SESSION.get_service_model(service).operation_model(api_name).output_shape
    answer = _made_up(shape, api_name, ())
    assert isinstance(answer, dict)
    return answer


def _made_up(shape: Shape | None, name: str, within: tuple[str, ...]) -> Any:
    if isinstance(shape, StructureShape):
        inner = (*within, shape.name)
        return {
            member: _made_up(part, member, inner) for member, part in shape.members.items() if part.name not in within
        }
    if isinstance(shape, ListShape):
        return [_made_up(shape.member, name, within)]
    if isinstance(shape, MapShape):
        return {"key": _made_up(shape.value, name, within)}
    assert shape is not None
    if shape.type_name == "string":
        return shape.metadata.get("enum", [f"a {name}"])[0]
    return _SCALARS[shape.type_name]
