"""The soak's reduced form: four minutes of five exports, with everything in it that the hour has.

It takes minutes and servers that not every machine has, so `make test-deploy` runs it; `make soak` is the hour.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.celery_stack import missing
from benchmarks.soak.hour import soak
from benchmarks.soak.judged import failed_share
from benchmarks.soak.plan import Options
from benchmarks.soak.report import lags, picture

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("DEPLOY_ALL" not in os.environ, reason="make test-deploy runs it"),
]


def test_four_minutes_with_kills_and_failing_calls_end_in_the_tables_of_an_undisturbed_run(tmp_path: Path) -> None:
    if missing():
        pytest.skip("this machine lacks " + ", ".join(missing()))
    options = Options(scale=2, minutes=4, records=50, daemon_kills=1, worker_kills=1)

    soaked = soak(options, tmp_path, lambda text: None)

    assert soaked.tables is not None
    assert [verdict for verdict in soaked.tables.verdicts() if not verdict.holds] == []
    assert soaked.finished_after is not None
    counted = soaked.counted
    assert failed_share(sum(counted.calls.values()), sum(map(counted.failures, counted.failed)), options.share).holds
    assert sorted(one.name for one in soaked.killed) == ["daemon", "worker-1"]
    assert lags(soaked, "enriched_flows").height == len(soaked.posted)
    assert picture(soaked).endswith("</svg>\n")
