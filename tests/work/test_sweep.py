"""The sweep: what the lake holds leaves the bucket, and nothing else does; killed anywhere, the next one tells it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import polars as pl
import pytest

from kentik_dagster.aws.deletion import VERSION_STAYS
from kentik_dagster.aws.flow_logs import LISTED, LogBucket
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.configuration import Export
from kentik_dagster.core.deletion import DELETED_UNSEEN, DELETION_BEGUN
from kentik_dagster.core.flow_log_keys import source_object
from kentik_dagster.core.schemas import no_rows
from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import append_objects, merge_partition
from kentik_dagster.work.sweep import sweep_hour
from tests.work.refusing_aws import RefusingAws, Request

REGION, ACCOUNT, HOUR = "us-east-1", "123456789012", "2026-11-23T09"
PARTITION = {"export": "acme", "hour": HOUR}
AT = datetime(2026, 11, 23, 9, 5, tzinfo=UTC)
_numbers = count(1)


class Killed(BaseException):
    """The end of the process, at a moment that a test chooses."""


@dataclass
class Swept:
    """A bucket, a lake that says what it has read of it, and sweeps of the one with the other."""

    bucket: str
    lake: Lake
    prefix: str = ""
    collects: dict[str, bool] = field(default_factory=dict)
    now: datetime = AT + timedelta(minutes=10)
    runs: Iterator[int] = field(default_factory=lambda: count(1))
    accesses: dict[tuple[object, ...], ExportAccess] = field(default_factory=dict)

    def post(self, name: str, text: bytes = b"text") -> str:
        """Put an object; returns its key."""
        prefix = f"{self.prefix}/" if self.prefix else ""
        key = (
            f"{prefix}AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/2026/11/23/"
            f"{ACCOUNT}_vpcflowlogs_{REGION}_fl-0123456789abcdef0_20261123T0905Z_{name}.log.gz"
        )
        s3().put_object(Bucket=self.bucket, Key=key, Body=text)
        return key

    def ingest(self, *, rows: int = 2, rejected: int = 0, says: int | None = None, **audit: Any) -> None:
        """Let the lake hold rows of every object in the bucket, and its audit say so, or `says` of them."""
        held = set(self.lake["flow_log_objects"].read(PARTITION)["source_object"])
        for key, etag in self.listed().select("key", "etag").iter_rows():
            name = source_object(self.bucket, key, etag, AT)
            if name in held:
                continue
            here = {**PARTITION, "source_object": name}
            table = "firewall_logs" if audit.get("log_type") == "network_firewall" else "flow_logs"
            if rows:
                append_objects(self.lake[table], PARTITION, pl.DataFrame([here] * rows))
            line = {
                **here, "bucket": self.bucket, "key": key, "etag": etag, "posted_at": AT, "log_type": "vpc",
                "outcome": "ingested", "rows": rows if says is None else says, "rejected_lines": rejected, **audit,
            }  # fmt: skip
            self.audit(line)

    def audit(self, line: dict[str, Any]) -> None:
        """Add a line to `flow_log_objects`."""
        schema = no_rows(TABLES["flow_log_objects"]).schema
        added = pl.DataFrame([line], schema={name: schema[name] for name in line})
        merge_partition(
            self.lake["flow_log_objects"],
            PARTITION,
            lambda there: pl.concat([there, added], how="diagonal").unique("source_object", maintain_order=True),
        )

    def listed(self) -> pl.DataFrame:
        return LogBucket(self.access()).objects([AT.date()])

    def access(self, *, delete: bool = True) -> ExportAccess:
        # A client costs a tenth of a second, and keeps its endpoint.
        which = (delete, self.prefix, *self.collects.items(), os.environ["AWS_ENDPOINT_URL"])
        if which not in self.accesses:
            export = Export(
                name="acme", region=REGION, bucket=self.bucket, bucket_prefix=self.prefix,
                start="2026-11-01", delete_after_read=delete, **self.collects,
            )  # fmt: skip
            self.accesses[which] = ExportAccess(export, custom_endpoint=True)
        return self.accesses[which]

    def sweep(
        self,
        *,
        delete: bool = True,
        listed: pl.DataFrame | None = None,
        listed_at: datetime | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> list[tuple[str, str | None]]:
        """What the sweep says of each object: outcome and error."""
        listed = self.listed() if listed is None else listed
        self.now += timedelta(minutes=1)
        rows = sweep_hour(
            self.access(delete=delete), self.lake, HOUR, listed,
            run_id=f"run {next(self.runs)}", clock=clock or (lambda: self.now), listed_at=listed_at,
        )  # fmt: skip
        assert rows.drop("held_back").equals(self.lake["deletion_sweep"].read(PARTITION).sort("key", "etag"))
        return rows.select("outcome", "error").rows()

    def keys(self) -> list[str]:
        return [entry["Key"] for entry in s3().list_objects_v2(Bucket=self.bucket).get("Contents", [])]


def s3() -> Any:
    return boto3.client("s3", region_name=REGION)


@pytest.fixture
def bucket(aws: Emulator, tmp_path: Path) -> Swept:
    name = f"swept-{next(_numbers)}"
    s3().create_bucket(Bucket=name)
    return Swept(name, Lake(str(tmp_path / "lake")))


DELETED, WOULD_DELETE = ("deleted", None), ("would_delete", None)


class TestWhatIsDeleted:
    def test_an_object_whose_rows_were_counted_in_the_table(self, bucket: Swept) -> None:
        bucket.post("0a")
        bucket.ingest()

        assert bucket.sweep() == [DELETED]
        assert bucket.keys() == []

    def test_an_object_without_any_record(self, bucket: Swept) -> None:
        bucket.post("0a")
        bucket.ingest(rows=0, outcome="empty", log_type=None)

        assert bucket.sweep() == [DELETED]

    def test_firewall_events_are_counted_in_their_own_table(self, bucket: Swept) -> None:
        bucket.post("0a")
        bucket.ingest(log_type="network_firewall")

        assert bucket.sweep() == [DELETED]

    def test_rows_in_another_table_prove_nothing(self, bucket: Swept) -> None:
        bucket.post("0a")
        ((key, etag),) = bucket.listed().select("key", "etag").rows()
        name = source_object(bucket.bucket, key, etag, AT)
        append_objects(bucket.lake["flow_logs"], PARTITION, pl.DataFrame([{**PARTITION, "source_object": name}]))
        bucket.ingest(rows=0, says=1, log_type="network_firewall")

        assert bucket.sweep() == []
        assert len(bucket.keys()) == 1


class TestWhatIsNot:
    @pytest.mark.parametrize("says", [1, 3])
    def test_an_object_whose_rows_are_not_those_that_the_audit_says(self, bucket: Swept, says: int) -> None:
        bucket.post("0a")
        bucket.ingest(rows=2, says=says)

        assert bucket.sweep() == []
        assert len(bucket.keys()) == 1

    def test_an_object_whose_rejected_lines_are_not_kept(self, bucket: Swept) -> None:
        bucket.post("0a")
        bucket.ingest(rejected=1)

        assert bucket.sweep() == []
        assert len(bucket.keys()) == 1

    def test_an_object_that_could_not_be_read(self, bucket: Swept) -> None:
        bucket.post("0a")
        bucket.ingest(rows=0, outcome="unreadable")

        assert bucket.sweep() == []
        assert len(bucket.keys()) == 1

    def test_an_object_that_nobody_has_read(self, bucket: Swept) -> None:
        bucket.post("0a")

        assert bucket.sweep() == []
        assert len(bucket.keys()) == 1

    def test_an_object_that_was_overwritten_after_it_was_listed(self, bucket: Swept) -> None:
        bucket.post("0a")
        bucket.ingest()
        listed = bucket.listed()
        bucket.post("0a", b"other text")

        swept = bucket.sweep(listed=listed)

        assert swept == [("changed", "the object was overwritten after it was read")]
        assert len(bucket.keys()) == 1

    def test_nor_is_one_of_a_kind_that_is_not_collected_any_more(self, bucket: Swept) -> None:
        bucket.post("0a")
        bucket.ingest()
        bucket.collects = {"collect_flow_logs": False, "collect_firewall_logs": True}

        assert bucket.sweep() == []
        assert len(bucket.keys()) == 1

    def test_nor_is_an_object_of_another_prefix_said_to_be_gone(self, bucket: Swept) -> None:
        bucket.post("0a")
        bucket.ingest()
        bucket.prefix = "elsewhere"

        assert bucket.sweep() == []


def test_an_overwritten_object_is_read_and_deleted_as_what_it_is_now(bucket: Swept) -> None:
    bucket.post("0a")
    bucket.ingest()
    bucket.post("0a", b"other text")
    bucket.ingest()

    assert sorted(outcome for outcome, _ in bucket.sweep()) == ["changed", "deleted"]
    assert bucket.keys() == []


def test_an_object_that_somebody_else_deleted_is_already_gone(bucket: Swept) -> None:
    key = bucket.post("0a")
    bucket.ingest()
    listed = bucket.listed()
    s3().delete_object(Bucket=bucket.bucket, Key=key)

    assert bucket.sweep(listed=listed) == [("already_gone", "somebody else deleted the object")]


def test_an_object_that_was_read_after_the_listing_is_not_said_to_be_gone(bucket: Swept) -> None:
    older = bucket.listed()
    bucket.post("0a")
    bucket.ingest(ingested_at=AT + timedelta(minutes=5))

    assert bucket.sweep(listed=older, listed_at=AT + timedelta(minutes=4)) == []
    assert bucket.sweep() == [DELETED]


def test_what_a_dry_run_saw_is_not_taken_for_a_deletion_of_ours(bucket: Swept) -> None:
    key = bucket.post("0a")
    bucket.ingest()
    bucket.sweep(delete=False)
    s3().delete_object(Bucket=bucket.bucket, Key=key)

    assert [outcome for outcome, _ in bucket.sweep()] == ["already_gone"]


def test_a_dry_run_names_what_the_real_run_deletes_and_touches_nothing(bucket: Swept) -> None:
    for name in ("0a", "0b"):
        bucket.post(name)
    bucket.ingest()
    bucket.post("0c")
    bucket.ingest(says=7)
    bucket.post("0d")

    dry = bucket.sweep(delete=False)
    left = bucket.keys()
    real = bucket.sweep()

    assert (dry, len(left)) == ([WOULD_DELETE] * 2, 4)
    assert (real, len(bucket.keys())) == ([DELETED] * 2, 2)


def test_a_second_sweep_leaves_the_table_as_it_is(bucket: Swept) -> None:
    bucket.post("0a")
    bucket.ingest()
    bucket.sweep()
    before = bucket.lake["deletion_sweep"].open().version

    assert bucket.sweep() == [DELETED]
    assert bucket.lake["deletion_sweep"].open().version == before


def test_in_a_versioned_bucket_the_row_says_that_a_version_stays(bucket: Swept) -> None:
    s3().put_bucket_versioning(Bucket=bucket.bucket, VersioningConfiguration={"Status": "Enabled"})
    bucket.post("0a")
    bucket.ingest()

    assert bucket.sweep() == [("deleted", VERSION_STAYS)]
    assert bucket.sweep() == [("deleted", VERSION_STAYS)]
    assert len(s3().list_object_versions(Bucket=bucket.bucket)["DeleteMarkers"]) == 1


def test_a_refused_deletion_names_the_action_and_the_next_sweep_tries_again(
    bucket: Swept, aws: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.post("0a")
    bucket.ingest()

    def is_deletion(request: Request) -> bool:
        return request.method == "DELETE"

    with RefusingAws(aws.endpoint_url, refuses=is_deletion) as refusing:
        monkeypatch.setenv("AWS_ENDPOINT_URL", refusing.url)
        ((outcome, error),) = bucket.sweep()
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)

    assert outcome == "failed"
    assert error is not None
    assert "Grant s3:DeleteObject and s3:GetObject on arn:aws:s3:::" in error
    assert bucket.sweep() == [DELETED]


class TestKilled:
    def test_between_the_deletion_and_its_row_the_next_sweep_says_deleted(self, bucket: Swept) -> None:
        bucket.post("0a")
        bucket.ingest()
        instants = iter([bucket.now])

        def dies_after_the_deletion() -> datetime:
            try:
                return next(instants)
            except StopIteration:
                raise Killed from None

        with pytest.raises(Killed):
            bucket.sweep(clock=dies_after_the_deletion)
        left, announced = bucket.keys(), bucket.lake["deletion_sweep"].read()

        assert left == []
        assert announced.select("outcome", "error").rows() == [("would_delete", DELETION_BEGUN)]
        assert bucket.sweep() == [("deleted", DELETED_UNSEEN)]
        assert bucket.sweep() == [("deleted", DELETED_UNSEEN)]

    def test_before_the_announcement_nothing_was_deleted(self, bucket: Swept) -> None:
        bucket.post("0a")
        bucket.ingest()

        def dies() -> datetime:
            raise Killed

        with pytest.raises(Killed):
            bucket.sweep(clock=dies)

        assert len(bucket.keys()) == 1
        assert bucket.sweep() == [DELETED]


def test_a_sweep_with_an_older_listing_does_not_take_the_deletion_of_another_away(bucket: Swept) -> None:
    bucket.post("0a")
    bucket.ingest()
    older = bucket.listed()
    bucket.sweep()

    assert bucket.sweep(listed=older) == [DELETED]


def test_an_hour_without_objects_has_no_rows(bucket: Swept) -> None:
    assert bucket.sweep(listed=pl.DataFrame(schema=LISTED)) == []
