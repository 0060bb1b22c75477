"""Sampling of flow records: fewer rows, each saying how many records it stands for.

Which records are kept follows from the object's name and the record's place in it, so reading an object again
keeps the same ones. NODATA and SKIPDATA rows say what was watched; they are all kept, and stand for themselves.
"""

from __future__ import annotations

from typing import Literal

import polars as pl

from kentik_dagster.core.randomness import counter, random_bits

LEGACY_RECORDS = 10_000
Rate = int | Literal["legacy"]
_ROW_KEY = "_sampling_key"
_ROW_INDEX = "_sampling_index"


class Sampler:
    """Takes the records of one object part by part, and gives those that are kept.

    Args:
        rate: one of how many records is kept; 1: all of them; "legacy": LEGACY_RECORDS of each object at most.
        source_object: name of the object.
    """

    def __init__(self, rate: Rate, source_object: str) -> None:
        self._rate = rate
        self._source_object = source_object
        self._seen = 0
        self._flows = 0
        self._kept_back = pl.DataFrame()
        self.left_out = 0

    @property
    def sample_rate(self) -> float:
        """What each kept flow stands for; with "legacy" it is known once all parts have been taken."""
        if self._rate != "legacy":
            return float(self._rate)
        return self._flows / max(1, self._kept_back.height)

    def take(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows of this part that are kept for certain, in their order, with `sample_rate` (float64)."""
        if self._rate == 1 or rows.is_empty():
            return rows.with_columns(sample_rate=pl.lit(1.0))
        numbers = counter(rows.height) + self._seen
        self._seen += rows.height
        marked = rows.with_columns(
            random_bits(numbers, 0, "sampling", self._source_object).alias(_ROW_KEY), numbers.alias(_ROW_INDEX)
        )
        is_flow = pl.col("log_status").fill_null("OK") == "OK" if "log_status" in rows.columns else pl.lit(True)
        flows = marked.filter(is_flow)
        self._flows += flows.height
        coverage = marked.filter(~is_flow).with_columns(sample_rate=pl.lit(1.0))
        if self._rate == "legacy":
            self._kept_back = pl.concat([self._kept_back, flows], how="diagonal").bottom_k(LEGACY_RECORDS, by=_ROW_KEY)
            kept = coverage
        else:
            chosen = flows.filter(pl.col(_ROW_KEY) % self._rate == 0).with_columns(sample_rate=pl.lit(self.sample_rate))
            self.left_out += flows.height - chosen.height
            kept = pl.concat([coverage, chosen], how="diagonal").sort(_ROW_INDEX)
        return kept.drop(_ROW_KEY, _ROW_INDEX)

    def rest(self) -> pl.DataFrame:
        """The rows that are kept once all parts have been taken, in their order; none unless the rate is "legacy"."""
        if self._kept_back.is_empty():
            return pl.DataFrame()
        self.left_out = self._flows - self._kept_back.height
        kept = self._kept_back.sort(_ROW_INDEX).drop(_ROW_KEY, _ROW_INDEX)
        return kept.with_columns(sample_rate=pl.lit(self.sample_rate))
