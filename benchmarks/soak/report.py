"""What the soak saw, as Markdown and as a picture. No number is written here: all of them are of what was seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape

import polars as pl

from benchmarks.report import machine, table
from benchmarks.soak.failing_aws import FAULTS
from benchmarks.soak.hour import Soaked
from benchmarks.soak.judged import Verdict, failed_share, flat_events, flat_memory, lag_of, restarted
from benchmarks.soak.plan import DAEMON, DELETING, EXPORTS, WITH_QUEUE, WORKERS

_PACKAGES = ("kentik-dagster", "dagster", "celery", "polars", "deltalake", "moto")
_OF_LAG = {"flow_logs": "from posted to queryable", "enriched_flows": "from posted to enriched"}
_COLOURS = ("#0b7285", "#e8590c", "#2b8a3e", "#862e9c", "#495057")
_WIDTH, _LEFT, _PANEL = 880, 60, 180


def lags(soaked: Soaked, name: str) -> pl.DataFrame:
    """One row per object that became queryable in a table: `export`, `at` (when it was posted) and `lag`, in s."""
    assert soaked.tables is not None
    found = soaked.tables.lags[name]
    posted = pl.DataFrame(
        [(post.export, post.key, at) for post, at in soaked.posted.items()],
        {"export": pl.String, "key": pl.String, "posted_at": pl.Datetime("us", "UTC")},
        orient="row",
    )
    seconds = (pl.col("queryable_at") - pl.col("posted_at")).dt.total_microseconds() / 1e6 * soaked.options.scale
    at = (pl.col("posted_at") - pl.lit(soaked.began)).dt.total_microseconds() / 1e6 * soaked.options.scale
    return posted.join(found, on=("export", "key")).select("export", at=at, lag=seconds)


def verdicts(soaked: Soaked) -> Iterator[Verdict]:
    """Every judgement of the soak."""
    options = soaked.options
    assert soaked.tables is not None
    yield from soaked.tables.verdicts()
    finished = soaked.finished_after
    yield Verdict(
        "what was under way at the end comes to an end",
        "not in time" if finished is None else f"{finished:.0f} s of ours after the hour",
        finished is not None,
    )
    for name, what in _OF_LAG.items():
        yield lag_of(what, lags(soaked, name)["lag"].to_list(), len(soaked.posted))
    middle = options.minutes * 60 / 2
    for kind, samples in _by_kind(soaked).items():
        yield flat_memory(kind, samples, middle)
    yield from flat_events(soaked.events, middle)
    counted = soaked.counted
    failed = sum(map(counted.failures, counted.failed))
    yield failed_share(sum(counted.calls.values()), failed, options.share)
    killed = Counter("daemon" if one.name == DAEMON else "workers" for one in soaked.killed)
    planned = {"daemon": options.daemon_kills, "workers": options.worker_kills}
    yield restarted(killed, {name: count for name, count in planned.items() if count})


_KINDS = {"daemon": "the daemon", "code": "the code server", "web": "the web server"}


def _by_kind(soaked: Soaked) -> dict[str, list[tuple[float, float]]]:
    kinds: dict[str, list[tuple[float, float]]] = {}
    for name, samples in soaked.memory.items():
        kind = "a worker" if name.startswith("worker") else _KINDS.get(name)
        if kind is not None:
            kinds.setdefault(kind, []).extend(samples)
    return {kind: sorted(samples) for kind, samples in kinds.items()}


def report(soaked: Soaked, command: str, judged: Sequence[Verdict]) -> str:
    """The report as Markdown."""
    return "\n\n".join([_head(soaked, command, judged), _judgements(judged), *_details(soaked)]) + "\n"


def _head(soaked: Soaked, command: str, judged: Sequence[Verdict]) -> str:
    options = soaked.options
    held = sum(verdict.holds for verdict in judged)
    return "\n".join((
        "# Soak",
        "",
        f"`{command}` on {datetime.now(UTC):%Y-%m-%d}: {machine(_PACKAGES)}. {held} of {len(judged)} judgements hold.",
        "",
        f"{options.minutes:g} minutes of {len(EXPORTS)} exports, whose logs are posted as five-minute files "
        f"({len(soaked.posted):,} objects of about {options.records:,} records), in {options.hour_seconds / 60:.1f} "
        f"minutes of ours: {options.scale:g} times as fast. Web server, code server, daemon, {len(WORKERS)} Celery "
        "workers, Postgres and Redis are processes of their own; the lake lies on the emulated S3. Every call of AWS, "
        "those of the lake and of Dagster's compute logs too, goes through a proxy that lets "
        f"{options.share:.0%} of them fail. "
        f"Exports {', '.join(WITH_QUEUE)} have a notification queue, {', '.join(DELETING)} delete what they have read.",
        "",
        f"**What the speed means.** Files come {options.scale:g} times as fast, and what waits on purpose waits as "
        "many times shorter: the pauses of sensors, of what failed before it is asked for again, of run monitoring; "
        "schedules are asked for at their minutes of the hour. Nothing else is faster: not Dagster's loops of 5 "
        "seconds for sensors and for the queue, not a run, not the start of a killed process, not the pauses between "
        f"tries of a call. All lags are wall time times the speed, so that a second of work counts as "
        f"{options.scale:g}: an hour that is not faster (`--scale 1`) is the easier one.",
        "",
        "![Lag and memory over the hour](soak.svg)",
    ))  # fmt: skip


def _judgements(judged: Sequence[Verdict]) -> str:
    rows = [(verdict.what, verdict.figure, "holds" if verdict.holds else "**does not hold**") for verdict in judged]
    return "## What must hold\n\n" + table(("", "measured", ""), rows)


def _details(soaked: Soaked) -> Iterator[str]:
    yield "## Lag by export\n\nSeconds of the hour, from posted to queryable in `flow_logs`.\n\n" + table(
        ("export", "objects", "p50", "p95", "max"), list(_lag_rows(lags(soaked, "flow_logs")))
    )
    counted = soaked.counted
    rows = [
        (service, f"{calls:,}", f"{counted.failures(service):,}")
        for service, calls in sorted(counted.calls.items(), key=lambda item: -item[1])
    ]
    yield "## Calls that failed\n\n" + table(("service", "calls", "failed"), rows)
    ways = Counter[str]()
    for failed in counted.failed.values():
        ways.update(failed)
    yield table(("way", "calls"), [(way, f"{ways[way]:,}") for way in FAULTS])
    yield (
        "## Runs and restarts\n\n"
        f"Runs: {_told(soaked.statuses)}. Killed with `kill -9`, at minute: "
        + "; ".join(f"{one.name} {one.at / 60:.1f}" for one in soaked.killed)
        + "."
    )
    yield "## Dagster's storage\n\n" + _storage(soaked)


def _lag_rows(found: pl.DataFrame) -> Iterator[Sequence[str]]:
    for export in EXPORTS:
        of_export = found.filter(export=export)["lag"]
        if of_export.len():
            figures = (float(of_export.quantile(share, "higher") or 0) for share in (0.5, 0.95, 1.0))
            yield (export, str(of_export.len()), *(f"{figure:.0f}" for figure in figures))


def _storage(soaked: Soaked) -> str:
    runs = len(soaked.events)
    first, last = soaked.database[0][1], soaked.database[-1][1]
    rows, size = sum(run.rows for run in soaked.events), sum(run.bytes for run in soaked.events)
    return (
        f"{runs} runs stored {rows:,} events of {size / 1e6:.1f} MB: {rows / max(1, runs):.0f} rows and "
        f"{size / max(1, runs) / 1e3:.0f} kB a run, {size / max(1, len(soaked.posted)) / 1e3:.0f} kB an object. The "
        f"database grew from {first:.0f} to {last:.0f} MB, {(last - first) * 1e3 / max(1, runs):.0f} kB a run."
    )


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {status}" for status, count in sorted(counts.items())) or "none"


def picture(soaked: Soaked) -> str:
    """The lag of each object, and the memory of each kind of process, over the hour, as SVG."""
    longest = soaked.options.minutes * 60
    found = lags(soaked, "flow_logs")
    highest = max(240.0, *found["lag"].to_list()) if found.height else 240.0
    kinds = _by_kind(soaked)
    most = max((mb for samples in kinds.values() for _, mb in samples), default=1.0)
    dots = [
        f'<circle cx="{_x(at, longest):.1f}" cy="{_y(lag, highest, 40):.1f}" r="2" '
        f'fill="{_COLOURS[EXPORTS.index(export)]}"/>'
        for export, at, lag in found.iter_rows()
    ]
    bound = _y(120, highest, 40)
    top = 40 + _PANEL + 60
    lines = [
        f'<path d="{_path(samples, longest, most, top)}" stroke="{colour}" stroke-width="1.5" fill="none"/>'
        for (_, samples), colour in zip(kinds.items(), _COLOURS, strict=False)
    ]
    kills = [
        f'<line x1="{_x(one.at, longest):.1f}" x2="{_x(one.at, longest):.1f}" y1="40" y2="{top + _PANEL}" '
        'stroke="#ced4da" stroke-dasharray="3 3"/>'
        for one in soaked.killed
    ]
    height = top + _PANEL + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#ffffff"/>',
        *kills,
        *_panel("seconds from posted to queryable, each object; dashed: kill -9; line: 120 s", 40, highest),
        f'<line x1="{_LEFT}" x2="{_WIDTH - 20}" y1="{bound:.1f}" y2="{bound:.1f}" stroke="#c92a2a"/>',
        *dots,
        *_legend(EXPORTS, 40),
        *_panel("MB of each kind of process (workers: each)", top, most),
        *lines,
        *_legend(list(kinds), top),
        f'<text x="{_WIDTH - 20}" y="{height - 12}" text-anchor="end">{longest / 60:g} minutes of the hour</text>',
        "</svg>\n",
    ]
    return "".join(parts)


def _x(at: float, longest: float) -> float:
    return _LEFT + (_WIDTH - 20 - _LEFT) * min(1.0, max(0.0, at / longest))


def _y(value: float, highest: float, top: float) -> float:
    return top + _PANEL * (1 - value / highest)


def _path(samples: Sequence[tuple[float, float]], longest: float, highest: float, top: float) -> str:
    points = [f"{_x(at, longest):.1f} {_y(mb, highest, top):.1f}" for at, mb in samples]
    return "M" + " L".join(points)


def _panel(title: str, top: float, highest: float) -> Iterable[str]:
    yield f'<text x="{_LEFT}" y="{top - 12}" font-size="14">{escape(title)}</text>'
    yield f'<text x="{_LEFT - 6}" y="{top + 10}" text-anchor="end">{highest:.0f}</text>'
    yield f'<text x="{_LEFT - 6}" y="{top + _PANEL}" text-anchor="end">0</text>'
    yield f'<path d="M{_LEFT} {top} V{top + _PANEL} H{_WIDTH - 20}" stroke="#868e96" fill="none"/>'


def _legend(names: Sequence[str], top: float) -> Iterable[str]:
    for number, (name, colour) in enumerate(zip(names, _COLOURS, strict=False)):
        left = _WIDTH - 20 - 110 * (len(names) - number)
        yield f'<text x="{left}" y="{top + 14}" fill="{colour}">{escape(name)}</text>'
