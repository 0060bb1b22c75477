"""The ledger: what is pending, what is proven, what may be deleted, and batches that hold it all once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.ledger import (
    BATCH_BYTES,
    BATCH_OBJECTS,
    batches,
    deletable_objects,
    pending_objects,
    unproven_objects,
)
from kentik_dagster.core.schemas import polars_schema
from kentik_dagster.errors import MissingColumnsError

POSTED = datetime(2026, 11, 23, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
AUDIT = polars_schema(TABLES["flow_log_objects"])


def audit(*lines: tuple[str, str, int], tried_after: timedelta = MINUTE) -> pl.DataFrame:
    """Audit lines: object, outcome and rows; posted at POSTED, tried some time later."""
    rows = [
        {
            "source_object": name,
            "outcome": outcome,
            "rows": rows,
            "posted_at": POSTED,
            "ingested_at": POSTED + tried_after,
        }
        for name, outcome, rows in lines
    ]
    return pl.DataFrame(rows, schema=AUDIT)


def listed(*names: str) -> pl.DataFrame:
    return pl.DataFrame({"source_object": names}, schema={"source_object": pl.String})


def named(objects: pl.DataFrame) -> list[str]:
    return objects["source_object"].to_list()


def test_an_object_is_pending_until_it_is_ingested_or_empty() -> None:
    lines = audit(("b", "ingested", 5), ("d", "empty", 0), ("gone", "ingested", 1))

    assert named(pending_objects(listed("a", "b", "c", "d"), lines)) == ["a", "c"]


def test_everything_is_pending_where_nothing_is_known() -> None:
    assert named(pending_objects(listed("b", "a"), audit())) == ["b", "a"]


def test_an_unreadable_object_is_pending_whenever_nobody_asks_for_the_time() -> None:
    assert named(pending_objects(listed("a"), audit(("a", "unreadable", 0)))) == ["a"]


@pytest.mark.parametrize(
    ("tried_after", "waits_for"),
    [
        (1 * MINUTE, 10 * MINUTE),  # never sooner than ten minutes
        (11 * MINUTE, 11 * MINUTE),  # as long again as it was unreadable
        (180 * MINUTE, 180 * MINUTE),
        (timedelta(days=9), timedelta(days=1)),  # once a day at least
        (-5 * MINUTE, 10 * MINUTE),  # clocks differ
    ],
)
def test_an_unreadable_object_is_tried_again_less_and_less_often(tried_after: timedelta, waits_for: timedelta) -> None:
    lines = audit(("a", "unreadable", 0), ("b", "ingested", 1), tried_after=tried_after)
    due = POSTED + tried_after + waits_for

    assert named(pending_objects(listed("a", "b"), lines, due - timedelta(seconds=1))) == []
    assert named(pending_objects(listed("a", "b"), lines, due)) == ["a"]


def test_a_line_is_proven_by_as_many_rows_as_it_says() -> None:
    lines = audit(("same", "ingested", 5), ("fewer", "ingested", 5), ("more", "ingested", 5), ("none", "ingested", 5))

    unproven = unproven_objects(lines, {"same": 5, "fewer": 4, "more": 6, "stranger": 1})

    assert sorted(named(unproven)) == ["fewer", "more", "none"]
    assert unproven.columns == lines.columns


def test_an_object_of_rejected_lines_only_is_proven_without_rows() -> None:
    assert unproven_objects(audit(("a", "ingested", 0)), {}).is_empty()


def test_what_the_lake_holds_may_be_deleted_and_nothing_else() -> None:
    lines = audit(("read", "ingested", 5), ("lost", "ingested", 5), ("empty", "empty", 0), ("torn", "unreadable", 0))

    assert named(deletable_objects(lines, {"read": 5, "lost": 4})) == ["read", "empty"]


_outcomes = st.sampled_from(["ingested", "empty", "unreadable"])


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(_outcomes, st.integers(0, 2), st.none() | st.integers(0, 2)), max_size=8))
def test_an_object_is_deletable_only_if_it_is_neither_pending_nor_unproven(
    objects: list[tuple[str, int, int | None]],
) -> None:
    names = [f"object-{number}" for number in range(len(objects))]
    lines = audit(*((name, outcome, rows) for name, (outcome, rows, _) in zip(names, objects, strict=True)))
    counts = {name: there for name, (_, _, there) in zip(names, objects, strict=True) if there}

    deletable = set(named(deletable_objects(lines, counts)))
    pending = set(named(pending_objects(listed(*names), lines)))
    unproven = set(named(unproven_objects(lines, counts)))

    assert deletable == set(names) - pending - unproven
    for name, (outcome, rows, there) in zip(names, objects, strict=True):
        assert (name in deletable) == (outcome == "empty" or (outcome == "ingested" and rows == (there or 0)))


def test_a_listing_without_names_is_refused() -> None:
    with pytest.raises(MissingColumnsError, match="pending_objects needs the columns source_object"):
        pending_objects(pl.DataFrame({"key": ["a"]}), audit())


# --- batches ------------------------------------------------------------------------------------------------------

_sizes = st.lists(
    st.tuples(st.integers(1, 700), st.one_of(st.just(0), st.integers(0, 200_000), st.integers(0, 3 * BATCH_BYTES))),
    max_size=6,
)


@settings(deadline=None, max_examples=50)
@given(_sizes)
def test_batches_hold_every_object_once_and_no_more_than_they_may(runs: list[tuple[int, int]]) -> None:
    sizes = [size for count, size in runs for _ in range(count)]
    objects = pl.DataFrame({"size_bytes": sizes}, schema={"size_bytes": pl.Int64}).with_row_index("number")

    cut = list(batches(objects))

    assert [row for batch in cut for row in batch.rows()] == objects.rows()
    for batch in cut:
        assert batch.columns == objects.columns
        assert 0 < batch.height <= BATCH_OBJECTS
        # Whatever the last object weighs: a batch is closed once it is full.
        assert sum(batch["size_bytes"][:-1]) < BATCH_BYTES
    assert len(cut) <= len(sizes) // BATCH_OBJECTS + sum(sizes) // BATCH_BYTES + 1


def test_large_objects_do_not_let_a_later_batch_grow() -> None:
    sizes = [10 * BATCH_BYTES, *[0] * 3 * BATCH_OBJECTS]

    heights = [batch.height for batch in batches(pl.DataFrame({"size_bytes": sizes}))]

    assert heights == [1, BATCH_OBJECTS - 1, BATCH_OBJECTS, BATCH_OBJECTS, 1]


def test_nothing_is_no_batch() -> None:
    assert list(batches(pl.DataFrame({"size_bytes": []}, schema={"size_bytes": pl.Int64}))) == []
