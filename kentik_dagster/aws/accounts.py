"""The accounts of an export: those of its organization, those it names, or its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from kentik_dagster.aws.calls import Answer, all_pages
from kentik_dagster.aws.sessions import ExportAccess, secondary_role_arn
from kentik_dagster.catalog.outcomes import Outcome
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.schemas import polars_schema

_LISTED_PAGE = 20  # the largest that ListAccounts takes


@dataclass(frozen=True, slots=True)
class ListedAccounts:
    """The accounts of one export, and whether AWS let us see them.

    Attributes:
        accounts: rows of `org_accounts`; empty unless the outcome is OBSERVED.
        answer: what ListAccounts answered; None where no list was asked for.
    """

    export: str
    accounts: pl.DataFrame
    outcome: Outcome
    answer: Answer | None = None


def list_accounts(access: ExportAccess, *, observed_at: datetime, clock: Callable[[], datetime]) -> ListedAccounts:
    """The accounts of an export, from Organizations if it has the organization role.

    Raises:
        RoleRefusedError: the primary role cannot be assumed.
    """
    export, primary = access.export, access.primary
    answer = None
    if export.organization_role:
        client = primary.client("organizations", export.region)
        answer = all_pages(client, "list_accounts", "Accounts", page_size=_LISTED_PAGE, clock=clock)
        if answer.outcome is not Outcome.OBSERVED:
            return ListedAccounts(export.name, _frame([]), answer.outcome, answer)
        listed = answer.items
    else:
        listed = [{"Id": account_id} for account_id in dict.fromkeys((primary.account_id, *export.secondary_accounts))]
    rows = [_row(access, account, primary.account_id, observed_at) for account in listed]
    return ListedAccounts(export.name, _frame(rows), Outcome.OBSERVED, answer)


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
