"""The checks that there are, and which of them block, are those that docs/checks.md tells of and gives a reason for."""

from __future__ import annotations

from pathlib import Path

from kentik_dagster.code_location import build_definitions
from kentik_dagster.configuration import Configuration

DOCUMENT = Path(__file__).parents[2] / "docs" / "checks.md"


def test_every_check_is_told_of_with_whether_it_blocks() -> None:
    export = {"name": "acme", "region": "us-east-1", "bucket": "acme-logs", "start": "2026-11-01"}
    graph = build_definitions(Configuration.model_validate({"exports": [export]})).resolve_asset_graph()

    told = {}
    for line in DOCUMENT.read_text().splitlines():
        cells = [cell.strip().strip("`") for cell in line.split("|")]
        if line.startswith("| `"):
            told[cells[2], cells[1]] = cells[4] == "yes"

    there = {(key.asset_key.to_user_string(), key.name): graph.get(key).blocking for key in graph.asset_check_keys}
    assert told == there
