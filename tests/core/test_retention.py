"""How long hours are kept, and that none is read any more whose rows may vanish."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.core.retention import (
    kept_since,
    read_since,
    removed_before,
    retention_problems,
    tables_with_hours,
)

NOW = datetime(2026, 11, 23, 12, 34, tzinfo=UTC)


def test_a_table_is_kept_for_its_days_and_removed_within_the_day_after() -> None:
    assert kept_since({"flow_logs": 30}, "flow_logs", NOW) == "2026-10-24T12"
    assert removed_before({"flow_logs": 30}, "flow_logs", NOW) == "2026-10-23T12"


def test_a_table_that_is_not_named_is_kept_for_ever() -> None:
    assert kept_since({"flow_logs": 30}, "enriched_flows", NOW) is None
    assert removed_before({}, "flow_logs", NOW) is None
    assert read_since({"enriched_flows": 30}, NOW) is None


def test_what_is_read_goes_by_the_ledger_that_is_kept_shortest() -> None:
    assert read_since({"flow_logs": 30, "enriched_flows": 2}, NOW) == "2026-10-24T12"


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.sampled_from(tables_with_hours()), st.integers(1, 4000)),
    st.datetimes(datetime(2026, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
)
def test_no_hour_that_is_read_loses_rows_of_a_ledger(retention_days: dict[str, int], now: datetime) -> None:
    """Else its objects, if they still lie in the bucket, would be read again."""
    read = read_since(retention_days, now) or ""
    ledgers = {"flow_logs", "firewall_logs", "flow_log_objects"}

    removed = [removed_before(retention_days, name, now) for name in ledgers]

    if retention_problems(retention_days) == []:
        assert all(hour is None or hour < read for hour in removed)


def test_every_table_with_hours_may_be_named_and_others_may_not() -> None:
    assert retention_problems(dict.fromkeys(tables_with_hours(), 7)) == []
    assert "flow_logs" in tables_with_hours()

    unknown, unsuitable = retention_problems({"flowlogs": 7, "metadata_changes": 7})

    assert unknown.startswith("retention_days.flowlogs: there is no table of that name; the tables that may be named")
    assert unsuitable.startswith("retention_days.metadata_changes: this table has no hours that could be removed;")


@pytest.mark.parametrize("name", ["flow_log_objects", "deletion_sweep"])
def test_what_became_of_an_object_is_kept_at_least_as_long_as_its_rows(name: str) -> None:
    ledgers = {table: 30 for table in tables_with_hours() if table in ("flow_logs", "firewall_logs")}

    assert retention_problems({**ledgers, name: 30}) == []
    assert "write 30 or more" in retention_problems({**ledgers, name: 29})[0]
    assert "is kept for ever" in retention_problems({name: 30})[0]
