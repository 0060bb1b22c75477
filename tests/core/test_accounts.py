"""Accounts of several exports: what was listed is taken over, what was not stays known."""

from __future__ import annotations

from typing import Any

import polars as pl

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.accounts import collectible_accounts, merged_accounts
from kentik_dagster.core.schemas import polars_schema

ACCOUNTS = polars_schema(TABLES["org_accounts"])


def accounts(*rows: tuple[str, str, str], **values: Any) -> pl.DataFrame:
    """Rows of export, account and state."""
    usual = {"is_blocked": False} | values
    return pl.DataFrame(
        [usual | {"export": export, "account_id": account, "state": state} for export, account, state in rows],
        schema=ACCOUNTS,
    )


def told(frame: pl.DataFrame) -> list[tuple[str, str, str]]:
    return list(frame.select("export", "account_id", "state").iter_rows())


KNOWN = accounts(
    ("prod", "111122223333", "ACTIVE"), ("prod", "444455556666", "ACTIVE"), ("test", "777788889999", "ACTIVE")
)


def test_a_listing_replaces_what_was_known_and_an_account_that_left_says_so() -> None:
    listed = accounts(("prod", "111122223333", "SUSPENDED"), ("prod", "222233334444", "ACTIVE"))

    assert told(merged_accounts(KNOWN, listed, ["prod"])) == [
        ("prod", "111122223333", "SUSPENDED"),
        ("prod", "222233334444", "ACTIVE"),
        ("prod", "444455556666", "LEFT"),
        ("test", "777788889999", "ACTIVE"),
    ]


def test_an_export_that_could_not_be_listed_keeps_its_accounts() -> None:
    assert told(merged_accounts(KNOWN, accounts(), [])) == told(KNOWN)


def test_an_export_that_lists_nothing_has_lost_its_accounts() -> None:
    merged = merged_accounts(KNOWN, accounts(), ["test"])

    assert told(merged)[-1] == ("test", "777788889999", "LEFT")


def test_an_account_that_comes_back_is_active_again() -> None:
    left = merged_accounts(KNOWN, accounts(), ["prod", "test"])

    assert told(merged_accounts(left, KNOWN, ["prod", "test"])) == told(KNOWN)


def test_only_active_accounts_that_are_not_blocked_are_collected_each_once() -> None:
    several = pl.concat(
        [
            accounts(
                ("prod", "111122223333", "ACTIVE"), ("lab", "111122223333", "ACTIVE"), ("lab", "444455556666", "LEFT")
            ),
            accounts(("prod", "222233334444", "ACTIVE"), is_blocked=True),
            accounts(("prod", "333344445555", "SUSPENDED"), ("prod", "000011112222", "ACTIVE")),
        ]
    )

    assert told(collectible_accounts(several)) == [
        ("prod", "000011112222", "ACTIVE"),
        ("lab", "111122223333", "ACTIVE"),
    ]
