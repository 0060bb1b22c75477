"""Log objects of some hours into the lake: rows first, then rejected lines, then the audit line, then enriched rows.

What is pending follows from the rows and the audit, so a run that was killed anywhere is finished by the next:

- killed before the rows were committed: the object is pending, and is read;
- killed before its rejected lines or its audit line: it is pending, is read again, finds its rows there, and
  only what is lacking is written. It cannot have been deleted: the sweep goes by the audit line;
- killed before its enriched rows were committed: `enrich_hours` makes them from the rows.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from kentik_dagster.aws.flow_logs import LogBucket
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.enrichment import Knowledge
from kentik_dagster.core.ledger import batches, pending_objects, unproven_objects
from kentik_dagster.core.schemas import polars_schema
from kentik_dagster.core.unresolved import together
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import append_all_staged, merge_partitions
from kentik_dagster.work.reading import BatchStaging, Read, read_object

# Gunzip and parsing release the interpreter; more threads than this only hold more memory.
CONCURRENT_OBJECTS = 4
# The tables that hold the rows of objects; each object's rows are in one of them.
ROW_TABLES = ("flow_logs", "firewall_logs")
_AUDIT = polars_schema(TABLES["flow_log_objects"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What became of the objects of one hour in one run.

    Attributes:
        listed: flow log objects in the bucket.
        objects: audit lines of those that this run read.
        ends: of the rows that were enriched on the way: rows of `core.unresolved.ends_by_vpc`.
    """

    listed: int
    objects: pl.DataFrame
    ends: pl.DataFrame

    def count(self, outcome: str) -> int:
        """How many objects had this outcome."""
        return self.objects.filter(pl.col("outcome") == outcome).height

    def rows(self, *log_types: str) -> int:
        """Rows of the objects of these log types that were ingested."""
        return int(self.objects.filter(pl.col("log_type").is_in(log_types))["rows"].sum())

    @property
    def sampled_out(self) -> int:
        """Records that sampling left out."""
        return int(self.objects["sampled_out"].sum())

    @property
    def rejected_lines(self) -> int:
        """Lines of them that could not be read."""
        return int(self.objects["rejected_lines"].sum())

    @property
    def size_bytes(self) -> int:
        """Stored size of the objects that were read."""
        return int(self.objects["size_bytes"].sum())

    def lag(self, quantile: float) -> timedelta | None:
        """Time from posting to rows in the lake; None if nothing was ingested."""
        done = self.objects.filter(pl.col("outcome") == "ingested")
        lag = done.select(
            (pl.col("ingested_at") - pl.col("posted_at")).dt.total_microseconds().quantile(quantile)
        ).item()
        return None if lag is None else timedelta(microseconds=float(lag))


def ingest_hour(
    bucket: LogBucket,
    lake: Lake,
    hour: str,
    listed: pl.DataFrame,
    *,
    run_id: str,
    clock: Callable[[], datetime],
    known: Knowledge | None = None,
    every_unreadable: bool = True,
    progress: Callable[[str], None] = lambda text: None,
) -> Ingested:
    """`ingest_hours` of one hour."""
    done = ingest_hours(
        bucket, lake, [hour], listed,
        run_id=run_id, clock=clock, known=known, every_unreadable=every_unreadable, progress=progress,
    )  # fmt: skip
    return done[hour]


def ingest_hours(
    bucket: LogBucket,
    lake: Lake,
    hours: Sequence[str],
    listed: pl.DataFrame,
    *,
    run_id: str,
    clock: Callable[[], datetime],
    known: Knowledge | None = None,
    every_unreadable: bool = True,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, Ingested]:
    """Read the pending objects of some hours of an export, batch by batch; a batch is of as many hours as it holds.

    Args:
        listed: rows of `LogBucket.objects` of these hours.
        known: with which flow records are enriched in the same pass; None: they are not.
        every_unreadable: try all unreadable objects again; else those whose time has come.
        progress: told a sentence after each batch.
    """
    export = bucket.export.name
    pending = _pending(lake, export, hours, listed, None if every_unreadable else clock())
    lines: list[pl.DataFrame] = [pl.DataFrame(schema=_AUDIT)]
    ends: defaultdict[str, list[pl.DataFrame]] = defaultdict(list)
    done = 0
    for batch in batches(pending.sort("hour", maintain_order=True)):
        staging = BatchStaging(lake, export, known, hours=batch["hour"].n_unique())
        lines.append(_ingest_batch(bucket, lake, batch, staging, run_id, clock))
        if staging.enriched is not None:
            for hour, of_hour in staging.enriched.append(_as_read(lines[-1], staging)).items():
                ends[hour].append(of_hour)
            known = known if staging.enriched.error is None else None
        done += batch.height
        rows = sum(int(line["rows"].sum()) for line in lines)
        progress(f"{export} {_told(hours)}: {done} of {pending.height} objects, {rows:,} rows")
    by_hour = pl.concat(lines).partition_by("hour", as_dict=True)
    counts = dict(listed.group_by("hour").len().iter_rows())
    return {
        hour: Ingested(
            listed=counts.get(hour, 0),
            objects=by_hour.get((hour,), lines[0]),
            ends=together(ends[hour]),
        )
        for hour in hours
    }


def _told(hours: Sequence[str]) -> str:
    return hours[0] if len(hours) == 1 else f"{hours[0]} to {hours[-1]}"


