"""The main job over two Celery workers, one of which dies in the middle; every part a real process.

It takes minutes and servers that not every machine has, so `make test-deploy` runs it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from benchmarks.celery_stack import CeleryStack, missing
from kentik_dagster.code_location import build_definitions
from kentik_dagster.configuration import Configuration
from kentik_dagster.configuration_file import load_configuration
from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.lake.tables import Lake
from kentik_dagster.one_pass import BEFORE_SENSORS, OnePass, dagster_instance, progress_logger

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("DEPLOY_ALL" not in os.environ, reason="make test-deploy runs it"),
]
HOURS, EXPORTS = 3, ("one", "two", "three")
START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS + 1)
TABLES = ("flow_logs", "flow_log_objects", "rejected_records", "enriched_flows")
# What differs between two lakes without anything being different: when, by which run, and what was known by then.
WHEN = ("ingested_at", "run_id", "metadata_as_of")
# Monitoring asks every few seconds instead of every half minute.
QUICK: Mapping[str, Mapping[str, Any]] = {
    "run_monitoring": {"poll_interval_seconds": 5},
    "concurrency": {"runs": {"max_concurrent_runs": 2}},
}
CONFIGURATION = """\
lake: {lake}
exports:
"""
EXPORT = """\
  - name: {name}
    iam_role_arn: {primary_role_arn}
    external_id: made-up-external-id
    region: {bucket_region}
    organization_role: {organization}
    regions_used: [{regions}]
    role_suffix: {secondary_role_name}
    bucket: {bucket}
    collect_metrics: false
    delete_after_read: {deletes}
    start: {start:%Y-%m-%dT%H:00}
"""


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An organization with some hours of flow logs, in a bucket for each export."""
    if missing():
        pytest.fail("this machine lacks " + ", ".join(missing()))
    folder = tmp_path_factory.mktemp("emulator")
    logs = Emulator(start=START, minutes=60 * HOURS, records_per_object=200, folder=folder)
    with logs as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment().items():
            patch.setenv(name, value)
        _copy_bucket(running.organization["bucket"])
        boto3.client("s3").create_bucket(Bucket="lakes")
        boto3.client("s3").create_bucket(Bucket="acme-dagster")
        yield running


