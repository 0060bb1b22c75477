"""What every asset says of its table: what one row is, its columns, where it lies."""

import functools
import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import dagster as dg

from kentik_dagster.catalog.lineage import LINEAGE
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.errors import KentikDagsterError

_MINUTES = timedelta(minutes=1)
# How old a table's last materialisation may be, in minutes: a warning, and a failure. Schedules and AWS's own times say
# so: log files come every five or ten minutes, snapshots every fifteen, lists of accounts every hour.
_MAY_BE_OLD: Mapping[str, tuple[int, int]] = MappingProxyType({
    "org_accounts": (90, 180), "metric_listings": (90, 180), "lake_upkeep": (90, 180),
    "metadata_changes": (35, 60), "metadata_calls": (35, 60), "address_book": (35, 60), "cloud_devices": (35, 60),
    "status_page": (35, 60), "metric_series": (15, 30),
    "flow_logs": (30, 60), "firewall_logs": (30, 60), "flow_log_objects": (30, 60), "rejected_records": (30, 60),
    "enriched_flows": (30, 60), "deletion_sweep": (60, 120),
})  # fmt: skip


_MOST_LINEAGE = 24
# What AWS or the network fails now and then is tried again after some seconds; an error that will stay says so itself.
_RETRIES = dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)


def freshness(name: str) -> dg.FreshnessPolicy:
    """When an asset counts as late. A backfill of old hours makes it fresh, too: the status page looks at the data."""
    warn, fail = _MAY_BE_OLD[name]
    return dg.FreshnessPolicy.time_window(fail_window=fail * _MINUTES, warn_window=warn * _MINUTES)


def table_spec(
    name: str,
    *,
    deps: Iterable[str | dg.AssetKey | dg.AssetDep] = (),
    group: str,
    partitions_def: dg.PartitionsDefinition | None = None,
) -> dg.AssetSpec:
    """The asset that keeps a table of the catalog."""
    table = TABLES[name]
    return dg.AssetSpec(
        name,
        deps=list(deps),
        description=f"One row is {table.row}.",
        group_name=group,
        kinds={"deltalake", "polars"},
        partitions_def=partitions_def,
        freshness_policy=freshness(name),
        metadata={
            "dagster/column_schema": _column_schema(name),
            "dagster/table_name": name,
        },
    )


def table_assets(
    name: str,
    specs: Sequence[dg.AssetSpec],
    checks: Sequence[dg.AssetCheckSpec] = (),
    *,
    can_subset: bool = False,
    pool: str | None = None,
    longest_run: int | None = None,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Decorate the computation that keeps some tables; a range of partitions is one run of it, or a few.

    Args:
        can_subset: it may be asked for some of the tables only.
        pool: runs of one pool wait for each other, as far as the instance's limit for it says.
        longest_run: a backfill of more partitions than this is several runs; None: always one.
    """
    policy = dg.BackfillPolicy.multi_run(longest_run) if longest_run else dg.BackfillPolicy.single_run()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # backfill_policy
        decorate = dg.multi_asset(
            name=name,
            specs=specs,
            check_specs=checks,
            can_subset=can_subset,
            backfill_policy=policy,
            retry_policy=_RETRIES,
            pool=pool,
        )
    return lambda compute: _linked(decorate(_telling(compute)), compute)


def _linked(asset: dg.AssetsDefinition, compute: Callable[..., Any]) -> dg.AssetsDefinition:
    """The same, with a link to the code of the computation: the UI opens it from the asset's page."""
    lines = dg.LocalFileCodeReference(
        file_path=str(inspect.getsourcefile(compute)), line_number=compute.__code__.co_firstlineno
    )
    code = {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[lines])}
    return asset.map_asset_specs(lambda spec: spec.merge_attributes(metadata=code))


def _telling(compute: Callable[..., Any]) -> Callable[..., Any]:
    """The same, which tells the lineage of its columns, and whose errors Dagster retries only where that may help."""

    @functools.wraps(compute)
    def told(*args: Any, **kwargs: Any) -> Any:
        with _failures():
            _tell_lineage(dg.AssetExecutionContext.get())
            return compute(*args, **kwargs)

    @functools.wraps(compute)
    def told_on_the_way(*args: Any, **kwargs: Any) -> Iterator[Any]:
        with _failures():
            _tell_lineage(dg.AssetExecutionContext.get())
            yield from compute(*args, **kwargs)

    return told_on_the_way if inspect.isgeneratorfunction(compute) else told


def _tell_lineage(context: dg.AssetExecutionContext) -> None:
    """Lineage of columns is taken from an asset's last materialisation, whichever partition of a run that may be.

    It is kept with each event, so a long backfill goes without: the next run brings it back.
    """
    for key in context.selected_asset_keys:
        is_partitioned = context.assets_def.specs_by_key[key].partitions_def is not None
        partitions: Sequence[str | None] = context.partition_keys if is_partitioned else [None]
        if len(partitions) > _MOST_LINEAGE:
            continue
        if key.to_user_string() in LINEAGE:
            lineage = {"dagster/column_lineage": _column_lineage(key.to_user_string())}
            for partition in partitions:
                context.add_asset_metadata(lineage, asset_key=key, partition_key=partition)


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except KentikDagsterError as error:
        raise dg.Failure(str(error), allow_retries=error.may_pass) from error


def _column_schema(name: str) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=str(column.type),
                description=f"{column.meaning} ({column.unit})" if column.unit else column.meaning,
            )
            for column in TABLES[name].columns
        ]
    )


def _column_lineage(name: str) -> dg.TableColumnLineage:
    return dg.TableColumnLineage(
        {
            column: [dg.TableColumnDep(asset_key=dg.AssetKey(table), column_name=source) for table, source in sources]
            for column, sources in LINEAGE.get(name, {}).items()
        }
    )
