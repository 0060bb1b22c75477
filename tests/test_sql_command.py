"""`kentik-dagster sql` as an analyst uses it: over real Delta tables, read only, with clear words where it cannot."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import polars as pl
import pytest
from click.testing import CliRunner
from deltalake import DeltaTable, write_deltalake

from kentik_dagster.catalog.ready_views import READY_VIEWS
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.cli import main
from kentik_dagster.core.schemas import polars_schema
from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.lake.sql import MADE_BY

CONFIGURATION = """\
lake: {lake}
exports:
  - name: acme
    region: us-east-1
    bucket: acme-logs
    start: 2026-11-01
"""
FLOW = {"export": "acme", "hour": "2026-11-23T09", "src_vpc_id": "vpc-a", "dst_vpc_id": "vpc-b", "bytes": 1_000,
        "packets": 1, "action": "ACCEPT", "is_primary_record": True, "sample_rate": 1.0, "src_addr": "10.0.0.1",
        "src_tags": {"Name": "web"}, "start_time": datetime(2026, 11, 23, 9, 1, tzinfo=UTC)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Said:
    """How the command ended, and what it printed where."""

    exit_code: int
    rows: str
    complaints: str


Ask = Callable[..., Said]


def written(root: str, name: str, *rows: dict[str, Any], **storage_options: str) -> str:
    """A table of the lake with these rows."""
    frame = pl.DataFrame(list(rows), schema=polars_schema(TABLES[name]))
    uri = f"{root}/{name}"
    layout = list(TABLES[name].partition_by)
    write_deltalake(uri, frame.to_arrow(), partition_by=layout, storage_options=storage_options or None)
    return uri


def ask_in(folder: Path, *arguments: str, stdin: str = "", **environment: str) -> Said:
    ours = ("AWS_", "KENTIK_")
    cleared: dict[str, str | None] = {name: None for name in os.environ if name.startswith(ours)}
    command = ["sql", "--config", str(folder / "kentik.yaml"), *arguments]
    done = CliRunner().invoke(main, command, input=stdin, env=cleared | environment)
    if not isinstance(done.exception, SystemExit | None):
        raise done.exception
    return Said(done.exit_code, done.stdout, done.stderr)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A lake with two hours of flows, in a folder whose name needs care; the other tables were never made."""
    folder = tmp_path / "a lake"
    written(str(folder), "enriched_flows", FLOW, FLOW | {"hour": "2026-11-23T10", "bytes": 5})
    (tmp_path / "kentik.yaml").write_text(CONFIGURATION.format(lake="./a lake"))
    return folder


@pytest.fixture
def ask(tmp_path: Path, lake: Path) -> Ask:
    return lambda *arguments, **more: ask_in(tmp_path, *arguments, **more)


# --- answers ------------------------------------------------------------------------------------------------------


def test_an_answer_is_a_table(ask: Ask) -> None:
    said = ask("SELECT src_vpc_id, SUM(bytes) AS bytes FROM traffic_between_vpcs GROUP BY src_vpc_id")

    assert said.rows == "src_vpc_id  bytes\n----------  -----\nvpc-a        1005\n"
    assert said.complaints == ""


def test_a_table_shows_its_columns_also_without_rows(ask: Ask) -> None:
    assert ask("SELECT hour FROM enriched_flows WHERE hour = 'never'").rows == "hour\n----\n"


@pytest.mark.parametrize("how", ["argument", "file", "stdin", "stdin by a hyphen"])
def test_the_query_comes_from_where_it_is_handy(ask: Ask, tmp_path: Path, how: str) -> None:
    query = "SELECT count(*) AS flows FROM enriched_flows; -- all"
    (tmp_path / "query.sql").write_text(query)
    given = {
        "argument": ask(query),
        "file": ask("--file", str(tmp_path / "query.sql")),
        "stdin": ask(stdin=query),
        "stdin by a hyphen": ask("-", stdin=query),
    }

    assert given[how].rows == "flows\n-----\n    2\n"


