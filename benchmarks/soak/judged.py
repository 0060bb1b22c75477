"""What a soak must show: each judgement is of figures, and says them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

import polars as pl

# What differs between two lakes without anything being different: when, by which run, and what was known by then.
WHEN = ("ingested_at", "run_id", "metadata_as_of", "posted_at", "swept_at")
LONGEST_P95_SECONDS = 120.0
# Of the second half's memory, its peak and its mean, against the first half's; one peak may hide what grows.
MOST_MEMORY_GROWTH = 1.2
# Of events for each run, in the second half against the first.
MOST_EVENT_GROWTH = 1.15
# How far the share of failed calls may lie from what was asked for.
_SHARE_OFF = 0.02
# So many calls at least, for a share to mean anything.
_LEAST_CALLS = 1_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """One judgement: what was asked, the figure, and whether it holds."""

    what: str
    figure: str
    holds: bool


def equal_tables(name: str, disturbed: pl.DataFrame, undisturbed: pl.DataFrame) -> Verdict:
    """Whether two tables hold the same rows as often, apart from the columns of WHEN and the order."""
    lost, more = differing_rows(disturbed, undisturbed)
    return Verdict(
        f"`{name}` equals the undisturbed one",
        f"{disturbed.height:,} rows; {lost:,} lacking, {more:,} too many",
        lost == more == 0,
    )


def differing_rows(disturbed: pl.DataFrame, undisturbed: pl.DataFrame) -> tuple[int, int]:
    """How many rows the first frame lacks, and how many it has too many."""
    counts = [
        pl.DataFrame({"row": _identities(frame)}).group_by("row").len() for frame in (disturbed, undisturbed)
    ]  # fmt: skip
    both = counts[0].join(counts[1], on="row", how="full", suffix="_there").fill_null(0)
    difference = both["len_there"].cast(pl.Int64) - both["len"].cast(pl.Int64)
    return int(difference.clip(lower_bound=0).sum()), int((-difference).clip(lower_bound=0).sum())


def _identities(frame: pl.DataFrame) -> pl.Series:
    told = frame.drop(WHEN, strict=False)
    return told.select(sorted(told.columns)).hash_rows()


def swept_once(sweep: pl.DataFrame, undisturbed: pl.DataFrame) -> Verdict:
    """Whether each object was swept once, with the outcome of the undisturbed run.

    An object that is gone already was deleted by a sweep that was interrupted before it could say so.
    """
    gone = sweep.filter(pl.col("outcome") == "already_gone").height
    as_deleted = pl.col("outcome").replace("already_gone", "deleted")
    columns = ("export", "hour", "bucket", "key", "etag")
    lost, more = differing_rows(
        sweep.select(*columns, as_deleted), undisturbed.select(*columns, as_deleted)
    )  # fmt: skip
    return Verdict(
        "`deletion_sweep` equals the undisturbed one",
        f"{sweep.height:,} rows; {lost:,} lacking, {more:,} too many; {gone:,} say `already_gone` for `deleted`",
        lost == more == 0,
    )


def lag_of(what: str, lags: Sequence[float], posted: int) -> Verdict:
    """Whether objects could be queried soon enough; seconds of the simulated hour, one for each object.

    Args:
        posted: how many objects were posted; one that has no lag never became queryable.
    """
    if not lags:
        return Verdict(f"{what}, p95 within {LONGEST_P95_SECONDS:.0f} s", f"none of {posted:,} objects", holds=False)
    # An object that never came is later than all others.
    seconds = pl.Series([*lags, *[float("inf")] * (posted - len(lags))])
    p50, p95, longest = (float(seconds.quantile(share, "higher") or 0) for share in (0.5, 0.95, 1.0))
    return Verdict(
        f"{what}, p95 within {LONGEST_P95_SECONDS:.0f} s",
        f"p50 {p50:.0f} s, p95 {p95:.0f} s, max {longest:.0f} s of {posted:,} objects",
        p95 <= LONGEST_P95_SECONDS and len(lags) == posted,
    )


def flat_memory(kind: str, samples: Sequence[tuple[float, float]], middle: float) -> Verdict:
    """Whether a kind of process needed no more memory in the second half of the hour than in the first.

    Args:
        samples: seconds of the hour, and MB of one process of the kind.
        middle: of the hour.
    """
    halves = [[mb for at, mb in samples if (at >= middle) == late] for late in (False, True)]
    if not all(halves):
        return Verdict(f"memory of {kind}", "no samples in one half of the hour", holds=False)
    told = {"peak": list(map(max, halves)), "mean": [mean(half) for half in halves]}
    return Verdict(
        f"memory of {kind}, peak and mean of the second half at most {MOST_MEMORY_GROWTH:g} times the first's",
        "; ".join(
            f"{name} {first:.0f} MB, then {second:.0f} MB: {second / first:.2f}"
            for name, (first, second) in told.items()
        ),
        all(second <= MOST_MEMORY_GROWTH * first for first, second in told.values()),
    )


@dataclass(frozen=True, slots=True)
class RunEvents:
    """What Dagster stored of one run: when it began (seconds of the hour), rows, and bytes of them."""

    at: float
    job: str
    rows: int
    bytes: int


def flat_events(runs: Sequence[RunEvents], middle: float) -> Iterator[Verdict]:
    """Whether a run of flow logs stores as many events, of as many bytes, in the second half as in the first."""
    flow_runs = [run for run in runs if run.job == "flow_logs"]
    halves = [[run for run in flow_runs if (run.at >= middle) == late] for late in (False, True)]
    if not all(halves):
        yield Verdict("event log", "no runs in one half of the hour", holds=False)
        return
    figures = {
        "rows": [[run.rows for run in half] for half in halves],
        "bytes": [[run.bytes for run in half] for half in halves],
    }
    for what, of_halves in figures.items():
        first, second = (mean(of_half) for of_half in of_halves)
        yield Verdict(
            f"event log, {what} a run of flow logs, second half at most {MOST_EVENT_GROWTH:g} times the first",
            f"{first:,.0f} ({len(halves[0])} runs), then {second:,.0f} ({len(halves[1])} runs): {second / first:.2f}",
            second <= MOST_EVENT_GROWTH * first,
        )


def failed_share(calls: int, failed: int, wanted: float) -> Verdict:
    """Whether as many calls failed as were to fail."""
    share = failed / max(1, calls)
    return Verdict(
        f"{wanted:.0%} of the calls of AWS fail",
        f"{failed:,} of {calls:,}: {share:.1%}",
        calls >= _LEAST_CALLS and abs(share - wanted) <= _SHARE_OFF,
    )


def restarted(done: Mapping[str, int], wanted: Mapping[str, int]) -> Verdict:
    """Whether all that were to be killed were killed, and started again."""
    told = ", ".join(f"{name} {count}" for name, count in sorted(done.items()))
    return Verdict("kill -9 and start again, as planned", told or "none", dict(done) == dict(wanted))
