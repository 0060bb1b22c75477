"""Sampling keeps few records, always the same ones, and their rate scales totals back."""

from __future__ import annotations

from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.core.sampling import LEGACY_RECORDS, Rate, Sampler


def records(count: int, status: str = "OK") -> pl.DataFrame:
    """Flow records of 1,000 bytes each, numbered by their source port."""
    return pl.DataFrame({"srcport": range(count), "bytes": [1_000] * count, "log_status": [status] * count})


def sampled(rate: Rate, *parts: pl.DataFrame, source_object: str = "20261123T0100Z_abc") -> tuple[pl.DataFrame, int]:
    """What a sampler keeps of an object, and how many records it left out."""
    sampler = Sampler(rate, source_object)
    kept = [*(sampler.take(part) for part in parts), sampler.rest()]
    return pl.concat(kept, how="diagonal"), sampler.left_out


def scaled_bytes(rows: pl.DataFrame) -> float:
    return float(rows.select(pl.col("bytes") * pl.col("sample_rate")).sum().item())


def test_an_unsampled_object_keeps_every_record_at_rate_one() -> None:
    rows, left_out = sampled(1, records(3))

    assert rows["srcport"].to_list() == [0, 1, 2]
    assert rows["sample_rate"].to_list() == [1.0, 1.0, 1.0]
    assert left_out == 0


def test_one_of_a_hundred_scales_back_to_the_total() -> None:
    rows, left_out = sampled(100, records(200_000))

    assert rows.height + left_out == 200_000
    assert rows["sample_rate"].unique().to_list() == [100.0]
    # 2,000 are expected with a standard deviation of 45.
    assert scaled_bytes(rows) == pytest.approx(200_000_000, rel=0.12)


def test_legacy_sampling_keeps_ten_thousand_and_scales_back_exactly() -> None:
    rows, left_out = sampled("legacy", records(25_000))

    assert rows.height == LEGACY_RECORDS
    assert left_out == 15_000
    assert rows["sample_rate"].unique().to_list() == [2.5]
    assert scaled_bytes(rows) == 25_000_000
    # Not the first ten thousand: half of them stand in the second half, with a standard deviation of 39.
    assert rows.filter(pl.col("srcport") >= 12_500).height == pytest.approx(5_000, abs=250)


def test_legacy_sampling_keeps_a_small_object_whole() -> None:
    rows, left_out = sampled("legacy", records(10))

    assert rows["srcport"].to_list() == list(range(10))
    assert rows["sample_rate"].unique().to_list() == [1.0]
    assert left_out == 0


@pytest.mark.parametrize("rate", [1, 1_000, "legacy"])
def test_coverage_rows_are_all_kept_and_stand_for_themselves(rate: Rate) -> None:
    rows, left_out = sampled(rate, records(30, "NODATA"), records(20, "SKIPDATA"))

    assert rows.height == 50
    assert rows["sample_rate"].unique().to_list() == [1.0]
    assert left_out == 0


def test_records_without_a_status_are_flows() -> None:
    rows, left_out = sampled(10, records(1_000).drop("log_status"))

    assert rows.height + left_out == 1_000
    assert left_out > 0


def test_other_objects_keep_other_records() -> None:
    one, _ = sampled(10, records(1_000), source_object="20261123T0100Z_abc")
    other, _ = sampled(10, records(1_000), source_object="20261123T0100Z_def")

    assert not one["srcport"].equals(other["srcport"])


@settings(deadline=None, max_examples=40)
@given(rate=st.sampled_from([1, 2, 7, "legacy"]), cuts=st.lists(st.integers(0, 12_000), max_size=3))
def test_the_same_records_are_kept_however_the_object_is_cut(rate: Rate, cuts: list[int]) -> None:
    whole = records(12_000)
    edges = [0, *sorted(cuts), 12_000]

    in_parts, left_out = sampled(rate, *(whole.slice(start, end - start) for start, end in pairwise(edges)))

    at_once, left_out_at_once = sampled(rate, whole)
    assert in_parts.equals(at_once)
    assert left_out == left_out_at_once
