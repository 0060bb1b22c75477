"""The ready views count what they say, and three engines give the same rows from the one file."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder, write_deltalake

from kentik_dagster.catalog.ready_views import READY_VIEWS, VIEWS_FILE
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.catalog.views import EACH_RESOURCE_ONCE
from kentik_dagster.core.schemas import polars_schema

FILE = VIEWS_FILE.read_text(encoding="ascii")
Frames = Mapping[str, pl.DataFrame]
READ = sorted(frozenset[str]().union(*(view.reads for view in READY_VIEWS.values())))

# Two VPCs of two accounts, a NAT gateway's subnet, and the internet.
WEB = {"account_name": "shop", "region": "eu-west-1", "vpc_id": "vpc-a", "subnet_id": "subnet-a", "az_id": "euw1-az1",
       "eni_id": "eni-web", "eni_entity_name": "web", "resolution": "exact"}  # fmt: skip
DATABASE = {"account_name": "data", "region": "eu-west-1", "vpc_id": "vpc-b", "subnet_id": "subnet-b",
            "az_id": "euw1-az2", "eni_id": "eni-db", "eni_entity_name": "db", "resolution": "exact"}  # fmt: skip
INTERNET = {"resolution": "external", "pkt_addr": "192.0.2.1"}


def flow(src: Mapping[str, Any] = WEB, dst: Mapping[str, Any] = DATABASE, **values: Any) -> dict[str, Any]:
    """An accepted record of 1,000 B that counts, from one end to another."""
    usual = {"export": "acme", "hour": "2026-11-23T09", "log_type": "vpc", "log_status": "OK", "action": "ACCEPT",
             "bytes": 1_000, "packets": 10, "protocol": 6, "dst_port": 443, "tcp_flags": 0, "application": "https",
             "flow_direction": "egress", "is_primary_record": True, "sample_rate": 1.0,
             "traffic_profile": "internal cloud"}  # fmt: skip
    ends = {f"src_{name}": value for name, value in src.items()} | {f"dst_{name}": v for name, v in dst.items()}
    return usual | ends | values


def table(name: str, *rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=polars_schema(TABLES[name]))


def asked(view: str, **tables: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What DuckDB gives for a view, over these rows: the columns that are not empty."""
    frames = {name: table(name, *tables.get(name, [])) for name in READ}
    rows = in_duckdb(frames, Path())(f"SELECT * FROM {view} ORDER BY ALL").to_dicts()
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


# --- the engines --------------------------------------------------------------------------------------------------


def in_duckdb(frames: Frames, _: Path) -> Callable[[str], pl.DataFrame]:
    """The file as it stands."""
    connection = duckdb.connect()
    connection.execute("SET threads = 1; SET TimeZone = 'America/New_York'")
    for name, rows in frames.items():
        connection.register(name, rows.to_arrow())
    connection.execute(FILE)
    return lambda query: frame(connection.sql(query).to_arrow_table())


def in_polars(frames: Frames, _: Path) -> Callable[[str], pl.DataFrame]:
    """A statement at a time, as docs/analysts.md shows it; Polars has no views, and its tables are as lazy."""
    context = pl.SQLContext(frames)
    for statement in FILE.split(";\n")[:-1]:
        context.execute(statement.replace("CREATE VIEW", "CREATE TABLE"))
    return lambda query: context.execute(query, eager=True)


def in_datafusion(frames: Frames, folder: Path) -> Callable[[str], pl.DataFrame]:
    """The built-in engine, over Delta tables that are laid out as the lake's."""
    builder = QueryBuilder()
    for name, rows in frames.items():
        write_deltalake(folder / name, rows.to_arrow(), partition_by=list(TABLES[name].partition_by))
        builder.register(name, DeltaTable(folder / name))
    for view in READY_VIEWS.values():
        builder.execute(view.statement)
    return lambda query: frame(pa.table(builder.execute(query).read_all()))


def frame(rows: pa.Table) -> pl.DataFrame:
    answer = pl.from_arrow(rows)
    assert isinstance(answer, pl.DataFrame)
    return answer


