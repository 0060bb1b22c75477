"""`make demo` as a person runs it, interrupted by a crash and run again.

The full form kills more runs, and compares with a run that nothing disturbed:

    KENTIK_DAGSTER_KILLS=20 .venv/bin/pytest tests/test_demo.py
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from kentik_dagster.demo.story import DemoFolder, demo_folder
from kentik_dagster.lake.tables import Lake

FULL = "KENTIK_DAGSTER_KILLS" in os.environ
KILLS = int(os.environ.get("KENTIK_DAGSTER_KILLS", "1"))
# What differs from run to run without anything being different: when, and by which run.
WHEN = ("observed_at", "ingested_at", "swept_at", "run_id", "started_at", "ended_at", "last_observed_at")
COMMAND = (sys.executable, "-m", "kentik_dagster.cli", "demo", "--folder")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[DemoFolder, str]:
    """A demo whose runs were killed, that a last run finished, and what that one printed."""
    path = tmp_path_factory.mktemp("killed")
    folder = demo_folder(path, datetime.now(UTC))
    # The moments that matter, and a random while after each.
    moments = ("flow_logs/export=*/*/*.parquet", "flow_log_objects/_delta_log/*1.json", "flow_logs/_delta_log/*1.json",
               "enriched_flows/export=*/*/*.parquet", "deletion_sweep/_delta_log/*0.json")  # fmt: skip
    chosen = random.Random(20261123)

    killed = [_kill_a_run(path, moments[number % len(moments)], chosen.uniform(0, 0.3)) for number in range(KILLS)]

    assert any(killed)
    return folder, run_demo(path)


def run_demo(path: Path) -> str:
    done = subprocess.run([*COMMAND, str(path)], capture_output=True, text=True, timeout=300, env=environment())
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {"COLUMNS": "120"}


def contents(path: Path) -> dict[str, list[str]]:
    """The rows of every table, without what only says when."""
    tables = {}
    for table in Lake(str(path / "lake")).tables:
        rows = table.read()
        tables[table.table.name] = sorted(map(repr, rows.drop(WHEN, strict=False).rows()))
    return tables


def enriched_with_truth(folder: DemoFolder) -> pl.DataFrame:
    """Every enriched flow beside who really owned both ends; flows only, no NODATA or SKIPDATA."""
    lake = Lake(str(folder.path / "lake"))
    keys = lake["flow_log_objects"].scan().select("source_object", "key")
    names = {
        "src_addr": "srcaddr",
        "dst_addr": "dstaddr",
        "src_port": "srcport",
        "dst_port": "dstport",
        "observing_eni_id": "interface_id",
    }
    enriched = (
        lake["enriched_flows"]
        .scan()
        .join(keys, on="source_object")
        .rename(names)
        .with_columns(start=pl.col("start_time").dt.epoch("s"), end=pl.col("end_time").dt.epoch("s"))
        .filter(pl.col("log_status") == "OK")
        .collect()
    )
    record = ["key", *names.values(), "protocol", "packets", "bytes", "start", "end"]
    truth = pl.read_parquet(folder.truth).filter(pl.col("log_status") == "OK")
    truth = truth.with_columns(pl.col(name).cast(enriched.schema[name]) for name in record)
    assert truth.select(record).is_unique().all()
    return enriched.join(truth, on=record, how="full", coalesce=True)


def test_the_demo_shows_what_was_found_and_what_to_do_next(finished: tuple[DemoFolder, str]) -> None:
    folder, printed = finished

    for told in ("enriched_flows", "Top talkers", "REJECT cost", "deleted", str(folder.path / "lake"), "make dev"):
        assert told in printed
    assert "Traceback" not in printed


def test_no_end_has_a_wrong_owner_and_every_interface_is_found(finished: tuple[DemoFolder, str]) -> None:
    flows = enriched_with_truth(finished[0])

    assert flows["true_src_kind"].null_count() == 0
    for side in ("src", "dst"):
        wrong = flows.filter(
            pl.col(f"{side}_eni_id").is_not_null()
            & (
                pl.col(f"{side}_eni_id").ne_missing(pl.col(f"true_{side}_interface_id"))
                | pl.col(f"{side}_account_id").ne_missing(pl.col(f"true_{side}_account_id"))
            )
        )
        assert wrong.is_empty()
        told = dict(flows.group_by(f"true_{side}_kind").agg(pl.col(f"{side}_resolution").unique().sort()).iter_rows())
        assert told == {"interface": ["exact"], "external": ["external"], "unknown": ["unknown"]}


def test_primary_records_count_each_conversation_once(finished: tuple[DemoFolder, str]) -> None:
    flows = enriched_with_truth(finished[0])

    assert flows.filter("is_primary_record")["bytes"].sum() == flows.filter("is_first_view")["bytes"].sum()
    assert flows["bytes"].sum() > flows.filter("is_first_view")["bytes"].sum()


def test_every_log_object_is_read_and_deleted(finished: tuple[DemoFolder, str]) -> None:
    lake = Lake(str(finished[0].path / "lake"))
    truth = pl.read_parquet(finished[0].truth)

    assert lake["flow_logs"].read().height == truth.height
    assert lake["flow_log_objects"].read()["key"].sort().to_list() == truth["key"].unique().sort().to_list()
    assert lake["flow_log_objects"].read()["outcome"].unique().to_list() == ["ingested"]
    assert lake["deletion_sweep"].read()["outcome"].to_list() == ["deleted"] * truth["key"].n_unique()


@pytest.mark.skipif(not FULL, reason="the full form, with KENTIK_DAGSTER_KILLS; the others compare with the truth")
def test_runs_killed_at_any_moment_end_with_the_tables_of_an_undisturbed_run(
    finished: tuple[DemoFolder, str], tmp_path: Path
) -> None:
    folder, _ = finished
    (tmp_path / "demo.json").write_text(json.dumps({"start": folder.start.isoformat()}))

    run_demo(tmp_path)

    assert contents(folder.path) == contents(tmp_path)


def _kill_a_run(path: Path, moment: str, pause: float) -> bool:
    """Start the demo, and kill it with all its processes a while after a file appears; False if it was faster."""
    seen = set((path / "lake").glob(moment))
    process = subprocess.Popen(
        [*COMMAND, str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(),
        start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while process.poll() is None and set((path / "lake").glob(moment)) == seen and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(pause)
    was_running = process.poll() is None
    if was_running:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return was_running
