"""An hour of 50,000 CloudWatch series in 20 accounts: requests, CPU and memory.

    .venv/bin/python -m benchmarks.metric_series

A fake AWS answers over HTTP from a process of its own, so that its cost is not ours. Each number of accounts is
collected twice by a process of its own: into an empty lake, and again, when nothing has changed.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection

SERIES_OF_AN_ACCOUNT = 2_500
ACCOUNTS = (5, 10, 20)
HOUR = datetime(2026, 11, 23, 9, tzinfo=UTC)


def main() -> None:
    """Prints the table that docs/benchmarks.md has."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=_serve, args=(theirs,), daemon=True)
    server.start()
    url = ours.recv()
    sys.stdout.write("| accounts | series | datapoints | requests | fewest | CPU s | again | peak MB |\n")
    sys.stdout.write("|" + "---:|" * 8 + "\n")
    for accounts in ACCOUNTS:
        mine, childs = context.Pipe()
        child = context.Process(target=_collect, args=(childs, url, accounts))
        child.start()
        row = json.loads(mine.recv())
        child.join()
        sys.stdout.write("| " + " | ".join(f"{value:,}" for value in row) + " |\n")
        sys.stdout.flush()
    ours.send("end")
    server.join()


def _serve(connection: Connection) -> None:
    from tests.fake_aws import FakeAws
    from tests.fake_aws.cloudwatch import CloudWatch, series

    with FakeAws() as fake:
        gateways = [
            series("AWS/NATGateway", "BytesOutToSource", NatGatewayId=f"nat-{number:017x}")
            for number in range(SERIES_OF_AN_ACCOUNT)
        ]
        CloudWatch(gateways).serve(fake)
        fake.page_size = 500
        connection.send(fake.url)
        connection.recv()


def _collect(connection: Connection, url: str, accounts: int) -> None:
    os.environ |= {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "AMBIENT", "AWS_SECRET_ACCESS_KEY": "none"}
    from kentik_dagster.aws.sessions import ExportAccess
    from kentik_dagster.catalog.metric_list import METRICS
    from kentik_dagster.configuration import Export
    from kentik_dagster.lake.tables import Lake
    from kentik_dagster.work.metrics import collect, planned

    metrics = [metric for metric in METRICS if metric.name == "BytesOutToSource"]
    names = [f"{number:012d}" for number in range(1, accounts + 1)]
    export = Export(
        name="bench",
        region="us-east-1",
        bucket="bench-logs",
        iam_role_arn=f"arn:aws:iam::{names[0]}:role/Primary",
        role_suffix="Secondary",
        start=HOUR,
    )
    access = ExportAccess(export, custom_endpoint=True)

    def now() -> datetime:
        return HOUR + timedelta(hours=2)

    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder)
        seconds: list[float] = []
        figures: Sequence[float] = ()
        for _ in range(2):
            before = _cpu()
            made = planned(dict.fromkeys(names, access), lake, [HOUR], metrics, clock=now)
            (done,) = collect(made, dict.fromkeys(names, access), lake, clock=now)
            seconds.append(round(_cpu() - before, 1))
            rows = sum(int(frame["datapoints"].sum()) for frame in done.hours.values())
            figures = figures or (accounts, made.queries, rows, done.requests, made.requests)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1_000
    connection.send(json.dumps([*figures, *seconds, peak]))


def _cpu() -> float:
    times = os.times()
    return times.user + times.system


if __name__ == "__main__":
    main()
