"""Twice the Celery workers, how much more: `python -m benchmarks.celery_workers`.

The same flow logs are ingested and enriched by one worker and by two, into new lakes, through the sensors, the queue
and the broker. The web server, the daemon, the database and the emulator of S3 share this machine's cores with the
workers, so each worker may be held to a share of a core: then the cores last, as they do on machines of their own.
"""

# ruff: noqa: T201

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3

from benchmarks.celery_stack import CeleryStack, missing
from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.lake.tables import Lake

_CYCLE_SECONDS = 0.1
_EXPORT = """\
  - name: export-{number}
    region: us-east-1
    bucket: logs-{number}
    collect_metrics: false
    start: {start:%Y-%m-%dT%H:00}
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.celery_workers", description=__doc__)
    parser.add_argument("--runs", type=int, default=8, help="runs, each of one hour of an export of its own")
    parser.add_argument("--records", type=int, default=5_000, help="records in each object; an hour has 96 objects")
    parser.add_argument("--shares", type=float, nargs="*", default=[0.35, 1.0], help="of a core, for each worker")
    parser.add_argument("--rounds", type=int, default=1)
    chosen = parser.parse_args(arguments)
    if missing():
        parser.exit(1, "this machine lacks " + ", ".join(missing()) + "\n")
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    with tempfile.TemporaryDirectory(prefix="kentik-workers-", ignore_cleanup_errors=True) as name, Emulator(
        start=start, minutes=60, records_per_object=chosen.records, folder=Path(name) / "emulator", timeout_seconds=900
    ) as emulator:  # fmt: skip
        os.environ.update(emulator.environment())
        _copies(emulator.organization["bucket"], chosen.runs)
        print("| share of a core | workers | records | seconds | records/s | times one worker |")
        print("|---:|---:|---:|---:|---:|---:|")
        for share in chosen.shares:
            for round_number in range(chosen.rounds):
                alone = None
                for workers in (1, 2):
                    place = Path(name) / f"{share}-{round_number}-{workers}"
                    records, seconds = _measured(place, emulator, start, chosen.runs, workers, share)
                    alone = alone or records / seconds
                    print(f"| {share:.0%} | {workers} | {records:,} | {seconds:.1f} | {records / seconds:,.0f} "
                          f"| {records / seconds / alone:.2f} |", flush=True)  # fmt: skip


def _copies(bucket: str, number: int) -> None:
    s3 = boto3.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [one["Key"] for page in pages for one in page.get("Contents", [])]
    s3.create_bucket(Bucket="lakes")
    s3.create_bucket(Bucket="acme-dagster")
    for copy in range(number):
        s3.create_bucket(Bucket=f"logs-{copy}")
        for key in keys:
            s3.copy_object(Bucket=f"logs-{copy}", Key=key, CopySource={"Bucket": bucket, "Key": key})


def _measured(
    place: Path, emulator: Emulator, start: datetime, runs: int, workers: int, share: float
) -> tuple[int, float]:
    """Records, and the seconds from the first run's start to the last one's end."""
    place.mkdir()
    root = f"s3://lakes/{place.name}"
    config = place / "kentik.yaml"
    exports = "".join(_EXPORT.format(number=number, start=start) for number in range(runs))
    config.write_text(f"lake: {root}\nexports:\n{exports}")
    # All runs wait at the broker, so that no worker waits for Dagster's queue.
    changes = {"concurrency": {"runs": {"max_concurrent_runs": 2 * runs}}}
    with CeleryStack(place, config, emulator.environment(), changes) as stack, contextlib.ExitStack() as held:
        names = [f"worker-{number}" for number in range(workers)]
        for name in names:
            stack.start_worker(name)
            held.enter_context(_held(stack.groups()[name], share))
        stack.start_daemon()

        def ended() -> list[dict[str, float]]:
            return [run for run in stack.runs() if run["jobName"] == "flow_logs" and run["status"] == "SUCCESS"]

        stack.wait(lambda: len(ended()) >= runs, "the end of all runs", seconds=1800)
        done = ended()
    lake = Lake(root, {"AWS_ENDPOINT_URL": emulator.endpoint_url, "AWS_ALLOW_HTTP": "true"})
    records = int(lake["enriched_flows"].open().files["num_records"].sum())
    return records, max(run["endTime"] for run in done) - min(run["startTime"] for run in done)


@contextlib.contextmanager
def _held(group: int, share: float) -> Iterator[None]:
    """The processes of a group run for a share of the time only."""
    if share >= 1:
        yield
        return
    over = threading.Event()

    def hold() -> None:
        with contextlib.suppress(ProcessLookupError):
            while not over.is_set():
                os.killpg(group, signal.SIGSTOP)
                time.sleep(_CYCLE_SECONDS * (1 - share))
                os.killpg(group, signal.SIGCONT)
                time.sleep(_CYCLE_SECONDS * share)

    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    try:
        yield
    finally:
        over.set()
        holder.join()


if __name__ == "__main__":
    main()
