"""Upkeep of the lake: small files brought together, old files and hours removed, checkpoints made."""

import dagster as dg
import polars as pl

from assets.tables import freshness, table_assets
from kentik_dagster.configuration import Configuration
from kentik_dagster.core.retention import retention_problems
from kentik_dagster.errors import ConfigurationError
from kentik_dagster.work.upkeep import LakeUpkept, keep_up_lake
from resources.clock import Clock
from resources.lake import Lake

_SHOWN = (
    "table", "commits_since_checkpoint", "files_before", "files_after", "bytes_after", "partitions_compacted",
    "partitions_waiting", "partitions_removed", "files_vacuumed", "seconds",
)  # fmt: skip


def upkeep_assets(configuration: Configuration) -> list[dg.AssetsDefinition]:
    """`lake_upkeep`.

    Raises:
        ConfigurationError: `retention_days` names what it may not.
    """
    problems = retention_problems(configuration.retention_days)
    if problems:
        raise ConfigurationError("kentik.yaml", problems)

    spec = dg.AssetSpec(
        "lake_upkeep",
        description="Every table kept quick to open and small; rows change by `retention_days` only.",
        group_name="lake",
        kinds={"deltalake"},
        freshness_policy=freshness("lake_upkeep"),
    )

    @table_assets("lake_upkeep", [spec], pool="lake_upkeep")
    def lake_upkeep(context: dg.AssetExecutionContext, lake: Lake, clock: Clock) -> dg.MaterializeResult:
        """Every table kept quick to open and no larger than it must be; rows change by `retention_days` only."""
        done = keep_up_lake(lake.tables, configuration.retention_days, clock.now(), progress=context.log.info)
        if done.failures:
            reasons = [f"{table}: {reason}" for table, reason in done.failures.items()]
            raise dg.Failure("\n".join(reasons), metadata=_metadata(done), allow_retries=False)
        return dg.MaterializeResult(metadata=_metadata(done))

    return [lake_upkeep]


def _metadata(done: LakeUpkept) -> dict[str, dg.MetadataValue]:
    tables = done.tables
    return {
        "tables": dg.MetadataValue.md(_markdown(tables)),
        "details": dg.MetadataValue.json({str(row.pop("table")): row for row in tables.to_dicts()}),
        **{
            name: dg.MetadataValue.int(int(tables[name].sum()))
            for name in ("files_after", "bytes_after", "partitions_compacted", "partitions_waiting", "files_vacuumed")
            if tables.height
        },
    }


def _markdown(tables: pl.DataFrame) -> str:
    if tables.is_empty():
        return "no table could be kept up"
    shown = tables.select(_SHOWN).with_columns(pl.col("seconds").round(1))
    head = [" | ".join(name.replace("_", " ") for name in _SHOWN), " | ".join("---" for _ in _SHOWN)]
    rows = [" | ".join(str(value) for value in row) for row in shown.iter_rows()]
    return "\n".join(f"| {line} |" for line in (*head, *rows))
