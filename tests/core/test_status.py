"""What the tables tell of exports, accounts and networks; and the page that says it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.schemas import polars_schema
from kentik_dagster.core.status import Configured, State, Status, status_of
from kentik_dagster.core.status_page import MOST_ROWS, status_html

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ACME = Configured(name="acme")
_COVERAGE: dict[str, pl.DataType | type[pl.DataType]] = {
    "account_id": pl.String, "region": pl.String, "resource_type": pl.String, "resource_id": pl.String,
    "name": pl.String, "coverage": pl.String, "is_idle": pl.Boolean, "flow_log_ids": pl.List(pl.String),
    "reason": pl.String,
}  # fmt: skip


def rows(table: str, *given: dict[str, Any]) -> pl.DataFrame:
    """Rows of a table; columns that are not given are null."""
    schema = polars_schema(TABLES[table])
    return pl.DataFrame([dict.fromkeys(schema) | one for one in given], schema=schema)


def account(account_id: str = "111111111111", **changes: Any) -> dict[str, Any]:
    values = {"account_id": account_id, "name": "payments", "export": "acme", "state": "ACTIVE", "is_blocked": False}
    return values | changes


def call(account_id: str = "111111111111", **changes: Any) -> dict[str, Any]:
    return {
        "account_id": account_id, "region": "eu-west-1", "service": "ec2", "operation": "describe_vpcs",
        "outcome": "observed", "last_observed_at": NOW - timedelta(minutes=5),
    } | changes  # fmt: skip


def log_object(**changes: Any) -> dict[str, Any]:
    return {
        "export": "acme", "hour": "2026-11-23T11", "key": "k", "outcome": "ingested", "rows": 10, "rejected_lines": 0,
        "posted_at": NOW - timedelta(minutes=10), "ingested_at": NOW - timedelta(minutes=9),
    } | changes  # fmt: skip


def status(
    *configured: Configured,
    accounts: list[dict[str, Any]] | None = None,
    calls: list[dict[str, Any]] | None = None,
    objects: list[dict[str, Any]] | None = None,
    devices: list[dict[str, Any]] | None = None,
    coverage: list[dict[str, Any]] | None = None,
) -> Status:
    return status_of(
        configured or (ACME,),
        accounts=rows("org_accounts", *(accounts or [])),
        calls=rows("metadata_calls", *(calls or [])),
        objects=rows("flow_log_objects", *(objects or [])),
        devices=rows("cloud_devices", *(devices or [])),
        coverage=pl.DataFrame(coverage or [], schema=_COVERAGE),
        actions={("ec2", "describe_vpcs"): "ec2:DescribeVpcs"},
        at=NOW,
    )


def of_export(found: Status, name: str = "acme") -> dict[str, Any]:
    return found.exports.row(by_predicate=pl.col("export") == name, named=True)


REFUSED = call(
    service="sts", operation="assume_role", outcome="denied", error_message="refused", last_observed_at=None
)  # fmt: skip
OLD = call(last_observed_at=NOW - timedelta(hours=3))
UNREADABLE = log_object(outcome="unreadable", error="no gzip")


@pytest.mark.parametrize(
    ("tables", "state", "reason"),
    [
        ({}, State.START, "nothing was collected yet"),
        ({"accounts": [account()]}, State.PENDING, "no log object was read yet"),
        ({"accounts": [account()], "calls": [call()]}, State.PENDING, "no log object was read yet"),
        ({"objects": [log_object()]}, State.PENDING, "no account's metadata was collected yet"),
        ({"accounts": [account()], "calls": [call()], "objects": [log_object()]}, State.OK, ""),
        (
            {"accounts": [account()], "calls": [call()], "objects": [log_object(posted_at=NOW - timedelta(hours=2))]},
            State.ERROR,
            "no log object was posted since 2026-11-23 10:00 UTC",
        ),
        (
            {"accounts": [account()], "calls": [call()], "objects": [UNREADABLE]},
            State.ERROR,
            "no log object of the last 24 hours could be read",
        ),
        (
            {
                "accounts": [account()],
                "calls": [REFUSED],
                "objects": [log_object()],
            },
            State.ERROR,
            "account 111111111111: refused",
        ),
        (
            {"accounts": [account()], "calls": [OLD], "objects": [log_object()]},
            State.ERROR,
            "account 111111111111: the last snapshot is older than an hour",
        ),
    ],
)  # fmt: skip
def test_the_state_of_an_export(tables: dict[str, Any], state: State, reason: str) -> None:
    found = of_export(status(**tables))

    assert (found["state"], found["reason"][: len(reason)]) == (str(state), reason)
    assert bool(found["to_do"]) == (state is not State.OK)


def test_an_export_without_logs_needs_none() -> None:
    found = status(Configured(name="acme", collects_logs=False), accounts=[account()], calls=[call()])

    assert of_export(found)["state"] == "OK"


def test_an_export_that_the_configuration_has_no_more_is_disabled() -> None:
    found = status(accounts=[account(export="old")], objects=[log_object(export="older")])

    assert [of_export(found, name)["state"] for name in ("old", "older")] == ["Disabled", "Disabled"]
    assert not found.has_errors


def test_lag_is_from_posted_to_in_the_tables() -> None:
    times = [NOW - timedelta(minutes=10) + timedelta(seconds=seconds) for seconds in (10, 20, 30, 400)]
    objects = [log_object(ingested_at=time) for time in times]
    old = log_object(posted_at=NOW - timedelta(days=2), ingested_at=NOW)

    found = of_export(status(objects=[*objects, old]))

    assert (found["lag_p50"], found["lag_p95"]) == (30.0, 400.0)
    assert (found["objects"], found["rows"]) == (4, 40)


def test_one_bad_account_does_not_make_an_export_an_error() -> None:
    calls = [call(), call("222222222222", outcome="denied", last_observed_at=NOW)]
    accounts = [account(), account("222222222222")]

    found = status(accounts=accounts, calls=calls, objects=[log_object()])

    assert of_export(found)["state"] == "OK"
    assert of_export(found)["reason"] == "1 of 2 accounts need something"
    first = found.accounts.row(0, named=True)
    assert (first["account_id"], first["state"]) == ("222222222222", "Error")
    assert first["reason"] == "1 operations are denied or do not answer: grant ec2:DescribeVpcs"


def test_what_was_never_collected_says_so() -> None:
    found = status(accounts=[account()])

    assert found.accounts["reason"].to_list() == ["not collected yet"]


def test_a_network_that_sends_nothing_stands_beside_those_that_do() -> None:
    sending = {
        "device_id": "vpc-1",
        "device_type": "vpc",
        "account_id": "111111111111",
        "status": "OK",
        "export": "acme",
    }
    known = {
        "account_id": "111111111111", "region": "eu-west-1", "resource_type": "vpc", "flow_log_ids": [],
        "is_idle": False,
    }  # fmt: skip
    coverage = [
        known | {"resource_id": "vpc-1", "coverage": "read", "reason": "it is read"},
        known | {"resource_id": "vpc-2", "coverage": "none", "reason": "no flow log: create one"},
        known | {"resource_id": "vpc-3", "coverage": "none", "reason": "nothing to do", "is_idle": True},
    ]

    found = status(devices=[sending], coverage=coverage).networks

    assert dict(found.select("device_id", "state").iter_rows()) == {"vpc-1": "OK", "vpc-2": "Error", "vpc-3": "Pending"}


HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


def test_no_name_from_aws_becomes_html() -> None:
    found = status(
        accounts=[account(name=HOSTILE)],
        calls=[call(outcome="denied", error_message=HOSTILE, region=HOSTILE)],
        objects=[log_object(outcome="unreadable", error=HOSTILE, key=HOSTILE)],
        devices=[{"device_id": HOSTILE, "device_name": HOSTILE, "status": HOSTILE, "export": "acme"}],
    )

    page = status_html(found)

    assert "<script" not in page
    assert "<img" not in page
    assert 'class="state &quot;&gt;' in page
    assert page.count("&lt;script&gt;") >= 5


def test_the_page_of_thousands_of_accounts_stays_small_and_shows_problems_first() -> None:
    ids = [f"{number:012}" for number in range(3_000)]
    accounts = [account(one) for one in ids]
    regions = ("eu-west-1", "us-east-1", "us-west-2", "ap-south-1")
    calls = [
        call(one, region=region, outcome="denied" if one == ids[-1] else "observed")
        for one in ids
        for region in regions
    ]

    page = status_html(status(accounts=accounts, calls=calls, objects=[log_object()]))

    assert len(page) < 1_000_000
    assert page.index(ids[-1]) < page.index(ids[0])
    assert f"and {3_000 - 1 - MOST_ROWS:,} more: see table org_accounts and metadata_calls" in page
    assert "2,999 are well" in page


def test_the_page_needs_nothing_from_elsewhere() -> None:
    page = status_html(status())

    assert "http://" not in page
    assert "https://" not in page
    assert "default-src 'none'" in page
