"""The deletion sweep: log objects that the lake holds leave the bucket, or are named."""

import dagster as dg
import polars as pl

from assets.partitions import Partitions, days_of, flow_key, hours_by_export
from assets.tables import table_assets, table_spec
from kentik_dagster.aws.flow_logs import LogBucket
from kentik_dagster.configuration import Configuration
from kentik_dagster.work.sweep import sweep_hour
from resources.aws import Aws
from resources.clock import Clock
from resources.lake import Lake


def deletion_assets(configuration: Configuration, partitions: Partitions) -> list[dg.AssetsDefinition]:
    """`deletion_sweep`."""
    spec = table_spec(
        "deletion_sweep", deps=["flow_log_objects", "flow_logs"], group="flow_logs", partitions_def=partitions.flows
    )

    @table_assets("deletion_sweep", [spec])
    def deletion_sweep(context: dg.AssetExecutionContext, aws: Aws, lake: Lake, clock: Clock) -> dg.MaterializeResult:
        """Log objects that the lake holds are deleted, or with `delete_after_read: false` only named."""
        swept: list[pl.DataFrame] = []
        for export, hours in hours_by_export(context.partition_keys).items():
            access = aws.access(configuration.export(export))
            listed = LogBucket(access).objects(days_of(hours))
            for hour in hours:
                objects = listed.filter(pl.col("hour") == hour)
                rows = sweep_hour(access, lake.tables, hour, objects, run_id=context.run.run_id, clock=clock.now)
                swept.append(rows)
                context.add_asset_metadata(
                    {"dagster/partition_row_count": rows.height, "outcomes": _outcomes(rows)},
                    partition_key=flow_key(export, hour),
                )
        return dg.MaterializeResult(metadata={"outcomes_in_run": _outcomes(pl.concat(swept))})

    return [deletion_sweep]


def _outcomes(rows: pl.DataFrame) -> dg.MetadataValue:
    return dg.MetadataValue.json(dict(rows["outcome"].value_counts().iter_rows()))
