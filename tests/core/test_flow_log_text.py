"""Every line of a flow log is a row or a rejected line with its number; no value moves to another column."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from kentik_dagster.catalog.flow_logs import VPC_DEFAULT_FORMAT
from kentik_dagster.core import flow_log_text
from kentik_dagster.core.flow_log_text import parse_text
from kentik_dagster.core.parsed import Parsed
from kentik_dagster.core.text_scan import scan
from kentik_dagster.demo.flows import FIELDS, flow_records, log_text
from kentik_dagster.demo.organization import Size, made_up_organization
from kentik_dagster.errors import UnreadableObjectError


def parsed(*lines: str) -> Parsed:
    """What a file of these lines gives."""
    return parse_text("".join(f"{line}\n" for line in lines).encode())


def damage(text: Parsed) -> list[tuple[int, str]]:
    """The numbers and reasons of the lines that were rejected."""
    return list(text.rejected.select("line_number", "reason").iter_rows())


def test_a_line_without_data_is_a_row() -> None:
    text = parsed(
        "interface-id srcaddr bytes start log-status",
        "eni-0a1 - - 1700000000 NODATA",
        "eni-0a1 - - 1700000060 SKIPDATA",
    )

    assert text.rows.select("interface_id", "srcaddr", "bytes", "log_status").rows() == [
        ("eni-0a1", None, None, "NODATA"),
        ("eni-0a1", None, None, "SKIPDATA"),
    ]
    assert text.rejected.is_empty()


def test_a_dash_is_null_and_never_zero() -> None:
    text = parsed("tcp-flags traffic-path", "0 -", "- 8")

    assert text.rows.select("tcp_flags", "traffic_path").rows() == [(0, None), (None, 8)]


@pytest.mark.parametrize(
    "content", [b"", b"\n", b" \r\n\t\n", b"version bytes", b"version bytes\n", b"version bytes\r\n\r\n"]
)
def test_a_file_without_records_gives_no_rows(content: bytes) -> None:
    text = parse_text(content)

    assert text.rows.height == 0
    assert text.rejected.is_empty()


@pytest.mark.parametrize(
    "content", [b"5 10.0.0.1 80\n", b'{"event": {"src_ip": "10.0.0.1"}}\n', b"\x00\x01\xff", b"\x0b\n"]
)
def test_text_whose_fields_nobody_names_is_unreadable(content: bytes) -> None:
    with pytest.raises(UnreadableObjectError, match="no line names the fields"):
        parse_text(content)


def test_without_a_header_the_default_format_is_known_by_its_fourteen_values() -> None:
    text = parsed("2 111122223333 eni-0a1 192.0.2.1 192.0.2.2 1 2 6 3 4 1700000000 1700000060 ACCEPT OK", "1 2 3")

    assert text.rows.select("account_id", "srcport", "bytes").rows() == [("111122223333", 1, 4)]
    assert damage(text) == [(2, "3 values before the first header line, which the default formats do not have")]


@pytest.mark.parametrize("line", ["5", "5 80 x", "-", "5 80 443 6"])
@pytest.mark.parametrize("header", ["version dstport", "action region"])
def test_a_line_of_another_width_is_rejected_with_its_number(header: str, line: str) -> None:
    text = parsed(header, "5 80", line, "6 81")

    assert text.rows.height == 2
    assert damage(text) == [(3, f"{len(line.split())} values for 2 fields")]
    assert text.rejected["text"].to_list() == [line]


@pytest.mark.parametrize("last", ["5", "5 80 x", "-"])
def test_a_last_line_without_a_newline_is_no_exception(last: str) -> None:
    text = parse_text(f"version dstport\n5 80\n{last}".encode())

    assert text.rows.height == 1
    assert text.rejected["line_number"].to_list() == [3]


@pytest.mark.parametrize(
    "value", ["65536", "-1", "NaN", "1.0", "1e3", "0x50", "x", "99999999999999999999", "٣", "null", "1_0"]
)
@pytest.mark.parametrize("layout", ["dstport action", "action dstport"])
def test_a_number_that_is_none_is_said(layout: str, value: str) -> None:
    lines = [" ".join({"dstport": port, "action": "ACCEPT"}[name] for name in layout.split()) for port in ("80", value)]

    text = parsed(layout, *lines)

    assert text.rows["dstport"].to_list() == [80]
    assert damage(text) == [(3, f"dstport is '{value}': not a whole number from 0 to 65535")]


def test_of_two_damaged_numbers_the_first_is_named() -> None:
    text = parsed("srcport dstport", "x y")

    assert damage(text) == [(2, "srcport is 'x': not a whole number from 0 to 65535")]


def test_times_may_be_in_milliseconds() -> None:
    text = parsed("start end", "1700000000 2147483647", "1700000000123 2147483648")

    assert text.rows["start"].dt.epoch("ms").to_list() == [1_700_000_000_000, 1_700_000_000_123]
    assert text.rows["end"].dt.epoch("ms").to_list() == [2_147_483_647_000, 2_147_483_648]


@pytest.mark.parametrize(("header", "line"), [("action bytes", " 5"), ("version action bytes", "5  80")])
def test_a_blank_too_many_makes_no_value(header: str, line: str) -> None:
    text = parsed(header, line)

    assert text.rows.height == 0
    assert text.rejected["text"].to_list() == [line]


def test_a_header_may_come_again_and_change() -> None:
    text = parsed(
        "version dstport",
        "5 80",
        "version dstport",
        "5 81",
        "dstport version action",
        "82 5 ACCEPT",
        "5 83",
    )

    assert text.rows.select("version", "dstport", "action").rows() == [(5, 80, None), (5, 81, None), (5, 82, "ACCEPT")]
    assert damage(text) == [(7, "2 values for 3 fields")]


def test_rows_and_rejected_lines_stay_in_order_where_layouts_take_turns() -> None:
    one, other = "version bytes", "version packets action"

    text = parsed(one, "1 5", "x", other, "2 5 ACCEPT", "x", one, "3 5", "x", other, "4 5 REJECT")

    assert text.rows["version"].to_list() == [1, 2, 3, 4]
    assert text.rejected["line_number"].to_list() == [3, 6, 9]


def test_fields_that_nobody_knows_yet_are_kept_by_name() -> None:
    text = parsed("version text new-field", "5 a b", "5 - -")

    assert text.rows["version"].to_list() == [5, 5]
    assert text.rows["extra_fields"].to_list() == [{"text": "a", "new-field": "b"}, {}]


def test_values_that_look_like_a_header_are_values() -> None:
    text = parsed("interface-id instance-tag", "eni-0a1 region", "eni-0a1 prod")

    assert text.rows["instance_tag"].to_list() == ["region", "prod"]


def test_a_format_of_texts_alone_is_read_like_any_other() -> None:
    text = parsed("action region", "ACCEPT us-east-1", "REJECT -")

    assert text.rows.select("action", "region").rows() == [("ACCEPT", "us-east-1"), ("REJECT", None)]


def test_a_format_of_one_field_is_read_like_any_other() -> None:
    assert parsed("action", "ACCEPT", "-").rows["action"].to_list() == ["ACCEPT", None]
    assert parsed("bytes", "5", "-", "x").rows["bytes"].to_list() == [5, None]


def test_a_header_that_names_a_field_twice_shifts_nothing() -> None:
    text = parsed("version bytes version", "5 1 2")

    assert text.rows.height == 0
    assert damage(text) == [(2, "the header names a field twice")]


@pytest.mark.parametrize(
    "content",
    ["version dstport \n5 80\n5 80 x\n", " version dstport\n5 80\n5 80 x\n", "version\tdstport\n5 80\n5 80 x\n"],
)
def test_blanks_around_the_header_are_no_field(content: str) -> None:
    text = parse_text(content.encode())

    assert text.rows.select("version", "dstport").rows() == [(5, 80)]
    assert damage(text) == [(3, "3 values for 2 fields")]


@pytest.mark.parametrize(
    "character", ['"', "'", "#", ",", "\\", "\x00", "\x0b", "\x0c", "\x1c", "\x85", "\xa0", "\u2003", "\u2028"]
)
@pytest.mark.parametrize("header", ["instance-tag bytes", "instance-tag action"])
def test_only_blanks_separate_values(header: str, character: str) -> None:
    tags = [f"{character}a", f"a{character}b", f"a{character}", character]

    text = parsed(header, *(f"{tag} 1" for tag in tags))

    assert text.rows["instance_tag"].to_list() == tags
    assert text.rejected.is_empty()


@pytest.mark.parametrize("line", ["None 1", "REJECT None", "None None"])
def test_values_of_rewritten_files_that_say_none_are_null(line: str) -> None:
    (row,) = parsed("action bytes", line).rows.select("action", "bytes").rows()

    assert row == tuple({"None": None, "1": 1}.get(value, value) for value in line.split())


@pytest.mark.parametrize(
    "mark",
    [
        "\ufeffversion dstport\n5 80\n",
        "version dstport\n\ufeff5 80\n",
        "version dstport\n\n\ufeffversion dstport\n5 80\n",
    ],
)
def test_a_byte_order_mark_is_no_part_of_a_value(mark: str) -> None:
    text = parse_text(mark.encode())

    assert text.rows.select("version", "dstport").rows() == [(5, 80)]
    assert text.rejected.is_empty()


def test_a_byte_order_mark_inside_a_file_is_no_part_of_a_value_either() -> None:
    text = parsed("action bytes", "ACCEPT 1", "\ufeffREJECT 2")

    assert text.rows["action"].to_list() == ["ACCEPT", "REJECT"]


def test_a_rejected_line_is_kept_as_it_stands() -> None:
    text = parse_text(b"version dstport\n  5\t80 \xff  x\n")

    assert text.rejected["text"].to_list() == ["  5\t80 \\xff  x"]


def test_the_default_format_as_aws_writes_it_is_regular() -> None:
    line = "2 111122223333 eni-0a1 192.0.2.1 192.0.2.2 1 2 6 3 4 1700000000 1700000060 ACCEPT OK"

    content = f"{' '.join(VPC_DEFAULT_FORMAT)}\n{line}\n".encode()
    assert flow_log_text._read_regular(content, None, scan(content)) is not None


@pytest.mark.parametrize("damaged_line", ["x", "- -", "1 2 3 4", ""])
@pytest.mark.parametrize("place", [1, 40_000, 99_999])
def test_one_damaged_line_in_a_large_file_is_found(place: int, damaged_line: str) -> None:
    lines = ["srcaddr dstport bytes", *["192.0.2.1 443 1500"] * 100_000]
    lines[place] = damaged_line

    text = parse_text("\n".join(lines).encode())

    assert text.rows.height == 99_999
    assert text.rejected["line_number"].to_list() == ([place + 1] if damaged_line else [])


def test_the_demos_records_come_back_as_they_were_written() -> None:
    start = datetime(2026, 11, 23, 9, 10, tzinfo=UTC)
    organization = made_up_organization(7, Size())
    records = flow_records(organization, start=start, end=start + timedelta(minutes=5), records=5_000, seed=3)

    text = parse_text(log_text(records))

    columns = [field.replace("-", "_") for field in FIELDS]
    read = text.rows.with_columns(pl.col("start", "end").dt.epoch("s")).select(columns)
    assert text.rejected.is_empty()
    assert read.equals(records.select(columns).cast(read.schema))


def test_a_part_goes_on_with_the_layout_and_the_line_numbers_of_the_one_before() -> None:
    first = parse_text(b"version dstport\n5 80\n", last=False)

    second = parse_text(b"5 81\n5\n", layout=first.layout, first_line=first.lines + 1)

    assert second.rows.select("version", "dstport").rows() == [(5, 81)]
    assert damage(second) == [(4, "1 values for 2 fields")]
    assert (first.lines, second.lines, second.layout) == (2, 2, ("version", "dstport"))


def test_a_part_without_a_header_is_regular_once_the_layout_is_known() -> None:
    content = b"5 80\n5 81\n"
    part = flow_log_text._read_regular(content, ("version", "dstport"), scan(content))

    assert part is not None
    assert part.rows["dstport"].to_list() == [80, 81]


def test_a_part_that_begins_with_a_header_has_its_layout() -> None:
    part = parse_text(b"dstport version\n80 5\n", layout=("version", "dstport"), first_line=9)

    assert part.rows.select("version", "dstport").rows() == [(5, 80)]
    assert part.layout == ("dstport", "version")


@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n"])
def test_a_blank_part_changes_nothing(content: bytes) -> None:
    part = parse_text(content, layout=("version", "dstport"), first_line=5)

    assert part.rows.height == part.rejected.height == 0
    assert (part.layout, part.lines) == (("version", "dstport"), content.count(b"\n"))


def test_an_unfinished_line_at_the_end_of_a_part_is_left_for_the_next() -> None:
    part = parse_text(b"version dstport\n5 80\n5 8", last=False)

    assert part.rows.height == 1
    assert (part.lines, part.rest) == (2, b"5 8")


def test_only_the_first_part_can_show_that_nobody_names_the_fields() -> None:
    part = parse_text(b"5 10.0.0.1 80\n", first_line=101)

    assert damage(part) == [(101, "3 values before the first header line, which the default formats do not have")]


def test_a_header_of_mostly_unknown_fields_is_known_again_in_a_later_part() -> None:
    header = ("version", "a", "b", "c")

    part = parse_text(b"5 x y z\nversion a b c\n5 x y z\n", layout=header, first_line=50)

    assert part.rows.height == 2
    assert part.rejected.is_empty()


@pytest.mark.parametrize(
    ("value", "tag"),
    [
        ("a%20b", "a b"),
        ("Z%C3%BCrich", "Zürich"),
        ("100%25", "100%"),
        ("%2520", "%20"),  # once
        ("a+b", "a+b"),
        ("%ff", "%ff"),  # no UTF-8
        ("50%", "50%"),
        ("%2D", "-"),  # a tag that says so, and not a tag that is missing
        ("-", None),
    ],
)
@pytest.mark.parametrize("field", ["instance-tag", "instance-tag-2", "interface-tag-2", "asg-tag", "asg-tag-2"])
def test_values_of_tags_are_decoded_once(field: str, value: str, tag: str | None) -> None:
    text = parsed(f"{field} bytes", f"{value} 1", "plain 2", f"{value} 3")

    assert text.rows[field.replace("-", "_")].to_list() == [tag, "plain", tag]


def test_percent_signs_of_other_fields_stay() -> None:
    text = parsed("action new-field bytes", "a%20b c%20d 1")

    assert text.rows.select("action", "extra_fields").rows() == [("a%20b", {"new-field": "c%20d"})]


def test_the_default_format_without_a_header_is_regular() -> None:
    line = b"2 111122223333 eni-0a1 192.0.2.1 192.0.2.2 1 2 6 3 4 1700000000 1700000060 ACCEPT OK\n"

    part = flow_log_text._read_regular(line, None, scan(line))

    assert part is not None
    assert part.layout is None
