"""What kinds of conversation there are, and at which interfaces AWS records them.

A conversation has two ends, the client that opens it and the server that answers, and sometimes a NAT gateway
between them. It is recorded once for each direction at each interface that sees it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Ends = Literal[
    "same_vpc",
    "twin_vpc",
    "peering",
    "through_nat",
    "to_internet",
    "from_internet",
    "to_nobody",
    "from_nobody",
    "none",
]


class Party(StrEnum):
    """Who takes part in a conversation."""

    CLIENT = "client"
    SERVER = "server"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class View:
    """One record of one direction of a conversation, as one interface sees it.

    Attributes:
        direction: the client's packets (`request`) or the server's (`response`).
        observer: whose interface records it.
        src: whose address is in `srcaddr`; `dst`, `pkt_src` and `pkt_dst` likewise.
        path: `traffic_path`, for egress only.
        is_first: this is the record that counts when traffic is counted once: the one where the packet's
            source sends it, or, if that is not an interface of the organization, where its destination
            receives it. What comes from an address of the VPC was recorded where it was sent, by whomever.
    """

    direction: Literal["request", "response"]
    observer: Party
    src: Party
    dst: Party
    pkt_src: Party
    pkt_dst: Party
    flow_direction: Literal["ingress", "egress"]
    path: int | None = None
    is_first: bool = False


@dataclass(frozen=True, slots=True)
class Pattern:
    """A kind of conversation.

    Attributes:
        share: records of this kind among a thousand.
        ends: how client and server are chosen.
        views: the records that AWS writes of it.
        action: of all its records.
        log_status: where it is not `OK`, only the observer is known.
    """

    name: str
    share: int
    ends: Ends
    views: tuple[View, ...]
    action: Literal["ACCEPT", "REJECT"] = "ACCEPT"
    log_status: Literal["OK", "NODATA", "SKIPDATA"] = "OK"


_C, _S, _G = Party.CLIENT, Party.SERVER, Party.GATEWAY


def _at_both_interfaces(path: int) -> tuple[View, ...]:
    return (
        View("request", _C, _C, _S, _C, _S, "egress", path, is_first=True),
        View("request", _S, _C, _S, _C, _S, "ingress"),
        View("response", _S, _S, _C, _S, _C, "egress", path, is_first=True),
        View("response", _C, _S, _C, _S, _C, "ingress"),
    )


# Paths: 1 in the same VPC, 4 by peering inside the region, 8 through the internet gateway (Nitro).
# https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html
# fmt: off
_SENT_BY_CLIENT     = View("request",  _C, _C, _S, _C, _S, "egress", 8, is_first=True)
_ANSWER_AT_CLIENT   = View("response", _C, _S, _C, _S, _C, "ingress",   is_first=True)
_RECEIVED_BY_SERVER = View("request",  _S, _C, _S, _C, _S, "ingress",   is_first=True)
_ANSWER_AT_SERVER   = View("response", _S, _S, _C, _S, _C, "egress", 8, is_first=True)
_RECEIVED_FROM_NOBODY = View("request", _S, _C, _S, _C, _S, "ingress")
_SENT_TO_NOBODY     = View("request",  _C, _C, _S, _C, _S, "egress", 1, is_first=True)
_NO_TRAFFIC         = (View("request", _C, _C, _C, _C, _C, "egress"),)

# At the NAT gateway's interface, towards the instance the packet keeps its far end and `dstaddr` or `srcaddr`
# is the gateway; towards the internet the gateway is the end of the packet too.
# https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-records-examples.html#flow-log-example-nat
_THROUGH_NAT = (
    View("request",  _C, _C, _S, _C, _S, "egress", 1, is_first=True),
    View("request",  _G, _C, _G, _C, _S, "ingress"),
    View("request",  _G, _G, _S, _G, _S, "egress", 8),
    View("response", _G, _S, _G, _S, _G, "ingress"),
    View("response", _G, _G, _C, _S, _C, "egress", 1),
    View("response", _C, _S, _C, _S, _C, "ingress", is_first=True),
)

_BOTH_WAYS_FROM_CLIENT = (_SENT_BY_CLIENT, _ANSWER_AT_CLIENT)
_BOTH_WAYS_AT_SERVER   = (_RECEIVED_BY_SERVER, _ANSWER_AT_SERVER)

PATTERNS = (
    Pattern("inside a VPC",                    330, "same_vpc",      _at_both_interfaces(path=1)),
    Pattern("inside one of the twin VPCs",     80,  "twin_vpc",      _at_both_interfaces(path=1)),
    Pattern("over a peering",                  120, "peering",       _at_both_interfaces(path=4)),
    Pattern("through a NAT gateway",           180, "through_nat",   _THROUGH_NAT),
    Pattern("opened towards the internet",     80,  "to_internet",   _BOTH_WAYS_FROM_CLIENT),
    Pattern("opened from the internet",        100, "from_internet", _BOTH_WAYS_AT_SERVER),
    Pattern("to an address that nobody has",   15,  "to_nobody",     (_SENT_TO_NOBODY,)),
    Pattern("from an address that nobody has", 10,  "from_nobody",   (_RECEIVED_FROM_NOBODY,), action="REJECT"),
    Pattern("no data",                         12,  "none",          _NO_TRAFFIC, log_status="NODATA"),
    Pattern("skipped data",                    3,   "none",          _NO_TRAFFIC, log_status="SKIPDATA"),
    # The last one also takes the records that the others leave over.
    Pattern("internet scan",                   70,  "from_internet", (_RECEIVED_BY_SERVER,), action="REJECT"),
)
# fmt: on


def conversations_of(records: int) -> list[int]:
    """How many conversations of each pattern make exactly so many records."""
    counts = [records * pattern.share // (1000 * len(pattern.views)) for pattern in PATTERNS[:-1]]
    used = sum(count * len(pattern.views) for count, pattern in zip(counts, PATTERNS, strict=False))
    return [*counts, records - used]
