"""The asset `cloud_devices`: what it reports, how it fails, and when it runs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from kentik_dagster.code_location import build_definitions
from kentik_dagster.configuration import Configuration
from kentik_dagster.core.schemas import polars_schema
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import append_objects
from kentik_dagster.one_pass import AFTER_SENSORS, BEFORE_SENSORS

NINE = {"export": "acme", "hour": "2026-11-23T09"}
EXPORT = {"name": "acme", "region": "us-east-1", "bucket": "acme-logs", "start": "2026-11-23"}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A busy VPC, a quiet one, and a record that names nothing."""
    made = Lake(str(tmp_path / "lake"))
    senders: list[dict[str, Any]] = [{"vpc_id": "vpc-busy"}] * 3 + [{"vpc_id": "vpc-quiet"}, {}]
    times = {"start": datetime(2026, 11, 23, 9, tzinfo=UTC), "end": datetime(2026, 11, 23, 9, 10, tzinfo=UTC)}
    rows = [NINE | times | {"source_object": "20261123T0910Z_0", "log_type": "vpc"} | sender for sender in senders]
    table = made["flow_logs"]
    columns = ("export", "hour", "source_object", "log_type", "vpc_id", "start", "end")
    schema = {name: polars_schema(table.table)[name] for name in columns}
    append_objects(table, NINE, pl.DataFrame(rows, schema=schema))
    return made


def count(lake: Lake) -> dg.ExecuteInProcessResult:
    configuration = Configuration.model_validate({"lake": lake.root, "exports": [EXPORT]})
    job = build_definitions(configuration).resolve_job_def("devices")
    return job.execute_in_process(raise_on_error=False)


def test_a_run_says_which_devices_there_are_and_which_are_busiest(lake: Lake) -> None:
    (materialization,) = count(lake).asset_materializations_for_node("cloud_devices")

    metadata = materialization.metadata
    busiest = metadata["busiest_devices"]
    assert isinstance(busiest, dg.TableMetadataValue)
    assert [(row.data["device_name"], row.data["flows_per_second"]) for row in busiest.records] == [
        ("vpc-busy", 0.005), ("vpc-quiet", 0.002),
    ]  # fmt: skip
    others = metadata.keys() - {"busiest_devices", "dagster/column_lineage"}
    assert {name: metadata[name].value for name in others} == {
        "dagster/row_count": 2,
        "devices_by_type": {"vpc": 2},
        "devices_by_status": {"OK": 2},
        "hours_counted": 1,
        "rows_counted": 5,
        "rows_without_device": 1,
    }


def test_an_hour_that_cannot_be_read_fails_the_run_by_name(lake: Lake) -> None:
    snapshot = lake["flow_logs"].open()
    (Path(snapshot.handle.folder) / snapshot.files["path"][0]).unlink()

    result = count(lake)

    (failure,) = (event for event in result.all_events if event.is_step_failure)
    assert not result.success
    assert "acme 2026-11-23T09: cannot read" in str(failure.step_failure_data.user_failure_data)


def test_without_any_logs_there_are_no_devices(tmp_path: Path) -> None:
    empty = Lake(str(tmp_path / "lake"))

    result = count(empty)

    assert result.success
    assert empty["cloud_devices"].read().is_empty()


def test_in_one_pass_devices_are_counted_after_the_logs_are_read_and_the_metadata_is_known() -> None:
    repository = build_definitions(Configuration()).get_repository_def()

    schedule = repository.get_schedule_def("devices_every_quarter_hour")

    assert schedule.job_name == "devices"
    assert schedule.name in AFTER_SENSORS
    assert "metadata_every_quarter_hour" in BEFORE_SENSORS
