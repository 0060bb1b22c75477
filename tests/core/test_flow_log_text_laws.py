"""Laws of reading flow log text: every line is a row or a rejected line, and both readers say the same of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.catalog.flow_logs import FLOW_FIELDS, INSTANT, LARGEST_VALUE
from kentik_dagster.core import flow_log_text
from kentik_dagster.core.flow_log_text import parse_text

FIELDS = {field.name: field for field in FLOW_FIELDS}
INSTANTS = {name for name, field in FIELDS.items() if field.type == INSTANT}
NUMBERS = {name for name, field in FIELDS.items() if str(field.type) in ("int32", "int64")} | INSTANTS
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a made-up file, and the row that it should give; None: it should be rejected."""

    text: bytes
    row: dict[str, Any] | None = None
    is_silent: bool = False  # blank, or a header


_UNKNOWN = ("new-field", "text", "x9")
# fmt: off
_TEXTS = st.sampled_from([
    "-", "None", "192.0.2.1", "2001:db8::1", "eni-0a1", "ACCEPT", "TransitGateway", "ä", '"', "#", "\x00", "\xa0",
    "a\x0bb", "a" * 300,
])
# fmt: on
_BLANK_RUNS = st.sampled_from([" ", " ", " ", " ", " ", " ", "  ", "\t", " \t "])


@st.composite
def layouts(draw: st.DrawFn) -> list[str]:
    known = draw(st.lists(st.sampled_from(sorted(FIELDS)), min_size=1, max_size=7, unique=True))
    unknown = draw(st.lists(st.sampled_from(_UNKNOWN), max_size=(len(known) - 1) // 2, unique=True))
    return draw(st.permutations([*known, *unknown]))


def largest(name: str) -> int:
    if name in INSTANTS:
        return 4_102_444_800_000
    return LARGEST_VALUE.get(FIELDS[name].column, 2**31 - 1 if str(FIELDS[name].type) == "int32" else 2**63 - 1)


def value_of(name: str, text: str) -> Any:
    """What a good value says, by the reference and not by our reader."""
    if text in ("-", "None"):
        return None
    if name not in NUMBERS:
        return text
    if name not in INSTANTS:
        return int(text)
    return EPOCH + (timedelta(milliseconds=int(text)) if int(text) > 2**31 - 1 else timedelta(seconds=int(text)))


def row_of(layout: Sequence[str], texts: Sequence[str]) -> dict[str, Any]:
    """The row that a line should give: what is not null, by column; unknown fields by name."""
    values = {name: value_of(name, text) for name, text in zip(layout, texts, strict=True)}
    known = {FIELDS[name].column: value for name, value in values.items() if name in FIELDS}
    is_tgw = any(name.startswith("tgw-") for name in layout) or values.get("resource-type") == "TransitGateway"
    extra = {name: value for name, value in values.items() if name not in FIELDS}
    is_tgw = any(name.startswith("tgw-") for name in layout) or values.get("resource-type") == "TransitGateway"
    return said(known | {"extra_fields": extra, "log_type": "transit_gateway" if is_tgw else "vpc"})


def said(row: dict[str, Any]) -> dict[str, Any]:
    """What a row says: its values that are not null, its unknown fields too."""
    extra = {name: value for name, value in (row.get("extra_fields") or {}).items() if value is not None}
    return {name: value for name, value in (row | {"extra_fields": extra}).items() if value is not None}


@st.composite
def values(draw: st.DrawFn, layout: Sequence[str]) -> list[str]:
    numbers = {
        name: st.integers(0, largest(name)).map(str) | st.sampled_from(["-", str(largest(name))])
        for name in layout
        if name in NUMBERS
    }
    return [draw(numbers.get(name, _TEXTS)) for name in layout]


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


@settings(deadline=None, max_examples=100)
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
    regular = flow_log_text._read_regular(content)
    careful = flow_log_text._read_carefully(content)

    assert regular is not None
    assert regular.equals(careful.rows)
    assert careful.rejected.is_empty()


# fmt: off
_SPLINTERS = st.sampled_from([
    b"-", b"None", b"+5", b"-1", b"", b" ", b"  ", b"\n", b"\r", b"\r\n", b"\t", b"\x0b", b"\x00", b"\x1e", b"\xc2\xa0",
    b"\xc2\x85", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\xff", b'"', b"'", b"#", b"NaN", b"99999999999999999999",
    b"version",
])
# fmt: on


@settings(deadline=None, max_examples=120)
@given(regular_files(), st.data())
def test_the_regular_reader_hands_on_whatever_is_not_regular(content: bytes, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.integers(0, len(content)))
        content = content[:place] + data.draw(_SPLINTERS) + content[place + data.draw(st.sampled_from([0, 0, 1, 7])) :]

    regular = flow_log_text._read_regular(content)

    if regular is not None:
        careful = flow_log_text._read_carefully(content)
        assert careful.rejected.is_empty()
        assert regular.equals(careful.rows)
