"""The code location as Dagster loads it: the graph, its partitions, its jobs."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from assets.runs import RANGE_START_TAG
from kentik_dagster.catalog.lineage import LINEAGE
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.code_location import build_definitions
from kentik_dagster.configuration import Configuration

PROJECT = Path(__file__).parents[2]
CONFIGURATION = Configuration.model_validate(
    {
        "lake": "/nowhere/lake",
        "exports": [
            {"name": "acme-prod", "region": "us-east-1", "bucket": "acme-logs", "start": "2026-11-01"},
            {"name": "acme.dev", "region": "eu-west-1", "bucket": "dev-logs", "start": "2026-11-20T06:00"},
        ],
    }
)
# Asset, what it is made from, and its partitions: the story that the graph tells.
GRAPH = {
    "s3/acme-logs": ((), "export x hour"),
    "s3/dev-logs": ((), "export x hour"),
    "org_accounts": ((), "none"),
    "metadata_changes": (("org_accounts",), "account"),
    "metadata_calls": (("org_accounts",), "account"),
    "address_book": (("metadata_changes", "org_accounts"), "none"),
    "flow_logs": (("s3/acme-logs", "s3/dev-logs"), "export x hour"),
    "flow_log_objects": (("s3/acme-logs", "s3/dev-logs"), "export x hour"),
    "firewall_logs": (("s3/acme-logs", "s3/dev-logs"), "export x hour"),
    "rejected_records": (("s3/acme-logs", "s3/dev-logs"), "export x hour"),
    "enriched_flows": (("address_book", "firewall_logs", "flow_logs"), "export x hour"),
    "deletion_sweep": (("firewall_logs", "flow_log_objects", "flow_logs"), "export x hour"),
    "cloud_devices": (("address_book", "firewall_logs", "flow_logs"), "none"),
    "metric_listings": (("org_accounts",), "none"),
    "metric_series": (("metadata_changes", "metric_listings", "org_accounts"), "hour"),
    "lake_upkeep": ((), "none"),
    "status_page": (
        ("cloud_devices", "flow_log_objects", "metadata_calls", "metadata_changes", "org_accounts"),
        "none",
    ),
    "aws_setup": ((), "none"),
}


# The module of an asset's code, where it is called otherwise.
MODULES = {
    "org_accounts": "accounts", "metadata_changes": "network", "metadata_calls": "network", "address_book": "network",
    "firewall_logs": "flow_logs", "flow_log_objects": "flow_logs", "rejected_records": "flow_logs",
    "enriched_flows": "flow_logs", "cloud_devices": "devices", "metric_listings": "metrics",
    "metric_series": "metrics", "deletion_sweep": "deletion", "lake_upkeep": "upkeep", "status_page": "status",
}  # fmt: skip


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions(CONFIGURATION)


def test_the_graph_is_the_one_of_the_design(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()

    found = {
        key.to_user_string(): (
            tuple(sorted(parent.to_user_string() for parent in graph.get(key).parent_keys)),
            _partitions(graph.get(key).partitions_def),
        )
        for key in graph.get_all_asset_keys()
    }

    assert found == GRAPH


def test_every_table_says_when_it_is_late_and_where_its_code_is(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()

    for name in (*TABLES, "lake_upkeep", "status_page"):
        node = graph.get(dg.AssetKey(name))
        assert node.freshness_policy is not None, name
        (source,) = node.metadata["dagster/code_references"].code_references
        assert Path(source.file_path).relative_to(PROJECT / "assets").stem == MODULES.get(name, name), name


def test_every_asset_has_an_owner_and_derived_columns_say_what_they_are_made_from(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()

    for name, parents in ((name, parents) for name, (parents, _) in GRAPH.items()):
        node = graph.get(dg.AssetKey(name.split("/")))
        assert node.owners == ["team:network"], name
        sources = {source for columns in LINEAGE.get(name, {}).values() for source, _ in columns}
        assert sources <= set(parents), name


def test_owners_are_those_of_the_configuration() -> None:
    owned = build_definitions(CONFIGURATION.model_copy(update={"owners": ("noc@example.com",)}))

    assert owned.resolve_asset_graph().get(dg.AssetKey("flow_logs")).owners == ["noc@example.com"]


def _partitions(definition: dg.PartitionsDefinition | None) -> str:
    match definition:
        case None:
            return "none"
        case dg.MultiPartitionsDefinition():
            return " x ".join(sorted(dimension.name for dimension in definition.partitions_defs))
        case dg.DynamicPartitionsDefinition():
            return str(definition.name)
        case _:
            return "hour"


def test_every_table_of_the_catalog_is_an_asset_that_says_its_rows_and_columns(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()

    for name, table in TABLES.items():
        node = graph.get(dg.AssetKey(name))
        assert node.description == f"One row is {table.row}."
        schema = node.metadata["dagster/column_schema"]
        assert isinstance(schema, dg.TableSchema)
        assert [column.name for column in schema.columns] == [column.name for column in table.columns]


def test_hours_begin_with_the_first_export_and_hold_the_hour_that_is_filling(definitions: dg.Definitions) -> None:
    flows = definitions.resolve_asset_graph().get(dg.AssetKey("flow_logs")).partitions_def

    assert flows is not None
    assert flows.has_partition_key("acme-prod|2026-11-01T00")
    assert not flows.has_partition_key("acme-prod|2026-10-31T23")


def test_each_export_has_a_sensor_and_the_rest_has_schedules(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()

    assert sorted(sensor.name for sensor in repository.sensor_defs) == [
        "flow_logs_1_acme_prod",
        "flow_logs_2_acme_dev",
        "reenrichment",
    ]
    assert {schedule.name: schedule.cron_schedule for schedule in repository.schedule_defs} == {
        "accounts_every_hour": "0 * * * *",
        "metadata_every_quarter_hour": "*/15 * * * *",
        "devices_every_quarter_hour": "5,20,35,50 * * * *",
        "metrics_every_five_minutes": "*/5 * * * *",
        "daily_metrics_every_six_hours": "40 */6 * * *",
        "upkeep_every_hour": "25 * * * *",
        "status_every_quarter_hour": "10,25,40,55 * * * *",
        "verification_every_six_hours": "50 */6 * * *",
    }


def test_the_metrics_schedule_asks_for_no_hour_before_the_first_export(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    schedule = repository.get_schedule_def("metrics_every_five_minutes")

    def asked(at: datetime) -> list[str | None]:
        instance = dg.DagsterInstance.ephemeral()
        context = dg.build_schedule_context(instance, scheduled_execution_time=at, repository_def=repository)
        requests = schedule.evaluate_tick(context).run_requests or []
        return [request.partition_key or request.tags[RANGE_START_TAG] for request in requests]

    assert asked(datetime(2026, 11, 1, 0, 5, tzinfo=UTC)) == ["2026-11-01T00"]
    assert asked(datetime(2026, 11, 1, 1, 5, tzinfo=UTC)) == ["2026-11-01T00"]
    assert asked(datetime(2026, 10, 31, 1, 5, tzinfo=UTC)) == []


def test_datapoints_of_whole_days_are_asked_for_again_on_the_days_after(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    at = datetime(2026, 11, 3, 6, 40, tzinfo=UTC)

    with dg.build_schedule_context(
        dg.DagsterInstance.ephemeral(), scheduled_execution_time=at, repository_def=repository
    ) as context:
        tick = repository.get_schedule_def("daily_metrics_every_six_hours").evaluate_tick(context)

    requests = tick.run_requests or []
    assert [request.partition_key for request in requests] == ["2026-11-01T00", "2026-11-02T00"]
    assert {request.run_config["ops"]["metric_series"]["config"]["daily_only"] for request in requests} == {True}


def test_dagster_finds_the_definitions_valid(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "KENTIK_"))}
    environment = {
        "KENTIK_DAGSTER_CONFIG": str(PROJECT / "kentik.example.yaml"),
        "DAGSTER_HOME": str(tmp_path),
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }

    done = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-w", str(PROJECT / "workspace.yaml")],
        env=kept | environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "All code locations passed validation" in done.stdout + done.stderr


def test_without_any_export_the_graph_can_still_be_seen() -> None:
    definitions = build_definitions(Configuration())

    graph = definitions.resolve_asset_graph()

    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == {
        *TABLES,
        "lake_upkeep",
        "status_page",
        "aws_setup",
    }
