"""Flow records of one hour, enriched: those that are lacking, or all of them anew."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from kentik_dagster.core.address_index import AddressIndex
from kentik_dagster.core.enrichment import Knowledge, clustered, enriched_flows
from kentik_dagster.core.firewall_flows import firewall_flows
from kentik_dagster.core.unresolved import ends_by_vpc, together
from kentik_dagster.lake.commits import Change, converge, partition_lock
from kentik_dagster.lake.snapshots import Snapshot
from kentik_dagster.lake.staging import Staging
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import append_staged, replace_partition
from kentik_dagster.work.enriching import BATCH_ROWS


@dataclass(frozen=True, slots=True, kw_only=True)
class Enriched:
    """What was enriched in one hour of an export.

    Attributes:
        rows: rows that the partition holds.
        ends: of the rows that were enriched now: rows of `core.unresolved.ends_by_vpc`.
    """

    rows: int
    ends: pl.DataFrame


def enrich_hour(lake: Lake, export: str, hour: str, known: Knowledge, *, rebuild: bool) -> Enriched:
    """Bring `enriched_flows` of one hour up to `flow_logs` and `firewall_logs`.

    Args:
        rebuild: resolve all rows anew, with what is known now; else only rows of objects that are not enriched yet.
    """
    partition = {"export": export, "hour": hour}
    counted: list[pl.DataFrame] = []
    sources = _Sources(lake, partition, known.index)

    def enriched(flows: pl.DataFrame) -> pl.DataFrame:
        rows = enriched_flows(clustered(flows), known)
        counted.append(ends_by_vpc(rows))
        return rows

    if rebuild:

        def frames() -> Iterator[pl.DataFrame]:
            counted.clear()
            yield from (enriched(flows) for flows in sources.flows())

        replace_partition(lake["enriched_flows"], partition, frames)
    else:
        # One commit for all files: the rows of a large object lie in several, and are there completely or not at all.
        staging = Staging(lake["enriched_flows"], partition)
        for flows in sources.lacking_flows():
            staging.add(enriched(flows))
        append_staged(staging)
    sources.remember(lake)
    return Enriched(rows=_rows(lake["enriched_flows"].open(), partition), ends=together(counted))


def enriched_rows(lake: Lake, export: str, hours: Collection[str]) -> dict[str, int]:
    """How many rows `enriched_flows` has of each of some hours."""
    derived = lake["enriched_flows"].open()
    return {hour: _rows(derived, {"export": export, "hour": hour}) for hour in hours}


def settled_hours(lake: Lake, export: str, hours: Collection[str]) -> dict[str, int]:
    """Those of some hours in which nothing lacks, as the tables' logs tell, and the rows that they have.

    Each flow record is enriched once, so equal numbers say that none lacks. Of hours with firewall logs, in which not
    every event is a flow, only `enrich_hour` knows.
    """
    flows, events = lake["flow_logs"].open(), lake["firewall_logs"].open()
    partitions = {hour: {"export": export, "hour": hour} for hour in hours}
    return {
        hour: rows
        for hour, rows in enriched_rows(lake, export, hours).items()
        if rows == _rows(flows, partitions[hour]) and not _rows(events, partitions[hour])
    }


def enriched_mark(export: str, hour: str) -> str:
    """The mark in `enriched_flows` that says of how many firewall events an hour was made.

    Not every event is a flow, so the numbers of rows do not tell whether all are enriched.
    """
    return f"enriched/firewall_logs/{export}/{hour}"


def _in_batches(files: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Small files together: each batch costs something of its own."""
    waiting: list[pl.DataFrame] = []
    for rows in files:
        if rows.height:
            waiting.append(rows)
        if sum(frame.height for frame in waiting) >= BATCH_ROWS:
            yield pl.concat(waiting, how="diagonal")
            waiting = []
    if waiting:
        yield pl.concat(waiting, how="diagonal")


def _rows(snapshot: Snapshot, partition: Mapping[str, str]) -> int:
    return int(snapshot.files_of(partition)["num_records"].sum())


class _Sources:
    """The records of an hour as they were when it was begun: memory holds a batch of them, not an hour."""

    def __init__(self, lake: Lake, partition: Mapping[str, str], index: AddressIndex) -> None:
        self._partition = partition
        self._index = index
        self._flows = lake["flow_logs"].open()
        self._events = lake["firewall_logs"].open()
        self._derived = lake["enriched_flows"].open()
        self._mark = enriched_mark(partition["export"], partition["hour"])
        self._looked_at = _rows(self._events, partition)

    def flows(self) -> Iterator[pl.DataFrame]:
        """Rows of `flow_logs`, and what firewalls logged of flows as such rows."""
        yield from _in_batches(self._files(self._flows))
        for events in _in_batches(self._files(self._events)):
            yield firewall_flows(events, self._index.firewalls)

    def lacking_flows(self) -> Iterator[pl.DataFrame]:
        """As `flows`, of the objects that have no enriched rows; little is read where nothing lacks."""
        held, done = self._flows.object_counts(self._partition), self._derived.object_counts(self._partition)
        lacking = held.keys() - done.keys()
        if lacking:
            yield from _in_batches(self._files(self._flows, pl.col("source_object").is_in(list(lacking))))
        if self._looked_at != (self._derived.handle.transaction_version(self._mark) or 0):
            others = ~pl.col("source_object").is_in(list(done))
            for events in _in_batches(self._files(self._events, others)):
                yield firewall_flows(events, self._index.firewalls)

    def _files(self, snapshot: Snapshot, which: pl.Expr | None = None) -> Iterator[pl.DataFrame]:
        for path in snapshot.files_of(self._partition)["path"]:
            rows = snapshot.scan_file(str(path))
            yield snapshot.collected(rows if which is None else rows.filter(which))

    def remember(self, lake: Lake) -> None:
        """Note how many firewall events were looked at."""
        table = lake["enriched_flows"]
        mark, events = self._mark, self._looked_at

        def plan(snapshot: Snapshot) -> Change | None:
            return Change(marks={mark: events}) if snapshot.handle.transaction_version(mark) != events else None

        if events:
            converge(table, partition_lock(table.table, self._partition), plan)
