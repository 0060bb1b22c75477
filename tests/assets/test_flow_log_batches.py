"""One computation reads and enriches; Dagster may ask it for all of its tables or for some."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from assets.enrichment import EnrichmentConfig
from assets.flow_log_results import LINES_READABLE, ROWS_THERE
from assets.runs import RANGE_END_TAG, RANGE_START_TAG
from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.errors import LakeError
from tests.assets.watched_export import WatchedExport, ago, keys

TEXT = "".join(
    f"{line}\n"
    for line in (
        "version interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status",
        "2 eni-0a1 10.0.0.1 198.51.100.2 40001 443 6 10 5000 1795424400 1795424460 ACCEPT OK",
        "2 eni-0a1 10.0.0.1 198.51.100.2 40002 443 6 10 5000 1795424400 1795424460 ACCEPT OK",
    )
).encode()
OBJECTS = ("flow_logs", "firewall_logs", "flow_log_objects", "rejected_records")


@pytest.fixture
def export(aws: Emulator, tmp_path: Path) -> Iterator[WatchedExport]:
    with dg.DagsterInstance.ephemeral() as instance:
        made = WatchedExport(aws, instance, tmp_path)
        made.put(ago(hours=2), text=TEXT)
        yield made


def materialise(export: WatchedExport, *tables: str, rebuild: bool = True) -> dg.ExecuteInProcessResult:
    """Ask for some tables of the hour, as the Dagster UI does."""
    job = export.definitions.resolve_job_def("__ASSET_JOB")
    return job.get_subset(asset_selection={dg.AssetKey(table) for table in tables}).execute_in_process(
        instance=export.instance,
        partition_key=keys(2)[0],
        run_config=dg.RunConfig(ops={"flow_log_batches": EnrichmentConfig(rebuild=rebuild)}),
        raise_on_error=False,
    )


def rows(export: WatchedExport) -> Mapping[str, int]:
    return {table: export.lake[table].read().height for table in ("flow_logs", "flow_log_objects", "enriched_flows")}


def materialised(export: WatchedExport) -> set[str]:
    """The tables of which Dagster knows this hour."""
    return {
        table
        for table in (*OBJECTS, "enriched_flows")
        if keys(2)[0] in export.instance.get_materialized_partitions(dg.AssetKey(table))
    }


@pytest.mark.parametrize("rebuild", [True, False])
def test_all_tables_are_made_in_one_pass(export: WatchedExport, rebuild: bool) -> None:
    result = materialise(export, *OBJECTS, "enriched_flows", rebuild=rebuild)

    assert result.success
    assert rows(export) == {"flow_logs": 2, "flow_log_objects": 1, "enriched_flows": 2}
    assert materialised(export) == {*OBJECTS, "enriched_flows"}
    (told,) = export.instance.fetch_materializations(dg.AssetKey("enriched_flows"), limit=1).records
    assert told.asset_materialization is not None
    assert told.asset_materialization.metadata["dagster/partition_row_count"].value == 2
    assert told.asset_materialization.metadata["resolutions"].value == {"external": 2, "unknown": 2}


def test_an_hour_says_what_it_has_and_what_a_run_did_for_it_whether_or_not_there_was_anything_to_do(
    export: WatchedExport,
) -> None:
    first = materialise(export, *OBJECTS)
    again = materialise(export, *OBJECTS)

    def numbers(result: dg.ExecuteInProcessResult, table: str) -> dict[str, Any]:
        told = _told(result, table, keys(2)[0])
        return {name: value.value for name, value in told.items() if isinstance(value.value, int | float)}

    size = export.lake["flow_log_objects"].read()["size_bytes"].sum()
    for result, read in ((first, 1), (again, 0)):
        flow_logs, objects = numbers(result, "flow_logs"), numbers(result, "flow_log_objects")
        assert flow_logs["dagster/partition_row_count"] == 2
        assert (flow_logs["objects"], flow_logs["object_bytes"], flow_logs["rejected_lines"]) == (1, size, 0)
        assert flow_logs["lag_seconds_p50"] <= flow_logs["lag_seconds_p95"] == objects["lag_seconds_p95"]
        assert flow_logs["rows_in_run"] == 2 * read
        assert (objects["dagster/partition_row_count"], objects["objects_in_run"]) == (1, read)
        assert (objects["get_requests_in_run"], objects["bytes_in_run"]) == (read, size * read)
        assert objects["list_requests_in_run"] >= 3
        assert numbers(result, "rejected_records")["dagster/partition_row_count"] == 0
        assert numbers(result, "firewall_logs")["dagster/partition_row_count"] == 0
    sources = _told(first, "flow_log_objects", keys(2)[0])["objects_by_source"]
    assert isinstance(sources, dg.TableMetadataValue)
    assert [record.data for record in sources.records] == [
        {"account_id": "123456789012", "region": "us-east-1", "family": "vpcflowlogs", "objects": 1,
         "size_bytes": size, "rows": 2, "rejected_lines": 0}
    ]  # fmt: skip


def test_flow_logs_alone_are_read_and_not_enriched(export: WatchedExport) -> None:
    result = materialise(export, "flow_logs")

    assert result.success
    assert rows(export) == {"flow_logs": 2, "flow_log_objects": 1, "enriched_flows": 0}
    # All tables of objects are kept together, and Dagster is told of each.
    assert materialised(export) == set(OBJECTS)


def test_enriched_flows_alone_are_made_of_what_was_read(export: WatchedExport) -> None:
    materialise(export, "flow_logs")
    export.put(ago(hours=2), text=TEXT)

    result = materialise(export, "enriched_flows")

    assert result.success
    assert rows(export) == {"flow_logs": 2, "flow_log_objects": 1, "enriched_flows": 2}


@pytest.mark.parametrize("rebuild", [True, False])
def test_an_hour_that_goes_on_has_each_record_once(export: WatchedExport, rebuild: bool) -> None:
    for _ in range(2):
        materialise(export, *OBJECTS, "enriched_flows", rebuild=rebuild)
        export.put(ago(hours=2), text=TEXT.replace(b"4000", b"5000"))
    result = materialise(export, *OBJECTS, "enriched_flows", rebuild=rebuild)

    assert result.success
    assert rows(export) == {"flow_logs": 6, "flow_log_objects": 3, "enriched_flows": 6}


def test_an_address_book_that_cannot_be_read_keeps_no_record_out(export: WatchedExport) -> None:
    book = export.lake["address_book"]
    book.open()
    log = Path(book.uri) / "_delta_log"
    (log / f"{0:020}.json").write_text("no log of Delta")

    result = materialise(export, *OBJECTS, "enriched_flows")

    assert not result.success
    assert rows(export) == {"flow_logs": 2, "flow_log_objects": 1, "enriched_flows": 0}
    assert materialised(export) == set(OBJECTS)
    assert [check.check_name for check in result.get_asset_check_evaluations() if not check.passed] == []
    assert LINES_READABLE in {check.check_name for check in result.get_asset_check_evaluations()}


def test_an_hour_that_cannot_be_committed_takes_no_other_with_it(export: WatchedExport) -> None:
    hours = keys(3)[0], keys(2)[0]
    export.put(ago(hours=3), text=TEXT)
    backfill(export, *hours)
    (audit,) = (
        export.lake["flow_log_objects"].open().files_of({"export": "acme", "hour": hours[0].split("|")[1]})["path"]
    )
    (Path(export.lake["flow_log_objects"].uri) / audit).unlink()
    for hour in (3, 2):
        export.put(ago(hours=hour), text=TEXT.replace(b"4000", b"5000"))

    result = backfill(export, *hours)

    assert not result.success
    assert rows_of(export, "enriched_flows") == rows_of(export, "flow_logs") == {hours[0]: 2, hours[1]: 4}


def backfill(export: WatchedExport, first: str, last: str) -> dg.ExecuteInProcessResult:
    """One run for a range of hours, as a backfill asks for it."""
    return export.definitions.resolve_job_def("flow_logs").execute_in_process(
        instance=export.instance,
        tags={RANGE_START_TAG: first, RANGE_END_TAG: last},
        raise_on_error=False,
    )


def rows_of(export: WatchedExport, table: str) -> dict[str, int]:
    counts = export.lake[table].open().files.group_by("partition.hour").agg(pl.col("num_records").sum())
    return {f"acme|{hour}": rows for hour, rows in counts.sort("partition.hour").iter_rows()}


def test_rows_that_somebody_removed_stop_the_sweep_and_are_told(export: WatchedExport) -> None:
    assert materialise(export, *OBJECTS).success
    table = export.lake["flow_logs"].open().handle
    table.delete("srcport = 40001")

    result = materialise(export, *OBJECTS, "deletion_sweep")

    told = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert not told[ROWS_THERE].passed
    assert f"acme {keys(2)[0].split('|')[1]}, holds 1 of 2" in str(told[ROWS_THERE].description)
    assert not result.success
    assert not result.asset_materializations_for_node("deletion_sweep")


def test_an_hour_shows_its_traffic_and_a_long_backfill_keeps_no_pictures(
    export: WatchedExport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assets.enrichment._MOST_PICTURES", 3)
    monkeypatch.setattr("assets.tables._MOST_LINEAGE", 3)
    pictures = {"traffic_per_minute", "how_ends_were_resolved"}
    in_time = int(ago(hours=2).timestamp())
    export.put(ago(hours=2), text=TEXT.replace(b"1795424400", str(in_time).encode()))
    one = materialise(export, *OBJECTS, "enriched_flows")
    first, last = keys(5, 2)

    many = backfill(export, first, last)

    assert pictures <= _told(one, "enriched_flows", keys(2)[0]).keys()
    assert _told(many, "enriched_flows", keys(2)[0])["dagster/partition_row_count"].value == 4
    assert pictures.isdisjoint(_told(many, "enriched_flows", keys(2)[0]))
    lineage = "dagster/column_lineage"
    assert lineage in _told(one, "enriched_flows", keys(2)[0])
    assert not any(lineage in _told(many, "enriched_flows", key) for key in keys(5, 4, 3, 2))


def test_an_hour_that_cannot_be_shown_is_enriched_all_the_same(
    export: WatchedExport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> pl.DataFrame:
        raise LakeError("/nowhere", "read", "a file is lost")

    monkeypatch.setattr("assets.enrichment.traffic_by_minute", lost)

    result = materialise(export, *OBJECTS, "enriched_flows")

    assert result.success
    assert _told(result, "enriched_flows", keys(2)[0])["dagster/partition_row_count"].value == 2


def test_an_export_whose_rows_cannot_be_counted_fails_with_its_name(
    export: WatchedExport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> pl.DataFrame:
        raise LakeError("/nowhere", "read", "a file is lost")

    monkeypatch.setattr("assets.flow_logs.held_rows", lost)

    result = materialise(export, *OBJECTS)

    (failed,) = result.filter_events(lambda event: event.is_step_failure)
    told = failed.step_failure_data.user_failure_data
    assert told is not None
    assert str(told.description).startswith("acme: cannot read /nowhere")


def _told(result: dg.ExecuteInProcessResult, table: str, partition: str) -> Mapping[str, dg.MetadataValue]:
    (found,) = [
        one.metadata
        for one in result.asset_materializations_for_node("flow_log_batches")
        if one.asset_key == dg.AssetKey(table) and one.partition == partition
    ]
    return found
