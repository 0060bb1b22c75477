"""Tables are made once, whoever comes first, and are opened only if they have the columns of this release."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, Schema
from deltalake.exceptions import CommitFailedError

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.schemas import polars_schema
from kentik_dagster.errors import LakeError, SchemaDifferenceError
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import append_objects, replace_partition
from tests.lake.flows import NINE, READERS, TEN, flows, objects_in, version_of
from tests.lake.writer import released, writers

FLOW_LOG_OBJECTS = TABLES["flow_log_objects"]


def log_of(uri: str) -> list[str]:
    return sorted(entry.name for entry in (Path(uri) / "_delta_log").iterdir())


def test_a_table_is_made_on_first_use_as_the_catalog_describes_it(lake: Lake) -> None:
    lake["flow_logs"].open()

    made = DeltaTable(lake["flow_logs"].uri)
    assert pa.schema(made.schema().to_arrow()) == TABLES["flow_logs"].schema
    assert made.metadata().name == "flow_logs"
    assert made.metadata().partition_columns == ["export", "hour"]
    assert made.metadata().description == (
        "One row is a VPC or transit gateway flow record, all native fields, plus the object it came from."
    )


def test_locks_and_log_entries_are_kept_for_thirty_days(lake: Lake) -> None:
    lake["flow_logs"].open()

    configuration = DeltaTable(lake["flow_logs"].uri).metadata().configuration
    assert configuration["delta.logRetentionDuration"] == "interval 30 days"
    assert configuration["delta.setTransactionRetentionDuration"] == "interval 30 days"


def test_opening_and_reading_again_changes_nothing(lake: Lake) -> None:
    for _ in range(3):
        lake["flow_logs"].open()
        lake["flow_logs"].read(NINE)

    assert log_of(lake["flow_logs"].uri) == ["00000000000000000000.json"]


@pytest.mark.parametrize("name", TABLES)
def test_a_table_without_rows_has_all_its_columns(lake: Lake, name: str) -> None:
    table = lake[name]

    assert table.read().is_empty()
    assert table.read().schema == table.scan().collect().schema == polars_schema(table.table)
    assert table.open().files.is_empty()


def test_the_lake_names_every_table_of_the_catalog(tmp_path: Path) -> None:
    tables = Lake(f"{tmp_path}/").tables

    assert {table.uri: table.table.name for table in tables} == {f"{tmp_path}/{name}": name for name in TABLES}


def test_columns_of_another_release_are_refused_column_by_column(lake: Lake) -> None:
    columns = [
        pa.field("size_bytes", pa.float64()) if field.name == "size_bytes" else field
        for field in FLOW_LOG_OBJECTS.schema
        if field.name != "run_id"
    ]
    older = Schema.from_arrow(pa.schema([*columns, pa.field("colour", pa.string())]))
    DeltaTable.create(lake["flow_log_objects"].uri, schema=older, partition_by=["export", "hour"])

    with pytest.raises(SchemaDifferenceError, match=r"made by another release, see CHANGELOG\.md") as caught:
        lake["flow_log_objects"].open()

    assert caught.value.differences == (
        'colour: the table has PrimitiveType("string"), this release no such column',
        'run_id: the table has no such column, this release PrimitiveType("string")',
        'size_bytes: the table has PrimitiveType("double"), this release PrimitiveType("long")',
    )


def test_partitions_of_another_release_are_refused(lake: Lake) -> None:
    schema = Schema.from_arrow(FLOW_LOG_OBJECTS.schema)
    DeltaTable.create(lake["flow_log_objects"].uri, schema=schema, partition_by=["export"])

    with pytest.raises(SchemaDifferenceError) as caught:
        lake["flow_log_objects"].open()

    assert caught.value.differences == (
        "partitions: the table is partitioned by ['export'], this release by ['export', 'hour']",
    )


@pytest.mark.slow
def test_processes_that_open_a_new_table_at_the_same_moment_all_get_it(tmp_path: Path) -> None:
    lakes = [Lake(str(tmp_path / str(number))) for number in range(8)]

    with writers([["open", *(lake.root for lake in lakes)]] * 3) as three:
        released(three)

    assert [log_of(lake["flow_logs"].uri) for lake in lakes] == [["00000000000000000000.json"]] * 8


@pytest.mark.parametrize("error", [CommitFailedError("Failed to commit transaction: 0"), OSError("timed out")])
def test_a_table_is_opened_although_the_reply_to_its_creation_was_lost(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    create = DeltaTable.create

    def lose_the_reply(*args: object, **options: object) -> DeltaTable:
        create(*args, **options)  # type: ignore[arg-type]
        raise error

    monkeypatch.setattr(DeltaTable, "create", lose_the_reply)

    assert lake["flow_logs"].open().version == 0


def test_a_creation_that_was_refused_is_told_with_its_reason(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> DeltaTable:
        raise OSError("AccessDenied: s3:PutObject")

    monkeypatch.setattr(DeltaTable, "create", refuse)

    with pytest.raises(LakeError, match=r"cannot open .*: AccessDenied: s3:PutObject"):
        lake["flow_logs"].open()


def test_what_a_killed_creation_left_behind_is_no_obstacle(lake: Lake) -> None:
    log = Path(lake["flow_logs"].uri) / "_delta_log"
    log.mkdir(parents=True)
    (log / "_commit_0b5f.json.tmp").write_text("{}")

    append_objects(lake["flow_logs"], NINE, flows(a=1))

    assert objects_in(lake["flow_logs"]) == {"a": 1}


def test_a_table_that_cannot_be_made_is_an_error_that_says_why_and_what_to_do(tmp_path: Path) -> None:
    occupied = tmp_path / "lake"
    occupied.write_text("a file where the lake should be")

    with pytest.raises(LakeError) as caught:
        Lake(str(occupied))["flow_logs"].open()

    assert str(caught.value).startswith(f"cannot open {occupied}/flow_logs: ")
    assert "Not a directory" in str(caught.value)
    assert "Check that the lake's path exists and is writable" in str(caught.value)
    assert caught.value.__cause__ is not None


def test_a_table_whose_log_cannot_be_read_is_an_error_and_not_an_empty_table(lake: Lake) -> None:
    append_objects(lake["flow_logs"], NINE, flows(a=1))
    (Path(lake["flow_logs"].uri) / "_delta_log" / f"{1:020d}.json").write_text('{"add":')

    with pytest.raises(LakeError, match="cannot open"):
        lake["flow_logs"].read(NINE)


@pytest.mark.parametrize("folder", ["my lake", "Žluťoučký", "50% off", "a#b?c", "[x]*", "a+b&c"])
def test_a_lake_may_lie_in_a_folder_of_any_name(tmp_path: Path, folder: str) -> None:
    table = Lake(str(tmp_path / folder))["flow_logs"]

    append_objects(table, NINE, flows(a=2))
    counts = append_objects(table, NINE, flows(a=2))
    replace_partition(table, NINE, lambda: [flows(b=1)])

    assert counts == {"a": 2}
    assert table.read(NINE)["source_object"].to_list() == ["b"]
    (path,) = table.open().files_of(NINE)["path"]
    assert table.open().scan_file(path).collect()["source_object"].to_list() == ["b"]


def test_a_lake_may_be_named_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table = Lake("./lake")["flow_logs"]

    append_objects(table, NINE, flows(a=1))

    assert append_objects(table, NINE, flows(a=1)) == {"a": 1}
    assert Lake(str(tmp_path / "lake"))["flow_logs"].read(NINE)["source_object"].to_list() == ["a"]


def test_a_folder_that_readers_take_for_a_partition_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="'env=prod' looks like a partition to readers: name another folder"):
        Lake(str(tmp_path / "env=prod"))["flow_logs"].open()

    assert list(tmp_path.iterdir()) == []


def test_a_snapshot_keeps_seeing_what_was_there_when_it_was_opened(lake: Lake) -> None:
    table = lake["flow_logs"]
    append_objects(table, NINE, flows(a=1))
    snapshot = table.open()

    append_objects(table, NINE, flows(b=1))
    replace_partition(table, TEN, lambda: [flows(TEN, c=1)])

    assert snapshot.object_counts(NINE) == {"a": 1}
    assert snapshot.object_counts(TEN) == {}
    assert snapshot.files.height == 1
    assert (snapshot.version, table.open().version) == (1, 3)


def test_a_partition_is_read_without_the_others(lake: Lake) -> None:
    table = lake["flow_logs"]
    append_objects(table, NINE, flows(a=2))
    append_objects(table, TEN, flows(TEN, b=1))

    assert table.read(NINE).select("hour", "source_object", "bytes").rows() == [
        ("2026-11-23T09", "a", 1),
        ("2026-11-23T09", "a", 2),
    ]
    assert table.scan(TEN).collect()["source_object"].to_list() == ["b"]
    assert table.read().height == 3
    assert table.read({"export": "acme", "hour": "2026-11-23T11"}).is_empty()


def test_a_file_is_read_alone_with_its_partition_and_only_the_columns_that_it_has(lake: Lake) -> None:
    table = lake["flow_logs"]
    append_objects(table, NINE, flows(a=2))
    append_objects(table, NINE, flows(b=1))

    files = [table.open().scan_file(path).collect() for path in table.open().files_of(NINE)["path"]]

    assert sorted(file["source_object"].to_list() for file in files) == [["a", "a"], ["b"]]
    assert all(set(file.columns) == set(flows().columns) for file in files)


def test_the_law_outlives_a_checkpoint(lake: Lake) -> None:
    table = lake["flow_logs"]
    append_objects(table, NINE, flows(a=1))
    replace_partition(table, TEN, lambda: [flows(TEN, b=1)])
    DeltaTable(table.uri).create_checkpoint()
    for entry in ("00000000000000000000.json", "00000000000000000001.json"):
        (Path(table.uri) / "_delta_log" / entry).unlink()

    counts = append_objects(table, NINE, flows(a=1, c=2))
    replace_partition(table, TEN, lambda: [flows(TEN, d=1)])

    assert counts == {"a": 1, "c": 2}
    assert objects_in(table) == {"a": 1, "c": 2}
    assert objects_in(table, TEN) == {"d": 1}


def test_locks_are_written_with_the_time_by_which_they_expire(lake: Lake) -> None:
    table = lake["flow_logs"]

    append_objects(table, NINE, flows(a=1))

    entry = (Path(table.uri) / "_delta_log" / f"{version_of(table):020d}.json").read_text()
    (lock,) = [action["txn"] for action in map(json.loads, entry.splitlines()) if "txn" in action]
    assert lock["appId"] == "lock/acme/2026-11-23T09"
    assert lock["lastUpdated"] > 1_700_000_000_000


def test_all_readers_agree(lake: Lake) -> None:
    table = lake["flow_logs"]
    append_objects(table, NINE, flows(a=2))
    append_objects(table, TEN, flows(TEN, b=1))
    order = pl.col("source_object"), pl.col("bytes")

    rows = table.read().sort(order)

    for name, read in READERS.items():
        assert read(table.uri).select(rows.columns).sort(order).equals(rows), name
