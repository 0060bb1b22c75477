"""The notification sensor: messages become runs, and go when nothing depends on them any more."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from kentik_dagster.catalog.flow_logs import VPC_DEFAULT_FORMAT
from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.errors import QueueError
from kentik_dagster.one_pass import OnePass
from tests.assets.watched_export import NOW, WatchedExport, ago, hours_asked, keys

LISTING, SENSOR, REENRICHMENT = "flow_logs_1_acme", "notifications_1_acme", "reenrichment"
FAILURE, STARTED = dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.STARTED
TEST_EVENT = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent"})


@pytest.fixture
def export(aws: Emulator, tmp_path: Path) -> Iterator[WatchedExport]:
    with dg.DagsterInstance.ephemeral() as instance:
        made = WatchedExport(aws, instance, tmp_path)
        made.changes["notification_queue"] = made.queue
        yield made


def test_without_a_queue_there_is_no_such_sensor(export: WatchedExport) -> None:
    del export.changes["notification_queue"]

    assert [sensor.name for sensor in export.definitions.get_repository_def().sensor_defs] == [LISTING, REENRICHMENT]


def test_the_hours_of_new_objects_are_asked_for_and_the_messages_go_in_the_next_tick(export: WatchedExport) -> None:
    created = [export.put(file_time) for file_time in (NOW, ago(minutes=10), ago(hours=5))]
    export.send(*map(export.event, created))

    first = export.tick(SENSOR)
    held = export.messages()
    export.read(*created)
    second = export.tick(SENSOR, first.cursor)

    assert hours_asked(first.run_requests) == keys(5, 0)
    assert [request.tags["kentik/reason"] for request in first.run_requests or []] == ["notification"] * 2
    assert held == 3
    assert (second.run_requests, export.messages()) == ([], 0)


def test_many_hours_in_a_row_are_one_run(export: WatchedExport) -> None:
    export.send(*(export.event(export.put(ago(hours=hours))) for hours in range(2, 8)))

    (asked,) = export.tick(SENSOR).run_requests or []

    assert hours_asked([asked]) == keys(7, 6, 5, 4, 3, 2)


def test_messages_that_nothing_depends_on_go_at_once(export: WatchedExport) -> None:
    export.changes["start"] = ago(hours=6)
    known = export.put(NOW)
    export.read(known)
    export.send(
        TEST_EVENT,
        "poison",
        export.event(known),
        export.event(export.put(ago(hours=9))),
        export.event(export.put(ago(hours=-3))),
        export.event(export.put(NOW), bucket="somebody-elses-logs"),
        export.event("AWSLogs/123456789012/CloudTrail/us-east-1/2026/11/23/trail.json.gz", bucket=export.bucket),
    )

    tick = export.tick(SENSOR)

    assert (tick.run_requests, tick.cursor, export.messages()) == ([], None, 0)


def test_an_object_below_another_prefix_is_not_ours(export: WatchedExport) -> None:
    export.changes["bucket_prefix"] = "ours"
    export.send(export.event(export.put(NOW)))

    assert export.tick(SENSOR).run_requests == []


def test_a_tick_that_was_killed_is_repeated_and_asks_for_the_same_run(export: WatchedExport) -> None:
    created = export.put(NOW)
    export.send(export.event(created))
    (killed,) = export.tick(SENSOR).run_requests or []

    export.send(export.event(created))  # SQS gives it again when its time is over
    (repeated,) = export.tick(SENSOR).run_requests or []

    assert killed.run_key == repeated.run_key


def test_what_comes_again_when_the_ledger_has_it_asks_for_nothing(export: WatchedExport) -> None:
    created = export.put(NOW)
    export.send(export.event(created))
    first = export.tick(SENSOR)
    export.read(created)
    second = export.tick(SENSOR, first.cursor)
    export.send(export.event(created), export.event(created))

    third = export.tick(SENSOR, second.cursor)

    assert (third.run_requests, export.messages()) == ([], 0)


@pytest.mark.parametrize("status", [STARTED, FAILURE])
def test_an_object_waits_while_its_hour_is_busy_or_has_failed_and_is_not_lost(
    export: WatchedExport, status: dg.DagsterRunStatus
) -> None:
    export.send(export.event(export.put(NOW)))
    first = export.tick(SENSOR)
    (asked,) = first.run_requests or []
    run = export.run_was(status, asked)
    export.send(export.event(export.put(NOW)))
    export.now = datetime.now(UTC)

    second = export.tick(SENSOR, first.cursor)
    for _ in range(4):  # what waits is not given up
        second = export.tick(SENSOR, second.cursor)
    export.instance.delete_run(run.run_id)
    third = export.tick(SENSOR, second.cursor)

    assert (second.run_requests, export.messages()) == ([], 0)
    assert hours_asked(third.run_requests) == keys(0)


def test_a_queue_that_is_missing_fails_the_tick_with_the_way_out(export: WatchedExport) -> None:
    export.changes["notification_queue"] += "-of-yore"

    with pytest.raises(QueueError, match="correct `notification_queue` of export 'acme'"):
        export.tick(SENSOR)


def test_an_empty_queue_leaves_the_cursor_as_it_was(export: WatchedExport) -> None:
    steady = '{"handles":[],"objects":{}}'

    assert export.tick(SENSOR).cursor is None
    assert export.tick(SENSOR, steady).cursor == steady


def test_a_remembered_object_of_an_hour_that_is_no_partition_any_more_fails_no_tick(export: WatchedExport) -> None:
    old = '{"handles":["of yore"],"objects":{"20200101T0005Z_0123456789ab":1}}'

    tick = export.tick(SENSOR, old)

    assert (tick.run_requests, tick.cursor) == ([], '{"handles":[],"objects":{}}')


def test_one_pass_reads_what_the_queue_names_and_comes_to_an_end(export: WatchedExport) -> None:
    created = [export.put(export.now - timedelta(minutes=minutes)) for minutes in (0, 5)]
    export.send(TEST_EVENT, "poison", *map(export.event, created))
    told: list[str] = []
    loggers = {"progress": dg.LoggerDefinition(lambda _: logging.getLogger("quiet"))}
    definitions = dg.Definitions.merge(export.definitions, dg.Definitions(loggers=loggers))
    one_pass = OnePass(definitions, export.instance, tell=told.append, working=lambda text: None)

    one_pass.ask_sensors()

    assert one_pass.failures == []
    assert [text for text in told if text.startswith(SENSOR)][-1].startswith(f"{SENSOR}: nothing to ask for")
    assert sorted(export.lake["flow_log_objects"].read()["key"]) == sorted(created)
    assert export.messages() == 0


def test_a_tenth_of_the_messages_lost_and_the_others_three_times_in_any_order_lose_and_double_nothing(
    export: WatchedExport,
) -> None:
    order = random.Random(7)
    times = [export.now - timedelta(minutes=12 * number) for number in range(20)]
    created = [export.put(time, text=record(number)) for number, time in enumerate(times)]
    told = order.sample(created, 18)
    bodies = [export.event(key) for key in told] * 3
    order.shuffle(bodies)
    export.send(*bodies)

    asked: set[str] = set()
    cursor = None
    for _ in range(3):
        tick = export.tick(SENSOR, cursor)
        asked.update(hours_asked(tick.run_requests))
        run(export, tick)
        cursor = tick.cursor
    read_by_notification = export.lake["flow_log_objects"].read()["key"].to_list()
    listing = export.tick(LISTING)
    asked.update(hours_asked(listing.run_requests))
    run(export, listing)

    flows = export.lake["flow_logs"].read()
    assert asked == {f"acme|{time:%Y-%m-%dT%H}" for time in times}
    assert set(told) <= set(read_by_notification)
    assert sorted(export.lake["flow_log_objects"].read()["key"]) == sorted(created)
    assert export.messages() == 0
    assert export.tick(LISTING).run_requests == []
    assert flows.height == flows["srcport"].n_unique() == len(created)


def record(number: int) -> bytes:
    """A flow log of one record, which no other number has."""
    line = f"2 123456789012 eni-0123456789abcdef0 10.0.0.5 192.0.2.7 {number} 443 6 10 900 1000 1060 ACCEPT OK"
    return f"{' '.join(VPC_DEFAULT_FORMAT)}\n{line}\n".encode()


def run(export: WatchedExport, tick: dg.SensorExecutionData) -> None:
    """Do what a tick asks for, in this process."""
    job = export.definitions.resolve_job_def("flow_logs")
    for request in tick.run_requests or []:
        done = job.execute_in_process(
            instance=export.instance,
            partition_key=request.partition_key,
            tags=request.tags,
            run_config=request.run_config,
        )
        assert done.success
