"""One Dagster run over a bucket, as a sensor or a backfill asks for it, in a process of its own, and what it cost.

    python -m benchmarks.one_run <lake> <bucket> <first hour> <last hour>
    python -m benchmarks.one_run <lake> <bucket> <hour>                # a tick of the listing sensor after it instead

The endpoint of S3 is that of the environment. What it says on its standard output: see `run`.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import timedelta
from pathlib import Path

import dagster as dg

from assets.enrichment import EnrichmentConfig
from assets.partitions import flow_key
from assets.runs import RANGE_END_TAG, RANGE_START_TAG
from benchmarks.measures import cpu_seconds, peak_mb, wall_seconds
from kentik_dagster.code_location import build_definitions
from kentik_dagster.configuration import Configuration
from kentik_dagster.core.flow_log_keys import hour_start
from kentik_dagster.one_pass import dagster_instance

TABLES = ("flow_logs", "firewall_logs", "flow_log_objects", "rejected_records", "enriched_flows")
EXPORT = "benchmark"


def run(lake: str, bucket: str, first: str, last: str) -> dict[str, float]:
    """Materialise all tables of flow logs for some hours.

    Returns:
        In seconds: `cpu` and `wall` of the whole process, imports too, of them `imports` (CPU) before anything else,
        and `run` and `run_wall` of the run alone; and `peak_mb` of the process.
    """
    imports = cpu_seconds()
    definitions = _definitions(lake, bucket, first)
    ends = {RANGE_START_TAG: str(flow_key(EXPORT, first)), RANGE_END_TAG: str(flow_key(EXPORT, last))}
    job = definitions.resolve_job_def("flow_logs").get_subset(op_selection=["flow_log_batches"])
    with dagster_instance(Path(lake).parent / "dagster") as instance:
        before, began = cpu_seconds(), time.monotonic()
        job.execute_in_process(
            instance=instance,
            tags=ends,
            run_config={"ops": {"flow_log_batches": {"config": EnrichmentConfig(rebuild=False).model_dump()}}},
        )
        of_run = {"run": cpu_seconds() - before, "run_wall": time.monotonic() - began}
    said = {"imports": imports, **of_run, "wall": wall_seconds(), "cpu": cpu_seconds()}
    return said | {"peak_mb": peak_mb()}


def tick(lake: str, bucket: str, hour: str) -> dict[str, float]:
    """Ask the listing sensor once, as the daemon does, when the hour has just ended; returns as `run`.

    The export began a day before, so that the tick looks at as many days as every later one.
    """
    imports = cpu_seconds()
    began_at, now = hour_start(hour) - timedelta(days=1), hour_start(hour) + timedelta(hours=1)
    definitions = _definitions(lake, bucket, began_at.isoformat(), stopped_at=now.isoformat())
    (sensor,) = (one for one in definitions.get_repository_def().sensor_defs if one.job_name == "flow_logs")
    before, began = cpu_seconds(), time.monotonic()
    with (
        dagster_instance(Path(lake).parent / "dagster") as instance,
        dg.build_sensor_context(
            instance=instance, definitions=definitions, resources=definitions.resources, sensor_name=sensor.name
        ) as context,
    ):
        sensor.evaluate_tick(context)
    of_tick = {"run": cpu_seconds() - before, "run_wall": time.monotonic() - began}
    said = {"imports": imports, **of_tick, "wall": wall_seconds(), "cpu": cpu_seconds()}
    return said | {"peak_mb": peak_mb()}


def _definitions(lake: str, bucket: str, start: str, *, stopped_at: str | None = None) -> dg.Definitions:
    export = {"name": EXPORT, "region": "us-east-1", "bucket": bucket, "start": start}
    return build_definitions(Configuration.model_validate({"lake": lake, "exports": [export]}), stopped_at=stopped_at)


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(run(*sys.argv[1:]) if len(sys.argv) > 4 else tick(*sys.argv[1:])) + "\n")
