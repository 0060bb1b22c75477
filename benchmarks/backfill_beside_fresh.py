"""How long new log objects wait while a month is done again: `python -m benchmarks.backfill_beside_fresh`.

`dagster dev` runs with the settings that are shipped: web server, code server, daemon, its sensors and schedules. New
objects come all the time for the hour that is going on; a month lies in the bucket that no sensor looks for. First
nothing else happens, then backfills of 720 partitions are launched as the UI launches them: hours in a row, CloudWatch
metrics, and hours that do not follow each other, which become a run each. An object has waited when the lake says that
it was read, which is when its rows can be queried.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path

import boto3
import dagster as dg
import polars as pl

from assets.partitions import REASON_TAG
from benchmarks.dagster_dev import DagsterDev
from kentik_dagster.core.flow_log_keys import hour_of
from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.lake.tables import Lake
from kentik_dagster.one_pass import make_home

HOURS = 720
EXPORTS = ("acme", "other")
_EVERY_SECONDS = 4.0
_WAIT_SECONDS = 240.0
_PATIENCE_SECONDS = 900.0
_EXPORT = """\
  - name: {name}
    iam_role_arn: {primary_role_arn}
    external_id: made-up-external-id
    region: {bucket_region}
    organization_role: {first}
    regions_used: [{regions}]
    role_suffix: {secondary_role_name}
    bucket: logs-{name}
    collect_metrics: {first}
    start: {start:%Y-%m-%dT%H:00}
