"""The devices that are seen sending logs."""

import dagster as dg
import polars as pl

from assets.tables import table_assets, table_spec
from kentik_dagster.configuration import Configuration
from kentik_dagster.work.devices import count_devices
from resources.lake import Lake

_BUSIEST = 10
_SHOWN = (
    dg.TableColumn("export"),
    dg.TableColumn("device_type"),
    dg.TableColumn("device_name"),
    dg.TableColumn("account_id"),
    dg.TableColumn("region"),
    dg.TableColumn("flows_per_second", "float"),
)


def device_assets(configuration: Configuration) -> list[dg.AssetsDefinition]:
    """`cloud_devices`."""
    spec = table_spec("cloud_devices", deps=["flow_logs", "firewall_logs", "address_book"], group="flow_logs")

    @table_assets("cloud_devices", [spec])
    def cloud_devices(context: dg.AssetExecutionContext, lake: Lake) -> dg.MaterializeResult:
        """The devices that sent logs, how busy they are, and which of them are silent."""
        done = count_devices(lake.tables, configuration.log_exports, progress=context.log.info)
        if done.failures:
            raise dg.Failure("\n".join(done.failures), allow_retries=False)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": done.devices.height,
                "devices_by_type": _by(done.devices, "device_type"),
                "devices_by_status": _by(done.devices, "status"),
                "busiest_devices": _busiest(done.devices),
                "hours_counted": done.hours,
                "rows_counted": done.rows,
                "rows_without_device": done.nameless_rows,
            }
        )

    return [cloud_devices]


def _by(devices: pl.DataFrame, column: str) -> dg.JsonMetadataValue:
    return dg.MetadataValue.json(dict(devices.group_by(column).len().sort(column).iter_rows()))


def _busiest(devices: pl.DataFrame) -> dg.TableMetadataValue:
    """The devices with the most flows a second, of those that send."""
    rows = (
        devices.filter(pl.col("status") == "OK")
        .sort("flows_per_second", "device_id", descending=[True, False])
        .head(_BUSIEST)
        .select(column.name for column in _SHOWN)
        .with_columns(pl.col("flows_per_second").round(3))
        .fill_null("")
    )
    return dg.MetadataValue.table([dg.TableRecord(row) for row in rows.to_dicts()], dg.TableSchema(list(_SHOWN)))
