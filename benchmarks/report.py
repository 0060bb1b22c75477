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

from assets.sensors import SENSOR_SECONDS
from benchmarks.contenders import CONTENDERS, PARTIAL
from benchmarks.measurements import BASELINE, OURS, Cost, Results

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
# The goals of CPU are for so many records.
_GOAL_RECORDS = 4_000_000
_DAY_SECONDS = 24 * 60 * 60
_GB = 1_000


def report(results: Results) -> str:
    """The report as Markdown."""
    sections = [_head(results), _contenders(results), *_larger(results), _stages(results)]
    if not results.options.reduced:
        sections += [_goals(results), costs(results), _imports(results)]
    return "\n\n".join(sections) + "\n"


def _head(results: Results) -> str:
    options = results.options
    return "\n".join((
        "# Results",
        "",
        f"`python -m benchmarks --records {options.records} --objects {options.objects} --interfaces "
        f"{' '.join(map(str, options.interfaces))} --rounds {options.rounds} --hours "
        f"{options.hours} --silent {options.silent}{' --long' * options.long}` on "
        f"{datetime.now(UTC):%Y-%m-%d}: {machine(_VERSIONS)}.",
        "",
        f"{options.records:,} flow log records of version 5, 29 fields, in {results.objects} objects of gzip; an "
        f"address book of {options.interfaces[0]:,} interfaces where nothing else is said. CPU and seconds are of "
        f"whole processes, imports too, and the medians of {options.rounds} rounds; ratios are of one round each, and "
        "their medians. Before times were compared, all that read every record were found to have read the same ones "
        "(counts, sums and a fingerprint of eight columns), those that look owners up to have found as many, gunzip to "
        "have given all the text, and what reads a part of the objects to agree with their counts and sums. All "
        "processes have the environment in which `kentik-dagster` starts runs: Polars keeps memory for the next batch.",
        "",
        "![CPU seconds of each contender](results.svg)",
    ))  # fmt: skip


def machine(packages: Iterable[str]) -> str:
    """This machine, Python, and the versions of some packages."""
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()) if os.name == "posix" else None
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{processor.group(1) if processor else platform.processor()}, {os.cpu_count()} cores, {memory:.0f} GB, "
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}; "
        f"{', '.join(_versions(packages))}"
    )


def _versions(packages: Iterable[str]) -> Iterable[str]:
    for name in packages:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            continue


def _contenders(results: Results) -> str:
    server = median(one[OURS]["server"] for one in results.rounds)
    return (
        "## Beside what people would use instead\n\n"
        + _compared(results.rounds)
        + "\n\nThe others read files, look up the owners of today in the VPC of the record, know no time, no routes, "
        "no ambiguity and no rejected line, and would read everything again. Ours reads from S3 over HTTP, whose "
        f"server took {server:.1f} CPU seconds of its own, which are not counted."
    )


def _compared(rounds: Sequence[dict[str, Cost]]) -> str:
    rows = []
    for name in _measured(rounds):
        cpu, wall = _median(rounds, name, "cpu"), _median(rounds, name, "wall")
        note = f" (of {rounds[0][name]['read']['records']:,} records, scaled)" if name in PARTIAL else ""
        rows.append((
            LABELS[name] + note, f"{cpu:.1f}", f"{_ratio(rounds, name, BASELINE):.1f}",
            f"{_ratio(rounds, name, OURS):.2f}", f"{wall:.1f}", f"{wall / cpu:.2f}",
            f"{_median(rounds, name, 'peak_mb'):,.0f}",
        ))  # fmt: skip
    return table(("", "CPU s", "of isal's gunzip", "of ours", "seconds", "seconds : CPU s", "peak MB"), rows)


def _larger(results: Results) -> Iterable[str]:
    for interfaces, rounds in results.larger.items():
        beside = _median(rounds, OURS, "cpu") / _median(results.rounds, OURS, "cpu")
        yield (
            f"### With an address book of {interfaces:,} interfaces\n\n{_compared(rounds)}\n\nOurs took {beside:.2f} "
            f"times the CPU that it took with {results.options.interfaces[0]:,} interfaces."
        )


def _stages(results: Results) -> str:
    sizes = list(results.stages)
    medians = {
        size: {stage: median(float(one[stage]) for one in rounds) for stage in rounds[0]}
        for size, rounds in results.stages.items()
    }
    first = medians[sizes[0]]
    rows = [
        (stage if stage != "total" else "together", *(f"{medians[size][stage]:.2f}" for size in sizes),
         f"{first[stage] / first['total']:.0%}")
        for stage in sorted(first, key=lambda stage: (stage == "total", -first[stage]))
    ]  # fmt: skip
    run = median(one[OURS]["run"] for one in results.rounds)
    return (
        "## Ours, stage by stage\n\nOne thread, without Dagster; two threads at once cost more CPU each.\n\n"
        + table(("CPU s", *sizes, f"share, {sizes[0]}"), rows)
        + f"\n\nA run of Dagster over the same objects with two threads took {run:.1f} CPU seconds, and "
        f"{median(one[OURS]['imports'] for one in results.rounds):.1f} for imports before it; the rest of the process, "
        f"{median(one[OURS]['cpu'] - one[OURS]['imports'] - one[OURS]['run'] for one in results.rounds):.1f}, made the "
        "code location and Dagster's instance."
        + (
            f" A run over an hour of which everything is there took {results.nothing_new['run']:.1f}: Dagster, listing "
            "and looking into tables."
            if results.nothing_new
            else ""
        )
    )


