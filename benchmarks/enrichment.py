"""What it costs to enrich flow records with small and large address books, beside the same work written plainly.

    .venv/bin/python -m benchmarks.enrichment
    .venv/bin/python -m benchmarks.enrichment --memory

Every measurement is a process of its own over the same log objects, in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from kentik_dagster.run_environment import RUN_ENVIRONMENT

WINDOW_RECORDS, WINDOWS = 1_000_000, 10
_PROJECT = Path(__file__).parents[1]
_LABELS = {
    "parse": "gunzip and parse only",
    "flow_logs": "ours: flow_logs committed",
    "whole": "ours: both tables committed, and the book loaded",
    "polars": "plain Polars: both tables committed",
    "duckdb_delta": "plain DuckDB: both tables committed",
    "duckdb_parquet": "plain DuckDB: two Parquet files, no table",
    "resolution": "",  # only of use for its stages
    "book": "",
}
# The same records whatever the size of the book: of as many interfaces as the smallest has.
SILENT = "silent"
Results = Mapping[tuple[int, str], dict[str, Any]]


def measured(name: str, prepared: Path) -> dict[str, Any]:
    """What one work over a prepared folder costs, in a process of its own: see `enrichment_measured.measure`."""
    with tempfile.TemporaryDirectory(dir=prepared) as out:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.enrichment", "--measure", name, str(prepared), f"{out}/lake"],
            cwd=_PROJECT, env={**RUN_ENVIRONMENT, **os.environ, "POLARS_MAX_THREADS": "2"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"measuring {name} failed:\n{done.stderr}")
    said: dict[str, Any] = json.loads(done.stdout)
    sys.stderr.write(f"{prepared.name} {name}: {said}\n")
    return said


def compare(folder: Path, options: argparse.Namespace) -> Results:
    """Every work at every size of the address book, in turns; of several rounds the one that cost least CPU."""
    few = options.interfaces[0]
    for interfaces in options.interfaces:
        _prepare(folder / str(interfaces), interfaces=interfaces, records=options.records)
        _prepare(folder / f"{interfaces} {SILENT}", interfaces=few, records=options.records, silent=interfaces - few)
    results: dict[tuple[int, str], dict[str, Any]] = {}
    for _ in range(options.rounds):
        for name in _LABELS:
            for interfaces in options.interfaces:
                _keep(results, (interfaces, name), measured(name, folder / str(interfaces)))
        for interfaces in options.interfaces:
            _keep(results, (interfaces, SILENT), measured("whole", folder / f"{interfaces} {SILENT}"))
    return results


def _keep(results: dict[tuple[int, str], dict[str, Any]], key: tuple[int, str], said: dict[str, Any]) -> None:
    results[key] = min(results.get(key, said), said, key=lambda one: float(one["cpu"]))


def _prepare(folder: Path, *, interfaces: int, records: int, windows: int = 1, silent: int = 0) -> None:
    """In a process of its own, so that nothing of it is measured."""
    folder.mkdir(parents=True)
    code = (
        "from pathlib import Path; from benchmarks.enrichment_measured import prepare; "
        f"prepare(Path({str(folder)!r}), interfaces={interfaces}, records={records}, windows={windows}, "
        f"silent={silent})"
    )
    subprocess.run([sys.executable, "-c", code], cwd=_PROJECT, check=True)


def show(results: Results, sizes: Sequence[int], records: int) -> None:
    """The results, and what they say of the goals, as tables."""
    table = Table(title=f"{records:,} records")
    for column in ("interfaces", "", "CPU s", "records per CPU s", "of parsing", "of ours", "seconds", "peak MB"):
        table.add_column(column, justify="left" if not column else "right")
    for interfaces in sizes:
        for name, label in _LABELS.items():
            if label:
                one = results[interfaces, name]
                of_parsing, of_ours = (one["cpu"] / results[interfaces, other]["cpu"] for other in ("parse", "whole"))
                table.add_row(
                    f"{interfaces:,}", label, f"{one['cpu']:.1f}", f"{records / one['cpu']:,.0f}", f"{of_parsing:.2f}",
                    f"{of_ours:.2f}", f"{one['wall']:.1f}", f"{one['peak_mb']:,.0f}",
                )  # fmt: skip
        table.add_section()
    Console(width=160).print(table)
    stages = Table(title="ours, in CPU seconds")
    columns = ("interfaces", "parse", "flow_logs", "enriched_flows besides", "of it enrichment alone",
               "besides : flow_logs", "book loaded", "peak MB of that", "against the smallest book",
               "the same with the same records")  # fmt: skip
    for column in columns:
        stages.add_column(column, justify="right")
    # Without the book: it is loaded once for all hours of a run.
    smallest = float(results[sizes[0], "whole"]["stages"]["tables"])
    for interfaces in sizes:
        flow_logs = results[interfaces, "flow_logs"]["stages"]["flow_logs"]
        tables = results[interfaces, "whole"]["stages"]["tables"]
        stages.add_row(
            f"{interfaces:,}", f"{results[interfaces, 'parse']['cpu']:.1f}", f"{flow_logs:.1f}",
            f"{tables - flow_logs:.1f}", f"{results[interfaces, 'resolution']['stages']['resolution']:.1f}",
            f"{(tables - flow_logs) / flow_logs:.2f}", f"{results[interfaces, 'book']['cpu']:.1f}",
            f"{results[interfaces, 'book']['peak_mb']:,.0f}",
            f"{tables / smallest:.2f}",
            f"{results[interfaces, SILENT]['stages']['tables'] / results[sizes[0], SILENT]['stages']['tables']:.2f}",
        )  # fmt: skip
    Console(width=160).print(stages)


def memory(folder: Path, options: argparse.Namespace) -> None:
    """One hour of many records, through the work functions."""
    interfaces = options.interfaces[-1]
    _prepare(folder / "hour", interfaces=interfaces, records=options.records, windows=WINDOWS)
    said = measured("whole", folder / "hour")
    Console().print(
        f"{WINDOWS * options.records:,} records in one hour, {interfaces:,} interfaces: {said['peak_mb']:,.0f} MB, "
        f"{said['cpu']:.0f} CPU s, {said['wall']:.0f} s"
    )


def main() -> None:
    """Measures and shows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.enrichment", description=__doc__)
    parser.add_argument("--interfaces", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--records", type=int, default=WINDOW_RECORDS)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--memory", action="store_true",
                        help=f"instead, {WINDOWS} times the records in one hour, with the last number")  # fmt: skip
    parser.add_argument("--measure", nargs=3, metavar=("WORK", "PREPARED", "OUT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        from benchmarks.enrichment_measured import measure

        name, prepared, out = options.measure
        sys.stdout.write(json.dumps(measure(name, Path(prepared), Path(out))))
        return
    with tempfile.TemporaryDirectory() as folder:
        if options.memory:
            memory(Path(folder), options)
        else:
            show(compare(Path(folder), options), options.interfaces, options.records)


if __name__ == "__main__":
    main()
