"""Random numbers do not depend on Polars, on the machine or on how many are made."""

from __future__ import annotations

from kentik_dagster.core.randomness import counter, random_below, random_bits, salt


def test_bits_are_those_of_splitmix64() -> None:
    word = salt(7, "port")
    mask = (1 << 64) - 1
    mixed = (0x9E3779B97F4A7C15 * 2 + word) & mask
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & mask
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & mask

    bits = random_bits(counter(3), 7, "port")

    assert bits[2] == mixed ^ (mixed >> 31)


def test_a_value_does_not_depend_on_how_many_are_made() -> None:
    few, many = random_below(100, counter(10), 7, "port"), random_below(100, counter(1_000), 7, "port")

    assert few.equals(many.head(10))
    assert many.min() == 0
    assert many.max() == 99
