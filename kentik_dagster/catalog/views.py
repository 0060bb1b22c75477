"""The log of metadata changes as SQL: what there is now, what there was, and what became of one resource.

The texts run unchanged in Polars, DuckDB and DataFusion (deltalake's QueryBuilder) over a table that is called
`metadata_changes`. `core.resource_views` says the same in Polars.
"""

from __future__ import annotations

from datetime import UTC, datetime
from textwrap import fill

from kentik_dagster.catalog.tables import TABLES

_COLUMNS = fill(
    ", ".join(column.name for column in TABLES["metadata_changes"].columns),
    width=100,
    initial_indent="    ",
    subsequent_indent="    ",
)

# The last change of each resource in each account and region; what was removed is not standing.
_STANDING = f"""\
WITH ranked AS (
  SELECT
{_COLUMNS},
    ROW_NUMBER() OVER (
      PARTITION BY account_id, region, resource_type, resource_id ORDER BY observed_at DESC
    ) AS recency
  FROM metadata_changes{{condition}}
),
standing AS (
  SELECT
{_COLUMNS}
  FROM ranked
  WHERE recency = 1 AND change <> 'removed'
)"""

_AS_EACH_ACCOUNT_SEES_THEM = f"""{_STANDING}
SELECT
{_COLUMNS}
FROM standing
ORDER BY account_id, region, resource_type, resource_id
"""

# The owner's record if the owner's account is collected, else that of the first account and region.
_ONCE = f"""{_STANDING},
preferred AS (
  SELECT
{_COLUMNS},
    ROW_NUMBER() OVER (
      PARTITION BY resource_type, resource_id
      ORDER BY CASE WHEN owner_account_id = account_id THEN 0 ELSE 1 END, account_id, region
    ) AS preference
  FROM standing
),
witnesses AS (
  SELECT resource_type AS seen_type, resource_id AS seen_id,
    ARRAY_AGG(DISTINCT account_id ORDER BY account_id) AS seen_from
  FROM standing
  GROUP BY resource_type, resource_id
)
SELECT
{_COLUMNS},
    seen_from
FROM preferred JOIN witnesses ON resource_type = seen_type AND resource_id = seen_id
WHERE preference = 1
ORDER BY resource_type, resource_id
"""

# One row per account, region and resource that stands: the columns of `metadata_changes`.
CURRENT_RESOURCES = _AS_EACH_ACCOUNT_SEES_THEM.format(condition="")
# One row per resource that stands: the columns of `metadata_changes`, and `seen_from`, the accounts that see it.
EACH_RESOURCE_ONCE = _ONCE.format(condition="")


def resources_as_of(at: datetime) -> str:
    """CURRENT_RESOURCES as they were at an instant; one without a zone is UTC."""
    return _AS_EACH_ACCOUNT_SEES_THEM.format(condition=_until(at))


def each_resource_once_as_of(at: datetime) -> str:
    """EACH_RESOURCE_ONCE as it was at an instant; one without a zone is UTC."""
    return _ONCE.format(condition=_until(at))


def history_of(resource_id: str) -> str:
    """Every change of one resource, oldest first, as each account and region saw it: rows of `metadata_changes`."""
    return f"""\
SELECT
{_COLUMNS}
FROM metadata_changes
WHERE resource_id = {text_literal(resource_id)}
ORDER BY observed_at, account_id, region, resource_type
"""


def instant_literal(instant: datetime) -> str:
    """An instant as SQL says it, to the microsecond; one without a zone is UTC.

    The zone is part of the type: DuckDB would read a plain TIMESTAMP in the zone of its session, and Polars
    compares it with no instant.
    """
    instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    return f"TIMESTAMP WITH TIME ZONE '{instant.isoformat(sep=' ', timespec='microseconds')}'"


def text_literal(text: str) -> str:
    """A text as SQL says it: quotes are doubled, and nothing else has a meaning."""
    return "'" + text.replace("'", "''") + "'"


def _until(at: datetime) -> str:
    return f"\n  WHERE observed_at <= {instant_literal(at)}"
