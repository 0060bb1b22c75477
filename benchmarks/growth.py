"""What a minute of the listing sensor costs an organization of a thousand accounts: `python -m benchmarks.growth`.

The bucket is made up while it is listed (`benchmarks.synthetic_bucket`), and the lake has read all of it: nothing is
left to do, which is what nearly every tick finds. Requests and CPU are the sensor's own.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import functools
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl

from kentik_dagster.aws.flow_logs import LogBucket
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.code_location import build_definitions
from kentik_dagster.configuration import Configuration
from kentik_dagster.core.schemas import no_rows
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import merge_partition

REGIONS = ("eu-central-1", "eu-west-1", "us-east-1", "us-west-2")
OBJECTS_A_DAY = 300  # of an account in a region: a file every five minutes, and some for its size
PRICE_PER_THOUSAND = 0.005  # of S3 LIST requests in us-east-1; https://aws.amazon.com/s3/pricing/
_DAYS = 2


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--accounts", type=int, nargs="*", default=[50, 200, 1_000])
    chosen = parser.parse_args(arguments)
    head = ("accounts", "objects a day", "look", "ticks", "requests", "seconds", "CPU s", "ledger MB", "peak MB")
    print(f"| {' | '.join(head)} |")
    print("|---:|---:|---|---:|---:|---:|---:|---:|---:|")
    for accounts in chosen.accounts:
        _measure(accounts)


def _measure(accounts: int) -> None:
    now = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(seconds=1)
    with tempfile.TemporaryDirectory(prefix="kentik-growth-") as name, _served(now, accounts) as url:
        os.environ |= {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "made-up",
        }
        export = {
            "name": "acme",
            "region": "us-east-1",
            "bucket": "acme-logs",
            "start": (now - timedelta(days=1)).date().isoformat(),
        }
        configuration = Configuration.model_validate({"lake": f"{name}/lake", "exports": [export]})
        lake = Lake(configuration.lake)
        bucket = LogBucket(ExportAccess(configuration.exports[0], custom_endpoint=True))
        for day in range(_DAYS):
            _remember(lake, bucket.objects([(now - timedelta(days=day)).date()]), now)
        ledger = int(lake["flow_log_objects"].open().files["size_bytes"].sum()) / 1e6
        definitions = build_definitions(configuration, endpoint_url=url, stopped_at=now.isoformat())
        cursor: str | None = None
        with dg.DagsterInstance.ephemeral() as instance:
            for look in ("first", "second"):
                asked, begun, cpu = _requests(url), time.monotonic(), time.process_time()
                ticks, cursor = _round(definitions, instance, cursor)
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
                objects, asked = accounts * len(REGIONS) * OBJECTS_A_DAY, _requests(url) - asked
                cpu, wall = time.process_time() - cpu, time.monotonic() - begun
                row = (f"{accounts:,}", f"{objects:,}", look, ticks, f"{asked:,}", f"{wall:.1f}", f"{cpu:.1f}")
                print(f"| {' | '.join(map(str, row))} | {ledger:.1f} | {peak:.0f} |", flush=True)


def _round(definitions: dg.Definitions, instance: dg.DagsterInstance, cursor: str | None) -> tuple[int, str | None]:
    """Ticks until all days were looked at, as Dagster's daemon asks, without its pauses."""
    sensor = definitions.get_repository_def().get_sensor_def("flow_logs_1_acme")
    for tick in range(1, 100):
        context = dg.build_sensor_context(
            instance=instance,
            cursor=cursor,
            definitions=definitions,
            resources=definitions.resources,
            sensor_name=sensor.name,
        )
        with context:
            result = sensor.evaluate_tick(context)
        assert not result.run_requests, "the lake should hold everything"
        cursor = result.cursor
        if "left for the next tick" not in (result.skip_message or ""):
            return tick, cursor
    raise RuntimeError("the round did not end")


def _remember(lake: Lake, objects: pl.DataFrame, now: datetime) -> None:
    """Audit lines of a day's objects, as ingest writes them."""
    for (hour,), listed in objects.partition_by("hour", as_dict=True).items():
        lines = pl.concat([no_rows(TABLES["flow_log_objects"]), listed], how="diagonal_relaxed")
        audit = lines.select(TABLES["flow_log_objects"].schema.names).with_columns(
            export=pl.lit("acme"), outcome=pl.lit("ingested"), ingested_at=pl.lit(now), log_type=pl.lit("vpc"),
            run_id=pl.lit("run"), rows=pl.lit(1_000, pl.Int64), rejected_lines=pl.lit(0, pl.Int64),
            sampled_out=pl.lit(0, pl.Int64),
        )  # fmt: skip
        place = {"export": "acme", "hour": str(hour)}
        merge_partition(lake["flow_log_objects"], place, functools.partial(_instead, audit))


def _instead(audit: pl.DataFrame, _: pl.DataFrame) -> pl.DataFrame:
    return audit


def _requests(url: str) -> int:
    with urllib.request.urlopen(f"{url}/requests") as answer:
        return int(answer.read())


@contextmanager
def _served(now: datetime, accounts: int) -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.synthetic_bucket", f"{now:%Y-%m-%d}", str(_DAYS), str(accounts),
               ",".join(REGIONS), str(OBJECTS_A_DAY)]  # fmt: skip
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


if __name__ == "__main__":
    main()
