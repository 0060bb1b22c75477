"""Upkeep of all tables of the lake, one after the other; one that fails does not stop the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

import polars as pl

from kentik_dagster.core.retention import removed_before
from kentik_dagster.errors import KentikDagsterError
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.upkeep import Upkept, upkeep

# Of a table, in one run; and from when on a run begins with no further partition. The rest waits for the next run.
PARTITIONS = 100
SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeUpkept:
    """What the upkeep of the lake did.

    Attributes:
        tables: one row per table that is there: the attributes of `Upkept`.
        failures: by table, why its upkeep ended early.
    """

    tables: pl.DataFrame
    failures: Mapping[str, str]


def keep_up_lake(
    lake: Lake,
    retention_days: Mapping[str, int],
    now: datetime,
    *,
    progress: Callable[[str], None] = lambda text: None,
    seconds: float = SECONDS,
) -> LakeUpkept:
    """Keep up every table.

    Args:
        retention_days: days by table; tables that are not named keep their rows for ever.
        seconds: after which no further partition is begun.
    """
    until = time.monotonic() + seconds
    done: list[Upkept] = []
    failures: dict[str, str] = {}
    for table in lake.tables:
        name = table.table.name
        try:
            done.append(
                upkeep(
                    table,
                    now=now,
                    removed_before=removed_before(retention_days, name, now),
                    goes_on=lambda partitions: partitions < PARTITIONS and time.monotonic() < until,
                    progress=progress,
                )
            )
        except KentikDagsterError as error:
            failures[name] = str(error)
            progress(f"{name}: {error}")
    return LakeUpkept(tables=pl.DataFrame([asdict(table) for table in done]), failures=failures)
