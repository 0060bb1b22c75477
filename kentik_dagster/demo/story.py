"""The demo: the main job, end to end, over a made-up organization."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kentik_dagster.code_location import build_definitions
from kentik_dagster.configuration import Configuration
from kentik_dagster.configuration_file import load_configuration
from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.one_pass import AFTER_SENSORS, BEFORE_SENSORS, OnePass, dagster_instance, progress_logger

MINUTES = 30
RECORDS_PER_OBJECT = 2_000
# The last file of the half hour has been posted by the time that the demo reads it.
_AGE = timedelta(minutes=15)
# The organization's first snapshot was taken before its traffic, as it would be in a deployment that runs.
_SNAPSHOT_BEFORE = timedelta(minutes=5)
# A backfill in the UI needs more hours than one.
_EMPTY_HOUR = timedelta(hours=1)
_CONFIGURATION = """\
# Written by the demo: the made-up organization in the embedded AWS emulator.
lake: ./lake
exports:
  - name: made-up
    description: a made-up organization
    iam_role_arn: {primary_role_arn}
    external_id: made-up-external-id
    region: {region}
    organization_role: true
    regions_used: [{regions}]
    role_suffix: {secondary_role_name}
    bucket: {bucket}
    delete_after_read: true
    start: {start:%Y-%m-%dT%H:00}
"""


@dataclass(frozen=True, slots=True)
class DemoFolder:
    """Where a demo lives, and the half hour that it is about; a second run continues the first."""

    path: Path
    start: datetime

    @property
    def configuration_path(self) -> Path:
        """The demo's kentik.yaml."""
        return self.path / "kentik.yaml"

    @property
    def dagster_home(self) -> Path:
        """Where its Dagster keeps runs and events."""
        return self.path / "dagster"

    @property
    def truth(self) -> Path:
        """Who really owned each end of each record: Parquet, one row per record."""
        return self.path / "truth.parquet"


def demo_folder(path: Path, now: datetime) -> DemoFolder:
    """The demo in a folder, begun if there is none yet."""
    path.mkdir(parents=True, exist_ok=True)
    state = path / "demo.json"
    if not state.exists():
        start = now - _AGE - timedelta(minutes=MINUTES)
        start = start.replace(minute=start.minute // 5 * 5, second=0, microsecond=0)
        unfinished = state.with_suffix(".part")
        unfinished.write_text(json.dumps({"start": start.isoformat()}))
        unfinished.replace(state)
    start = datetime.fromisoformat(json.loads(state.read_text())["start"])
    return DemoFolder(path.resolve(), start.astimezone(UTC))


def demo_emulator(folder: DemoFolder) -> Emulator:
    """The emulator with the demo's organization; the same in every process."""
    return Emulator(start=folder.start, minutes=MINUTES, records_per_object=RECORDS_PER_OBJECT, folder=folder.path)


def demo_configuration(folder: DemoFolder, emulator: Emulator) -> Configuration:
    """Write the demo's kentik.yaml for a running emulator, and load it."""
    organization = emulator.organization
    text = _CONFIGURATION.format(
        primary_role_arn=organization["primary_role_arn"],
        secondary_role_name=organization["secondary_role_name"],
        region=organization["bucket_region"],
        regions=", ".join(organization["regions"]),
        bucket=organization["bucket"],
        start=folder.start - _EMPTY_HOUR,
    )
    folder.configuration_path.write_text(text)
    return load_configuration(folder.configuration_path)


def run_demo(
    folder: DemoFolder, emulator: Emulator, *, tell: Callable[[str], None], working: Callable[[str], None]
) -> list[str]:
    """Run the main job over the demo's organization; returns what failed."""
    os.environ.update(emulator.environment())
    configuration = demo_configuration(folder, emulator)
    loggers = {"progress": progress_logger(working)}
    os.environ["DAGSTER_HOME"] = ""
    failures: list[str] = []
    with dagster_instance(folder.dagster_home) as instance:
        for stopped_at, schedules, ask_sensors in (
            ((folder.start - _SNAPSHOT_BEFORE).isoformat(), BEFORE_SENSORS, False),
            (None, AFTER_SENSORS, True),
        ):
            definitions = build_definitions(
                configuration, endpoint_url=emulator.endpoint_url, stopped_at=stopped_at, loggers=loggers
            )
            # Metrics are those of the half hour, whenever the demo runs again.
            read_at = folder.start + timedelta(minutes=MINUTES) + _AGE
            one_pass = OnePass(definitions, instance, tell=tell, working=working, scheduled_at=read_at)
            if ask_sensors:
                one_pass.ask_sensors()
            one_pass.ask_schedules(schedules)
            failures += one_pass.failures
    return failures
