"""The accounts of all exports into the lake; one that cannot be listed keeps what is known of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from kentik_dagster.aws.accounts import list_accounts
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.catalog.outcomes import Outcome
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.accounts import merged_accounts
from kentik_dagster.core.schemas import no_rows
from kentik_dagster.errors import AwsError
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import merge_partition


@dataclass(frozen=True, slots=True)
class AccountsListed:
    """The accounts after a listing, and the exports that could not be listed with the reason."""

    accounts: pl.DataFrame
    failures: Mapping[str, str]


def collect_accounts(accesses: Sequence[ExportAccess], lake: Lake, *, clock: Callable[[], datetime]) -> AccountsListed:
    """List the accounts of every export; one that cannot be listed keeps what is known of it."""
    observed_at = clock()
    frames, observed, failures = [no_rows(TABLES["org_accounts"])], [], {}
    unnamed: list[str] = []
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
            unnamed += listed.without_alias
        else:
            assert listed.answer is not None
            failures[name] = (
                f"export '{name}' may not list the organization's accounts: {listed.answer.error_message} "
                "Grant organizations:ListAccounts to its role, which must be in the management account or a delegated "
                "administrator's, or name the accounts in secondary_accounts."
            )
    new = pl.concat(frames)
    accounts = merge_partition(lake["org_accounts"], {}, lambda there: merged_accounts(there, new, observed, unnamed))
    return AccountsListed(accounts, failures)