def test_a_plan_is_shown_as_it_is_and_names_what_is_read(ask: Ask) -> None:
    said = ask("EXPLAIN SELECT bytes FROM top_talkers WHERE hour = '2026-11-23T09'")

    assert "\nlogical_plan\n" in f"\n{said.rows}"
    assert "hour=2026-11-23T09/" in said.rows
    assert "hour=2026-11-23T10/" not in said.rows


def test_words_of_a_query_mean_nothing_by_themselves(ask: Ask) -> None:
    said = ask("SELECT 'COPY; explain -- DELETE' AS explain, 'metric_series' AS b")

    assert said.rows.splitlines()[-1] == "COPY; explain -- DELETE  metric_series"


def test_csv_holds_every_row_and_writes_nested_values_as_json(ask: Ask) -> None:
    said = ask("--format", "csv", "SELECT hour, start_time, src_tags, dst_addr FROM enriched_flows ORDER BY hour")

    assert said.rows.splitlines() == [
        "hour,start_time,src_tags,dst_addr",
        '2026-11-23T09,2026-11-23T09:01:00Z,"{""Name"": ""web""}",',
        '2026-11-23T10,2026-11-23T09:01:00Z,"{""Name"": ""web""}",',
    ]


def test_json_is_an_object_a_line(ask: Ask) -> None:
    said = ask("--format", "json", "SELECT bytes, src_tags, dst_addr FROM enriched_flows ORDER BY hour")

    assert [json.loads(line) for line in said.rows.splitlines()] == [
        {"bytes": 1_000, "src_tags": {"Name": "web"}, "dst_addr": None},
        {"bytes": 5, "src_tags": {"Name": "web"}, "dst_addr": None},
    ]


def test_parquet_keeps_the_types(ask: Ask, tmp_path: Path) -> None:
    said = ask("--format", "parquet", "--output", str(tmp_path / "flows.parquet"), "SELECT * FROM enriched_flows")

    assert (said.exit_code, said.rows) == (0, "")
    assert pl.read_parquet(tmp_path / "flows.parquet").schema == polars_schema(TABLES["enriched_flows"])
    assert not list(tmp_path.glob("*.part"))


def test_a_limit_cuts_every_form_and_a_table_says_that_there_is_more(ask: Ask) -> None:
    query = "SELECT hour FROM enriched_flows ORDER BY hour"

    cut = ask("--limit", "1", query)

    assert cut.rows.splitlines() == ["hour", "-------------", "2026-11-23T09"]
    assert "The first 1 rows" in cut.complaints
    assert ask("--limit", "1", "--format", "csv", query).rows == "hour\n2026-11-23T09\n"
    assert ask("--limit", "2", query).complaints == ""
    assert len(ask("--limit", "0", query).rows.splitlines()) == 4


def test_an_answer_without_end_begins_at_once(ask: Ask) -> None:
    endless = "SELECT a.hour FROM enriched_flows a" + "".join(f" CROSS JOIN enriched_flows a{n}" for n in range(30))

    assert ask("--format", "csv", "--limit", "3", endless).rows.count("2026-11-23T") == 3


def test_files_of_other_hours_are_not_opened_also_through_a_view(ask: Ask, lake: Path) -> None:
    (lost,) = lake.glob("enriched_flows/export=acme/hour=2026-11-23T10/*.parquet")
    lost.unlink()

    one_hour = ask("SELECT bytes FROM traffic_between_vpcs WHERE hour = '2026-11-23T09'")
    all_hours = ask("SELECT bytes FROM traffic_between_vpcs")

    assert one_hour.rows.split() == ["bytes", "-----", "1000"]
    assert all_hours.exit_code == 1
    assert "the query cannot be answered" in all_hours.complaints


