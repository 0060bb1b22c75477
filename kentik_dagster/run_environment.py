"""The environment that Dagster and its runs are started with: what libraries read when they start, and not later."""

from __future__ import annotations

import os
from collections.abc import Mapping

BATCH_SIZE_VARIABLE = "DAGSTER_EVENT_BATCH_SIZE"

RUN_ENVIRONMENT: Mapping[str, str] = {
    # Events that Dagster writes together. SQLite takes 32,766 values in a statement, and an event has eight.
    BATCH_SIZE_VARIABLE: "500",
    # How Polars keeps memory: what one batch gave back serves the next one. Given back to the system after half a
    # second, as Polars does by itself, and kept apart for each thread, it cost 7 to 10 % of a run's CPU.
    "_RJEM_MALLOC_CONF": "narenas:1,dirty_decay_ms:5000,muzzy_decay_ms:5000",
}


def set_run_environment() -> None:
    """Give this process and those that it starts the environment of runs; what is set already stays."""
    for name, value in RUN_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
