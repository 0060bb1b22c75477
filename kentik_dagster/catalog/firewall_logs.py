"""Network Firewall events: where each column of `firewall_logs` stands in the record that AWS writes.

Sources: "Contents of a AWS Network Firewall log" and "Logging for TLS inspection" of the Network Firewall Developer
Guide. Suricata writes flow and alert events; tls events come from another engine, and differ in the types of values.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from kentik_dagster.catalog.flow_logs import INSTANT

TEXT, INT32, INT64, BOOL = pa.string(), pa.int32(), pa.int64(), pa.bool_()


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallField:
    """One value of a record.

    Attributes:
        column: name of its column.
        paths: where the value stands; the first that is there counts. `event.netflow.pkts` is the member `pkts` of
            the member `netflow` of the member `event`.
        type: of the column.
        meaning: of the value.
        unit: of the value.
        largest: the largest value that a number may have; None: what its type holds. Less than 0 is never right.
    """

    column: str
    paths: tuple[str, ...]
    type: pa.DataType
    meaning: str
    unit: str | None = None
    largest: int | None = None


def _field(
    column: str, paths: str, type_: pa.DataType, meaning: str, unit: str | None = None, largest: int | None = None
) -> FirewallField:
    return FirewallField(
        column=column, paths=tuple(paths.split()), type=type_, meaning=meaning, unit=unit, largest=largest
    )


# fmt: off
FIREWALL_FIELDS = (
    _field("firewall_name",      "firewall_name",                  TEXT,    "firewall that wrote the record"),
    _field("availability_zone",  "availability_zone",              TEXT,    "zone of the firewall endpoint, by its name in that account (us-east-1a)"),
    _field("event_timestamp",    "event_timestamp",                INSTANT, "when the record was written"),
    _field("timestamp",          "event.timestamp",                INSTANT, "when the event happened"),
    _field("event_type",         "event.event_type",               TEXT,    "alert or netflow; null in tls logs"),
    _field("flow_id",            "event.flow_id",                  INT64,   "Suricata's number of the connection, the same in its alert and netflow events"),
    _field("src_ip",             "event.src_ip",                   TEXT,    "source address"),
    _field("src_port",           "event.src_port",                 INT32,   "source port", largest=65_535),
    _field("dest_ip",            "event.dest_ip",                  TEXT,    "destination address"),
    _field("dest_port",          "event.dest_port",                INT32,   "destination port", largest=65_535),
    _field("proto",              "event.proto",                    TEXT,    "name of the IP protocol, as AWS wrote it"),
    _field("app_proto",          "event.app_proto",                TEXT,    "application protocol that Suricata saw: tls, http, dns, unknown, ..."),
    _field("direction",          "event.direction",                TEXT,    "to_server or to_client; alerts only"),
    _field("icmp_type",          "event.icmp_type",                INT32,   "ICMP type", largest=255),
    _field("icmp_code",          "event.icmp_code",                INT32,   "ICMP code", largest=255),
    _field("tx_id",              "event.tx_id",                    INT64,   "number of the transaction inside the connection"),
    _field("pkt_src",            "event.pkt_src",                  TEXT,    "where Suricata got the packet from"),
    _field("tls_inspected",      "event.tls_inspected",            BOOL,    "TLS inspection was applied; AWS writes it only where it is true"),
    _field("alert_action",       "event.alert.action",             TEXT,    "what the rule says: allowed or blocked"),
    _field("alert_signature_id", "event.alert.signature_id",       INT64,   "id of the rule (sid); small numbers are default actions"),
    _field("alert_rev",          "event.alert.rev",                INT32,   "revision of the rule"),
    _field("alert_gid",          "event.alert.gid",                INT32,   "number of the rule's group"),
    _field("alert_signature",    "event.alert.signature",          TEXT,    "message of the rule"),
    _field("alert_category",     "event.alert.category",           TEXT,    "class of the rule"),
    _field("alert_severity",     "event.alert.severity",           INT32,   "severity, 1 is the highest"),
    _field("verdict_action",     "event.verdict.action",           TEXT,    "what became of the packet: drop, pass, alert or reject"),
    _field("netflow_pkts",       "event.netflow.pkts",             INT64,   "packets of the flow, one direction"),
    _field("netflow_bytes",      "event.netflow.bytes",            INT64,   "bytes of the flow, one direction", unit="B"),
    _field("netflow_start",      "event.netflow.start",            INSTANT, "first packet of the flow"),
    _field("netflow_end",        "event.netflow.end",              INSTANT, "last packet of the flow"),
    _field("netflow_age",        "event.netflow.age",              INT64,   "time from the first packet to the last", unit="s"),
    _field("netflow_min_ttl",    "event.netflow.min_ttl",          INT32,   "lowest time to live", largest=255),
    _field("netflow_max_ttl",    "event.netflow.max_ttl",          INT32,   "highest time to live", largest=255),
    _field("netflow_tx_cnt",     "event.netflow.tx_cnt",           INT64,   "transactions of the flow"),
    _field("tcp_flags",          "event.tcp.tcp_flags",            INT32,   "OR of the TCP flags", largest=65_535),
    _field("sni",                "event.sni event.tls.sni",        TEXT,    "server name that the client asked for; null: none"),
    _field("revocation_status",  "event.revocation_check.status",  TEXT,    "what is known of the server's certificate: REVOKED or UNKNOWN"),
    _field("revocation_action",  "event.revocation_check.action",  TEXT,    "what the firewall did about that certificate"),
    _field("aws_category",       "aws_category event.aws_category", TEXT,   "categories of the URL or domain that matched, a JSON array as text"),
)

# Members of `event` that are kept as JSON text too: their members differ from event to event, can be empty objects,
# and can stand twice, which no column type holds.
BLOCKS = (
    ("alert",            "the alert, as JSON text"),
    ("netflow",          "the flow's counters, as JSON text"),
    ("tcp",              "TCP flags and states, as JSON text"),
    ("tls",              "the TLS handshake: version, subject, fingerprint, ..., as JSON text"),
    ("http",             "the HTTP request: host name, URL, method, ..., as JSON text"),
    ("dns",              "the DNS query and answer, as JSON text"),
    ("tls_error",        "what TLS inspection could not do, as JSON text"),
    ("revocation_check", "the check of the server's certificate, as JSON text"),
    ("aws_metadata",     "rule group or policy that raised the alert, as JSON text"),
)

# IANA's numbers of the protocols that Suricata names, in capital letters.
# https://www.iana.org/assignments/protocol-numbers
PROTOCOL_NUMBERS = {
    "ICMP": 1, "IGMP": 2, "IPV4": 4, "IPIP": 4, "TCP": 6, "UDP": 17, "IPV6": 41, "GRE": 47, "ESP": 50, "AH": 51,
    "IPV6-ICMP": 58, "SCTP": 132,
}
# fmt: on

HEXADECIMAL = frozenset({"tcp_flags"})  # "1b" is 27
ABSENT_AS_HYPHEN = frozenset({"sni"})  # "-": the client sent none
