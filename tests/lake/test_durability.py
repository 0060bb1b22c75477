"""After a power loss, what was acknowledged is there: deltalake does not ask for that, so we do."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.lake.durability import make_durable
from kentik_dagster.lake.tables import Lake, LakeTable
from kentik_dagster.lake.writes import append_objects, merge_partition
from tests.lake.faults import Commits, meanwhile
from tests.lake.flows import NINE, TEN, flows


class Disk:
    """Which files and folders were written through, by the number of their inode."""

    def __init__(self) -> None:
        self.synced: set[int] = set()

    def holds(self, *paths: Path) -> bool:
        return {path.stat().st_ino for path in paths} <= self.synced


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(os, "fsync", lambda descriptor: disk.synced.add(os.fstat(descriptor).st_ino))
    return disk


def files_of(table: LakeTable, partition: dict[str, str]) -> list[Path]:
    return [Path(table.uri) / path for path in table.open().files_of(partition)["path"]]


def log_entries(table: LakeTable) -> list[Path]:
    return sorted((Path(table.uri) / "_delta_log").iterdir())


def test_a_partition_is_made_durable_with_its_files_their_folders_and_the_log(lake: Lake, disk: Disk) -> None:
    table = lake["flow_logs"]
    append_objects(table, NINE, flows(a=1))
    append_objects(table, NINE, flows(b=1))
    disk.synced.clear()

    make_durable(table, NINE)

    root = Path(table.uri)
    assert len(files_of(table, NINE)) == 2
    assert len(log_entries(table)) == 3
    assert disk.holds(*files_of(table, NINE), *log_entries(table))
    assert disk.holds(root / "export=acme" / "hour=2026-11-23T09", root / "export=acme")
    assert disk.holds(root / "_delta_log", root, root.parent)


def test_the_files_of_other_partitions_are_left_alone(lake: Lake, disk: Disk) -> None:
    table = lake["flow_logs"]
    append_objects(table, NINE, flows(a=1))
    append_objects(table, TEN, flows(TEN, b=1))
    disk.synced.clear()

    make_durable(table, TEN)

    assert disk.holds(*files_of(table, TEN))
    assert not disk.holds(*files_of(table, NINE))


def test_a_table_without_partitions_is_made_durable(lake: Lake, disk: Disk) -> None:
    table = lake["org_accounts"]
    merge_partition(table, {}, lambda there: there.clear(1))
    disk.synced.clear()

    make_durable(table, {})

    assert len(files_of(table, {})) == 1
    assert disk.holds(*files_of(table, {}), *log_entries(table), Path(table.uri))


def test_what_was_appended_is_durable_with_its_commit_and_the_commit_before(lake: Lake, disk: Disk) -> None:
    table = lake["flow_logs"]

    append_objects(table, NINE, flows(a=1))

    (file,) = files_of(table, NINE)
    assert disk.holds(file, file.parent, file.parent.parent, Path(table.uri))
    assert disk.holds(*log_entries(table), Path(table.uri) / "_delta_log")


def test_what_a_killed_writer_committed_is_durable_once_another_finds_it(lake: Lake, disk: Disk) -> None:
    table = lake["flow_logs"]
    append_objects(table, NINE, flows(a=1))
    disk.synced.clear()

    append_objects(table, NINE, flows(a=1))

    assert disk.holds(log_entries(table)[-1], Path(table.uri) / "_delta_log")


def test_a_file_is_durable_before_a_commit_names_it(lake: Lake, disk: Disk, commits: Commits) -> None:
    def look() -> None:
        files = list(Path(lake.root).rglob("*.parquet"))
        durable.append(len(files) == 1 and disk.holds(*files, files[0].parent))

    durable: list[bool] = []
    commits.suffer = [meanwhile(look)]

    append_objects(lake["flow_logs"], NINE, flows(a=1))

    assert durable == [True]


def test_a_log_entry_that_vanishes_is_another_writers_temporary_file(lake: Lake) -> None:
    table = lake["flow_logs"]
    append_objects(table, NINE, flows(a=1))
    (Path(table.uri) / "_delta_log" / "_commit_0b5f.json.tmp").symlink_to("renamed meanwhile")

    make_durable(table, NINE)


def test_a_partition_is_made_durable_while_others_commit(lake: Lake) -> None:
    table, done = lake["flow_logs"], threading.Event()
    append_objects(table, NINE, flows(a=1))

    def commit_all_the_time() -> None:
        number = 0
        while not done.is_set():
            append_objects(table, TEN, flows(TEN, **{f"object-{number}": 1}))
            number += 1

    other = threading.Thread(target=commit_all_the_time)
    other.start()
    try:
        for _ in range(20):
            make_durable(table, NINE)
    finally:
        done.set()
        other.join()


def test_s3_is_durable_without_us(disk: Disk) -> None:
    nowhere = LakeTable(
        TABLES["flow_logs"], "s3://no-such-bucket/flow_logs", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    )

    make_durable(nowhere, NINE)

    assert disk.synced == set()
