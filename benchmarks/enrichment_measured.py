"""The work that the enrichment benchmark measures: ours in its stages, and the same written plainly by others' means.

Each function reads all log objects of a prepared folder and writes below another one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
from deltalake import write_deltalake

from benchmarks.enrichment_inputs import (
    EXPORT,
    HOUR,
    Folder,
    made_up_book,
    organization,
    silent_book,
    write_objects,
)
from benchmarks.measures import Stages, cpu_seconds, peak_mb
from kentik_dagster.aws.contents import Bounds, text_parts
from kentik_dagster.catalog.tables import END_COLUMNS
from kentik_dagster.core.address_book import in_order
from kentik_dagster.core.address_index import AddressIndex
from kentik_dagster.core.enrichment import Knowledge, enriched_flows
from kentik_dagster.core.flow_log_text import parse_text
from kentik_dagster.demo.flows import FIELDS
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import replace_partition
from kentik_dagster.work.enrich import enrich_hour
from kentik_dagster.work.ingest import ingest_hour

THREADS = 2
_NUMBERS = (
    "version",
    "srcport",
    "dstport",
    "protocol",
    "packets",
    "bytes",
    "start",
    "end",
    "tcp_flags",
    "traffic_path",
)
_COLUMNS = {field: field.replace("-", "_") for field in FIELDS}
# What the plain ways say of each end.
_ENDS = tuple(END_COLUMNS)


def prepare(folder: Path, *, interfaces: int, records: int, windows: int = 1, silent: int = 0) -> None:
    """Log objects below `logs`, the address book as a table of the lake `known`, and as `book.parquet` for others.

    Args:
        silent: so many interfaces more in the book, which write no records.
    """
    of = organization(interfaces)
    write_objects(folder / "logs", of, records=records, windows=windows)
    book = made_up_book(of)
    if silent:
        book = in_order(pl.concat([book, silent_book(silent)]))
    replace_partition(Lake(str(folder / "known"))["address_book"], {}, lambda: [book])
    book.write_parquet(folder / "book.parquet")


def parse(prepared: Path, out: Path, stages: Stages) -> None:
    """Gunzip and parse, and keep nothing."""
    logs = Folder(prepared / "logs")
    bounds = Bounds(largest_bytes=EXPORT.largest_object_bytes, largest_expansion=EXPORT.largest_expansion)
    with stages.stage("parse"):
        for key in logs.listed()["key"]:
            layout, first_line = None, 1
            for text in text_parts(logs.chunks(key, ""), bounds):
                part = parse_text(text, layout=layout, first_line=first_line)
                layout, first_line = part.layout, first_line + part.lines


def book(prepared: Path, out: Path, stages: Stages) -> AddressIndex:
    """Read the address book and sort it."""
    with stages.stage("book"):
        return AddressIndex(Lake(str(prepared / "known"))["address_book"].read())


def flow_logs(prepared: Path, out: Path, stages: Stages) -> None:
    """Read the pending objects, and commit `flow_logs` and the audit."""
    with stages.stage("flow_logs"):
        _ingest(prepared, out, None)


def whole(prepared: Path, out: Path, stages: Stages) -> None:
    """Both tables in one pass, as a run makes them."""
    known = Knowledge(index=book(prepared, out, stages))
    with stages.stage("tables"):
        _ingest(prepared, out, known)
        enrich_hour(Lake(str(out)), EXPORT.name, HOUR, known, rebuild=False)


def _ingest(prepared: Path, out: Path, known: Knowledge | None) -> None:
    logs, lake = Folder(prepared / "logs"), Lake(str(out))
    ingest_hour(logs, lake, HOUR, logs.listed(), run_id="benchmark", clock=lambda: datetime.now(UTC), known=known)


def resolution(prepared: Path, out: Path, stages: Stages) -> None:
    """`core.enrichment.enriched_flows` alone, of the files of a committed `flow_logs`."""
    known = Knowledge(index=book(prepared, out, stages))
    flow_logs(prepared, out, stages)
    committed = Lake(str(out))["flow_logs"].open()
    for path in committed.files["path"]:
        flows = committed.read_file(str(path))
        with stages.stage("resolution"):
            enriched_flows(flows, known)


def polars_plainly(prepared: Path, out: Path, stages: Stages) -> None:
    """One query over all objects, two joins, two tables."""
    types = {field: pl.Int64 if name in _NUMBERS else pl.String for field, name in _COLUMNS.items()}
    instants = (pl.from_epoch(name).cast(pl.Datetime("us", "UTC")) for name in ("start", "end"))
    with stages.stage("polars"):
        files = Folder(prepared / "logs").files()
        records = (
            pl.scan_csv(files, separator=" ", null_values="-", schema=types)
            .rename(_COLUMNS)
            .with_columns(*instants)
            .collect()
        )
        write_deltalake(out / "flow_logs", records)
        owners = (
            pl.scan_parquet(prepared / "book.parquet")
            .filter(pl.col("kind") == "interface_address", pl.col("valid_to").is_null())
            .select("address", pl.col("vpc_id").alias("in_vpc"), *_ENDS)
        )
        enriched = records.lazy()
        for side in ("src", "dst"):
            enriched = enriched.join(
                owners.rename({name: f"{side}_{name}" for name in _ENDS}),
                left_on=["vpc_id", f"pkt_{side}addr"],
                right_on=["in_vpc", "address"],
                how="left",
            )
        write_deltalake(out / "enriched_flows", enriched.collect())


def duckdb_to_parquet(prepared: Path, out: Path, stages: Stages) -> None:
    """One query over all objects, two joins, two Parquet files: no table, and no commit."""
    out.mkdir(exist_ok=True)
    with stages.stage("duckdb"):
        for name, rows in _duckdb(prepared).items():
            rows.write_parquet(str(out / f"{name}.parquet"), compression="zstd")


def duckdb_to_delta(prepared: Path, out: Path, stages: Stages) -> None:
    """One query over all objects, two joins, two tables."""
    with stages.stage("duckdb"):
        for name, rows in _duckdb(prepared).items():
            write_deltalake(out / name, rows.to_arrow_reader())


def _duckdb(prepared: Path) -> Mapping[str, duckdb.DuckDBPyRelation]:
    types = {name: "BIGINT" if name in _NUMBERS else "VARCHAR" for name in _COLUMNS.values()}
    files = [str(file) for file in Folder(prepared / "logs").files()]
    database = duckdb.connect(config={"threads": THREADS})
    database.execute(
        'CREATE TABLE flow_logs AS SELECT * REPLACE (to_timestamp(start) AS start, to_timestamp("end") AS "end") '
        "FROM read_csv($files, delim = ' ', header = true, nullstr = '-', columns = $types)",
        {"files": files, "types": types},
    )
    database.execute(f"CREATE VIEW owners AS FROM '{prepared}/book.parquet' WHERE kind = 'interface_address' "
                     "AND valid_to IS NULL")  # fmt: skip
    ends = ", ".join(f"{side}.{name} AS {side}_{name}" for side in ("src", "dst") for name in _ENDS)
    enriched = database.sql(
        f"SELECT f.*, {ends} FROM flow_logs f "
        "LEFT JOIN owners src ON src.vpc_id = f.vpc_id AND src.address = f.pkt_srcaddr "
        "LEFT JOIN owners dst ON dst.vpc_id = f.vpc_id AND dst.address = f.pkt_dstaddr"
    )
    return {"flow_logs": database.table("flow_logs"), "enriched_flows": enriched}


Measured = Callable[[Path, Path, Stages], object]
MEASUREMENTS: Mapping[str, Measured] = {
    "parse": parse,
    "flow_logs": flow_logs,
    "whole": whole,
    "resolution": resolution,
    "book": book,
    "polars": polars_plainly,
    "duckdb_parquet": duckdb_to_parquet,
    "duckdb_delta": duckdb_to_delta,
}


def measure(name: str, prepared: Path, out: Path) -> dict[str, object]:
    """Do one work in this process, and tell what it cost.

    Returns:
        `cpu` and `wall` (seconds), `peak_mb` (of the process, what it imports too) and `stages` (CPU seconds by name).
    """
    stages, cpu, began = Stages(), cpu_seconds(), time.monotonic()
    MEASUREMENTS[name](prepared, out, stages)
    said = {"cpu": cpu_seconds() - cpu, "wall": time.monotonic() - began}
    return said | {"peak_mb": peak_mb(), "stages": stages.cpu, "threads": os.environ.get("POLARS_MAX_THREADS")}
