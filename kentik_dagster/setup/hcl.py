"""Writing Terraform's language: blocks, attributes and values, formatted as `terraform fmt` formats them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True, slots=True)
class Expression:
    """Text that Terraform evaluates."""

    text: str


Value = str | bool | int | Expression | Sequence["Value"] | Mapping[str, "Value"]


@dataclass(frozen=True, slots=True)
class Block:
    """A block: `kind "label" { ... }`. Attributes come first, then the blocks in it."""

    kind: str
    labels: tuple[str, ...] = ()
    attributes: Mapping[str, Value] | None = None
    blocks: tuple[Block, ...] = ()
    comment: str | None = None


def resource(
    kind: str, name: str, attributes: Mapping[str, Value], *blocks: Block, comment: str | None = None
) -> Block:
    """A resource block."""
    return Block("resource", (kind, name), attributes, blocks, comment)


def variable(name: str, kind: str, default: Value, *, says: str) -> Block:
    """A variable block, of a type such as `list(string)`."""
    return Block("variable", (name,), {"description": says, "type": Expression(kind), "default": default})


def file_beside(path: str) -> Expression:
    """The text of a file; its path begins where the Terraform file lies."""
    return Expression(f'file("${{path.module}}/{path}")')


def text_of(blocks: Sequence[Block]) -> str:
    """A file with these blocks, an empty line between them."""
    return "\n".join("\n".join(_lines(block)) + "\n" for block in blocks)


def quoted(text: str) -> str:
    """A string of Terraform's: nothing in it is evaluated."""
    return json.dumps(text, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")


def _lines(block: Block) -> Iterator[str]:
    if block.comment:
        yield f"# {block.comment}"
    head = " ".join([block.kind, *map(quoted, block.labels)])
    if not block.attributes and not block.blocks:
        yield f"{head} {{}}"
        return
    yield f"{head} {{"
    # Attributes of one line stand under each other; one of several lines stands alone.
    written = [(name, list(_value(value))) for name, value in (block.attributes or {}).items()]
    is_first = True
    for of_one_line, some in groupby(written, key=lambda each: len(each[1]) == 1):
        group = list(some)
        width = max(len(name) for name, _ in group) if of_one_line else 0
        for number, (name, lines) in enumerate(group):
            if not is_first and (number == 0 or not of_one_line):
                yield ""
            is_first = False
            yield f"  {name:{width}} = {lines[0]}"
            yield from (f"  {line}" for line in lines[1:])
    for inner in block.blocks:
        if not is_first:
            yield ""
        is_first = False
        yield from (f"  {line}" if line else "" for line in _lines(inner))
    yield "}"


def _value(value: Value) -> Iterator[str]:
    match value:
        case Expression():
            yield from value.text.split("\n")
        case bool():
            yield str(value).lower()
        case int():
            yield str(value)
        case str():
            yield quoted(value)
        case Mapping():
            if not value:
                yield "{}"
                return
            yield "{"
            inner = [(name, list(_value(one))) for name, one in value.items()]
            width = max(len(name) for name, _ in inner)
            for name, lines in inner:
                yield f"  {name:{width}} = {lines[0]}"
                yield from (f"  {line}" for line in lines[1:])
            yield "}"
        case _:
            items = [list(_value(one)) for one in value]
            if sum(len(item[0]) + 2 for item in items) <= 90 and all(len(item) == 1 for item in items):
                yield f"[{', '.join(item[0] for item in items)}]"
                return
            yield "["
            for item in items:
                yield from (f"  {line}" for line in item[:-1])
                yield f"  {item[-1]},"
            yield "]"
