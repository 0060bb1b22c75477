"""One log object from the bucket into staged rows, part by part."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from kentik_dagster.aws.contents import Bounds, text_parts
from kentik_dagster.aws.flow_logs import LogBucket
from kentik_dagster.configuration import Export, Sampling
from kentik_dagster.core.enrichment import Knowledge
from kentik_dagster.core.firewall_logs import parse_events
from kentik_dagster.core.flow_log_keys import FIREWALL_LOGS
from kentik_dagster.core.flow_log_parquet import parquet_parts
from kentik_dagster.core.flow_log_text import parse_text
from kentik_dagster.core.parsed import Parsed
from kentik_dagster.core.sampling import Rate, Sampler
from kentik_dagster.errors import UnreadableObjectError
from kentik_dagster.lake.staging import FILE_BYTES, Staging
from kentik_dagster.lake.tables import Lake
from kentik_dagster.work.enriching import EnrichedOnTheWay

_LEAST_FILE_BYTES = 512 * 1024
_TABLES = ("flow_logs", "firewall_logs", "rejected_records", "enriched_flows")


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What an object gave.

    Attributes:
        table: the table that its rows belong to.
        log_type: vpc, transit_gateway or network_firewall; None: it has no rows.
        rows: rows that were staged.
        rejected_lines: lines that could not be read.
        sampled_out: records that sampling left out.
        sample_rate: what each flow that was kept stands for.
        error: why the object could not be read; its rows were discarded then.
    """

    table: str
    log_type: str | None = None
    rows: int = 0
    rejected_lines: int = 0
    sampled_out: int = 0
    sample_rate: float = 1.0
    error: str | None = None


class BatchStaging:
    """Where the rows of a batch of objects of an export wait for their commit, by table and hour."""

    def __init__(self, lake: Lake, export: str, known: Knowledge | None = None, *, hours: int = 1) -> None:
        """For a batch of so many `hours`.

        Args:
            known: with which flow records are enriched on their way; None: they are not.
        """
        self.export = export
        # Rows of many hours wait at the same time, and together hold no more than those of one.
        self._file_bytes = max(_LEAST_FILE_BYTES, FILE_BYTES // hours)
        self.enriched: EnrichedOnTheWay | None = None
        self._lake = lake
        self._stagings: dict[tuple[str, str], Staging] = {}
        self._lock = threading.Lock()
        if known is not None:
            flows, enriched = (functools.partial(self.of, table) for table in ("flow_logs", "enriched_flows"))
            self.enriched = EnrichedOnTheWay(flows, enriched, known)

    def of(self, table: str, hour: str) -> Staging:
        """The staging of an hour of a table."""
        with self._lock:
            if (table, hour) not in self._stagings:
                partition = {"export": self.export, "hour": hour}
                self._stagings[table, hour] = Staging(self._lake[table], partition, file_bytes=self._file_bytes)
            return self._stagings[table, hour]

    def all(self, table: str) -> list[Staging]:
        """Those of a table that took rows."""
        return [staging for (name, _), staging in sorted(self._stagings.items()) if name == table]

    def add(self, table: str, hour: str, rows: pl.DataFrame) -> None:
        """Take rows of an hour of a table."""
        if table == "flow_logs" and self.enriched is not None:
            self.enriched.add(rows)
        elif rows.height:
            self.of(table, hour).add(rows)

    def discard(self, hour: str, source_object: str) -> None:
        """Forget everything of an object of an hour."""
        for table in _TABLES:
            self.of(table, hour).discard(source_object)


def read_object(bucket: LogBucket, s3_object: Mapping[str, object], staging: BatchStaging) -> Read:
    """Read one object into the staging; an object that cannot be read leaves nothing there.

    Args:
        s3_object: a row of `LogBucket.objects`.
    """
    name, hour = str(s3_object["source_object"]), str(s3_object["hour"])
    table = "firewall_logs" if s3_object["family"] == FIREWALL_LOGS else "flow_logs"
    placed = {"export": staging.export, "hour": hour, "source_object": name}
    if table == "firewall_logs":
        placed |= {column: str(s3_object[column]) for column in ("account_id", "region", "firewall_log_type")}
    sampler = None if table == "firewall_logs" else Sampler(sampling_rate(bucket.export), name)
    log_type: str | None = None
    rows = rejected = 0
    try:
        for part in parsed_parts(bucket, s3_object):
            if part.rows.height and log_type is None:
                log_type = "network_firewall" if sampler is None else str(part.rows["log_type"][0])
            kept = part.rows if sampler is None else sampler.take(part.rows)
            staging.add(table, hour, _placed(kept, placed))
            rows += kept.height
            where = {"export": staging.export, "hour": hour, "source_object": name, "key": str(s3_object["key"])}
            staging.add("rejected_records", hour, _placed(part.rejected, where))
            rejected += part.rejected.height
        if sampler is not None:
            rest = sampler.rest()
            staging.add(table, hour, _placed(rest, placed))
            rows += rest.height
    except UnreadableObjectError as error:
        staging.discard(hour, name)
        return Read(table=table, error=str(error))
    return Read(
        table=table,
        log_type=log_type,
        rows=rows,
        rejected_lines=rejected,
        sampled_out=0 if sampler is None else sampler.left_out,
        sample_rate=1.0 if sampler is None else sampler.sample_rate,
    )


def sampling_rate(export: Export) -> Rate:
    """The sampling rate of an export, as `core.sampling` names it."""
    if isinstance(export.sampling, Sampling):
        return export.sampling.rate
    return 1 if export.sampling == "unsampled" else "legacy"


def parsed_parts(bucket: LogBucket, s3_object: Mapping[str, object]) -> Iterator[Parsed]:
    """The parsed parts of one object.

    Only what parsing raises is this object's fault. What the staging raises must end the batch: the rows that it holds
    are other objects' too, and would be committed without those that could not be written.
    """
    try:
        yield from _parsed(bucket, s3_object)
    except pl.exceptions.PolarsError as error:
        raise UnreadableObjectError(
            f"reading it failed ({type(error).__name__}: {error}): please report the object"
        ) from error


def _parsed(bucket: LogBucket, s3_object: Mapping[str, object]) -> Iterator[Parsed]:
    bounds = Bounds(largest_bytes=bucket.export.largest_object_bytes, largest_expansion=bucket.export.largest_expansion)
    stored = bucket.chunks(str(s3_object["key"]), str(s3_object["etag"]))
    if s3_object["format"] == "parquet":
        bounds.check_stored(int(str(s3_object["size_bytes"])))
        yield from parquet_parts(b"".join(stored), largest_bytes=bounds.largest_bytes)
    elif s3_object["family"] == FIREWALL_LOGS:
        yield from _event_parts(text_parts(stored, bounds))
    else:
        yield from _record_parts(text_parts(stored, bounds))


def _record_parts(texts: Iterator[bytes]) -> Iterator[Parsed]:
    layout: tuple[str, ...] | None = None
    first_line = 1
    for text in texts:
        part = parse_text(text, layout=layout, first_line=first_line)
        yield part
        layout = part.layout
        first_line += part.lines


def _event_parts(texts: Iterator[bytes]) -> Iterator[Parsed]:
    rest = b""
    first_line = 1
    text = next(texts, None)
    while text is not None:
        following = next(texts, None)
        part = parse_events(rest + text, first_line=first_line, last=following is None)
        yield part
        rest, text = part.rest, following
        first_line += part.lines


def _placed(rows: pl.DataFrame, placed: Mapping[str, str]) -> pl.DataFrame:
    return rows.with_columns(pl.lit(value).alias(column) for column, value in placed.items())
