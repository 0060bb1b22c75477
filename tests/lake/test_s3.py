"""The same lake in a bucket: over HTTP, in an emulator that is a process of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import boto3
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.errors import LakeError
from kentik_dagster.lake.checkpoints import checkpointed_version
from kentik_dagster.lake.durability import make_durable
from kentik_dagster.lake.files import stage
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import append_objects, append_rows, merge_partition, replace_partition
from tests.lake.faults import Commits, lost_reply, meanwhile
from tests.lake.flows import NINE, TEN, flows, objects_in, version_of
from tests.lake.lossy_store import lossy_store

ELEVEN = {"export": "acme", "hour": "2026-11-23T11"}


def lacking(name: str) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """A row of the object, if there is none."""
    return lambda there: flows(ELEVEN, **{name: 0 if name in there["source_object"] else 1})


def keys(lake: Lake) -> list[str]:
    bucket = lake.root.removeprefix("s3://").split("/")[0]
    return [entry["Key"] for entry in boto3.client("s3").list_objects_v2(Bucket=bucket)["Contents"]]


def test_objects_are_appended_once_and_read_back(s3_lake: Lake) -> None:
    table = s3_lake["flow_logs"]

    first = append_objects(table, NINE, flows(a=2))
    second = append_objects(table, NINE, flows(a=2, b=1))

    assert (first, second) == ({"a": 2}, {"a": 2, "b": 1})
    assert objects_in(table) == {"a": 2, "b": 1}
    assert table.read(NINE).select("source_object", "bytes").sort(pl.all()).rows() == [("a", 1), ("a", 2), ("b", 1)]
    assert version_of(table) == 2


def test_a_partition_is_replaced_and_the_others_stay(s3_lake: Lake) -> None:
    table = s3_lake["flow_logs"]
    append_objects(table, NINE, flows(a=2))
    append_objects(table, TEN, flows(TEN, x=1))

    replace_partition(table, NINE, lambda: [flows(b=1)])

    assert (objects_in(table), objects_in(table, TEN)) == ({"b": 1}, {"x": 1})


def test_a_table_without_partitions_is_merged(s3_lake: Lake) -> None:
    table = s3_lake["org_accounts"]

    for _ in range(2):
        merge_partition(table, {}, lambda there: pl.DataFrame({"account_id": ["111122223333"]}))

    assert table.read()["account_id"].to_list() == ["111122223333"]
    assert version_of(table) == 1


def test_what_is_lacking_is_appended(s3_lake: Lake) -> None:
    table = s3_lake["flow_logs"]

    for _ in range(2):
        append_rows(table, NINE, lambda there: flows(a=2) if there.is_empty() else there.clear())

    assert objects_in(table) == {"a": 2}


@pytest.mark.parametrize("value", ["sp ace", "a%41b:é/"])
def test_partitions_keep_their_names_in_keys(s3_lake: Lake, value: str) -> None:
    table, partition = s3_lake["flow_logs"], {"export": value, "hour": "2026-11-23T09"}
    append_objects(table, partition, flows(partition, a=2))

    replace_partition(table, partition, lambda: [flows(partition, b=1)])

    assert objects_in(table, partition) == {"b": 1}
    assert table.read(partition)["export"].to_list() == [value]
    (path,) = table.open().files_of(partition)["path"]
    assert f"kentik/flow_logs/{path}" in keys(s3_lake)
    assert table.open().scan_file(path).collect()["source_object"].to_list() == ["b"]


def test_a_lake_may_lie_below_a_prefix_of_any_name(s3_lake: Lake) -> None:
    table = Lake(f"{s3_lake.root}/my lake/50% off", s3_lake.storage_options)["flow_logs"]

    append_objects(table, NINE, flows(a=2))

    assert append_objects(table, NINE, flows(a=2)) == {"a": 2}
    (path,) = table.open().files_of(NINE)["path"]
    assert table.open().scan_file(path).collect().height == 2


def test_a_lost_reply_doubles_nothing(s3_lake: Lake, commits: Commits) -> None:
    commits.suffer = [lost_reply(OSError("connection reset"))]

    append_objects(s3_lake["flow_logs"], NINE, flows(a=2))

    assert objects_in(s3_lake["flow_logs"]) == {"a": 2}
    assert version_of(s3_lake["flow_logs"]) == 1


@pytest.mark.slow
def test_every_write_is_exact_although_the_store_loses_replies_to_commits(s3_lake: Lake) -> None:
    """Here deltalake itself tries again, and meets its own commit: in each of the four writes once."""
    with lossy_store(s3_lake.storage_options["AWS_ENDPOINT_URL"]) as endpoint_url:
        lossy = Lake(s3_lake.root, {**s3_lake.storage_options, "AWS_ENDPOINT_URL": endpoint_url})["flow_logs"]
        counts = [append_objects(lossy, NINE, flows(**{name: 2})) for name in "ab"]
        merged = merge_partition(lossy, NINE, lambda there: there.filter(source_object="b"))
        replaced = replace_partition(lossy, TEN, lambda: [flows(TEN, x=1), flows(TEN, y=1)])
        appended = [append_rows(lossy, ELEVEN, lacking(name)) for name in "ab"]

    table = s3_lake["flow_logs"]
    assert (counts, merged.height, replaced) == ([{"a": 2}, {"b": 2}], 2, 2)
    assert [rows["source_object"].to_list() for rows in appended] == [["a"], ["b"]]
    assert [objects_in(table, hour) for hour in (NINE, TEN, ELEVEN)] == [{"b": 2}, {"x": 1, "y": 1}, {"a": 1, "b": 1}]
    assert version_of(table) == 6


def test_a_stale_handle_is_refused(s3_lake: Lake, commits: Commits) -> None:
    table = s3_lake["flow_logs"]
    commits.suffer = [meanwhile(lambda: append_objects(table, NINE, flows(a=2)))]

    append_objects(table, NINE, flows(a=2, b=1))

    assert objects_in(table) == {"a": 2, "b": 1}


def test_threads_make_a_table_once_and_append_the_same_objects_once(s3_lake: Lake) -> None:
    table = s3_lake["flow_logs"]

    with ThreadPoolExecutor(4) as threads:
        counts = list(threads.map(lambda rows: append_objects(table, NINE, rows), [flows(a=2, b=1)] * 4))

    assert counts == [{"a": 2, "b": 1}] * 4
    assert objects_in(table) == {"a": 2, "b": 1}
    assert [entry["operation"] for entry in handle(s3_lake).history()].count("CREATE TABLE") == 1


def test_a_file_without_a_commit_is_invisible(s3_lake: Lake) -> None:
    table = s3_lake["flow_logs"]
    append_objects(table, NINE, flows(a=1))

    file = stage(flows(b=1), table.table, table.uri, table.storage_options, written_at_ms=0)

    assert f"kentik/flow_logs/{file.path}" in keys(s3_lake)
    assert objects_in(table) == {"a": 1}


def test_columns_that_a_file_leaves_out_are_null(s3_lake: Lake) -> None:
    append_objects(s3_lake["flow_logs"], NINE, flows(a=1))

    assert s3_lake["flow_logs"].read()["srcport"].to_list() == [None]
    assert pa.table(handle(s3_lake).scan())["srcport"].to_pylist() == [None]


def test_nothing_is_synced_on_this_machine(s3_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    append_objects(s3_lake["flow_logs"], NINE, flows(a=1))

    make_durable(s3_lake["flow_logs"], NINE)

    assert synced == []


def test_a_bucket_that_is_not_there_is_an_error_that_says_what_to_check(aws: Emulator) -> None:
    options = {"AWS_ENDPOINT_URL": aws.endpoint_url, "AWS_ALLOW_HTTP": "true"}
    table = Lake("s3://no-such-bucket/kentik", options)["flow_logs"]

    with pytest.raises(LakeError) as opening:
        table.open()
    with pytest.raises(LakeError) as writing:
        stage(flows(a=1), table.table, table.uri, options, written_at_ms=0)

    assert str(opening.value).startswith("cannot open s3://no-such-bucket/kentik/flow_logs: ")
    assert str(writing.value).startswith("cannot write a file to s3://no-such-bucket/kentik/flow_logs: ")
    for caught in (opening, writing):
        assert "NoSuchBucket" in str(caught.value)
        assert "for s3:// that the credentials may list, read and write that prefix" in str(caught.value)


def handle(lake: Lake) -> DeltaTable:
    return DeltaTable(lake["flow_logs"].uri, storage_options=dict(lake.storage_options))


def test_a_table_on_s3_has_a_checkpoint_after_ten_commits(s3_lake: Lake) -> None:
    table = s3_lake["org_accounts"]

    for number in range(11):
        account = pl.DataFrame({"account_id": [str(number)]})
        merge_partition(table, {}, lambda there, account=account: account)  # type: ignore[misc]

    assert checkpointed_version(table) == 10
