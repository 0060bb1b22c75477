"""The benchmarks' tiny forms: what they compare is the same work, and they run."""

from __future__ import annotations

import argparse
import gzip
import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from assets.sensors import SENSOR_SECONDS
from benchmarks.agreement import Checksum, DisagreementError, agree, same, sums, text_bytes
from benchmarks.contenders import few, installed, log_files, measure
from benchmarks.enrichment import measured
from benchmarks.enrichment_inputs import PLACES, Folder, made_up_book, organization
from benchmarks.enrichment_measured import MEASUREMENTS, prepare
from benchmarks.measurements import OURS as OUR_NAME
from benchmarks.measurements import Measurements, Results
from benchmarks.measures import Stages
from benchmarks.report import LABELS, costs
from kentik_dagster.lake.tables import Lake

RECORDS = 100 * PLACES
# What tells one record from another, under the names of both sides.
OURS = {
    "observing_eni_id": "interface_id", "src_pkt_addr": "pkt_srcaddr", "dst_pkt_addr": "pkt_dstaddr",
    "src_port": "srcport", "dst_port": "dstport", "start_time": "start", "flow_direction": "flow_direction",
}  # fmt: skip
ENDS = ("src_eni_id", "src_instance_id", "dst_eni_id", "dst_instance_id")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    prepare(folder, interfaces=400, records=RECORDS)
    return folder


@pytest.fixture(scope="module")
def ours(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    lake = tmp_path_factory.mktemp("ours")
    MEASUREMENTS["whole"](prepared, lake, Stages())
    return ends(Lake(str(lake))["enriched_flows"].read().rename(OURS))


def ends(enriched: pl.DataFrame) -> pl.DataFrame:
    """Both ends of each record that has any, and what tells the records apart."""
    ports = pl.col("srcport", "dstport").cast(pl.Int64)
    return enriched.filter(log_status="OK").select(*OURS.values(), *ENDS).with_columns(ports)


def plain(name: str, prepared: Path, out: Path) -> pl.DataFrame:
    MEASUREMENTS[name](prepared, out, Stages())
    if name == "duckdb_parquet":
        return pl.read_parquet(out / "enriched_flows.parquet")
    return pl.read_delta(str(out / "enriched_flows"))


@pytest.mark.parametrize("name", ["polars", "duckdb_parquet", "duckdb_delta"])
def test_every_way_reads_all_records_and_agrees_with_ours_on_the_ends_that_it_finds(
    prepared: Path, ours: pl.DataFrame, tmp_path: Path, name: str
) -> None:
    theirs = plain(name, prepared, tmp_path / "out")

    assert theirs.height == RECORDS
    beside = ends(theirs).join(ours, on=list(OURS.values()), how="inner", suffix="_ours", nulls_equal=True)
    assert beside.height == ours.height
    for end in ENDS:
        found = beside.drop_nulls(end)
        assert found.height > ours.height // 3
        assert found[end].equals(found[f"{end}_ours"], check_names=False)


def test_an_address_that_was_used_before_is_in_the_book_with_both_owners() -> None:
    book = made_up_book(organization(400)).filter(kind="interface_address", is_public=False)

    owners = book.group_by("vpc_id", "address").agg(pl.len(), pl.col("valid_to").null_count().alias("current"))

    assert owners["len"].value_counts(sort=True).rows() == [(1, 360), (2, 40)]
    assert set(owners["current"]) == {1}


def test_a_folder_lists_an_object_for_each_account_and_region(prepared: Path) -> None:
    listed = Folder(prepared / "logs").listed()

    assert listed.select("account_id", "region").unique().height == listed.height == PLACES
    assert listed["source_object"].n_unique() == PLACES


def test_a_work_is_measured_in_a_process_of_its_own(prepared: Path) -> None:
    said = measured("whole", prepared)

    assert said["stages"].keys() == {"book", "tables"}
    assert 0 < sum(said["stages"].values()) <= said["cpu"]
    assert said["peak_mb"] > 50


def test_the_report_says_what_was_measured_of_all_contenders_that_are_installed(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "benchmarks", "--reduced", "--records", "2000", "--objects", "10", "--rounds", "1",
         "--interfaces", "400", "--out", str(tmp_path)],
        cwd=Path(__file__).parents[1], check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip

    report, picture = (tmp_path / "RESULTS.md").read_text(), (tmp_path / "results.svg").read_text()
    for name in (*installed(), OUR_NAME):
        assert f"| {LABELS[name]}" in report
        assert LABELS[name] in picture
    for table in ("flow_logs", "enriched_flows"):
        assert re.search(rf"\| write {table} \| \d", report)


def test_contenders_that_read_other_records_are_not_compared() -> None:
    same = {"records": 2, "bytes": 10, "packets": 3, "fingerprint": 7}
    one = Checksum(**same, found=4)

    agree(one, Checksum(**same, found=None), who="one", whom="other")
    for other in (Checksum(**same | {"fingerprint": 8}, found=None), Checksum(**same, found=3)):
        with pytest.raises(DisagreementError):
            agree(one, other, who="one", whom="other")


@pytest.mark.parametrize("name", ["isal_gunzip", "zlib_gunzip"])
def test_gunzip_alone_is_held_to_the_length_of_the_text_that_the_objects_say(prepared: Path, name: str) -> None:
    cost = measure(name, prepared, prepared)

    whole = sum(len(gzip.decompress(file.read_bytes())) for file in log_files(prepared))
    assert cost["read"] == {"text_bytes": text_bytes(log_files(prepared))} == {"text_bytes": whole}


@pytest.mark.skipif("flowlogs_reader" not in installed(), reason="make bench installs it")
def test_a_contender_of_a_part_of_the_objects_is_held_to_that_part(prepared: Path) -> None:
    cost = measure("flowlogs_reader", prepared, prepared)

    assert cost["read"] == sums(few(log_files(prepared)))
    assert 0 < cost["start_cpu"] < cost["cpu"]


def test_a_part_is_scaled_by_its_records_and_its_start_is_not(tmp_path: Path) -> None:
    options = argparse.Namespace(records=1_000, objects=10)
    measurements = Measurements(tmp_path, options, progress=lambda _: None, tell=print)
    cost = {"cpu": 3.0, "start_cpu": 1.0, "wall": 5.0, "start_wall": 1.0, "peak_mb": 40.0, "read": {"records": 250}}

    scaled = measurements.as_if_of_all(cost)

    assert (scaled["cpu"], scaled["wall"], scaled["peak_mb"]) == (9.0, 17.0, 40.0)


def test_what_a_contender_read_wrongly_is_named() -> None:
    with pytest.raises(DisagreementError, match=r"reader read .*'records': 1.* hold .*'records': 2"):
        same({"records": 1}, {"records": 2}, who="reader")


def test_a_tick_of_the_sensor_is_counted_for_a_day_by_its_own_interval() -> None:
    results = Results(options=argparse.Namespace(records=1), objects=1)
    results.requests = {"run": {"GetObject": 1}, "tick": {"ListObjectsV2": 2}}

    assert f"= {2 * 86_400 // SENSOR_SECONDS:,} a day" in costs(results)
