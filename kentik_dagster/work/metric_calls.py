"""What became of the calls to CloudWatch, in `metadata_calls`, beside those that network metadata is made from."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from kentik_dagster.aws.calls import Answer
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.catalog.metrics import METRICS_SERVICE
from kentik_dagster.catalog.outcomes import Outcome
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.schemas import no_rows, polars_schema
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import merge_partitions

_CALLS = polars_schema(TABLES["metadata_calls"])
_IDENTITY = ["account_id", "region", "service", "operation"]
# Of calls that go on as before, the table hears so often: metrics are collected every few minutes.
_SAID_EVERY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Scope:
    """One namespace in one account and region, and the access that reaches the account."""

    account_id: str
    region: str
    namespace: str
    access: ExportAccess

    @property
    def place(self) -> tuple[str, str, str]:
        """As the tables call it."""
        return self.account_id, self.region, self.namespace


def call_row(place: tuple[str, str, str], operation: str, answer: Answer, *, items: int) -> dict[str, object]:
    """A row of `metadata_calls`; its operation names the namespace, too."""
    account_id, region, namespace = place
    return {
        "account_id": account_id,
        "region": region,
        "service": METRICS_SERVICE,
        "operation": f"{operation} {namespace}",
        "outcome": str(answer.outcome),
        "error_code": answer.error_code,
        "error_message": answer.error_message,
        "pages": answer.pages,
        "items": items,
        "throttled": 0,
        "started_at": answer.started_at,
        "ended_at": answer.ended_at,
        "last_observed_at": answer.started_at if answer.outcome is Outcome.OBSERVED else None,
    }


def calls_of(rows: Sequence[dict[str, object]]) -> pl.DataFrame:
    """Rows of `metadata_calls` as a frame."""
    return pl.DataFrame(rows, schema=_CALLS) if rows else no_rows(TABLES["metadata_calls"])


def log_calls(lake: Lake, calls: pl.DataFrame) -> None:
    """Put calls into `metadata_calls`, in one commit: those that are new, went otherwise than before, or are old."""
    parts = calls.partition_by("account_id", as_dict=True, maintain_order=True)
    wanted = [({"account_id": str(key[0])}, functools.partial(_with_calls, calls=rows)) for key, rows in parts.items()]
    if wanted:
        merge_partitions(lake["metadata_calls"], wanted)


def _with_calls(there: pl.DataFrame, calls: pl.DataFrame) -> pl.DataFrame:
    before = there.select(
        *_IDENTITY, before="outcome", code_before="error_code", said_at="ended_at", observed_before="last_observed_at"
    )
    news = (
        calls.join(before, on=_IDENTITY, how="left", maintain_order="left")
        .filter(
            pl.col("before").ne_missing(pl.col("outcome"))
            | pl.col("code_before").ne_missing(pl.col("error_code"))
            | (pl.col("ended_at") - pl.col("said_at") >= _SAID_EVERY)
        )
        .with_columns(last_observed_at=pl.max_horizontal("last_observed_at", "observed_before"))
    )
    return pl.concat([there.join(news, on=_IDENTITY, how="anti"), news.select(there.columns)]).sort(_IDENTITY)