def test_three_engines_give_the_same_rows(tmp_path: Path) -> None:
    chance = random.Random(20261123)
    frames = {name: any_rows(name, 400, chance) for name in READ}
    engines = [engine(frames, tmp_path) for engine in (in_duckdb, in_polars, in_datafusion)]

    for name in READY_VIEWS:
        answers = [comparable(ask(f"SELECT * FROM {name}")) for ask in engines]

        assert answers[0], f"{name} has no rows: these tables do not try it"
        assert answers[1] == answers[0], name
        assert answers[2] == answers[0], name


def any_rows(name: str, number: int, chance: random.Random) -> pl.DataFrame:
    """Rows with few different values of each column, so that they meet in groups, and nulls in all of them."""
    said: dict[str, list[Any]] = {
        "hour": ["2026-11-23T09", "2026-11-23T10"], "export": ["acme", "other"], "account_id": ["111122223333"],
        "log_type": ["vpc", "transit_gateway"], "action": ["ACCEPT", "REJECT"], "log_status": ["OK", "SKIPDATA"],
        "gateway_type": ["nat_gateway", "vpc_endpoint", "internet_gateway"], "protocol": [6, 17],
        "traffic_profile": ["cloud to outside", "outside to cloud", "internal cloud"], "tcp_flags": [0, 2, 18],
        "flow_direction": ["ingress", "egress"], "sample_rate": [1.0, 100.0, 1.7], "change": ["added", "removed"],
        "src_resolution": ["exact", "unknown"], "dst_resolution": ["external", "ambiguous"],
        "src_region": ["eu-west-1"], "dst_region": ["eu-west-1", "us-east-1"], "dst_aws_service": ["S3", "EC2"],
        "src_aws_service": ["DYNAMODB"], "resource_id": ["vpc-1", "vpc-2"], "tags": [{"Name": "a"}],
    }  # fmt: skip
    usual: dict[Any, list[Any]] = {
        pl.String: ["a", "b"], pl.Boolean: [True, False], pl.Int32: [1, 70_000], pl.Int64: [0, 40, 1_500, 2**40],
        pl.Float64: [1.0], pl.Datetime: [datetime(2026, 11, 23, 9, 0, 0, 123456, UTC)], pl.List: [["sg-1", "sg-2"], []],
    }  # fmt: skip
    schema = polars_schema(TABLES[name])
    always = (*TABLES[name].partition_by, "observed_at")  # no partition is null, and no resource has two last changes
    columns: dict[str, list[Any]] = {}
    for column, kind in schema.items():
        values = said.get(column) or usual.get(kind.base_type(), [None])
        chosen = values if column in always else [*values, None]
        columns[column] = [chance.choice(chosen) for _ in range(number)]
    if "observed_at" in columns:
        columns["observed_at"] = [datetime.fromtimestamp(second, UTC) for second in range(number)]
    return pl.DataFrame(columns, schema=schema)


def comparable(answer: pl.DataFrame) -> list[str]:
    """The rows in an order, with their column names and types; each engine has a name of its own for UTC."""
    told = answer.with_columns(pl.selectors.datetime().dt.convert_time_zone("UTC"))
    return [repr(told.schema), *sorted(map(repr, told.rows()))]


# --- what they count ----------------------------------------------------------------------------------------------


def test_traffic_is_counted_once_and_sampling_multiplies() -> None:
    seen_by_receiver = flow(flow_direction="ingress", is_primary_record=False)
    sampled = flow(bytes=7, packets=2, sample_rate=100.0)

    rows = asked("traffic_between_vpcs", enriched_flows=[flow(), seen_by_receiver, sampled])

    assert [(row["records"], row["packets"], row["bytes"]) for row in rows] == [(2, 210, 1_700)]


def test_what_a_record_lacks_counts_as_nothing_and_loses_no_row() -> None:
    nothing = flow(bytes=None, packets=None, sample_rate=None, src_account_name=None, src_vpc_name=None, action=None)

    (row,) = asked("traffic_between_vpcs", enriched_flows=[nothing])

    assert (row["records"], row["packets"], row["bytes"]) == (1, 0, 0)


def test_traffic_within_a_vpc_or_rejected_is_not_between_vpcs() -> None:
    assert (
        asked("traffic_between_vpcs", enriched_flows=[flow(dst=WEB), flow(dst=INTERNET), flow(action="REJECT")]) == []
    )


