"""The tables of the soak beside those that one process made of the same objects with nothing going wrong."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from benchmarks.soak.commits import queryable_at
from benchmarks.soak.judged import Verdict, equal_tables, swept_once
from kentik_dagster.code_location import build_definitions
from kentik_dagster.configuration_file import load_configuration
from kentik_dagster.lake.tables import Lake
from kentik_dagster.one_pass import BEFORE_SENSORS, OnePass, dagster_instance, progress_logger

COMPARED = ("flow_logs", "flow_log_objects", "rejected_records", "enriched_flows")
SWEPT = "deletion_sweep"
# The tables of flows that people query.
QUERIED = ("flow_logs", "enriched_flows")


class UndisturbedError(RuntimeError):
    """The run with nothing going wrong did not end well."""


def undisturbed_tables(config: Path, endpoint_url: str) -> dict[str, pl.DataFrame]:
    """What one pass of one process makes of all objects.

    Raises:
        UndisturbedError: a run of it failed.
    """
    warnings.simplefilter("ignore", dg.BetaWarning)
    configuration = load_configuration(config)
    definitions = build_definitions(
        configuration, endpoint_url=endpoint_url, loggers={"progress": progress_logger(lambda text: None)}
    )
    with dagster_instance(config.parent / "home") as instance:
        one_pass = OnePass(definitions, instance, tell=lambda text: None, working=lambda text: None)
        one_pass.ask_schedules(BEFORE_SENSORS)
        one_pass.ask_sensors()
        if one_pass.failures:
            raise UndisturbedError("\n".join(one_pass.failures))
    lake = Lake(configuration.lake)
    return {name: lake[name].read() for name in (*COMPARED, SWEPT)}


class TablesOfBoth:
    """Both sets of tables, and what they say of each other."""

    def __init__(self, lake: Lake, undisturbed: dict[str, pl.DataFrame]) -> None:
        self._lake, self._undisturbed = lake, undisturbed
        self._disturbed: dict[str, pl.DataFrame] = {}
        self.lags: dict[str, pl.DataFrame] = {}

    def read(self) -> None:
        """Read the lake as it is now."""
        self._disturbed = {name: self._lake[name].read() for name in (*COMPARED, SWEPT)}

    def are_equal(self) -> bool:
        """Whether nothing differs now; the cheap questions come first."""
        if self._lake["flow_log_objects"].read().height < self._undisturbed["flow_log_objects"].height:
            return False
        self.read()
        return all(verdict.holds for verdict in self.verdicts())

    def verdicts(self) -> Iterator[Verdict]:
        """Of each table."""
        for name in COMPARED:
            yield equal_tables(name, self._disturbed[name], self._undisturbed[name])
        yield swept_once(self._disturbed[SWEPT], self._undisturbed[SWEPT])

    def find_lags(self, s3: Any, bucket: str, prefix: str) -> None:
        """Learn from Delta's logs when each object's rows could be queried first.

        `lags` then has, for each of QUERIED, one row per object: `export`, `key`, `queryable_at`.
        """
        keys = self._disturbed["flow_log_objects"].select("export", "source_object", "key")
        for name in QUERIED:
            found = queryable_at(s3, self._lake[name], bucket, f"{prefix}/{name}")
            self.lags[name] = keys.join(found, on=("export", "source_object")).drop("source_object")
