"""Random numbers that are the same on every machine, in every process and with every release of Polars.

A number follows from a seed, a purpose and a counter, by the splitmix64 mixing function, so any row can be
made without making the rows before it. Polars' own `hash` is only promised to be stable within one release.
"""

from __future__ import annotations

import hashlib

import polars as pl

_WORD = pl.UInt64


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


def _constant(number: int) -> pl.Series:
    return pl.Series([number], dtype=_WORD)
