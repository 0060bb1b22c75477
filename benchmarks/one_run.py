"""One Dagster run over a bucket, as a sensor or a backfill asks for it, in a process of its own, and what it cost.

    python -m benchmarks.one_run <lake> <bucket> <first hour> <last hour>
    python -m benchmarks.one_run <lake> <bucket> <first hour>                # a tick of the listing sensor instead

The endpoint of S3 is that of the environment. What it says on its standard output: see `run`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import dagster as dg

from assets.enrichment import EnrichmentConfig
from assets.partitions import flow_key
from assets.runs import RANGE_END_TAG, RANGE_START_TAG
from benchmarks.measures import cpu_seconds, peak_mb
from kentik_dagster.code_location import build_definitions
from kentik_dagster.configuration import Configuration
from kentik_dagster.one_pass import dagster_instance

TABLES = ("flow_logs", "firewall_logs", "flow_log_objects", "rejected_records", "enriched_flows")
EXPORT = "benchmark"


def run(lake: str, bucket: str, first: str, last: str) -> dict[str, float]:
    """Materialise all tables of flow logs for some hours.

    Returns:
        In seconds: `imports` and `cpu` (of the whole process, imports too), `run` (CPU of the run alone), `wall` (of
        the run alone); and `peak_mb` (of the process).
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
        wall = time.monotonic() - began
        of_run = cpu_seconds() - before
    said = {"imports": imports, "run": of_run, "wall": wall, "cpu": cpu_seconds()}
    return said | {"peak_mb": peak_mb()}


def tick(lake: str, bucket: str, first: str) -> dict[str, float]:
    """Ask the listing sensor once, as the daemon does; the seconds of `run`."""
    imports = cpu_seconds()
    definitions = _definitions(lake, bucket, first)
    (sensor,) = (one for one in definitions.get_repository_def().sensor_defs if one.job_name == "flow_logs")
    before, began = cpu_seconds(), time.monotonic()
    with (
        dagster_instance(Path(lake).parent / "dagster") as instance,
        dg.build_sensor_context(
            instance=instance, definitions=definitions, resources=definitions.resources, sensor_name=sensor.name
        ) as context,
    ):
        sensor.evaluate_tick(context)
    wall = time.monotonic() - began
    said = {"imports": imports, "run": cpu_seconds() - before, "wall": wall, "cpu": cpu_seconds()}
    return said | {"peak_mb": peak_mb()}


def _definitions(lake: str, bucket: str, first: str) -> dg.Definitions:
    export = {"name": EXPORT, "region": "us-east-1", "bucket": bucket, "start": first}
    return build_definitions(Configuration.model_validate({"lake": lake, "exports": [export]}))


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(run(*sys.argv[1:]) if len(sys.argv) > 4 else tick(*sys.argv[1:])) + "\n")
