"""Who had which address in which VPC, and how VPCs were connected, from when until when: from the log of changes."""

from __future__ import annotations

import polars as pl

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.interface_addresses import interface_addresses, without_overlaps
from kentik_dagster.core.network import IDENTITY
from kentik_dagster.core.network_ranges import network_ranges
from kentik_dagster.core.network_routes import network_routes
from kentik_dagster.core.resource_states import NEVER, resource_states
from kentik_dagster.core.schemas import polars_schema, require

_BOOK = polars_schema(TABLES["address_book"])
OF_INTERFACES = ("interface_address", "interface_range")


def address_book(changes: pl.DataFrame, accounts: pl.DataFrame) -> pl.DataFrame:
    """The address book: interface addresses, ranges, routes and connections, each with the time it stood.

    Args:
        changes: rows of `metadata_changes`.
        accounts: rows of `org_accounts`.

    Returns:
        Rows of `address_book`, sorted. `valid_from` is the first snapshot that saw it so (for interfaces, when AWS
        attached them, if that was after the snapshot before), `valid_to` the first that saw it otherwise. A thing
        that several accounts see (a shared subnet's interface, both ends of a peering) is there once, as its owner
        sees it. A row of kind `snapshot` says from when until when changes of an account and region are in the book,
        one of kind `account` how an account is called.
    """
    require(changes, *IDENTITY, "observed_at", "change", "attributes", by="address_book")
    require(accounts, "account_id", "name", by="address_book")
    states = resource_states(changes)
    interfaces = without_overlaps(interface_addresses(states, accounts))
    snapshots = changes.group_by("account_id", "region").agg(
        pl.lit("snapshot").alias("kind"), pl.col("observed_at").min().alias("valid_from"), pl.col("observed_at").max()
    )
    return in_order(pl.concat([interfaces, network_ranges(states), network_routes(states), snapshots,
                               names_of(accounts)],
                              how="diagonal"))  # fmt: skip


def in_order(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of `address_book` with all columns, in the order in which the table keeps them."""
    missing = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in _BOOK.items() if name not in rows.columns]
    return (
        rows.with_columns(*missing, valid_to=pl.when(pl.col("valid_to") < NEVER).then("valid_to"))
        .select(_BOOK.names())
        .sort(
            "kind", "vpc_id", "address", "peer_vpc_id", "eni_id", "subnet_id", "route_table_id", "gateway_id",
            "prefix_list_id", "account_id", "region", "valid_from", nulls_last=True,
        )
    )  # fmt: skip


def snapshots_of(book: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """The rows of kind `snapshot` of a book that takes in new changes."""
    seen = [
        book.filter(pl.col("kind") == "snapshot").select("account_id", "region", "valid_from", "observed_at"),
        new.select("account_id", "region", pl.col("observed_at").alias("valid_from"), "observed_at"),
    ]
    return (
        pl.concat(seen)
        .group_by("account_id", "region")
        .agg(pl.lit("snapshot").alias("kind"), pl.col("valid_from").min(), pl.col("observed_at").max())
    )


def names_of(accounts: pl.DataFrame) -> pl.DataFrame:
    """The rows of kind `account`."""
    return accounts.group_by("account_id").agg(
        pl.lit("account").alias("kind"), pl.col("name").drop_nulls().first().alias("account_name")
    )
