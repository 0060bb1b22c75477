"""The log of metadata changes, read again, says at every time what was last observed; failures erase nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.catalog.network import Operation
from kentik_dagster.catalog.network_operations import OPERATIONS
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.network import Scope, current_state, new_changes
from kentik_dagster.core.resources import resources
from kentik_dagster.core.schemas import no_rows

OPERATION = {operation.resource_type: operation for operation in OPERATIONS}
VPC, SUBNET, ROUTE = OPERATION["vpc"], OPERATION["subnet"], OPERATION["transit_gateway_route"]
HERE = Scope("111122223333", "eu-west-1", "vpc")
ROUTES = Scope("111122223333", "eu-west-1", "transit_gateway_route")
NOTHING = no_rows(TABLES["metadata_changes"])


def at(minute: int) -> datetime:
    return datetime(2026, 11, 23, 9, tzinfo=UTC) + timedelta(minutes=minute)


def vpc(vpc_id: str, **fields: object) -> dict[str, object]:
    """A VPC as boto3 gives it."""
    return {"VpcId": vpc_id, "CidrBlock": "10.0.0.0/16", "OwnerId": HERE.account_id, **fields}


def route(table: str, cidr: str, **fields: object) -> dict[str, object]:
    """A transit gateway route as its collector gives it: with the table that was asked."""
    return {"TransitGatewayRouteTableId": table, "DestinationCidrBlock": cidr, **fields}


def shown(items: Sequence[Mapping[str, Any]], operation: Operation, scope: Scope) -> pl.DataFrame:
    """What an answer with these items shows."""
    return resources(items, operation, account_id=scope.account_id, region=scope.region).rows


def snapshot(log: pl.DataFrame, minute: int, *items: Mapping[str, Any], scope: Scope = HERE) -> pl.DataFrame:
    """The log after a snapshot that observed these items."""
    seen = shown(items, OPERATION[scope.resource_type], scope)
    return pl.concat([log, new_changes(log, seen, [scope], at(minute))])


def told(log: pl.DataFrame) -> list[tuple[str, str]]:
    return list(log.select("resource_id", "change").iter_rows())


def test_a_resource_is_added_changed_and_removed() -> None:
    log = snapshot(NOTHING, 0, vpc("vpc-1"))
    log = snapshot(log, 1, vpc("vpc-1", CidrBlock="10.1.0.0/16"))
    log = snapshot(log, 2)
    log = snapshot(log, 3, vpc("vpc-1", CidrBlock="10.1.0.0/16"))

    assert told(log) == [("vpc-1", "added"), ("vpc-1", "changed"), ("vpc-1", "removed"), ("vpc-1", "added")]
    assert log["observed_at"].to_list() == [at(0), at(1), at(2), at(3)]


def test_a_snapshot_without_changes_adds_nothing() -> None:
    log = snapshot(NOTHING, 0, vpc("vpc-1", Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]))

    again = snapshot(log, 1, vpc("vpc-1", Tags=[{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "1"}]))

    assert again.equals(log)


def test_an_operation_that_was_denied_removes_nothing() -> None:
    log = snapshot(NOTHING, 0, vpc("vpc-1"))

    denied = new_changes(log, shown([], VPC, HERE), [], at(1))

    assert denied.is_empty()


@pytest.mark.parametrize(
    "scope",
    [
        Scope("444455556666", "eu-west-1", "vpc"),
        Scope("111122223333", "us-east-1", "vpc"),
        Scope("111122223333", "eu-west-1", "subnet"),
    ],
)
def test_an_empty_answer_speaks_of_its_own_scope_only(scope: Scope) -> None:
    log = snapshot(NOTHING, 0, vpc("vpc-1"))

    assert snapshot(log, 1, scope=scope).equals(log)


def test_the_children_of_a_parent_that_was_not_observed_stay() -> None:
    log = snapshot(NOTHING, 0, route("rtb-1", "10.0.0.0/8"), route("rtb-10", "10.0.0.0/8"), scope=ROUTES)

    observed = replace(ROUTES, unobserved=frozenset({"rtb-1"}))
    after = pl.concat([log, new_changes(log, shown([], ROUTE, ROUTES), [observed], at(1))])

    assert current_state(after)["resource_id"].to_list() == ["rtb-1|10.0.0.0/8"]


def test_a_removal_keeps_what_was_last_known() -> None:
    log = snapshot(NOTHING, 0, vpc("vpc-1", Tags=[{"Key": "Name", "Value": "prod"}]))

    removed = snapshot(log, 1).row(1, named=True)

    added = log.row(0, named=True)
    assert removed == added | {"change": "removed", "observed_at": at(1)}
    assert (removed["name"], removed["owner_account_id"]) == ("prod", "111122223333")


def test_fields_that_change_by_themselves_are_not_stored() -> None:
    scope = Scope("111122223333", "eu-west-1", "subnet")
    subnet = {"SubnetId": "subnet-1", "AvailableIpAddressCount": 250}
    log = snapshot(NOTHING, 0, subnet, scope=scope)

    again = snapshot(log, 1, subnet | {"AvailableIpAddressCount": 249}, scope=scope)

    assert again.equals(log)
    assert "AvailableIpAddressCount" not in log["attributes"][0]


@pytest.mark.parametrize(
    "change",
    [
        {"CidrBlock": "10.1.0.0/16"},
        {"OwnerId": "444455556666"},
        {"Tags": [{"Key": "Name", "Value": "prod"}]},
        {"Tags": [{"Key": "team", "Value": "a"}]},
        {"IsDefault": False},
    ],
)
def test_every_other_difference_is_a_change(change: dict[str, object]) -> None:
    log = snapshot(NOTHING, 0, vpc("vpc-1"))

    assert told(snapshot(log, 1, vpc("vpc-1") | change)) == [("vpc-1", "added"), ("vpc-1", "changed")]


def test_a_resource_that_an_answer_holds_twice_is_there_once() -> None:
    log = snapshot(NOTHING, 0, vpc("vpc-1", CidrBlock="10.0.0.0/16"), vpc("vpc-1", CidrBlock="10.1.0.0/16"))

    again = snapshot(log, 1, vpc("vpc-1", CidrBlock="10.1.0.0/16"), vpc("vpc-1", CidrBlock="10.0.0.0/16"))

    assert told(log) == [("vpc-1", "added")]
    assert again.equals(log)


def test_no_changes_are_no_state() -> None:
    assert current_state(NOTHING).is_empty()
    assert new_changes(NOTHING, shown([], VPC, HERE), [HERE], at(0)).schema == NOTHING.schema


# --- any history --------------------------------------------------------------------------------------------------

SCOPES = [
    Scope(account_id, region, operation.resource_type)
    for account_id, region, operation in product(
        ("111122223333", "444455556666"), ("eu-west-1", "us-east-1"), (VPC, SUBNET)
    )
]

# What one snapshot observes: of each scope the resources with their versions; None: the call failed. Of routes: each
# route table that was listed with its routes; None: it could not be asked.
_observed = st.dictionaries(st.sampled_from(["1", "2", "3"]), st.integers(0, 2), max_size=3)
_routes = st.none() | st.dictionaries(st.sampled_from(["a", "ab"]), st.none() | _observed)
_snapshots = st.tuples(st.fixed_dictionaries({scope: st.none() | _observed for scope in SCOPES}), _routes)


def items(observed: Mapping[str, int], operation: Operation) -> list[dict[str, object]]:
    (key,) = operation.key
    return [{key: resource_id, "Version": version} for resource_id, version in observed.items()]


def state(log: pl.DataFrame, instant: datetime | None = None) -> dict[Scope, dict[str, int]]:
    """What stood, as `current_state` says it, in the words of a snapshot."""
    standing: dict[Scope, dict[str, int]] = {scope: {} for scope in (*SCOPES, ROUTES)}
    for row in current_state(log, instant).iter_rows(named=True):
        scope = Scope(row["account_id"], row["region"], row["resource_type"])
        assert row["resource_id"] not in standing[scope]
        standing[scope][row["resource_id"]] = json.loads(row["attributes"])["Version"]
    return standing


def routes_after(known: Mapping[str, int], tables: Mapping[str, Mapping[str, int] | None] | None) -> dict[str, int]:
    """What is known of routes after a snapshot: of each table the last that was seen of it."""
    if tables is None:
        return dict(known)
    kept = {key: version for key, version in known.items() if tables.get(key.split("|")[0], {}) is None}
    seen = {
        f"{table}|{cidr}": version for table, observed in tables.items() for cidr, version in (observed or {}).items()
    }
    return kept | seen


@settings(deadline=None, max_examples=30)
@given(st.lists(_snapshots, max_size=6))
def test_the_log_says_at_every_time_what_was_last_observed(
    history: Sequence[tuple[Mapping[Scope, Mapping[str, int] | None], Mapping[str, Mapping[str, int] | None] | None]],
) -> None:
    log, known, expected = NOTHING, {scope: dict[str, int]() for scope in (*SCOPES, ROUTES)}, []
    for minute, (observed, tables) in enumerate(history):
        answers = {scope: answer for scope, answer in observed.items() if answer is not None}
        frames = [
            shown(items(answer, OPERATION[scope.resource_type]), OPERATION[scope.resource_type], scope)
            for scope, answer in answers.items()
        ]
        listed = [
            route(table, cidr, Version=version)
            for table, routes in (tables or {}).items()
            for cidr, version in (routes or {}).items()
        ]
        scopes = list(answers)
        if tables is not None:
            unobserved = frozenset(table for table, routes in tables.items() if routes is None)
            scopes.append(replace(ROUTES, unobserved=unobserved))
        seen = pl.concat([shown(listed, ROUTE, ROUTES), *frames])
        added = new_changes(log, seen, scopes, at(minute))
        log = pl.concat([log, added])

        after = known | {scope: dict(answer) for scope, answer in answers.items()}
        after[ROUTES] = routes_after(known[ROUTES], tables)
        changed = sum(
            known[scope].get(resource_id) != after[scope].get(resource_id)
            for scope in after
            for resource_id in known[scope].keys() | after[scope].keys()
        )
        known = after
        expected.append(known)
        assert added.height == changed
        assert state(log) == known

    assert current_state(log, at(-1)).is_empty()
    assert state(log.reverse()) == known  # a table gives its rows in any order
    for minute, stood in enumerate(expected):
        assert state(log, at(minute)) == stood
        assert state(log, at(minute) + timedelta(seconds=59)) == stood
    assert log.select("account_id", "region", "resource_type", "resource_id", "observed_at").is_unique().all()
