"""Rows as people and programs read them: nothing is lost, and nothing steers a terminal."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.core.readable import flat, harmless_text, json_lines, text_table

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def rows(**columns: Any) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(columns)


@settings(deadline=None, max_examples=100)
@given(values=st.lists(_texts, min_size=1, max_size=5), name=_texts)
def test_whatever_a_value_or_a_name_holds_a_table_has_no_characters_that_steer(values: list[str], name: str) -> None:
    table = text_table(pa.RecordBatch.from_arrays([pa.array(values, pa.string())], names=[name]), width=None)

    steering = [character for character in table if unicodedata.category(character) in ("Cc", "Zl", "Zp")]
    assert steering == ["\n"] * (len(values) + 1)
    assert not {unicodedata.bidirectional(character) for character in table} & {"RLO", "LRO", "RLE", "LRE", "PDF"}


@settings(deadline=None, max_examples=50)
@given(values=st.lists(st.none() | _texts, min_size=1, max_size=5))
def test_json_and_csv_give_texts_back_as_they_were(values: list[str | None]) -> None:
    batch = rows(n=list(range(len(values))), text=pa.array(values, pa.string()))

    from_json = [json.loads(line)["text"] for line in json_lines(batch).split("\n")[:-1]]
    text = io.StringIO(flat(batch).write_csv(), newline="")
    from_csv = [row["text"] for row in csv.DictReader(text)]

    assert from_json == values
    assert from_csv == [value or "" for value in values]


def test_values_of_every_type_become_text() -> None:
    in_tokyo = datetime(2026, 11, 23, 18, tzinfo=timezone(timedelta(hours=9)))
    batch = rows(
        number=[-5], share=[0.25], is_primary=[True], at=pa.array([in_tokyo], pa.timestamp("us", "UTC")),
        plain=pa.array([datetime(2026, 11, 23, 9)], pa.timestamp("us")), day=[date(2026, 11, 23)],
        tags=pa.array([[("Name", "web")]], pa.map_(pa.string(), pa.string())), groups=[["sg-1", None]],
        raw=[b"\x00\xff"], lasted=[timedelta(seconds=90)], nothing=pa.nulls(1),
    )  # fmt: skip

    (told,) = flat(batch).to_dicts()

    assert told == {
        "number": "-5", "share": "0.25", "is_primary": "true", "at": "2026-11-23T09:00:00Z",
        "plain": "2026-11-23T09:00:00", "day": "2026-11-23", "tags": '{"Name": "web"}', "groups": '["sg-1", null]',
        "raw": "00ff", "lasted": "90 s", "nothing": None,
    }  # fmt: skip


def test_json_has_objects_for_maps_instants_as_text_and_null_for_what_is_no_number() -> None:
    batch = rows(
        tags=pa.array([[("Name", "web")], None], pa.map_(pa.string(), pa.string())),
        at=pa.array([datetime(2026, 11, 23, tzinfo=UTC), None], pa.timestamp("us", "UTC")),
        share=[float("nan"), float("inf")],
    )

    lines = [json.loads(line) for line in json_lines(batch).splitlines()]

    assert lines == [
        {"tags": {"Name": "web"}, "at": "2026-11-23T00:00:00Z", "share": None},
        {"tags": None, "at": None, "share": None},
    ]


def test_columns_stand_side_by_side_where_they_fit_and_numbers_to_the_right() -> None:
    table = text_table(rows(name=["web", "a-db"], bytes=[7, 1_000]), width=11)

    assert table.splitlines() == ["name  bytes", "----  -----", "web       7", "a-db   1000"]


def test_rows_that_do_not_fit_are_blocks_of_lines() -> None:
    table = text_table(rows(name=["web"], bytes=[7]), width=10)

    assert table.splitlines() == ["row 1 ----", "name   web", "bytes  7"]


def test_what_is_too_long_for_a_column_is_cut_and_shows_it() -> None:
    table = text_table(rows(text=["x" * 100]), width=None)

    assert table.splitlines()[-1] == "x" * 57 + "..."


def test_an_error_keeps_its_lines_and_loses_what_steers() -> None:
    assert harmless_text("no \x1b[1mtable\nmake one\r") == "no \\x1b[1mtable\nmake one\\x0d"
