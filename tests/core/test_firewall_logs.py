"""Network Firewall logs as AWS writes them, and as files look that somebody touched."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core import firewall_logs
from kentik_dagster.core.firewall_logs import parse_events
from kentik_dagster.core.schemas import polars_schema
from kentik_dagster.errors import UnreadableObjectError

GOOD = b'{"event":{"src_port":1}}'


def line(**event: Any) -> bytes:
    """A record with these members of its event."""
    return json.dumps({"firewall_name": "edge", "event_timestamp": "1700000000", "event": event}).encode()


def row(content: bytes) -> dict[str, Any]:
    """The only row of the content, of which nothing is rejected."""
    parsed = parse_events(content)
    assert parsed.rejected.is_empty()
    (found,) = parsed.rows.to_dicts()
    return found


def reasons(content: bytes) -> list[tuple[int, str]]:
    return parse_events(content).rejected.select("line_number", "reason").rows()


def read(samples: Path, name: str) -> bytes:
    (path,) = (samples / "flow_logs").glob(f"*/{name}")
    return path.read_bytes()


def test_real_alerts_and_netflow_events_say_what_they_should(samples: Path) -> None:
    folder = samples / "flow_logs" / "07_nfw_alert_and_netflow_opensearch"
    notes = json.loads((folder / "expected.json").read_text(encoding="utf-8"))["files"]["sample_as_ndjson.derived.log"]

    parsed = parse_events((folder / "sample_as_ndjson.derived.log").read_bytes())

    assert (parsed.rows.height, parsed.rejected.height, parsed.lines) == (notes["rows_total"], 0, notes["rows_total"])
    for found, note in zip(parsed.rows.to_dicts(), notes["rows"], strict=True):
        flags, sni = note.pop("tcp_flags_hex"), note.pop("tls_sni")
        expected = note | {
            "event_timestamp": datetime.fromtimestamp(note["event_timestamp"], UTC),
            "timestamp": datetime.fromisoformat(note["timestamp"]),
            "tcp_flags": None if flags is None else int(flags, 16),
            "sni": sni,
        }
        assert {name: found[name] for name in expected} == expected
    assert parsed.rows["netflow_pkts"].sum() == notes["sum_netflow_pkts"]
    assert parsed.rows["netflow_bytes"].sum() == notes["sum_netflow_bytes"]
    assert parsed.rows["src_port"].null_count() == notes["rows_without_ports"]
    assert parsed.rows["app_proto"].null_count() == notes["rows_without_app_proto"]


def test_a_pretty_printed_array_gives_the_same_rows_as_lines_do(samples: Path) -> None:
    lines = parse_events(read(samples, "sample_as_ndjson.derived.log"))

    array = parse_events(read(samples, "sample.json"))

    assert array.rejected.is_empty()
    assert array.rows.drop("record").equals(lines.rows.drop("record"))
    assert [json.loads(text) for text in array.rows["record"]] == [json.loads(text) for text in lines.rows["record"]]


def test_what_aws_writes_needs_no_careful_reading(samples: Path) -> None:
    contents = [read(samples, "sample_as_ndjson.derived.log"), read(samples, "alert_log_multi.json")]

    for content in contents:
        regular = firewall_logs._read_regular(content)
        careful = firewall_logs._read_carefully(content, first_line=1, last=True)

        assert regular is not None
        assert regular.equals(careful.rows)


def test_the_examples_of_aws_are_read_whatever_types_they_have(samples: Path) -> None:
    alert = row(read(samples, "aws_doc_alert.ndjson"))
    tls = row(read(samples, "aws_doc_tls_revoked.ndjson"))
    iso, second = parse_events(read(samples, "alert_log_multi.json")).rows.to_dicts()

    assert (alert["event_timestamp"], alert["src_port"]) == (datetime(2020, 10, 13, 22, 10, 1, tzinfo=UTC), 55555)
    assert (alert["protocol"], alert["alert_signature"]) == (6, "test_tcp")
    assert tls["event_timestamp"] == datetime(2024, 2, 19, 16, 46, 29, tzinfo=UTC)
    assert tls["timestamp"] == datetime(2024, 2, 19, 16, 46, 29, 441824, tzinfo=UTC)
    assert (tls["src_port"], tls["dest_port"], tls["sni"]) == (55930, 443, "revoked-rsa-dv.ssl.com")
    assert (tls["revocation_status"], tls["revocation_action"]) == ("REVOKED", "DROP")
    assert (tls["event_type"], tls["proto"], tls["protocol"], tls["flow_id"]) == (None, None, None, None)
    assert (iso["event_timestamp"], iso["timestamp"]) == (
        datetime(2025, 10, 20, 10, 30, 45, 123000, tzinfo=UTC),
        None,
    )
    assert (iso["alert_signature_id"], second["alert_signature_id"]) == (2027758, 5)


@pytest.mark.parametrize("content", [line(src_port=1), b"\xef\xbb\xbf" + line(src_port=1), b"[]"])
def test_rows_have_the_columns_of_the_table_but_those_of_the_key(content: bytes) -> None:
    rows = parse_events(content).rows

    from_key = {"export", "hour", "source_object", "account_id", "region", "firewall_log_type"}
    expected = {name: type_ for name, type_ in polars_schema(TABLES["firewall_logs"]).items() if name not in from_key}
    assert rows.schema == pl.Schema(expected)


def test_a_netflow_event_can_be_used_as_a_flow() -> None:
    found = row(
        line(
            event_type="netflow",
            flow_id=7,
            src_ip="192.0.2.1",
            src_port=40000,
            dest_ip="2001:db8::1",
            dest_port=443,
            proto="TCP",
            tcp={"tcp_flags": "1b", "syn": True},
            netflow={
                "pkts": 3,
                "bytes": 180,
                "start": "2026-11-23T03:00:00.000001+0000",
                "end": "2026-11-23T05:00:01.5+01:00",
                "age": 3601,
                "min_ttl": 63,
                "max_ttl": 64,
                "tx_cnt": 0,
            },
        )
    )

    assert (found["src_ip"], found["src_port"], found["dest_ip"], found["dest_port"]) == (
        "192.0.2.1",
        40000,
        "2001:db8::1",
        443,
    )
    assert (found["netflow_pkts"], found["netflow_bytes"], found["netflow_age"]) == (3, 180, 3601)
    assert found["netflow_start"] == datetime(2026, 11, 23, 3, 0, 0, 1, tzinfo=UTC)
    assert found["netflow_end"] == datetime(2026, 11, 23, 4, 0, 1, 500000, tzinfo=UTC)
    assert (found["netflow_min_ttl"], found["netflow_max_ttl"], found["netflow_tx_cnt"]) == (63, 64, 0)
    assert (found["protocol"], found["tcp_flags"]) == (6, 27)
    assert json.loads(found["tcp"]) == {"tcp_flags": "1b", "syn": True}


@pytest.mark.parametrize(
    ("proto", "protocol"),
    [
        *(("TCP", 6), ("udp", 17), ("ICMP", 1), ("IPv6-ICMP", 58), ("SCTP", 132), ("GRE", 47), ("ESP", 50), ("AH", 51)),
        *(("IGMP", 2), ("IPv4", 4), ("IPIP", 4), ("IPv6", 41), ("PIM", None), ("", None), (None, None)),
    ],
)
def test_a_protocol_has_its_number(proto: str | None, protocol: int | None) -> None:
    found = row(line(proto=proto))

    assert (found["proto"], found["protocol"]) == (proto, protocol)


@pytest.mark.parametrize(
    ("event", "sni"),
    [
        ({"sni": "a.example"}, "a.example"),
        ({"tls": {"sni": "b.example"}}, "b.example"),
        ({"sni": "-", "tls": {"sni": "b.example"}}, "b.example"),
        ({"sni": "-"}, None),
        ({"tls": {"sni": "-"}}, None),
        ({}, None),
    ],
)
def test_the_server_name_stands_in_one_of_two_places(event: dict[str, Any], sni: str | None) -> None:
    assert row(line(**event))["sni"] == sni


@pytest.mark.parametrize("value", ["1700000000", 1700000000, "1700000000000", "2023-11-14T22:13:20Z"])
def test_the_time_of_a_record_is_text_or_a_number(value: str | int) -> None:
    found = row(json.dumps({"event_timestamp": value, "event": {}}).encode())

    assert found["event_timestamp"] == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


@pytest.mark.parametrize("place", ["record", "event"])
def test_categories_stand_beside_the_event_or_in_it(place: str) -> None:
    categories = {"aws_category": '["Malware"]'}
    record: dict[str, Any] = {"event": {}, **categories} if place == "record" else {"event": categories}

    assert row(json.dumps(record).encode())["aws_category"] == '["Malware"]'


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"src_port": 65536}, "event.src_port is '65536': not a whole number from 0 to 65535"),
        ({"dest_port": "-1"}, "event.dest_port is '-1': not a whole number from 0 to 65535"),
        ({"src_port": "-"}, "event.src_port is '-': not a whole number from 0 to 65535"),
        ({"src_port": ""}, "event.src_port is '': not a whole number from 0 to 65535"),
        ({"src_port": [80]}, "event.src_port is '[80]': not a whole number from 0 to 65535"),
        ({"flow_id": 2**63}, f"event.flow_id is '{2**63}': not a whole number from 0 to {2**63 - 1}"),
        ({"netflow": {"bytes": 1.5}}, f"event.netflow.bytes is '1.5': not a whole number from 0 to {2**63 - 1}"),
        ({"tcp": {"tcp_flags": "xy"}}, "event.tcp.tcp_flags is 'xy': not a hexadecimal number from 0 to ffff"),
        ({"tls_inspected": "maybe"}, "event.tls_inspected is 'maybe': neither true nor false"),
        (
            {"timestamp": "2026-02-30T00:00Z"},
            "event.timestamp is '2026-02-30T00:00Z': no time of 1900 to 2100, in seconds since 1970 or in ISO 8601",
        ),
    ],
)
def test_a_value_that_its_column_cannot_hold_rejects_the_event_only(event: dict[str, Any], reason: str) -> None:
    parsed = parse_events(line(src_port=1) + b"\n" + line(**event) + b"\n" + line(src_port=2))

    assert parsed.rows["src_port"].to_list() == [1, 2]
    assert parsed.rejected.rows() == [(2, line(**event).decode(), reason)]


def test_numbers_at_their_limits_are_kept() -> None:
    found = row(line(src_port=65535, dest_port=0, flow_id=2**63 - 1, tcp={"tcp_flags": "ff"}, tls_inspected=True))

    assert (found["src_port"], found["dest_port"], found["flow_id"]) == (65535, 0, 2**63 - 1)
    assert (found["tcp_flags"], found["tls_inspected"]) == (255, True)


@pytest.mark.parametrize(
    ("garbage", "reason"),
    [
        (b"garbage", "not JSON"),
        (b'{"event":{"src_port":7}', "not JSON"),
        (b'{"event":{"src_port":NaN}}', "not JSON"),
        (b'{"event":{"src_port":007}}', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"17", "JSON, but no object"),
        (b"null", "JSON, but no object"),
        (b'"text"', "JSON, but no object"),
        (b"[17]", "JSON, but no object"),
        (b'{"firewall_name":"edge"}', "a record without an `event` object"),
        (b'{"event":"text"}', "a record without an `event` object"),
        (b'{"event":null}', "a record without an `event` object"),
        (b'{"event":[]}', "a record without an `event` object"),
        (b'{"event":' * 2000 + b"1" + b"}" * 2000, "JSON that is nested too deeply"),
        (b'{"event":{"tls":' + b"[" * 400 + b"]" * 400 + b"}}", "JSON that is nested too deeply"),
    ],
)
def test_what_is_no_event_is_rejected_with_its_number(garbage: bytes, reason: str) -> None:
    parsed = parse_events(GOOD + b"\n\n" + garbage + b"\n" + GOOD)

    assert parsed.rows.height == 2
    assert parsed.rejected.rows() == [(3, garbage.decode(errors="backslashreplace"), reason)]
    assert parsed.lines == 4


@pytest.mark.parametrize(
    "content",
    [
        GOOD + b"\r\n" + GOOD + b"\r\n",
        b"\n\n" + GOOD + b"\n \n" + GOOD,
        b"\xef\xbb\xbf" + GOOD + b"\n" + GOOD,
        GOOD + GOOD,
        GOOD + b" , " + GOOD,
        b"[" + GOOD + b",\n" + GOOD + b"]",
        b' {\n "event": {"src_port": 1}\n}\n{"event"\n:{"src_port":1.0}}',
    ],
)
def test_events_may_stand_in_other_ways(content: bytes) -> None:
    parsed = parse_events(content)

    assert parsed.rows["src_port"].to_list() == [1, 1]
    assert parsed.rejected.is_empty()


@pytest.mark.parametrize(
    "content",
    [
        b'{"x":[{"event":{}}\n{"event":{}}]}',  # one object on two lines, but for a comma
        b'{"event":{}},{"event":{}}\n{"x":[{}\n{}]}',
    ],
)
def test_lines_are_not_joined_to_make_an_event(content: bytes) -> None:
    assert firewall_logs._read_regular(content) is None
    assert not parse_events(content).rejected.is_empty()


def test_a_record_is_kept_as_it_was_written() -> None:
    text = '{ "event": {"tls":{"subject":"CN=a","subject":"CN=b","ja3":{}},"new":[1.50, "\\u00e4"]}, "x": 1e3 }'

    found = row(text.encode())

    assert found["record"] == text
    assert json.loads(found["tls"]) == {"subject": "CN=b", "ja3": {}}


@pytest.mark.parametrize("escape", [b"\xff", b"\\ud800"])
def test_text_that_is_no_unicode_is_written_out(escape: bytes) -> None:
    found = row(b'{"event":{"sni":"a' + escape + b'","http":{"url":"/' + escape + b'"}}}')

    assert found["sni"] == "a" + escape.decode(errors="backslashreplace")
    assert found["http"].startswith('{"url":"/\\')


@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n\n", b"[]"])
def test_nothing_is_no_row(content: bytes) -> None:
    parsed = parse_events(content)

    assert (parsed.rows.height, parsed.rejected.height, parsed.rest) == (0, 0, b"")


def test_an_object_without_any_json_is_unreadable() -> None:
    with pytest.raises(UnreadableObjectError, match="none of the 2 lines is JSON: '2 111122223333 eni-0a1'"):
        parse_events(b"2 111122223333 eni-0a1\nother\n")


def test_a_later_part_without_any_json_is_rejected_lines() -> None:
    parsed = parse_events(b"one\ntwo\n", first_line=11)

    assert parsed.rejected["line_number"].to_list() == [11, 12]


def test_an_event_that_is_not_complete_waits_for_the_next_part() -> None:
    first = parse_events(GOOD + b'\n{\n "event": {\n', last=False)

    second = parse_events(first.rest + b'  "src_port": 70000}}\n', first_line=1 + first.lines)

    assert (first.rows.height, first.rejected.height, first.lines) == (1, 0, 1)
    assert first.rest == b'{\n "event": {\n'
    assert second.rejected["line_number"].to_list() == [2]
    assert second.lines == 3


def test_an_event_that_never_ends_does_not_wait_for_ever() -> None:
    lost = b'{"event":{"x":[\n' + b"[],\n" * 1_100_000

    parsed = parse_events(lost, last=False)

    assert parsed.rest == b""
    assert reasons(b'{"event":{"x":[\n' + GOOD) == [(1, "not JSON")]
    assert parsed.rejected["line_number"].to_list() == [1]
