"""Flows are enriched anew by themselves where metadata that came later says more of them, and only there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from assets.enrichment import ENDS_RESOLVED
from assets.partitions import flow_key
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.code_location import build_definitions
from kentik_dagster.configuration import Configuration, Export
from kentik_dagster.core.address_book import address_book
from kentik_dagster.core.schemas import polars_schema
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import append_objects, merge_partition
from tests.core.history import accounts, changes, made_up_history

HISTORY = made_up_history(1, 1)
CHANGES = changes(HISTORY)
INSTANTS = sorted(CHANGES["observed_at"].unique())
FLOWS = HISTORY.records().select(polars_schema(TABLES["flow_logs"]).names())
(EXPORT,) = FLOWS["export"].unique()
HOURS = sorted(FLOWS["hour"].unique())


@dataclass
class Deployment:
    """A lake with flow logs that are not enriched, and Dagster over it."""

    lake: Lake
    definitions: dg.Definitions
    instance: dg.DagsterInstance
    cursor: str | None = None

    def know(self, until: datetime) -> None:
        """Have an address book that knows the snapshots until then."""
        book = address_book(CHANGES.filter(pl.col("observed_at") <= until), accounts(HISTORY))
        merge_partition(self.lake["address_book"], {}, lambda there: book)

    def enrich(self, hour: str) -> dg.ExecuteInProcessResult:
        job = self.definitions.resolve_job_def("reenrichment")
        return job.execute_in_process(instance=self.instance, partition_key=flow_key(EXPORT, hour))

    def ask(self) -> list[str]:
        """The hours that the sensor asks for, as its run requests name them; they are run."""
        hours = [str(request.partition_key).split("|")[1] for request in self.requests()]
        for hour in hours:
            assert self.enrich(hour).success
        return sorted(hours)

    def requests(self) -> list[dg.RunRequest]:
        """The run requests of a tick of the sensor."""
        sensor = self.definitions.get_repository_def().get_sensor_def("reenrichment")
        resources = self.definitions.resources
        context = dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, definitions=self.definitions, resources=resources
        )
        with context:
            result = sensor.evaluate_tick(context)
        self.cursor = result.cursor
        return list(result.run_requests or [])

    def failed(self, request: dg.RunRequest) -> None:
        """Have a run of a request that failed."""
        self.instance.create_run_for_job(
            self.definitions.resolve_job_def("reenrichment"),
            status=dg.DagsterRunStatus.FAILURE,
            tags={**request.tags, "dagster/partition": str(request.partition_key)},
        )


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    export = Export(name=EXPORT, region="us-east-1", bucket="acme-logs", start=datetime(2026, 11, 22, tzinfo=UTC))
    definitions = build_definitions(
        Configuration(lake=str(tmp_path / "lake"), exports=(export,)), stopped_at="2026-11-23T14:30:00+00:00"
    )
    lake = Lake(str(tmp_path / "lake"))
    for hour in HOURS:
        append_objects(lake["flow_logs"], {"export": EXPORT, "hour": hour}, FLOWS.filter(pl.col("hour") == hour))
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        yield Deployment(lake, definitions, instance)


def test_hours_are_asked_for_once_when_metadata_says_more_of_them(deployment: Deployment) -> None:
    deployment.know(INSTANTS[0])
    for hour in HOURS:
        deployment.enrich(hour)

    first = deployment.ask()
    deployment.know(INSTANTS[-1])
    later, again = deployment.ask(), deployment.ask()

    assert (first, again) == ([], [])
    assert later
    assert set(later) <= set(HOURS)


def test_an_hour_whose_run_failed_is_asked_for_again(deployment: Deployment) -> None:
    deployment.know(INSTANTS[0])
    for hour in HOURS:
        deployment.enrich(hour)
    deployment.know(INSTANTS[-1])
    (request, *_) = deployment.requests()
    deployment.failed(request)

    (again, *_) = deployment.requests()

    assert again.partition_key == request.partition_key
    assert again.run_key != request.run_key


def test_each_hour_says_what_is_not_resolved_where_and_why(deployment: Deployment) -> None:
    deployment.know(INSTANTS[-1])

    result = deployment.enrich(HOURS[-1])

    (materialization,) = result.asset_materializations_for_node("flow_log_batches")
    (check,) = result.get_asset_check_evaluations()
    told = materialization.metadata
    (table,) = [value for name, value in told.items() if name == "unresolved_by_vpc"]
    assert isinstance(table, dg.TableMetadataValue)
    assert {record.data["resolution"] for record in table.records} <= {"unknown", "ambiguous"}
    assert {record.data["export"] for record in table.records} == {EXPORT}
    assert check.check_name == ENDS_RESOLVED
    assert 0 < float(told["unresolved_share"].value) < 1  # type: ignore[arg-type]
    # An account of this organization shows nothing, which is more than a fiftieth of the ends.
    assert not check.passed
    assert check.description is not None
    assert "unresolved_by_vpc" in check.description
