"""The address book in the lake, brought up to the log of metadata changes."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from kentik_dagster.core.address_book_update import updated_address_book
from kentik_dagster.core.schemas import no_rows
from kentik_dagster.lake.snapshots import Snapshot
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import merge_partition

# The log of a table states instants to the millisecond before or after them.
_STATED_TO = pl.duration(milliseconds=1)


def update_address_book(lake: Lake) -> pl.DataFrame:
    """Make `address_book` say what `metadata_changes` and `org_accounts` say now; returns its rows."""

    def newest(book: pl.DataFrame) -> pl.DataFrame:
        # Read anew in every round of the commit, so that an older book never replaces a newer one.
        return updated_address_book(book, _Log(lake["metadata_changes"].open()), lake["org_accounts"].read())

    return merge_partition(lake["address_book"], {}, newest)


class _Log:
    """The log of changes as it was when it was opened, of which only what is asked for is read."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def after(self, known: pl.DataFrame) -> pl.DataFrame:
        """Changes of each account after the instant until which they are known; see `ChangeLog`."""
        since = known.select("account_id", known_at="observed_at")
        files = self._snapshot.files
        if files.is_empty():
            return self._snapshot.read()
        newer = files.join(since, left_on="partition.account_id", right_on="account_id", how="left").filter(
            pl.col("known_at").is_null() | (pl.col("max.observed_at") + _STATED_TO > pl.col("known_at"))
        )
        rows = [self._snapshot.read_file(str(path)) for path in newer["path"]]
        return (
            pl.concat([no_rows(self._snapshot.table), *rows], how="diagonal")
            .join(since, on="account_id", how="left")
            .filter(pl.col("known_at").is_null() | (pl.col("observed_at") > pl.col("known_at")))
            .drop("known_at")
        )

    def of(self, resource_types: Collection[str], resource_ids: pl.Series | None = None) -> pl.DataFrame:
        """All changes of some types, or of some resources of these types."""
        wanted = pl.col("resource_type").is_in(list(resource_types))
        if resource_ids is not None:
            wanted &= pl.col("resource_id").is_in(resource_ids.implode())
        if self._snapshot.files.is_empty():
            return self._snapshot.read()
        return self._snapshot.collected(self._snapshot.scan().filter(wanted))

    def everything(self) -> pl.DataFrame:
        """The whole log."""
        return self._snapshot.read()
