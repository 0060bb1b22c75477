"""Log objects in the bucket: which there are.

Listing costs what the look-back window holds, not what the bucket's history holds: folders are discovered with a
delimiter, and only the day folders that are asked for are listed (flow_logs.md §2 and §3).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import polars as pl
from botocore.exceptions import BotoCoreError, ClientError

from kentik_dagster.aws.contents import stored_chunks
from kentik_dagster.aws.sessions import ExportAccess, error_code
from kentik_dagster.core.flow_log_keys import log_objects
from kentik_dagster.errors import BucketError

LISTED: dict[str, pl.DataType | type[pl.DataType]] = {
    "bucket": pl.String,
    "key": pl.String,
    "etag": pl.String,
    "size_bytes": pl.Int64,
    "posted_at": pl.Datetime("us", "UTC"),
}
CONCURRENT_LISTINGS = 8
# A part of a day is listed in some seconds, whatever it holds.
_FOLDERS_OF_A_PART = 128
# Folders between bucket_prefix and AWSLogs/: the wizard makes one for each VPC.
_DEEPEST_PREFIX = 3
_ACCOUNT_FOLDER = re.compile(r"(?:aws-account-id=)?\d{12}/$")
_FLOW_LOGS_FOLDER = re.compile(r"/(?:aws-service=|service=)?vpcflowlogs/$")
_FIREWALL_FOLDER = re.compile(r"/network-firewall/$")
_FIREWALL_LOG_FOLDER = re.compile(r"/(?:flow|alert|tls)/$")
_REGION_FOLDER = re.compile(r"(?:aws-region=)?[a-z]{2}(?:-[a-z]+)+-\d/$")


def _day_folder(parent: str, day: date) -> str:
    return f"{parent}{day:year=%Y/month=%m/day=%d/}" if "aws-region=" in parent else f"{parent}{day:%Y/%m/%d/}"


class LogBucket:
    """The bucket of one export that AWS writes flow logs into."""

    def __init__(self, access: ExportAccess, day_parents: Sequence[str] | None = None) -> None:
        """The bucket; `day_parents`, where they are known already, are not looked for."""
        self.export = access.export
        self.name = access.export.log_bucket
        self._client = access.primary.client("s3", access.export.region)
        self._day_parents = day_parents
        self._counting = threading.Lock()
        self.list_requests = 0  # so far: what listing costs

    def objects(self, days: Iterable[date]) -> pl.DataFrame:
        """The log objects in the folders of some days.

        Returns:
            One row per object, sorted by key: the columns of LISTED, and those that
            `core.flow_log_keys.log_objects` adds. Objects that are no logs are left out.

        Raises:
            BucketError: the bucket cannot be listed.
        """
        return log_objects(self.everything(days)).sort("key")

    def everything(self, days: Iterable[date]) -> pl.DataFrame:
        """All objects in the folders of some days, logs or not: the columns of LISTED.

        Raises:
            BucketError: the bucket cannot be listed.
        """
        folders = self.day_parents()
        return self._everything_in([_day_folder(folder, day) for day in sorted(set(days)) for folder in folders])

    def parts_of(self, day: date, after: str | None = None) -> Iterator[tuple[str | None, pl.DataFrame]]:
        """The log objects of a day, some folders at a time; errors as `objects`.

        Args:
            after: the folder after which to go on.

        Yields:
            The last folder of the part, after which the next would go on, or None if there is none left; and the
            objects of the part, as of `objects`.
        """
        folders = [folder for folder in self.day_parents() if after is None or folder > after]
        for first in range(0, len(folders), _FOLDERS_OF_A_PART):
            part = folders[first : first + _FOLDERS_OF_A_PART]
            is_last = first + len(part) == len(folders)
            listed = self._everything_in([_day_folder(folder, day) for folder in part])
            yield None if is_last else part[-1], log_objects(listed).sort("key")

    def _everything_in(self, wanted: Sequence[str]) -> pl.DataFrame:
        with ThreadPoolExecutor(CONCURRENT_LISTINGS, thread_name_prefix="list") as pool:
            pages = [row for rows in pool.map(lambda prefix: list(self._listed(prefix)), wanted) for row in rows]
        return pl.DataFrame(pages, schema=LISTED, orient="row")

    def day_parents(self) -> Sequence[str]:
        """The prefixes that hold day folders, of the kinds of logs that the export collects; looked for once."""
        if self._day_parents is None:
            self._day_parents = sorted(self._found_day_parents())
        return self._day_parents

    def _found_day_parents(self) -> Sequence[str]:
        accounts = self._below(self._roots(), _ACCOUNT_FOLDER)
        services = self._folders(accounts)
        parents: list[str] = []
        if self.export.collect_flow_logs:
            flow_logs = [folder for folder in services if _FLOW_LOGS_FOLDER.search(folder)]
            parents += self._below(flow_logs, _REGION_FOLDER)
        if self.export.collect_firewall_logs:
            firewalls = [folder for folder in services if _FIREWALL_FOLDER.search(folder)]
            regions = self._below(self._below(firewalls, _FIREWALL_LOG_FOLDER), _REGION_FOLDER)
            parents += self._folders(regions)
        return parents

    def chunks(self, key: str, etag: str) -> Iterator[bytes]:
        """The stored bytes of one object; errors as `contents.stored_chunks`."""
        return stored_chunks(self._client, self.name, key, etag)

    def _roots(self) -> list[str]:
        """Every AWSLogs/ folder below the export's prefix, a few folders deep at the most."""
        roots: list[str] = []
        level = [self.export.log_folder]
        for _ in range(_DEEPEST_PREFIX + 1):
            found = self._folders(level)
            roots += [folder for folder in found if folder.endswith("AWSLogs/")]
            # A prefix may be called AWSLogs itself: the last folder of that name counts.
            level = [folder for folder in found if not _ACCOUNT_FOLDER.search(folder)]
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
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, **parameters):
                with self._counting:
                    self.list_requests += 1
                yield page
        except (ClientError, BotoCoreError) as error:
            message = (
                error.response.get("Error", {}).get("Message", "") if isinstance(error, ClientError) else str(error)
            )
            raise BucketError(self.name, self.export.name, error_code(error), message) from error
