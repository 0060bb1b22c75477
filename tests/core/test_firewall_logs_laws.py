"""Laws of reading firewall logs: every line is a row or a rejected line, parts are the whole, both readers agree."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.core import firewall_logs
from kentik_dagster.core.firewall_logs import parse_events
from kentik_dagster.core.parsed import Parsed

_TEXTS = st.sampled_from(["-", "", "192.0.2.1", "TCP", "ä", "😀", '"', "\\", "{", "[", "a\nb", "\x00", "443"])
_PORTS = st.integers(0, 65535) | st.integers(0, 65535).map(str)
_TIMES = st.sampled_from(["2026-11-23T03:00:00.000001+0000", "2026-11-23T03:00:00Z", "1700000000", 1700000000])
_BLOCK = st.dictionaries(_TEXTS, _TEXTS | st.booleans() | st.none() | st.integers(0, 9), max_size=3)
_EVENT = st.fixed_dictionaries(
    {},
    optional={
        "timestamp": _TIMES,
        "flow_id": st.integers(0, 2**63 - 1),
        "src_ip": _TEXTS,
        "src_port": _PORTS,
        "dest_port": _PORTS | st.none(),
        "proto": _TEXTS,
        "sni": _TEXTS,
        "tls_inspected": st.booleans(),
        "netflow": st.fixed_dictionaries({}, optional={"pkts": st.integers(0, 9), "start": _TIMES}),
        "tls": st.fixed_dictionaries({}, optional={"sni": _TEXTS, "ja3": st.just({})}),
        "http": _BLOCK,
        "dns": st.lists(_BLOCK, max_size=2),
        "unknown": _BLOCK,
    },
)
_RECORD = st.fixed_dictionaries({"event": _EVENT}, optional={"firewall_name": _TEXTS, "event_timestamp": _TIMES})
# None closes what another one opens: together they would be an event over several lines.
_GARBAGE = st.sampled_from(
    [
        b"garbage",
        b"17",
        b'"text"',
        b'{"event":',
        b'{"event":{}',
        b"{",
        b'{"event":1}',
        b"\xff",
        b"NaN",
        b"{}",
        b"[1]",
    ]
)


def written(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode()


@st.composite
def files(draw: st.DrawFn) -> list[tuple[bytes, bool]]:
    """Lines, and whether each is a good event."""
    good = _RECORD.map(lambda record: (written(record), True))
    bad = _GARBAGE.map(lambda text: (text, False))
    bad_value = st.sampled_from([-1, 65536, "x", 1.5, [], 10**30]).map(
        lambda port: (written({"event": {"src_port": port}}), False)
    )
    lines: list[tuple[bytes, bool]] = draw(st.lists(st.one_of(good, good, bad, bad_value), max_size=8))
    return lines


def in_parts(content: bytes, cuts: list[int]) -> Parsed:
    """The content read in parts, each of which ends with a line."""
    lines = content.splitlines(keepends=True)
    bounds = sorted({min(cut, len(lines)) for cut in cuts} | {len(lines)})
    rows, rejected, done, rest, start = [], [], 0, b"", 0
    for bound in bounds:
        part = rest + b"".join(lines[start:bound])
        parsed = parse_events(part, first_line=1 + done, last=bound == len(lines))
        rows.append(parsed.rows)
        rejected.append(parsed.rejected)
        done, rest, start = done + parsed.lines, parsed.rest, bound
    return Parsed(rows=pl.concat(rows), rejected=pl.concat(rejected), lines=done, rest=rest)


@settings(deadline=None, max_examples=40)
@given(files(), st.sampled_from([b"\n", b"\r\n", b"\n\n"]))
def test_every_line_is_a_row_or_a_rejected_line(lines: list[tuple[bytes, bool]], newline: bytes) -> None:
    content = newline.join([written({"event": {}}), *(text for text, _ in lines)])
    step = newline.count(b"\n")

    parsed = parse_events(content)

    assert parsed.rows["record"].to_list() == ['{"event": {}}'] + [text.decode() for text, is_good in lines if is_good]
    assert parsed.rejected.select("line_number", "text").rows() == [
        (1 + step * place, text.decode(errors="backslashreplace"))
        for place, (text, is_good) in enumerate(lines, start=1)
        if not is_good
    ]
    assert parsed.rejected["reason"].null_count() == 0
    assert parsed.lines == content.count(b"\n") + 1


@settings(deadline=None, max_examples=40)
@given(files(), st.lists(st.integers(0, 9), max_size=3))
def test_parts_of_lines_are_the_whole(lines: list[tuple[bytes, bool]], cuts: list[int]) -> None:
    content = b"\n".join([written({"event": {}}), *(text for text, _ in lines)]) + b"\n"
    whole = parse_events(content)

    parts = in_parts(content, cuts)

    assert parts.rows.equals(whole.rows)
    assert parts.rejected.equals(whole.rejected)
    assert (parts.lines, parts.rest) == (whole.lines, b"")


@settings(deadline=None, max_examples=40)
@given(st.lists(_RECORD, min_size=1, max_size=4), st.lists(st.integers(0, 60), max_size=4), st.booleans())
def test_parts_of_pretty_printed_events_are_the_whole(
    records: list[dict[str, Any]], cuts: list[int], as_array: bool
) -> None:
    texts = [json.dumps(record, indent=1) for record in records]
    content = (json.dumps(records, indent=2) if as_array else "\n".join(texts)).encode() + b"\n"

    parts = in_parts(content, cuts)

    assert [json.loads(text) for text in parts.rows["record"]] == records
    assert parts.rejected.is_empty()
    assert (parts.lines, parts.rest) == (content.count(b"\n"), b"")


@settings(deadline=None, max_examples=40)
@given(st.lists(_RECORD, min_size=1, max_size=4))
def test_the_regular_and_the_careful_reader_give_the_same_rows(records: list[dict[str, Any]]) -> None:
    content = b"\n".join(map(written, records))

    regular = firewall_logs._read_regular(content)
    careful = firewall_logs._read_carefully(content, first_line=1, last=True)

    assert careful.rejected.is_empty()
    assert careful.rows.height == len(records)
    assert regular is None or regular.equals(careful.rows)


@settings(deadline=None, max_examples=40)
@given(st.lists(_RECORD, min_size=1, max_size=3), st.data())
def test_damage_anywhere_loses_no_other_line(records: list[dict[str, Any]], data: st.DataObject) -> None:
    damaged = bytearray(written(data.draw(_RECORD)))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(damaged)))
        damaged[place : place + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=3)).replace(b"\n", b"")
    good = [written(record) for record in records]

    parsed = parse_events(b"\n".join([*good, bytes(damaged), *good]))

    kept = parsed.rows["record"].to_list()
    assert kept[: len(good)] == [text.decode() for text in good]
    assert kept[-len(good) :] == [text.decode() for text in good]
    assert set(parsed.rejected["line_number"]) <= {len(good) + 1}
    assert len(kept) + parsed.rejected.height > 2 * len(good) or not bytes(damaged).strip(b" \t\r,[]\xef\xbb\xbf")
