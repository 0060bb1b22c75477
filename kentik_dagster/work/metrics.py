"""CloudWatch datapoints into the lake: what they will cost, and then window by window."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl

from kentik_dagster.aws.calls import Answer
from kentik_dagster.aws.metrics import Datapoints, read_datapoints
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.catalog.metrics import MEASURED, Metric
from kentik_dagster.catalog.outcomes import Outcome
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.flow_log_keys import hour_of
from kentik_dagster.core.metrics import SCOPE, Window, fewest_requests, plan, windows, with_observed, with_resources
from kentik_dagster.core.schemas import no_rows, polars_schema
from kentik_dagster.errors import AwsError
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import merge_partitions
from kentik_dagster.work.metric_calls import call_row, calls_of, log_calls
from kentik_dagster.work.metric_listings import CONCURRENT_COLLECTIONS, refresh_listings, scopes_of

_SERIES = polars_schema(TABLES["metric_series"])
_RESOURCES = sorted({one.resource_type for namespace in MEASURED.values() for one in namespace})
_OF_RESOURCES = (
    "account_id", "resource_type", "resource_id", "name", "owner_account_id", "observed_at", "change",
)  # fmt: skip
# So many datapoints are in memory at once, give or take an account: some hundred megabytes.
_DATAPOINTS_A_COMMIT = 250_000
_GRAVEST_FIRST = (Outcome.DENIED, Outcome.UNAVAILABLE, Outcome.UNSUPPORTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be asked for some hours, known before the first metric is requested.

    Attributes:
        now: datapoints are taken as of this instant, however long it takes to ask for them.
        queries: metrics that will be requested, each statistic and window of one counted, which is the most that
            CloudWatch charges for.
        requests: GetMetricData requests that they need at least.
        calls: rows of `metadata_calls` about listing the series.
    """

    now: datetime
    windows: tuple[Window, ...]
    metrics: Sequence[Metric]
    listings: pl.DataFrame
    resources: pl.DataFrame
    calls: pl.DataFrame
    queries: int = 0
    requests: int = 0

    def of(self, window: Window) -> pl.DataFrame:
        """The queries of a window: rows of `core.metrics.plan`, numbered by `query`."""
        asked = plan(self.listings, self.metrics, window, self.now)
        return with_resources(asked, self.resources, window).with_row_index("query")


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowCollected:
    """One window after its collection.

    Attributes:
        hours: rows of `hour_summary` of each hour afterwards.
        requested: metrics that were requested.
        requests: GetMetricData or GetMetricStatistics requests.
        calls: rows of `metadata_calls`, one for each account, region and namespace.
    """

    window: Window
    hours: dict[str, pl.DataFrame]
    requested: int
    requests: int
    calls: pl.DataFrame


def planned(
    accounts: Mapping[str, ExportAccess],
    lake: Lake,
    hours: Iterable[datetime],
    metrics: Sequence[Metric],
    *,
    clock: Callable[[], datetime],
    daily_only: bool = False,
) -> Plan:
    """What to ask for some hours, and what that costs; lists the series where they were not listed for a while.

    Args:
        accounts: the access that reaches each account id.
        daily_only: only the datapoints of whole days.
    """
    calls = refresh_listings(accounts, lake, metrics, clock=clock)
    log_calls(lake, calls)
    now = clock()
    wanted = [scope.place for scope in scopes_of(accounts, metrics)]
    places = pl.DataFrame(wanted, schema=dict.fromkeys(SCOPE, pl.String), orient="row")
    log = lake["metadata_changes"].open()
    changes = log.scan().filter(pl.col("resource_type").is_in(_RESOURCES)).select(_OF_RESOURCES)
    made = Plan(
        now=now,
        windows=tuple(windows(hours, daily_only=daily_only)),
        metrics=metrics,
        listings=lake["metric_listings"].read().join(places, on=SCOPE, how="semi", maintain_order="left"),
        resources=log.collected(changes),
        calls=calls,
    )
    queries = requests = 0
    for window in made.windows:
        asked = made.of(window)
        queries, requests = queries + asked.height, requests + fewest_requests(asked)
    return replace(made, queries=queries, requests=requests)


def collect(
    made: Plan, accounts: Mapping[str, ExportAccess], lake: Lake, *, clock: Callable[[], datetime]
) -> Iterator[WindowCollected]:
    """Collect what was planned, window by window; what could not be observed keeps the rows that it had."""
    for window in made.windows:
        yield _collect_window(made, window, accounts, lake, clock)


def _collect_window(
    made: Plan, window: Window, accounts: Mapping[str, ExportAccess], lake: Lake, clock: Callable[[], datetime]
) -> WindowCollected:
    asked = made.of(window)
    calls, requested, requests = [], 0, 0
    with ThreadPoolExecutor(CONCURRENT_COLLECTIONS, thread_name_prefix="metrics") as pool:
        for parts in _batches(asked, window):
            found = list(pool.map(lambda part: _read(part, accounts, window, clock), parts))
            _commit(lake, parts, found, window)
            calls += [row for part, one in zip(parts, found, strict=True) for row in _calls(part, one, clock())]
            requests += sum(len(one.asked) for one in found)
            requested += sum(request.queries for one in found for request in one.asked)
    frame = calls_of(calls)
    log_calls(lake, frame)
    return WindowCollected(
        window=window,
        hours={name: hour_summary(lake, name) for name in map(hour_of, window.hours)},
        requested=requested,
        requests=requests,
        calls=frame,
    )


