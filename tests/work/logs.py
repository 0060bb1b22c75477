"""Log objects whose rows can be counted in the head, and what the lake must hold of them."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from kentik_dagster.lake.tables import Lake

DAY = date(2026, 11, 23)
ACCOUNT, REGION = "111122223333", "us-east-1"
_FIRST = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
_VPC = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status"
)
_TRANSIT_GATEWAY = "version resource-type account-id tgw-id srcaddr dstaddr srcport dstport bytes start end log-status"


@dataclass(frozen=True, slots=True)
class LogObject:
    """An object as AWS would write it.

    Attributes:
        records: the source port of each of its records; they make every row one of a kind.
    """

    key: str
    content: bytes
    table: str
    records: tuple[int, ...]


def log_objects(count: int) -> Iterator[LogObject]:
    """That many objects of three hours: VPC, transit gateway and Network Firewall in turn, one to four records each."""
    for number in range(count):
        time = _FIRST + timedelta(minutes=5 * (number % 36))
        records = tuple(range(1_000 + 4 * number, 1_001 + 4 * number + number % 4))
        match number % 3:
            case 0:
                yield LogObject(_flow_log_key(time, number), _text(_VPC, map(_vpc, records)), "flow_logs", records)
            case 1:
                text = _text(_TRANSIT_GATEWAY, map(_transit_gateway, records))
                yield LogObject(_flow_log_key(time, number), text, "flow_logs", records)
            case _:
                yield LogObject(
                    _firewall_key(time, number), _text(None, map(_netflow, records)), "firewall_logs", records
                )


def records_in(lake: Lake, table: str) -> Counter[int]:
    """How often each record is in a table, by its source port."""
    column = "srcport" if table == "flow_logs" else "src_port"
    return Counter(lake[table].scan().select(column).collect().to_series().to_list())


def _flow_log_key(time: datetime, number: int) -> str:
    return (
        f"AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/{time:%Y/%m/%d}/"
        f"{ACCOUNT}_vpcflowlogs_{REGION}_fl-0123456789abcdef0_{time:%Y%m%dT%H%M}Z_{number:08x}.log.gz"
    )


def _firewall_key(time: datetime, number: int) -> str:
    return (
        f"AWSLogs/{ACCOUNT}/network-firewall/flow/{REGION}/edge-fw/{time:%Y/%m/%d/%H}/"
        f"{ACCOUNT}_network-firewall_flow_{REGION}_edge-fw_{time:%Y%m%d%H%M}_{number:08x}.log.gz"
    )


def _text(header: str | None, lines: Iterator[str]) -> bytes:
    return gzip.compress("".join(f"{line}\n" for line in ([header] if header else []) + list(lines)).encode())


def _vpc(port: int) -> str:
    return f"2 {ACCOUNT} eni-0a1 192.0.2.1 198.51.100.2 {port} 443 6 10 5000 1795424400 1795424460 ACCEPT OK"


def _transit_gateway(port: int) -> str:
    return f"6 TransitGateway {ACCOUNT} tgw-0a1 192.0.2.1 198.51.100.2 {port} 443 5000 1795424400 1795424460 OK"


def _netflow(port: int) -> str:
    event = {
        "timestamp": "2026-11-23T09:01:00.000000+0000", "event_type": "netflow", "flow_id": port,
        "src_ip": "192.0.2.1", "src_port": port, "dest_ip": "198.51.100.2", "dest_port": 443, "proto": "TCP",
        "netflow": {"pkts": 10, "bytes": 5000},
    }  # fmt: skip
    record = {"firewall_name": "edge-fw", "availability_zone": "us-east-1a", "event_timestamp": "1795424460"}
    return json.dumps(record | {"event": event})
