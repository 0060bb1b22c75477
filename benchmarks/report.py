"""What was measured, as Markdown and as a picture. No number is written here: all of them are of the results."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

from benchmarks.contenders import CONTENDERS, PARTIAL
from benchmarks.measurements import OURS, Results

LABELS = {
    "isal_gunzip": "gunzip only, isal, 2 threads",
    "zlib_gunzip": "gunzip only, zlib, 2 threads",
    "polars_strings": "Polars: read",
    "polars_parquet": "Polars: read, two joins, one Parquet file",
    "polars_delta": "Polars: read, two joins, one Delta table",
    "pyarrow_parquet": "pyarrow: read, one Parquet file",
    "duckdb_parquet": "DuckDB: read, two joins, one Parquet file",
    "chdb_parquet": "chdb (ClickHouse): read, two joins, one Parquet file",
    "flowlogs_reader": "flowlogs-reader: read only",
    OURS: "kentik_dagster: S3, both tables, exactly once",
}
_VERSIONS = ("kentik-dagster", "polars", "deltalake", "pyarrow", "dagster", "isal", "duckdb", "chdb", "flowlogs-reader")
_SMALLER = ("polars_parquet", "duckdb_parquet", "chdb_parquet")
_GB = 1_000


def report(results: Results) -> str:
    """The report as Markdown."""
    sections = [_head(results), _contenders(results), _stages(results)]
    if not results.options.reduced:
        sections += [_goals(results), _costs(results), _imports(results)]
    return "\n\n".join(sections) + "\n"


def _head(results: Results) -> str:
    options = results.options
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()) if os.name == "posix" else None
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return "\n".join((
        "# Results",
        "",
        f"`python -m benchmarks --records {options.records} --objects {options.objects} --interfaces "
        f"{options.interfaces} --rounds {options.rounds} --hours {options.hours}{' --long' * options.long}` on "
        f"{datetime.now(UTC):%Y-%m-%d}: {processor.group(1) if processor else platform.processor()}, "
        f"{os.cpu_count()} cores, {memory:.0f} GB, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}; {', '.join(_versions())}.",
        "",
        f"{options.records:,} flow log records of version 5, 29 fields, in {options.objects} objects of gzip; an "
        f"address book of {options.interfaces:,} interfaces. CPU seconds are of whole processes, imports too, and the "
        f"medians of {options.rounds} rounds; ratios are of one round each, and their medians. Before times were "
        "compared, all contenders were found to have read the same records (counts, sums and a fingerprint of eight "
        "columns), and those that look owners up to have found as many.",
        "",
        "![CPU seconds of each contender](results.svg)",
    ))  # fmt: skip


def _versions() -> Iterable[str]:
    for name in _VERSIONS:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            continue


def _contenders(results: Results) -> str:
    rows = []
    for name in _measured(results):
        cpu, wall = _median(results, name, "cpu"), _median(results, name, "wall")
        note = f" (every {PARTIAL[name]}th object, multiplied)" if name in PARTIAL else ""
        rows.append((
            LABELS[name] + note, f"{cpu:.1f}", f"{_ratio(results, name, 'isal_gunzip'):.1f}",
            f"{_ratio(results, name, OURS):.2f}", f"{wall:.1f}", f"{wall / cpu:.2f}",
            f"{_median(results, name, 'peak_mb'):,.0f}",
        ))  # fmt: skip
    server = median(one[OURS]["server"] for one in results.rounds)
    return (
        "## Beside what people would use instead\n\n"
        + _table(("", "CPU s", "of isal's gunzip", "of ours", "seconds", "seconds : CPU s", "peak MB"), rows)
        + "\n\nThe others read files, look up the owners of today in the VPC of the record, know no time, no routes, "
        "no ambiguity and no rejected line, and would read everything again. Ours reads from S3 over HTTP, whose "
        f"server took {server:.1f} CPU seconds of its own, which are not counted."
    )


def _stages(results: Results) -> str:
    total = results.stages["total"]
    parts = sorted(((name, cpu) for name, cpu in results.stages.items() if name != "total"), key=lambda part: -part[1])
    run = median(one[OURS]["run"] for one in results.rounds)
    rows = [(name, f"{cpu:.2f}", f"{cpu / total:.0%}") for name, cpu in parts]
    return (
        "## Ours, stage by stage\n\nOne thread, without Dagster; two threads at once cost more CPU each.\n\n"
        + _table(("stage", "CPU s", "share"), [*rows, ("together", f"{total:.2f}", "100%")])
        + f"\n\nA run of Dagster over the same objects with two threads took {run:.1f} CPU seconds, and "
        f"{median(one[OURS]['imports'] for one in results.rounds):.1f} for imports before it."
        + (
            f" A run over an hour of which everything is there took {results.nothing_new['run']:.1f}: Dagster, listing "
            "and looking into tables."
            if results.nothing_new
            else ""
        )
    )


def _goals(results: Results) -> str:
    gunzip = _ratio(results, OURS, "isal_gunzip")
    wall = median(one[OURS]["wall"] / one[OURS]["run"] for one in results.rounds)
    least = min(
        (name for name in _SMALLER if name in results.rounds[0]), key=lambda name: _median(results, name, "cpu")
    )
    hours, hour = results.hours["hours"], results.hours["one hour"]
    nothing = results.nothing_new["wall"] + results.nothing_new["imports"]
    fewer, most = sorted(results.peaks)[-2:]
    rows = [
        _goal("CPU of the whole job, in isal's gunzip", 5.0, gunzip),
        _goal("the same, the moonshot", 4.0, gunzip),
        _goal(f"CPU against the smaller job of {LABELS[least]}", 1.0, _ratio(results, OURS, least)),
        _goal("wall time on two cores, of CPU time", 0.65, wall),
        _goal(f"peak memory at {most:,} records, GB", 1.5, results.peaks[most] / _GB),
        _goal(f"the same, against {fewer:,} records", 1.1, results.peaks[most] / results.peaks[fewer]),
        _goal("a pass with nothing new, seconds with imports", 5.0, nothing),
        _goal(f"CPU of {results.options.hours} hours in one run, of the same objects in one hour", 1.2,
              hours["cpu"] / hour["cpu"]),
        ("from posted to queryable, p95", "2 minutes", "not measured here", ""),
    ]  # fmt: skip
    return "## The goals\n\n" + _table(("", "at most", "measured", ""), rows)


def _goal(what: str, most: float, measured: float) -> tuple[str, str, str, str]:
    said = "reached" if measured <= most else f"missed by {measured / most - 1:.0%}"
    return what, f"{most:g}", f"{measured:.2f}", said


def _costs(results: Results) -> str:
    records, objects = results.options.records, results.requests["run"].get("GetObject", 0)
    sizes = [(name, f"{size / records:.1f}") for name, size in results.table_bytes.items()]
    kinds = sorted({kind for counted in results.requests.values() for kind in counted} - {"cpu"})
    asked = [
        (what, *(f"{counted.get(kind, 0):.0f}" for kind in kinds), f"{counted.get('GetObject', 0) / objects:.2f}")
        for what, counted in results.requests.items()
    ]
    lists = results.requests["tick"].get("ListObjectsV2", 0)
    return (
        "## What a user pays\n\n"
        + _table(("table", "bytes per record"), sizes)
        + "\n\n"
        + _table(("requests of S3", *kinds, "GetObject per object"), asked)
        + f"\n\nListing: {lists:.0f} requests a tick of the sensor. Without notifications it asks every minute, "
        f"{lists * 1440:,.0f} a day for this bucket; with them every quarter of an hour, {lists * 96:,.0f} a day."
    )


def _imports(results: Results) -> str:
    rows = [(name, f"{seconds:.2f}") for name, seconds in results.imports.items()]
    return "## Importing\n\n" + _table(("", "CPU s"), rows)


def picture(results: Results) -> str:
    """The CPU seconds of the contenders as bars, as SVG."""
    costs = {name: _median(results, name, "cpu") for name in _measured(results)}
    widest, step, left = max(costs.values()), 30, 360
    bars = []
    for number, (name, cpu) in enumerate(sorted(costs.items(), key=lambda item: item[1])):
        top, width, colour = 50 + number * step, 440 * cpu / widest, "#0b7285" if name == OURS else "#adb5bd"
        bars.append(
            f'<text x="{left - 10}" y="{top + 15}" text-anchor="end">{escape(LABELS[name])}</text>'
            f'<rect x="{left}" y="{top}" width="{width:.1f}" height="20" fill="{colour}"/>'
            f'<text x="{left + width + 6:.1f}" y="{top + 15}">{cpu:.1f}</text>'
        )
    height = 60 + len(bars) * step
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 880 {height}" width="880" height="{height}" '
        'font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="#ffffff"/>'
        f'<text x="20" y="28" font-size="16">CPU seconds for {results.options.records:,} flow log records</text>'
        + "".join(bars)
        + "</svg>\n"
    )


def _measured(results: Results) -> Sequence[str]:
    return [name for name in (*CONTENDERS, OURS) if name in results.rounds[0]]


def _median(results: Results, name: str, of: str) -> float:
    return median(one[name][of] for one in results.rounds)


def _ratio(results: Results, name: str, other: str) -> float:
    """Of CPU seconds, within each round."""
    return median(one[name]["cpu"] / one[other]["cpu"] for one in results.rounds)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
