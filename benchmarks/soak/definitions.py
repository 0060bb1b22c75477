"""The code location of the soak: the product's, whose sensors wait as many times shorter as the hour is played faster.

Schedules of Dagster know whole minutes, so that a faster hour has none; the soak asks for their jobs at their minutes.
"""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg

from benchmarks.soak.plan import TIMES_FASTER_VARIABLE
from kentik_dagster.code_location import build_definitions
from kentik_dagster.configuration_file import load_configuration


def _definitions(times_faster: float) -> dg.Definitions:
    made = build_definitions(
        load_configuration(Path(os.environ["KENTIK_DAGSTER_CONFIG"])),
        endpoint_url=os.environ["AWS_ENDPOINT_URL"],
        times_faster=times_faster,
    )
    return dg.Definitions(
        assets=made.assets,
        asset_checks=made.asset_checks,
        jobs=made.jobs,
        schedules=made.schedules if times_faster == 1 else [],
        sensors=made.sensors,
        resources=made.resources,
        executor=made.executor,
    )


defs = _definitions(float(os.environ[TIMES_FASTER_VARIABLE]))
