"""Which CloudWatch series there are: asked for once an hour, kept in `metric_listings`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import polars as pl

from kentik_dagster.aws.calls import Answer
from kentik_dagster.aws.metrics import Listed, list_series
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.catalog.metrics import HOME_REGIONS, LISTINGS_LAST, RETENTION, Metric
from kentik_dagster.catalog.outcomes import Outcome
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.configuration.values import ROLE_ARN
from kentik_dagster.core.metrics import SCOPE
from kentik_dagster.core.schemas import no_rows, polars_schema
from kentik_dagster.errors import AwsError
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import merge_partitions
from kentik_dagster.work.metric_calls import Scope, call_row, calls_of

CONCURRENT_COLLECTIONS = 8
_LISTINGS = polars_schema(TABLES["metric_listings"])
_SERIES = ["account_id", "region", "namespace", "listed_as", "metric_name", "dimensions"]


def scopes_of(accounts: Mapping[str, ExportAccess], metrics: Sequence[Metric]) -> list[Scope]:
    """Where series are looked for: each namespace in its home region, or else in every region of the export.

    Args:
        accounts: the access that reaches each account id.
    """
    namespaces = dict.fromkeys(metric.namespace for metric in metrics)
    return [
        Scope(account_id, region, namespace, access)
        for account_id, access in accounts.items()
        for namespace in namespaces
        for region in _regions(access, namespace)
    ]


def _regions(access: ExportAccess, namespace: str) -> tuple[str, ...]:
    homes = HOME_REGIONS.get(namespace)
    if homes is None:
        return access.export.regions
    match = ROLE_ARN.fullmatch(access.export.iam_role_arn or "")
    home = homes.get(match["partition"] if match else _partition(access.export.region))
    return () if home is None else (home,)


def _partition(region: str) -> str:
    return "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"


def refresh_listings(
    accounts: Mapping[str, ExportAccess],
    lake: Lake,
    metrics: Sequence[Metric],
    *,
    clock: Callable[[], datetime],
    older_than: timedelta = LISTINGS_LAST,
) -> pl.DataFrame:
    """Ask which series there are, where that was not asked for a while; returns rows of `metadata_calls`.

    A series that CloudWatch lists no more stays with the time when it last did: an hour of that time may be asked
    for later. What was not listed because of an error keeps its rows, too.
    """
    now = clock()
    there = lake["metric_listings"].read()
    fresh = there.filter(pl.col("metric_name").is_null() & (pl.col("listed_at") > now - older_than))
    known = set(fresh.select(SCOPE).rows())
    scopes = [scope for scope in scopes_of(accounts, metrics) if scope.place not in known]
    with ThreadPoolExecutor(CONCURRENT_COLLECTIONS, thread_name_prefix="listing") as pool:
        found = list(pool.map(lambda scope: _list(scope, metrics, clock), scopes))
    observed = [
        (scope, listing)
        for scope, listing in zip(scopes, found, strict=True)
        if listing.answer.outcome is Outcome.OBSERVED
    ]
    added = pl.concat(
        [
            no_rows(TABLES["metric_listings"]),
            *(_rows(scope, listing, now) for scope, listing in observed),
        ]
    )
    oldest = now - RETENTION[-1][0]
    wanted = [
        ({"account_id": str(key[0])}, functools.partial(_with_listed, rows=rows, oldest=oldest))
        for key, rows in added.partition_by("account_id", as_dict=True, maintain_order=True).items()
    ]
    if wanted:
        merge_partitions(lake["metric_listings"], wanted)
    return calls_of(
        [
            call_row(scope.place, "list_metrics", listing.answer, items=len(listing.answer.items))
            for scope, listing in zip(scopes, found, strict=True)
        ]
    )


def _list(scope: Scope, metrics: Sequence[Metric], clock: Callable[[], datetime]) -> Listed:
    try:
        account = scope.access.account(scope.account_id)
    except AwsError as error:
        now = clock()
        refused = Answer(
            outcome=Outcome.DENIED,
            items=[],
            pages=0,
            started_at=now,
            ended_at=now,
            error_code=error.code,
            error_message=str(error),
        )
        return Listed(no_rows(TABLES["metric_listings"]).drop("listed_at"), refused)
    return list_series(account, scope.region, scope.namespace, metrics, clock=clock)


def _rows(scope: Scope, listing: Listed, now: datetime) -> pl.DataFrame:
    """The series of a scope, and the row that says that it was listed."""
    places = dict(zip(SCOPE, scope.place, strict=True))
    listed = pl.DataFrame({name: [value] for name, value in places.items()})
    rows = pl.concat([listing.rows, listed], how="diagonal")
    return rows.with_columns(listed_at=pl.lit(now).cast(_LISTINGS["listed_at"])).select(_LISTINGS.names())


def _with_listed(before: pl.DataFrame, rows: pl.DataFrame, oldest: datetime) -> pl.DataFrame:
    kept = before.join(rows, on=_SERIES, how="anti", nulls_equal=True, maintain_order="left")
    newer = rows.join(
        before.select(*_SERIES, before="listed_at"), on=_SERIES, how="left", nulls_equal=True, maintain_order="left"
    ).with_columns(listed_at=pl.max_horizontal("listed_at", "before"))
    return pl.concat([kept.filter(pl.col("listed_at") >= oldest), newer.select(before.columns)])
