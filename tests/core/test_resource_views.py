"""What there is now or was at an instant: each resource once, as its owner shows it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.network import current_state
from kentik_dagster.core.resource_views import each_once, resources_at
from kentik_dagster.core.schemas import no_rows, polars_schema
from kentik_dagster.errors import MissingColumnsError

PAYMENTS, PLATFORM, SEARCH = "111122223333", "444455556666", "777788889999"
CHANGES = polars_schema(TABLES["metadata_changes"])


def at(minute: int) -> datetime:
    return datetime(2026, 11, 23, 9, tzinfo=UTC) + timedelta(minutes=minute)


def change(minute: int, resource_id: str, what: str = "changed", **values: Any) -> dict[str, Any]:
    """A row of the log: of a VPC that payments owns and shows, where nothing else is said."""
    usual = {"account_id": PAYMENTS, "region": "eu-west-1", "resource_type": "vpc", "owner_account_id": PAYMENTS}
    return usual | {"resource_id": resource_id, "change": what, "observed_at": at(minute), "attributes": "{}"} | values


def log(*changes: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(changes, schema=CHANGES)


def test_what_there_is_now_and_what_there_was() -> None:
    changes = log(change(0, "vpc-1", name="old"), change(2, "vpc-1", name="new"), change(3, "vpc-1", "removed"))

    names = [resources_at(changes, instant)["name"].to_list() for instant in (at(-1), at(1), at(2), at(3), None)]

    assert names == [[], ["old"], ["new"], [], []]


def test_a_shared_vpc_is_there_once_as_its_owner_shows_it() -> None:
    changes = log(
        change(0, "vpc-1", account_id=PAYMENTS, owner_account_id=PLATFORM, name="as payments sees it"),
        change(0, "vpc-1", account_id=PLATFORM, owner_account_id=PLATFORM, name="as its owner sees it"),
        change(0, "vpc-1", account_id=SEARCH, owner_account_id=PLATFORM, name="as search sees it"),
    )

    found = resources_at(changes)

    assert found.select("name", "account_id", "seen_from").rows() == [
        ("as its owner sees it", PLATFORM, [PAYMENTS, PLATFORM, SEARCH])
    ]


@pytest.mark.parametrize("owner", [PLATFORM, None])
def test_what_no_collected_account_owns_is_taken_from_the_first_account_and_region(owner: str | None) -> None:
    changes = log(
        change(0, "pl-1", account_id=SEARCH, region="eu-west-1", owner_account_id=owner),
        change(0, "pl-1", account_id=PAYMENTS, region="us-east-1", owner_account_id=owner),
        change(0, "pl-1", account_id=PAYMENTS, region="eu-west-1", owner_account_id=owner),
    )

    found = resources_at(changes)

    assert found.select("account_id", "region", "seen_from").rows() == [(PAYMENTS, "eu-west-1", [PAYMENTS, SEARCH])]


def test_an_owner_that_no_longer_sees_its_resource_leaves_it_to_the_others() -> None:
    changes = log(
        change(0, "vpc-1", account_id=PLATFORM, owner_account_id=PLATFORM),
        change(0, "vpc-1", account_id=SEARCH, owner_account_id=PLATFORM),
        change(1, "vpc-1", "removed", account_id=PLATFORM, owner_account_id=PLATFORM),
    )

    assert resources_at(changes, at(0))["account_id"].to_list() == [PLATFORM]
    assert resources_at(changes).select("account_id", "seen_from").rows() == [(SEARCH, [SEARCH])]


def test_things_of_different_kinds_may_have_the_same_id() -> None:
    changes = log(change(0, "same", resource_type="vpc"), change(0, "same", resource_type="subnet"))

    assert resources_at(changes)["resource_type"].to_list() == ["subnet", "vpc"]


def test_no_changes_are_no_resources() -> None:
    found = resources_at(no_rows(TABLES["metadata_changes"]))

    assert found.is_empty()
    assert found.schema == pl.Schema({**CHANGES, "seen_from": pl.List(pl.String)})


def test_a_state_that_does_not_say_who_owns_what_is_refused() -> None:
    with pytest.raises(MissingColumnsError, match="each_once needs the columns owner_account_id"):
        each_once(log(change(0, "vpc-1")).drop("owner_account_id"))


# --- any log ------------------------------------------------------------------------------------------------------

_accounts = st.sampled_from([PAYMENTS, PLATFORM, SEARCH])
_changes = st.builds(
    change,
    st.integers(0, 4),
    st.sampled_from(["vpc-1", "vpc-2"]),
    st.sampled_from(["added", "changed", "removed"]),
    account_id=_accounts,
    owner_account_id=st.none() | _accounts,
    region=st.sampled_from(["eu-west-1", "us-east-1"]),
)
# A snapshot says of a resource at most one thing.
_logs = st.lists(
    _changes,
    max_size=30,
    unique_by=lambda row: (row["account_id"], row["region"], row["resource_id"], row["observed_at"]),
)


@settings(deadline=None, max_examples=60)
@given(_logs, st.none() | st.integers(-1, 5), st.randoms(use_true_random=False))
def test_everything_that_stands_is_there_once_and_names_all_who_see_it(
    rows: Sequence[dict[str, Any]], minute: int | None, random: Any
) -> None:
    instant = None if minute is None else at(minute)
    shuffled = random.sample(rows, len(rows))

    found = resources_at(log(*rows), instant)

    seen: dict[str, list[dict[str, Any]]] = {}
    for row in current_state(log(*rows), instant).to_dicts():
        seen.setdefault(row["resource_id"], []).append(row)
    expected = []
    for _, witnesses in sorted(seen.items()):
        owners = [row for row in witnesses if row["owner_account_id"] == row["account_id"]]
        shown = min(owners or witnesses, key=lambda row: (row["account_id"], row["region"]))
        expected.append(shown | {"seen_from": sorted({row["account_id"] for row in witnesses})})
    assert found.to_dicts() == expected
    assert resources_at(log(*shuffled), instant).equals(found)
