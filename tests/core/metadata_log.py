"""A log of metadata changes that is made by looking at resources as AWS describes them, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from kentik_dagster.catalog.network_operations import OPERATIONS
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.address_book import address_book
from kentik_dagster.core.address_index import AddressIndex
from kentik_dagster.core.network import Scope, new_changes
from kentik_dagster.core.resolution import resolve
from kentik_dagster.core.resources import resources
from kentik_dagster.core.schemas import no_rows
from tests.core.made_up_book import asked

PAYMENTS, PLATFORM = "111122223333", "444455556666"
OPERATION = {operation.resource_type: operation for operation in OPERATIONS}
ACCOUNTS = pl.DataFrame(
    {"account_id": [PAYMENTS, PLATFORM], "name": ["payments", "platform"]},
)


def at(minute: int) -> datetime:
    return datetime(2026, 11, 23, 9, tzinfo=UTC) + timedelta(minutes=minute)


@dataclass
class Log:
    """A log of changes that is made by looking."""

    rows: pl.DataFrame = field(default_factory=lambda: no_rows(TABLES["metadata_changes"]))
    _known: tuple[pl.DataFrame, AddressIndex] | None = None

    def see(
        self,
        minute: int,
        resource_type: str,
        *items: Mapping[str, Any],
        account: str = PAYMENTS,
        region: str = "eu-west-1",
    ) -> None:
        """An account's answer that lists these items and no others."""
        scope = Scope(account, region, resource_type)
        seen = resources(items, OPERATION[resource_type], account_id=account, region=region).rows
        self.rows = pl.concat([self.rows, new_changes(self.rows, seen, [scope], at(minute))])

    def whole_book(self) -> pl.DataFrame:
        return address_book(self.rows, ACCOUNTS)

    def index(self) -> AddressIndex:
        """The index of the whole book, made once until more is seen."""
        if self._known is None or self._known[0] is not self.rows:
            self._known = self.rows, AddressIndex(self.whole_book())
        return self._known[1]

    def book(self, kind: str) -> pl.DataFrame:
        """The rows of one kind."""
        return self.whole_book().filter(kind=kind)

    def asked(
        self, address: str, *, vpc: str | None = "vpc-1", via: str | None = None, minute: int = 5
    ) -> dict[str, Any]:
        """What resolution says of an address, with `eni_id` instead of `owner`."""
        question = (vpc, via, address, None, False, at(minute), at(minute))
        index = self.index()
        found = resolve(asked([question], index), index)
        eni_id = index.owners["eni_id"].cast(pl.String).gather(found["owner"])
        return found.drop("owner").with_columns(eni_id=eni_id).row(0, named=True)

    def who(
        self, address: str, *, vpc: str | None = "vpc-1", via: str | None = None, minute: int = 5
    ) -> tuple[str, str | None]:
        """How an address is resolved, and which interface has it."""
        answer = self.asked(address, vpc=vpc, via=via, minute=minute)
        return answer["resolution"], answer["eni_id"]


def named(name: str | None) -> dict[str, Any]:
    return {"Tags": [{"Key": "Name", "Value": name}]} if name is not None else {}


def interface(eni_id: str, address: str, **more: Any) -> dict[str, Any]:
    """A network interface as boto3 gives it."""
    usual = {"VpcId": "vpc-1", "SubnetId": "subnet-1", "InterfaceType": "interface", "OwnerId": PAYMENTS}
    return {"NetworkInterfaceId": eni_id, "PrivateIpAddress": address} | usual | more
