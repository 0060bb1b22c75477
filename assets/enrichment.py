"""Flow records with both ends resolved."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Self

import dagster as dg
import polars as pl

from assets.partitions import Partitions, flow_key
from assets.tables import table_spec
from kentik_dagster.configuration import Configuration
from kentik_dagster.core.address_index import AddressIndex
from kentik_dagster.core.enrichment import Knowledge
from kentik_dagster.core.pictures import columns_picture, shares_picture
from kentik_dagster.core.unresolved import UNRESOLVED, shares, together, unresolved_share
from kentik_dagster.errors import KentikDagsterError
from kentik_dagster.work.enrich import Enriched, enrich_hour, enriched_rows, settled_hours
from kentik_dagster.work.flow_pictures import MOST_ROWS, traffic_by_minute
from kentik_dagster.work.places import Places
from resources.lake import Lake

ENDS_RESOLVED = "ends_resolved"
# More unknown or ambiguous ends than this say that metadata of some account or VPC is missing.
_MOST_UNRESOLVED = 0.02
_VPCS_SHOWN = 20
_MOST_PICTURES = 24
ENDS_RESOLVED_CHECK = dg.AssetCheckSpec(
    ENDS_RESOLVED,
    asset="enriched_flows",
    description=f"At most {_MOST_UNRESOLVED:.0%} of the ends in internal ranges are unknown or ambiguous.",
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


def enrichment_spec(partitions: Partitions) -> dg.AssetSpec:
    """`enriched_flows`."""
    return table_spec(
        "enriched_flows",
        deps=["flow_logs", "firewall_logs", "address_book"],
        group="flow_logs",
        partitions_def=partitions.flows,
    )


class EnrichmentRun:
    """What a run that enriches knows, read once, and what it did.

    Attributes:
        known: None: it could not be read, and nothing is enriched.
    """

    def __init__(
        self, context: dg.AssetExecutionContext, configuration: Configuration, lake: Lake, *, rebuild: bool
    ) -> None:
        self.known: Knowledge | None = None
        self._context = context
        self._configuration = configuration
        self._lake = lake
        self._rebuild = rebuild
        self._enriched: dict[str, list[Enriched]] = {}
        self._failures: list[str] = []
        self._open = ExitStack()

    def __enter__(self) -> Self:
        try:
            self.known = self._open.enter_context(_knowledge(self._configuration, self._lake))
        except KentikDagsterError as error:
            self._failures.append(str(error))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def hours_on_the_way(self, export: str, hours: Sequence[str]) -> list[str]:
        """The hours whose records can be enriched while they are read.

        Not where nothing is known, nor where rows that are there already are to be resolved anew as well.
        """
        if self.known is None:
            return []
        there = enriched_rows(self._lake.tables, export, hours) if self._rebuild else {}
        return [hour for hour in hours if not there.get(hour)]

    def bring_up(self, export: str, hours: Sequence[str], on_the_way: Mapping[str, pl.DataFrame]) -> None:
        """Enrich what some hours lack, or everything anew; what fails is told by `results`.

        Args:
            on_the_way: of hours whose records were enriched while they were read, the ends of these records.
        """
        if self.known is None:
            return
        try:
            settled = settled_hours(self._lake.tables, export, on_the_way.keys())
        except KentikDagsterError as error:
            self._failures.append(f"{export}: {error}")
            return
        for hour in hours:
            if hour in settled:
                self._tell(export, hour, Enriched(rows=settled[hour], ends=on_the_way[hour]))
                continue
            rebuild = self._rebuild and hour not in on_the_way
            try:
                done = enrich_hour(self._lake.tables, export, hour, self.known, rebuild=rebuild)
            except KentikDagsterError as error:
                self._failures.append(f"{export} {hour}: {error}")
                continue
            self._context.log.info(f"{export} {hour}: {done.rows:,} rows enriched")
            ends = together([done.ends, on_the_way[hour]]) if hour in on_the_way else done.ends
            self._tell(export, hour, Enriched(rows=done.rows, ends=ends))

    def _tell(self, export: str, hour: str, done: Enriched) -> None:
        self._enriched.setdefault(export, []).append(done)
        told = _told(export, done)
        # Each picture is kept with its event: those of a long backfill would fill the storage of Dagster.
        if 0 < done.rows <= MOST_ROWS and len(self._context.partition_keys) <= _MOST_PICTURES:
            try:
                told |= _pictures(traffic_by_minute(self._lake.tables, export, hour), done.ends)
            except KentikDagsterError as error:  # the hour is enriched, whether it can be shown or not
                self._context.log.warning(f"{export} {hour}: there are no pictures: {error}")
        self._context.add_asset_metadata(told, asset_key="enriched_flows", partition_key=flow_key(export, hour))

    def results(self) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        """What Dagster is told.

        Raises:
            Failure: some hours could not be enriched.
        """
        if self._failures:
            raise dg.Failure("\n".join(self._failures), allow_retries=False)
        yield dg.MaterializeResult("enriched_flows")
        if ENDS_RESOLVED_CHECK.key in self._context.selected_asset_check_keys:
            yield _check(self._enriched)


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


def _pictures(minutes: pl.DataFrame, ends: pl.DataFrame) -> dict[str, dg.MarkdownMetadataValue]:
    labels = minutes["minute"].dt.strftime("%H:%M").to_list()
    profiles = minutes.drop("minute").to_dict(as_series=False)
    told = {}
    if profiles:
        told["traffic_per_minute"] = columns_picture("bytes per minute (UTC) by traffic profile", labels, profiles)
    if ends.height:
        amounts = dict(shares(ends).select("resolution", "ends").iter_rows())
        told["how_ends_were_resolved"] = shares_picture("ends of flows by how they were resolved", amounts)
    return {name: dg.MetadataValue.md(picture) for name, picture in told.items()}


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
        asset_key="enriched_flows",
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
