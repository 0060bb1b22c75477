"""CloudWatch datapoints of one hour into the lake."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from kentik_dagster.aws.calls import Answer
from kentik_dagster.aws.metrics import NamespaceSeries, collect_namespace
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.catalog.metrics import METRICS
from kentik_dagster.catalog.outcomes import Outcome
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.flow_log_keys import hour_start
from kentik_dagster.core.metrics import IDENTITY, with_observed
from kentik_dagster.core.schemas import no_rows
from kentik_dagster.errors import AwsError
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import merge_partition

CONCURRENT_COLLECTIONS = 8
NAMESPACES = tuple(dict.fromkeys(metric.namespace for metric in METRICS))


@dataclass(frozen=True, slots=True)
class HourCollected:
    """One hour of metrics: the hour's rows afterwards, metrics asked for, and the scopes that were not observed."""

    rows: int
    requested: int
    failures: pl.DataFrame


def collect_hour(
    accounts: Mapping[str, ExportAccess], lake: Lake, hour: str, *, clock: Callable[[], datetime]
) -> HourCollected:
    """Collect an hour's datapoints; what could not be observed keeps the rows that it had.

    Args:
        accounts: the access that reaches each account id.
    """
    scopes = [
        (account_id, access, region, namespace)
        for account_id, access in accounts.items()
        for region in access.export.regions
        for namespace in NAMESPACES
    ]
    with ThreadPoolExecutor(CONCURRENT_COLLECTIONS, thread_name_prefix="metrics") as pool:
        collected = list(pool.map(lambda scope: _collected(*scope, hour=hour_start(hour), clock=clock), scopes))
    observed = [series for series in collected if series.outcome is Outcome.OBSERVED]
    identity = dict.fromkeys(IDENTITY, pl.String)
    places = [(series.account_id, series.region, series.namespace) for series in observed]
    seen = pl.DataFrame(places, schema=identity, orient="row")
    new = pl.concat([no_rows(TABLES["metric_series"]), *(series.rows for series in observed)])
    rows = merge_partition(lake["metric_series"], {"hour": hour}, lambda there: with_observed(there, new, seen))
    failures = [
        (*(series.account_id, series.region, series.namespace), str(series.outcome), series.answer.error_message)
        for series in collected
        if series.outcome is not Outcome.OBSERVED
    ]
    schema = identity | {"outcome": pl.String, "error_message": pl.String}
    return HourCollected(
        rows.height, sum(series.requested for series in collected), pl.DataFrame(failures, schema=schema, orient="row")
    )


def _collected(
    account_id: str,
    access: ExportAccess,
    region: str,
    namespace: str,
    *,
    hour: datetime,
    clock: Callable[[], datetime],
) -> NamespaceSeries:
    try:
        return collect_namespace(access.account(account_id), region, namespace, hour, clock=clock)
    except AwsError as error:
        now = clock()
        answer = Answer(
            outcome=Outcome.DENIED,
            items=[],
            pages=0,
            started_at=now,
            ended_at=now,
            error_code=error.code,
            error_message=str(error),
        )
        return NamespaceSeries(account_id, region, namespace, no_rows(TABLES["metric_series"]), answer, 0)