def test_a_rejected_packet_counts_where_it_was_rejected_although_its_sender_recorded_it_too() -> None:
    sent = flow(src_addr="10.0.0.1")
    refused = sent | {"action": "REJECT", "flow_direction": "ingress", "is_primary_record": False, "sample_rate": 10.0}
    groups = {"dst_security_group_ids": ["sg-1", "sg-2"], "src_security_group_ids": ["sg-of-the-sender"]}

    (row,) = asked("rejects_by_rule_candidate", enriched_flows=[sent | groups, refused | groups])

    assert (row["vpc_id"], row["security_group_ids"], row["port"]) == ("vpc-b", "sg-1,sg-2", 443)
    assert (row["peers"], row["records"], row["packets"], row["bytes"]) == (1, 1, 100, 10_000)


def test_what_is_rejected_on_its_way_out_is_the_matter_of_the_senders_rules() -> None:
    refused = flow(action="REJECT", src_security_group_ids=["sg-of-the-sender"], dst_addr="10.1.0.1")

    (row,) = asked("rejects_by_rule_candidate", enriched_flows=[refused])

    assert (row["vpc_id"], row["security_group_ids"], row["peers"]) == ("vpc-a", "sg-of-the-sender", 1)


def test_talkers_have_the_best_name_that_is_known() -> None:
    unnamed = {name: value for name, value in WEB.items() if name != "eni_entity_name"}

    rows = asked("top_talkers", enriched_flows=[flow(), flow(src=unnamed), flow(src=INTERNET), flow(dst=INTERNET)])

    assert {(row["source"], row["destination"]) for row in rows} == {
        ("192.0.2.1", "db"), ("eni-web", "db"), ("web", "192.0.2.1"), ("web", "db"),
    }  # fmt: skip


def test_internet_egress_leaves_out_what_goes_to_an_endpoint_and_keeps_what_has_no_known_gateway() -> None:
    out = flow(dst=INTERNET, traffic_profile="cloud to outside")

    rows = asked("internet_egress_by_subnet", enriched_flows=[out, out | {"gateway_type": "vpc_endpoint"}, flow()])

    assert [(row["subnet_id"], row["bytes"]) for row in rows] == [("subnet-a", 1_000)]


def test_a_connection_from_the_internet_counts_in_the_record_of_its_first_packet() -> None:
    opened = flow(src=INTERNET, traffic_profile="outside to cloud", tcp_flags=2, sample_rate=10.0)
    rest, answer, refused = (opened | {"tcp_flags": 0}, opened | {"tcp_flags": 18}, opened | {"action": "REJECT"})

    (row,) = asked("opened_from_internet", enriched_flows=[opened, opened, rest, answer, refused])

    assert (row["eni_entity_name"], row["port"], row["sources"], row["connections"]) == ("db", 443, 1, 20)


def test_both_ways_through_a_nat_gateway_are_one_row_that_says_whether_an_endpoint_would_do() -> None:
    through: dict[str, Any] = {"gateway_type": "nat_gateway", "gateway_id": "nat-1"}
    s3, ec2 = INTERNET | {"aws_service": "S3"}, INTERNET | {"aws_service": "EC2"}
    sent = flow(dst=s3, traffic_profile="cloud to outside", **through)
    received = flow(src=s3, dst=WEB, traffic_profile="outside to cloud", bytes=50_000, **through)
    elsewhere = flow(dst=ec2, traffic_profile="cloud to outside", **through)

    rows = asked("nat_gateway_traffic", enriched_flows=[sent, received, elsewhere, sent | {"is_primary_record": False}])

    columns = ("subnet_id", "aws_service", "gateway_endpoint_would_do", "bytes_sent", "bytes_received")
    assert [tuple(row[name] for name in columns) for row in rows] == [
        ("subnet-a", "EC2", False, 1_000, 0), ("subnet-a", "S3", True, 1_000, 50_000),
    ]  # fmt: skip


def test_zones_are_crossed_within_a_region_only() -> None:
    rows = asked("cross_zone_traffic", enriched_flows=[flow(), flow(dst=WEB), flow(dst_region="us-east-1")])

    assert [(row["src_az_id"], row["dst_az_id"], row["bytes"]) for row in rows] == [("euw1-az1", "euw1-az2", 1_000)]


