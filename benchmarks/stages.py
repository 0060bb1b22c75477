"""Where the CPU time of reading, enriching and writing goes: one thread, each stage without those that it calls.

    python -m benchmarks.stages <prepared folder> <folder for the lake>

The endpoint of S3 is that of the environment. What it says on its standard output: see `measure`.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

os.environ["POLARS_MAX_THREADS"] = "1"  # before Polars is imported

from benchmarks.enrichment_inputs import EXPORT, HOUR, START
from kentik_dagster.aws import flow_logs
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.core.address_index import AddressIndex
from kentik_dagster.core.enrichment import Knowledge
from kentik_dagster.core.flow_log_keys import log_objects
from kentik_dagster.lake import staging, writes
from kentik_dagster.lake.tables import Lake
from kentik_dagster.work import enriching, ingest, reading

# In which module a function is called under which name, and the stage that it is.
_STAGES: tuple[tuple[ModuleType, str, str], ...] = (
    (flow_logs, "stored_chunks", "get"),
    (reading, "text_parts", "gunzip"),
    (reading, "parse_text", "parse"),
    (enriching, "clustered", "categories, sorted"),
    (enriching, "enriched_flows", "enrich"),
    (enriching, "ends_by_hour", "enrich"),
    (writes, "converge", "commit"),
)


Result = TypeVar("Result")


class Clock:
    """CPU seconds by stage; the time of a stage that is called within another counts for itself alone."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._inner: list[float] = []

    def timed(self, stage: str, work: Callable[[], Result]) -> Result:
        """Do some work, and count it for a stage."""
        began = time.process_time()
        self._inner.append(0.0)
        try:
            return work()
        finally:
            spent = time.process_time() - began
            self.seconds[stage] += spent - self._inner.pop()
            if self._inner:
                self._inner[-1] += spent

    def watch(self, module: ModuleType, name: str, stage: Callable[..., str]) -> None:
        """Count every call of a function, and every step of a generator."""
        original: Callable[..., Any] = getattr(module, name)

        @functools.wraps(original)
        def watched(*arguments: Any, **named: Any) -> Any:
            label = stage(*arguments)
            result = self.timed(label, lambda: original(*arguments, **named))
            return self._steps(label, result) if isinstance(result, Iterator) else result

        setattr(module, name, watched)

    def _steps(self, stage: str, steps: Iterator[Any]) -> Iterator[Any]:
        nothing = object()
        while (step := self.timed(stage, lambda: next(steps, nothing))) is not nothing:
            yield step


def measure(prepared: Path, out: Path) -> dict[str, float]:
    """CPU seconds of one thread by stage, `other` and `total`, of an hour read and enriched in one pass."""
    lake = Lake(str(out))
    clock = Clock()
    known = clock.timed(
        "load the book", lambda: Knowledge(index=AddressIndex(Lake(str(prepared / "known"))["address_book"].read()))
    )
    for module, name, stage in _STAGES:
        clock.watch(module, name, lambda *_, stage=stage: stage)
    clock.watch(staging, "stage", lambda rows, table, *_: f"write {table.name}")
    ingest.CONCURRENT_OBJECTS = 1
    began = time.process_time()
    bucket = flow_logs.LogBucket(ExportAccess(EXPORT, custom_endpoint=True))
    listed = clock.timed("list", lambda: log_objects(bucket.everything([START.date()])))
    ingest.ingest_hour(bucket, lake, HOUR, listed, run_id="benchmark", clock=lambda: datetime.now(UTC), known=known)
    total = time.process_time() - began
    told = dict(clock.seconds)
    return told | {"other": total + told["load the book"] - sum(told.values()), "total": total + told["load the book"]}


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(measure(Path(sys.argv[1]), Path(sys.argv[2]))) + "\n")
