"""Flow records that are enriched in the pass that reads them, so that nothing is read back for it.

Ingest does not depend on it: what cannot be enriched on the way is left to `enrich_hour`, which reads `flow_logs`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection

import polars as pl

from kentik_dagster.core.enrichment import Knowledge, enriched_flows, with_categories
from kentik_dagster.core.unresolved import ENDS, ends_by_vpc, together
from kentik_dagster.lake.staging import Staging
from kentik_dagster.lake.writes import append_staged

# A batch costs something that does not grow with its rows, and memory that does: see docs/benchmarks.md.
BATCH_ROWS = 256 * 1024
# So many threads enrich at once; others wait with what they have read, which bounds memory.
_CONCURRENT_BATCHES = 2


class EnrichedOnTheWay:
    """Rows of `flow_logs` on their way into two stagings: as they are, and enriched. Safe to use from several threads.

    Attributes:
        error: why enriching ended before all rows were enriched; None: it did not.
    """

    def __init__(self, flows: Staging, enriched: Staging, known: Knowledge) -> None:
        self.error: Exception | None = None
        self._flows = flows
        self._enriched = enriched
        self._known = known
        self._waiting: list[pl.DataFrame] = []
        self._ends = pl.DataFrame(schema=ENDS)
        self._lock = threading.Lock()
        self._turn = threading.Semaphore(_CONCURRENT_BATCHES)

    def add(self, rows: pl.DataFrame) -> None:
        """Take rows of the partition; may enrich a batch and write files. Errors as `Staging.add`."""
        with self._lock:
            self._waiting.append(rows)
            full = sum(frame.height for frame in self._waiting) >= BATCH_ROWS
            batch, self._waiting = (self._waiting, []) if full else ([], self._waiting)
        if batch:
            self._stage(batch)

    def flush(self) -> None:
        """Stage what is waiting; no rows come after it."""
        if self._waiting:
            self._stage(self._waiting)
        self._waiting = []

    def append(self, objects: Collection[str]) -> pl.DataFrame:
        """Commit the enriched rows of these objects; returns rows of `ends_by_vpc` of what was enriched."""
        for name in self._enriched.counts.keys() - set(objects):
            self._enriched.discard(name)
        if self.error is None:
            self._try(lambda: append_staged(self._enriched))
        return self._ends if self.error is None else self._ends.clear()

    def _stage(self, frames: list[pl.DataFrame]) -> None:
        with self._turn:
            flows = with_categories(pl.concat(frames, how="diagonal", rechunk=True))
            frames.clear()
            self._flows.add(flows)
            if self.error is None:
                self._try(lambda: self._enrich(flows))

    def _enrich(self, flows: pl.DataFrame) -> None:
        enriched = enriched_flows(flows, self._known)
        ends = ends_by_vpc(enriched)
        self._enriched.add(enriched)
        with self._lock:
            self._ends = together([self._ends, ends])

    def _try(self, step: Callable[[], object]) -> None:
        """Records are ingested whatever keeps them from being enriched: it fails again, and is told, afterwards."""
        try:
            step()
        except Exception as error:
            self.error = error
