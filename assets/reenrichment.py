"""The sensor that has flows enriched anew where metadata that came later says more of them."""

import dagster as dg

from assets.enrichment import EnrichmentConfig
from assets.partitions import REASON_TAG, Partitions, flow_key
from assets.runs import EXPORT_TAG, LATER, busy_hours, every, failed_hours
from assets.schedules import FLOW_LOGS_JOB, REENRICHMENT_JOB
from kentik_dagster.configuration import Configuration
from kentik_dagster.work.reenrichment import outdated_hours
from resources.clock import Clock
from resources.lake import Lake

# Metadata comes every quarter of an hour.
_SECONDS = 300
# The newest come first; the others follow.
_HOURS_A_TICK = 24


def reenrichment_sensor(
    configuration: Configuration, partitions: Partitions, *, times_faster: float = 1
) -> dg.SensorDefinition:
    """The one sensor for all exports; `times_faster` as in `build_definitions`."""

    @dg.sensor(
        name="reenrichment",
        job_name=REENRICHMENT_JOB.name,
        minimum_interval_seconds=every(_SECONDS, times_faster),
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
        failed = {
            (export.name, hour): failure
            for export in configuration.log_exports
            for hour, failure in failed_hours(
                context.instance, export, REENRICHMENT_JOB.name, now, times_faster=times_faster
            ).items()
        }
        wanted = {(export.name, hour) for export in configuration.log_exports for hour in hours} - busy
        outdated = outdated_hours(lake.tables, table.read(), wanted)
        due = [one for one in outdated if not ((one.export, one.hour) in failed and failed[one.export, one.hour].waits)]
        requests = [
            dg.RunRequest(
                f"reenrichment|{one.export}|{one.hour}|{one.as_of}|{version}"
                + (f"|after {failed[one.export, one.hour].run_id}" if (one.export, one.hour) in failed else ""),
                partition_key=flow_key(one.export, one.hour),
                tags={
                    EXPORT_TAG: one.export,
                    REASON_TAG: f"newer metadata concerns {one.ends} ends",
                    **LATER,
                },
                run_config=dg.RunConfig(ops={"flow_log_batches": EnrichmentConfig(rebuild=True)}),
            )
            for one in due[:_HOURS_A_TICK]
        ]
        # Until no hour is outdated, and none is busy, all are looked at again with the next tick: a run may fail.
        is_done = not outdated and not busy
        return dg.SensorResult(
            run_requests=requests,
            cursor=version if is_done else context.cursor,
            skip_reason=None if requests else f"nothing new concerns any of {len(wanted)} hours",
        )

    return reenrichment
