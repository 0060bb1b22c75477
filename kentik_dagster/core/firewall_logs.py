"""Network Firewall log text to rows: every event becomes a row or a rejected line with its number and the reason.

AWS writes one JSON object per line. Two readers give the same rows:

- the *regular* reader hands whole lines that are one good object each to Polars' JSON decoder;
- the *careful* reader looks at every event of anything else: pretty-printed objects, a JSON array of events, several
  events on a line, CRLF, damaged lines, values of another kind than AWS documents.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import polars as pl

from kentik_dagster.core.firewall_log_values import BLOCK_NAMES, PATHS, ROW_COLUMNS, plain, texts_of, typed_events
from kentik_dagster.core.parsed import REJECTED, Parsed
from kentik_dagster.errors import UnreadableObjectError

_BYTE_ORDER_MARK = "\ufeff"
# Between events. An array of events is read as its events: a part of a large array says not that it is one.
_BETWEEN = re.compile(rf"[ \t\r\n,\[\]{_BYTE_ORDER_MARK}]*")
# No event is so large; one that seems to be has lost its end, and must not keep the rest of the object waiting.
_LARGEST_EVENT = 4 * 2**20
# Deeper ones could not be written again without using up Python's stack.
_DEEPEST = 300
_NOT_JSON = "not JSON"
_NO_OBJECT = "JSON, but no object"
_NO_EVENT = "a record without an `event` object"
_TOO_DEEP = "JSON that is nested too deeply"


def parse_events(content: bytes, *, first_line: int = 1, last: bool = True) -> Parsed:
    """Read the uncompressed text of one Network Firewall log object, or a part of it that ends with a line.

    Args:
        content: the text; what the part before left as `rest` stands at its beginning.
        first_line: number of its first line in the object.
        last: whether the object ends here.

    Returns:
        `rows`: one row per event in the order of the file, the columns of `firewall_logs` but those that the key
        says. `rejected`: what is no event, or has a value that its column cannot hold; the line number is that of
        its first line. `rest`: an event that is not complete yet.

    Raises:
        UnreadableObjectError: the content is a whole object, and none of its lines is JSON.
    """
    rows = _read_regular(content)
    if rows is not None:
        return Parsed(rows=rows, lines=_count_lines(content))
    return _read_carefully(content, first_line=first_line, last=last)


def _count_lines(content: bytes) -> int:
    return content.count(b"\n") + (0 if content.endswith(b"\n") or not content else 1)


# --- the regular reader


def _record_type() -> pl.Struct:
    """The members of a record that columns come from, all as text."""
    tree: dict[str, Any] = {}
    for path in PATHS:
        *parents, name = path.split(".")
        members = tree
        for parent in parents:
            members = members.setdefault(parent, {})
        members[name] = None

    def struct(members: dict[str, Any]) -> pl.Struct:
        return pl.Struct({name: pl.String() if below is None else struct(below) for name, below in members.items()})

    return struct(tree)


_RECORD = _record_type()


def _member(path: str) -> pl.Expr:
    value = pl.col("values")
    for name in path.split("."):
        value = value.struct.field(name)
    return value.alias(path)


def _read_regular(content: bytes) -> pl.DataFrame | None:
    """The rows of a text that is all in order; None where the careful reader has to look."""
    try:
        text = content.decode().removesuffix("\n")
    except UnicodeDecodeError:
        return None
    lines = pl.DataFrame({"record": [text]}).select(pl.col("record").str.split("\n")).explode("record")
    if not lines["record"].str.starts_with("{").all() or not lines["record"].str.ends_with("}").all():
        return None
    # Each line by itself, and a member that stands twice only once: the decoder joins all lines to one array, so that
    # two halves of an object on two lines, or two objects on one, would be read as well.
    lines = lines.with_columns(whole=pl.col("record").str.json_path_match("$"))
    if lines["whole"].null_count():
        return None
    try:
        decoded = lines.with_columns(values=pl.col("whole").str.json_decode(_RECORD))
    except pl.exceptions.ComputeError:
        return None
    if decoded.select(pl.col("values").struct.field("event").is_null().any()).item():
        return None
    events = decoded.select("record", *map(_member, PATHS), *map(_block, BLOCK_NAMES))
    if not events.select(pl.all_horizontal(pl.col(BLOCK_NAMES).str.starts_with("{").all())).item():
        return None
    typed = typed_events(events)
    return None if typed["reason"].null_count() < typed.height else typed.select(ROW_COLUMNS)


def _block(name: str) -> pl.Expr:
    # Looking for the name first spares most lines the search for the path.
    has_name = pl.col("whole").str.contains(f'"{name}":', literal=True)
    return pl.when(has_name).then(pl.col("whole")).str.json_path_match(f"$.event.{name}").alias(name)


# --- the careful reader


@dataclass(frozen=True, slots=True)
class _Piece:
    """An event, or a line that is none: then `reason` says why."""

    line_number: int
    text: str
    record: dict[str, Any] | None
    reason: str | None
    is_json: bool = True


def _read_carefully(content: bytes, *, first_line: int, last: bool) -> Parsed:
    # Bytes that are not UTF-8 pass through the JSON reader, and are written out where the text goes into a frame.
    text = content.decode("utf-8", errors="surrogateescape")
    pieces, end = _pieces(text, first_line, last=last)
    if last and first_line == 1 and pieces and not any(piece.is_json for piece in pieces):
        raise UnreadableObjectError(
            f"none of the {len(pieces)} lines is JSON: '{plain(pieces[0].text[:80])}'. Network Firewall writes one "
            "JSON object per line; keep other files out of the folder, or delete the object if it is damaged."
        )
    typed = typed_events(_events([piece for piece in pieces if piece.record is not None]))
    bad = typed.filter(pl.col("reason").is_not_null()).select("line_number", pl.col("record").alias("text"), "reason")
    no_events = [(piece.line_number, plain(piece.text), piece.reason) for piece in pieces if piece.record is None]
    rejected = pl.concat([bad, pl.DataFrame(no_events, schema=REJECTED, orient="row")])
    done = text[:end].encode("utf-8", errors="surrogateescape")
    return Parsed(
        rows=typed.filter(pl.col("reason").is_null()).select(ROW_COLUMNS),
        rejected=rejected.sort("line_number", maintain_order=True),
        lines=_count_lines(done) if last else done.count(b"\n"),
        rest=content[len(done) :],
    )


def _next(text: str, place: int) -> int:
    found = _BETWEEN.match(text, place)
    assert found is not None
    return found.end()


@dataclass(frozen=True, slots=True)
class _Damage:
    """Why no JSON object stands there, and the place where that was seen."""

    place: int
    reason: str


def _not_a_number(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_not_a_number)


def _value_at(text: str, place: int) -> tuple[dict[str, Any] | _Damage, int]:
    """The object that begins at a place, and where it ends; for anything else, the end of the line."""
    newline = text.find("\n", place)
    line_end = len(text) if newline < 0 else newline
    if text[place] != "{":
        return _Damage(place, _no_object(text[place:line_end])), line_end
    try:
        value, end = _DECODER.raw_decode(text, place)
    except json.JSONDecodeError as error:
        return _Damage(error.pos, _NOT_JSON), line_end
    except ValueError:  # NaN, Infinity, or more digits than Python reads
        return _Damage(place, _NOT_JSON), line_end
    except RecursionError:
        return _Damage(place, _TOO_DEEP), line_end
    return (_Damage(place, _TOO_DEEP) if _is_too_deep(text[place:end], value) else value), end


def _is_too_deep(text: str, value: Any) -> bool:
    if text.count("{") + text.count("[") <= _DEEPEST:
        return False
    level, depth = [value], 0
    while level and depth <= _DEEPEST:
        members = [list(item.values()) if isinstance(item, dict) else item for item in level]
        level = [item for items in members for item in items if isinstance(item, dict | list)]
        depth += 1
    return bool(level)


def _no_object(line: str) -> str:
    try:
        _DECODER.decode(line.strip().rstrip(",]"))
    except (ValueError, RecursionError):
        return _NOT_JSON
    return _NO_OBJECT


def _pieces(text: str, first_line: int, *, last: bool) -> tuple[list[_Piece], int]:
    """What stands in the text, and where an event begins that it ends in the middle of; else its length."""
    pieces: list[_Piece] = []
    content_end = len(text.rstrip(" \t\r\n"))
    place, counted, line_number = _next(text, 0), 0, first_line
    before = 0
    while place < len(text):
        line_number += text.count("\n", counted, place)
        counted = place
        value, end = _value_at(text, place)
        if isinstance(value, _Damage):
            if not last and value.place >= content_end and len(text) - place <= _LARGEST_EVENT:
                return pieces, place
            # The line as it stands, or what the event before left of it.
            start = max(before, text.rfind("\n", 0, place) + 1)
            stretch = text[start:end].removesuffix("\r")
            pieces.append(_Piece(line_number, stretch, None, value.reason, is_json=value.reason != _NOT_JSON))
        else:
            reason = None if isinstance(value.get("event"), dict) else _NO_EVENT
            pieces.append(_Piece(line_number, text[place:end], None if reason else value, reason))
        before = end
        place = _next(text, end)
    return pieces, len(text)


def _events(pieces: list[_Piece]) -> pl.DataFrame:
    """The texts of the records, as `typed_events` takes them."""
    schema = {"line_number": pl.Int64(), "record": pl.String(), **dict.fromkeys((*PATHS, *BLOCK_NAMES), pl.String())}
    rows = [
        (piece.line_number, plain(piece.text), *texts_of(piece.record)) for piece in pieces if piece.record is not None
    ]
    return pl.DataFrame(rows, schema=schema, orient="row")
