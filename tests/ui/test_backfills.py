"""Backfills, launched by a person from the Dagster UI: flows that are resolved again, hours that are read, metrics."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from tests.ui.dagster_ui import DagsterUi, choose_partitions, screenshot

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("UI_TEST" not in os.environ, reason="make test-ui runs it"),
]


def test_flows_of_all_hours_are_resolved_again_and_no_object_is_read(page: Page, ui: DagsterUi, pictures: Path) -> None:
    known = {one["id"] for one in ui.backfills()}
    read_before = ui.lake["flow_logs"].open().version
    enriched_before = ui.lake["enriched_flows"].open().version

    dialog = choose_partitions(page, ui, "enriched_flows")
    dialog.get_by_role("button", name="All").first.click()
    dialog.get_by_role("button", name="All").nth(1).click()
    dialog.get_by_text(re.compile("[2-9] partitions$")).wait_for()
    screenshot(page, pictures / "backfill-dialog.png")
    dialog.get_by_role("button", name="Launch").click()

    done = ui.wait_for_backfill(known)
    assert done["assetSelection"] == [{"path": ["enriched_flows"]}]
    assert ui.lake["flow_logs"].open().version == read_before
    assert ui.lake["enriched_flows"].open().version > enriched_before
    page.goto(f"{ui.url}/runs/b/{done['id']}")
    page.get_by_text("enriched_flows").first.wait_for()
    page.get_by_text(re.compile("Succe|Complet")).first.wait_for()
    screenshot(page, pictures / "backfill.png", clip={"x": 0, "y": 0, "width": 1500, "height": 360})


def test_the_run_of_a_backfill_says_how_far_it_is(page: Page, ui: DagsterUi, pictures: Path) -> None:
    (run, *_) = [one for one in ui.runs() if any(tag["key"] == "dagster/backfill" for tag in one["tags"])]

    page.goto(f"{ui.url}/runs/{run['runId']}")

    page.get_by_text(re.compile(r"made-up .*rows enriched")).first.wait_for()
    only = page.locator("input[placeholder^='Filter']").first
    only.fill("rows enriched")
    only.press("Enter")
    page.get_by_text("RUN_SUCCESS").first.wait_for(state="detached")
    page.get_by_text(re.compile(r"made-up .*rows enriched")).first.wait_for()
    screenshot(page, pictures / "backfill-progress.png", clip={"x": 240, "y": 0, "width": 1260, "height": 620})


def test_hours_are_read_enriched_and_swept_from_the_page_of_the_job(page: Page, ui: DagsterUi) -> None:
    known = {one["id"] for one in ui.backfills()}
    rows = ui.lake["flow_logs"].read().height

    page.goto(f"{ui.url}/locations/kentik_dagster.definitions/jobs/flow_logs")
    page.get_by_role("button", name="Materialize all").first.click()
    dialog = page.locator(".dagster-dialog")
    dialog.get_by_text("Partition selection").wait_for()
    dialog.get_by_role("button", name="All").first.click()
    dialog.get_by_role("button", name="All").nth(1).click()
    dialog.get_by_role("button", name="Launch").click()

    done = ui.wait_for_backfill(known)
    assert len(done["assetSelection"]) == 6
    assert ui.lake["flow_logs"].read().height == rows  # nothing counts twice


def test_hours_of_metrics_are_asked_for_again_and_show_themselves(page: Page, ui: DagsterUi, pictures: Path) -> None:
    known = {one["id"] for one in ui.backfills()}
    hours = ui.lake["metric_series"].scan().select(pl.col("hour").unique().sort()).collect()["hour"].to_list()

    dialog = choose_partitions(page, ui, "metric_series")
    dialog.get_by_role("button", name="All").first.click()
    dialog.get_by_role("button", name="Launch").click()

    ui.wait_for_backfill(known)
    page.goto(f"{ui.url}/assets/metric_series?view=partitions&partition={hours[0]}")
    for text in ("metrics_requested", "cost_planned", "AWS/EC2"):
        page.get_by_text(text, exact=True).first.wait_for()
    screenshot(page, pictures / "backfill-metrics.png")
