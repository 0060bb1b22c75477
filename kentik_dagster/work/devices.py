"""Cloud devices: the hours of logs that changed since the last run are counted, and merged into `cloud_devices`.

The table remembers, beside its rows, how many rows of each hour it has counted, and when the newest file that it knew
was written. So a run opens the files of hours that changed, however long the history is; the first run counts it all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.configuration import Export
from kentik_dagster.core.device_directory import CONCERNED, Directory, directory, expected_devices
from kentik_dagster.core.devices import RECORD_COLUMNS, cloud_devices, device_counts, merged_devices, seen_devices
from kentik_dagster.core.schemas import no_rows
from kentik_dagster.errors import LakeError
from kentik_dagster.lake.commits import Change, converge
from kentik_dagster.lake.snapshots import Snapshot
from kentik_dagster.lake.tables import Lake, LakeTable
from kentik_dagster.lake.writes import merge_partition

SOURCES = ("flow_logs", "firewall_logs")
# A file is written a while before its commit, and a compacted one is taken to be as old as the oldest in it. Within
# this time the counts of hours decide, beyond it nothing is looked at.
_LATEST_CHANGE = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicesCounted:
    """What a run found.

    Attributes:
        devices: all rows of `cloud_devices`.
        hours: how many hours were read.
        rows: how many rows that was.
        nameless_rows: those of them that name nothing that could be a device.
        failures: why an hour could not be read, one sentence each; the next run tries again.
    """

    devices: pl.DataFrame
    hours: int
    rows: int
    nameless_rows: int
    failures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Hour:
    source: Snapshot
    export: str
    hour: str
    rows: int

    @property
    def mark(self) -> str:
        """The name by which `cloud_devices` remembers the rows that it has counted."""
        return f"devices/{self.source.table.name}/{self.export}/{self.hour}"


def count_devices(
    lake: Lake, exports: Sequence[Export], *, progress: Callable[[str], None] = lambda text: None
) -> DevicesCounted:
    """Bring `cloud_devices` up to `flow_logs`, `firewall_logs` and the metadata.

    A run that ends early is repeated from its beginning; counting an hour twice changes nothing.

    Args:
        exports: those that read logs; devices of others stay as they were.

    Raises:
        LakeError: a table cannot be opened, or metadata not read.
    """
    table = lake["cloud_devices"]
    concerned = _metadata(lake)
    known = directory(concerned, _interfaces(lake))
    sources = [lake[name].open() for name in SOURCES]
    memory = table.open()
    hours = [hour for source in sources for hour in _changed_hours(source, memory)]
    counted: list[_Hour] = []
    failures: list[str] = []
    seen, rows, nameless = no_rows(TABLES["cloud_devices"]), 0, 0
    for number, hour in enumerate(hours, start=1):
        try:
            counts = pl.concat(_counts(hour, known))
        except LakeError as error:  # a damaged hour does not hide the devices of all others
            failures.append(f"{hour.export} {hour.hour}: {error}")
            continue
        counted.append(hour)
        seen = merged_devices(seen, seen_devices(counts))
        rows += int(counts["rows"].sum())
        nameless += int(counts.filter(pl.col("device_id").is_null())["rows"].sum())
        progress(
            f"{hour.export} {hour.hour}: {hour.rows:,} {hour.source.table.name} counted ({number} of {len(hours)})"
        )
    expected = [
        expected_devices(concerned, known, export.name, *_places(export)) for export in exports if export.collects_logs
    ]
    newest = _newest_hours(sources)
    devices = merge_partition(table, {}, lambda before: cloud_devices(before, seen, expected, known, newest))
    # With a damaged hour the time is not remembered, so that it is looked at until it can be read.
    _remember(table, counted, [] if failures else sources)
    return DevicesCounted(
        devices=devices, hours=len(counted), rows=rows, nameless_rows=nameless, failures=tuple(failures)
    )


def _metadata(lake: Lake) -> pl.DataFrame:
    changes = lake["metadata_changes"].open()
    concerned = changes.scan().filter(pl.col("resource_type").is_in(CONCERNED))
    return changes.collected(concerned.drop("tags", "attributes_hash"))


def _interfaces(lake: Lake) -> pl.DataFrame:
    book = lake["address_book"].open()
    addresses = book.scan().filter(pl.col("kind") == "interface_address")
    return book.collected(addresses.select("kind", "eni_id", "vpc_id").unique())


def _changed_hours(source: Snapshot, memory: Snapshot) -> Iterator[_Hour]:
    """The hours of which other rows are there than were counted, oldest first."""
    since = memory.handle.transaction_version(_written_mark(source))
    written = pl.col("modification_time")
    hours = (
        source.files.group_by(export="partition.export", hour="partition.hour")
        .agg(pl.col("num_records").sum(), written.max())
        .filter(pl.lit(True) if since is None else written >= since - _LATEST_CHANGE // timedelta(milliseconds=1))
        .sort("hour", "export")
    )
    for export, hour, rows, _ in hours.iter_rows():
        changed = _Hour(source, export, hour, rows)
        if memory.handle.transaction_version(changed.mark) != rows:
            yield changed


def _counts(hour: _Hour, known: Directory) -> Iterator[pl.DataFrame]:
    """What the files of an hour say, one at a time: memory holds a few columns of a file."""
    for path in hour.source.files_of({"export": hour.export, "hour": hour.hour})["path"]:
        yield device_counts(hour.source.read_file(str(path), RECORD_COLUMNS), known)


def _newest_hours(sources: Sequence[Snapshot]) -> pl.DataFrame:
    """The newest hour with records of each export: `export`, `newest_hour_at`."""
    partitions = [source.files.select(export="partition.export", hour="partition.hour") for source in sources]
    return (
        pl.concat(partitions)
        .group_by("export")
        .agg(pl.col("hour").max() + ":00")  # Polars reads no hour without its minutes.
        .select("export", newest_hour_at=pl.col("hour").str.to_datetime("%Y-%m-%dT%H:%M", time_zone="UTC"))
    )


def _places(export: Export) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Where an export reads flow logs, and where firewall logs."""
    place = (export.log_bucket, export.log_folder)
    return [place] * export.collect_flow_logs, [place] * export.collect_firewall_logs


def _remember(table: LakeTable, hours: Sequence[_Hour], sources: Sequence[Snapshot]) -> None:
    """After the rows, so that a run that is killed in between counts the hours again."""
    marks = {hour.mark: hour.rows for hour in hours}
    marks |= {
        _written_mark(source): source.files.select(pl.col("modification_time").max().fill_null(0)).item()
        for source in sources
    }

    def plan(snapshot: Snapshot) -> Change | None:
        lacking = {
            name: number for name, number in marks.items() if snapshot.handle.transaction_version(name) != number
        }
        return Change(marks=lacking) if lacking else None

    converge(table, "devices", plan)


def _written_mark(source: Snapshot) -> str:
    return f"devices/{source.table.name}"
