"""Which days a listing looks at, and how hours become runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Literal

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.core.flow_log_keys import hour_of
from kentik_dagster.core.look_back import (
    Examined,
    after_days,
    examine,
    hours_between,
    hours_of,
    lacking_hours,
    left_over_objects,
    stretches,
)

NOW = datetime(2026, 11, 23, 12, 34, tzinfo=UTC)
TODAY = NOW.date()
MINUTE = timedelta(minutes=1)


def days(*numbers: int) -> tuple[date, ...]:
    return tuple(date(2026, 11, number) for number in numbers)


def tick(
    examined: Examined, now: datetime = NOW, *, start: date = date(2026, 11, 1), window: int = 2, at_most: int = 99
) -> tuple[tuple[date, ...], Examined]:
    """The days that one tick looks at, and the memory after it."""
    begun = examine(examined, now, start=start, look_back_days=window)
    looked_at = begun.left[:at_most]
    return looked_at, after_days(begun, len(looked_at), now, went_on=bool(examined.left))


def examined_with(
    examined: Examined, now: datetime, *, unfinished: Sequence[date] | Literal["all of them"]
) -> tuple[tuple[date, ...], Examined]:
    """The days that one tick looks at, of which some have something left to do, and the memory after it."""
    begun = examine(examined, now, start=date(2026, 11, 1), look_back_days=2)
    left = begun.left if unfinished == "all of them" else unfinished
    return begun.left, after_days(begun, len(begun.left), now, went_on=False, unfinished=left)


class TestWhichDays:
    def test_a_steady_tick_looks_at_the_window_newest_first_and_remembers_the_same(self) -> None:
        steady = Examined(until=TODAY)

        assert tick(steady) == (days(23, 22), steady)

    def test_the_first_rounds_go_back_to_the_start_a_few_days_at_a_time(self) -> None:
        first, memory = tick(Examined(), start=date(2026, 11, 10))
        second, memory = tick(memory, start=date(2026, 11, 10))
        third, _ = tick(memory, start=date(2026, 11, 10))

        assert first == days(23, 22, 21, 20, 19, 18, 17, 16, 15)
        assert second == days(23, 22, 14, 13, 12, 11, 10)
        assert third == days(23, 22)

    def test_days_that_passed_while_nobody_looked_are_looked_at(self) -> None:
        looked_at, memory = tick(Examined(until=date(2026, 11, 18)))

        assert looked_at == days(23, 22, 21, 20, 19, 18)
        assert memory == Examined(until=TODAY)

    def test_days_before_the_start_of_the_export_are_left_alone(self) -> None:
        assert tick(Examined(), start=TODAY)[0] == days(23)
        assert tick(Examined(), start=TODAY + timedelta(days=1))[0] == ()

    def test_a_round_that_does_not_fit_into_a_tick_goes_on_in_the_next(self) -> None:
        first, memory = tick(Examined(until=TODAY), window=5, at_most=2)
        second, memory = tick(memory, NOW + MINUTE, window=5, at_most=2)
        third, memory = tick(memory, NOW + 2 * MINUTE, window=5, at_most=2)
        fourth, _ = tick(memory, NOW + 3 * MINUTE, window=5, at_most=2)

        assert (first, second, third, fourth) == (days(23, 22), days(21, 20), days(19), days(23, 22))

    def test_a_day_with_something_left_to_do_is_looked_at_until_nothing_is(self) -> None:
        old = date(2026, 11, 12)
        memory = Examined(until=TODAY, unfinished=(old,))

        first, begun = examined_with(memory, NOW, unfinished=[old])
        at_once, begun = examined_with(begun, NOW + MINUTE, unfinished=[])
        later, done = examined_with(begun, NOW + 10 * MINUTE, unfinished=[])

        assert first == later == (*days(23, 22), old)
        assert at_once == days(23, 22)
        assert done.unfinished == ()

    def test_a_day_that_is_looked_at_in_parts_has_something_left_to_do_if_any_part_has(self) -> None:
        def part(memory: Examined, looked_at: int, left_after: str | None, *unfinished: date) -> Examined:
            begun = examine(memory, NOW, start=date(2026, 11, 1), look_back_days=2)
            return after_days(begun, looked_at, NOW, went_on=True, left_after=left_after, unfinished=unfinished)

        first = part(Examined(until=TODAY, unfinished=days(22)), 0, "us-east-1/", TODAY)
        second = part(first, 0, "us-west-1/")
        third = part(second, 1, "eu-west-1/")
        fourth = part(third, 1, None)

        assert (first.left, first.left_after) == (second.left, "us-east-1/") == (days(23, 22), "us-east-1/")
        assert (third.left, third.left_after) == (days(22), "eu-west-1/")
        assert [set(memory.unfinished) for memory in (first, second)] == [set(days(22, 23))] * 2
        # The 22nd was begun anew, and nothing was found in any of its parts.
        assert (third.unfinished, fourth.unfinished) == (days(23), days(23))
        assert (fourth.left, fourth.left_after) == ((), None)

    def test_many_such_days_take_turns(self) -> None:
        memory = Examined(until=TODAY, unfinished=days(*range(1, 21)))
        seen: set[date] = set()

        for number in range(3):
            looked_at, memory = examined_with(memory, NOW + number * 10 * MINUTE, unfinished="all of them")
            seen.update(looked_at)

        assert seen >= set(days(*range(1, 21)))
        assert set(memory.unfinished) >= set(days(*range(1, 21)))

    def test_who_asks_at_once_and_again_comes_to_an_end(self) -> None:
        memory = Examined(until=TODAY)
        for _ in range(3):
            _, memory = tick(memory, window=5, at_most=2)

        assert tick(memory, window=5, at_most=2) == ((), memory)

    @given(
        ticks=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3 * 24 * 60)), min_size=1, max_size=40),
        window=st.integers(1, 6),
    )
    @settings(max_examples=100, deadline=None)
    def test_no_day_since_the_start_is_passed_over(self, ticks: list[tuple[int, int]], window: int) -> None:
        start, now, memory, seen = date(2026, 11, 1), NOW, Examined(), set[date]()
        for at_most, minutes in ticks:
            looked_at, memory = tick(memory, now, start=start, window=window, at_most=at_most)
            seen.update(looked_at)
            now += minutes * MINUTE
        last_day = memory.until
        while memory.left or memory.behind:
            looked_at, memory = tick(memory, now, start=start, window=window)
            seen.update(looked_at)
            now += MINUTE

        assert last_day is not None
        assert seen >= {start + timedelta(days=number) for number in range((last_day - start).days + 1)}


class TestObjectsThatAreReadAndStillThere:
    def since(self, last_time: datetime | None, *, delete_after_read: bool = True) -> datetime | None:
        examined = Examined(until=TODAY, left_over_at=last_time)
        return examine(
            examined, NOW, start=TODAY, look_back_days=2, delete_after_read=delete_after_read
        ).left_over_since

    def test_all_are_asked_for_at_first_and_once_an_hour(self) -> None:
        for last_time in (None, NOW - timedelta(hours=1)):
            since = self.since(last_time)

            assert since is not None
            assert since < NOW - timedelta(days=3650)

    def test_those_that_were_just_read_are_asked_for_every_ten_minutes(self) -> None:
        assert self.since(NOW - 9 * MINUTE) is None
        assert self.since(NOW - 10 * MINUTE) == NOW - timedelta(hours=1)

    def test_none_are_asked_for_where_nothing_is_deleted(self) -> None:
        assert self.since(None, delete_after_read=False) is None

    def test_a_round_of_several_ticks_asks_in_all_of_them(self) -> None:
        begun = examine(Examined(), NOW, start=TODAY - timedelta(days=3), look_back_days=4, delete_after_read=True)
        middle = after_days(begun, 2, NOW, went_on=False)
        end = after_days(middle, 2, NOW, went_on=True)

        assert begun.left_over_since == middle.left_over_since
        assert middle.left_over_since is not None
        assert end.left_over_since is None

    def test_they_are_those_that_the_ledger_knows_as_read(self) -> None:
        listed = pl.DataFrame({"source_object": ["old", "read", "empty", "unreadable", "new"]})
        audit = pl.DataFrame(
            {
                "source_object": ["old", "read", "empty", "unreadable"],
                "outcome": ["ingested", "ingested", "empty", "unreadable"],
                "ingested_at": [NOW - timedelta(hours=2), NOW, NOW, NOW],
            }
        )

        left_over = left_over_objects(listed, audit, since=NOW - timedelta(hours=1))

        assert left_over["source_object"].to_list() == ["read", "empty"]


class TestHours:
    def test_hours_are_cut_where_one_is_missing(self) -> None:
        hours = ["2026-11-22T22", "2026-11-22T23", "2026-11-23T00", "2026-11-23T02"]

        assert stretches(hours) == [hours[:3], hours[3:]]
        assert stretches([]) == []

    def test_a_year_in_a_row_is_cut_into_weeks(self) -> None:
        year = hours_between("2025-01-01T00", "2025-12-31T23")

        cut = stretches(year)

        assert [hour for stretch in cut for hour in stretch] == year
        assert {len(stretch) for stretch in cut[:-1]} == {168}
        assert len(cut[-1]) <= 168

    @given(st.sets(st.integers(0, 60), max_size=40), st.integers(1, 12))
    @settings(max_examples=100, deadline=None)
    def test_a_stretch_is_all_hours_between_its_ends(self, numbers: set[int], longest: int) -> None:
        hours = [hour_of(NOW + timedelta(hours=number)) for number in sorted(numbers)]

        cut = stretches(hours, longest)

        assert [hour for stretch in cut for hour in stretch] == hours
        assert all(stretch == hours_between(stretch[0], stretch[-1]) for stretch in cut)
        assert all(len(stretch) <= longest for stretch in cut)

    def test_the_objects_of_an_hour_are_one_row(self) -> None:
        objects = pl.DataFrame(
            {
                "hour": ["2026-11-23T03", "2026-11-23T02", "2026-11-23T03"],
                "source_object": ["c", "b", "a"],
                "size_bytes": [1, 2, 3],
                "posted_at": [NOW, NOW, NOW + MINUTE],
            }
        )

        assert hours_of(objects).rows() == [
            ("2026-11-23T02", 1, 2, NOW, ["b"]),
            ("2026-11-23T03", 2, 4, NOW + MINUTE, ["a", "c"]),
        ]


def test_hours_lack_rows_until_the_derived_table_has_as_many() -> None:
    def files(**records: int) -> pl.DataFrame:
        return pl.DataFrame({"hour": list(records), "num_records": list(records.values())})

    lacking = lacking_hours(pl.concat([files(a=2, b=1, c=3), files(a=2)]), files(a=3, b=1))

    assert lacking.rows() == [("a", ["3 of 4 rows"]), ("c", ["0 of 3 rows"])]
