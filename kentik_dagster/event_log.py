"""Dagster's event log in SQLite, with the events of many partitions written together.

A backfill of 720 hours in one run has 7,200 events of partitions, and Dagster's SQLite storage opens both of its
databases for each: that costs more than to read the hours. (In Postgres, Dagster itself writes them together.) Files
and answers are those of Dagster's storage, and either may go on with what the other wrote.

DAGSTER_EVENT_BATCH_SIZE says how many events Dagster hands over together; without it, it hands over each alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from dagster._core.events import ASSET_EVENTS
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData


class BatchingSqliteEventLogStorage(SqliteEventLogStorage):
    """`SqliteEventLogStorage`, with the same configuration."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        """As dagster.yaml configures it: `base_dir`."""
        return cls(inst_data=inst_data, **config_value)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events: those of the assets of a run in one transaction of each database."""
        is_of_asset = [event.get_dagster_event().event_type in ASSET_EVENTS for event in events]
        of_assets = [event for event, is_one in zip(events, is_of_asset, strict=True) if is_one]
        if len({event.run_id for event in of_assets}) != 1:
            super().store_event_batch(events)
            return
        super().store_event_batch([event for event, is_one in zip(events, is_of_asset, strict=True) if not is_one])
        # As parameters, not as one statement of thousands of values, which it takes longer to write than to carry out.
        insert, rows = SqlEventLogStorageTable.insert(), [self._event_to_row(event) for event in of_assets]
        with self.run_connection(of_assets[0].run_id) as connection:
            connection.execute(insert, rows)
        with self.index_transaction() as connection:
            numbered = insert.returning(SqlEventLogStorageTable.c.id, sort_by_parameter_order=True)
            numbers = [row[0] for row in connection.execute(numbered, rows)]
            self._store_asset_event_tags(connection, of_assets, numbers)
            newest = {event.get_dagster_event().asset_key: place for place, event in enumerate(of_assets)}
            for place in newest.values():
                self._store_asset_event(connection, of_assets[place], numbers[place])
