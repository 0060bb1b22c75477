"""The status of the deployment out of the lake; AWS is not asked."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl

from kentik_dagster.aws.pages import put_page
from kentik_dagster.catalog.metrics import METRICS_SERVICE
from kentik_dagster.catalog.network_operations import OPERATIONS
from kentik_dagster.configuration import Configuration
from kentik_dagster.core.flow_log_keys import hour_of
from kentik_dagster.core.log_coverage import log_coverage
from kentik_dagster.core.network import current_state
from kentik_dagster.core.status import RECENT, Configured, Status, status_of
from kentik_dagster.errors import LakeError
from kentik_dagster.lake.tables import Lake

PAGE = "status.html"
_ACTIONS = {(operation.service, operation.name): operation.action for operation in OPERATIONS}


def read_status(configuration: Configuration, lake: Lake, at: datetime) -> Status:
    """How everything is at an instant.

    Raises:
        LakeError: a table cannot be read.
    """
    calls = lake["metadata_calls"].read().filter(pl.col("service") != METRICS_SERVICE)
    accounts = lake["org_accounts"].read()
    places = {export.name: (export.log_bucket, export.log_folder) for export in configuration.log_exports}
    flows = [places[export.name] for export in configuration.log_exports if export.collect_flow_logs]
    firewalls = [places[export.name] for export in configuration.log_exports if export.collect_firewall_logs]
    coverage = log_coverage(current_state(lake["metadata_changes"].read()), calls, flows, firewalls)
    kinds = ["vpc", "transit_gateway"] * bool(flows) + ["firewall"] * bool(firewalls)
    return status_of(
        [
            Configured(name=export.name, description=export.description, collects_logs=export.collects_logs)
            for export in configuration.exports
        ],
        accounts=accounts,
        calls=calls.join(accounts.select("account_id").unique(), on="account_id", how="semi"),
        objects=_recent_objects(lake, at),
        devices=lake["cloud_devices"].read(),
        coverage=coverage.filter(pl.col("resource_type").is_in(kinds)),
        actions=_ACTIONS,
        at=at,
    )


def save_page(root: str, text: str, region: str) -> str:
    """Write the page to the lake's root; returns where it is.

    Raises:
        LakeError: it cannot be written.
    """
    place = f"{root.rstrip('/')}/{PAGE}"
    try:
        if root.startswith("s3://"):
            bucket, _, key = place.removeprefix("s3://").partition("/")
            put_page(bucket, key, text, region)
            return place
        unfinished = Path(f"{place}.part")
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(place)
    except OSError as error:
        raise LakeError(place, "write", error) from error
    return place


def _recent_objects(lake: Lake, at: datetime) -> pl.DataFrame:
    """The ledger of the last RECENT, and of the newest hour of each export."""
    snapshot = lake["flow_log_objects"].open()
    if snapshot.files.is_empty():
        return snapshot.read()
    hours = snapshot.files.select(export="partition.export", hour="partition.hour").unique()
    newest = hours.group_by("export").agg(pl.col("hour").max())
    since = hours.filter(pl.col("hour") >= hour_of(at - RECENT))
    wanted = pl.concat([since, newest]).unique()
    return snapshot.collected(
        snapshot.scan()
        .filter(pl.col("hour").is_in(wanted["hour"].unique().to_list()))
        .join(wanted.lazy(), on=["export", "hour"], how="semi")
    )
