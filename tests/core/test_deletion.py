"""What may be deleted, and what the sweep says of it: laws over made-up ledgers, and the moments that matter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.deletion import (
    CONTENT,
    DELETED_UNSEEN,
    DELETION_BEGUN,
    NO_ANSWER,
    SweepOutcome,
    current_lags,
    deletion_lags,
    held_back,
    held_objects,
    merged_sweep,
    refused_deletions,
    vanished_objects,
)
from kentik_dagster.core.schemas import polars_schema

AT = datetime(2026, 11, 23, 9, 5, tzinfo=UTC)
SWEEP = polars_schema(TABLES["deletion_sweep"])
AUDIT = polars_schema(TABLES["flow_log_objects"])


def content(key: str, etag: str = "0a") -> dict[str, str]:
    return {"bucket": "logs", "key": key, "etag": etag}


def contents(*objects: dict[str, str]) -> pl.DataFrame:
    return pl.DataFrame(list(objects), schema=dict.fromkeys(CONTENT, pl.String))


def line(key: str, outcome: str, error: str | None = None, etag: str = "0a", **more: object) -> dict[str, object]:
    """A row of deletion_sweep."""
    return {**content(key, etag), "outcome": outcome, "error": error, "posted_at": AT, "swept_at": AT, **more}


def sweep(*lines: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame([dict.fromkeys(SWEEP) | row for row in lines], schema=SWEEP)


def audit(*lines: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame([dict.fromkeys(AUDIT) | row for row in lines], schema=AUDIT)


class TestHeld:
    @pytest.mark.parametrize(
        ("outcome", "log_type", "counts", "held"),
        [
            ("ingested", "vpc", {"flow_logs": {"a": 2}, "rejected_records": {"a": 1}}, True),
            ("ingested", "vpc", {"flow_logs": {"a": 1}, "rejected_records": {"a": 1}}, False),
            ("ingested", "vpc", {"flow_logs": {"a": 2}}, False),
            ("ingested", "vpc", {"firewall_logs": {"a": 2}, "rejected_records": {"a": 1}}, False),
            ("ingested", "network_firewall", {"firewall_logs": {"a": 2}, "rejected_records": {"a": 1}}, True),
            ("ingested", "network_firewall", {"flow_logs": {"a": 2}, "rejected_records": {"a": 1}}, False),
            ("unreadable", "vpc", {"flow_logs": {"a": 2}, "rejected_records": {"a": 1}}, False),
        ],
    )
    def test_is_what_was_counted_in_the_right_table(
        self, outcome: str, log_type: str, counts: dict[str, dict[str, int]], held: bool
    ) -> None:
        said = {"source_object": "a", "outcome": outcome, "log_type": log_type, "rows": 2, "rejected_lines": 1}

        found = held_objects(audit(said), counts)

        assert found["source_object"].to_list() == ["a"] * held

    def test_is_an_empty_object_that_no_table_knows(self) -> None:
        said = {"source_object": "a", "outcome": "empty", "rows": 0, "rejected_lines": 0}

        assert held_objects(audit(said), {}).height == 1


class TestVanished:
    @pytest.mark.parametrize(
        ("known", "says"),
        [
            ([], "already_gone"),
            ([line("a", "would_delete")], "already_gone"),
            ([line("a", "would_delete", DELETION_BEGUN)], "deleted"),
            ([line("a", "failed", f"{NO_ANSWER}: timeout")], "deleted"),
            ([line("a", "failed", "AccessDenied: no")], "already_gone"),
            ([line("a", "would_delete", DELETION_BEGUN, etag="0b")], "already_gone"),
        ],
    )
    def test_is_our_deed_only_if_we_had_begun_it(self, known: list[dict[str, object]], says: str) -> None:
        gone = vanished_objects(contents(content("a")), contents(), sweep(*known))

        assert gone["outcome"].to_list() == [says]

    def test_is_what_holds_other_content_now(self) -> None:
        known = sweep(line("a", "would_delete", DELETION_BEGUN))

        gone = vanished_objects(contents(content("a")), contents(content("a", "0b")), known)

        assert gone["outcome"].to_list() == ["changed"]

    def test_is_not_what_we_know_to_have_deleted(self) -> None:
        gone = vanished_objects(contents(content("a")), contents(), sweep(line("a", "deleted")))

        assert gone.is_empty()
        assert gone.columns == [*CONTENT, "outcome", "error"]


OUTCOMES = st.sampled_from(list(SweepOutcome)).map(str)
ERRORS = st.sampled_from([None, DELETION_BEGUN, f"{NO_ANSWER}: timeout", "AccessDenied: no"])
LINES = st.lists(
    st.builds(line, st.sampled_from("abcd"), OUTCOMES, ERRORS, st.sampled_from(["0a", "0b"])),
    unique_by=lambda row: (row["key"], row["etag"]),
).map(lambda rows: sweep(*rows))


class TestMerged:
    @settings(max_examples=100, deadline=None)
    @given(there=LINES, lines=LINES)
    def test_has_one_row_for_each_content_and_is_the_same_the_second_time(
        self, there: pl.DataFrame, lines: pl.DataFrame
    ) -> None:
        merged = merged_sweep(there, lines)

        assert merged.select(CONTENT).is_unique().all()
        assert set(merged.select(CONTENT).rows()) == {*there.select(CONTENT).rows(), *lines.select(CONTENT).rows()}
        assert merged_sweep(merged, lines).equals(merged)

    @settings(max_examples=100, deadline=None)
    @given(there=LINES, lines=LINES)
    def test_loses_no_deletion_to_a_sweep_that_came_too_late(self, there: pl.DataFrame, lines: pl.DataFrame) -> None:
        late = lines.filter(pl.col("outcome").is_in(["already_gone", "changed"]))

        merged = merged_sweep(there, late)

        deleted = there.filter(pl.col("outcome") == "deleted")
        assert merged.filter(pl.col("outcome") == "deleted").equals(deleted.sort("key", "etag"))

    def test_keeps_the_time_of_a_row_that_would_say_the_same(self) -> None:
        there = sweep(line("a", "failed", "AccessDenied: no", run_id="first"))

        same = merged_sweep(there, sweep(line("a", "failed", "AccessDenied: no", run_id="second")))
        other = merged_sweep(there, sweep(line("a", "failed", "SlowDown: less", run_id="second")))

        assert same["run_id"].to_list() == ["first"]
        assert other["run_id"].to_list() == ["second"]


class TestLags:
    def test_are_the_seconds_from_posting_to_deletion(self) -> None:
        swept = sweep(
            line("a", "deleted", swept_at=AT + timedelta(seconds=90)),
            line("b", "deleted", "the bucket is versioned", swept_at=AT + timedelta(minutes=2)),
            line("c", "deleted", DELETED_UNSEEN),
            line("d", "would_delete"),
        )

        assert deletion_lags(swept).select("key", "lag_seconds").rows() == [("a", 90.0), ("b", 120.0)]

    def test_of_old_objects_and_of_those_that_a_dry_run_kept_do_not_say_whether_we_keep_up(self) -> None:
        swept = sweep(
            line("a", "deleted"), line("b", "deleted"), line("c", "deleted", posted_at=AT - timedelta(days=2))
        )
        lags = deletion_lags(swept).with_columns(held_back=pl.col("key") == "b")

        current = current_lags(lags, AT + timedelta(hours=1), timedelta(days=1))

        assert current["key"].to_list() == ["a"]


def test_only_a_dry_run_holds_back() -> None:
    known = sweep(line("a", "would_delete"), line("b", "would_delete", DELETION_BEGUN), line("c", "failed"))

    assert held_back(known)["key"].to_list() == ["a"]


def test_a_refusal_is_what_waiting_does_not_mend() -> None:
    swept = sweep(
        line("a", "failed", "AccessDenied: no"),
        line("b", "failed", "SlowDown: less"),
        line("c", "failed", f"{NO_ANSWER}: timeout"),
        line("d", "failed", "NotConditional: it ignores If-Match"),
        line("e", "deleted"),
    )

    assert refused_deletions(swept)["key"].to_list() == ["a", "d"]
