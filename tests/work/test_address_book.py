"""The address book in the lake follows the log of changes in the lake, however its files lie."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from kentik_dagster.core.address_book import address_book
from kentik_dagster.lake.compaction import compact
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import append_to_partitions, merge_partition
from kentik_dagster.work.address_book import update_address_book
from tests.core.history import accounts, changes, made_up_history

HISTORY = made_up_history(3, 1)
CHANGES = changes(HISTORY)
INSTANTS = sorted(CHANGES["observed_at"].unique())


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(str(tmp_path))
    names = accounts(HISTORY)
    merge_partition(lake["org_accounts"], {}, lambda there: names)
    return lake


def log(lake: Lake, rows: pl.DataFrame) -> None:
    """Append a snapshot's changes, as collecting does."""
    parts = [
        ({"account_id": str(account_id)}, lambda there, part=part: part.join(there, on=part.columns[:-1], how="anti"))
        for (account_id,), part in rows.drop("tags").partition_by("account_id", as_dict=True).items()
    ]
    if parts:
        append_to_partitions(lake["metadata_changes"], parts)


def same(book: pl.DataFrame, expected: pl.DataFrame) -> bool:
    both = pl.concat([book, expected])
    return book.height == expected.height and both.filter(pl.len().over(pl.struct(pl.all())) == 1).is_empty()


def test_the_book_in_the_lake_is_that_of_the_whole_log(lake: Lake) -> None:
    untagged = CHANGES.with_columns(tags=pl.lit(None, CHANGES.schema["tags"]))

    for number, instant in enumerate(INSTANTS):
        log(lake, CHANGES.filter(observed_at=instant))
        if number == len(INSTANTS) // 2:
            for account_id in CHANGES["account_id"].unique():
                compact(lake["metadata_changes"], {"account_id": account_id})
        book = update_address_book(lake)

    assert same(book, address_book(untagged, accounts(HISTORY)))
    assert same(lake["address_book"].read(), book)


def test_without_changes_nothing_is_written(lake: Lake) -> None:
    log(lake, CHANGES)
    update_address_book(lake)
    version = lake["address_book"].open().version

    update_address_book(lake)

    assert lake["address_book"].open().version == version


def test_an_empty_lake_has_a_book_of_names_alone(lake: Lake) -> None:
    assert update_address_book(lake)["kind"].unique().to_list() == ["account"]
