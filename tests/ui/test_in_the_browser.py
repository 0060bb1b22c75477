"""What a person does in the Dagster UI on the demo's organization, in a real browser; pictures for the docs are made on
the way.

`make test-ui` runs it. It needs Chromium (apt-get install chromium); KENTIK_DAGSTER_PICTURES names a folder that takes
the pictures, `docs` to renew those of the documentation.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kentik_dagster.lake.tables import Lake

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("UI_TEST" not in os.environ, reason="make test-ui runs it"),
]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MILLISECONDS = 20_000
_LOADED = "{ workspaceOrError { ... on Workspace { locationEntries { loadStatus } } } }"
_BACKFILLS = "{ partitionBackfillsOrError { ... on PartitionBackfills { results { id status numPartitions } } } }"
_LINEAGE = """{ assetNodes(assetKeys: [{path: ["enriched_flows"]}]) { assetMaterializations(limit: 1) {
  metadataEntries { ... on TableColumnLineageMetadataEntry { lineage {
    columnName columnDeps { assetKey { path } columnName } } } } } } }"""
_RUNS = "{ runsOrError { ... on Runs { results { runId status tags { key value } } } } }"


@dataclass(frozen=True)
class DagsterUi:
    """A running `kentik-dagster dev` on the demo in a folder."""

    url: str
    folder: Path

    def ask(self, query: str) -> Any:
        """An answer of its GraphQL."""
        body = json.dumps({"query": query}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["data"]

    def is_loaded(self) -> bool:
        """Whether it knows the code location; before that, every asset is called external."""
        entries = self.ask(_LOADED)["workspaceOrError"]["locationEntries"]
        return [entry["loadStatus"] for entry in entries] == ["LOADED"]

    def wait(self, condition: Callable[[], bool], what: str, seconds: float = 180) -> None:
        """Until something is so."""
        until = time.monotonic() + seconds
        while True:
            try:
                if condition():
                    return
            except OSError:  # it is not listening yet
                pass
            assert time.monotonic() < until, f"{what}: not after {seconds:g} seconds"
            time.sleep(0.5)


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterUi]:
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "kentik_dagster.cli"]
    ours = ("AWS_", "DAGSTER_", "KENTIK_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    subprocess.run([*command, "demo", "--folder", str(folder)], env=environment, check=True, capture_output=True)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    with (folder / "dev.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "dev", "--folder", str(folder), "--port", str(port)],
            env=environment, cwd=folder.parent, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    running = DagsterUi(f"http://127.0.0.1:{port}", folder)
    try:
        running.wait(running.is_loaded, "the code location")
        yield running
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, "there is no Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=arguments)
        opened = browser.new_context(viewport={"width": 1500, "height": 950}).new_page()
        opened.set_default_timeout(MILLISECONDS)
        errors: list[str] = []
        opened.on("pageerror", lambda error: errors.append(str(error)))
        yield opened
        browser.close()
        assert errors == []


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = Path(os.environ.get("KENTIK_DAGSTER_PICTURES", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def hours(ui: DagsterUi) -> list[str]:
    """The hours that the demo's flows are of."""
    return sorted(Lake(str(ui.folder / "lake"))["flow_logs"].open().files["partition.hour"].unique().to_list())


def launch(page: Page, ui: DagsterUi, asset: str, wanted: str) -> None:
    """Materialise partitions of an asset from its page: an hour, or `All`."""
    page.goto(f"{ui.url}/assets/{asset}?view=partitions")
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.locator(".dagster-dialog")
    dialog.get_by_text("Partition selection").wait_for()
    dialog.get_by_role("button", name="All").first.click()
    if wanted == "All":
        dialog.get_by_role("button", name="All").nth(1).click()
    else:
        hour = dialog.locator("input[placeholder^='ex:']")
        hour.fill(wanted)
        hour.press("Enter")
    dialog.get_by_role("button", name="Launch").click()