def test_transit_gateway_drops_are_multiplied_and_told_by_reason() -> None:
    record = {"export": "acme", "hour": "2026-11-23T09", "log_type": "transit_gateway", "tgw_id": "tgw-1"}
    lost = record | {"packets_lost_blackhole": 3, "packets_lost_no_route": None, "sample_rate": 100.0}
    none_lost = record | {"packets_lost_blackhole": 0, "packets_lost_no_route": 0}

    (row,) = asked("transit_gateway_drops", flow_logs=[lost, none_lost])

    assert (row["records"], row["packets_lost_blackhole"], row["packets_lost_no_route"]) == (1, 300, 0)


def test_unresolved_ends_are_a_share_of_the_ends_of_each_vpc() -> None:
    nobody = {"resolution": "unknown", "addr": "10.0.9.9"}
    records = [flow(dst=nobody), flow(), flow(), flow(log_status="NODATA", src_resolution=None, dst_resolution=None)]

    (row,) = asked("unresolved_ends_by_vpc", enriched_flows=[row | {"observing_vpc_id": "vpc-a"} for row in records])

    assert (row["ends"], row["unknown"], row["ambiguous"], row["unresolved_addresses"]) == (6, 1, 0, 1)
    assert row["unresolved_share"] == pytest.approx(1 / 6)


# --- the file -----------------------------------------------------------------------------------------------------


def test_every_statement_of_the_file_is_a_view_that_says_what_one_row_is() -> None:
    assert list(READY_VIEWS) == re.findall(r"^CREATE VIEW (\w+) AS$", FILE, flags=re.MULTILINE)
    assert FILE.count(";\n") == len(READY_VIEWS)


@pytest.mark.parametrize("name", READY_VIEWS)
def test_the_comment_of_a_view_names_its_columns(name: str) -> None:
    view = READY_VIEWS[name]
    frames = {table_name: table(table_name) for table_name in READ}

    columns = set(in_duckdb(frames, Path())(f"SELECT * FROM {name}").columns)

    whole = re.search(r"all columns of (\w+)", view.says)
    said = set(re.findall(r"\w+", view.says)) | (set(polars_schema(TABLES[whole[1]])) if whole else set())
    assert columns - said == set()


def test_a_view_over_a_view_reads_what_that_one_reads() -> None:
    assert READY_VIEWS["top_talkers"].reads == {"enriched_flows"}
    assert READY_VIEWS["transit_gateway_drops"].reads == {"flow_logs"}


def test_current_resources_are_those_of_the_metadata_document() -> None:
    assert READY_VIEWS["current_resources"].query == EACH_RESOURCE_ONCE.rstrip()


# --- metrics ------------------------------------------------------------------------------------------------------


def test_a_datapoint_has_the_name_that_its_resource_had_at_the_time_and_is_a_rate() -> None:
    place = {"account_id": "111122223333", "region": "eu-west-1", "resource_type": "nat_gateway"}
    gateway = place | {"resource_id": "nat-1"}
    point = gateway | {"namespace": "AWS/NATGateway", "metric_name": "BytesOutToSource", "unit": "Bytes",
                       "statistic": "Sum", "period_seconds": 60, "value": 600.0}  # fmt: skip
    at = [datetime(2026, 11, 23, hour, tzinfo=UTC) for hour in range(8, 13)]

    rows = asked(
        "metrics_by_resource",
        metric_series=[
            *(point | {"timestamp": instant} for instant in at),
            point | {"timestamp": at[1], "resource_id": "nat-2", "statistic": "Maximum"},
        ],
        metadata_changes=[
            gateway | {"name": "old", "change": "added", "observed_at": at[1]},
            gateway | {"name": "new", "change": "changed", "observed_at": at[2]},
            gateway | {"name": "new", "change": "removed", "observed_at": at[4]},
        ],
    )

    assert [(row["timestamp"], row.get("resource_name")) for row in rows if row["resource_id"] == "nat-1"] == [
        (at[0], None),
        (at[1], "old"),
        (at[2], "new"),
        (at[3], "new"),
        (at[4], None),
    ]
    assert {(row.get("per_second"), row.get("bits_per_second")) for row in rows} == {(10.0, 80.0), (None, None)}
