"""The listing sensor: which hours it asks for, and how often."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from assets.partitions import Partitions
from assets.runs import CAN_WAIT_TAG, PASS_TAG, PRIORITY_TAG, RANGE_END_TAG, RANGE_START_TAG
from assets.sensors import listing_sensors
from kentik_dagster.code_location import build_definitions
from kentik_dagster.configuration import Configuration
from kentik_dagster.core.deletion import DELETION_BEGUN
from kentik_dagster.core.flow_log_keys import hour_of
from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.lake.writes import append_objects, merge_partition
from tests.assets.watched_export import NOW, REGION, WatchedExport, ago, hours_asked, keys
from tests.lake.flows import flows

SENSOR = "flow_logs_1_acme"
FAILURE, STARTED = dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.STARTED


@pytest.fixture
def export(aws: Emulator, tmp_path: Path) -> Iterator[WatchedExport]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield WatchedExport(aws, instance, tmp_path)


def ask(export: WatchedExport, cursor: str | None = None) -> list[dg.RunRequest]:
    return list(export.tick(SENSOR, cursor).run_requests or [])


class TestWhichHours:
    def test_exactly_the_hours_with_pending_objects_are_asked_for(self, export: WatchedExport) -> None:
        export.changes["start"] = ago(days=20)
        for file_time in (NOW, ago(minutes=10), ago(hours=5), ago(days=8)):
            export.put(file_time)
        export.put(ago(hours=7), region="eu-west-1")
        export.read(export.put(ago(hours=3)))

        asked = ask(export)

        assert [request.partition_key for request in asked] == keys(8 * 24, 7, 5, 0)

    def test_many_hours_in_a_row_are_asked_for_as_one_run_and_what_is_going_on_alone(
        self, export: WatchedExport
    ) -> None:
        for hours in range(6):
            export.put(ago(hours=hours))

        (older, *going_on) = ask(export)

        assert [older.tags[RANGE_START_TAG], older.tags[RANGE_END_TAG]] == keys(5, 2)
        assert [request.partition_key for request in going_on] == keys(1, 0)

    def test_what_is_going_on_comes_before_what_can_wait(self, export: WatchedExport) -> None:
        for hours in (0, 1, 2, 20):
            export.put(ago(hours=hours))

        asked = ask(export)

        assert {
            str(request.partition_key): (request.tags[PRIORITY_TAG], request.tags.get(CAN_WAIT_TAG))
            for request in asked
        } == dict(zip(keys(20, 2, 1, 0), [("-5", "yes")] * 2 + [("10", None)] * 2, strict=True))

    def test_hours_before_the_start_and_in_the_future_fail_no_tick(self, export: WatchedExport) -> None:
        export.changes["start"] = ago(hours=6)
        for file_time in (ago(hours=2), ago(hours=9), ago(hours=-3)):
            export.put(file_time)

        asked = ask(export)

        assert [request.partition_key for request in asked] == keys(2)

    def test_logs_that_the_export_does_not_collect_are_not_asked_for(self, export: WatchedExport) -> None:
        export.changes |= {"collect_flow_logs": False, "collect_firewall_logs": True}
        export.put(NOW)

        assert ask(export) == []

    def test_an_export_that_starts_later_asks_for_nothing(self, export: WatchedExport) -> None:
        export.changes["start"] = ago(days=-1)
        export.put(NOW)

        assert ask(export) == []


class TestWhatARunLeftBehind:
    def test_hours_whose_flows_are_not_enriched_are_asked_for_until_they_are(self, export: WatchedExport) -> None:
        hour = hour_of(ago(hours=30))  # older than the look-back window lists, and with nothing in the bucket
        export.changes["start"] = ago(days=2)
        partition = {"export": "acme", "hour": hour}
        append_objects(export.lake["flow_logs"], partition, flows(partition, a=2))

        asked = ask(export)
        append_objects(export.lake["enriched_flows"], partition, flows(partition, a=2).drop("start"))
        asked_afterwards = ask(export)

        assert (hours_asked(asked), asked_afterwards) == ([f"acme|{hour}"], [])

    def test_a_sweep_that_was_killed_is_asked_for_again_although_the_bucket_is_empty(
        self, export: WatchedExport
    ) -> None:
        hour = hour_of(ago(hours=3))
        line = {"export": "acme", "hour": hour, "bucket": "b", "key": "k", "etag": "e", "outcome": "would_delete",
                "error": DELETION_BEGUN}  # fmt: skip
        partition = {"export": "acme", "hour": hour}
        merge_partition(export.lake["deletion_sweep"], partition, lambda _: pl.DataFrame([line]))

        assert hours_asked(ask(export)) == [f"acme|{hour}"]

    def test_hours_that_failed_are_asked_for_one_by_one(self, export: WatchedExport) -> None:
        for hours in range(7):
            export.put(ago(hours=hours))
        (range_run, *going_on) = ask(export)
        export.run_was(FAILURE, range_run)
        for run in going_on:
            export.run_was(STARTED, run)

        asked = ask(export)

        assert [request.partition_key for request in asked] == keys(6, 5, 4, 3, 2)

    def test_a_day_older_than_the_window_is_looked_at_until_its_objects_are_read(self, export: WatchedExport) -> None:
        export.changes |= {"start": ago(days=9), "look_back_days": 1}
        key = export.put(ago(days=5))
        sensor = "flow_logs_1_acme"
        first = export.tick(sensor)
        export.now += timedelta(minutes=11)
        again = export.tick(sensor, first.cursor)
        export.read(key)
        export.now += timedelta(minutes=11)
        read = export.tick(sensor, again.cursor)
        export.now += timedelta(minutes=11)
        last = export.tick(sensor, read.cursor)

        assert hours_asked(first.run_requests) == hours_asked(again.run_requests) == keys(5 * 24)
        assert hours_asked(read.run_requests) == []
        assert last.cursor == read.cursor


class TestHowOften:
    def test_an_hour_that_a_run_is_working_for_is_not_asked_for_again(self, export: WatchedExport) -> None:
        export.put(NOW)
        export.put(ago(hours=4))
        (older, _) = ask(export)
        export.run_was(STARTED, older)

        asked = ask(export)

        assert [request.partition_key for request in asked] == keys(0)

    def test_hours_of_a_range_run_in_progress_are_not_asked_for_again(self, export: WatchedExport) -> None:
        for hours in range(2, 6):
            export.put(ago(hours=hours))
        (range_run,) = ask(export)
        export.run_was(STARTED, range_run)

        assert ask(export) == []

    def test_an_unreadable_object_is_asked_for_when_it_is_time_to_try_again(self, export: WatchedExport) -> None:
        key = export.put(ago(hours=1))
        export.read(key, outcome="unreadable", at=ago(minutes=5))
        too_early = ask(export)
        export.read(key, outcome="unreadable", at=ago(minutes=50))
        in_time = ask(export)

        assert (hours_asked(too_early), hours_asked(in_time)) == ([], keys(1))

    def test_new_objects_of_an_hour_whose_run_just_failed_ask_for_no_run_more(self, export: WatchedExport) -> None:
        export.put(ago(hours=1))
        (first,) = ask(export)
        export.run_was(FAILURE, first)
        export.put(NOW)
        (free, failed) = ask(export)
        export.put(ago(hours=1))
        export.put(NOW)
        (free_again, failed_again) = ask(export)

        assert hours_asked([free, failed]) == hours_asked([free_again, failed_again]) == keys(0, 1)
        assert failed.run_key == failed_again.run_key != first.run_key
        assert free.run_key != free_again.run_key

    def test_an_hour_whose_run_failed_once_is_asked_for_again_within_a_minute(self, export: WatchedExport) -> None:
        export.put(ago(hours=1))
        (first,) = ask(export)
        export.run_was(FAILURE, first)
        export.now = export.last_run_ended()
        at_once = ask(export)
        export.now += timedelta(seconds=30)

        soon = ask(export)

        assert at_once == []
        assert hours_asked(soon) == keys(1)

    def test_each_failure_in_a_row_waits_longer_and_is_asked_for_once(self, export: WatchedExport) -> None:
        export.put(ago(hours=1))
        (request,) = ask(export)
        waited, asked_as = [], {request.run_key}
        for _ in range(6):
            export.run_was(FAILURE, request)
            failed_at = export.last_run_ended()
            waits = (14, 16, 59, 61, 119, 121, 299, 301, 599, 601)
            due = []
            for seconds in waits:
                export.now = failed_at + timedelta(seconds=seconds)
                due += [(seconds, one) for one in ask(export)]
            seconds, request = due[0]
            waited.append(seconds)
            assert len({one.run_key for _, one in due}) == 1
            asked_as.add(request.run_key)

        assert waited == [16, 61, 121, 301, 601, 601]
        assert len(asked_as) == 7

    def test_a_run_that_succeeded_makes_up_for_those_that_failed(self, export: WatchedExport) -> None:
        export.put(ago(hours=1))
        (request,) = ask(export)
        for status in (FAILURE, FAILURE, FAILURE, dg.DagsterRunStatus.SUCCESS):
            export.run_was(status, request)
        export.now = datetime.now(UTC)
        export.put(ago(hours=1))

        assert hours_asked(ask(export)) == keys(1)

    def test_who_runs_a_pass_by_hand_does_not_wait(self, export: WatchedExport) -> None:
        export.put(ago(hours=1))
        (request,) = ask(export)
        by_hand = dg.RunRequest(partition_key=request.partition_key, tags={**request.tags, PASS_TAG: "here:1"})
        for _ in range(3):
            export.run_was(FAILURE, by_hand)
        export.now = datetime.now(UTC)

        assert hours_asked(ask(export)) == keys(1)

    def test_sensors_look_more_often_at_a_history_that_goes_faster(self, export: WatchedExport) -> None:
        configuration = Configuration.model_validate(
            {"lake": "/nowhere", "exports": [{"name": "acme", "region": REGION, "bucket": "acme-logs", "start": NOW}]}
        )

        pauses = [
            {
                sensor.minimum_interval_seconds
                for sensor in build_definitions(configuration, times_faster=times_faster).sensors or ()
            }
            for times_faster in (1, 4)
        ]

        assert pauses == [{60, 300}, {15, 75}]

    def test_what_cannot_be_deleted_does_not_go_with_every_new_object(self, export: WatchedExport) -> None:
        export.changes["delete_after_read"] = True
        left_over = [export.put(ago(hours=hours)) for hours in range(1, 7)]
        export.read(*left_over, at=ago(minutes=20))
        export.put(NOW)

        first = export.tick(SENSOR)
        export.now += timedelta(minutes=1)
        second = export.tick(SENSOR, first.cursor)
        export.now += timedelta(minutes=9)
        third = export.tick(SENSOR, second.cursor)

        assert hours_asked(first.run_requests) == keys(0, 6, 5, 4, 3, 2, 1)
        assert hours_asked(second.run_requests) == keys(0)
        assert hours_asked(third.run_requests) == keys(0, 6, 5, 4, 3, 2, 1)


class TestTime:
    def test_a_tick_out_of_time_lists_one_day_and_the_next_goes_on(self, export: WatchedExport) -> None:
        export.changes |= {"look_back_days": 3, "start": ago(days=2)}
        for days in range(3):
            export.put(ago(days=days))
        definitions = export.definitions
        configuration = Configuration.model_validate(
            {"exports": [{"name": "acme", "region": REGION, "bucket": export.bucket, **export.changes}]}
        )
        (sensor,) = listing_sensors(configuration, Partitions(configuration), "flow_logs", seconds=0)

        asked: list[list[str]] = []
        cursors: list[str | None] = [None]
        for _ in range(4):
            tick = export.tick_of(sensor, definitions, cursors[-1])
            asked.append(hours_asked(tick.run_requests))
            cursors.append(tick.cursor)

        assert asked == [keys(0), keys(24), keys(48), []]
        assert cursors[-1] == cursors[-2]

    def test_a_day_that_takes_longer_than_a_tick_is_listed_in_parts(
        self, export: WatchedExport, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("kentik_dagster.aws.flow_logs._FOLDERS_OF_A_PART", 1)
        export.changes |= {"look_back_days": 1, "start": ago(hours=12)}
        for hours, region in enumerate(("eu-west-1", "us-east-1", "us-west-2")):
            export.put(ago(hours=hours), region)
        configuration = Configuration.model_validate(
            {"exports": [{"name": "acme", "region": REGION, "bucket": export.bucket, **export.changes}]}
        )
        (sensor,) = listing_sensors(configuration, Partitions(configuration), "flow_logs", seconds=0)

        asked: list[list[str]] = []
        cursor: str | None = None
        for _ in range(4):
            tick = export.tick_of(sensor, export.definitions, cursor)
            asked.append(hours_asked(tick.run_requests))
            cursor = tick.cursor

        assert asked == [keys(0), keys(1), keys(2), []]

    def test_a_steady_tick_leaves_the_cursor_as_it_was(self, export: WatchedExport) -> None:
        cursor = export.tick(SENSOR).cursor

        assert export.tick(SENSOR, cursor).cursor == cursor

    def test_a_cursor_of_an_older_release_is_understood(self, export: WatchedExport) -> None:
        export.changes["start"] = ago(days=20)
        export.put(ago(days=10))
        before = f'{{"behind":["{ago(days=12):%Y-%m-%d}","{ago(days=8):%Y-%m-%d}"],"until":"{NOW:%Y-%m-%d}"}}'

        assert hours_asked(ask(export, before)) == keys(240)
