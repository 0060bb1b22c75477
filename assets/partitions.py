"""How the assets are partitioned: accounts, hours, and exports by hours."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg

from kentik_dagster.configuration import Configuration
from kentik_dagster.core.flow_log_keys import HOUR_FORMAT, hour_of, hour_start
from kentik_dagster.core.retention import kept_since, read_since

_HOUR = timedelta(hours=1)
ACCOUNTS = dg.DynamicPartitionsDefinition(name="account")
# Why a run was asked for, on runs of sensors and schedules; a person's run has no such tag.
REASON_TAG = "kentik/reason"
_NO_EXPORTS_START = datetime(2026, 1, 1, tzinfo=UTC)


class _ExportHours(dg.MultiPartitionsDefinition):
    """Exports by hours; the keys of the range of a run are made once.

    Dagster asks for all of them with each piece of metadata of each partition: in a run of 720 hours, 3,600 times.
    """

    _asked: tuple[dg.PartitionKeyRange, Sequence[dg.MultiPartitionKey]] | None = None

    def get_partition_keys_in_range(
        self, partition_key_range: dg.PartitionKeyRange, *others: Any, **named: Any
    ) -> Sequence[dg.MultiPartitionKey]:
        """The keys of a rectangle of exports and hours."""
        if self._asked is None or self._asked[0] != partition_key_range:
            keys = super().get_partition_keys_in_range(partition_key_range, *others, **named)
            self._asked = partition_key_range, keys  # type: ignore[assignment]  # its annotation says text
        return self._asked[1]  # type: ignore[index]


class Partitions:
    """The partitions of one configuration; assets, jobs and sensors share them."""

    def __init__(self, configuration: Configuration) -> None:
        start = min((export.start for export in configuration.exports), default=_NO_EXPORTS_START)
        # end_offset=1: the hour that is still filling is a partition too, else nothing could ask for it.
        self.hours = dg.HourlyPartitionsDefinition(
            start_date=hour_of(start), fmt=HOUR_FORMAT, timezone="UTC", end_offset=1
        )
        names = [export.name for export in configuration.log_exports]
        self.flows = _ExportHours({"export": dg.StaticPartitionsDefinition(names), "hour": self.hours})
        self._retention_days = configuration.retention_days

    def open_hours(self, hours: Sequence[str], now: datetime) -> list[str]:
        """The hours whose log objects are read: those that `retention_days` does not remove soon."""
        since = read_since(self._retention_days, now)
        return [hour for hour in hours if since is None or hour >= since]

    def kept_hours(self, table: str, hours: Sequence[str], now: datetime) -> list[str]:
        """The hours that are read, and of which a table keeps its rows."""
        since = kept_since(self._retention_days, table, now)
        return [
            hour
            for hour in self.open_hours(hours, now)
            if (since is None or hour >= since) and self.hours.has_partition_key(hour)
        ]


def flow_key(export: str, hour: str) -> dg.MultiPartitionKey:
    """The partition key of one hour of an export."""
    return dg.MultiPartitionKey({"export": export, "hour": hour})


def hours_by_export(keys: Sequence[str]) -> dict[str, list[str]]:
    """The hours of each export in a run, which may hold any rectangle of both."""
    wanted: dict[str, list[str]] = {}
    for key in keys:
        export, hour = key.split("|")
        wanted.setdefault(export, []).append(hour)
    return wanted


def days_of(hours: Iterable[str]) -> set[date]:
    """The day folders that may hold objects of some hours; one of midnight may lie in the folder beside its own."""
    starts = [hour_start(hour) for hour in hours]
    return {(start + beside).date() for start in starts for beside in (-_HOUR, timedelta(0), _HOUR)}
