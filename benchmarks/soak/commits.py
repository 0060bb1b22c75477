"""When the rows of each log object could first be queried: the commit that added them, as Delta's log says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import polars as pl

from kentik_dagster.lake.tables import LakeTable

_LOG_ENTRY = re.compile(r"_delta_log/(\d{20})\.json$")


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit: when it took effect, and the files that it added, below the table's folder."""

    at: datetime
    added: tuple[str, ...]


def commits(s3: Any, bucket: str, prefix: str) -> Iterator[Commit]:
    """The commits of a table on S3, oldest first.

    The time is that of the log entry's object: what its writer says in it was before the first try of the commit. S3
    tells whole seconds, so the end of the second is taken.
    """
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/_delta_log/")
    entries = sorted(
        (entry for page in pages for entry in page.get("Contents", []) if _LOG_ENTRY.search(entry["Key"])),
        key=lambda entry: str(entry["Key"]),
    )
    for entry in entries:
        text = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read().decode()
        actions = [json.loads(line) for line in text.splitlines()]
        added = tuple(unquote(action["add"]["path"]) for action in actions if "add" in action)
        yield Commit(entry["LastModified"].astimezone(UTC).replace(microsecond=999_999), added)


def queryable_at(s3: Any, table: LakeTable, bucket: str, prefix: str) -> pl.DataFrame:
    """When the rows of each object of a table could first be queried.

    Returns:
        One row per object: `export`, `source_object`, `queryable_at`.
    """
    options = dict(table.storage_options) or None
    found = []
    for commit in commits(s3, bucket, prefix):
        for path in commit.added:
            rows = pl.scan_parquet(f"{table.uri}/{path}", storage_options=options, hive_partitioning=False, glob=False)
            names = rows.select(pl.col("source_object").cast(pl.String)).unique().collect()
            export = path.split("export=")[1].split("/")[0]
            found.append(names.with_columns(export=pl.lit(export), queryable_at=pl.lit(commit.at)))
    return pl.concat(found).group_by("export", "source_object").agg(pl.col("queryable_at").min())
