"""What reading and enriching flow logs costs, beside what people would use instead.

    make bench
    .venv/bin/python -m benchmarks --records 4000000 --rounds 3

Every contender is a process of its own over the same objects, in turns; what it read is compared before its time is.
Results are written to benchmarks/RESULTS.md, with a picture.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from benchmarks.measurements import Measurements
from benchmarks.report import picture, report

_HERE = Path(__file__).parent


def main() -> None:
    """Measures, and writes the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--records", type=int, default=4_000_000, help="in all objects together")
    parser.add_argument("--objects", type=int, default=40)
    parser.add_argument("--interfaces", type=int, nargs="+", default=[1_000, 100_000], help="sizes of the address book")
    parser.add_argument("--silent", type=int, default=900_000,
                        help="interfaces more in the largest book, which write nothing, for the stages")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hours", type=int, default=720, help="of the backfill")
    parser.add_argument("--long", action="store_true", help="also ten times the records, for memory; an hour more")
    parser.add_argument("--reduced", action="store_true", help="only the contenders and the stages")
    parser.add_argument("--out", type=Path, default=_HERE, help="folder of RESULTS.md and its picture")
    options = parser.parse_args()
    console = Console()
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with tempfile.TemporaryDirectory() as folder, Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting")
        measurements = Measurements(
            Path(folder), options, progress=lambda text: progress.update(task, description=text), tell=console.print
        )
        results = measurements.all()
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "results.svg").write_text(picture(results))
    (options.out / "RESULTS.md").write_text(report(results))
    console.print(f"written: {options.out / 'RESULTS.md'} and {options.out / 'results.svg'}")


if __name__ == "__main__":
    main()
