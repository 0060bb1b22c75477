"""Flow records with both ends resolved."""

import dagster as dg
import polars as pl

from assets.partitions import Partitions, flow_key, hours_by_export
from assets.tables import table_assets, table_spec
from kentik_dagster.errors import KentikDagsterError
from kentik_dagster.work.enrich import Enriched, enrich_hour
from resources.clock import Clock
from resources.lake import Lake

ENDS_RESOLVED = "ends_resolved"
# More unknown or ambiguous ends than this say that metadata of some account or VPC is missing.
_MOST_UNRESOLVED = 0.02
_CHECKS = (
    dg.AssetCheckSpec(
        ENDS_RESOLVED,
        asset="enriched_flows",
        description=f"At most {_MOST_UNRESOLVED:.0%} of the ends are unknown or ambiguous.",
    ),
)


class EnrichmentConfig(dg.Config):
    """How `enriched_flows` is brought up to date.

    Attributes:
        rebuild: resolve every row of the partition anew, with the metadata that is known now. Sensors ask
            for new rows only.
    """

    rebuild: bool = True


def enrichment_assets(partitions: Partitions) -> list[dg.AssetsDefinition]:
    """`enriched_flows`."""
    spec = table_spec(
        "enriched_flows", deps=["flow_logs", "address_book"], group="flow_logs", partitions_def=partitions.flows
    )

    @table_assets("enriched_flows", [spec], _CHECKS)
    def enriched_flows(
        context: dg.AssetExecutionContext, config: EnrichmentConfig, lake: Lake, clock: Clock
    ) -> dg.MaterializeResult:
        """Both ends of every flow record resolved to who owned them at that moment."""
        book = lake["address_book"].read()
        enriched: list[Enriched] = []
        failures: list[str] = []
        for export, asked in hours_by_export(context.partition_keys).items():
            # What flow_logs does not hold any more cannot be resolved anew.
            for hour in partitions.open_hours(asked, clock.now()):
                try:
                    done = enrich_hour(lake.tables, export, hour, book, rebuild=config.rebuild)
                except KentikDagsterError as error:
                    failures.append(f"{export} {hour}: {error}")
                    continue
                enriched.append(done)
                context.log.info(f"{export} {hour}: {done.rows:,} rows enriched")
                context.add_asset_metadata(
                    {
                        "dagster/partition_row_count": done.rows,
                        "resolutions": dg.MetadataValue.json(
                            dict(done.resolutions.select("resolution", "ends").iter_rows())
                        ),
                    },
                    partition_key=flow_key(export, hour),
                )
        if failures:
            raise dg.Failure("\n".join(failures), allow_retries=False)
        return dg.MaterializeResult(check_results=[_check(enriched)])

    return [enriched_flows]


def _check(enriched: list[Enriched]) -> dg.AssetCheckResult:
    total = sum(int(done.resolutions["ends"].sum()) for done in enriched)
    unresolved = sum(
        int(done.resolutions.filter(pl.col("resolution").is_in(["unknown", "ambiguous"]))["ends"].sum())
        for done in enriched
    )
    share = unresolved / total if total else 0.0
    passed = share <= _MOST_UNRESOLVED
    return dg.AssetCheckResult(
        check_name=ENDS_RESOLVED,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=None
        if passed
        else f"{share:.1%} of the ends are unknown or ambiguous: see metadata_calls for what could not be collected",
        metadata={"unresolved_share": share, "unresolved_ends": unresolved, "ends": total},
    )
