"""How many rows of each object a table holds: as its log says where that is sure, else as its files say."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl
import pytest

from kentik_dagster.errors import LakeError
from kentik_dagster.lake.commits import Change, converge
from kentik_dagster.lake.staging import Staging, stage_rows
from kentik_dagster.lake.tables import Lake, LakeTable
from kentik_dagster.lake.writes import append_all_staged, append_objects
from tests.lake.flows import NINE, TEN, flows


def counted(table: LakeTable, *asked: tuple[Mapping[str, str], str]) -> dict[tuple[str, str], int]:
    """The rows of objects, asked for by partition and by letter, by hour of day and name."""
    wanted = pl.DataFrame([{**partition, "source_object": name} for partition, names in asked for name in names])
    counts = table.open().counts_of(wanted)
    assert counts.columns == ["export", "hour", "source_object", "rows"]
    return {(hour[-2:], name): rows for _, hour, name, rows in counts.iter_rows()}


def test_the_rows_of_objects_are_counted_in_the_files_that_may_hold_them(lake: Lake) -> None:
    table = lake["flow_logs"]
    for objects in ({"a": 1, "c": 2}, {"d": 1, "f": 1}):
        append_objects(table, NINE, flows(**objects))
    snapshot = table.open()
    (other,) = snapshot.files.filter(pl.col("min.source_object") == "d")["path"]

    before = snapshot.object_counts(NINE, ["c", "d"])
    (Path(table.uri) / other).unlink()

    assert before == {"c": 2, "d": 1}
    assert snapshot.object_counts(NINE, ["b", "c"]) == {"c": 2}
    with pytest.raises(LakeError):
        snapshot.object_counts(NINE, ["c", "e"])


def test_the_log_counts_the_rows_of_a_file_that_holds_one_object(lake: Lake) -> None:
    table = lake["flow_logs"]
    for partition, objects in ((NINE, {"a": 2}), (NINE, {"b": 1, "c": 3}), (TEN, {"d": 4})):
        append_objects(table, partition, flows(partition, **objects))
    (alone,) = table.open().files.filter(pl.col("max.source_object") == "a")["path"]

    file = Path(table.uri) / alone
    file.write_bytes(bytes(file.stat().st_size))  # of the same size, but nobody can read it

    assert counted(table, (NINE, "abz"), (TEN, "d")) == {("09", "a"): 2, ("09", "b"): 1, ("10", "d"): 4}
    with pytest.raises(LakeError):  # who asks for all reads everything
        table.open().object_counts(NINE)


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(b"PAR1")], ids=["lost", "cut off"])
def test_no_rows_are_counted_of_a_file_that_is_lost(lake: Lake, damage: Callable[[Path], object]) -> None:
    table = lake["flow_logs"]
    append_objects(table, NINE, flows(a=2))
    damage(Path(table.uri) / table.open().files["path"][0])

    with pytest.raises(LakeError):
        counted(table, (NINE, "a"))
    with pytest.raises(LakeError):
        append_objects(table, NINE, flows(a=2))


def test_an_object_counts_in_its_own_partition_alone(lake: Lake) -> None:
    table = lake["flow_logs"]
    append_objects(table, TEN, flows(TEN, b=2))

    assert counted(table, (NINE, "b"), (TEN, "ac")) == {}

    stagings = [Staging(table, NINE), Staging(table, TEN)]
    stagings[0].add(flows(b=1))
    stagings[1].add(flows(TEN, a=1, c=1))
    append_all_staged(stagings)

    assert table.open().object_counts(NINE) == {"b": 1}
    assert table.open().object_counts(TEN) == {"a": 1, "b": 2, "c": 1}


def test_a_file_without_statistics_may_hold_any_object(lake: Lake) -> None:
    table = lake["flow_logs"]
    file = dataclasses.replace(stage_rows(table, NINE, flows(b=1)), statistics='{"numRecords": 1}')
    converge(table, "lock", lambda snapshot: Change(add=[file]) if snapshot.files.is_empty() else None)

    assert table.open().object_counts(NINE, ["a", "b"]) == {"b": 1}
