"""The sensor that has flows enriched anew where metadata that came later says more of them."""

import dagster as dg

from assets.enrichment import EnrichmentConfig
from assets.partitions import REASON_TAG, Partitions, flow_key
from assets.runs import EXPORT_TAG, LATER, busy_hours
from assets.schedules import FLOW_LOGS_JOB, REENRICHMENT_JOB
from kentik_dagster.configuration import Configuration
from kentik_dagster.work.reenrichment import outdated_hours
from resources.clock import Clock
from resources.lake import Lake

# Metadata comes every quarter of an hour.
_SECONDS = 300
# The newest come first; the others follow.
_HOURS_A_TICK = 24


def reenrichment_sensor(configuration: Configuration, partitions: Partitions) -> dg.SensorDefinition:
    """The one sensor for all exports."""

    @dg.sensor(
        name="reenrichment",
        job_name=REENRICHMENT_JOB.name,
        minimum_interval_seconds=_SECONDS,
        description="Asks for hours whose flows were enriched before something was known that concerns them.",
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def reenrichment(context: dg.SensorEvaluationContext, lake: Lake, clock: Clock) -> dg.SensorResult:
        table = lake["address_book"].open()
        version = str(table.version)
        if context.cursor == version:
            return dg.SensorResult(skip_reason="the address book has not changed", cursor=version)
        now = clock.now()
        hours = partitions.open_hours(lake["enriched_flows"].open().files["partition.hour"].unique().to_list(), now)
        busy = {
            (export.name, hour)
            for export in configuration.log_exports
            for job in (FLOW_LOGS_JOB, REENRICHMENT_JOB)
            for hour in busy_hours(context.instance, export, job.name, now)
        }
        wanted = {(export.name, hour) for export in configuration.log_exports for hour in hours} - busy
        outdated = outdated_hours(lake.tables, table.read(), wanted)
        requests = [
            dg.RunRequest(
                f"reenrichment|{one.export}|{one.hour}|{one.as_of}|{version}",
                partition_key=flow_key(one.export, one.hour),
                tags={
                    EXPORT_TAG: one.export,
                    REASON_TAG: f"newer metadata concerns {one.ends} ends",
                    **LATER,
                },
                run_config=dg.RunConfig(ops={"flow_log_batches": EnrichmentConfig(rebuild=True)}),
            )
            for one in outdated[:_HOURS_A_TICK]
        ]
        # Hours that are left, and those that were busy, are looked at again with the next tick.
        is_done = len(outdated) <= _HOURS_A_TICK and not busy
        return dg.SensorResult(
            run_requests=requests,
            cursor=version if is_done else context.cursor,
            skip_reason=None if requests else f"nothing new concerns any of {len(wanted)} hours",
        )

    return reenrichment
