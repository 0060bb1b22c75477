"""A book that takes in the log piece by piece is the one that is made of the whole log."""

from __future__ import annotations

import functools
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.core.address_book import address_book
from kentik_dagster.core.address_book_update import updated_address_book
from tests.core.history import accounts, changes, made_up_history

HISTORY = made_up_history(1, 2)
ACCOUNTS = accounts(HISTORY)
CHANGES = changes(HISTORY)
INSTANTS = sorted(CHANGES["observed_at"].unique())


@dataclass
class Log:
    """A log in memory; `asked` counts how many rows were read of it."""

    rows: pl.DataFrame
    asked: int = 0

    def after(self, known: pl.DataFrame) -> pl.DataFrame:
        joined = self.rows.join(known.rename({"observed_at": "known_at"}), on="account_id", how="left")
        new = pl.col("known_at").is_null() | (pl.col("observed_at") > pl.col("known_at"))
        return self._read(joined.filter(new).drop("known_at"))

    def of(self, resource_types: Collection[str], resource_ids: pl.Series | None = None) -> pl.DataFrame:
        rows = self.rows.filter(pl.col("resource_type").is_in(list(resource_types)))
        return self._read(
            rows if resource_ids is None else rows.filter(pl.col("resource_id").is_in(resource_ids.implode()))
        )

    def everything(self) -> pl.DataFrame:
        return self._read(self.rows)

    def _read(self, rows: pl.DataFrame) -> pl.DataFrame:
        self.asked += rows.height
        return rows


def until(instant: datetime) -> pl.DataFrame:
    return CHANGES.filter(pl.col("observed_at") <= instant)


@functools.cache
def whole_book() -> pl.DataFrame:
    return address_book(CHANGES, ACCOUNTS)


@functools.cache
def taken_in(*stops: datetime) -> pl.DataFrame:
    """The book that took in the log piece by piece, each until one of the stops."""
    if not stops:
        return address_book(CHANGES.clear(), ACCOUNTS)
    return updated_address_book(taken_in(*stops[:-1]), Log(until(stops[-1])), ACCOUNTS)


def assert_same(book: pl.DataFrame, expected: pl.DataFrame) -> None:
    differing = pl.concat([book, expected]).filter(pl.len().over(pl.struct(pl.all())) == 1)
    assert differing.is_empty(), differing.select("kind", "address", "eni_id", "valid_from", "valid_to")
    assert book.height == expected.height


def test_taking_in_snapshot_after_snapshot_gives_the_whole_book() -> None:
    book = address_book(until(INSTANTS[0]), ACCOUNTS)

    for instant in INSTANTS[1:]:
        book = updated_address_book(book, Log(until(instant)), ACCOUNTS)

        assert_same(book, address_book(until(instant), ACCOUNTS))


@settings(deadline=None, max_examples=10)
@given(st.sets(st.sampled_from(INSTANTS), max_size=4))
def test_in_whatever_pieces_the_log_comes(stops: set[datetime]) -> None:
    book = taken_in(*sorted({*stops, INSTANTS[-1]}))

    assert_same(book, whole_book())


def test_a_log_that_did_not_go_on_changes_nothing() -> None:
    book = whole_book()

    assert updated_address_book(book, Log(CHANGES), ACCOUNTS).equals(book)


def test_a_change_of_one_interface_reads_little_of_the_log() -> None:
    (last,) = CHANGES.filter(resource_type="network_interface", change="added").tail(1).to_dicts()
    later = max(INSTANTS).replace(minute=59)
    row = pl.DataFrame([last | {"change": "removed", "observed_at": later}], schema=CHANGES.schema)
    log = Log(pl.concat([CHANGES, row]))

    updated = updated_address_book(whole_book(), log, ACCOUNTS)

    assert_same(updated, address_book(log.rows, ACCOUNTS))
    interfaces = CHANGES.filter(pl.col("resource_type").is_in(["network_interface", "instance"])).height
    assert log.asked < log.rows.height - 0.8 * interfaces


@pytest.mark.parametrize("name", ["renamed", None])
def test_an_account_that_is_called_otherwise_is_so_everywhere(name: str | None) -> None:
    renamed = ACCOUNTS.with_columns(name=pl.lit(name, pl.String))

    updated = updated_address_book(whole_book(), Log(CHANGES), renamed)

    assert_same(updated, address_book(CHANGES, renamed))


@pytest.mark.parametrize("text", ["", "{", "[]", "5", '{"VpcId": {"a": 1}}', '{"Groups": "sg-1"}', None])
def test_a_resource_that_is_not_described_as_aws_does_keeps_no_other_away(text: str | None) -> None:
    interfaces = CHANGES.filter(resource_type="network_interface")
    spoilt = interfaces["resource_id"][0]
    rows = CHANGES.with_columns(
        attributes=pl.when(pl.col("resource_id") == spoilt).then(pl.lit(text, pl.String)).otherwise("attributes")
    )

    book = address_book(rows, ACCOUNTS)

    expected = address_book(CHANGES.filter(pl.col("resource_id") != spoilt), ACCOUNTS)
    assert book.filter(pl.col("eni_id").is_not_null()).height == expected.filter(pl.col("eni_id").is_not_null()).height
