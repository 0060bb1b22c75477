"""The measure of enrichment: an organization with a hard history, whose truth is known, situation by situation."""

from __future__ import annotations

import functools

import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.address_book import address_book
from kentik_dagster.core.address_index import AddressIndex
from kentik_dagster.core.enrichment import Knowledge, enriched_flows
from kentik_dagster.core.schemas import polars_schema
from kentik_dagster.demo.history import SITUATIONS
from tests.core.history import accounts, changes, made_up_history

FLOWS = polars_schema(TABLES["flow_logs"]).names()
SIDES = ("src", "dst")
FOUND = ("exact", "earliest")
OWNER = ("eni_id", "account_id", "vpc_id", "instance_id")
LEAST_RESOLVED = 0.999
_IN_A_RECORD = ["situation", "conversation_id", "flow_direction", "interface_id", "srcaddr", "dstaddr", "end"]


@functools.cache
def measured(seed: int, pairs: int = 3) -> pl.DataFrame:
    """The records of a history with their truth, and what enrichment says of each, prefixed `found_`."""
    history = made_up_history(seed, pairs)
    records = history.records()
    book = address_book(changes(history), accounts(history))
    enriched = enriched_flows(records.select(FLOWS), Knowledge(index=AddressIndex(book)))
    assert enriched.height == records.height
    return pl.concat([records, enriched.select(pl.all().name.prefix("found_"))], how="horizontal")


def of_situation(situation: str) -> pl.DataFrame:
    return measured(1).filter(situation=situation)


def resolved(side: str) -> pl.Expr:
    return pl.col(f"found_{side}_resolution").is_in(FOUND).fill_null(False)


def wrong_owners(records: pl.DataFrame, side: str) -> pl.DataFrame:
    """Records an end of which is said to be somebody's whose it is not."""
    differs = pl.any_horizontal(
        pl.col(f"found_{side}_{name}").ne_missing(pl.col(f"true_{side}_{name}")) for name in OWNER
    )
    return records.filter(resolved(side) & differs).select(
        *_IN_A_RECORD, *(f"{told}_{side}_{name}" for name in OWNER for told in ("true", "found"))
    )


def resolvable(records: pl.DataFrame, side: str) -> int:
    """How many ends of that side can be resolved."""
    return records.filter(f"{side}_is_resolvable").height


def missed(records: pl.DataFrame, side: str) -> pl.DataFrame:
    """Records an end of which could have been resolved, and was not."""
    return records.filter(pl.col(f"{side}_is_resolvable") & ~resolved(side)).select(*_IN_A_RECORD, *_words(side))


def other_words(records: pl.DataFrame, side: str) -> pl.DataFrame:
    """Records an end of which is called something else than it should be, the missed ones left out."""
    differs = pl.col(f"found_{side}_resolution").ne_missing(pl.col(f"expected_{side}_resolution"))
    return records.filter(differs, ~pl.col(f"{side}_is_resolvable") | resolved(side)).select(
        *_IN_A_RECORD, *_words(side)
    )


def _words(side: str) -> tuple[str, str]:
    return f"expected_{side}_resolution", f"found_{side}_resolution"


def shown(records: pl.DataFrame) -> str:
    """How many there are, and some of them."""
    with pl.Config(tbl_cols=-1, tbl_width_chars=250, fmt_str_lengths=40):
        return f"{records.height} records:\n{records.head(6)}"


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_nobody_is_said_to_own_what_is_not_theirs(situation: str, side: str) -> None:
    records = of_situation(situation)

    wrong = wrong_owners(records, side)

    assert wrong.is_empty(), shown(wrong)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_whoever_can_be_known_is_known(situation: str, side: str) -> None:
    records = of_situation(situation)

    lost = missed(records, side)

    assert lost.height <= (1 - LEAST_RESOLVED) * resolvable(records, side), shown(lost)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_end_has_the_word_that_is_true_of_it(situation: str, side: str) -> None:
    records = of_situation(situation)

    other = other_words(records, side)

    assert other.is_empty(), shown(other)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_summed_over_primary_records_traffic_counts_once(situation: str) -> None:
    records = of_situation(situation)

    found = records.filter("found_is_primary_record")["bytes"].sum()

    differing = records.filter(pl.col("found_is_primary_record") != pl.col("is_primary"))
    assert found == records.filter("is_primary")["bytes"].sum(), shown(
        differing.select(*_IN_A_RECORD, "log_type", "is_primary", "found_is_primary_record")
    )


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_gateway_is_the_one_that_routes_name(situation: str) -> None:
    records = of_situation(situation).filter(pl.col("expected_gateway_type").is_not_null())

    other = records.filter(pl.col("found_gateway_type").ne_missing(pl.col("expected_gateway_type")))

    assert other.is_empty(), shown(other.select(*_IN_A_RECORD, "expected_gateway_type", "found_gateway_type"))


@pytest.mark.parametrize("situation", ["plain", "twin_ranges", "shared_subnet", "nobody", "outage"])
def test_inside_a_vpc_there_is_no_gateway(situation: str) -> None:
    records = of_situation(situation).filter(pl.col("expected_gateway_type").is_null())

    other = records.filter(pl.col("found_gateway_type").is_not_null())

    assert other.is_empty(), shown(other.select(*_IN_A_RECORD, "found_gateway_type"))


# A failure is not made smaller: a smaller seed is no simpler history.
@settings(max_examples=3, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(seed=st.integers(min_value=2, max_value=10**6))
def test_it_is_so_in_every_history(seed: int) -> None:
    records = measured(seed, pairs=1)

    wrong = [wrong_owners(records, side) for side in SIDES]
    lost = [missed(records, side) for side in SIDES]
    other = [other_words(records, side) for side in SIDES]

    assert all(frame.is_empty() for frame in wrong), shown(wrong[0] if wrong[0].height else wrong[1])
    ends = sum(resolvable(records, side) for side in SIDES)
    assert sum(frame.height for frame in lost) <= (1 - LEAST_RESOLVED) * ends, shown(
        lost[0] if lost[0].height else lost[1]
    )
    assert all(frame.is_empty() for frame in other), shown(other[0] if other[0].height else other[1])
    by_truth, as_found = (records.filter(name)["bytes"].sum() for name in ("is_primary", "found_is_primary_record"))
    assert as_found == by_truth
