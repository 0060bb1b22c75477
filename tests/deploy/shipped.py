"""The settings of Dagster that are shipped, wherever runs go, in the words of dagster.yaml."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SHIPPED = ("one machine", "celery", "ecs", "kubernetes")


def settings(name: str) -> dict[str, Any]:
    """A dagster.yaml; of Kubernetes what the chart's values say about limits, monitoring and retries."""
    if name == "kubernetes":
        return _of_chart(yaml.safe_load((DEPLOY / "kubernetes" / "values.yaml").read_text()))
    path = ROOT / "kentik_dagster" / "dagster.yaml" if name == "one machine" else DEPLOY / name / "dagster.yaml"
    loaded = yaml.safe_load(path.read_text())
    assert isinstance(loaded, dict)
    return loaded


def _of_chart(values: dict[str, Any]) -> dict[str, Any]:
    daemon = values["dagsterDaemon"]
    coordinator = daemon["runCoordinator"]["config"]["queuedRunCoordinator"]
    return {
        "concurrency": {
            "runs": {
                "max_concurrent_runs": coordinator["maxConcurrentRuns"],
                "tag_concurrency_limits": coordinator["tagConcurrencyLimits"],
            },
            **values["additionalInstanceConfig"]["concurrency"],
        },
        "run_monitoring": {_snake(key): value for key, value in daemon["runMonitoring"].items()},
        "run_retries": {_snake(key): value for key, value in daemon["runRetries"].items()},
    }


def _snake(name: str) -> str:
    return re.sub("([A-Z])", lambda letter: f"_{letter[1].lower()}", name)
