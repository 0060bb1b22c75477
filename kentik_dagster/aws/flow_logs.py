"""Flow log objects in the bucket: which there are, and their text.

Listing costs what the look-back window holds, not what the bucket's history holds: folders are discovered with a
delimiter, and only the day folders that are asked for are listed (flow_logs.md §2 and §3).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any, cast

import polars as pl
from botocore.exceptions import BotoCoreError, ClientError
from isal import igzip, igzip_lib

from kentik_dagster.aws.sessions import ExportAccess, error_code
from kentik_dagster.core.flow_log_keys import log_objects
from kentik_dagster.errors import BucketError, UnreadableObjectError

LISTED: dict[str, pl.DataType | type[pl.DataType]] = {
    "bucket": pl.String,
    "key": pl.String,
    "etag": pl.String,
    "size_bytes": pl.Int64,
    "posted_at": pl.Datetime("us", "UTC"),
}
CONCURRENT_LISTINGS = 8
# Folders between bucket_prefix and AWSLogs/: the wizard makes one for each VPC.
_DEEPEST_PREFIX = 3
_ACCOUNT_FOLDER = re.compile(r"(?:aws-account-id=)?\d{12}/$")
_SERVICE_FOLDER = re.compile(r"(?:aws-service=|service=)?vpcflowlogs/$")
# isal's stubs say that its error is an instance.
_IsalError = cast("type[Exception]", igzip_lib.IsalError)
_REGION_FOLDER = re.compile(r"(?:aws-region=)?[a-z]{2}(?:-[a-z]+)+-\d/$")


class LogBucket:
    """The bucket of one export that AWS writes flow logs into."""

    def __init__(self, access: ExportAccess) -> None:
        self.export = access.export
        self.name = access.export.log_bucket
        self._client = access.primary.client("s3", access.export.region)

    def objects(self, days: Iterable[date]) -> pl.DataFrame:
        """The flow log objects in the folders of some days.

        Returns:
            One row per object, sorted by key: the columns of LISTED, and those that
            `core.flow_log_keys.log_objects` adds. Objects that are no flow logs are left out.

        Raises:
            BucketError: the bucket cannot be listed.
        """
        folders = self.region_folders()
        wanted = [
            f"{folder}{day:year=%Y/month=%m/day=%d/}" if "aws-region=" in folder else f"{folder}{day:%Y/%m/%d/}"
            for day in sorted(set(days))
            for folder in folders
        ]
        with ThreadPoolExecutor(CONCURRENT_LISTINGS, thread_name_prefix="list") as pool:
            pages = [row for rows in pool.map(lambda prefix: list(self._listed(prefix)), wanted) for row in rows]
        listed = pl.DataFrame(pages, schema=LISTED, orient="row")
        return log_objects(listed).sort("key")

    def region_folders(self) -> Sequence[str]:
        """The prefixes that hold day folders: one for each account, service folder and region."""
        accounts = self._below(self._roots(), _ACCOUNT_FOLDER)
        return self._below(self._below(accounts, _SERVICE_FOLDER), _REGION_FOLDER)

    def text(self, key: str, etag: str) -> bytes:
        """The uncompressed text of one object, only if it still is the content that was listed.

        Content that was put there since has an ETag, and so a name, of its own: read under the old name it would
        count twice.

        Raises:
            UnreadableObjectError: it is gone, refused, archived, or no whole gzip; the message says which.
        """
        try:
            body = self._client.get_object(Bucket=self.name, Key=key, IfMatch=f'"{etag}"')["Body"].read()
        except ClientError as error:
            raise UnreadableObjectError(_refusal(error)) from error
        except BotoCoreError as error:
            raise UnreadableObjectError(f"S3 did not give the object: {error}") from error
        if not body:
            return b""
        try:
            return bytes(igzip.decompress(body))
        except (OSError, EOFError, _IsalError) as error:
            raise UnreadableObjectError(f"the object is not whole gzip: {error}") from error

    def _roots(self) -> list[str]:
        """Every AWSLogs/ folder below the export's prefix, a few folders deep at the most."""
        prefix = self.export.bucket_prefix
        start = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
        roots: list[str] = []
        level = [start]
        for _ in range(_DEEPEST_PREFIX + 1):
            found = self._folders(level)
            roots += [folder for folder in found if folder.endswith("AWSLogs/")]
            level = [folder for folder in found if not folder.endswith("AWSLogs/")]
            if not level:
                break
        return roots

    def _below(self, folders: Sequence[str], pattern: re.Pattern[str]) -> list[str]:
        return [folder for folder in self._folders(folders) if pattern.search(folder)]

    def _folders(self, parents: Sequence[str]) -> list[str]:
        with ThreadPoolExecutor(CONCURRENT_LISTINGS, thread_name_prefix="list") as pool:
            return [folder for folders in pool.map(self._subfolders, parents) for folder in folders]

    def _subfolders(self, parent: str) -> list[str]:
        pages = self._pages(Prefix=parent, Delimiter="/")
        return [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", [])]

    def _listed(self, prefix: str) -> Iterator[tuple[object, ...]]:
        for page in self._pages(Prefix=prefix):
            for entry in page.get("Contents", []):
                yield self.name, entry["Key"], entry["ETag"].strip('"'), entry["Size"], entry["LastModified"]

    def _pages(self, **parameters: str) -> Iterator[dict[str, Any]]:
        try:
            yield from self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, **parameters)
        except (ClientError, BotoCoreError) as error:
            message = (
                error.response.get("Error", {}).get("Message", "") if isinstance(error, ClientError) else str(error)
            )
            raise BucketError(self.name, self.export.name, error_code(error), message) from error


def _refusal(error: ClientError) -> str:
    code = error_code(error)
    reasons = {
        "PreconditionFailed": "the object was overwritten between listing and reading",
        "NoSuchKey": "the object vanished between listing and reading",
        "InvalidObjectState": "the object is archived: restore it, and keep log objects out of archive classes",
        "AccessDenied": "S3 refuses the object: grant s3:GetObject on it, and kms:Decrypt if it is encrypted with KMS",
    }
    message = error.response.get("Error", {}).get("Message", "")
    return f"{reasons.get(code, 'S3 did not give the object')} ({code}: {message})"
