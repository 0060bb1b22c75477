"""An organization on the fake AWS that has one of everything, and snapshots of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.catalog.network import Operation
from kentik_dagster.catalog.network_operations import OPERATIONS
from kentik_dagster.configuration import Export
from kentik_dagster.core.network import IDENTITY, current_state
from kentik_dagster.lake.tables import Lake
from kentik_dagster.work.metadata import AccountObserved, collect_metadata
from tests.catalog.made_up_answers import made_up_answer
from tests.fake_aws import FakeAws

PRIMARY, SECOND, THIRD, FOURTH = "111122223333", "222233334444", "333344445555", "444455556666"
HOME, ELSEWHERE = "us-east-1", "eu-west-1"
START = datetime(2026, 11, 23, 9, tzinfo=UTC)
PRIMARY_ROLE = f"arn:aws:iam::{PRIMARY}:role/KentikPrimary"
SECONDARY_ROLE = "KentikSecondary"

SERVICES = tuple(dict.fromkeys(operation.service for operation in OPERATIONS))


@contextmanager
def fake_aws() -> Iterator[FakeAws]:
    """The fake, named by the environment as users name AWS endpoints."""
    with FakeAws() as fake, pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            environment.delenv(name, raising=False)
        environment.setenv("AWS_ENDPOINT_URL", fake.url)
        environment.setenv("AWS_ACCESS_KEY_ID", "AMBIENT")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        yield fake


def export(**changes: object) -> Export:
    """An export whose primary role reaches the other accounts."""
    values = {
        "name": "acme",
        "region": HOME,
        "bucket": "acme-logs",
        "start": date(2026, 11, 1),
        "iam_role_arn": PRIMARY_ROLE,
        "external_id": "unique-id",
        "role_suffix": SECONDARY_ROLE,
    }
    return Export.model_validate(values | changes)


def access(**changes: object) -> ExportAccess:
    return ExportAccess(export(**changes), custom_endpoint=True)


def operation(name: str, service: str = "ec2") -> Operation:
    """A row of the catalog."""
    return next(one for one in OPERATIONS if (one.service, one.name) == (service, name))


def descendants(parent: Operation) -> set[str]:
    """The operations that cannot be asked without another one."""
    children = [
        one
        for one in OPERATIONS
        if one.service == parent.service and one.for_each is not None and one.for_each.operation == parent.name
    ]
    return {one.name for one in children}.union(*(descendants(one) for one in children))


def answer_everything(fake: FakeAws, **members: object) -> None:
    """Every operation of the catalog answers one row in which every member is there; `members` have these values."""
    fitting = {
        "AdditionalRoutesAvailable": False,
        "CoreNetworkArn": f"arn:aws:networkmanager:{PRIMARY}:{SECOND}:{THIRD}:{FOURTH}",  # each account's own
        **members,
    }
    for one in OPERATIONS:
        answer = _with(made_up_answer(one.service, one.api_name), fitting)
        fake.answers(None, None, one.service, one.api_name, answer)
    enable_regions(fake, HOME, ELSEWHERE)


def enable_regions(fake: FakeAws, *regions: str, not_enabled: tuple[str, ...] = (), of: str | None = None) -> None:
    """DescribeRegions of an account, or of all, lists these, some of them as not enabled."""
    rows = [{"RegionName": region, "OptInStatus": "opt-in-not-required"} for region in regions]
    rows += [{"RegionName": region, "OptInStatus": "not-opted-in"} for region in not_enabled]
    fake.answers(of, None, "ec2", "DescribeRegions", {"Regions": rows})


def _with(value: Any, members: Mapping[str, object]) -> Any:
    if isinstance(value, dict):
        return {name: members[name] if name in members else _with(inner, members) for name, inner in value.items()}
    return [_with(inner, members) for inner in value] if isinstance(value, list) else value


class Snapshots:
    """A lake, and snapshots that follow each other by a minute.

    Attributes:
        at: when the last snapshot began.
    """

    def __init__(self, lake: Lake, reached: ExportAccess, *account_ids: str) -> None:
        self.lake, self.at = lake, START
        self._accounts = dict.fromkeys(account_ids or (PRIMARY,), reached)

    def take(self) -> dict[str, AccountObserved]:
        """One snapshot of every account."""
        self.at += timedelta(minutes=1)
        return {done.account_id: done for done in collect_metadata(self._accounts, self.lake, clock=lambda: self.at)}

    @property
    def version(self) -> int:
        """How often changes have been committed."""
        return self.lake["metadata_changes"].open().version

    @property
    def state(self) -> list[tuple[str, ...]]:
        """What is known to stand."""
        known = current_state(self.lake["metadata_changes"].read()).select(*IDENTITY, "attributes_hash")
        return known.sort(known.columns).rows()

    def ids(self, resource_type: str) -> list[str]:
        """The resources of a type that are known to stand."""
        return [row[3] for row in self.state if row[2] == resource_type]

    @property
    def calls(self) -> pl.DataFrame:
        """What became of each operation, the last time that it was asked."""
        return self.lake["metadata_calls"].read().sort("account_id", "region", "service", "operation")

    def outcomes(self) -> dict[tuple[str, str], tuple[str, str | None]]:
        """Outcome and error code of what was not observed, by service and operation."""
        return {
            (call["service"], call["operation"]): (call["outcome"], call["error_code"])
            for call in self.calls.filter(pl.col("outcome") != "observed").to_dicts()
        }

    def call(self, name: str, service: str = "ec2") -> dict[str, Any]:
        """The only row of an operation."""
        (row,) = self.calls.filter(operation=name, service=service).to_dicts()
        return row
