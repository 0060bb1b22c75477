"""What a person looks at in the Dagster UI on the demo's organization, in a real browser; makes pictures for the docs.

`make test-ui` runs it. It needs Chromium, which that command installs where it may; KENTIK_DAGSTER_PICTURES names a
folder that takes the pictures, `docs` to renew those of the documentation.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.ui.dagster_ui import (
    DagsterUi,
    around_the_boxes,
    choose_hour,
    choose_partitions,
    screenshot,
    wait_until_still,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("UI_TEST" not in os.environ, reason="make test-ui runs it"),
]
_LINEAGE = """{ assetNodes(assetKeys: [{path: ["enriched_flows"]}]) { assetMaterializations(limit: 1) {
  metadataEntries { ... on TableColumnLineageMetadataEntry { lineage {
    columnName columnDeps { assetKey { path } columnName } } } } } } }"""
# Whether the box of an asset says that it is materialised.
_IS_GREEN = """name => [...document.querySelectorAll('svg foreignObject')]
  .filter(box => box.textContent.trim() === name)
  .flatMap(box => [...box.querySelectorAll('*')])
  .map(part => getComputedStyle(part).backgroundColor.match(/\\d+/g).map(Number))
  .some(([red, green]) => green > red + 5)"""
_ASSETS = (
    "org_accounts", "metadata_changes", "metadata_calls", "address_book", "flow_logs", "flow_log_objects",
    "firewall_logs", "rejected_records", "enriched_flows", "cloud_devices", "deletion_sweep", "metric_listings",
    "metric_series", "lake_upkeep", "status_page", "aws_setup",
)  # fmt: skip


def test_the_graph_tells_the_story(page: Page, ui: DagsterUi, pictures: Path) -> None:
    ui.wait(ui.is_quiet, "the end of all runs")
    page.goto(f"{ui.url}/asset-groups")

    for group in ("sources", "metadata", "flow_logs", "metrics", "lake"):
        page.get_by_text(group, exact=True).first.wait_for()
    page.set_viewport_size({"width": 1750, "height": 2000})
    page.keyboard.press("Alt+E")  # all groups open
    page.get_by_text("metric_listings", exact=True).first.wait_for()
    wait_until_still(page)
    page.mouse.dblclick(560, 1900)  # beside all boxes: the whole graph
    for asset in _ASSETS:
        page.get_by_text(asset, exact=True).first.wait_for()
    wait_until_still(page)
    page.wait_for_function(_IS_GREEN, arg="org_accounts")
    page.add_style_tag(content="* { background-image: none !important }")  # dots, which make a picture large
    screenshot(page, pictures / "asset-graph.png", clip=around_the_boxes(page))
    page.set_viewport_size({"width": 1500, "height": 950})


def test_an_hour_is_materialised_from_its_page_and_shows_its_traffic(page: Page, ui: DagsterUi, pictures: Path) -> None:
    hour = ui.hours()[0]
    before = len(ui.runs())

    dialog = choose_partitions(page, ui, "enriched_flows")
    choose_hour(dialog, hour)
    dialog.get_by_role("button", name="Launch").click()

    ui.wait(lambda: [run["status"] for run in ui.runs()[: len(ui.runs()) - before]] == ["SUCCESS"], "the page's run")
    page.goto(f"{ui.url}/assets/enriched_flows?view=partitions&partition=made-up%7C{hour}")
    page.get_by_text("traffic_per_minute").first.wait_for()
    page.get_by_text("unresolved_share").first.wait_for()
    row = page.locator("tr", has_text="traffic_per_minute").first
    row.get_by_text("Show Markdown").click()
    page.locator(".dagster-dialog img").wait_for()
    page.wait_for_function("() => document.querySelector('.dagster-dialog img').naturalWidth === 720")
    screenshot(page, pictures / "traffic-per-minute.png")
    page.keyboard.press("Escape")


def test_lineage_is_followed_from_flows_to_owners(page: Page, ui: DagsterUi, pictures: Path) -> None:
    page.goto(f"{ui.url}/assets/enriched_flows?view=lineage")
    page.get_by_text("address_book", exact=True).first.wait_for()
    wait_until_still(page)
    screenshot(page, pictures / "lineage.png")
    page.get_by_text("address_book", exact=True).first.dblclick()
    page.get_by_text("metadata_changes", exact=True).first.wait_for()
    assert "/assets/address_book" in page.url

    # The open-source UI draws no lineage of columns; it is recorded with the assets.
    (asset,) = ui.ask(_LINEAGE)["assetNodes"]
    (newest,) = asset["assetMaterializations"]
    (columns,) = [entry["lineage"] for entry in newest["metadataEntries"] if "lineage" in entry]
    (owner,) = [column["columnDeps"] for column in columns if column["columnName"] == "src_instance_name"]
    assert {"assetKey": {"path": ["address_book"]}, "columnName": "instance_name"} in owner


def test_the_status_page_is_linked_and_opens(page: Page, ui: DagsterUi, pictures: Path) -> None:
    page.goto(f"{ui.url}/assets/status_page?view=events")
    link = page.locator("a[href^='file://']").first
    link.wait_for(state="attached")
    place = link.get_attribute("href")
    assert place is not None
    page.goto(place)
    page.get_by_text("made-up", exact=True).first.wait_for()
    assert page.get_by_role("heading", name="Exports").is_visible()
    assert page.locator(".state.OK").count() > 0
    screenshot(page, pictures / "status-page.png")


def test_an_asset_says_what_one_row_is_which_columns_it_has_and_whose_it_is(page: Page, ui: DagsterUi) -> None:
    page.goto(f"{ui.url}/assets/enriched_flows?view=overview")

    for text in ("One row is a flow record with both ends resolved", "src_instance_name"):
        page.get_by_text(text).first.wait_for()
    for text in ("network", "Polars", "Delta Lake", "Checks"):
        page.get_by_text(text, exact=True).first.wait_for()
    page.get_by_text(re.compile(r"flow_logs\.py")).first.wait_for()


def test_checks_schedules_and_sensors_are_there_and_on(page: Page, ui: DagsterUi) -> None:
    page.goto(f"{ui.url}/automation")
    for name in ("metadata_every_quarter_hour", "flow_logs_1_made_up", "reenrichment"):
        page.get_by_text(name).first.wait_for()
    page.goto(f"{ui.url}/assets/flow_logs?view=checks")
    page.get_by_text("every_counted_row_is_there").first.wait_for()