"""
_TIME = re.compile(r"\d{4}/\d\d/\d\d/(\d+_\w+?_[a-z0-9-]+_fl-\w+_)\d{8}T\d{4}Z_\w+")


@dataclass
class Bucket:
    """The log buckets of all exports, into which copies of the demo's objects are put under other times.

    Attributes:
        put_at: when each key was put.
    """

    objects: list[tuple[str, bytes]]
    put_at: dict[str, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._s3 = boto3.client("s3")
        self._next = cycle(self.objects)
        for name in EXPORTS:
            self._s3.create_bucket(Bucket=f"logs-{name}")

    def put(self, export: str, file_time: datetime) -> str:
        """One object more; returns its key."""
        like, body = next(self._next)
        number = len(self.put_at)
        key = _TIME.sub(rf"{file_time:%Y/%m/%d}/\g<1>{file_time:%Y%m%dT%H%MZ}_{number:08x}", like)
        self.put_at[key] = datetime.now(UTC)
        self._s3.put_object(Bucket=f"logs-{export}", Key=key, Body=body)
        return key


class Feed:
    """New objects for all exports in turn, as long as the block lasts."""

    def __init__(self, bucket: Bucket) -> None:
        self.keys: list[str] = []
        self._bucket = bucket
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._feed)

    def __enter__(self) -> Feed:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _feed(self) -> None:
        for export in cycle(EXPORTS):
            self.keys.append(self._bucket.put(export, datetime.now(UTC)))
            if self._over.wait(_EVERY_SECONDS):
                return


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backfill_beside_fresh", description=__doc__)
    parser.add_argument("--seconds", type=float, default=330, help="of each part: schedules come every five minutes")
    parser.add_argument("--records", type=int, default=2_000, help="in each log object")
    parser.add_argument("--settings", type=Path, help="another dagster.yaml than the one that is shipped")
    chosen = parser.parse_args(arguments)
    began = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start = began - timedelta(hours=HOURS)
    with tempfile.TemporaryDirectory(prefix="kentik-beside-", ignore_cleanup_errors=True) as name, Emulator(
        start=began - timedelta(minutes=10), minutes=10, records_per_object=chosen.records, folder=Path(name)
    ) as emulator:  # fmt: skip
        os.environ |= emulator.environment()
        bucket = Bucket(_objects(emulator.organization["bucket"]))
        config = _configuration(Path(name), emulator, start)
        home = Path(name) / "home"
        home.mkdir()
        if chosen.settings:
            shutil.copy(chosen.settings, home / "dagster.yaml")
        make_home(home)
        with DagsterDev(home, config) as dagster, dg.DagsterInstance.from_config(str(home)) as instance:
            measured = Measured(bucket, Lake(str(Path(name) / "lake")), instance, chosen.seconds)
            with Feed(bucket):
                dagster.wait(lambda: _have_looked_back(instance), "a look at all days", _PATIENCE_SECONDS)
            measured.part("nothing")
            for export in EXPORTS:
                for number in range(HOURS):
                    bucket.put(export, start + timedelta(hours=number, minutes=5))
            hours = [hour_of(start + timedelta(hours=number)) for number in range(HOURS)]
            apart = [f"{EXPORTS[number % len(EXPORTS)]}|{hour}" for number, hour in enumerate(hours)]
            for beside, assets, keys in (
                ("720 hours in a row", ("flow_logs", "enriched_flows"), [f"{EXPORTS[0]}|{hour}" for hour in hours]),
                ("720 hours of metrics", ("metric_series",), hours),
                ("720 hours apart, a run each", ("enriched_flows",), apart),
            ):
                measured.part(beside, dagster, dagster.launch_backfill(assets, keys))


def _objects(bucket: str) -> list[tuple[str, bytes]]:
    s3 = boto3.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [one["Key"] for page in pages for one in page.get("Contents", []) if "vpcflowlogs" in one["Key"]]
    return [(key, s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys]


def _configuration(folder: Path, emulator: Emulator, start: datetime) -> Path:
    made = {name: emulator.organization[name]
            for name in ("primary_role_arn", "bucket_region", "secondary_role_name")}  # fmt: skip
    regions = ", ".join(emulator.organization["regions"])
    exports = "".join(
        _EXPORT.format(name=name, first=str(name == EXPORTS[0]).lower(), regions=regions, start=start, **made)
        for name in EXPORTS
    )
    config = folder / "kentik.yaml"
    config.write_text(f"lake: ./lake\nexports:\n{exports}")
    return config


def _have_looked_back(instance: dg.DagsterInstance) -> bool:
    """Whether no listing sensor has days left that it never looked at: what is put there later, it does not see."""
    states = [one for one in instance.all_instigator_state() if one.instigator_name.startswith("flow_logs_")]
    cursors = [str(getattr(state.instigator_data, "cursor", None) or "") for state in states]
    return len(cursors) == len(EXPORTS) and all('"behind":null' in cursor for cursor in cursors)


class Measured:
    """Prints a row of the table for each part."""

    def __init__(self, bucket: Bucket, lake: Lake, instance: dg.DagsterInstance, seconds: float) -> None:
        self._bucket, self._lake, self._instance, self._seconds = bucket, lake, instance, seconds
        head = ("beside", "objects", "p50 s", "p95 s", "max s", "runs for them", "for a place, max s",
                "runs of schedules", "for a place, max s", "the backfill")  # fmt: skip
        print(f"| {' | '.join(head)} |")
        print(f"|---|{'---:|' * 8}---|", flush=True)

    def part(self, beside: str, dagster: DagsterDev | None = None, backfill: str | None = None) -> None:
        """Let new objects come for a while, and print how long they and the runs of schedules waited."""
        begun, begun_at = time.monotonic(), datetime.now(UTC)
        with Feed(self._bucket) as feed:
            while time.monotonic() < begun + self._seconds:
                time.sleep(1)
            said = dagster.backfill(backfill) if dagster and backfill else ""
        waits = self._waits(feed.keys)
        row: list[object] = [beside, len(feed.keys), *(f"{value:.0f}" for value in _quantiles(waits))]
        for is_scheduled in (False, True):
            queued = self._queued(begun_at, is_scheduled=is_scheduled)
            row += [len(queued), f"{max(queued, default=0):.0f}"]
        row.append(said or "-")
        print(f"| {' | '.join(map(str, row))} |", flush=True)
        if dagster and backfill:
            dagster.end_backfill(backfill)

    def _waits(self, keys: Sequence[str]) -> list[float]:
        """Seconds from putting each object to its being read."""
        until = time.monotonic() + _WAIT_SECONDS
        while True:
            ledger = self._lake["flow_log_objects"].scan().filter(pl.col("key").is_in(list(keys)))
            read: dict[str, datetime] = dict(ledger.select("key", "ingested_at").collect().iter_rows())
            if len(read) == len(keys):
                return [(read[key] - self._bucket.put_at[key]).total_seconds() for key in keys]
            if time.monotonic() > until:
                raise TimeoutError(f"{len(keys) - len(read)} objects are not read after {_WAIT_SECONDS:g} s")
            time.sleep(2)

    def _queued(self, since: datetime, *, is_scheduled: bool) -> list[float]:
        """Seconds that each run since then, of schedules or for new objects, waited in the queue for a place."""
        found = []
        for record in self._instance.get_run_records(dg.RunsFilter(created_after=since)):
            reason = record.dagster_run.tags.get(REASON_TAG)
            stats = self._instance.get_run_stats(record.dagster_run.run_id)
            if reason is not None and (reason == "schedule") == is_scheduled and stats.launch_time:
                assert stats.enqueued_time is not None
                found.append(stats.launch_time - stats.enqueued_time)
        return found


def _quantiles(values: Sequence[float]) -> list[float]:
    series = pl.Series(values, dtype=pl.Float64)
    return [float(series.quantile(part, "nearest") or 0) for part in (0.5, 0.95, 1.0)]


if __name__ == "__main__":
    main()
