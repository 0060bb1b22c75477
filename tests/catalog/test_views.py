"""The SQL and the functions say the same of the same log, in every engine that can be had."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder, Schema, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.catalog.views import (
    CURRENT_RESOURCES,
    EACH_RESOURCE_ONCE,
    each_resource_once_as_of,
    history_of,
    instant_literal,
    resources_as_of,
)
from kentik_dagster.core.network import IDENTITY, current_state
from kentik_dagster.core.resource_views import resources_at
from kentik_dagster.core.schemas import polars_schema

TABLE = TABLES["metadata_changes"]
CHANGES = polars_schema(TABLE)
ACCOUNTS = ("111122223333", "444455556666", "777788889999")

Engine = Callable[[str, pl.DataFrame, Path], pl.DataFrame]


def in_polars(query: str, changes: pl.DataFrame, _: Path) -> pl.DataFrame:
    return pl.SQLContext(metadata_changes=changes.lazy()).execute(query).collect()


def in_datafusion(query: str, changes: pl.DataFrame, folder: Path) -> pl.DataFrame:
    """Over a Delta table that is laid out as the lake's; made at first use of a folder."""
    uri = str(folder / TABLE.name)
    if not DeltaTable.is_deltatable(uri):
        DeltaTable.create(uri, schema=Schema.from_arrow(TABLE.schema), partition_by=list(TABLE.partition_by))
        if not changes.is_empty():
            write_deltalake(uri, changes.to_arrow(), mode="append")
    batches = QueryBuilder().register(TABLE.name, DeltaTable(uri)).execute(query)
    frame = pl.from_arrow(pa.table(batches))
    assert isinstance(frame, pl.DataFrame)
    return frame


def in_duckdb(query: str, changes: pl.DataFrame, _: Path) -> pl.DataFrame:
    """In a session whose zone is not UTC: an instant must not depend on it."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'America/New_York'")
    connection.register(TABLE.name, changes.to_arrow())
    frame = pl.from_arrow(connection.sql(query).to_arrow_table())
    assert isinstance(frame, pl.DataFrame)
    return frame


ENGINES = pytest.mark.parametrize("engine", [in_polars, in_datafusion, in_duckdb])


def at(microseconds: int) -> datetime:
    return datetime(2026, 11, 23, 9, 0, 0, 123456, tzinfo=UTC) + timedelta(microseconds=microseconds)


def change(moment: int, resource_id: str = "vpc-1", what: str = "changed", **values: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {name: name for name in CHANGES if CHANGES[name] == pl.String}
    usual |= {"account_id": ACCOUNTS[0], "owner_account_id": ACCOUNTS[0], "region": "eu-west-1", "tags": {"Name": "a"}}
    return usual | {"resource_id": resource_id, "change": what, "observed_at": at(moment)} | values


def log(*changes: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(changes, schema=CHANGES)


def asked(engine: Engine, query: str, changes: pl.DataFrame, folder: Path) -> list[dict[str, Any]]:
    """The rows of the answer; its column names are those of the table, and `seen_from`."""
    answer = engine(query, changes, folder)
    assert [name for name in answer.columns if name != "seen_from"] == CHANGES.names()
    return answer.with_columns(pl.col("observed_at").dt.convert_time_zone("UTC")).to_dicts()


# --- any log ------------------------------------------------------------------------------------------------------

_accounts = st.sampled_from(ACCOUNTS)
_changes = st.builds(
    change,
    st.integers(0, 3),
    st.sampled_from(["vpc-1", "vpc-2"]),
    st.sampled_from(["added", "changed", "removed"]),
    account_id=_accounts,
    owner_account_id=st.none() | _accounts,
    region=st.sampled_from(["eu-west-1", "us-east-1"]),
    resource_type=st.sampled_from(["subnet", "vpc"]),
    name=st.none() | st.sampled_from(["old", "new"]),
)
_logs = st.lists(_changes, max_size=25, unique_by=lambda row: (*(row[name] for name in IDENTITY), row["observed_at"]))


@ENGINES
@settings(deadline=None, max_examples=20)
@given(rows=_logs, moment=st.integers(-1, 4))
def test_the_sql_says_what_the_functions_say(
    engine: Engine, tmp_path_factory: pytest.TempPathFactory, rows: Sequence[dict[str, Any]], moment: int
) -> None:
    changes, folder = log(*rows), tmp_path_factory.mktemp("lake")

    answers = [
        asked(engine, query, changes, folder)
        for query in (
            CURRENT_RESOURCES,
            resources_as_of(at(moment)),
            EACH_RESOURCE_ONCE,
            each_resource_once_as_of(at(moment)),
        )
    ]

    assert answers == [
        current_state(changes).sort(IDENTITY).to_dicts(),
        current_state(changes, at(moment)).sort(IDENTITY).to_dicts(),
        resources_at(changes).to_dicts(),
        resources_at(changes, at(moment)).to_dicts(),
    ]


# --- instants and texts -------------------------------------------------------------------------------------------


@ENGINES
@pytest.mark.parametrize(("moment", "names"), [(-1, []), (0, ["old"]), (6, ["old"]), (7, ["new"])])
def test_an_instant_counts_to_the_microsecond(engine: Engine, tmp_path: Path, moment: int, names: list[str]) -> None:
    changes = log(change(0, name="old"), change(7, name="new"))

    rows = asked(engine, resources_as_of(at(moment)), changes, tmp_path)

    assert [row["name"] for row in rows] == names


def test_an_instant_is_written_in_utc_whatever_its_zone() -> None:
    in_tokyo = datetime(2026, 11, 23, 18, 0, tzinfo=timezone(timedelta(hours=9)))
    without_zone = datetime(2026, 11, 23, 9, 0)

    literals = {instant_literal(in_tokyo), instant_literal(without_zone)}

    assert literals == {"TIMESTAMP WITH TIME ZONE '2026-11-23 09:00:00.000000+00:00'"}


@ENGINES
def test_the_history_of_a_resource_holds_all_its_changes_and_no_others(engine: Engine, tmp_path: Path) -> None:
    changes = log(change(2, "vpc-1", "removed"), change(1, "vpc-2"), change(0, "vpc-1", "added"))

    rows = asked(engine, history_of("vpc-1"), changes, tmp_path)

    assert [(row["change"], row["observed_at"]) for row in rows] == [("added", at(0)), ("removed", at(2))]


@ENGINES
@pytest.mark.parametrize("resource_id", ["o'brien", "' OR 1 = 1 --", "\\", "\\'", '"', "%_", "a\nb", "ü", ""])
def test_a_text_is_nothing_but_a_text(engine: Engine, tmp_path: Path, resource_id: str) -> None:
    changes = log(change(0, resource_id), change(1, "vpc-2"))

    rows = asked(engine, history_of(resource_id), changes, tmp_path)

    assert [row["resource_id"] for row in rows] == [resource_id]


def test_the_document_shows_the_sql_that_is_tested() -> None:
    document = (Path(__file__).parents[2] / "docs" / "metadata.md").read_text(encoding="utf-8")

    shown = [part.split("```")[0] for part in document.split("```sql\n")[1:]]

    queries = [
        CURRENT_RESOURCES,
        resources_as_of(datetime(2026, 11, 1, 6, tzinfo=UTC)),
        EACH_RESOURCE_ONCE,
        history_of("vpc-0a1b2c3d4e5f67890"),
    ]
    assert [query for query in queries if query not in shown] == []
