"""The accounts of an export: those of its organization, those it names, or its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from kentik_dagster.aws.calls import MALFORMED, Answer, all_pages
from kentik_dagster.aws.sessions import ExportAccess, secondary_role_arn
from kentik_dagster.catalog.network import SERVICE_HOMES
from kentik_dagster.catalog.outcomes import Outcome
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.accounts import collectible_accounts
from kentik_dagster.core.schemas import polars_schema
from kentik_dagster.errors import AwsError

_CONCURRENT_ALIASES = 16
_LISTED_PAGE = 20  # the largest that ListAccounts takes


@dataclass(frozen=True, slots=True)
class ListedAccounts:
    """The accounts of one export, and whether AWS let us see them.

    Attributes:
        accounts: rows of `org_accounts`; empty unless the outcome is OBSERVED.
        answer: what ListAccounts answered; None where no list was asked for.
        without_alias: the accounts that did not tell whether they have an alias.
    """

    export: str
    accounts: pl.DataFrame
    outcome: Outcome
    answer: Answer | None = None
    without_alias: tuple[str, ...] = ()


def list_accounts(access: ExportAccess, *, observed_at: datetime, clock: Callable[[], datetime]) -> ListedAccounts:
    """The accounts of an export, from Organizations if it has the organization role.

    Raises:
        AwsError: the primary role cannot be assumed, or the list is not as AWS gives it.
    """
    export, primary = access.export, access.primary
    answer = None
    if export.organization_role:
        client = primary.client("organizations", export.region)
        answer = all_pages(client, "list_accounts", "Accounts", page_size=_LISTED_PAGE, clock=clock)
        if answer.outcome is not Outcome.OBSERVED:
            return ListedAccounts(export.name, _frame([]), answer.outcome, answer)
        listed = list({account.get("Id"): account for account in answer.items}.values())
        if not all(account.get("Id") for account in listed):
            raise AwsError(f"ListAccounts of export '{export.name}' gave accounts without an id", MALFORMED)
    else:
        listed = [{"Id": account_id} for account_id in dict.fromkeys((primary.account_id, *export.secondary_accounts))]
    accounts = _frame([_row(access, account, primary.account_id, observed_at) for account in listed])
    aliases = _aliases(access, collectible_accounts(accounts)["account_id"].to_list(), clock)
    names = pl.DataFrame(list(aliases.items()), schema={"account_id": pl.String, "told": pl.String}, orient="row")
    accounts = accounts.join(names, on="account_id", how="left").with_columns(alias="told").drop("told")
    without_alias = tuple(name for name in accounts["account_id"] if name not in aliases)
    return ListedAccounts(export.name, accounts, Outcome.OBSERVED, answer, without_alias)


def _aliases(access: ExportAccess, account_ids: Sequence[str], clock: Callable[[], datetime]) -> dict[str, str | None]:
    """The alias of each account that tells it; None: it has none."""

    def ask(account_id: str) -> list[tuple[str, str | None]]:
        try:
            account = access.account(account_id)
        except AwsError:
            return []  # its snapshot says so
        iam = account.client("iam", SERVICE_HOMES["iam"][account.partition])
        answer = all_pages(iam, "list_account_aliases", "AccountAliases", page_size=1000, clock=clock)
        access.forget(account_id)
        if answer.outcome is not Outcome.OBSERVED:
            return []
        return [(account_id, str(answer.items[0]) if answer.items else None)]

    with ThreadPoolExecutor(_CONCURRENT_ALIASES, thread_name_prefix="alias") as pool:
        return dict(itertools.chain.from_iterable(pool.map(ask, account_ids)))


def _row(access: ExportAccess, account: dict[str, Any], primary_id: str, observed_at: datetime) -> dict[str, Any]:
    export, account_id = access.export, str(account["Id"])
    is_primary = account_id == primary_id
    return {
        "account_id": account_id,
        "name": account.get("Name"),
        "alias": None,
        # Status went away on 2026-09-09; State took its place (AWS Organizations API reference, Account).
        "state": account.get("State") or account.get("Status") or "ACTIVE",
        "export": export.name,
        "role_arn": export.iam_role_arn if is_primary else secondary_role_arn(export, account_id),
        "is_primary": is_primary,
        "is_blocked": account_id in export.blocked_accounts,
        "joined_at": account.get("JoinedTimestamp"),
        "observed_at": observed_at,
    }


def _frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=polars_schema(TABLES["org_accounts"]))
