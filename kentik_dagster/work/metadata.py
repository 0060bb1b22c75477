"""Network metadata into the lake: what was observed is compared, what was not stays known."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl

from kentik_dagster.aws.calls import MALFORMED, outcome_of
from kentik_dagster.aws.fan_out import Observation
from kentik_dagster.aws.network import observe_account
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.catalog.metrics import METRICS_SERVICE
from kentik_dagster.catalog.network import Operation
from kentik_dagster.catalog.outcomes import Outcome
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.configuration import Export
from kentik_dagster.core.network import Scope, new_changes
from kentik_dagster.core.resources import resources
from kentik_dagster.core.schemas import no_rows, polars_schema
from kentik_dagster.errors import AwsError
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import append_to_partitions, merge_partitions

CONCURRENT_ACCOUNTS = 8
_ACCOUNTS_A_COMMIT = 16
_CALLS = polars_schema(TABLES["metadata_calls"])


@dataclass(frozen=True, slots=True)
class AccountObserved:
    """One account after a snapshot.

    Attributes:
        changes: rows that the snapshot added to `metadata_changes`.
        calls: the account's rows of `metadata_calls`.
    """

    account_id: str
    changes: pl.DataFrame
    calls: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What AWS showed of one account: resources, of what they are all there is, and the calls themselves."""

    observed_at: datetime
    seen: pl.DataFrame
    scopes: tuple[Scope, ...]
    calls: pl.DataFrame


def collect_metadata(
    accounts: Mapping[str, ExportAccess], lake: Lake, *, clock: Callable[[], datetime]
) -> Iterator[AccountObserved]:
    """Take a snapshot of each account, several at a time, and log what changed; yields them as they are done.

    No more snapshots are held than are being taken and one commit takes, however many accounts there are. What goes
    wrong with one account beyond what AWS may answer is raised once the others are done.

    Args:
        accounts: the access that reaches each account id.
    """
    failures: list[Exception] = []
    waiting = iter(accounts.items())
    seen: dict[str, Snapshot] = {}
    with ThreadPoolExecutor(CONCURRENT_ACCOUNTS, thread_name_prefix="account") as pool:
        running: dict[Future[Snapshot], str] = {}
        while True:
            for account_id, access in itertools.islice(waiting, CONCURRENT_ACCOUNTS - len(running)):
                running[pool.submit(take_snapshot, access, account_id, clock)] = account_id
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                account_id = running.pop(future)
                try:
                    seen[account_id] = future.result()
                except Exception as error:
                    error.add_note(f"in account {account_id}")
                    failures.append(error)
            if len(seen) >= _ACCOUNTS_A_COMMIT or not running:
                for logged in _logged(lake, seen):
                    if isinstance(logged, Exception):
                        failures.append(logged)
                    else:
                        yield logged
                seen = {}
            if not running and not done:
                break
    if failures:
        raise failures[0]


def take_snapshot(
    access: ExportAccess,
    account_id: str,
    clock: Callable[[], datetime],
    is_brief: Callable[[Operation], bool] = lambda _: False,
) -> Snapshot:
    """Ask one account for all that it has; what cannot be seen is said in its calls.

    Args:
        is_brief: of which operations it is enough to know whether they are permitted.
    """
    observed_at = clock()
    export = access.export
    frames, scopes = [no_rows(TABLES["metadata_changes"]).drop("change", "observed_at")], []
    try:
        account = access.account(account_id)
    except AwsError as error:
        return Snapshot(observed_at, frames[0], (), _calls([_role_call(export, account_id, observed_at, error)]))
    calls = [_role_call(export, account_id, observed_at)]
    for observation in observe_account(
        account, export.regions, home_region=export.region, clock=clock, is_brief=is_brief
    ):
        operation, region, answer = observation.operation, observation.region, observation.answer
        found = resources(answer.items, operation, account_id=account_id, region=region)
        frames.append(found.rows)
        if found.rejected:
            answer = replace(
                answer,
                outcome=Outcome.UNAVAILABLE,
                error_code=MALFORMED,
                error_message=f"{len(found.rejected)} of {len(answer.items)} rows are not stored, and nothing is taken "
                f"for removed: {found.rejected[0]}",
            )
        elif observation.unobserved is not None:
            scopes.append(Scope(account_id, region, operation.resource_type, observation.unobserved))
        calls.append(_call(replace(observation, answer=answer)))
    access.forget(account_id)
    return Snapshot(observed_at, pl.concat(frames), tuple(scopes), _calls(calls))


