"""Which application a flow belongs to: the service that its ports are registered for, or its protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from kentik_dagster.catalog.applications import APPLICATIONS, PROTOCOL_NAMES, TRANSPORTS
from kentik_dagster.core.distinct import coded
from kentik_dagster.core.schemas import require

_PORTS, _PROTOCOLS = 65_536, 256
# Ports 0-1023: only the system's own services may listen there (RFC 6335 §6).
_SYSTEM_PORTS = 1_024
# A lower rank serves. System ports share one; a port that only IANA names comes after all that the user names.
_REGISTERED, _NAMELESS = _PORTS, 2 * _PORTS


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
    protocol = records.select(pl.col("protocol").pipe(_within, _PROTOCOLS)).to_series()
    protocols = pl.DataFrame(
        {"first": table.first.gather(protocol), "own": table.own.gather(protocol)}, height=records.height
    )

    def entries(port: str) -> pl.Series:
        ports = records.select(pl.col(port).pipe(_within, _PORTS)).to_series()
        return protocols.select(pl.coalesce(pl.col("first") + ports, "own")).to_series()

    src, dst = entries("srcport"), entries("dstport")
    serving = src.zip_with(table.ranks.gather(src) < table.ranks.gather(dst), dst)
    return table.names.gather(serving).alias("application")


def _within(number: pl.Expr, limit: int) -> pl.Expr:
    """Numbers that no header field can hold count as not recorded."""
    return pl.when(number.is_between(0, limit - 1)).then(number).cast(pl.UInt32)


@dataclass(frozen=True, slots=True)
class _Table:
    """Every port of every protocol with ports, one block of 65,536 after the other, then the protocols themselves.

    Attributes:
        names: the application of each entry; null: none.
        ranks: the lower rank serves.
        first: the entry of port 0, by protocol; null: its ports name nothing.
        own: the protocol's own entry, by protocol.
    """

    names: pl.Series
    ranks: pl.Series
    first: pl.Series
    own: pl.Series


@lru_cache(maxsize=4)
def _table(overrides: frozenset[tuple[tuple[int, int], str]]) -> _Table:
    blocks = sorted({*TRANSPORTS.values(), *(protocol for (protocol, _), _ in overrides)})
    first = {protocol: block * _PORTS for block, protocol in enumerate(blocks)}
    keywords = [PROTOCOL_NAMES.get(protocol) for protocol in range(_PROTOCOLS)]
    names = [name for protocol in blocks for name in [keywords[protocol]] * _PORTS] + keywords
    ranks = [_NAMELESS] * len(names)
    for protocol, port, name in APPLICATIONS:
        names[first[protocol] + port] = name
        ranks[first[protocol] + port] = _REGISTERED + _rank(port)
    for (protocol, port), name in overrides:
        names[first[protocol] + port] = name
        ranks[first[protocol] + port] = _rank(port)
    return _Table(
        names=coded(pl.Series(names, dtype=pl.String)),
        ranks=pl.Series(ranks, dtype=pl.UInt32),
        first=pl.Series([first.get(protocol) for protocol in range(_PROTOCOLS)], dtype=pl.UInt32),
        own=pl.Series([len(blocks) * _PORTS + protocol for protocol in range(_PROTOCOLS)], dtype=pl.UInt32),
    )


def _rank(port: int) -> int:
    return max(port, _SYSTEM_PORTS - 1)