def _pending(lake: Lake, export: str, hours: Sequence[str], listed: pl.DataFrame, now: datetime | None) -> pl.DataFrame:
    """The listed objects of which the lake does not hold what its audit says, or that it does not know."""
    audit = lake["flow_log_objects"].open().read_all([{"export": export, "hour": hour} for hour in hours])
    audit = audit.join(listed, on="source_object", how="semi")
    unproven = unproven_objects(audit, committed_rows(lake, export, audit))
    proven = audit.join(unproven, on="source_object", how="anti")
    return pending_objects(listed, proven, now)


def committed_rows(lake: Lake, export: str, objects: pl.DataFrame) -> dict[str, int]:
    """How many rows of each of these objects the tables hold, whichever of them it belongs to.

    Args:
        objects: one row per object: `hour`, `source_object`.
    """
    counts: dict[str, int] = {}
    named = objects.select("hour", "source_object", export=pl.lit(export))
    for table in ROW_TABLES if objects.height else ():
        counts |= dict(lake[table].open().counts_of(named).select("source_object", "rows").iter_rows())
    return counts


def _ingest_batch(
    bucket: LogBucket,
    lake: Lake,
    objects: pl.DataFrame,
    staging: BatchStaging,
    run_id: str,
    clock: Callable[[], datetime],
) -> pl.DataFrame:
    """Read one batch and commit it; returns its audit lines."""
    with ThreadPoolExecutor(CONCURRENT_OBJECTS, thread_name_prefix="read") as pool:
        reads = list(pool.map(lambda row: read_object(bucket, row, staging), objects.iter_rows(named=True)))
    if staging.enriched is not None:
        staging.enriched.flush()
    committed: dict[str, int] = {}
    for table in ROW_TABLES:
        committed |= append_all_staged(staging.all(table))
    append_all_staged(staging.all("rejected_records"))
    others = objects.filter(~pl.col("source_object").is_in(list(committed)))
    committed |= committed_rows(lake, staging.export, others)
    results = [
        _result(lake, {"export": staging.export, "hour": hour}, name, read, committed.get(name, 0))
        for (name, hour), read in zip(objects.select("source_object", "hour").iter_rows(), reads, strict=True)
    ]
    told = ("log_type", "outcome", "rows", "rejected_lines", "sampled_out", "error")
    audit = (
        objects.select("source_object", "bucket", "key", "etag", "size_bytes", "posted_at", "hour")
        .with_columns(
            pl.DataFrame(results, schema={name: _AUDIT[name] for name in told}),
            export=pl.lit(staging.export),
            ingested_at=pl.lit(clock(), _AUDIT["ingested_at"]),
            run_id=pl.lit(run_id),
        )
        .select(_AUDIT.names())
    )
    wanted = [
        ({"export": staging.export, "hour": str(hour)}, functools.partial(_with_lines, lines=lines))
        for (hour,), lines in audit.partition_by("hour", as_dict=True).items()
    ]
    merge_partitions(lake["flow_log_objects"], wanted)
    return audit


def _as_read(audit: pl.DataFrame, staging: BatchStaging) -> set[str]:
    """The objects of which the table holds the very rows that were read now."""
    ingested = set(audit.filter(pl.col("outcome") == "ingested")["source_object"])
    return {name for one in staging.all("flow_logs") for name in one.appended if name in ingested}


def _result(lake: Lake, partition: Mapping[str, str], name: str, read: Read, committed: int) -> dict[str, object]:
    """The audit of one object: its outcome, its numbers, and the error if there was one."""
    nothing = {"log_type": None, "rows": 0, "rejected_lines": 0, "sampled_out": 0}
    if read.error is not None:  # a run before this one may have read it; its audit line then stays
        return nothing | {"outcome": "unreadable", "error": read.error}
    sampled_out = read.sampled_out
    if read.rows != committed:
        if not _sampled_otherwise(lake, partition, name, read):
            return nothing | {
                "outcome": "unreadable",
                "error": f"the object has {read.rows} rows, and {read.table} holds {committed} of it: something other "
                "than kentik_dagster wrote there. Delete the rows of this source_object, and run the hour again.",
            }
        sampled_out += read.rows - committed
    lines = committed + read.rejected_lines + sampled_out
    return {
        "log_type": read.log_type,
        "outcome": "ingested" if lines else "empty",
        "rows": committed,
        "rejected_lines": read.rejected_lines,
        "sampled_out": sampled_out,
        "error": None,
    }


def _sampled_otherwise(lake: Lake, partition: Mapping[str, str], name: str, read: Read) -> bool:
    """Whether the rows that are there were committed at another sampling rate, which has been changed since."""
    if read.table != "flow_logs":
        return False
    flows = lake["flow_logs"].open()
    of_object = flows.scan(partition).filter(pl.col("source_object") == name)
    rates = flows.collected(of_object.select("sample_rate"))
    return rates.height <= read.rows + read.sampled_out and rates["sample_rate"].max() != read.sample_rate


def _with_lines(there: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """The audit with one line for each object.

    A line that would say the same again stays as it was, and `unreadable` never replaces another outcome: an
    object that vanished under our hands was read and deleted by another run.
    """
    if there.is_empty():
        return lines.select(there.columns).sort("source_object")
    settled = there.filter(pl.col("outcome") != "unreadable")
    new = lines.join(settled, on=["source_object", "outcome", "rows", "rejected_lines"], how="anti").filter(
        (pl.col("outcome") != "unreadable") | ~pl.col("source_object").is_in(settled["source_object"].implode())
    )
    kept = there.join(new, on="source_object", how="anti")
    return pl.concat([kept, new.select(there.columns)]).sort("source_object")
