"""Accounts and network metadata into the lake: what was observed is compared, what was not stays known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from kentik_dagster.aws.accounts import list_accounts
from kentik_dagster.aws.network import Observation, observe_account, unreachable_account
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.catalog.outcomes import Outcome
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.accounts import merged_accounts
from kentik_dagster.core.address_book import address_book
from kentik_dagster.core.network import Scope, new_changes, resources
from kentik_dagster.core.schemas import no_rows, polars_schema
from kentik_dagster.errors import AwsError
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import append_rows, merge_partition

CONCURRENT_ACCOUNTS = 8
_CALLS = polars_schema(TABLES["metadata_calls"])


@dataclass(frozen=True, slots=True)
class AccountsListed:
    """The accounts after a listing, and the exports that could not be listed with the reason."""

    accounts: pl.DataFrame
    failures: Mapping[str, str]


def collect_accounts(accesses: Sequence[ExportAccess], lake: Lake, *, clock: Callable[[], datetime]) -> AccountsListed:
    """List the accounts of every export; one that cannot be listed keeps what is known of it."""
    observed_at = clock()
    frames, observed, failures = [no_rows(TABLES["org_accounts"])], [], {}
    for access in accesses:
        name = access.export.name
        try:
            listed = list_accounts(access, observed_at=observed_at, clock=clock)
        except AwsError as error:
            failures[name] = str(error)
            continue
        if listed.outcome is Outcome.OBSERVED:
            observed.append(name)
            frames.append(listed.accounts)
        else:
            assert listed.answer is not None
            failures[name] = (
                f"export '{name}' may not list the organization's accounts: {listed.answer.error_message} "
                "Grant organizations:ListAccounts to its role, which must be in the management account or a delegated "
                "administrator's, or name the accounts in secondary_accounts."
            )
    new = pl.concat(frames)
    accounts = merge_partition(lake["org_accounts"], {}, lambda there: merged_accounts(there, new, observed))
    return AccountsListed(accounts, failures)


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


def collect_metadata(
    accounts: Mapping[str, ExportAccess], lake: Lake, *, clock: Callable[[], datetime]
) -> Iterator[AccountObserved]:
    """Take a snapshot of each account, several at a time, and log what changed; yields them as they are done.

    Args:
        accounts: the access that reaches each account id.
    """
    with ThreadPoolExecutor(CONCURRENT_ACCOUNTS, thread_name_prefix="account") as pool:
        started = {
            pool.submit(_observed, access, account_id, clock): account_id for account_id, access in accounts.items()
        }
        for future in as_completed(started):
            observed_at, observations = future.result()
            yield _logged(lake, started[future], observations, observed_at)


def rebuild_address_book(lake: Lake) -> pl.DataFrame:
    """Make `address_book` say what `metadata_changes` and `org_accounts` say now; returns its rows."""

    def newest(_: pl.DataFrame) -> pl.DataFrame:
        # Read anew in every round of the commit, so that an older book never replaces a newer one.
        return address_book(lake["metadata_changes"].read(), lake["org_accounts"].read())

    return merge_partition(lake["address_book"], {}, newest)


def _observed(
    access: ExportAccess, account_id: str, clock: Callable[[], datetime]
) -> tuple[datetime, list[Observation]]:
    observed_at = clock()
    export = access.export
    try:
        account = access.account(account_id)
    except AwsError as error:
        return observed_at, unreachable_account(account_id, export.regions, error.code, str(error), observed_at)
    return observed_at, observe_account(account, export.regions, home_region=export.region, clock=clock)


def _logged(lake: Lake, account_id: str, observations: Sequence[Observation], observed_at: datetime) -> AccountObserved:
    partition = {"account_id": account_id}
    scopes, frames = [], []
    for observation in observations:
        if observation.answer.outcome is Outcome.OBSERVED:
            scope = Scope(account_id, observation.region, observation.operation.resource_type)
            scopes.append(scope)
            frames.append(resources(observation.answer.items, observation.operation, scope))
    changes = no_rows(TABLES["metadata_changes"])
    if frames:
        seen = pl.concat(frames)

        def lacking(known: pl.DataFrame) -> pl.DataFrame:
            # A snapshot that began before another one of the account, and ended after it, has nothing new to say.
            is_overtaken = known.select((pl.col("observed_at") > observed_at).any()).item()
            return changes.clear() if is_overtaken else new_changes(known, seen, scopes, observed_at)

        changes = append_rows(lake["metadata_changes"], partition, lacking)
    calls = _calls(observations)
    merged = merge_partition(lake["metadata_calls"], partition, lambda there: _with_calls(there, calls))
    return AccountObserved(account_id, changes, merged)


def _calls(observations: Sequence[Observation]) -> pl.DataFrame:
    rows = [
        {
            "account_id": observation.account_id,
            "region": observation.region,
            "service": observation.operation.service,
            "operation": observation.operation.name,
            "outcome": str(observation.answer.outcome),
            "error_code": observation.answer.error_code,
            "error_message": observation.answer.error_message,
            "pages": observation.answer.pages,
            "items": len(observation.answer.items),
            "started_at": observation.answer.started_at,
            "ended_at": observation.answer.ended_at,
            "last_observed_at": observation.answer.started_at
            if observation.answer.outcome is Outcome.OBSERVED
            else None,
        }
        for observation in observations
    ]
    return pl.DataFrame(rows, schema=_CALLS)


def _with_calls(there: pl.DataFrame, calls: pl.DataFrame) -> pl.DataFrame:
    """The last call of each operation; one that failed remembers when it last succeeded."""
    identity = ["account_id", "region", "service", "operation"]
    before = there.select(*identity, pl.col("last_observed_at").alias("observed_before"))
    new = calls.join(before, on=identity, how="left").with_columns(
        last_observed_at=pl.max_horizontal("last_observed_at", "observed_before")
    )
    kept = there.join(calls, on=identity, how="anti")
    return pl.concat([kept, new.select(there.columns)]).sort(identity)
