"""Laws of reading flow log text: every line is a row or a rejected line, and both readers say the same of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from kentik_dagster.catalog.flow_logs import TRANSIT_GATEWAY_DEFAULT_FORMAT, VPC_DEFAULT_FORMAT
from kentik_dagster.core import flow_log_text
from kentik_dagster.core.flow_log_text import parse_text
from kentik_dagster.core.parsed import Parsed
from kentik_dagster.core.text_scan import scan
from kentik_dagster.errors import UnreadableObjectError
from tests.core.made_up_records import FIELDS, NUMBERS, largest, layouts, row_of, said, values


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a made-up file, and the row that it should give; None: it should be rejected."""

    text: bytes
    row: dict[str, Any] | None = None
    is_silent: bool = False  # blank, or a header


_BLANK_RUNS = st.sampled_from([" ", " ", " ", " ", " ", " ", "  ", "\t", " \t "])


@st.composite
def damaged(draw: st.DrawFn, layout: Sequence[str]) -> list[str]:
    """Values of one line with one thing wrong."""
    texts = draw(values(layout))
    numbers = [place for place, name in enumerate(layout) if name in NUMBERS]
    match draw(st.sampled_from(["few", "many", "number"])):
        case "few" if len(texts) > 1:
            del texts[draw(st.integers(0, len(texts) - 1))]
        case "number" if numbers:
            place = draw(st.sampled_from(numbers))
            texts[place] = draw(
                st.sampled_from(["-1", "NaN", "1.5", "x", "--", "1e3", str(largest(layout[place]) + 1)])
            )
        case _:
            texts.insert(draw(st.integers(0, len(texts))), draw(st.sampled_from(["-", "7", "x"])))
    return texts


@st.composite
def record_lines(draw: st.DrawFn, layout: Sequence[str], kind: str) -> Line:
    """A line with values: whole, with one thing wrong, or with a byte that is no UTF-8."""
    texts = draw(damaged(layout) if kind == "damaged" else values(layout))
    row = None if kind == "damaged" else row_of(layout, texts)
    text_fields = [place for place, name in enumerate(layout) if name not in NUMBERS]
    if kind == "not utf-8" and text_fields:
        texts[text_fields[0]] = "\\xff"  # as such a byte is kept
        row = row_of(layout, texts)
    line = "".join(text + draw(_BLANK_RUNS) for text in texts[:-1]) + texts[-1] + draw(st.sampled_from(["", "", " "]))
    return Line(line.encode().replace(b"\\xff", b"\xff"), row)


@st.composite
def files(draw: st.DrawFn) -> tuple[bytes, list[Line]]:
    """A file with anything in it that AWS, joined files and editors are known to leave there."""
    kinds = ["row"] * 6 + ["damaged", "not utf-8", "blank", "header again", "other header"]
    lines, layout = [], draw(layouts())
    for kind in ["header again", *draw(st.lists(st.sampled_from(kinds), max_size=12))]:
        match kind:
            case "blank":
                lines.append(Line(draw(st.sampled_from([b"", b" ", b"\t \t"])), is_silent=True))
            case "header again" | "other header":
                layout = draw(layouts()) if kind == "other header" else layout
                lines.append(Line(" ".join(layout).encode(), is_silent=True))
            case _:
                lines.append(draw(record_lines(layout, kind)))
    newline = draw(st.sampled_from([b"\n", b"\n", b"\r\n"]))
    return newline.join(line.text for line in lines) + draw(st.sampled_from([b"", newline])), lines


@settings(deadline=None, max_examples=60)
@given(files())
def test_every_line_is_a_row_or_a_rejected_line(made_up: tuple[bytes, list[Line]]) -> None:
    content, lines = made_up

    text = parse_text(content)

    assert [said(row) for row in text.rows.to_dicts()] == [line.row for line in lines if line.row is not None]
    assert text.rejected["line_number"].to_list() == [
        number for number, line in enumerate(lines, start=1) if line.row is None and not line.is_silent
    ]
    assert text.rejected["reason"].null_count() == 0


@st.composite
def regular_files(draw: st.DrawFn) -> bytes:
    """What AWS itself writes: one header, single blanks, whole lines."""
    layout = draw(layouts().filter(lambda names: len(names) > 1 and not NUMBERS.isdisjoint(names)))
    rows = draw(st.lists(values(layout), min_size=1, max_size=5))
    lines = [" ".join(text.replace("None", "-") for text in texts) for texts in (layout, *rows)]
    return "\n".join(lines).encode() + draw(st.sampled_from([b"", b"\n"]))


@settings(deadline=None, max_examples=60)
@given(regular_files())
def test_the_regular_and_the_careful_reader_give_the_same_rows(content: bytes) -> None:
    regular = flow_log_text._read_regular(content, None, scan(content))
    careful = flow_log_text._read_carefully(content, None, 1)

    assert regular is not None
    assert regular.rows.equals(careful.rows)
    assert careful.rejected.is_empty()


