"""A running Dagster UI on the demo's organization: what a person does in it, and what its GraphQL says of that."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kentik_dagster.lake.tables import Lake

if TYPE_CHECKING:
    from playwright.sync_api import FloatRect, Locator, Page

_LOADED = "{ workspaceOrError { ... on Workspace { locationEntries { loadStatus } } } }"
_BACKFILLS = """{ partitionBackfillsOrError { ... on PartitionBackfills { results {
  id status numPartitions assetSelection { path } } } } }"""
_RUNS = """{ runsOrError { ... on Runs { results {
  runId status assetSelection { path } tags { key value } } } } }"""
_AROUND = 8
# The fonts, and what boxes and tables ask the server for.
_IS_THERE = "() => document.fonts.status === 'loaded' && !/Loading/.test(document.body.innerText)"
# Where every box of a graph stands.
_PLACES = """() => [...document.querySelectorAll('svg foreignObject, svg text')]
  .map(one => Object.values(one.getBoundingClientRect().toJSON()).map(Math.round)).join()"""


@dataclass(frozen=True)
class DagsterUi:
    """A running `kentik-dagster dev` on the demo in a folder, and the page of a browser."""

    url: str
    folder: Path

    @property
    def lake(self) -> Lake:
        """The demo's lake."""
        return Lake(str(self.folder / "lake"))

    def hours(self) -> list[str]:
        """The hours that the demo's flows are of."""
        return sorted(self.lake["flow_logs"].open().files["partition.hour"].unique().to_list())

    def ask(self, query: str) -> Any:
        """An answer of its GraphQL."""
        body = json.dumps({"query": query}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["data"]

    def is_loaded(self) -> bool:
        """Whether it knows the code location; before that, every asset is called external."""
        entries = self.ask(_LOADED)["workspaceOrError"]["locationEntries"]
        return [entry["loadStatus"] for entry in entries] == ["LOADED"]

    def runs(self) -> list[dict[str, Any]]:
        """All runs that a person asked for, newest first; those of sensors and schedules have a reason."""
        found = self.ask(_RUNS)["runsOrError"]["results"]
        return [run for run in found if not any(tag["key"] == "kentik/reason" for tag in run["tags"])]

    def is_quiet(self) -> bool:
        """Whether no run waits or works."""
        found = self.ask(_RUNS)["runsOrError"]["results"]
        return all(run["status"] in ("SUCCESS", "FAILURE", "CANCELED") for run in found)

    def backfills(self) -> list[dict[str, Any]]:
        """All backfills."""
        found = self.ask(_BACKFILLS)["partitionBackfillsOrError"]["results"]
        assert isinstance(found, list)
        return found

    def wait(self, condition: Callable[[], bool], what: str, seconds: float = 300) -> None:
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

    def wait_for_backfill(self, known: set[str]) -> dict[str, Any]:
        """The one backfill that is not known, when it has ended well."""

        def new() -> list[dict[str, Any]]:
            return [one for one in self.backfills() if one["id"] not in known]

        self.wait(lambda: [one["status"] for one in new()] == ["COMPLETED_SUCCESS"], "the backfill")
        (done,) = new()
        return done


def choose_partitions(page: Page, ui: DagsterUi, asset: str) -> Locator:
    """The dialog that launches partitions of an asset, opened from its page."""
    page.goto(f"{ui.url}/assets/{asset}?view=partitions")
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.locator(".dagster-dialog")
    dialog.get_by_text("Partition selection").wait_for()
    return dialog


def choose_hour(dialog: Locator, wanted: str) -> None:
    """One hour of all exports."""
    dialog.get_by_role("button", name="All").first.click()
    hour = dialog.locator("input[placeholder^='ex:']")
    hour.fill(wanted)
    hour.press("Enter")


def wait_until_still(page: Page) -> None:
    """Until no box of a graph has moved between two looks: the layout is made, and the view has come to rest."""
    page.wait_for_function(
        f"""() => {{
            const now = ({_PLACES})();
            const isStill = now !== '' && window.seenBefore === now;
            window.seenBefore = now;
            return isStill;
        }}""",
        polling=700,
    )


def around_the_boxes(page: Page) -> FloatRect:
    """The part of the page that the boxes of a graph take, and a little around it."""
    boxes = [box for one in page.locator("svg foreignObject").all() if (box := one.bounding_box())]
    left, top = (min(box[side] for box in boxes) - _AROUND for side in ("x", "y"))
    right = max(box["x"] + box["width"] for box in boxes) + _AROUND
    bottom = max(box["y"] + box["height"] for box in boxes) + _AROUND
    return {"x": left, "y": top, "width": right - left, "height": bottom - top}


def screenshot(page: Page, path: Path, **options: Any) -> None:
    """A picture of what a person sees when all that moves has come to rest."""
    page.wait_for_function(_IS_THERE)
    page.screenshot(path=path, animations="disabled", **options)
