"""Deleting log objects that have been read, each only while it still is the content that was read.

An object that was overwritten in the meantime must survive, so every request carries the ETag, and S3 compares it:

- `DeleteObject` with `If-Match`, and `DeleteObjects` with an `ETag` for each key, are conditional in general purpose
  buckets. A failed condition is 412 or an entry in `Errors`, a missing object 404, and s3:GetObject is needed besides
  s3:DeleteObject. https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html
- Not every endpoint that speaks S3 does this. moto 5.2.5 honours `If-Match`, but ignores the `ETag` of `DeleteObjects`
  and deletes whatever is there; MinIO ignores both.

So no endpoint is taken at its word. Before a bulk request the endpoint is asked to delete an object that is not there,
under a condition that nothing meets. Only one that answers "no such key" or "precondition failed" looks at conditions;
one that answers "deleted" does not. Without that proof the objects are deleted one by one with `If-Match`, which AWS's
own endpoints are documented to honour and others must prove in the same way, or nothing is deleted at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import polars as pl
from botocore.exceptions import BotoCoreError, ClientError

from kentik_dagster.aws.sessions import ExportAccess, error_code
from kentik_dagster.core.deletion import NO_ANSWER, NOT_CONDITIONAL, SweepOutcome

# The most that DeleteObjects takes.
_BULK_OBJECTS = 1000
# Fewer objects than this are deleted sooner than the endpoint answers whether it takes them at once.
_BULK_FROM = 17
_CONCURRENT_BULKS = 4
_CONCURRENT_DELETIONS = 16
# Folders in which the endpoint is asked: a policy may deny one of them and allow the next.
_PROBED_FOLDERS = 10
_PROBE_NAME = "kentik-dagster-condition-probe.log.gz"
_UNMET = '"00000000000000000000000000000000"'
_AWS_HOST = re.compile(r"(^|\.)(amazonaws\.com(\.cn)?|api\.aws)$")
_ABSENT = frozenset({"NoSuchKey", "404"})
_UNMET_CODES = frozenset({"PreconditionFailed", "412"})

DELETED_AGAIN = "the object was gone when the request was repeated: the answer to the first one was lost"
VERSION_STAYS = "the bucket is versioned: a delete marker hides the object, and a lifecycle rule removes its version"


@dataclass(frozen=True, slots=True)
class _Target:
    """An object, and the quoted ETag that it must have."""

    key: str
    etag: str


@dataclass(frozen=True, slots=True)
class _Result:
    outcome: SweepOutcome
    error: str | None = None


def delete_objects(access: ExportAccess, bucket: str, objects: pl.DataFrame) -> pl.DataFrame:
    """Delete objects, each only if it still has the ETag that was read.

    Args:
        objects: one row per object: `key` (each once), `etag`.

    Returns:
        One row per object, in the same order: `key`, `etag`, `outcome` (of SweepOutcome), `error`. Whatever S3
        refuses is an outcome: nothing that it answers is raised.
    """
    deletion = _Deletion(
        access.primary.client("s3", access.export.region),
        bucket,
        resource=f"arn:{access.primary.partition}:s3:::{bucket}/{access.export.bucket_prefix}*",
    )
    targets = [_Target(key, f'"{etag}"') for key, etag in objects.select("key", "etag").iter_rows()]
    results = deletion.results(targets)
    rows = [
        (target.key, target.etag.strip('"'), str(result.outcome), result.error)
        for target, result in zip(targets, results, strict=True)
    ]
    schema = {"key": pl.String, "etag": pl.String, "outcome": pl.String, "error": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


@dataclass(frozen=True, slots=True)
class _Deletion:
    """Conditional deletions in one bucket, by the requests whose conditions its endpoint is known to look at."""

    client: Any
    bucket: str
    resource: str

    def results(self, targets: Sequence[_Target]) -> list[_Result]:
        folders = list(dict.fromkeys(target.key.rpartition("/")[0] for target in targets))[:_PROBED_FOLDERS]
        if len(targets) >= _BULK_FROM and self._bulk_is_conditional(folders[0]):
            chunks = [targets[start : start + _BULK_OBJECTS] for start in range(0, len(targets), _BULK_OBJECTS)]
            with ThreadPoolExecutor(_CONCURRENT_BULKS, thread_name_prefix="delete") as pool:
                return [result for results in pool.map(self._at_once, chunks) for result in results]
        objection = self._objection(folders)
        return [objection] * len(targets) if objection else self._one_by_one(targets)

    def _bulk_is_conditional(self, folder: str) -> bool:
        try:
            answer = self._bulk([_Target(_inside(folder, _PROBE_NAME), _UNMET)])
        except (ClientError, BotoCoreError):
            return False
        return [error.get("Code") in _ABSENT | _UNMET_CODES for error in answer.get("Errors", [])] == [True]

    def _objection(self, folders: Iterable[str]) -> _Result | None:
        """Why objects cannot be deleted one by one under a condition; None: they can."""
        if _AWS_HOST.search(urlsplit(self.client.meta.endpoint_url).hostname or ""):
            return None
        refusal: _Result | None = None
        for folder in folders:
            try:
                self.client.delete_object(Bucket=self.bucket, Key=_inside(folder, _PROBE_NAME), IfMatch=_UNMET)
            except ClientError as error:
                if error_code(error) in _ABSENT | _UNMET_CODES:
                    return None
                refusal = self._refusal(error_code(error), _message(error))
            except BotoCoreError as error:
                refusal = _unanswered(error)
            else:
                return _Result(
                    SweepOutcome.FAILED,
                    f"{NOT_CONDITIONAL}: {self.client.meta.endpoint_url} ignores If-Match, and would delete what was "
                    "overwritten. Nothing was deleted: let a lifecycle rule of the bucket remove old log objects.",
                )
        return refusal

    def _one_by_one(self, targets: Sequence[_Target]) -> list[_Result]:
        with ThreadPoolExecutor(_CONCURRENT_DELETIONS, thread_name_prefix="delete") as pool:
            return list(pool.map(self._one, targets))

    def _one(self, target: _Target) -> _Result:
        try:
            answer = self.client.delete_object(Bucket=self.bucket, Key=target.key, IfMatch=target.etag)
        except ClientError as error:
            if error_code(error) in _ABSENT and error.response.get("ResponseMetadata", {}).get("RetryAttempts"):
                return _Result(SweepOutcome.DELETED, DELETED_AGAIN)
            return self._refusal(error_code(error), _message(error))
        except BotoCoreError as error:
            return _unanswered(error)
        return _deleted(answer)

    def _at_once(self, targets: Sequence[_Target]) -> list[_Result]:
        try:
            answer = self._bulk(targets)
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500) < 500:
                # Refused as a whole, such as for one key that XML cannot carry: the others are not to blame.
                return self._one_by_one(targets)
            return [self._refusal(error_code(error), _message(error))] * len(targets)
        except BotoCoreError as error:
            return [_unanswered(error)] * len(targets)
        results = {entry["Key"]: _deleted(entry) for entry in answer.get("Deleted", [])}
        for entry in answer.get("Errors", []):
            results[entry["Key"]] = self._refusal(entry.get("Code", "Unknown"), entry.get("Message", ""))
        unnamed = _Result(SweepOutcome.FAILED, f"{NO_ANSWER} for this key")
        return [results.get(target.key, unnamed) for target in targets]

    def _bulk(self, targets: Sequence[_Target]) -> dict[str, Any]:
        listed = [{"Key": target.key, "ETag": target.etag} for target in targets]
        answer: dict[str, Any] = self.client.delete_objects(
            Bucket=self.bucket, Delete={"Objects": listed, "Quiet": False}
        )
        return answer

    def _refusal(self, code: str, message: str) -> _Result:
        if code in _UNMET_CODES:
            return _Result(SweepOutcome.CHANGED, "the object was overwritten after it was read")
        if code in _ABSENT:
            return _Result(SweepOutcome.ALREADY_GONE, "somebody else deleted the object")
        hint = f". Grant s3:DeleteObject and s3:GetObject on {self.resource}" if code == "AccessDenied" else ""
        return _Result(SweepOutcome.FAILED, f"{code}: {message}{hint}")


def _inside(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _deleted(answer: dict[str, Any]) -> _Result:
    return _Result(SweepOutcome.DELETED, VERSION_STAYS if answer.get("DeleteMarker") else None)


def _unanswered(error: BotoCoreError) -> _Result:
    return _Result(SweepOutcome.FAILED, f"{NO_ANSWER}: {' '.join(str(error).split())[:300]}")


def _message(error: ClientError) -> str:
    return " ".join(str(error.response.get("Error", {}).get("Message", "")).split())[:500]