# fmt: off
_SPLINTERS = st.sampled_from([
    b"-", b"None", b"+5", b"-1", b"", b" ", b"  ", b"\n", b"\r", b"\r\n", b"\t", b"\x0b", b"\x00", b"\x1e", b"\xc2\xa0",
    b"\xc2\x85", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\xff", b'"', b"'", b"#", b"NaN", b"99999999999999999999",
    b"version",
])
# fmt: on


@settings(deadline=None, max_examples=50)
@given(regular_files(), st.data())
def test_the_regular_reader_hands_on_whatever_is_not_regular(content: bytes, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.integers(0, len(content)))
        content = content[:place] + data.draw(_SPLINTERS) + content[place + data.draw(st.sampled_from([0, 0, 1, 7])) :]

    regular = flow_log_text._read_regular(content, None, scan(content))

    if regular is not None:
        careful = flow_log_text._read_carefully(content, None, 1)
        assert careful.rejected.is_empty()
        assert regular.rows.equals(careful.rows)


@settings(deadline=None, max_examples=50)
@given(regular_files(), st.data())
def test_damage_loses_no_line_and_counts_none_twice(content: bytes, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content)))
        content = content[:place] + data.draw(_SPLINTERS | st.binary(max_size=3)) + content[place:]
    numbers = record_lines_by_hand(content)

    try:
        text = parse_text(content)
    except UnreadableObjectError:
        assume(False)

    assert set(text.rejected["line_number"]) <= set(numbers)
    assert text.rejected["line_number"].is_unique().all()
    assert text.rows.height + text.rejected.height == len(numbers)


def record_lines_by_hand(content: bytes) -> list[int]:
    """Numbers of the lines that are neither blank nor a header, found line by line."""
    layout, numbers = None, []
    for number, line in enumerate(content.decode(errors="backslashreplace").split("\n"), start=1):
        words = re.split("[ \t\r]+", line.removeprefix("\ufeff").strip(" \t\r"))
        known = sum(word in FIELDS for word in words)
        is_shaped = all(re.fullmatch("[a-z][a-z0-9-]*", word, re.ASCII) for word in words) and known > 0
        if is_shaped and (layout is None or words == layout or 2 * known > len(words)):
            layout = words
        elif words != [""]:
            numbers.append(number)
    return numbers


# fmt: off
_LINES = st.sampled_from([
    b"version srcaddr bytes", b"5 192.0.2.1 7", b"5 192.0.2.1 7", b"5 192.0.2.1 -", b"5 - x", b"- - -",
    b"bytes version", b"7 5", b"7 5", b"-1 5", b"7 5\r", b"7  5",
    b"interface-id foo bar baz", b"eni-0a1 x y z", b"instance-tag action", b"eni-0a1 region", b"region ACCEPT",
    b"version version", b"5 5", b"", b" ", b"x", b"\xff", b"None -", b"\xef\xbb\xbf7 5",
    b" ".join([b"-"] * len(VPC_DEFAULT_FORMAT)), b" ".join([b"6"] * len(VPC_DEFAULT_FORMAT)),
    b" ".join([b"-"] * len(TRANSIT_GATEWAY_DEFAULT_FORMAT)), " ".join(VPC_DEFAULT_FORMAT).encode(),
])
# fmt: on


def read_in_parts(parts: Sequence[bytes]) -> list[Parsed]:
    """What the parts of one object give, each told what the ones before ended with."""
    read: list[Parsed] = []
    for number, part in enumerate(parts, start=1):
        layout = read[-1].layout if read else None
        first_line = 1 + sum(before.lines for before in read)
        read.append(parse_text(part, layout=layout, first_line=first_line, last=number == len(parts)))
    return read


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(_LINES, min_size=1, max_size=5), min_size=1, max_size=5), st.sampled_from([b"", b"\n"]))
def test_parts_give_what_the_whole_gives(lines: list[list[bytes]], end: bytes) -> None:
    parts = [b"".join(line + b"\n" for line in part) for part in lines]
    parts[-1] = parts[-1][:-1] + end
    try:
        whole = parse_text(b"".join(parts))
        parse_text(parts[0])
    except UnreadableObjectError:
        assume(False)

    read = read_in_parts(parts)

    assert_frame_equal(pl.concat([part.rows for part in read], how="diagonal"), whole.rows)
    assert_frame_equal(pl.concat([part.rejected for part in read]), whole.rejected)
    assert (sum(part.lines for part in read), read[-1].layout) == (whole.lines, whole.layout)


@settings(deadline=None, max_examples=50)
@given(regular_files(), st.data())
def test_every_part_of_a_regular_file_is_regular(content: bytes, data: st.DataObject) -> None:
    ends = [place + 1 for place, byte in enumerate(content) if byte == ord("\n") and place + 1 < len(content)]
    cut = data.draw(st.sampled_from(ends))

    first, second = read_in_parts([content[:cut], content[cut:]])

    assert flow_log_text._read_regular(content[cut:], first.layout, scan(content[cut:])) is not None
    assert pl.concat([first.rows, second.rows], how="diagonal").equals(parse_text(content).rows)
