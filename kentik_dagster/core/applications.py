"""Which application a flow belongs to: the service that its ports are registered for, or its protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl

from kentik_dagster.catalog.applications import APPLICATIONS, PROTOCOL_NAMES, TRANSPORTS
from kentik_dagster.core.distinct import Numbers, coded
from kentik_dagster.core.schemas import require

_PORTS, _PROTOCOLS = 65_536, 256
# Ports 0-1023: only the system's own services may listen there (RFC 6335 §6).
_SYSTEM_PORTS = 1_024
# A lower rank serves. System ports share one; a port that only IANA names comes after all that the user names.
_REGISTERED, _NAMELESS = _PORTS, 2 * _PORTS
# Of two of one rank the one that this is added to does not serve; an entry's number is below it.
_SECOND = 1 << 32
_ENTRY = _SECOND - 1


def application(records: pl.DataFrame, overrides: Mapping[tuple[int, int], str]) -> pl.Series:
    """The application of each flow.

    It is what the serving port is registered for. If both ports are registered, a port of `overrides` serves before
    another, then a system port (below 1024) before a higher one, then the lower of two higher ones: a client's port
    may be registered by chance. Of two system ports the destination's serves. Both directions of a conversation
    thus have one application, except between two system ports.

    Args:
        records: one row per flow: `protocol`, `srcport`, `dstport` (integers; null where not recorded).
        overrides: names by (protocol, port), before those of IANA.

    Returns:
        `application` (categories), one per row in the same order: the service name, else the protocol's keyword if the
        protocol has no ports of its own, such as `icmp`. Null: neither port is registered, or the protocol is
        unknown.

    Raises:
        MissingColumnsError: `records` lacks one of these columns.
    """
    require(records, "protocol", "srcport", "dstport", by="application")
    table = _table(frozenset(overrides.items()))
    protocol = _within(records["protocol"], _PROTOCOLS)
    first, last = table.first[protocol], table.last[protocol]
    src, dst = (
        table.preferences[first + np.minimum(_within(records[port], _PORTS), last)] for port in ("srcport", "dstport")
    )
    serving = np.minimum(src + _SECOND, dst) & _ENTRY
    return table.names.gather(pl.Series(serving)).alias("application")


def _within(numbers: pl.Series, limit: int) -> Numbers:
    """Numbers below a limit; the limit itself for what is not recorded, or no header field can hold."""
    recorded = numbers.cast(pl.Int32, strict=False).fill_null(-1).to_numpy()
    unsigned: Numbers = recorded.view(np.uint32).astype(np.int64)  # so that what is negative is largest
    return np.minimum(unsigned, limit)


@dataclass(frozen=True, slots=True)
class _Table:
    """For each protocol with ports an entry for every port and one for none, then one for each other protocol.

    Attributes:
        names: the application of each entry; null: none.
        preferences: the lower serves: the rank of each entry, then _SECOND, then the entry itself.
        first, last: of each protocol, and of none: its first entry, and how many more it has.
    """

    names: pl.Series
    preferences: Numbers
    first: Numbers
    last: Numbers


@lru_cache(maxsize=4)
def _table(overrides: frozenset[tuple[tuple[int, int], str]]) -> _Table:
    with_ports = {*TRANSPORTS.values(), *(protocol for (protocol, _), _ in overrides)}
    last = np.array([_PORTS if protocol in with_ports else 0 for protocol in range(_PROTOCOLS + 1)])
    first = np.cumsum(last + 1) - last - 1
    names = [PROTOCOL_NAMES.get(protocol) for protocol in range(_PROTOCOLS + 1) for _ in range(last[protocol] + 1)]
    ranks = np.full(len(names), _NAMELESS)
    for protocol, port, name in APPLICATIONS:
        names[first[protocol] + port] = name
        ranks[first[protocol] + port] = _REGISTERED + _rank(port)
    for (protocol, port), name in overrides:
        names[first[protocol] + port] = name
        ranks[first[protocol] + port] = _rank(port)
    return _Table(
        names=coded(pl.Series(names, dtype=pl.String)),
        preferences=ranks * 2 * _SECOND + np.arange(len(names)),
        first=first,
        last=last,
    )


def _rank(port: int) -> int:
    return max(port, _SYSTEM_PORTS - 1)