def _batches(asked: pl.DataFrame, window: Window) -> Iterator[list[pl.DataFrame]]:
    """The queries of whole accounts and regions, so many at once as one commit takes."""
    batch: list[pl.DataFrame] = []
    points = 0
    seconds = int((window.end - window.start).total_seconds())
    for part in asked.partition_by("account_id", "region", maintain_order=True):
        expected = int((seconds // part["period_seconds"]).sum())
        if batch and points + expected > _DATAPOINTS_A_COMMIT:
            yield batch
            batch, points = [], 0
        batch.append(part)
        points += expected
    if batch:
        yield batch


def _commit(lake: Lake, parts: Sequence[pl.DataFrame], found: Sequence[Datapoints], window: Window) -> None:
    """Put what was answered for some accounts into its hours."""
    asked = pl.concat(parts)
    answered = asked.filter(pl.col("query").is_in([query for one in found for query in one.answered]))
    new = _rows([points for one in found for points in one.points], answered, window)
    wanted = [
        ({"hour": hour_of(hour)}, _merger(new, answered.filter(pl.col("ends_at") > hour), hour_of(hour)))
        for hour in window.hours
    ]
    merge_partitions(lake["metric_series"], wanted, holding=("account_id", asked["account_id"].unique().to_list()))


def hour_summary(lake: Lake, hour: str) -> pl.DataFrame:
    """What an hour has: `datapoints`, `total` and `mean` by `namespace`, `metric_name`, `statistic` and `timestamp`."""
    rows = lake["metric_series"].scan({"hour": hour})
    value = pl.col("value")
    summary = rows.group_by("namespace", "metric_name", "statistic", "timestamp").agg(
        datapoints=pl.len(), total=value.sum(), mean=value.mean()
    )
    return summary.collect(engine="streaming").sort("namespace", "metric_name", "statistic", "timestamp")


def _merger(new: pl.DataFrame, answered: pl.DataFrame, hour: str) -> Callable[[pl.DataFrame], pl.DataFrame]:
    rows = new.filter(pl.col("hour") == hour)
    return lambda there: with_observed(there, rows, answered)


def _read(
    part: pl.DataFrame, accounts: Mapping[str, ExportAccess], window: Window, clock: Callable[[], datetime]
) -> Datapoints:
    account_id, region = part.row(0, named=True)["account_id"], part.row(0, named=True)["region"]
    try:
        account = accounts[account_id].account(account_id)
    except AwsError as error:
        return Datapoints(refused=error)
    return read_datapoints(account, region, part, window, clock=clock)


def _rows(points: Sequence[pl.DataFrame], answered: pl.DataFrame, window: Window) -> pl.DataFrame:
    """Rows of `metric_series`: CloudWatch's last word on each period that does not change any more."""
    if not points:
        return no_rows(TABLES["metric_series"])
    return (
        pl.concat(points)
        .unique(["query", "timestamp"], keep="last", maintain_order=True)
        .join(answered, on="query", maintain_order="left")
        .filter((pl.col("timestamp") >= window.start) & (pl.col("timestamp") < pl.col("ends_at")))
        .with_columns(hour=pl.col("timestamp").dt.strftime("%Y-%m-%dT%H"))
        .select(_SERIES.names())
    )


def _calls(part: pl.DataFrame, done: Datapoints, now: datetime) -> Iterator[dict[str, object]]:
    """One row for each namespace: what became of its requests, and whether every one of its queries was answered."""
    answered = set(done.answered)
    denied = next((one.answer for one in done.asked if one.answer.outcome is Outcome.DENIED), None)
    for (account_id, region, namespace), rows in part.group_by(*SCOPE, maintain_order=True):
        asked = [one for one in done.asked if namespace in one.namespaces]
        lacking = [query for query in rows["query"] if query not in answered]
        operation = (asked or done.asked)[-1].operation if done.asked else "get_metric_data"
        failed = [one.answer for one in asked if one.answer.outcome is not Outcome.OBSERVED]
        if lacking and not failed and denied is not None:  # so that it was not even asked for
            failed = [denied]
        answer = Answer(
            outcome=Outcome.OBSERVED,
            items=[],
            pages=sum(one.answer.pages for one in asked),
            started_at=min((one.answer.started_at for one in asked), default=now),
            ended_at=max((one.answer.ended_at for one in asked), default=now),
        )
        if done.refused is not None:
            code, message = done.refused.code, str(done.refused)
            answer = replace(answer, outcome=Outcome.DENIED, error_code=code, error_message=message)
        elif failed:
            worst = min(failed, key=lambda one: _GRAVEST_FIRST.index(one.outcome))
            answer = replace(
                answer, outcome=worst.outcome, error_code=worst.error_code, error_message=worst.error_message
            )
        elif lacking:
            answer = replace(
                answer,
                outcome=Outcome.UNAVAILABLE,
                error_code="PartialData",
                error_message=f"CloudWatch gave {len(lacking)} of {rows.height} series in part only",
            )
        place = str(account_id), str(region), str(namespace)
        yield call_row(place, operation, answer, items=rows.height - len(lacking))
