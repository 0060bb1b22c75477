"""Flow records with both ends resolved."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import polars as pl

from assets.partitions import Partitions, flow_key, hours_by_export
from assets.tables import table_assets, table_spec
from kentik_dagster.configuration import Configuration
from kentik_dagster.core.address_index import AddressIndex
from kentik_dagster.core.enrichment import Knowledge
from kentik_dagster.core.unresolved import UNRESOLVED, shares, together, unresolved_share
from kentik_dagster.errors import KentikDagsterError
from kentik_dagster.work.enrich import Enriched, enrich_hour
from kentik_dagster.work.places import Places
from resources.clock import Clock
from resources.lake import Lake

ENDS_RESOLVED = "ends_resolved"
# More unknown or ambiguous ends than this say that metadata of some account or VPC is missing.
_MOST_UNRESOLVED = 0.02
_VPCS_SHOWN = 20
_CHECKS = (
    dg.AssetCheckSpec(
        ENDS_RESOLVED,
        asset="enriched_flows",
        description=f"At most {_MOST_UNRESOLVED:.0%} of the ends in internal ranges are unknown or ambiguous.",
    ),
)
_UNRESOLVED_BY_VPC = dg.TableSchema(
    [
        dg.TableColumn("export"),
        dg.TableColumn("vpc_id", description="VPC that recorded the flows"),
        dg.TableColumn("resolution", description="why the end is not resolved"),
        dg.TableColumn("ends", "int"),
        dg.TableColumn("share", "float", description="of the internal ends that the VPC recorded"),
    ]
)


class EnrichmentConfig(dg.Config):
    """How `enriched_flows` is brought up to date.

    Attributes:
        rebuild: resolve every row of the partition anew, with the metadata that is known now. Sensors ask
            for new rows only.
    """

    rebuild: bool = True


def enrichment_assets(configuration: Configuration, partitions: Partitions) -> list[dg.AssetsDefinition]:
    """`enriched_flows`."""
    spec = table_spec(
        "enriched_flows",
        deps=["flow_logs", "firewall_logs", "address_book"],
        group="flow_logs",
        partitions_def=partitions.flows,
    )

    @table_assets("enriched_flows", [spec], _CHECKS)
    def enriched_flows(
        context: dg.AssetExecutionContext, config: EnrichmentConfig, lake: Lake, clock: Clock
    ) -> dg.MaterializeResult:
        """Both ends of every flow record resolved to who owned them at that moment."""
        enriched: dict[str, list[Enriched]] = {}
        failures: list[str] = []
        with _knowledge(configuration, lake) as known:
            for export, asked in hours_by_export(context.partition_keys).items():
                # What flow_logs does not hold any more cannot be resolved anew.
                for hour in partitions.open_hours(asked, clock.now()):
                    try:
                        done = enrich_hour(lake.tables, export, hour, known, rebuild=config.rebuild)
                    except KentikDagsterError as error:
                        failures.append(f"{export} {hour}: {error}")
                        continue
                    enriched.setdefault(export, []).append(done)
                    context.log.info(f"{export} {hour}: {done.rows:,} rows enriched")
                    context.add_asset_metadata(_told(export, done), partition_key=flow_key(export, hour))
        if failures:
            raise dg.Failure("\n".join(failures), allow_retries=False)
        return dg.MaterializeResult(check_results=[_check(enriched)])

    return [enriched_flows]


@contextmanager
def _knowledge(configuration: Configuration, lake: Lake) -> Iterator[Knowledge]:
    """What a run knows; read once."""
    index = AddressIndex(lake["address_book"].read())
    geoip = configuration.geoip
    names = configuration.application_names
    if not (geoip.country or geoip.autonomous_system):
        yield Knowledge(index=index, applications=names)
        return
    with Places(geoip.country, geoip.autonomous_system) as places:
        yield Knowledge(index=index, applications=names, places=places.of)


def _told(export: str, done: Enriched) -> dict[str, Any]:
    """What is said of one hour; shares are of the rows that were enriched now."""
    if done.ends.is_empty():
        return {"dagster/partition_row_count": done.rows}
    return {
        "dagster/partition_row_count": done.rows,
        "resolutions": dg.MetadataValue.json(dict(shares(done.ends).select("resolution", "ends").iter_rows())),
        "unresolved_share": unresolved_share(done.ends),
        "unresolved_by_vpc": _unresolved_by_vpc({export: [done]}),
    }


def _unresolved_by_vpc(enriched: dict[str, list[Enriched]]) -> dg.MetadataValue:
    """The VPCs with most ends that are not resolved, by reason."""
    records = []
    for export, hours in enriched.items():
        internal = together(hour.ends for hour in hours).filter("is_internal")
        totals = dict(internal.group_by("vpc_id").agg(pl.col("ends").sum()).iter_rows())
        for row in internal.filter(pl.col("resolution").is_in(UNRESOLVED)).head(_VPCS_SHOWN).to_dicts():
            share = row["ends"] / totals[row["vpc_id"]]
            records.append(
                dg.TableRecord(
                    {
                        "export": export,
                        "vpc_id": row["vpc_id"] or "",
                        "resolution": row["resolution"],
                        "ends": row["ends"],
                        "share": share,
                    }
                )
            )
    return dg.MetadataValue.table(records, _UNRESOLVED_BY_VPC)


def _check(enriched: dict[str, list[Enriched]]) -> dg.AssetCheckResult:
    ends = together(hour.ends for hours in enriched.values() for hour in hours)
    share = unresolved_share(ends)
    passed = share <= _MOST_UNRESOLVED
    return dg.AssetCheckResult(
        check_name=ENDS_RESOLVED,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=None
        if passed
        else f"{share:.1%} of the ends in internal ranges are unknown or ambiguous: see unresolved_by_vpc for where, "
        "and metadata_calls for what could not be collected",
        metadata={
            "unresolved_share": share,
            "internal_ends": int(ends.filter("is_internal")["ends"].sum()),
            "unresolved_by_vpc": _unresolved_by_vpc(enriched),
        },
    )
