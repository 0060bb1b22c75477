"""A look at a bucket ends in time and goes on where it ended; folders that take long to find are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import count

import boto3
import polars as pl

from kentik_dagster.aws.flow_logs import LISTED
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.configuration import Export
from kentik_dagster.core.flow_log_keys import log_objects
from kentik_dagster.core.look_back import Examined
from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.work.listing import Folders, look

DAYS = (date(2026, 11, 23), date(2026, 11, 22))
FOLDERS = ("a", "b", "c")
NOTHING = log_objects(pl.DataFrame(schema=LISTED))
_numbers = count(1)


@dataclass
class SlowBucket:
    """A bucket of three folders a day, each of which takes a second to list."""

    seconds: float = 0.0
    listed: list[str] = field(default_factory=list)

    def parts_of(self, day: date, after: str | None = None) -> Iterator[tuple[str | None, pl.DataFrame]]:
        for folder in FOLDERS:
            if after is None or folder > after:
                self.seconds += 1
                self.listed.append(f"{day:%d}{folder}")
                yield None if folder == FOLDERS[-1] else folder, NOTHING

    def now(self) -> float:
        return self.seconds


def test_a_look_lists_all_days_if_there_is_time() -> None:
    bucket = SlowBucket()

    looked = look(bucket, Examined(left=DAYS), 100, clock=bucket.now)

    assert (looked.days, looked.left_after) == (2, None)
    assert bucket.listed == ["23a", "23b", "23c", "22a", "22b", "22c"]


def test_a_look_out_of_time_ends_after_the_part_that_it_lists_and_the_next_goes_on() -> None:
    bucket = SlowBucket()
    first = look(bucket, Examined(left=DAYS), 2, clock=bucket.now)
    second = look(bucket, Examined(left=DAYS, left_after=first.left_after), 2, clock=bucket.now)

    assert (first.days, first.left_after) == (0, "b")
    assert (second.days, second.left_after) == (1, "a")
    assert bucket.listed == ["23a", "23b", "23c", "22a"]


def test_a_look_without_any_time_lists_one_part() -> None:
    bucket = SlowBucket()

    look(bucket, Examined(left=DAYS), 0, clock=bucket.now)

    assert bucket.listed == ["23a"]


class TestFolders:
    def test_folders_that_are_found_at_once_are_looked_for_every_time(self, aws: Emulator) -> None:
        access = _access()
        folders = Folders(clock=_clock(0, 0.5, 5))
        first = _found(folders, access)
        _put(access, "us-west-2")

        assert (first, _found(folders, access)) == (1, 2)

    def test_folders_that_took_long_to_find_are_kept_twenty_times_as_long(self, aws: Emulator) -> None:
        access = _access()
        folders = Folders(clock=_clock(0, 10, 199, 201, 201))
        first = _found(folders, access)
        _put(access, "us-west-2")

        assert (first, _found(folders, access), _found(folders, access)) == (1, 1, 2)


def _clock(*instants: float) -> Callable[[], float]:
    left = iter(instants)
    return lambda: next(left, instants[-1])


def _access() -> ExportAccess:
    """An export whose bucket has logs of one region."""
    bucket = f"listed-{next(_numbers)}"
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=bucket)
    export = Export(name="acme", region="us-east-1", bucket=bucket, start=datetime(2026, 11, 1, tzinfo=UTC))
    access = ExportAccess(export, custom_endpoint=True)
    _put(access, "us-east-1")
    return access


def _put(access: ExportAccess, region: str) -> None:
    key = (
        f"AWSLogs/123456789012/vpcflowlogs/{region}/2026/11/23/123456789012_vpcflowlogs_{region}_"
        "fl-0123456789abcdef0_20261123T0900Z_01234567.log.gz"
    )
    boto3.client("s3", region_name="us-east-1").put_object(Bucket=access.export.log_bucket, Key=key, Body=b"")


def _found(folders: Folders, access: ExportAccess) -> int:
    return len(folders.bucket(access).day_parents())