def _copy_bucket(bucket: str) -> None:
    s3 = boto3.client("s3")
    objects = [one["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
               for one in page.get("Contents", [])]  # fmt: skip
    for name in EXPORTS:
        s3.create_bucket(Bucket=f"logs-{name}")
        for key in objects:
            s3.copy_object(Bucket=f"logs-{name}", Key=key, CopySource={"Bucket": bucket, "Key": key})


def configuration(folder: Path, emulator: Emulator, lake: str, *, deletes: bool) -> Path:
    organization = emulator.organization
    shared = {name: organization[name] for name in ("primary_role_arn", "bucket_region", "secondary_role_name")}
    text = CONFIGURATION.format(lake=lake) + "".join(
        EXPORT.format(
            name=name, bucket=f"logs-{name}", regions=", ".join(organization["regions"]), start=START,
            deletes=str(deletes).lower(), organization=str(name == EXPORTS[0]).lower(), **shared,
        )
        for name in EXPORTS
    )  # fmt: skip
    folder.mkdir(exist_ok=True)
    path = folder / "kentik.yaml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def undisturbed(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """What one process makes of it, with nothing going wrong; it deletes nothing."""
    folder = tmp_path_factory.mktemp("undisturbed")
    made = load_configuration(configuration(folder, emulator, "./lake", deletes=False))
    _pass(made, emulator.endpoint_url, folder)
    return Lake(made.lake)


def _pass(made: Configuration, endpoint_url: str, folder: Path) -> None:
    definitions = build_definitions(
        made, endpoint_url=endpoint_url, loggers={"progress": progress_logger(lambda text: None)}
    )
    with dagster_instance(folder / "home") as instance:
        one_pass = OnePass(definitions, instance, tell=lambda text: None, working=lambda text: None)
        one_pass.ask_schedules(BEFORE_SENSORS)
        one_pass.ask_sensors()
        assert one_pass.failures == []


def rows(lake: Lake, table: str) -> list[str]:
    """A table's rows, in one order."""
    return sorted(map(repr, lake[table].read().drop(WHEN, strict=False).rows()))


def test_both_workers_share_the_main_job_and_nothing_is_lost_with_one_of_them(
    emulator: Emulator, undisturbed: Lake, tmp_path: Path
) -> None:
    config = configuration(tmp_path / "configuration", emulator, "s3://lakes/main", deletes=True)
    lake = Lake("s3://lakes/main", {"AWS_ENDPOINT_URL": emulator.endpoint_url, "AWS_ALLOW_HTTP": "true"})
    expected = undisturbed["flow_log_objects"].read().height
    with CeleryStack(tmp_path, config, emulator.environment(), QUICK) as stack:
        stack.start_worker("first")
        stack.start_worker("second")
        stack.start_daemon()
        _finish(stack, stack.launch("accounts"))
        accounts = sorted(emulator.organization["account_ids"])
        ends = {"dagster/asset_partition_range_start": accounts[0], "dagster/asset_partition_range_end": accounts[-1]}
        metadata = stack.launch("metadata", **ends)

        stack.wait(lambda: _works(stack, "first", "flow_logs"), "a flow log run on the first worker")
        lost = _begun(stack, "first")[-1]
        stack.kill("first")

        stack.wait(lambda: lake["deletion_sweep"].read().height >= expected, "all objects swept", seconds=400)
        _finish(stack, metadata)
        # Records that were read before the metadata are enriched anew when the sensor sees it.
        stack.wait(lambda: _is_quiet(stack) and _same(lake, undisturbed), "the rows of an undisturbed run", seconds=300)
        statuses = {run["runId"]: run["status"] for run in stack.runs()}
        ran = {name: _begun(stack, name) for name in ("first", "second")}

        assert len(ran["first"]) >= 2
        assert len(ran["second"]) >= 2
        assert statuses[lost] == "FAILURE"
        assert "is gone, and the run with it" in _events(stack, lost)
        retried = {run["runId"] for run in stack.runs() if _tag(run, "dagster/parent_run_id") == lost}
        assert {statuses[run] for run in retried} == {"SUCCESS"}
    for table in TABLES:
        assert rows(lake, table) == rows(undisturbed, table), table
    outcomes = lake["deletion_sweep"].read().group_by("outcome").len()
    assert dict(outcomes.iter_rows()) == {"deleted": expected}
    assert [boto3.client("s3").list_objects_v2(Bucket=f"logs-{name}")["KeyCount"] for name in EXPORTS] == [0, 0, 0]


def _same(lake: Lake, other: Lake) -> bool:
    return all(rows(lake, table) == rows(other, table) for table in TABLES)


def _works(stack: CeleryStack, worker: str, job: str) -> bool:
    """Whether a worker is in the middle of a run of a job, and not its first."""
    begun = _begun(stack, worker)
    now = {run["runId"]: run for run in stack.runs() if run["status"] == "STARTED" and run["jobName"] == job}
    return len(begun) > 1 and begun[-1] in now


def _begun(stack: CeleryStack, worker: str) -> list[str]:
    """The runs that a worker has begun, as Dagster's events say which Celery task each is."""
    of_task = {_tag(run, "dagster-celery/task_id"): run["runId"] for run in stack.runs()}
    begun = [line for line in stack.log(worker).splitlines() if "] received" in line]
    tasks = [line.split("[")[-1].split("]")[0] for line in begun]
    return [of_task[task] for task in tasks if task in of_task]


def _tag(run: Mapping[str, Any], name: str) -> str | None:
    return next((tag["value"] for tag in run["tags"] if tag["key"] == name), None)


def _finish(stack: CeleryStack, run_id: str) -> None:
    def status() -> str:
        return next(str(run["status"]) for run in stack.runs() if run["runId"] == run_id)

    stack.wait(lambda: status() in ("SUCCESS", "FAILURE"), f"the end of run {run_id}", seconds=300)
    assert status() == "SUCCESS", _events(stack, run_id)


def _is_quiet(stack: CeleryStack) -> bool:
    return all(run["status"] in ("SUCCESS", "FAILURE", "CANCELED") for run in stack.runs())


def _events(stack: CeleryStack, run_id: str) -> str:
    query = """query($run: ID!) { logsForRun(runId: $run) { ... on EventConnection { events {
        ... on MessageEvent { message } } } } }"""
    return "\n".join(event["message"] for event in stack.ask(query, run=run_id)["logsForRun"]["events"])
