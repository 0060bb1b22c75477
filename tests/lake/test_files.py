"""Files of the lake: exact columns, honest statistics, and the same rows for every reader."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.schemas import no_rows, polars_schema
from kentik_dagster.errors import LakeError, SchemaDifferenceError
from kentik_dagster.lake.files import StagedFile, stage
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import append_objects, append_rows, replace_partition
from tests.lake.flows import FLOW_LOGS, NINE, READERS, START, TEN, flows

MICROSECOND = timedelta(microseconds=1)


def staged(rows: pl.DataFrame, folder: Path, table: str = "flow_logs") -> StagedFile:
    return stage(rows, TABLES[table], str(folder), {}, written_at_ms=0)


def statistics(rows: pl.DataFrame, folder: Path) -> Any:
    return json.loads(staged(rows, folder).statistics)


def test_a_file_states_its_rows_extremes_and_nulls(tmp_path: Path) -> None:
    rows = flows(b=2, a=1).with_columns(end=pl.lit(None, FLOW_LOGS["end"]))

    stated = statistics(rows, tmp_path)

    assert stated == {
        "numRecords": 3,
        "minValues": {"source_object": "a", "start": "2026-11-23T09:00:01.000Z"},
        "maxValues": {"source_object": "b", "start": "2026-11-23T09:00:02.000Z"},
        "nullCount": {"source_object": 0, "start": 0, "end": 3},
    }


def test_a_file_leaves_out_columns_in_which_nothing_stands(tmp_path: Path) -> None:
    nothing, something = pl.lit(None, FLOW_LOGS["end"]), pl.Series([None, "10.0.0.1", None], dtype=pl.String)

    file = staged(flows(b=2, a=1).with_columns(end=nothing, srcaddr=something), tmp_path)

    assert pl.read_parquet_schema(tmp_path / file.path).keys() == {"source_object", "bytes", "start", "srcaddr"}


def test_nulls_do_not_count_as_extremes(tmp_path: Path) -> None:
    rows = flows(a=2).with_columns(start=pl.Series([None, START], dtype=FLOW_LOGS["start"]))

    stated = statistics(rows, tmp_path)

    assert stated["minValues"]["start"] == stated["maxValues"]["start"] == "2026-11-23T09:00:00.000Z"
    assert stated["nullCount"]["start"] == 1


@pytest.mark.parametrize(
    ("instant", "lowest", "highest"),
    [
        (START, "2026-11-23T09:00:00.000Z", "2026-11-23T09:00:00.000Z"),
        (START + MICROSECOND, "2026-11-23T09:00:00.000Z", "2026-11-23T09:00:00.001Z"),
        (START + 123_456 * MICROSECOND, "2026-11-23T09:00:00.123Z", "2026-11-23T09:00:00.124Z"),
        (START + 999_999 * MICROSECOND, "2026-11-23T09:00:00.999Z", "2026-11-23T09:00:01.000Z"),
        (START - MICROSECOND, "2026-11-23T08:59:59.999Z", "2026-11-23T09:00:00.000Z"),
        (datetime(1970, 1, 1, tzinfo=UTC) - MICROSECOND, "1969-12-31T23:59:59.999Z", "1970-01-01T00:00:00.000Z"),
    ],
)
def test_extremes_of_instants_are_rounded_outwards_to_the_millisecond(
    tmp_path: Path, instant: datetime, lowest: str, highest: str
) -> None:
    rows = flows(a=1).with_columns(start=pl.lit(instant, FLOW_LOGS["start"]))

    stated = statistics(rows, tmp_path)

    assert (stated["minValues"]["start"], stated["maxValues"]["start"]) == (lowest, highest)


@pytest.mark.parametrize(
    ("column", "dtype", "difference"),
    [
        ("bytes", pl.Float64, "bytes: Float64, the table has Int64"),
        ("bytes", pl.Int32, "bytes: Int32, the table has Int64"),
        ("bytes", pl.String, "bytes: String, the table has Int64"),
        ("srcport", pl.UInt16, "srcport: UInt16, the table has Int32"),
        ("start", pl.Datetime("us"), "start: Datetime(time_unit='us', time_zone=None), the table has"),
        ("start", pl.Datetime("ns", "UTC"), "start: Datetime(time_unit='ns', time_zone='UTC'), the table has"),
        ("start", pl.Datetime("us", "Europe/Vienna"), "time_zone='Europe/Vienna'), the table has"),
        ("bytes", pl.Categorical, "bytes: Categorical, the table has Int64"),
        ("extra_fields", pl.String, "extra_fields: String, the table has Map(String, String)"),
        ("Bytes", pl.Int64, "Bytes: the table has no such column"),
    ],
)
def test_other_columns_are_refused_with_the_difference(
    tmp_path: Path, column: str, dtype: pl.DataType, difference: str
) -> None:
    rows = flows(a=1).with_columns(pl.lit(None).cast(dtype).alias(column))

    with pytest.raises(SchemaDifferenceError) as caught:
        staged(rows, tmp_path)

    assert difference in str(caught.value)
    assert len(caught.value.differences) == 1
    assert list(tmp_path.iterdir()) == []


def test_all_differences_are_named_at_once(tmp_path: Path) -> None:
    rows = flows(a=1).drop("hour").with_columns(bytes=pl.lit(1.5), colour=pl.lit("blue"))

    with pytest.raises(SchemaDifferenceError) as caught:
        staged(rows, tmp_path)

    assert caught.value.differences == (
        "colour: the table has no such column",
        "bytes: Float64, the table has Int64",
        "hour: missing, and the table is partitioned by it",
    )


def test_a_column_without_a_type_takes_the_type_of_the_table(lake: Lake) -> None:
    append_objects(lake["flow_logs"], NINE, flows(a=1).with_columns(srcport=pl.lit(None)))

    assert lake["flow_logs"].read(NINE)["srcport"].to_list() == [None]
    assert lake["flow_logs"].read(NINE).schema == FLOW_LOGS


def test_rows_of_several_partitions_are_refused(tmp_path: Path) -> None:
    rows = pl.concat([flows(a=1), flows(TEN, b=1)])

    with pytest.raises(ValueError, match="holds one partition, and these rows are of"):
        staged(rows, tmp_path)


def test_rows_of_which_some_name_no_partition_are_refused(tmp_path: Path) -> None:
    rows = flows(a=2).with_columns(hour=pl.Series([NINE["hour"], None]))

    with pytest.raises(ValueError, match="holds one partition, and these rows are of"):
        staged(rows, tmp_path)


@pytest.mark.parametrize("nowhere", [None, "", "__HIVE_DEFAULT_PARTITION__"])
def test_rows_whose_partition_readers_take_for_null_are_refused(tmp_path: Path, nowhere: str | None) -> None:
    rows = flows(a=1).with_columns(hour=pl.lit(nowhere, pl.String))

    with pytest.raises(ValueError, match="rows of flow_logs name no partition"):
        staged(rows, tmp_path)


def test_no_rows_are_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no rows to write to flow_logs"):
        staged(flows(), tmp_path)


def test_a_file_that_cannot_be_written_is_an_error_that_names_the_table(tmp_path: Path) -> None:
    occupied = tmp_path / "flow_logs"
    occupied.write_text("a file where the table's folder should be")

    with pytest.raises(LakeError, match=r"cannot write a file to .*/flow_logs"):
        staged(flows(a=1), occupied)


def test_a_store_that_is_not_known_is_an_error_that_names_it() -> None:
    with pytest.raises(LakeError, match="cannot write a file to gopher://lake: Unknown scheme: gopher"):
        stage(flows(a=1), TABLES["flow_logs"], "gopher://lake", {}, written_at_ms=0)


def test_a_file_without_a_commit_is_invisible(lake: Lake) -> None:
    table = lake["flow_logs"]
    append_objects(table, NINE, flows(a=1))

    file = staged(flows(b=1), Path(table.uri))

    assert (Path(table.uri) / file.path).exists()
    for name, read in READERS.items():
        assert read(table.uri)["source_object"].to_list() == ["a"], name


@pytest.mark.parametrize("value", ["acme-prod_1.eu", "sp ace", "a/b", "a%41b", "é:=?#&+", "null", "007", "NaN", "."])
def test_partitions_keep_their_names_in_paths(lake: Lake, value: str) -> None:
    table, partition = lake["flow_logs"], {"export": value, "hour": "2026-11-23T09"}

    append_objects(table, partition, flows(partition, a=2))
    counts = append_objects(table, partition, flows(partition, a=2))
    replace_partition(table, partition, lambda: [flows(partition, b=1)])

    assert counts == {"a": 2}
    (path,) = table.open().files_of(partition)["path"]
    assert table.open().scan_file(path).select("export", "source_object").collect().rows() == [(value, "b")]
    for name, read in READERS.items():
        assert read(table.uri).select("export", "source_object").rows() == [(value, "b")], name


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_finds_the_rows_as_they_were_written(lake: Lake, reader: str) -> None:
    table = lake["address_book"]
    address = {
        "kind": "interface_address",
        "valid_from": START + 123_456 * MICROSECOND,
        "valid_to": None,
        "is_public": False,
        "security_group_ids": ["sg-2", "sg-1"],
    }
    rows = pl.DataFrame(
        [address, address | {"security_group_ids": []}, address | {"security_group_ids": None}],
        schema={name: dtype for name, dtype in polars_schema(table.table).items() if name in address},
    )

    append_rows(table, {}, lambda there: rows if there.is_empty() else rows.clear())

    read = READERS[reader](table.uri).select(rows.columns)
    assert read.to_dicts() == rows.to_dicts()


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_finds_maps_as_they_were_written(lake: Lake, reader: str) -> None:
    table = lake["metadata_changes"]
    account = {"account_id": "111122223333"}
    tags = [{"Name": "web", "empty": ""}, {"Name": "naïve", "none": None}, {}, None]
    rows = pl.DataFrame(
        {"account_id": ["111122223333"] * 4, "tags": tags},
        schema_overrides={"tags": polars_schema(table.table)["tags"]},
    )

    append_rows(table, account, lambda there: rows if there.is_empty() else rows.clear())

    assert READERS[reader](table.uri)["tags"].to_list() == tags


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_finds_null_in_columns_that_a_file_leaves_out(lake: Lake, reader: str) -> None:
    table = lake["flow_logs"]
    append_objects(table, NINE, flows(a=1))
    append_objects(table, NINE, flows(b=1).with_columns(srcport=pl.lit(443, pl.Int32)))

    rows = READERS[reader](table.uri)

    assert set(rows.columns) == set(FLOW_LOGS)
    assert sorted(rows.select("source_object", "srcport").rows()) == [("a", None), ("b", 443)]
    assert rows["extra_fields"].null_count() == rows["vpc_id"].null_count() == 2


def test_queries_by_event_time_find_the_last_microsecond_of_a_file(lake: Lake) -> None:
    table, last = lake["flow_logs"], START + 999_999 * MICROSECOND
    append_objects(table, NINE, flows(a=1).with_columns(start=pl.lit(last, FLOW_LOGS["start"])))
    latest = "start >= '2026-11-23T09:00:00.999999Z'"

    by_polars = pl.scan_delta(table.uri).filter(pl.col("start") >= last).collect()
    by_deltalake = pa.table(DeltaTable(table.uri).scan(predicate=latest))

    assert by_polars.height == by_deltalake.num_rows == 1


def test_queries_by_event_time_skip_the_files_of_other_times(lake: Lake) -> None:
    table = lake["flow_logs"]
    append_objects(table, NINE, flows(a=1))
    append_objects(table, TEN, flows(TEN, b=1).with_columns(pl.col("start") + timedelta(hours=1)))
    (unreadable,) = table.open().files_of(NINE)["path"]
    (Path(table.uri) / unreadable).write_text("not Parquet")

    by_polars = pl.scan_delta(table.uri).filter(pl.col("start") >= START + timedelta(hours=1)).collect()
    by_deltalake = pa.table(DeltaTable(table.uri).scan(predicate="start >= '2026-11-23T10:00:00Z'"))

    assert by_polars["source_object"].to_list() == by_deltalake["source_object"].to_pylist() == ["b"]


@pytest.mark.parametrize("name", TABLES)
def test_every_table_of_the_catalog_is_read_back_with_all_its_columns(lake: Lake, name: str) -> None:
    table = lake[name]
    partition = dict.fromkeys(table.table.partition_by, "x")
    row = no_rows(table.table).clear(1).with_columns(pl.lit(value).alias(name) for name, value in partition.items())

    append_rows(table, partition, lambda there: row if there.is_empty() else row.clear())

    assert table.read(partition).equals(row)


@pytest.mark.parametrize("reader", READERS)
def test_categorical_text_is_text_for_whoever_reads_it(lake: Lake, reader: str) -> None:
    table = lake["flow_logs"]
    rows = flows(a=2).with_columns(action=pl.Series(["ACCEPT", None], dtype=pl.Categorical))

    append_objects(table, NINE, rows)
    append_objects(table, NINE, flows(b=1).with_columns(action=pl.lit("REJECT")))

    snapshot = table.open()
    found = READERS[reader](table.uri)
    assert sorted(found["action"].cast(pl.String).to_list(), key=str) == ["ACCEPT", None, "REJECT"]
    assert {snapshot.read_file(path)["action"].dtype for path in snapshot.files["path"]} == {pl.String()}
