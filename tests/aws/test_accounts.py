"""The accounts of an export: all that Organizations lists, each with its state, its role and its alias."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kentik_dagster.aws.accounts import list_accounts
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.catalog.outcomes import Outcome
from kentik_dagster.core.accounts import collectible_accounts
from kentik_dagster.errors import AwsError
from kentik_dagster.lake.tables import Lake
from kentik_dagster.work.accounts import AccountsListed, collect_accounts
from tests.fake_aws import FakeAws
from tests.work.snapshots import (
    PRIMARY,
    PRIMARY_ROLE,
    SECOND,
    SECONDARY_ROLE,
    START,
    THIRD,
    access,
    fake_aws,
)  # fmt: skip

MANAGEMENT = "555566667777"


@pytest.fixture
def fake() -> Iterator[FakeAws]:
    """Roles as they should be: the secondary one is not in the primary account."""
    with fake_aws() as fake:
        fake.role(PRIMARY_ROLE, trusts=fake.ambient_account, external_id="unique-id")
        for account_id in (SECOND, THIRD, MANAGEMENT):
            fake.role(f"arn:aws:iam::{account_id}:role/{SECONDARY_ROLE}", trusts=PRIMARY_ROLE)
        yield fake


@pytest.fixture
def reached(fake: FakeAws) -> ExportAccess:
    return access(organization_role=True)


def organization(fake: FakeAws, *accounts: dict[str, Any]) -> None:
    fake.answers(PRIMARY, None, "organizations", "ListAccounts", {"Accounts": list(accounts)})


def active(*account_ids: str) -> list[dict[str, Any]]:
    return [{"Id": account_id, "Name": f"account {account_id}", "State": "ACTIVE"} for account_id in account_ids]


def alias(fake: FakeAws, account_id: str, *aliases: str) -> None:
    fake.answers(account_id, None, "iam", "ListAccountAliases", {"AccountAliases": list(aliases)})


def listed(reached: ExportAccess) -> pl.DataFrame:
    return list_accounts(reached, observed_at=START, clock=lambda: START).accounts


def collected(reached: ExportAccess, lake: Lake) -> AccountsListed:
    return collect_accounts([reached], lake, clock=lambda: START)


def aliases(accounts: pl.DataFrame) -> dict[str, str | None]:
    return dict(accounts.select("account_id", "alias").rows())


def test_all_accounts_are_listed_over_pages_of_twenty_some_of_them_empty(fake: FakeAws, reached: ExportAccess) -> None:
    closed = [{"Id": f"{600000000000 + number}", "State": "SUSPENDED"} for number in range(43)]
    organization(fake, *closed, *active(PRIMARY, SECOND))
    fake.empty_pages = True

    answer = list_accounts(reached, observed_at=START, clock=lambda: START)

    assert answer.answer is not None
    assert (answer.outcome, answer.accounts.height, answer.answer.pages) == (Outcome.OBSERVED, 45, 6)
    assert collectible_accounts(answer.accounts)["account_id"].to_list() == [PRIMARY, SECOND]


@pytest.mark.parametrize(
    ("member", "state"),
    [
        *(("State", state) for state in ("PENDING_ACTIVATION", "SUSPENDED", "PENDING_CLOSURE", "CLOSED")),
        *(("Status", state) for state in ("SUSPENDED", "PENDING_CLOSURE")),
    ],
)
def test_an_account_that_is_not_active_is_known_and_not_touched(fake: FakeAws, member: str, state: str) -> None:
    organization(fake, *active(PRIMARY), {"Id": SECOND, member: state})

    accounts = listed(access(organization_role=True))

    assert dict(accounts.select("account_id", "state").rows()) == {PRIMARY: "ACTIVE", SECOND: state}
    assert collectible_accounts(accounts)["account_id"].to_list() == [PRIMARY]
    assert fake.requests[PRIMARY, "us-east-1", "sts", "AssumeRole"] == 0


def test_state_counts_where_status_says_something_else(fake: FakeAws, reached: ExportAccess) -> None:
    organization(fake, {"Id": PRIMARY, "State": "CLOSED", "Status": "ACTIVE"})

    assert listed(reached)["state"].to_list() == ["CLOSED"]


def test_the_primary_is_reached_with_its_own_role_and_the_management_account_like_any_other(
    fake: FakeAws, reached: ExportAccess
) -> None:
    organization(fake, *active(MANAGEMENT, PRIMARY, SECOND))
    for account_id in (MANAGEMENT, PRIMARY, SECOND):
        alias(fake, account_id, f"alias-{account_id}")

    accounts = listed(reached)

    assert dict(accounts.select("account_id", "role_arn").rows()) == {
        MANAGEMENT: f"arn:aws:iam::{MANAGEMENT}:role/{SECONDARY_ROLE}",
        PRIMARY: PRIMARY_ROLE,
        SECOND: f"arn:aws:iam::{SECOND}:role/{SECONDARY_ROLE}",
    }
    assert accounts.filter("is_primary")["account_id"].to_list() == [PRIMARY]
    assert aliases(accounts) == {one: f"alias-{one}" for one in (MANAGEMENT, PRIMARY, SECOND)}
    assert fake.requests[PRIMARY, "us-east-1", "sts", "AssumeRole"] == 2


def test_an_account_that_is_listed_twice_is_one_row(fake: FakeAws, reached: ExportAccess) -> None:
    organization(fake, *active(PRIMARY, SECOND, SECOND))

    assert listed(reached)["account_id"].to_list() == [PRIMARY, SECOND]


def test_an_alias_stays_where_it_is_denied_and_goes_where_it_was_removed(
    fake: FakeAws, reached: ExportAccess, tmp_path: Path
) -> None:
    lake = Lake(str(tmp_path))
    organization(fake, *active(PRIMARY, SECOND, THIRD))
    for account_id in (PRIMARY, SECOND, THIRD):
        alias(fake, account_id, f"alias-{account_id}")
    before = aliases(collected(reached, lake).accounts)

    alias(fake, SECOND)
    alias(fake, PRIMARY, "renamed")
    with fake.deny(THIRD, service="iam"):
        after = aliases(collected(reached, lake).accounts)

    assert before == {one: f"alias-{one}" for one in (PRIMARY, SECOND, THIRD)}
    assert after == {PRIMARY: "renamed", SECOND: None, THIRD: f"alias-{THIRD}"}


def test_an_alias_stays_where_the_role_is_refused(fake: FakeAws, reached: ExportAccess, tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    organization(fake, *active(PRIMARY, SECOND))
    alias(fake, SECOND, "known")
    collected(reached, lake)

    fake.roles.pop(f"arn:aws:iam::{SECOND}:role/{SECONDARY_ROLE}")
    again = collected(reached, lake)

    assert aliases(again.accounts) == {PRIMARY: None, SECOND: "known"}
    assert again.failures == {}


@pytest.mark.parametrize("code", ["AccessDeniedException", "AWSOrganizationsNotInUseException"])
def test_an_export_that_may_not_list_keeps_its_accounts_and_says_what_to_do(
    fake: FakeAws, reached: ExportAccess, tmp_path: Path, code: str
) -> None:
    lake = Lake(str(tmp_path))
    organization(fake, *active(PRIMARY, SECOND))
    known = collected(reached, lake).accounts

    with fake.deny(service="organizations", code=code):
        again = collected(reached, lake)

    assert again.accounts.equals(known)
    assert "Grant organizations:ListAccounts to its role" in again.failures["acme"]


@pytest.mark.parametrize("body", [b"<html>Please log in</html>", b"{}", b'{"Accounts": "none"}', b""])
def test_a_list_that_cannot_be_read_keeps_the_accounts(
    fake: FakeAws, reached: ExportAccess, tmp_path: Path, body: bytes
) -> None:
    lake = Lake(str(tmp_path))
    organization(fake, *active(PRIMARY))
    known = collected(reached, lake).accounts

    with fake.garble(service="organizations", body=body):
        again = collected(reached, lake)

    assert again.accounts.equals(known)
    assert "cannot be read" in again.failures["acme"]


def test_an_account_without_an_id_is_an_error_that_says_so(
    fake: FakeAws, reached: ExportAccess, tmp_path: Path
) -> None:
    organization(fake, *active(PRIMARY), {"Name": "nobody", "State": "ACTIVE"})

    with pytest.raises(AwsError, match="ListAccounts of export 'acme' gave accounts without an id"):
        listed(reached)
    failures = collected(reached, Lake(str(tmp_path))).failures

    assert failures == {"acme": "ListAccounts of export 'acme' gave accounts without an id"}


def test_an_account_that_is_gone_stays_as_one_that_left(fake: FakeAws, reached: ExportAccess, tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    organization(fake, *active(PRIMARY, SECOND))
    collected(reached, lake)

    organization(fake, *active(PRIMARY))
    accounts = collected(reached, lake).accounts

    assert dict(accounts.select("account_id", "state").rows()) == {PRIMARY: "ACTIVE", SECOND: "LEFT"}


def test_without_the_organization_role_the_accounts_are_those_that_are_named(fake: FakeAws) -> None:
    accounts = listed(access(secondary_accounts=(SECOND, THIRD, SECOND), blocked_accounts=(THIRD,)))

    assert accounts["account_id"].to_list() == [PRIMARY, SECOND, THIRD]
    assert collectible_accounts(accounts)["account_id"].to_list() == [PRIMARY, SECOND]
    assert fake.requests[PRIMARY, "us-east-1", "organizations", "ListAccounts"] == 0
