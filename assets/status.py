"""The status page: how exports, accounts and networks are, as one HTML file in the lake."""

import os

import dagster as dg
import polars as pl

from assets.tables import freshness, table_assets
from kentik_dagster.configuration import Configuration
from kentik_dagster.core.status_page import status_html
from kentik_dagster.work.status import read_status, save_page
from resources.clock import Clock
from resources.lake import Lake


def status_assets(configuration: Configuration) -> list[dg.AssetsDefinition]:
    """`status_page`."""
    spec = dg.AssetSpec(
        "status_page",
        description="A page that says how every export, account and network is, and what to do.",
        group_name="lake",
        kinds={"html"},
        freshness_policy=freshness("status_page"),
        deps=["org_accounts", "metadata_calls", "metadata_changes", "flow_log_objects", "cloud_devices"],
    )

    @table_assets("status_page", [spec])
    def status_page(context: dg.AssetExecutionContext, lake: Lake, clock: Clock) -> dg.MaterializeResult:
        """A page that says how every export, account and network is, and what to do; made from the tables alone."""
        status = read_status(configuration, lake.tables, clock.now())
        region = os.environ.get("AWS_REGION") or next((one.region for one in configuration.exports), "us-east-1")
        place = save_page(configuration.lake, status_html(status), region)
        is_local = "://" not in place
        return dg.MaterializeResult(
            metadata={
                "page": dg.MetadataValue.url(f"file://{place}") if is_local else dg.MetadataValue.text(place),
                "dagster/uri": place,
                "exports_by_state": _by_state(status.exports),
                "accounts_by_state": _by_state(status.accounts),
                "networks_by_state": _by_state(status.networks),
                "operations_denied": status.denied.height,
                "exports": dg.MetadataValue.table(
                    [
                        dg.TableRecord({key: str(value) for key, value in row.items()})
                        for row in status.exports.to_dicts()
                    ]
                ),
            }
        )

    return [status_page]


def _by_state(rows: pl.DataFrame) -> dg.JsonMetadataValue:
    return dg.MetadataValue.json(dict(rows.group_by("state").len().sort("state").iter_rows()))