def _goals(results: Results) -> str:
    gunzip = _ratio(results.rounds, OURS, BASELINE)
    cpu = _median(results.rounds, OURS, "cpu") * _GOAL_RECORDS / results.options.records
    scaled = "" if results.options.records == _GOAL_RECORDS else f" (of {results.options.records:,}, scaled)"
    wall = median(one[OURS]["run_wall"] / one[OURS]["run"] for one in results.rounds)
    least = min(
        (name for name in _SMALLER if name in results.rounds[0]), key=lambda name: _median(results.rounds, name, "cpu")
    )
    hours, hour = results.hours["hours"], results.hours["one hour"]
    nothing = results.nothing_new["wall"]
    *fewer, most = sorted(results.peaks)
    rows = [
        _goal(f"CPU seconds of the whole job, for {_GOAL_RECORDS:,} records" + scaled, 15.0, cpu),
        _goal("the same, the moonshot", 12.0, cpu),
        _goal("CPU of the whole job, in isal's gunzip", 5.0, gunzip),
        _goal("the same, the moonshot", 4.0, gunzip),
        _goal(f"CPU against the smaller job of {LABELS[least]}", 1.0, _ratio(results.rounds, OURS, least)),
        *(
            _goal(f"CPU of enriching, of getting, unzipping and parsing: {size}", 1.0, _enriching(rounds))
            for size, rounds in results.stages.items()
        ),
        *_growth(results),
        _goal("wall time on two cores, of CPU time", 0.65, wall),
        _goal(f"peak memory at {most:,} records, GB", 1.5, results.peaks[most] / _GB),
        *(
            _goal(f"the same, against {less:,} records", 1.1, results.peaks[most] / results.peaks[less])
            for less in fewer[-1:]
        ),
        _goal("a pass with nothing new, seconds of the whole process", 5.0, nothing),
        _goal(f"CPU of {results.options.hours} hours in one run, of the same objects in one hour", 1.2,
              hours["cpu"] / hour["cpu"]),
        ("from posted to queryable, p95", "2 minutes", "see [SOAK.md](SOAK.md)", ""),
    ]  # fmt: skip
    again = results.hours["hours again"]
    return (
        "## The goals\n\n"
        + table(("", "at most", "measured", ""), rows)
        + f"\n\nThe {results.options.hours} hours took {hours['cpu']:.0f} CPU seconds, and the same run again, with "
        f"nothing to read, {again['cpu']:.0f}: listing, the tables' logs, and Dagster, which stores an event for each "
        "table of each hour. Where the CPU of the whole job goes, the stages above say."
    )


def _enriching(rounds: Sequence[Cost]) -> float:
    return median(
        float(one["enrich"]) / sum(float(one[stage]) for stage in ("get", "gunzip", "parse")) for one in rounds
    )


def _growth(results: Results) -> list[tuple[str, str, str, str]]:
    """What a book of many interfaces costs more than the smallest, its loading too."""
    sizes = list(results.stages)
    first, last = sizes[0], sizes[-1]
    totals = [[float(one["total"]) for one in results.stages[size]] for size in (first, last)]
    ratio = median(more / less for less, more in zip(*totals, strict=True))
    return [_goal(f"CPU with {last}, of that with {first}", 1.5, ratio)] if first != last else []


def _goal(what: str, most: float, measured: float) -> tuple[str, str, str, str]:
    said = "reached" if measured <= most else f"missed by {measured / most - 1:.0%}"
    return what, f"{most:g}", f"{measured:.2f}", said


def costs(results: Results) -> str:
    """Bytes of each record, and requests of S3."""
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
        + table(("table", "bytes per record"), sizes)
        + "\n\n"
        + table(("requests of S3", *kinds, "GetObject per object"), asked)
        + f"\n\nListing: {lists:.0f} requests a tick of the sensor for this bucket, and a tick every {SENSOR_SECONDS} "
        f"seconds, with notifications or without: {lists:.0f} * {_DAY_SECONDS} / {SENSOR_SECONDS} = "
        f"{lists * _DAY_SECONDS / SENSOR_SECONDS:,.0f} a day."
    )


def _imports(results: Results) -> str:
    rows = [(name, f"{seconds:.2f}") for name, seconds in results.imports.items()]
    return "## Importing\n\n" + table(("", "CPU s"), rows)


def picture(results: Results) -> str:
    """The CPU seconds of the contenders as bars, as SVG."""
    cpu_of = {name: _median(results.rounds, name, "cpu") for name in _measured(results.rounds)}
    widest, step, left = max(cpu_of.values()), 30, 360
    bars = []
    for number, (name, cpu) in enumerate(sorted(cpu_of.items(), key=lambda item: item[1])):
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


def _measured(rounds: Sequence[dict[str, Cost]]) -> Sequence[str]:
    return [name for name in (*CONTENDERS, OURS) if name in rounds[0]]


def _median(rounds: Sequence[dict[str, Cost]], name: str, of: str) -> float:
    return median(float(one[name][of]) for one in rounds)


def _ratio(rounds: Sequence[dict[str, Cost]], name: str, other: str) -> float:
    """Of CPU seconds, within each round."""
    return median(float(one[name]["cpu"]) / float(one[other]["cpu"]) for one in rounds)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first hold numbers."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
