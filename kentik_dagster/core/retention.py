"""How long the rows of an hour are kept, and which hours are not read any more because of it.

The rows of flow logs are the ledger of what was read. Where they are removed and their objects still lie in the
bucket, the objects would look as if they had never been read. So an hour is closed to reading *before* its rows
are removed, by a day, which no run lasts: no run that took the hour for open sees its rows vanish.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.flow_log_keys import hour_of

# An hour is removed only when it has been closed to reading for so long.
CLOSED_BEFORE_REMOVAL = timedelta(days=1)
# The tables whose rows say which objects have been read ...
_LEDGERS = tuple(name for name in ("flow_logs", "firewall_logs") if name in TABLES)
# ... and those that say what became of an object: without their lines it is read, or reported, once more.
_RECORDS = ("flow_log_objects", "deletion_sweep")


def tables_with_hours() -> list[str]:
    """The tables of which old hours may be removed; all others are small, and hold what is true now."""
    return [name for name, table in TABLES.items() if "hour" in table.partition_by]


def kept_since(retention_days: Mapping[str, int], table: str, now: datetime) -> str | None:
    """The first hour of a table that is kept; None: all are.

    Args:
        retention_days: `retention_days` of the configuration: days by table.
    """
    days = retention_days.get(table)
    return None if days is None else hour_of(now - timedelta(days=days))


def removed_before(retention_days: Mapping[str, int], table: str, now: datetime) -> str | None:
    """The hour before which a table's rows are removed: a day older than what is kept; None: none are."""
    return kept_since(retention_days, table, now - CLOSED_BEFORE_REMOVAL)


def read_since(retention_days: Mapping[str, int], now: datetime) -> str | None:
    """The first hour whose log objects are read, and whose enriched flows are built from `flow_logs`; None: all are.

    Sensors do not ask for an hour before it, and no run reads or rebuilds one.
    """
    kept = [kept_since(retention_days, table, now) for table in _LEDGERS]
    return max((hour for hour in kept if hour is not None), default=None)


def retention_problems(retention_days: Mapping[str, int]) -> list[str]:
    """What is wrong with `retention_days`: one sentence for each mistake, with what to write instead."""
    possible = tables_with_hours()
    problems = [
        f"retention_days.{name}: "
        + ("this table has no hours that could be removed" if name in TABLES else "there is no table of that name")
        + f"; the tables that may be named are {', '.join(possible)}"
        for name in retention_days
        if name not in possible
    ]
    for name in _RECORDS:
        if name not in retention_days:
            continue
        for ledger in _LEDGERS:
            longest = retention_days.get(ledger)
            if longest is None:
                problems.append(
                    f"retention_days.{name}: {ledger} is kept for ever, and its objects would look unread without "
                    f"their lines in {name}: remove this key, or name {ledger} too"
                )
            elif retention_days[name] < longest:
                problems.append(
                    f"retention_days.{name}: the lines must be kept at least as long as {ledger}: write {longest} or "
                    "more, or remove this key"
                )
    return problems
