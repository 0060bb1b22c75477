"""Deleting log objects that have been read, and saying of each what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum

import polars as pl
from botocore.exceptions import BotoCoreError, ClientError

from kentik_dagster.aws.sessions import ExportAccess, error_code

_CONCURRENT_DELETIONS = 8


class SweepOutcome(StrEnum):
    """What became of an object that may be deleted."""

    DELETED = "deleted"
    WOULD_DELETE = "would_delete"  # dry run
    CHANGED = "changed"  # the key holds other content now; that content is read first
    ALREADY_GONE = "already_gone"
    FAILED = "failed"


def delete_objects(access: ExportAccess, bucket: str, objects: pl.DataFrame) -> pl.DataFrame:
    """Delete objects, each only if it still has the ETag that was read.

    Args:
        objects: one row per object: `key`, `etag`.

    Returns:
        One row per object, in the same order: `key`, `etag`, `outcome` (of SweepOutcome), `error`.
    """
    client = access.primary.client("s3", access.export.region)

    def delete(key: str, etag: str) -> tuple[str, str, str, str | None]:
        try:
            client.delete_object(Bucket=bucket, Key=key, IfMatch=f'"{etag}"')
        except (ClientError, BotoCoreError) as error:
            outcome, text = _refusal(error)
            return key, etag, outcome, text
        return key, etag, SweepOutcome.DELETED, None

    keys: Sequence[str] = objects["key"].to_list()
    with ThreadPoolExecutor(_CONCURRENT_DELETIONS, thread_name_prefix="delete") as pool:
        rows = list(pool.map(delete, keys, objects["etag"].to_list()))
    schema = {"key": pl.String, "etag": pl.String, "outcome": pl.String, "error": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _refusal(error: Exception) -> tuple[SweepOutcome, str]:
    code = error_code(error)
    if code in ("PreconditionFailed", "412"):
        return SweepOutcome.CHANGED, "the object was overwritten after it was read"
    if code in ("NoSuchKey", "404"):
        return SweepOutcome.ALREADY_GONE, "somebody else deleted the object"
    hint = "; grant s3:DeleteObject on the log prefix" if code == "AccessDenied" else ""
    return SweepOutcome.FAILED, f"{code}: {' '.join(str(error).split())[:500]}{hint}"
