"""Jobs, and the schedules of everything that no new log object asks for."""

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg

from assets.metadata_checks import SNAPSHOT_EVERY, SNAPSHOTS_RECENT
from assets.metrics import MetricsConfig
from assets.partitions import ACCOUNTS, REASON_TAG, Partitions
from assets.runs import PRIORITY_TAG, RANGE_END_TAG, RANGE_START_TAG, URGENT
from assets.verification import AWS_SETUP
from kentik_dagster.core.flow_log_keys import hour_of

ACCOUNTS_JOB = dg.define_asset_job("accounts", selection=["org_accounts"])
# The address book is made from what the snapshots changed, so it is part of the same run.
METADATA_JOB = dg.define_asset_job("metadata", selection=["metadata_changes", "metadata_calls", "address_book"])
FLOW_LOGS_JOB = dg.define_asset_job(
    "flow_logs",
    selection=[
        "flow_logs",
        "firewall_logs",
        "flow_log_objects",
        "rejected_records",
        "enriched_flows",
        "deletion_sweep",
    ],
)
REENRICHMENT_JOB = dg.define_asset_job("reenrichment", selection=["enriched_flows"])
DEVICES_JOB = dg.define_asset_job("devices", selection=["cloud_devices"])
METRICS_JOB = dg.define_asset_job("metrics", selection=["metric_series"])
# How old the snapshots are is also asked while no snapshots are taken.
UPKEEP_JOB = dg.define_asset_job(
    "upkeep",
    selection=dg.AssetSelection.assets("lake_upkeep")
    | dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey("metadata_calls"), SNAPSHOTS_RECENT)),
)
STATUS_JOB = dg.define_asset_job("status", selection=["status_page"])
VERIFICATION_JOB = dg.define_asset_job("verification", selection=dg.AssetSelection.checks_for_assets(AWS_SETUP))
_SCHEDULED = {REASON_TAG: "schedule", PRIORITY_TAG: URGENT}
_ON = dg.DefaultScheduleStatus.RUNNING


@dg.schedule(job=ACCOUNTS_JOB, cron_schedule="0 * * * *", default_status=_ON, execution_timezone="UTC")
def accounts_every_hour() -> dg.RunRequest:
    """Lists the accounts of every export."""
    return dg.RunRequest(tags=_SCHEDULED)


@dg.schedule(
    job=METADATA_JOB,
    cron_schedule=f"*/{SNAPSHOT_EVERY // timedelta(minutes=1)} * * * *",
    default_status=_ON,
    execution_timezone="UTC",
)
def metadata_every_quarter_hour(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Takes a snapshot of every account, all in one run."""
    accounts = context.instance.get_dynamic_partitions(str(ACCOUNTS.name))
    if not accounts:
        return dg.SkipReason("no accounts are known yet: the schedule accounts_every_hour lists them")
    if len(accounts) == 1:
        return dg.RunRequest(partition_key=accounts[0], tags=_SCHEDULED)
    return dg.RunRequest(tags=_SCHEDULED | {RANGE_START_TAG: accounts[0], RANGE_END_TAG: accounts[-1]})


# Between the snapshots, which say what the devices are called.
@dg.schedule(job=DEVICES_JOB, cron_schedule="5,20,35,50 * * * *", default_status=_ON, execution_timezone="UTC")
def devices_every_quarter_hour() -> dg.RunRequest:
    """Counts the devices in the logs that were read since the last time."""
    return dg.RunRequest(tags=_SCHEDULED)


# Not at the full hour, when everything else begins.
@dg.schedule(job=UPKEEP_JOB, cron_schedule="25 * * * *", default_status=_ON, execution_timezone="UTC")
def upkeep_every_hour() -> dg.RunRequest:
    """Keeps the tables quick to open and no larger than they must be."""
    return dg.RunRequest(tags=_SCHEDULED)


# A little after the devices were counted.
@dg.schedule(job=STATUS_JOB, cron_schedule="10,25,40,55 * * * *", default_status=_ON, execution_timezone="UTC")
def status_every_quarter_hour() -> dg.RunRequest:
    """Writes the status page."""
    return dg.RunRequest(tags=_SCHEDULED)


# Permissions, buckets and flow logs change a few times a day at the most.
@dg.schedule(job=VERIFICATION_JOB, cron_schedule="50 */6 * * *", default_status=_ON, execution_timezone="UTC")
def verification_every_six_hours() -> dg.RunRequest:
    """Asks AWS and the lake whether all is as it has to be, as `kentik-dagster verify` does."""
    return dg.RunRequest(tags=_SCHEDULED)


def schedules(partitions: Partitions) -> list[dg.ScheduleDefinition]:
    """All schedules of a configuration."""

    @dg.schedule(job=METRICS_JOB, cron_schedule="*/5 * * * *", default_status=_ON, execution_timezone="UTC")
    def metrics_every_five_minutes(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        """Collects the hour and the one before it, so that datapoints that come late are taken."""
        now = context.scheduled_execution_time
        hours = [hour_of(now - timedelta(hours=1)), hour_of(now)]
        collected = [hour for hour in hours if partitions.hours.has_partition_key(hour)]
        if not collected:
            return dg.SkipReason(f"the exports start after {hours[-1]}")
        if len(collected) == 1:
            return dg.RunRequest(partition_key=collected[0], tags=_SCHEDULED)
        return dg.RunRequest(tags=_SCHEDULED | {RANGE_START_TAG: collected[0], RANGE_END_TAG: collected[-1]})

    # Not at the full hour either, and long after midnight: CloudWatch has most of them by then.
    @dg.schedule(job=METRICS_JOB, cron_schedule="40 */6 * * *", default_status=_ON, execution_timezone="UTC")
    def daily_metrics_every_six_hours(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        """Collects the datapoints of whole days, of the last three: they come up to two days late."""
        today = context.scheduled_execution_time.replace(hour=0, minute=0, second=0, microsecond=0)
        config = dg.RunConfig(ops={"metric_series": MetricsConfig(daily_only=True)})
        for days in (3, 2, 1):
            hour = hour_of(today - timedelta(days=days))
            if partitions.hours.has_partition_key(hour):
                run_key = f"{hour} as of {context.scheduled_execution_time:%Y-%m-%dT%H}"
                yield dg.RunRequest(run_key, partition_key=hour, tags=_SCHEDULED, run_config=config)

    return [
        accounts_every_hour,
        metadata_every_quarter_hour,
        devices_every_quarter_hour,
        metrics_every_five_minutes,
        daily_metrics_every_six_hours,
        upkeep_every_hour,
        status_every_quarter_hour,
        verification_every_six_hours,
    ]


JOBS = [
    ACCOUNTS_JOB, METADATA_JOB, FLOW_LOGS_JOB, REENRICHMENT_JOB, DEVICES_JOB, METRICS_JOB, UPKEEP_JOB, STATUS_JOB,
    VERIFICATION_JOB,
]  # fmt: skip