def test_a_query_that_does_not_fit_into_memory_says_what_to_leave_out(ask: Ask) -> None:
    many = "".join(f" CROSS JOIN enriched_flows a{n}" for n in range(16))

    said = ask("--memory", "1M", f"SELECT a.src_addr FROM enriched_flows a{many} ORDER BY random()")

    assert said.exit_code == 1
    assert "narrow it by a condition on `hour`" in said.complaints


def test_a_lake_in_s3_is_asked_alike(tmp_path: Path, aws: Emulator) -> None:
    boto3.client("s3").create_bucket(Bucket="acme-lake-asked")
    written("s3://acme-lake-asked/kentik", "enriched_flows", FLOW, AWS_ALLOW_HTTP="true")
    (tmp_path / "kentik.yaml").write_text(CONFIGURATION.format(lake="s3://acme-lake-asked/kentik"))

    said = ask_in(tmp_path, "SELECT bytes FROM traffic_between_vpcs", **aws.environment())

    assert said.rows.split() == ["bytes", "-----", "1000"], said.complaints


# --- nothing is changed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM enriched_flows",
        "INSERT INTO enriched_flows SELECT * FROM enriched_flows",
        "WITH all_flows AS (SELECT * FROM enriched_flows) INSERT INTO enriched_flows SELECT * FROM all_flows",
        "UPDATE enriched_flows SET bytes = 0",
        "MERGE INTO enriched_flows AS t USING enriched_flows AS s ON t.hour = s.hour WHEN MATCHED THEN DELETE",
        "DROP TABLE enriched_flows",
        "TRUNCATE TABLE enriched_flows",
        "CREATE TABLE mine AS SELECT 1 AS a",
        "CREATE EXTERNAL TABLE mine STORED AS CSV LOCATION '{folder}/mine'",
        "COPY (SELECT 1 AS a) TO '{folder}/mine.csv'",
        "EXPLAIN ANALYZE COPY (SELECT 1 AS a) TO '{folder}/mine.csv'",
        "EXPLAIN EXPLAIN COPY (SELECT 1 AS a) TO '{folder}/mine.csv'",
        "COPY (SELECT 1 AS a) TO '{folder}/mine.csv' -- EXPLAIN",
        "/* SELECT */ COPY (SELECT 1 AS a) TO '{folder}/mine.csv' -- SELECT",
        "(COPY (SELECT 1 AS a) TO '{folder}/mine.csv')",
        "SELECT * FROM (COPY (SELECT 1 AS a) TO '{folder}/mine.csv')",
        "SET datafusion.execution.batch_size = 1",
        "VACUUM enriched_flows",
        "selct 1",
    ],
)
def test_what_is_no_query_is_refused_and_leaves_all_as_it_is(ask: Ask, lake: Path, statement: str) -> None:
    before = sorted(lake.parent.rglob("*"))

    said = ask(statement.format(folder=lake.parent))

    assert said.exit_code == 1, said.rows
    assert "only queries are answered" in said.complaints or "the query cannot be answered" in said.complaints
    assert sorted(lake.parent.rglob("*")) == before
    assert DeltaTable(lake / "enriched_flows").version() == 0


def test_a_second_statement_is_refused_before_the_first_is_answered(ask: Ask, lake: Path) -> None:
    before = sorted(lake.parent.rglob("*"))

    said = ask(f"SELECT 1 AS a; COPY (SELECT 1 AS a) TO '{lake.parent}/mine.csv'")

    assert (said.exit_code, said.rows) == (1, "")
    assert "ask one query at a time" in said.complaints
    assert sorted(lake.parent.rglob("*")) == before


def test_a_table_that_is_not_there_is_not_made_by_asking(ask: Ask, lake: Path) -> None:
    said = ask("SELECT * FROM metric_series")

    assert "the table metric_series is not in" in said.complaints
    assert "the first reading of CloudWatch metrics makes it" in said.complaints
    assert not (lake / "metric_series").exists()


