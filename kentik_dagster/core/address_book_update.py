"""The address book brought up to a longer log: what changed is made anew, the rest stays as it is.

The result is that of making the whole book from the whole log.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import polars as pl

from kentik_dagster.catalog.entities import NAMED_BY
from kentik_dagster.core.address_book import OF_INTERFACES, address_book, in_order, names_of, snapshots_of
from kentik_dagster.core.interface_addresses import (
    instances_of,
    interface_addresses,
    owned_interfaces,
    without_overlaps,
)
from kentik_dagster.core.network_ranges import network_ranges
from kentik_dagster.core.network_routes import network_routes
from kentik_dagster.core.resource_states import NEVER, resource_states

_INTERFACE, _INSTANCE = "network_interface", "instance"
# Few of them in an organization: where one of them changed, all of them are read.
_NETWORK = (
    "vpc", "subnet", "vpc_peering_connection", "managed_prefix_list", "managed_prefix_list_entry", "firewall",
    "route_table", "transit_gateway_attachment", "transit_gateway_vpc_attachment", "transit_gateway_peering_attachment",
    "transit_gateway_route_table", "transit_gateway_route_table_association", "transit_gateway_route", "vpn_connection",
    "vpn_gateway",
)  # fmt: skip
# What names and places of interfaces are taken from.
_TOLD = tuple(sorted({"vpc", "subnet", "nat_gateway", "vpc_endpoint", *NAMED_BY.values()} - {_INSTANCE}))
# From this share on it is quicker to make the whole book.
_MOST_AFFECTED = 0.5


class ChangeLog(Protocol):
    """The log of metadata changes, read in parts; all return rows of `metadata_changes`."""

    def after(self, known: pl.DataFrame) -> pl.DataFrame:
        """Changes of each account after an instant: `account_id`, `observed_at`; all of other accounts."""

    def of(self, resource_types: Collection[str], resource_ids: pl.Series | None = None) -> pl.DataFrame:
        """All changes of some types, or of some resources of these types."""

    def everything(self) -> pl.DataFrame:
        """The whole log."""


def updated_address_book(book: pl.DataFrame, log: ChangeLog, accounts: pl.DataFrame) -> pl.DataFrame:
    """The address book of a log that went on since the book was made.

    Args:
        book: rows of `address_book` as made from the log so far; none: it was never made.
        accounts: rows of `org_accounts`.
    """
    known = book.filter(pl.col("kind") == "snapshot").group_by("account_id").agg(pl.col("observed_at").max())
    if known.is_empty() or not _same_names(book, accounts):
        return address_book(log.everything(), accounts)
    new = log.after(known)
    if new.is_empty():
        return book
    types = set(new["resource_type"].unique())
    snapshots = snapshots_of(book, new)
    told = resource_states(log.of(_TOLD), snapshots)
    affected = _affected(book, new, told)
    if affected.len() > _MOST_AFFECTED * max(1, book["eni_id"].n_unique()):
        return address_book(log.everything(), accounts)
    parts = [snapshots, names_of(accounts), _interfaces(book, log, accounts, affected, told, snapshots)]
    if types.intersection(_NETWORK):
        network = resource_states(log.of(_NETWORK), snapshots)
        parts += [network_ranges(network), network_routes(network)]
    else:
        parts.append(_kept(book, ~pl.col("kind").is_in((*OF_INTERFACES, "snapshot", "account"))))
    return in_order(pl.concat(parts, how="diagonal"))


def _same_names(book: pl.DataFrame, accounts: pl.DataFrame) -> bool:
    names = names_of(accounts).select("account_id", "account_name").sort("account_id")
    known = book.filter(pl.col("kind") == "account").select("account_id", "account_name").sort("account_id")
    return names.equals(known)


def _affected(book: pl.DataFrame, new: pl.DataFrame, told: pl.DataFrame) -> pl.Series:
    """The interfaces whose rows may be others now."""

    def changed(*resource_types: str) -> pl.Series:
        return new.filter(pl.col("resource_type").is_in(resource_types))["resource_id"].unique().implode()

    of_changed = pl.any_horizontal(
        pl.col("instance_id").is_in(changed(_INSTANCE)),
        pl.col("vpc_id").is_in(changed("vpc")),
        pl.col("subnet_id").is_in(changed("subnet")),
    )
    types = set(new["resource_type"].unique())
    renamed = [entity for entity, resource_type in NAMED_BY.items() if resource_type in types - {_INSTANCE}]
    behind = book.filter(of_changed.fill_null(False) | pl.col("eni_entity_type").is_in(renamed).fill_null(False))
    owners = [] if types.isdisjoint(("nat_gateway", "vpc_endpoint")) else [owned_interfaces(told)["eni_id"]]
    interfaces = new.filter(pl.col("resource_type") == _INTERFACE)["resource_id"]
    return pl.concat([interfaces, behind["eni_id"], *owners]).drop_nulls().unique()


def _interfaces(
    book: pl.DataFrame,
    log: ChangeLog,
    accounts: pl.DataFrame,
    affected: pl.Series,
    told: pl.DataFrame,
    snapshots: pl.DataFrame,
) -> pl.DataFrame:
    """The rows of interfaces: those of the affected ones made anew from all that the log says of them."""
    own = resource_states(log.of((_INTERFACE,), affected), snapshots)
    instances = resource_states(log.of((_INSTANCE,), instances_of(own)), snapshots)
    anew = interface_addresses(pl.concat([own, instances, told]), accounts)
    kept = _kept(book, pl.col("kind").is_in(OF_INTERFACES) & ~pl.col("eni_id").is_in(affected.implode()))
    return without_overlaps(pl.concat([kept, anew], how="diagonal"))


def _kept(book: pl.DataFrame, which: pl.Expr) -> pl.DataFrame:
    return book.filter(which).with_columns(pl.col("valid_to").fill_null(NEVER))
