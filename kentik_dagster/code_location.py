"""Where everything meets: the assets, jobs, sensors and resources of one configuration."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from assets.accounts import account_assets
from assets.deletion import deletion_assets
from assets.devices import device_assets
from assets.flow_logs import bucket_assets, flow_log_assets
from assets.metadata_checks import snapshot_check
from assets.metrics import metric_assets
from assets.network import network_assets
from assets.notifications import notification_sensors
from assets.partitions import Partitions
from assets.reenrichment import reenrichment_sensor
from assets.schedules import FLOW_LOGS_JOB, JOBS, schedules
from assets.sensors import listing_sensors
from assets.status import status_assets
from assets.upkeep import upkeep_assets
from assets.verification import setup_asset, verification_checks
from kentik_dagster.configuration import Configuration
from resources.aws import Aws
from resources.clock import Clock
from resources.lake import Lake


def build_definitions(
    configuration: Configuration,
    *,
    endpoint_url: str | None = None,
    stopped_at: str | None = None,
    loggers: Mapping[str, dg.LoggerDefinition] | None = None,
    times_faster: float = 1,
) -> dg.Definitions:
    """The code location of one configuration. Nothing here calls AWS or opens the lake.

    Args:
        endpoint_url: of an AWS emulator; None: AWS itself.
        stopped_at: an ISO instant to take for the present moment; None: the real one.
        loggers: of a process that shows the progress of runs itself.
        times_faster: how many times shorter sensors wait, to look at a history that is played so much faster.
    """
    partitions = Partitions(configuration)
    kept = [
        *account_assets(configuration),
        *network_assets(configuration),
        *flow_log_assets(configuration, partitions),
        *device_assets(configuration),
        *deletion_assets(configuration, partitions),
        *metric_assets(configuration, partitions),
        *upkeep_assets(configuration),
        *status_assets(configuration),
    ]
    roots = [*bucket_assets(configuration, partitions), setup_asset()]
    owners = list(configuration.owners)

    def owned(spec: dg.AssetSpec) -> dg.AssetSpec:
        return spec.replace_attributes(owners=owners)

    return dg.Definitions(
        assets=[*dg.map_asset_specs(owned, roots), *dg.map_asset_specs(owned, kept)],
        asset_checks=[snapshot_check(configuration), verification_checks(configuration)],
        jobs=JOBS,
        schedules=schedules(partitions),
        sensors=[
            *listing_sensors(configuration, partitions, FLOW_LOGS_JOB.name, times_faster=times_faster),
            *notification_sensors(configuration, partitions, FLOW_LOGS_JOB.name, times_faster=times_faster),
            reenrichment_sensor(configuration, partitions, times_faster=times_faster),
        ],
        resources={
            "aws": Aws(endpoint_url=endpoint_url),
            "lake": Lake(root=configuration.lake, endpoint_url=endpoint_url),
            "clock": Clock(stopped_at=stopped_at),
        },
        # A process for each step would cost two seconds of imports, and our steps share nothing to gain.
        executor=dg.in_process_executor,
        loggers=loggers,
    )