# --- clear words --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("SELECT srcaddr FROM enriched_flows", "there is no column srcaddr here. Did you mean src_addr or "),
        ("SELECT e.source_vpc_id FROM enriched_flows e", "there is no column e.source_vpc_id here. Did you mean "),
        ('SELECT "Hour" FROM enriched_flows', 'leave out the quotation marks, or write "hour"'),
        ("SELECT * FROM enriched_flow", "there is no table or view 'enriched_flow'. Did you mean enriched_flows"),
        ("SELECT * FROM sales", "there is no table or view 'sales'. --list shows what there is."),
        ("SELECT * FROM transit_gateway_drops", "cannot be asked yet: the table flow_logs is not in"),
        ("SELECT 1 AS a, 2 AS a FROM enriched_flows", "AS"),
        ("SELECT 1 AS a INTO mine", "leave out INTO"),
        ("SELECT (1", "the query ends where more is expected"),
        ("", "the query ends where more is expected"),
        ("SELECT *\nFROM enriched_flows\nWHERE )", "at Line: 3"),
        ("SELECT CAST('a' AS INT)", "Cannot cast string 'a'"),
    ],
)
def test_a_mistake_is_named_with_what_to_write(ask: Ask, query: str, told: str) -> None:
    said = ask(stdin=query)

    assert (said.exit_code, said.rows) == (1, "")
    assert told in said.complaints


def test_no_query_at_all_and_two_of_them_are_both_said(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "query.sql").write_text("SELECT 1")

    twice = ask("SELECT 1", "--file", str(tmp_path / "query.sql"))
    nowhere = ask("--file", str(tmp_path / "other.sql"))

    assert "give one of them" in twice.complaints
    assert "cannot be read" in nowhere.complaints


def test_without_a_configuration_it_says_which_file_to_make(tmp_path: Path) -> None:
    said = ask_in(tmp_path, "SELECT 1")

    assert said.exit_code == 1
    assert "there is no such file" in said.complaints


def test_what_strangers_wrote_into_logs_does_not_steer_the_terminal(tmp_path: Path, lake: Path, ask: Ask) -> None:
    evil = "\x1b[2J\x9b31m\u202ecod\r\n"
    written(str(lake), "rejected_records", {"export": "acme", "hour": "2026-11-23T09", "text": evil})

    shown = ask("SELECT text FROM rejected_records")
    complained = ask(f'SELECT "{evil}" FROM rejected_records')
    kept = ask("--format", "csv", "SELECT text FROM rejected_records")

    assert "\\x1b[2J\\x9b31m\\u202ecod\\x0d\\x0a" in shown.rows
    assert not {"\x1b", "\x9b", "\u202e", "\r"} & {*shown.rows, *complained.complaints}
    assert "\x1b[2J" in kept.rows


# --- what there is ------------------------------------------------------------------------------------------------


def test_the_list_says_of_every_table_and_view_what_one_row_is_and_needs_no_configuration(tmp_path: Path) -> None:
    said = ask_in(tmp_path, "--list")

    lines = {line.split()[0]: line for line in said.rows.splitlines() if line.startswith("  ")}
    rows = {name: table.row for name, table in TABLES.items()} | {name: view.row for name, view in READY_VIEWS.items()}
    assert lines.keys() == rows.keys()
    assert [name for name in rows if not lines[name].endswith(rows[name])] == []


def test_the_list_of_one_shows_its_columns_with_units(tmp_path: Path) -> None:
    table, view = ask_in(tmp_path, "--list", "flow_log_objects"), ask_in(tmp_path, "--list", "top_talkers")
    nothing = ask_in(tmp_path, "--list", "sales")

    assert "size of the object as stored (B)" in table.rows
    assert "Files are divided by export, hour" in table.rows
    assert "application                         of the serving port" in view.rows
    assert "there is no table or view 'sales'" in nothing.complaints


def test_of_every_table_it_is_known_by_what_it_is_made() -> None:
    assert MADE_BY.keys() == TABLES.keys()
