"""Flow records that are enriched in the pass that reads them, so that nothing is read back for it.

Ingest does not depend on it: what cannot be enriched on the way is left to `enrich_hours`, which reads `flow_logs`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator

import polars as pl

from kentik_dagster.core.enrichment import Knowledge, clustered, enriched_flows
from kentik_dagster.core.unresolved import ends_by_hour, together
from kentik_dagster.lake.staging import Staging
from kentik_dagster.lake.writes import append_all_staged

# A batch costs something that does not grow with its rows, and memory that does: see docs/benchmarks.md.
BATCH_ROWS = 256 * 1024
# So many threads enrich at once; others wait with what they have read, which bounds memory.
_CONCURRENT_BATCHES = 2
StagingOf = Callable[[str], Staging]  # of an hour


class EnrichedOnTheWay:
    """Rows of `flow_logs` on their way to be staged as they are, and enriched. Safe to use from several threads.

    Args:
        flows, enriched: where rows of an hour are staged.

    Attributes:
        error: why enriching ended before all rows were enriched; None: it did not.
    """

    def __init__(self, flows: StagingOf, enriched: StagingOf, known: Knowledge) -> None:
        self.error: Exception | None = None
        self._flows = flows
        self._enriched = enriched
        self._known = known
        self._waiting: list[pl.DataFrame] = []
        self._hours: set[str] = set()
        self._ends: dict[str, pl.DataFrame] = {}
        self._lock = threading.Lock()
        self._turn = threading.Semaphore(_CONCURRENT_BATCHES)

    def add(self, rows: pl.DataFrame) -> None:
        """Take rows of one hour; may enrich a batch and write files. Errors as `Staging.add`."""
        if rows.is_empty():
            return
        with self._lock:
            self._waiting.append(rows)
            self._hours.add(rows["hour"][0])
            full = sum(frame.height for frame in self._waiting) >= BATCH_ROWS
            batch, self._waiting = (self._waiting, []) if full else ([], self._waiting)
        if batch:
            self._stage(batch)

    def flush(self) -> None:
        """Stage what is waiting; no rows come after it."""
        if self._waiting:
            self._stage(self._waiting)
        self._waiting = []

    def append(self, objects: Collection[str]) -> dict[str, pl.DataFrame]:
        """Commit the enriched rows of these objects; returns, by hour, rows of `ends_by_vpc` of what was enriched."""
        stagings = [self._enriched(hour) for hour in sorted(self._hours)]
        for staging in stagings:
            for name in staging.counts.keys() - set(objects):
                staging.discard(name)
        if self.error is None:
            self._try(lambda: append_all_staged(stagings))
        return self._ends if self.error is None else {}

    def _stage(self, frames: list[pl.DataFrame]) -> None:
        with self._turn:
            flows = clustered(pl.concat(frames, how="diagonal"))
            frames.clear()
            for hour, rows in _by_hour(flows):
                self._flows(hour).add(rows)
            if self.error is None:
                self._try(lambda: self._enrich(flows))

    def _enrich(self, flows: pl.DataFrame) -> None:
        enriched = enriched_flows(flows, self._known)
        ends = ends_by_hour(enriched)
        for hour, rows in _by_hour(enriched):
            self._enriched(hour).add(rows)
        with self._lock:
            for hour, of_hour in ends.items():
                self._ends[hour] = together([self._ends[hour], of_hour]) if hour in self._ends else of_hour

    def _try(self, step: Callable[[], object]) -> None:
        """Records are ingested whatever keeps them from being enriched: it fails again, and is told, afterwards."""
        try:
            step()
        except Exception as error:
            self.error = error


def _by_hour(rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    hours = rows["hour"].unique()
    if len(hours) == 1:
        yield str(hours[0]), rows
    else:
        yield from ((str(hour), part) for (hour,), part in rows.partition_by("hour", as_dict=True).items())
