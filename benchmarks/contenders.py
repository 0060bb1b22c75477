"""The same log objects read by what people would use instead, as plainly as it can be written.

Each is a function from a folder of objects and an address book to files in another folder, run in a process of its own:

    python -m benchmarks.contenders <name> <prepared folder> <folder for what it writes>

They read local files, which is less than ours does; most of them do less besides: see LABELS. One that writes nothing
returns what can be compared instead: the length of the text, a frame, or sums over the objects that it read.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.measures import cpu_seconds, peak_mb, wall_seconds

THREADS = 2
NUMBERS = ("version", "srcport", "dstport", "protocol", "packets", "bytes", "start", "end", "tcp_flags", "traffic_path")
_REPEATED = ("account_id", "interface_id", "srcaddr", "dstaddr", "vpc_id", "subnet_id", "instance_id", "pkt_srcaddr",
             "pkt_dstaddr", "region", "az_id", "action", "log_status", "type", "flow_direction")  # fmt: skip
# What a plain way says of each end.
_SAID = ("eni_id", "instance_id", "instance_name", "account_id", "subnet_id")
# A part of the objects, for what is too slow for all of them.
_FEW = 10


def log_files(prepared: Path) -> list[Path]:
    """The log objects of a prepared folder, sorted."""
    return sorted((prepared / "logs").rglob("*.log.gz"))


def _columns(file: Path) -> list[str]:
    with gzip.open(file, "rt") as text:
        return text.readline().split()


def isal_gunzip(prepared: Path, out: Path) -> Mapping[str, int]:
    """Decompress all objects, two at a time, and keep nothing."""
    from concurrent.futures import ThreadPoolExecutor

    from isal import igzip

    with ThreadPoolExecutor(THREADS) as pool:
        lengths = pool.map(lambda file: len(igzip.decompress(file.read_bytes())), log_files(prepared))
        return {"text_bytes": sum(lengths)}


def zlib_gunzip(prepared: Path, out: Path) -> Mapping[str, int]:
    """As `isal_gunzip`, with Python's own gzip."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(THREADS) as pool:
        lengths = pool.map(lambda file: len(gzip.decompress(file.read_bytes())), log_files(prepared))
        return {"text_bytes": sum(lengths)}


def _polars_frames(prepared: Path) -> Iterator[object]:
    import polars as pl
    from isal import igzip

    for file in log_files(prepared):
        columns = [name.replace("-", "_") for name in _columns(file)]
        types = {name: pl.Int64 if name in NUMBERS else pl.String for name in columns}
        text = igzip.decompress(file.read_bytes())
        yield pl.read_csv(text, separator=" ", null_values="-", has_header=False, skip_lines=1, schema=types)


def polars_strings(prepared: Path, out: Path) -> object:
    """Read all objects into one frame of text and numbers."""
    import polars as pl

    return pl.concat(_polars_frames(prepared))  # type: ignore[type-var]


def polars_parquet(prepared: Path, out: Path) -> None:
    """Read, text that repeats as categories, two joins with the owners of today, one Parquet file."""
    _joined_by_polars(prepared, categories=True).write_parquet(out / "flows.parquet", compression="zstd")  # type: ignore[attr-defined]


def polars_delta(prepared: Path, out: Path) -> None:
    """Read, two joins with the owners of today, one Delta table."""
    _joined_by_polars(prepared, categories=False).write_delta(str(out / "flows"))  # type: ignore[attr-defined]


def _joined_by_polars(prepared: Path, *, categories: bool) -> object:
    import polars as pl

    kind = pl.Categorical() if categories else pl.String()
    repeated = pl.selectors.by_name(_REPEATED, require_all=False)
    flows = pl.concat(frame.with_columns(repeated.cast(kind)) for frame in _polars_frames(prepared))  # type: ignore[attr-defined]
    owners = (
        pl.read_parquet(prepared / "book.parquet")
        .filter(pl.col("kind") == "interface_address", pl.col("valid_to").is_null())
        .select(pl.col("address", "vpc_id", *_SAID).cast(kind))
    )
    for side in ("src", "dst"):
        named = owners.rename({name: f"{side}_{name}" for name in _SAID})
        flows = flows.join(named, left_on=["vpc_id", f"pkt_{side}addr"], right_on=["vpc_id", "address"], how="left")
    return flows


