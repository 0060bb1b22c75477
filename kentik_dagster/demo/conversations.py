"""Who talks to whom, when, and how much: what flow log records are then made of."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from kentik_dagster.core.randomness import counter, random_below
from kentik_dagster.demo.population import Population
from kentik_dagster.demo.traffic import PATTERNS, conversations_of

TCP, ICMP = 6, 1
_SCANNED_PORTS = pl.Series([22, 23, 445, 3389, 5900, 8080], dtype=pl.Int32)
_SIZES = pl.Series([1 << size for size in range(12)], dtype=pl.Int64)
# By turns: the middle of a connection, its beginning, its end, all of it in one record, a reset.
_REQUEST_FLAGS = pl.Series([0, 0, 0, 0, 0, 2, 2, 1, 1, 3, 3, 3, 4], dtype=pl.Int32)
_RESPONSE_FLAGS = pl.Series([0, 0, 0, 0, 0, 18, 18, 1, 1, 19, 19, 19, 0], dtype=pl.Int32)
_SYN = 2


def conversations(population: Population, *, start: datetime, end: datetime, records: int, seed: int) -> pl.DataFrame:
    """The conversations that make `records` flow log records.

    Returns:
        One row per conversation, in the order of `PATTERNS`: `conversation` (its number), `client`, `server`
        and `gateway` (rows of everybody; the gateway is null unless there is one), `start` and `end` (epoch
        seconds, `end` in [start, end) of the arguments), `protocol`, `client_port`, `server_port`, and for
        `request` and `response` each `_packets`, `_bytes` and `_flags`.
    """
    parties = _parties(population, records, seed)
    number = counter(parties.height)

    def below(limit: int | pl.Series, purpose: str) -> pl.Series:
        return random_below(limit, number, seed, purpose)

    services = population.everybody.select("service_port", "service_protocol")[parties["server"]]
    request_packets = 1 + below(_SIZES.gather(below(len(_SIZES), "size")), "request packets")
    stage = below(len(_REQUEST_FLAGS), "stage")
    ends_at = int(start.timestamp()) + below(int((end - start).total_seconds()), "end")
    is_ping = below(50, "ping") == 0
    return (
        parties.with_columns(
            number.cast(pl.Int64).alias("conversation"),
            start=ends_at - 1 - below(59, "duration"),
            end=ends_at,
            protocol=pl.when("is_rejected").then(TCP).when(is_ping).then(ICMP).otherwise(services["service_protocol"]),
            client_port=(32_768 + below(28_232, "client port")).cast(pl.Int32),
            server_port=pl.when("is_scan")
            .then(_SCANNED_PORTS.gather(below(len(_SCANNED_PORTS), "scanned port")))
            .otherwise(services["service_port"]),
            request_packets=pl.when("is_rejected").then(1).otherwise(request_packets),
            response_packets=1 + below(2 * request_packets, "response packets"),
            request_flags=pl.when("is_rejected").then(_SYN).otherwise(_REQUEST_FLAGS.gather(stage)),
            response_flags=_RESPONSE_FLAGS.gather(stage),
        )
        .with_columns(
            pl.when(pl.col("protocol") != ICMP).then(pl.col("client_port", "server_port")).otherwise(0),
            pl.when(pl.col("protocol") == TCP).then(pl.col("request_flags", "response_flags")).otherwise(0),
            request_bytes=pl.col("request_packets") * (40 + below(400, "request size")),
            response_bytes=pl.col("response_packets") * (40 + below(1_400, "response size")),
        )
        .with_columns(
            pl.col("protocol", "client_port", "server_port", "request_flags", "response_flags").cast(pl.Int32)
        )
    )


def _parties(population: Population, records: int, seed: int) -> pl.DataFrame:
    parties = []
    for pattern, count in zip(PATTERNS, conversations_of(records), strict=True):
        client, server = population.choose(pattern.ends, counter(count), seed, pattern.name)
        chosen = pl.DataFrame({"client": client, "server": server})
        has_gateway = pattern.ends == "through_nat"
        parties.append(
            chosen.with_columns(
                gateway=population.gateways(client) if has_gateway else pl.lit(None, dtype=pl.Int64),
                is_scan=pl.lit(pattern.name == "internet scan"),
                is_rejected=pl.lit(pattern.action == "REJECT"),
            )
        )
    return pl.concat(parties)
