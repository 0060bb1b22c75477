"""Made-up identifiers and addresses that are the same on every machine."""

from __future__ import annotations

import polars as pl

from kentik_dagster.core.randomness import counter, random_below, random_bits

_HEX = pl.Series([f"{number:04x}" for number in range(65_536)])
_OCTETS = pl.Series([str(number) for number in range(256)])


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
