"""Made-up identifiers and addresses look like AWS's."""

from __future__ import annotations

import polars as pl

from kentik_dagster.demo.randomness import dotted, random_ids


def test_identifiers_have_a_prefix_and_seventeen_hexadecimal_digits() -> None:
    identifiers = random_ids("eni", 1_000, seed=7)

    assert identifiers.str.contains("^eni-[0-9a-f]{17}$").all()
    assert identifiers.n_unique() == 1_000


def test_whole_numbers_become_addresses() -> None:
    assert dotted(pl.Series([0, 167772161, 4294967295])).to_list() == [
        "0.0.0.0",
        "10.0.0.1",
        "255.255.255.255",
    ]
