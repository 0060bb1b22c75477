"""What every asset says of its table: what one row is, its columns, where it lies."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import dagster as dg

from kentik_dagster.catalog.tables import TABLES


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
        metadata={"dagster/column_schema": _column_schema(name), "dagster/table_name": name},
    )


def table_assets(
    name: str, specs: Sequence[dg.AssetSpec], checks: Sequence[dg.AssetCheckSpec] = (), *, can_subset: bool = False
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Decorate the computation that keeps some tables; a range of partitions is one run of it.

    Args:
        can_subset: it may be asked for some of the tables only.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # backfill_policy
        return dg.multi_asset(
            name=name,
            specs=specs,
            check_specs=checks,
            can_subset=can_subset,
            backfill_policy=dg.BackfillPolicy.single_run(),
        )


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
