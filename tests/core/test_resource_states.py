"""The log of changes read as intervals: each state stands from the snapshot that saw it to the one that did not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.resource_states import NEVER, resource_states, split_by_name
from kentik_dagster.core.schemas import polars_schema

PAYMENTS, PLATFORM, SEARCH = "111122223333", "444455556666", "777788889999"
CHANGES = polars_schema(TABLES["metadata_changes"])


def at(minute: int) -> datetime:
    return datetime(2026, 11, 23, 9, tzinfo=UTC) + timedelta(minutes=minute)


def change(minute: int, resource_id: str, what: str = "changed", **values: Any) -> dict[str, Any]:
    """A row of the log: of a VPC that payments owns and shows, where nothing else is said."""
    usual = {"account_id": PAYMENTS, "region": "eu-west-1", "resource_type": "vpc", "owner_account_id": PAYMENTS}
    return usual | {"resource_id": resource_id, "change": what, "observed_at": at(minute), "attributes": "{}"} | values


def states(*changes: dict[str, Any]) -> pl.DataFrame:
    return resource_states(pl.DataFrame(changes, schema=CHANGES)).sort("resource_id", "valid_from")


def stood(frame: pl.DataFrame) -> list[tuple[str | None, datetime, datetime | None]]:
    """Names with the times they stood; None: until now."""
    ends = frame.select("name", "valid_from", pl.when(pl.col("valid_to") < NEVER).then("valid_to"))
    return list(ends.iter_rows())


def test_a_state_stands_until_the_snapshot_that_saw_another() -> None:
    found = states(change(0, "vpc-1", name="old"), change(2, "vpc-1", name="new"))

    assert stood(found) == [("old", at(0), at(2)), ("new", at(2), None)]


def test_the_order_of_the_log_does_not_matter() -> None:
    rows = [change(0, "vpc-1", name="old"), change(2, "vpc-1", name="new"), change(3, "vpc-1", "removed")]

    assert states(*reversed(rows)).equals(states(*rows))


def test_nothing_stands_between_a_removal_and_a_return() -> None:
    found = states(change(0, "vpc-1"), change(2, "vpc-1", "removed"), change(4, "vpc-1", "added"))

    assert stood(found) == [(None, at(0), at(2)), (None, at(4), None)]


def test_only_what_the_first_snapshot_of_an_account_and_region_saw_may_be_older() -> None:
    found = states(
        change(0, "vpc-1"),
        change(1, "vpc-1"),
        change(1, "vpc-2"),
        change(1, "vpc-3", region="us-east-1"),
        change(2, "vpc-4", account_id=PLATFORM, owner_account_id=PLATFORM),
    )

    assert found.select("resource_id", "since_first_snapshot").rows() == [
        ("vpc-1", True),
        ("vpc-1", False),
        ("vpc-2", False),
        ("vpc-3", True),
        ("vpc-4", True),
    ]


def test_what_its_owner_shows_is_not_taken_from_others() -> None:
    found = states(
        change(0, "vpc-1", account_id=PAYMENTS, owner_account_id=PLATFORM, name="as payments sees it"),
        change(1, "vpc-1", account_id=PLATFORM, owner_account_id=PLATFORM, name="as its owner sees it"),
        change(2, "vpc-1", account_id=SEARCH, owner_account_id=PLATFORM, name="as search sees it"),
    )

    assert stood(found) == [("as its owner sees it", at(1), None)]


def test_what_no_owner_shows_is_taken_from_one_of_the_others() -> None:
    found = states(
        change(0, "vpc-1", account_id=SEARCH, name="as search sees it"),
        change(1, "vpc-1", account_id=PLATFORM, name="as platform sees it"),
        change(2, "vpc-1", account_id=PLATFORM, name="as platform sees it now"),
    )

    assert stood(found) == [("as platform sees it", at(1), at(2)), ("as platform sees it now", at(2), None)]


def test_what_two_regions_show_is_there_once() -> None:
    found = states(change(0, "pcx-1", region="us-east-1"), change(0, "pcx-1", region="eu-west-1"))

    assert found["region"].to_list() == ["eu-west-1"]


# --- names --------------------------------------------------------------------------------------------------------


def stretch(begin: int, end: int, vpc_id: str | None = "vpc-1") -> pl.DataFrame:
    """Something that stood in a VPC from one minute to another, and that the first snapshot saw."""
    times = {"observed_at": at(begin), "valid_from": at(begin), "valid_to": at(end)}
    schema = pl.Schema(
        {"vpc_id": pl.String(), **dict.fromkeys(times, CHANGES["observed_at"]), "since_first_snapshot": pl.Boolean()}
    )
    return pl.DataFrame([{"vpc_id": vpc_id, **times, "since_first_snapshot": True}], schema=schema)


def parts(rows: pl.DataFrame, *changes: dict[str, Any]) -> list[tuple[str | None, int, int, bool]]:
    """The parts of a row: name, first and last minute, and whether it may be older."""
    split = split_by_name(rows, states(*changes), "vpc").sort("valid_from")
    return [
        (name, int((begin - at(0)).total_seconds()) // 60, int((end - at(0)).total_seconds()) // 60, is_first)
        for name, begin, end, is_first in split.select(
            "vpc_name", "valid_from", "valid_to", "since_first_snapshot"
        ).iter_rows()
    ]


def test_a_row_is_split_where_a_name_changed() -> None:
    found = parts(stretch(2, 8), change(0, "vpc-1", name="old"), change(5, "vpc-1", name="new"))

    assert found == [("old", 2, 5, True), ("new", 5, 8, False)]


def test_a_change_that_is_not_of_the_name_splits_nothing() -> None:
    found = parts(stretch(2, 8), change(0, "vpc-1", name="same"), change(5, "vpc-1", name="same"))

    assert found == [("same", 2, 8, True)]


def test_a_name_that_comes_back_is_two_stretches() -> None:
    found = parts(
        stretch(0, 9),
        change(0, "vpc-1", name="blue"),
        change(3, "vpc-1", name="green"),
        change(6, "vpc-1", name="blue"),
    )

    assert found == [("blue", 0, 3, True), ("green", 3, 6, False), ("blue", 6, 9, False)]


def test_before_it_was_first_seen_and_after_its_removal_a_thing_has_its_nearest_name() -> None:
    found = parts(
        stretch(0, 9), change(3, "vpc-1", name="old"), change(5, "vpc-1", name="new"), change(7, "vpc-1", "removed")
    )

    assert found == [("old", 0, 5, True), ("new", 5, 9, False)]


def test_a_thing_that_nobody_saw_has_no_name() -> None:
    assert parts(stretch(0, 9)) == [(None, 0, 9, True)]
    assert parts(stretch(0, 9, vpc_id=None), change(3, "vpc-1", name="old")) == [(None, 0, 9, True)]


def test_a_part_was_observed_when_the_row_and_the_name_both_were() -> None:
    row = stretch(2, 8).with_columns(observed_at=pl.lit(at(4), CHANGES["observed_at"]))

    split = split_by_name(
        row,
        states(change(0, "vpc-1", name="a"), change(3, "vpc-1", name="b"), change(6, "vpc-1", name="c")),
        "vpc",
    )

    assert split.sort("valid_from")["observed_at"].to_list() == [at(4), at(4), at(6)]


def test_whatever_else_is_told_of_a_thing_splits_a_row_too() -> None:
    seen = states(
        change(0, "vpc-1", name="same", tags={"env": "test"}), change(5, "vpc-1", name="same", tags={"env": "prod"})
    )

    split = split_by_name(stretch(2, 8), seen, "vpc", "tags").sort("valid_from")

    assert split["vpc_name"].to_list() == ["same", "same"]
    assert [dict(tags) for tags in split["vpc_tags"]] == [{"env": "test"}, {"env": "prod"}]
    assert split["valid_from"].to_list() == [at(2), at(5)]
