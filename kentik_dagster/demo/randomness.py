"""Made-up values that are the same on every machine and with every release of Polars.

A value follows from a seed, a purpose and a counter, by the splitmix64 mixing function, so any row can be
made without making the rows before it. Polars' own `hash` is only promised to be stable within one release.
"""

from __future__ import annotations

import hashlib

import polars as pl

_WORD = pl.UInt64
_HEX = pl.Series([f"{number:04x}" for number in range(65_536)])
_OCTETS = pl.Series([str(number) for number in range(256)])


def salt(seed: int, *purpose: object) -> int:
    """A 64-bit number for a seed and a purpose; equal arguments give equal numbers in every process."""
    text = "\x1f".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def counter(rows: int) -> pl.Series:
    """0, 1, 2 … `rows` - 1, ready to be mixed."""
    return pl.int_range(rows, dtype=_WORD, eager=True)


def random_bits(counter: pl.Series, seed: int, *purpose: object) -> pl.Series:
    """64 random bits (UInt64) for each number of `counter`, independent for each purpose."""
    word = counter.cast(_WORD) * _constant(0x9E3779B97F4A7C15) + _constant(salt(seed, *purpose))
    word = (word ^ (word // (1 << 30))) * _constant(0xBF58476D1CE4E5B9)
    word = (word ^ (word // (1 << 27))) * _constant(0x94D049BB133111EB)
    return word ^ (word // (1 << 31))


def random_below(limit: int | pl.Series, counter: pl.Series, seed: int, *purpose: object) -> pl.Series:
    """A random number from 0 to `limit` - 1 (Int64) for each number of `counter`."""
    bound = limit.cast(_WORD) if isinstance(limit, pl.Series) else _constant(limit)
    return (random_bits(counter, seed, *purpose) % bound).cast(pl.Int64)


def random_ids(prefix: str, rows: int, seed: int) -> pl.Series:
    """`rows` identifiers as AWS writes them: `prefix` and 17 hexadecimal digits."""
    bits = random_bits(counter(rows), seed, prefix)
    last_digit = random_below(16, counter(rows), seed, prefix, "last digit")
    parts = [_HEX.gather((bits // (1 << shift)) % 65_536) for shift in (0, 16, 32, 48)]
    frame = pl.DataFrame([part.alias(str(place)) for place, part in enumerate([*parts, _HEX.gather(last_digit)])])
    return frame.select(id=pl.concat_str(pl.lit(prefix + "-"), "0", "1", "2", "3", pl.col("4").str.tail(1))).to_series()


def dotted(addresses: pl.Series) -> pl.Series:
    """The text of IPv4 addresses given as whole numbers: 167772161 is `10.0.0.1`."""
    frame = pl.DataFrame(
        [_OCTETS.gather((addresses // (1 << shift)) % 256).alias(str(shift)) for shift in (24, 16, 8, 0)]
    )
    return frame.select(address=pl.concat_str(pl.all(), separator=".")).to_series()


def _constant(number: int) -> pl.Series:
    return pl.Series([number], dtype=_WORD)
