"""What is not seen, or not any more, is told; what is no concern of ours is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.accounts import collectible_accounts
from kentik_dagster.core.metadata_health import (
    calls_of,
    changes_by_type,
    degraded_operations,
    skipped_regions,
    stale_snapshots,
    unreachable_accounts,
)
from kentik_dagster.core.schemas import no_rows, polars_schema

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
PAYMENTS, PLATFORM = "111122223333", "444455556666"
ACTIONS = {("ec2", "describe_vpcs"): "ec2:DescribeVpcs"}


def call(operation: str = "describe_vpcs", outcome: str = "observed", **more: object) -> dict[str, object]:
    usual = {"account_id": PAYMENTS, "region": "us-east-1", "service": "ec2", "last_observed_at": NOW}
    return usual | {"operation": operation, "outcome": outcome} | more


def calls(*rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=polars_schema(TABLES["metadata_calls"]))


def accounts(**states: str) -> pl.DataFrame:
    rows = [
        {"account_id": account_id.removeprefix("a"), "export": "acme", "state": state, "is_blocked": False}
        for account_id, state in states.items()
    ]
    return pl.DataFrame(rows, schema=polars_schema(TABLES["org_accounts"]))


def test_an_account_whose_role_is_refused_is_unreachable() -> None:
    refused = call("assume_role", "denied", error_code="AccessDenied", error_message="cannot assume")

    told = unreachable_accounts(calls(refused, call("assume_role", account_id=PLATFORM), call(outcome="denied")))

    assert told.select("account_id", "error_message").rows() == [(PAYMENTS, "cannot assume")]


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        ("denied", [("describe_vpcs", "ec2:DescribeVpcs")]),
        ("unavailable", [("describe_vpcs", None)]),
        ("unsupported", []),
        ("skipped", []),
        ("observed", []),
    ],
)
def test_a_denied_operation_names_the_missing_action(outcome: str, told: list[tuple[str, str | None]]) -> None:
    degraded = degraded_operations(calls(call(outcome=outcome)), ACTIONS)

    assert degraded.select("operation", "missing_action").rows() == told


def test_a_region_that_is_not_enabled_is_told_once() -> None:
    skipped = calls(
        call(outcome="skipped", error_code="RegionNotEnabled"),
        call("describe_subnets", "skipped", error_code="RegionNotEnabled"),
        call("describe_rule_group", "skipped", error_code="ParentNotObserved", region="eu-west-1"),
    )

    assert skipped_regions(skipped).rows() == [(PAYMENTS, "us-east-1")]


def test_an_account_that_was_not_reached_in_time_or_never_is_stale() -> None:
    known = accounts(a111122223333="ACTIVE", a444455556666="ACTIVE", a777788889999="ACTIVE", a999999999999="SUSPENDED")
    reached = calls(
        call("assume_role", last_observed_at=NOW - timedelta(minutes=30)),
        call("assume_role", "denied", account_id=PLATFORM, last_observed_at=NOW - timedelta(minutes=31)),
    )

    stale = stale_snapshots(collectible_accounts(known), reached, now=NOW, after=timedelta(minutes=30))

    assert stale["account_id"].to_list() == [PLATFORM, "777788889999"]


def test_calls_in_accounts_that_left_are_no_concern() -> None:
    known = accounts(a111122223333="LEFT", a444455556666="ACTIVE")

    assert calls_of(collectible_accounts(known), calls(call(), call(account_id=PLATFORM)))["account_id"].to_list() == [
        PLATFORM
    ]


def test_changes_are_told_by_type_with_the_first_names() -> None:
    rows = [
        {"resource_type": "vpc", "resource_id": f"vpc-{number}", "name": name, "change": change, "observed_at": NOW}
        for number, (name, change) in enumerate([("prod", "added"), (None, "added"), ("test", "removed")])
    ]
    changes = pl.DataFrame(rows, schema=polars_schema(TABLES["metadata_changes"]))

    told = changes_by_type(changes, names=2)

    assert told.rows() == [("vpc", 2, 0, 1, "prod, vpc-1")]
    assert changes_by_type(no_rows(TABLES["metadata_changes"])).is_empty()
