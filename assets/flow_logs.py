"""Flow logs: from the objects of the bucket to rows, each object once."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import dagster as dg
import polars as pl

from assets.enrichment import ENDS_RESOLVED_CHECK, EnrichmentConfig, EnrichmentRun, enrichment_spec
from assets.flow_log_results import CHECKS, MOST_TABLES, hour_metadata, object_checks, objects_by_source, rows_check
from assets.partitions import REASON_TAG, Partitions, days_of, flow_key, hours_by_export
from assets.tables import table_assets, table_spec
from kentik_dagster.aws.flow_logs import LogBucket
from kentik_dagster.configuration import Configuration, Export
from kentik_dagster.core.enrichment import Knowledge
from kentik_dagster.core.flow_log_keys import log_objects
from kentik_dagster.core.look_back import LONGEST_STRETCH
from kentik_dagster.errors import KentikDagsterError
from kentik_dagster.work.held_rows import held_rows, lacking
from kentik_dagster.work.ingest import Ingested, ingest_hours
from resources.aws import Aws
from resources.clock import Clock
from resources.lake import Lake

_TABLES = ("flow_logs", "firewall_logs", "flow_log_objects", "rejected_records")


def bucket_assets(configuration: Configuration, partitions: Partitions) -> list[dg.AssetSpec]:
    """The log buckets: what AWS writes into, and the roots of lineage."""
    return [
        dg.AssetSpec(
            bucket_key(bucket),
            description=f"S3 bucket into which AWS writes flow logs, read by {_readers(configuration, bucket)}.",
            group_name="sources",
            kinds={"s3"},
            partitions_def=partitions.flows,
            metadata={"dagster/uri": f"s3://{bucket}"},
        )
        for bucket in sorted({export.log_bucket for export in configuration.log_exports})
    ]


def bucket_key(bucket: str) -> dg.AssetKey:
    """The asset key of a log bucket."""
    return dg.AssetKey(["s3", bucket])


def _readers(configuration: Configuration, bucket: str) -> str:
    names = [export.name for export in configuration.log_exports if export.log_bucket == bucket]
    return ", ".join(names)


def flow_log_assets(configuration: Configuration, partitions: Partitions) -> list[dg.AssetsDefinition]:
    """`flow_log_batches`, which keeps the tables of what objects hold, and `enriched_flows` in the same pass."""
    names = sorted({export.log_bucket for export in configuration.log_exports})
    buckets = [bucket_key(name) for name in names]
    specs = [table_spec(name, deps=buckets, group="flow_logs", partitions_def=partitions.flows) for name in _TABLES]
    specs.append(enrichment_spec(partitions))

    @table_assets(
        "flow_log_batches", specs, [*CHECKS, ENDS_RESOLVED_CHECK], can_subset=True, longest_run=LONGEST_STRETCH
    )
    def flow_log_batches(
        context: dg.AssetExecutionContext, config: EnrichmentConfig, aws: Aws, lake: Lake, clock: Clock
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        """Every log object of these hours that the lake does not hold yet, read, enriched and committed."""
        wanted = {key.to_user_string() for key in context.selected_asset_keys}
        reads = not wanted.isdisjoint(_TABLES)
        with ExitStack() as stack:
            enrichment: EnrichmentRun | None = None
            if "enriched_flows" in wanted:
                enrichment = stack.enter_context(EnrichmentRun(context, configuration, lake, rebuild=config.rebuild))
            ingest = _IngestRun(context, aws, lake, clock, enrichment)
            for export, asked in hours_by_export(context.partition_keys).items():
                # What flow_logs does not hold any more can be neither read nor resolved anew.
                hours = partitions.open_hours(asked, clock.now())
                if len(hours) < len(asked):
                    context.log.warning(f"{export}: {len(asked) - len(hours)} hours are older than retention_days")
                if reads:
                    ingest.bring_in(configuration.export(export), hours)
                elif enrichment:
                    enrichment.bring_up(export, hours, {})
            if reads:
                yield from ingest.results()
            if enrichment:
                yield from enrichment.results()

    return [flow_log_batches]


class _IngestRun:
    """What a run reads, and what became of it; each hour is enriched when it has been read, if that is asked for."""

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        aws: Aws,
        lake: Lake,
        clock: Clock,
        enrichment: EnrichmentRun | None,
    ) -> None:
        self._context = context
        self._aws = aws
        self._lake = lake
        self._clock = clock
        self._enrichment = enrichment
        self._ingested: list[Ingested] = []
        self._failures: list[str] = []
        self._ignored = 0
        self._list_requests = 0
        self._lost: list[pl.DataFrame] = []

    def bring_in(self, export: Export, hours: list[str]) -> None:
        """Read the objects of some hours that are not there yet; what fails is told by `results`."""
        try:
            bucket = LogBucket(self._aws.access(export))
            everything = bucket.everything(days_of(hours))
            on_the_way = self._enrichment.hours_on_the_way(export.name, hours) if self._enrichment else []
        except KentikDagsterError as error:
            self._failures.append(str(error))
            return
        listed = log_objects(everything).sort("key")
        self._ignored += everything.height - listed.height
        known = self._enrichment.known if self._enrichment else None
        done = self._ingest(bucket, on_the_way, listed, known)
        enriched = {hour: one.ends for hour, one in done.items()}
        done |= self._ingest(bucket, [hour for hour in hours if hour not in on_the_way], listed, None)
        try:
            held = held_rows(self._lake.tables, export.name, list(done))
        except KentikDagsterError as error:
            self._failures.append(f"{export.name}: {error}")
            return
        self._lost.append(lacking(held))
        self._list_requests += bucket.list_requests
        told = {row["hour"]: row for row in held.iter_rows(named=True)}
        for hour, one in done.items():
            self._ingested.append(one)
            self._tell(export.name, hour, one, told[hour])
        if self._enrichment:
            self._enrichment.bring_up(export.name, list(done), enriched)

    def _ingest(
        self, bucket: LogBucket, hours: Sequence[str], listed: pl.DataFrame, known: Knowledge | None
    ) -> dict[str, Ingested]:
        """All hours together and, if that fails, each alone: an hour that fails again takes no other with it."""
        if not hours:
            return {}
        try:
            return ingest_hours(
                bucket,
                self._lake.tables,
                hours,
                listed.filter(pl.col("hour").is_in(hours)),
                run_id=self._context.run.run_id,
                clock=self._clock.now,
                known=known,
                every_unreadable=REASON_TAG not in self._context.run.tags,
                progress=self._context.log.info,
            )
        except KentikDagsterError as error:
            if len(hours) > 1:
                self._context.log.warning(f"{bucket.export.name}: {error}; every hour is tried alone")
                return dict(one for hour in hours for one in self._ingest(bucket, [hour], listed, known).items())
            self._failures.append(f"{bucket.export.name} {hours[0]}: {error}")
            return {}

    def _tell(self, export: str, hour: str, done: Ingested, held: Mapping[str, Any]) -> None:
        told = hour_metadata(done, held)
        # A table is kept with its event: those of a long backfill would fill the storage of Dagster.
        if done.objects.height and len(self._context.partition_keys) <= MOST_TABLES:
            told["flow_log_objects"]["objects_by_source"] = objects_by_source(done.objects)
        for table, numbers in told.items():
            if dg.AssetKey(table) in self._context.selected_asset_keys:
                self._context.add_asset_metadata(numbers, asset_key=table, partition_key=flow_key(export, hour))

    def results(self) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        """What Dagster is told; all tables of objects are kept, whichever were asked for.

        Raises:
            Failure: some hours could not be read.
        """
        if self._failures:
            raise dg.Failure("\n".join(self._failures), allow_retries=False)
        for table in _TABLES:
            of_run = (
                {}
                if table != "flow_log_objects"
                else {
                    "objects_ignored_in_run": self._ignored,
                    "list_requests_in_run": self._list_requests,
                    "get_requests_in_run": sum(done.objects.height for done in self._ingested),
                }
            )
            if dg.AssetKey(table) in self._context.selected_asset_keys:
                yield dg.MaterializeResult(table, metadata=of_run)
            else:
                for key in self._context.partition_keys:
                    self._context.log_event(dg.AssetMaterialization(table, partition=key, metadata=of_run))
        selected = {key.name for key in self._context.selected_asset_check_keys}
        results = (*object_checks(self._ingested), rows_check(self._lost))
        yield from (result for result in results if result.check_name in selected)