def _logged(lake: Lake, snapshots: Mapping[str, Snapshot]) -> Iterator[AccountObserved | Exception]:
    """Log snapshots in one commit of each table; where that fails, each account alone."""
    try:
        yield from _logged_together(lake, snapshots)
    except Exception as error:
        if len(snapshots) == 1:
            error.add_note(f"in account {next(iter(snapshots))}")
            yield error
            return
        for account_id, snapshot in snapshots.items():
            yield from _logged(lake, {account_id: snapshot})


def _logged_together(lake: Lake, snapshots: Mapping[str, Snapshot]) -> list[AccountObserved]:
    if not snapshots:
        return []
    partitions = [{"account_id": account_id} for account_id in snapshots]
    lacking = [_lacking(snapshot) for snapshot in snapshots.values()]
    changes = append_to_partitions(lake["metadata_changes"], list(zip(partitions, lacking, strict=True)))
    merged = [functools.partial(_with_calls, calls=snapshot.calls) for snapshot in snapshots.values()]
    calls = merge_partitions(lake["metadata_calls"], list(zip(partitions, merged, strict=True)))
    return [AccountObserved(*one) for one in zip(snapshots, changes, calls, strict=True)]


def _lacking(snapshot: Snapshot) -> Callable[[pl.DataFrame], pl.DataFrame]:
    def lacking(known: pl.DataFrame) -> pl.DataFrame:
        # A snapshot that began before another one of the account, and ended after it, has nothing new to say.
        is_overtaken = known.select((pl.col("observed_at") >= snapshot.observed_at).any()).item()
        if is_overtaken or not (snapshot.seen.height or snapshot.scopes):
            return known.clear()
        return new_changes(known, snapshot.seen, snapshot.scopes, snapshot.observed_at)

    return lacking


def _call(observation: Observation) -> dict[str, object]:
    answer = observation.answer
    return {
        "account_id": observation.account_id,
        "region": observation.region,
        "service": observation.operation.service,
        "operation": observation.operation.name,
        "outcome": str(answer.outcome),
        "error_code": answer.error_code,
        "error_message": answer.error_message,
        "pages": answer.pages,
        "items": len(answer.items),
        "throttled": observation.throttled,
        "started_at": answer.started_at,
        "ended_at": answer.ended_at,
        "last_observed_at": answer.started_at if answer.outcome is Outcome.OBSERVED else None,
    }


def _role_call(export: Export, account_id: str, at: datetime, error: AwsError | None = None) -> dict[str, object]:
    """The call that lets us into the account: where it fails nothing else was asked."""
    return {
        "account_id": account_id,
        "region": export.region,
        "service": "sts",
        "operation": "assume_role",
        "outcome": str(Outcome.OBSERVED if error is None else outcome_of(error)),
        "error_code": None if error is None else error.code,
        "error_message": None if error is None else str(error),
        "pages": 0,
        "items": 0,
        "throttled": 0,
        "started_at": at,
        "ended_at": at,
        "last_observed_at": at if error is None else None,
    }


def _calls(rows: Sequence[Mapping[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=_CALLS)


def _with_calls(there: pl.DataFrame, calls: pl.DataFrame) -> pl.DataFrame:
    """The last call of each operation; one that failed remembers when it last succeeded."""
    identity = ["account_id", "region", "service", "operation"]
    before = there.select(*identity, pl.col("last_observed_at").alias("observed_before"))
    new = calls.join(before, on=identity, how="left").with_columns(
        last_observed_at=pl.max_horizontal("last_observed_at", "observed_before")
    )
    kept = there.join(calls, on=identity, how="anti")
    if calls.height > 1:  # the account was reached, and asked everything that is to be asked
        is_ours = pl.col("service") != METRICS_SERVICE
        kept = kept.with_columns(
            pl.when(is_ours).then(pl.lit(str(Outcome.SKIPPED))).otherwise("outcome").alias("outcome"),
            pl.when(is_ours).then(pl.lit("NotCollected")).otherwise("error_code").alias("error_code"),
            pl.when(is_ours)
            .then(pl.lit("this region or operation is not collected any more; what is known of it stays"))
            .otherwise("error_message")
            .alias("error_message"),
        )
    return pl.concat([kept, new.select(there.columns)]).sort(identity)
