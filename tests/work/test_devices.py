"""Devices counted in a lake: what is read, what is remembered, and what stays when hours are removed."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import time_machine

from kentik_dagster.configuration import Export
from kentik_dagster.core.schemas import polars_schema
from kentik_dagster.lake.compaction import compact
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.upkeep import remove_partition
from kentik_dagster.lake.writes import append_objects, append_rows, merge_partition
from kentik_dagster.work.devices import DevicesCounted, count_devices

ACCOUNT, REGION = "111122223333", "us-east-1"
NINE = datetime(2026, 11, 23, 9, tzinfo=UTC)
EXPORT = Export(name="acme", region=REGION, bucket="acme-logs", start=date(2026, 11, 1), collect_firewall_logs=True)


class Logs:
    """A lake into which log objects are read, and whose devices are counted."""

    def __init__(self, folder: Path) -> None:
        self.lake = Lake(str(folder))
        self._objects = 0

    def read(self, table: str, at: datetime, *records: dict[str, Any], export: str = "acme") -> None:
        """Read an object of records that end at an instant."""
        self._objects += 1
        partition = {"export": export, "hour": f"{at:%Y-%m-%dT%H}"}
        named = partition | {"source_object": f"{at:%Y%m%dT%H%MZ}_{self._objects:012x}", "account_id": ACCOUNT}
        schema = polars_schema(self.lake[table].table)
        columns = {name: schema[name] for row in records for name in (named | row)}
        append_objects(self.lake[table], partition, pl.DataFrame([named | row for row in records], schema=columns))

    def flows(self, at: datetime, *senders: dict[str, Any], export: str = "acme") -> None:
        whole = {"log_type": "vpc", "log_status": "OK", "start": at - timedelta(minutes=1), "end": at}
        self.read("flow_logs", at, *(whole | sender for sender in senders), export=export)

    def knows(self, *resources: dict[str, Any]) -> None:
        """A snapshot of the account."""
        table = self.lake["metadata_changes"]
        rows = pl.DataFrame(resources, schema=polars_schema(table.table))
        append_rows(table, {"account_id": ACCOUNT}, lambda there: rows)

    def knows_interface(self, eni_id: str, vpc_id: str) -> None:
        table = self.lake["address_book"]
        facts = {"kind": "interface_address", "eni_id": eni_id, "vpc_id": vpc_id}
        merge_partition(table, {}, lambda there: pl.DataFrame([facts], schema=polars_schema(table.table)))

    def count(self) -> DevicesCounted:
        return count_devices(self.lake, [EXPORT])

    def statuses(self) -> dict[str, str]:
        return dict(self.count().devices.select("device_id", "status").iter_rows())


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    return Logs(tmp_path)


def resource(kind: str, resource_id: str, name: str | None = None, **attributes: object) -> dict[str, Any]:
    return {
        "account_id": ACCOUNT, "region": REGION, "resource_type": kind, "resource_id": resource_id, "name": name,
        "owner_account_id": ACCOUNT, "attributes": json.dumps(attributes), "change": "added", "observed_at": NINE,
    }  # fmt: skip


def hour(number: float) -> datetime:
    return NINE + timedelta(hours=number)


def test_devices_of_all_kinds_of_logs_are_in_the_table(logs: Logs) -> None:
    logs.flows(hour(0), {"vpc_id": "vpc-1"}, {"interface_id": "eni-1"})
    logs.flows(hour(0), {"log_type": "transit_gateway", "tgw_id": "tgw-1"})
    logs.read("firewall_logs", hour(0), {"firewall_name": "edge-fw", "region": REGION, "timestamp": hour(0)})

    counted = logs.count()

    assert counted.devices.select("device_type", "device_id", "status").rows() == [
        ("firewall", "edge-fw", "OK"),
        ("network_interface", "eni-1", "OK"),
        ("transit_gateway", "tgw-1", "OK"),
        ("vpc", "vpc-1", "OK"),
    ]
    assert counted.devices.equals(logs.lake["cloud_devices"].read().select(counted.devices.columns))


def test_only_hours_that_changed_are_read_again(logs: Logs) -> None:
    for number in range(5):
        logs.flows(hour(number), {"vpc_id": "vpc-1"})

    assert logs.count().hours == 5
    assert logs.count().hours == 0

    logs.flows(hour(2), {"vpc_id": "vpc-late"})
    again = logs.count()

    assert (again.hours, again.rows) == (1, 2)
    assert again.devices["device_id"].to_list() == ["vpc-1", "vpc-late"]


def test_a_run_without_news_writes_nothing(logs: Logs) -> None:
    logs.flows(hour(0), {"vpc_id": "vpc-1"})
    logs.count()
    version = logs.lake["cloud_devices"].open().version

    logs.count()

    assert logs.lake["cloud_devices"].open().version == version


def test_compaction_hides_no_rows_that_were_not_counted_and_lets_none_be_read_again(logs: Logs) -> None:
    logs.flows(hour(0), {"vpc_id": "vpc-1"})
    logs.count()
    logs.flows(hour(0), {"vpc_id": "vpc-2"})
    compact(logs.lake["flow_logs"], {"export": "acme", "hour": "2026-11-23T09"})

    counted = logs.count()

    assert counted.devices["device_id"].to_list() == ["vpc-1", "vpc-2"]
    assert logs.count().hours == 0


def test_an_hour_that_fills_is_counted_whole_and_not_twice(logs: Logs) -> None:
    logs.flows(hour(0.25), *[{"vpc_id": "vpc-1"}] * 3)
    logs.count()
    logs.flows(hour(0.5), *[{"vpc_id": "vpc-1"}] * 3)

    (device,) = logs.count().devices.to_dicts()

    assert (device["first_seen_at"], device["last_seen_at"]) == (hour(0.25), hour(0.5))
    assert device["stored_flows_per_second"] == 6 / (16 * 60)


def test_devices_stay_when_their_hours_are_removed(logs: Logs) -> None:
    logs.flows(hour(0), {"vpc_id": "vpc-1"})
    before = logs.count().devices
    remove_partition(logs.lake["flow_logs"], {"export": "acme", "hour": "2026-11-23T09"})

    after = logs.count()

    assert (after.devices.to_dicts(), after.hours) == (before.to_dicts(), 0)


def test_a_device_falls_silent_by_the_hours_of_its_own_export(logs: Logs) -> None:
    logs.flows(hour(0), {"vpc_id": "vpc-1"})
    logs.flows(hour(0), {"vpc_id": "vpc-2"})
    logs.flows(hour(0), {"vpc_id": "vpc-3"}, export="other")
    logs.flows(hour(2), {"vpc_id": "vpc-2"})

    assert logs.statuses() == {"vpc-1": "Error", "vpc-2": "OK", "vpc-3": "OK"}


def test_metadata_names_devices_and_says_which_are_waited_for(logs: Logs) -> None:
    told = {
        "ResourceId": "vpc-2", "FlowLogStatus": "ACTIVE", "LogDestinationType": "s3",
        "LogDestination": "arn:aws:s3:::acme-logs",
    }  # fmt: skip
    logs.knows(resource("vpc", "vpc-1", "prod"), resource("vpc", "vpc-2", "test"), resource("flow_log", "fl-1", **told))
    logs.knows_interface("eni-1", "vpc-1")
    logs.flows(hour(0), {"interface_id": "eni-1"})

    devices = logs.count().devices

    assert devices.select("device_id", "device_name", "region", "status").rows() == [
        ("vpc-1", "prod", REGION, "OK"), ("vpc-2", "test", REGION, "Pending"),
    ]  # fmt: skip


def test_interfaces_join_their_vpc_without_their_hours_being_read_again(logs: Logs) -> None:
    logs.flows(hour(0), {"interface_id": "eni-1"})
    logs.count()
    logs.knows_interface("eni-1", "vpc-1")

    counted = logs.count()

    assert (counted.devices["device_id"].to_list(), counted.hours) == (["vpc-1"], 0)


def test_rows_that_name_nothing_are_told(logs: Logs) -> None:
    logs.flows(hour(0), {"resource_id": "nat-1"}, {"vpc_id": "vpc-1"})

    counted = logs.count()

    assert (counted.rows, counted.nameless_rows, counted.devices.height) == (2, 1, 1)


def test_progress_says_which_hours_are_counted(logs: Logs) -> None:
    logs.flows(hour(0), {"vpc_id": "vpc-1"})
    said: list[str] = []

    count_devices(logs.lake, [EXPORT], progress=said.append)

    assert said == ["acme 2026-11-23T09: 1 flow_logs counted (1 of 1)"]


def test_a_damaged_hour_hides_no_other_and_is_counted_once_it_can_be_read(logs: Logs) -> None:
    logs.flows(hour(0), {"vpc_id": "vpc-1"})
    with time_machine.travel(datetime.now(UTC) + timedelta(days=2)):  # so long that the first would be out of sight
        logs.flows(hour(1), {"vpc_id": "vpc-2"})
    snapshot = logs.lake["flow_logs"].open()
    (path,) = snapshot.files_of({"hour": "2026-11-23T09"})["path"]
    file = Path(snapshot.handle.folder) / path
    kept = file.rename(file.with_suffix(".kept"))

    damaged = logs.count()
    kept.rename(file)
    mended = logs.count()

    assert damaged.devices["device_id"].to_list() == ["vpc-2"]
    assert [failure.split(": cannot read")[0] for failure in damaged.failures] == ["acme 2026-11-23T09"]
    assert mended.devices["device_id"].to_list() == ["vpc-1", "vpc-2"]
    assert (mended.hours, mended.failures) == (1, ())
