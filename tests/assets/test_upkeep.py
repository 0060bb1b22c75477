"""The asset `lake_upkeep`: what it reports, what it refuses to begin with, and that one bad table stops no other."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from assets.upkeep import upkeep_assets
from kentik_dagster.code_location import build_definitions
from kentik_dagster.configuration import Configuration
from kentik_dagster.errors import ConfigurationError
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import append_objects
from tests.lake.flows import NINE, TEN, flows, objects_in

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Two tables with two files of nine o'clock each."""
    made = Lake(str(tmp_path / "lake"))
    for table in ("flow_logs", "rejected_records"):
        for name in "ab":
            append_objects(made[table], NINE, flows(**{name: 1}).select("export", "hour", "source_object"))
    return made


def keep_up(lake: Lake, now: datetime = NOON, **retention_days: int) -> dg.ExecuteInProcessResult:
    configuration = Configuration(lake=lake.root, retention_days=retention_days)
    definitions = build_definitions(configuration, stopped_at=now.isoformat())
    return definitions.resolve_job_def("upkeep").execute_in_process(raise_on_error=False)


def metadata_of(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    (materialization,) = result.asset_materializations_for_node("lake_upkeep")
    return {name: value.value for name, value in materialization.metadata.items()}


def test_a_run_says_what_it_did_for_each_table(lake: Lake) -> None:
    metadata = metadata_of(keep_up(lake))

    assert metadata["partitions_compacted"] == 2
    assert metadata["files_after"] == 2
    assert re.search(r"^\| flow_logs \| 3 \| 2 \| 1 \|", str(metadata["tables"]), flags=re.MULTILINE)
    details = metadata["details"]
    assert isinstance(details, dict)
    assert details["rejected_records"]["files_before"] == 2
    assert objects_in(lake["flow_logs"]) == {"a": 1, "b": 1}


def test_one_bad_table_fails_the_run_and_stops_no_other(lake: Lake) -> None:
    entry = Path(lake["flow_logs"].uri) / "_delta_log" / "00000000000000000001.json"
    entry.write_text("this is no JSON")

    result = keep_up(lake)

    assert not result.success
    (failure,) = (event for event in result.all_events if event.is_step_failure)
    assert "flow_logs: cannot" in str(failure.step_failure_data.user_failure_data)
    assert lake["rejected_records"].open().files.height == 1


def test_old_hours_of_a_named_table_are_removed_and_of_others_kept(lake: Lake) -> None:
    append_objects(lake["flow_logs"], TEN, flows(TEN, c=1))

    keep_up(lake, now=NOON.replace(hour=10) + timedelta(days=3), flow_logs=2, firewall_logs=2)

    assert (objects_in(lake["flow_logs"]), objects_in(lake["flow_logs"], TEN)) == ({}, {"c": 1})
    assert objects_in(lake["rejected_records"]) == {"a": 1, "b": 1}


@pytest.mark.parametrize("table", ["flowlogs", "org_accounts"])
def test_retention_of_what_has_no_hours_is_refused_when_the_code_location_is_loaded(table: str) -> None:
    configuration = Configuration(retention_days={table: 30})

    with pytest.raises(
        ConfigurationError, match=rf"kentik.yaml: retention_days.{table}: .* may be named are flow_logs"
    ):
        upkeep_assets(configuration)


def test_upkeep_runs_every_hour_without_being_asked() -> None:
    repository = build_definitions(Configuration()).get_repository_def()

    schedule = repository.get_schedule_def("upkeep_every_hour")

    assert schedule.cron_schedule == "25 * * * *"
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert schedule.job_name == "upkeep"
