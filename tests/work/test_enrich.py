"""Flows of an hour in the lake are enriched once, and anew where newer metadata says more of them."""

from __future__ import annotations

import functools
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.address_book import address_book
from kentik_dagster.core.address_index import AddressIndex
from kentik_dagster.core.enrichment import Knowledge
from kentik_dagster.core.look_back import lacking_hours
from kentik_dagster.core.schemas import no_rows, polars_schema
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import append_objects
from kentik_dagster.work.enrich import enrich_hour, enriched_mark
from kentik_dagster.work.reenrichment import outdated_hours
from tests.core.history import accounts, changes, made_up_history

HISTORY = made_up_history(1, 1)
ACCOUNTS = accounts(HISTORY)
CHANGES = changes(HISTORY)
INSTANTS = sorted(CHANGES["observed_at"].unique())
FLOWS = HISTORY.records().select(polars_schema(TABLES["flow_logs"]).names())
HOURS = FLOWS.select("export", "hour").unique().sort("hour").rows()
EVENT = {
    "source_object": "20261123T1205Z_firewall0001", "account_id": "111122223333", "region": "eu-west-1",
    "firewall_name": "egress", "src_ip": "10.0.0.1", "dest_ip": "198.51.100.7", "src_port": 49_152, "dest_port": 443,
    "protocol": 6, "netflow_pkts": 3, "netflow_bytes": 300,
}  # fmt: skip


@functools.cache
def book(until: datetime) -> pl.DataFrame:
    return address_book(CHANGES.filter(pl.col("observed_at") <= until), ACCOUNTS)


@functools.cache
def knowing(until: datetime) -> Knowledge:
    return Knowledge(index=AddressIndex(book(until)))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(str(tmp_path))
    for export, hour in HOURS:
        partition = {"export": export, "hour": hour}
        rows = FLOWS.filter(pl.col("hour") == hour)
        append_objects(lake["flow_logs"], partition, rows)
    return lake


def enriched(lake: Lake) -> pl.DataFrame:
    """All enriched flows without what says how new the metadata was, in one order."""
    return lake["enriched_flows"].read().drop("metadata_as_of", "src_tags", "dst_tags").sort(
        "source_object", "start_time", "src_addr", "dst_addr", "src_port", "dst_port", "observing_eni_id",
        "flow_direction", "bytes", "log_type", nulls_last=True,
    )  # fmt: skip


def test_each_row_is_enriched_once(lake: Lake) -> None:
    known = knowing(INSTANTS[-1])

    for export, hour in HOURS * 2:
        done = enrich_hour(lake, export, hour, known, rebuild=False)
        assert done.rows == FLOWS.filter(pl.col("hour") == hour).height

    assert enriched(lake).height == FLOWS.height


def test_firewall_events_are_flows_too_and_are_looked_at_once(lake: Lake) -> None:
    export, hour = HOURS[0]
    events = pl.DataFrame(
        [EVENT | {"export": export, "hour": hour, "event_type": kind} for kind in ("netflow", "netflow", "alert")],
        schema={name: dtype for name, dtype in polars_schema(TABLES["firewall_logs"]).items()
                if name in {*EVENT, "export", "hour", "event_type"}},
    )  # fmt: skip
    append_objects(lake["firewall_logs"], {"export": export, "hour": hour}, events)
    looked_at = pl.DataFrame({"hour": [hour], "num_records": [3]})

    def lacking() -> list[str]:
        marks = lake["enriched_flows"].open().handle.transaction_version(enriched_mark(export, hour)) or 0
        nothing = no_rows(TABLES["flow_logs"]).select("hour", num_records=pl.lit(0, pl.Int64))
        events = looked_at.with_columns(looked_at=pl.lit(marks, pl.Int64))
        return lacking_hours(nothing, nothing, events)["hour"].to_list()

    before = lacking()
    for _ in range(2):
        done = enrich_hour(lake, export, hour, knowing(INSTANTS[-1]), rebuild=False)

    assert (before, lacking()) == ([hour], [])
    assert done.rows == FLOWS.filter(pl.col("hour") == hour).height + 2
    firewall = enriched(lake).filter(pl.col("log_type") == "network_firewall")
    assert firewall.select(
        "src_addr", "dst_addr", "dst_port", "bytes", "application", "dst_resolution"
    ).unique().rows() == [("10.0.0.1", "198.51.100.7", 443, 300, "https", "external")]


def test_metadata_that_comes_later_changes_the_rows_that_it_should(lake: Lake, tmp_path: Path) -> None:
    for export, hour in HOURS:
        enrich_hour(lake, export, hour, knowing(INSTANTS[0]), rebuild=False)
    before = enriched(lake)

    outdated = {(one.export, one.hour) for one in outdated_hours(lake, book(INSTANTS[-1]), set(HOURS))}
    for export, hour in outdated:
        enrich_hour(lake, export, hour, knowing(INSTANTS[-1]), rebuild=True)
    after = enriched(lake)

    undisturbed = Lake(str(tmp_path / "undisturbed"))
    for export, hour in HOURS:
        append_objects(undisturbed["flow_logs"], {"export": export, "hour": hour}, FLOWS.filter(pl.col("hour") == hour))
        enrich_hour(undisturbed, export, hour, knowing(INSTANTS[-1]), rebuild=False)
    assert after.equals(enriched(undisturbed))
    assert not after.equals(before)


def test_what_was_asked_for_once_is_not_asked_for_again(lake: Lake) -> None:
    for export, hour in HOURS:
        enrich_hour(lake, export, hour, knowing(INSTANTS[-1]), rebuild=True)

    assert outdated_hours(lake, book(INSTANTS[-1]), set(HOURS)) == []


def test_hours_that_are_not_to_be_looked_at_are_not(lake: Lake) -> None:
    for export, hour in HOURS:
        enrich_hour(lake, export, hour, knowing(INSTANTS[0]), rebuild=False)

    assert outdated_hours(lake, book(INSTANTS[-1]), set()) == []


def test_an_empty_lake_has_nothing_to_enrich_anew(tmp_path: Path) -> None:
    assert outdated_hours(Lake(str(tmp_path)), book(INSTANTS[-1]), set(HOURS)) == []
