"""The settings of Dagster that are shipped, wherever runs go, in the words of dagster.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SHIPPED = ("one machine", "celery", "ecs", "kubernetes")


def settings(name: str) -> dict[str, Any]:
    """A dagster.yaml; of Kubernetes what the chart's values add to the chart's own."""
    if name == "kubernetes":
        loaded = chart_values()["additionalInstanceConfig"]
    else:
        folder = ROOT / "kentik_dagster" if name == "one machine" else DEPLOY / name
        loaded = yaml.safe_load((folder / "dagster.yaml").read_text())
    assert isinstance(loaded, dict)
    return loaded


def chart_values() -> dict[str, Any]:
    """The values for the official Helm chart."""
    loaded = yaml.safe_load((DEPLOY / "kubernetes" / "values.yaml").read_text())
    assert isinstance(loaded, dict)
    return loaded
