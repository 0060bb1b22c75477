"""IP addresses as numbers, so that ranges are compared instead of texts."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable
from typing import Any

import polars as pl

from kentik_dagster.catalog.addresses import NOT_INTERNET

# IPv4 addresses stand among the IPv6 ones as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2), so that one number serves both.
_MAPPED = 0xFFFF << 32
FIRST_IPV4, LAST_IPV4 = _MAPPED, _MAPPED + 0xFFFF_FFFF


def address_numbers(addresses: pl.Series) -> pl.DataFrame:
    """The distinct addresses of a column as numbers.

    Returns:
        One row per distinct text, in no order: `address`, `number` (uint128; null: the text is no IP address),
        `is_internet` (false for private, link-local, multicast and other ranges that are nobody's; null with
        the number).
    """
    return numbers_of(addresses.drop_nulls().unique())


def numbers_of(addresses: pl.Series) -> pl.DataFrame:
    """`address_numbers` of distinct addresses, in their order."""
    distinct = addresses.alias("address")
    octets = pl.DataFrame(distinct.str.split_exact(".", 3)).unnest("address")
    octets = octets.select(pl.all().cast(pl.UInt8, strict=False).cast(pl.UInt32))
    value = sum((pl.col(name) * 256 ** (3 - place) for place, name in enumerate(octets.columns)), pl.lit(0, pl.UInt32))
    # As long as their digits and dots: nothing else is in them, and no leading zeros, which some read as octal.
    length = pl.sum_horizontal(1 + (pl.all() > 9) + (pl.all() > 99), ignore_nulls=False) + 3
    is_ipv4 = octets.select(length).to_series() == distinct.str.len_bytes()
    number = octets.select(value.cast(pl.UInt128) + pl.lit(_MAPPED, pl.UInt128)).to_series()
    frame = pl.DataFrame(distinct).with_columns(number=pl.when(is_ipv4).then(number))
    ipv6 = pl.when(pl.col("address").str.contains(":", literal=True)).then("address")
    frame = frame.with_columns(
        number=pl.coalesce("number", ipv6.map_elements(_number(ipaddress.ip_address), return_dtype=pl.UInt128))
    )
    inside = [
        pl.col("number").is_between(pl.lit(first, pl.UInt128), pl.lit(last, pl.UInt128)) for first, last in _nowhere()
    ]
    return frame.with_columns(is_internet=~pl.any_horizontal(inside))


@functools.cache
def _nowhere() -> list[tuple[int, int]]:
    """First and last number of the ranges that are nobody's on the internet."""
    return ranges(pl.Series(NOT_INTERNET)).select("first", "last").rows()


def ranges(cidr_blocks: pl.Series) -> pl.DataFrame:
    """CIDR blocks as their first and last number.

    Returns:
        One row per distinct text that is a CIDR block: `cidr_block`, `first`, `last` (uint128).
    """
    distinct = pl.DataFrame(cidr_blocks.drop_nulls().unique().alias("cidr_block"))
    block = pl.col("cidr_block")
    return distinct.with_columns(
        first=block.map_elements(_number(_first), return_dtype=pl.UInt128),
        last=block.map_elements(_number(_last), return_dtype=pl.UInt128),
    ).filter(pl.col("first").is_not_null())


def _number(parse: Callable[[str], Any]) -> Callable[[str], int | None]:
    def number(text: str) -> int | None:
        try:
            address = parse(text)
        except ValueError:
            return None
        return int(address) + (_MAPPED if address.version == 4 else 0)

    return number


def _first(cidr_block: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_network(cidr_block, strict=False)[0]


def _last(cidr_block: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_network(cidr_block, strict=False)[-1]
