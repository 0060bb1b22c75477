"""Flow records of one hour, enriched: those that are lacking, or all of them anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from kentik_dagster.core.enrichment import enriched_flows, unresolved_share
from kentik_dagster.lake.staging import Staging
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import append_staged, replace_partition


@dataclass(frozen=True, slots=True, kw_only=True)
class Enriched:
    """What was enriched in one hour of an export.

    Attributes:
        rows: rows that the partition holds.
        resolutions: one row per resolution: `resolution`, `ends`; of the rows that were enriched now.
    """

    rows: int
    resolutions: pl.DataFrame


def enrich_hour(lake: Lake, export: str, hour: str, book: pl.DataFrame, *, rebuild: bool) -> Enriched:
    """Bring `enriched_flows` of one hour up to `flow_logs`.

    Args:
        book: rows of `address_book`.
        rebuild: resolve all rows anew, with the address book of now; else only rows of objects that are
            not enriched yet.
    """
    partition = {"export": export, "hour": hour}
    resolutions: list[pl.DataFrame] = []

    def enriched(flows: pl.DataFrame) -> pl.DataFrame:
        rows = enriched_flows(flows, book)
        resolutions.append(unresolved_share(rows))
        return rows

    if rebuild:

        def frames() -> Iterator[pl.DataFrame]:
            resolutions.clear()
            yield from (enriched(flows) for flows in _files(lake, partition))

        replace_partition(lake["enriched_flows"], partition, frames)
    else:
        done = lake["enriched_flows"].open().object_counts(partition)
        # One commit for all files: the rows of a large object lie in several, and are there completely or not at all.
        staging = Staging(lake["enriched_flows"], partition)
        for flows in _files(lake, partition):
            lacking = flows.filter(~pl.col("source_object").is_in(list(done)))
            if lacking.height:
                staging.add(enriched(lacking))
        append_staged(staging)
    rows = int(lake["enriched_flows"].open().files_of(partition)["num_records"].sum())
    return Enriched(rows=rows, resolutions=_summed(resolutions))


def _files(lake: Lake, partition: Mapping[str, str]) -> Iterator[pl.DataFrame]:
    """The hour's flow records, one file at a time: memory holds a file, not an hour."""
    snapshot = lake["flow_logs"].open()
    for path in snapshot.files_of(partition)["path"]:
        yield snapshot.read_file(str(path))


def _summed(resolutions: list[pl.DataFrame]) -> pl.DataFrame:
    if not resolutions:
        return pl.DataFrame(schema={"resolution": pl.String, "ends": pl.UInt32, "share": pl.Float64})
    counts = pl.concat(resolutions).group_by("resolution").agg(pl.col("ends").sum())
    return counts.with_columns(share=pl.col("ends") / pl.col("ends").sum()).sort("ends", descending=True)
