"""A history turned into what the system keeps of it: the log of metadata changes and the accounts."""

from __future__ import annotations

import functools

import polars as pl

from kentik_dagster.catalog.network_operations import OPERATIONS
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.network import Scope, new_changes
from kentik_dagster.core.resources import Resources, resources
from kentik_dagster.core.schemas import no_rows
from kentik_dagster.demo.history import History, Size

OPERATION = {operation.resource_type: operation for operation in OPERATIONS}


def changes(history: History) -> pl.DataFrame:
    """Rows of `metadata_changes` after all snapshots of a history.

    An account whose metadata cannot be seen at a snapshot adds nothing, and nothing of it is taken for removed.
    """
    logs = []
    for account_id in history.accounts["account_id"]:
        log = no_rows(TABLES["metadata_changes"])
        for at in history.snapshots:
            frames, scopes = [], []
            for region in history.regions:
                for resource_type, items in (history.answers(account_id, region, at) or {}).items():
                    found = resources(items, OPERATION[resource_type], account_id=account_id, region=region)
                    frames.append(found.rows)
                    scopes.append(Scope(account_id, region, resource_type))
            if scopes:
                log = pl.concat([log, new_changes(log, pl.concat(frames), scopes, at)])
        logs.append(log)
    return pl.concat(logs)


def accounts(history: History) -> pl.DataFrame:
    """Rows of `org_accounts`, as far as enrichment reads them."""
    return history.accounts.with_columns(state=pl.lit("ACTIVE"))


def seen(history: History) -> list[tuple[str, str, Resources]]:
    """What every snapshot saw: account id, kind of resource, resources."""
    return [
        (account_id, resource_type, resources(items, OPERATION[resource_type], account_id=account_id, region=region))
        for at in history.snapshots
        for account_id in history.accounts["account_id"]
        for region in history.regions
        for resource_type, items in (history.answers(account_id, region, at) or {}).items()
    ]


@functools.cache
def made_up_history(seed: int, pairs: int = 3) -> History:
    """A history, made once."""
    return History(seed, Size(pairs=pairs))
