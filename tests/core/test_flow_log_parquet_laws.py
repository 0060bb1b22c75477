"""Laws of reading flow logs: the same flows give the same rows as text and as Parquet, whoever wrote the Parquet."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from kentik_dagster.core.flow_log_parquet import parquet_parts
from kentik_dagster.core.flow_log_text import parse_text
from kentik_dagster.core.parsed import Parsed
from kentik_dagster.errors import UnreadableObjectError
from tests.core.made_up_records import FIELDS, INSTANTS, NUMBERS, largest, layouts, row_of, said, value_of, values

Records = tuple[list[str], list[list[str]]]  # a layout, and the texts of each record


@st.composite
def made_up_records(draw: st.DrawFn) -> Records:
    layout = draw(layouts())
    return layout, draw(st.lists(values(layout), min_size=1, max_size=6))


def as_text(records: Records) -> bytes:
    layout, rows = records
    return "".join(" ".join(words) + "\n" for words in (layout, *rows)).encode()


def as_aws_writes(field: str, texts: Sequence[str]) -> pa.Array:
    """A column with AWS's type: a missing number is NULL, a missing text a dash."""
    if field not in NUMBERS:
        return pa.array(texts, pa.string())
    width = pa.int64() if field in INSTANTS else FIELDS[field].type
    return pa.array([None if text == "-" else int(text) for text in texts], width)


def as_parquet(records: Records, columns: Sequence[pa.Array], **options: int) -> bytes:
    file = io.BytesIO()
    names = [field.replace("-", "_") for field in records[0]]
    pq.write_table(pa.Table.from_arrays(columns, names), file, **options)
    return file.getvalue()


def in_one(parts: Sequence[Parsed]) -> Parsed:
    return Parsed(
        rows=pl.concat([part.rows for part in parts]),
        rejected=pl.concat([part.rejected for part in parts]),
    )


def columns_of(records: Records) -> list[list[str]]:
    return [list(texts) for texts in zip(*records[1], strict=True)]


@settings(deadline=None, max_examples=50)
@given(made_up_records())
def test_records_come_back_as_they_were_written(records: Records) -> None:
    text = parse_text(as_text(records))

    assert [said(row) for row in text.rows.to_dicts()] == [row_of(records[0], texts) for texts in records[1]]
    assert text.rejected.is_empty()


@settings(deadline=None, max_examples=50)
@given(made_up_records(), st.integers(1, 4))
def test_text_and_parquet_give_the_same_rows(records: Records, rows_of_a_group: int) -> None:
    columns = [as_aws_writes(field, texts) for field, texts in zip(records[0], columns_of(records), strict=True)]
    content = as_parquet(records, columns, row_group_size=rows_of_a_group)

    parquet = in_one(list(parquet_parts(content, largest_bytes=10**9)))

    assert_frame_equal(parquet.rows, parse_text(as_text(records)).rows)
    assert parquet.rejected.is_empty()


@st.composite
def rewritten(draw: st.DrawFn, field: str, texts: Sequence[str]) -> pa.Array:
    """The same values in a column of a type that other writers use."""
    if field not in NUMBERS:
        kind = draw(st.sampled_from([pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]))
        return pa.array([draw(st.sampled_from([None, "None", "-"])) if text == "-" else text for text in texts], kind)
    numbers = [None if text == "-" else int(text) for text in texts]
    kinds = [pa.int64(), pa.uint64(), pa.string()]
    kinds += [pa.float64()] * all(number is None or number < 2**53 for number in numbers)
    kinds += [pa.timestamp("us", "UTC"), pa.timestamp("ns", "Asia/Tokyo")] * (field in INSTANTS)
    kind = draw(st.sampled_from(kinds))
    if pa.types.is_timestamp(kind):
        instants: list[datetime | None] = [value_of(field, text) for text in texts]
        return pa.array(instants, kind)
    return pa.array(texts if kind == pa.string() else numbers, kind)


@settings(deadline=None, max_examples=50)
@given(made_up_records(), st.data())
def test_rewritten_files_give_the_same_rows(records: Records, data: st.DataObject) -> None:
    layout = records[0]
    columns = [data.draw(rewritten(field, texts)) for field, texts in zip(layout, columns_of(records), strict=True)]

    parquet = in_one(list(parquet_parts(as_parquet(records, columns), largest_bytes=10**9)))

    assert_frame_equal(parquet.rows, parse_text(as_text(records)).rows)
    assert parquet.rejected.is_empty()


@settings(deadline=None, max_examples=60)
@given(made_up_records(), st.data())
def test_every_row_is_a_row_or_a_rejected_one_for_the_reason_that_text_gives(
    records: Records, data: st.DataObject
) -> None:
    layout, rows = records
    for texts in rows:
        for place, field in enumerate(layout):
            if field in NUMBERS and data.draw(st.integers(0, 3)) == 0:
                wrong = ["-1", "NaN", "x", "1.5", "1e3", "99999999999999999999", str(largest(field) + 1)]
                texts[place] = data.draw(st.sampled_from(wrong))
    columns = [pa.array(texts, pa.string()) for texts in columns_of(records)]

    parquet = in_one(list(parquet_parts(as_parquet(records, columns), largest_bytes=10**9)))

    text = parse_text(as_text(records))
    assert_frame_equal(parquet.rows, text.rows)
    assert parquet.rejected["reason"].to_list() == text.rejected["reason"].to_list()
    assert [number + 1 for number in parquet.rejected["line_number"]] == text.rejected["line_number"].to_list()
    assert all(len(json.loads(row)) == len(layout) for row in parquet.rejected["text"])


_WHOLE = as_parquet(
    (["version", "srcaddr", "start"], []),
    [
        pa.array([2] * 50, pa.int32()),
        pa.array([f"192.0.2.{number}" for number in range(50)]),
        pa.array([datetime(2026, 11, 23, tzinfo=UTC)] * 50),
    ],
    row_group_size=20,
)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, len(_WHOLE)), st.binary(min_size=1, max_size=4), st.booleans())
def test_damage_is_said_in_our_words(place: int, splinter: bytes, is_cut: bool) -> None:
    content = _WHOLE[:place] + (b"" if is_cut else splinter + _WHOLE[place + len(splinter) :])

    try:
        lines = sum(part.lines for part in parquet_parts(content, largest_bytes=10**6))
    except UnreadableObjectError:
        return

    assert lines == 50