def test_the_graph_tells_the_story(page: Page, ui: DagsterUi, pictures: Path) -> None:
    page.goto(f"{ui.url}/asset-groups")

    for group in ("sources", "metadata", "flow_logs", "metrics", "lake"):
        page.get_by_text(group, exact=True).first.wait_for()
    page.set_viewport_size({"width": 1900, "height": 1350})
    page.keyboard.press("Alt+E")  # all groups open
    for asset in ("org_accounts", "address_book", "flow_logs", "enriched_flows", "cloud_devices", "metric_series"):
        page.get_by_text(asset, exact=True).first.wait_for(state="attached")
    page.wait_for_timeout(2_000)
    page.mouse.dblclick(700, 1300)  # the whole graph
    page.wait_for_timeout(1_500)
    page.screenshot(path=pictures / "asset-graph.png", clip={"x": 540, "y": 108, "width": 1290, "height": 1240})
    page.set_viewport_size({"width": 1500, "height": 950})


def test_an_hour_is_materialised_from_its_page_and_shows_its_traffic(page: Page, ui: DagsterUi, pictures: Path) -> None:
    hour = hours(ui)[0]
    before = len(ui.ask(_RUNS)["runsOrError"]["results"])

    launch(page, ui, "enriched_flows", hour)

    def done() -> bool:
        runs = ui.ask(_RUNS)["runsOrError"]["results"]
        ours = [run for run in runs if not any(tag["key"] == "kentik/reason" for tag in run["tags"])]
        return len(runs) > before and bool(ours) and ours[0]["status"] == "SUCCESS"

    ui.wait(done, "the run that the page launched")
    page.goto(f"{ui.url}/assets/enriched_flows?view=partitions&partition=made-up%7C{hour}")
    page.get_by_text("traffic_per_minute").first.wait_for()
    page.get_by_text("unresolved_share").first.wait_for()
    page.screenshot(path=pictures / "partition.png")
    row = page.locator("tr", has_text="traffic_per_minute").first
    row.get_by_text("Show Markdown").click()
    drawn = page.locator(".dagster-dialog img")
    drawn.wait_for()
    page.wait_for_timeout(500)
    assert drawn.evaluate("image => image.naturalWidth") == 720
    page.screenshot(path=pictures / "traffic-per-minute.png")
    page.keyboard.press("Escape")


def test_a_backfill_of_all_hours_ends_well(page: Page, ui: DagsterUi, pictures: Path) -> None:
    known = {one["id"] for one in ui.ask(_BACKFILLS)["partitionBackfillsOrError"]["results"]}

    launch(page, ui, "enriched_flows", "All")

    def ours() -> list[Any]:
        found = ui.ask(_BACKFILLS)["partitionBackfillsOrError"]["results"]
        return [one for one in found if one["id"] not in known]

    ui.wait(lambda: [one["status"] for one in ours()] == ["COMPLETED_SUCCESS"], "the backfill")
    page.goto(f"{ui.url}/runs/b/{ours()[0]['id']}")
    page.get_by_text("enriched_flows").first.wait_for()
    page.get_by_text(re.compile("Succe|Complet")).first.wait_for()
    page.wait_for_timeout(1_000)
    page.screenshot(path=pictures / "backfill.png")


def test_lineage_is_followed_from_flows_to_owners(page: Page, ui: DagsterUi, pictures: Path) -> None:
    page.goto(f"{ui.url}/assets/enriched_flows?view=lineage")
    page.get_by_text("address_book", exact=True).first.wait_for()
    page.wait_for_timeout(2_000)
    page.screenshot(path=pictures / "lineage.png")
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
    page.screenshot(path=pictures / "status-page.png")


def test_checks_schedules_and_sensors_are_there_and_on(page: Page, ui: DagsterUi, pictures: Path) -> None:
    page.goto(f"{ui.url}/automation")
    for name in ("metadata_every_quarter_hour", "flow_logs_1_made_up", "reenrichment"):
        page.get_by_text(name).first.wait_for()
    page.screenshot(path=pictures / "automation.png")
    page.goto(f"{ui.url}/assets/flow_logs?view=checks")
    page.get_by_text("every_counted_row_is_there").first.wait_for()
