"""Log objects of one hour into the lake: rows first, then rejected lines, then the audit line.

What is pending follows from the rows and the audit, so a run that was killed anywhere is finished by the next:

- killed before the rows were committed: the object is pending, and is read;
- killed before its rejected lines or its audit line: it is pending, is read again, finds its rows there, and
  only what is lacking is written. It cannot have been deleted: the sweep goes by the audit line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from kentik_dagster.aws.flow_logs import LogBucket
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.flow_log_text import ParsedText, parse_text
from kentik_dagster.core.ledger import batches, pending_objects, unproven_objects
from kentik_dagster.core.schemas import polars_schema
from kentik_dagster.errors import UnreadableObjectError
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import append_objects, merge_partition

# Gunzip and parsing release the interpreter; more threads than this only hold more memory.
CONCURRENT_OBJECTS = 4
_AUDIT = polars_schema(TABLES["flow_log_objects"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What became of the objects of one hour in one run.

    Attributes:
        listed: flow log objects in the bucket.
        objects: audit lines of those that this run read.
    """

    listed: int
    objects: pl.DataFrame

    def count(self, outcome: str) -> int:
        """How many objects had this outcome."""
        return self.objects.filter(pl.col("outcome") == outcome).height

    @property
    def rows(self) -> int:
        """Rows of the objects that were ingested."""
        return int(self.objects["rows"].sum())

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
    progress: Callable[[str], None] = lambda text: None,
) -> Ingested:
    """Read the pending objects of one hour of an export, batch by batch.

    Args:
        listed: rows of `LogBucket.objects` of this hour.
        progress: told a sentence after each batch.
    """
    partition = {"export": bucket.export.name, "hour": hour}
    audit = lake["flow_log_objects"].read(partition)
    committed = lake["flow_logs"].open().object_counts(partition)
    unproven = unproven_objects(audit, committed)
    pending = pending_objects(listed, audit.join(unproven, on="source_object", how="anti"))
    lines: list[pl.DataFrame] = []
    done = 0
    for batch in batches(pending):
        lines.append(_ingest_batch(bucket, lake, partition, batch, run_id, clock))
        done += batch.height
        rows = sum(int(line["rows"].sum()) for line in lines)
        progress(f"{partition['export']} {hour}: {done} of {pending.height} objects, {rows:,} rows")
    objects = pl.concat(lines) if lines else pl.DataFrame(schema=_AUDIT)
    return Ingested(listed=listed.height, objects=objects)


def _ingest_batch(
    bucket: LogBucket,
    lake: Lake,
    partition: Mapping[str, str],
    objects: pl.DataFrame,
    run_id: str,
    clock: Callable[[], datetime],
) -> pl.DataFrame:
    """Read one batch and commit it; returns its audit lines."""
    with ThreadPoolExecutor(CONCURRENT_OBJECTS, thread_name_prefix="read") as pool:
        contents = list(pool.map(lambda row: _read(bucket, row), objects.iter_rows(named=True)))
    names: Sequence[str] = objects["source_object"].to_list()
    keys: Sequence[str] = objects["key"].to_list()
    parsed = {name: text for name, text in zip(names, contents, strict=True) if isinstance(text, ParsedText)}
    rows = [_placed(text.rows, partition, name) for name, text in parsed.items() if text.rows.height]
    rejected = [
        _placed(text.rejected, partition, name).with_columns(key=pl.lit(key))
        for key, name, text in zip(keys, names, contents, strict=True)
        if isinstance(text, ParsedText) and text.rejected.height
    ]
    committed: Mapping[str, int] = {}
    if rows:
        table = pl.concat(rows, how="diagonal").with_columns(sample_rate=pl.lit(1.0))
        committed = append_objects(lake["flow_logs"], partition, table)
    if rejected:
        append_objects(lake["rejected_records"], partition, pl.concat(rejected))
    audit = objects.select("source_object", "bucket", "key", "etag", "size_bytes", "posted_at").with_columns(
        pl.DataFrame(
            [_result(text, committed.get(name, 0)) for name, text in zip(names, contents, strict=True)],
            schema={name: _AUDIT[name] for name in ("log_type", "outcome", "rows", "rejected_lines", "error")},
        ),
        **{name: pl.lit(value) for name, value in partition.items()},
        ingested_at=pl.lit(clock(), _AUDIT["ingested_at"]),
        run_id=pl.lit(run_id),
    )
    audit = audit.select(_AUDIT.names())
    merge_partition(lake["flow_log_objects"], partition, lambda there: _with_lines(there, audit))
    return audit


def _read(bucket: LogBucket, s3_object: Mapping[str, object]) -> ParsedText | UnreadableObjectError:
    if s3_object["format"] != "gz":
        return UnreadableObjectError(
            "Parquet flow logs are not read by this release: choose text as the flow log's file format. "
            "The object stays in the bucket, and a later release reads it."
        )
    try:
        return parse_text(bucket.text(str(s3_object["key"]), str(s3_object["etag"])))
    except UnreadableObjectError as error:
        return error


def _placed(rows: pl.DataFrame, partition: Mapping[str, str], source_object: str) -> pl.DataFrame:
    return rows.with_columns(
        **{name: pl.lit(value) for name, value in partition.items()}, source_object=pl.lit(source_object)
    )


def _result(content: ParsedText | UnreadableObjectError, committed: int) -> dict[str, object]:
    """The audit of one object: its outcome, its numbers, and the error if there was one."""
    nothing = {"log_type": None, "rows": 0, "rejected_lines": 0}
    if isinstance(content, UnreadableObjectError):
        return nothing | {"outcome": "unreadable", "error": str(content)}
    if content.rows.height != committed:
        return nothing | {
            "outcome": "unreadable",
            "error": f"the object has {content.rows.height} rows, and flow_logs holds {committed} of it: something "
            "other than kentik_dagster wrote there. Delete the rows of this source_object, and run the hour again.",
        }
    log_type = content.rows["log_type"][0] if content.rows.height else None
    lines = content.rows.height + content.rejected.height
    return {
        "log_type": log_type,
        "outcome": "ingested" if lines else "empty",
        "rows": content.rows.height,
        "rejected_lines": content.rejected.height,
        "error": None,
    }


def _with_lines(there: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """The audit with one line for each object.

    A line that would say the same again stays as it was, and `unreadable` never replaces another outcome: an
    object that vanished under our hands was read and deleted by another run.
    """
    settled = there.filter(pl.col("outcome") != "unreadable")
    new = lines.join(settled, on=["source_object", "outcome", "rows", "rejected_lines"], how="anti").filter(
        (pl.col("outcome") != "unreadable") | ~pl.col("source_object").is_in(settled["source_object"].implode())
    )
    kept = there.join(new, on="source_object", how="anti")
    return pl.concat([kept, new.select(there.columns)]).sort("source_object")