def pyarrow_parquet(prepared: Path, out: Path) -> None:
    """Read, one Parquet file, no joins."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet
    from isal import igzip

    pa.set_cpu_count(THREADS)
    writer: pyarrow.parquet.ParquetWriter | None = None
    for file in log_files(prepared):
        columns = [name.replace("-", "_") for name in _columns(file)]
        text = pa.csv.read_csv(
            pa.BufferReader(igzip.decompress(file.read_bytes())),
            read_options=pa.csv.ReadOptions(column_names=columns, skip_rows=1),
            parse_options=pa.csv.ParseOptions(delimiter=" "),
            convert_options=pa.csv.ConvertOptions(
                null_values=["-"],
                strings_can_be_null=True,
                column_types={name: pa.int64() if name in NUMBERS else pa.string() for name in columns},
            ),
        )
        writer = writer or pyarrow.parquet.ParquetWriter(out / "flows.parquet", text.schema, compression="zstd")
        writer.write_table(text)
    if writer is not None:
        writer.close()


_JOINED = (
    "SELECT f.*, {said} FROM flows f "
    "LEFT JOIN owners src ON src.vpc_id = f.vpc_id AND src.address = f.pkt_srcaddr "
    "LEFT JOIN owners dst ON dst.vpc_id = f.vpc_id AND dst.address = f.pkt_dstaddr"
)


def _said() -> str:
    return ", ".join(f"{side}.{name} AS {side}_{name}" for side in ("src", "dst") for name in _SAID)


def duckdb_parquet(prepared: Path, out: Path) -> None:
    """Read, two joins with the owners of today, one Parquet file."""
    import duckdb

    files = log_files(prepared)
    names = [name.replace("-", "_") for name in _columns(files[0])]
    types = {name: "BIGINT" if name in NUMBERS else "VARCHAR" for name in names}
    database = duckdb.connect(config={"threads": THREADS})
    database.execute(
        "CREATE TABLE flows AS FROM read_csv($files, delim = ' ', header = true, nullstr = '-', columns = $types)",
        {"files": [str(file) for file in files], "types": types},
    )
    database.execute(
        f"CREATE VIEW owners AS FROM '{prepared}/book.parquet' WHERE kind = 'interface_address' AND valid_to IS NULL"
    )
    database.sql(_JOINED.format(said=_said())).write_parquet(str(out / "flows.parquet"), compression="zstd")


def chdb_parquet(prepared: Path, out: Path) -> None:
    """Read, two joins with the owners of today, one Parquet file: ClickHouse in the process."""
    chdb = import_module("chdb")
    files = log_files(prepared)
    names = [name.replace("-", "_") for name in _columns(files[0])]
    schema = ", ".join(f"`{name}` Nullable({'Int64' if name in NUMBERS else 'String'})" for name in names)
    text = f"file('{prepared}/logs/**/*.log.gz', 'CustomSeparated', '{schema}', 'gzip')"
    settings = (
        f"max_threads = {THREADS}, format_custom_field_delimiter = ' ', format_custom_escaping_rule = 'CSV', "
        "format_csv_null_representation = '-', input_format_custom_skip_trailing_empty_lines = 1, "
        "input_format_skip_unknown_fields = 1, join_use_nulls = 1, output_format_parquet_compression_method = 'zstd', "
        "input_format_allow_errors_num = 1000000, format_csv_delimiter = ' '"
    )
    owners = (
        f"(SELECT * FROM file('{prepared}/book.parquet', Parquet) "
        "WHERE kind = 'interface_address' AND valid_to IS NULL)"
    )
    query = _JOINED.format(said=_said()).replace("FROM flows f", f"FROM {text} f").replace(" owners ", f" {owners} ")
    chdb.query(f"{query} INTO OUTFILE '{out}/flows.parquet' FORMAT Parquet SETTINGS {settings}")


def few(files: list[Path]) -> list[Path]:
    """The objects that a contender reads which is too slow for all of them."""
    return files[::_FEW]


def flowlogs_reader(prepared: Path, out: Path) -> Mapping[str, int]:
    """Read a part of the objects, line by line in Python, and keep nothing."""
    flowlogs_reader = import_module("flowlogs_reader")
    records = sent_bytes = packets = 0
    for file in few(log_files(prepared)):
        columns = [name.replace("-", "_") for name in _columns(file)]
        with gzip.open(file, "rt") as text:
            next(text)
            for line in text:
                record = flowlogs_reader.FlowRecord(dict(zip(columns, line.split(), strict=True)))
                records += 1
                sent_bytes += record.bytes or 0
                packets += record.packets or 0
    return {"records": records, "bytes": sent_bytes, "packets": packets}


Contender = Callable[[Path, Path], object]
CONTENDERS: Mapping[str, Contender] = {
    work.__name__: work
    for work in (
        isal_gunzip, zlib_gunzip, polars_strings, polars_parquet, polars_delta, pyarrow_parquet, duckdb_parquet,
        chdb_parquet, flowlogs_reader,
    )
}  # fmt: skip
# Those that are measured over a part of the objects only, see `few`.
PARTIAL = ("flowlogs_reader",)
# Those whose work grows with the address book.
JOINING = ("polars_parquet", "polars_delta", "duckdb_parquet", "chdb_parquet")
_NEEDS = {"chdb_parquet": "chdb", "flowlogs_reader": "flowlogs_reader", "duckdb_parquet": "duckdb"}


def installed() -> list[str]:
    """The contenders whose libraries are there."""
    return [name for name in CONTENDERS if find_spec(_NEEDS.get(name, "polars")) is not None]


def measure(name: str, prepared: Path, out: Path) -> dict[str, Any]:
    """Let a contender work in this process.

    Returns:
        Of the process up to the end of the work: `cpu` and `wall` (seconds), `peak_mb`; of them `start_cpu` and
        `start_wall` before the work; and `read`, what can be compared of a contender that writes nothing.
    """
    import_module(_NEEDS.get(name, "json"))
    start = {"start_cpu": cpu_seconds(), "start_wall": wall_seconds()}
    read = CONTENDERS[name](prepared, out)
    cost = {"cpu": cpu_seconds(), "wall": wall_seconds(), "peak_mb": peak_mb()}
    if name == "polars_strings":  # what comparing costs is not the contender's
        from benchmarks.agreement import of_frame

        read = of_frame(read)
    return {**start, **cost, "read": read}


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(measure(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))) + "\n")
