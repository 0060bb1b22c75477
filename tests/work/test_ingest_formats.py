"""Whatever its format and its folder, a flow becomes the same row; what is damaged is named, and holds nothing up."""

from __future__ import annotations

import gzip
import io
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import polars as pl
import pytest

from kentik_dagster.aws.flow_logs import LogBucket
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.configuration import Export, Sampling
from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import merge_partition
from kentik_dagster.work.ingest import Ingested, ingest_hour
from tests.work.logs import DAY, REGION
from tests.work.refusing_aws import RefusingAws

HOUR = "2026-11-23T09"
PARTITION = {"export": "acme", "hour": HOUR}
PLAIN = "AWSLogs/111122223333/vpcflowlogs/us-east-1/2026/11/23/"
HOURLY = f"{PLAIN}09/"
HIVE = "AWSLogs/aws-account-id=111122223333/aws-service=vpcflowlogs/aws-region=us-east-1/year=2026/month=11/day=23/"
HIVE_HOURLY = HIVE.replace("aws-service", "service") + "hour=09/"
HEADER = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status"
)
LINES = (
    "2 111122223333 eni-0a1 192.0.2.1 198.51.100.2 49152 443 6 10 5000 1795424400 1795424460 ACCEPT OK",
    "2 111122223333 eni-0a2 - - - - - - - 1795424400 1795424460 - NODATA",
    "2 111122223333 eni-0a3 192.0.2.9 198.51.100.2 0 0 1 1 84 1795424400 1795424460 REJECT OK",
)
TEXT = "\n".join((HEADER, *LINES)).encode() + b"\n"
_numbers = count(1)


class Bucket:
    """A bucket of its own, the lake beside it, and how its hour is ingested."""

    def __init__(self, folder: Path, **export: Any) -> None:
        self.s3 = boto3.client("s3", region_name=REGION)
        self.name = f"formats-{next(_numbers)}"
        self.s3.create_bucket(Bucket=self.name)
        self.lake = Lake(str(folder / "lake"))
        self._export = {"name": "acme", "region": REGION, "bucket": self.name, "start": DAY} | export

    def post(self, content: bytes, folder: str = PLAIN, ending: str = "log.gz", **parameters: Any) -> str:
        name = f"111122223333_vpcflowlogs_us-east-1_fl-0123456789abcdef0_20261123T0900Z_{next(_numbers):08x}"
        return self.post_as(f"{folder}{name}.{ending}", content, **parameters)

    def post_as(self, key: str, content: bytes, **parameters: Any) -> str:
        self.s3.put_object(Bucket=self.name, Key=key, Body=content, **parameters)
        return key

    def ingest(self, **changed: Any) -> Ingested:
        bucket = LogBucket(ExportAccess(Export(**(self._export | changed)), custom_endpoint=True))
        return ingest_hour(
            bucket, self.lake, HOUR, bucket.objects([DAY]), run_id="test", clock=lambda: datetime.now(UTC)
        )

    def audit(self) -> dict[str, dict[str, Any]]:
        """The ledger's lines by key."""
        return {row["key"]: row for row in self.lake["flow_log_objects"].read(PARTITION).to_dicts()}

    def rows_by_key(self, table: str = "flow_logs") -> dict[str, pl.DataFrame]:
        names = {row["source_object"]: key for key, row in self.audit().items()}
        rows = self.lake[table].read(PARTITION)
        return {
            names[str(name)]: frame.drop("source_object")
            for (name,), frame in rows.group_by("source_object", maintain_order=True)
        }


@pytest.fixture
def bucket(aws: Emulator, tmp_path: Path) -> Bucket:
    return Bucket(tmp_path)


def parquet(text: bytes = TEXT) -> bytes:
    """The records of a text as AWS writes them in Parquet: its types, '-' where a text is missing."""
    header, *lines = text.decode().splitlines()
    wide = {"packets", "bytes", "start", "end"}
    narrow = {"version", "srcport", "dstport", "protocol"}
    columns = dict(zip(header.split(), zip(*(line.split() for line in lines), strict=True), strict=True))
    numbers = {name: [None if value == "-" else int(value) for value in columns[name]] for name in wide | narrow}
    frame = pl.DataFrame(
        [
            pl.Series(name.replace("-", "_"), numbers[name], pl.Int64 if name in wide else pl.Int32)
            if name in numbers
            else pl.Series(name.replace("-", "_"), values)
            for name, values in columns.items()
        ]
    )
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="gzip")
    return buffer.getvalue()


def test_the_same_flows_give_the_same_rows_in_every_format_and_folder(bucket: Bucket) -> None:
    keys = [bucket.post(gzip.compress(TEXT), folder) for folder in (PLAIN, HOURLY, HIVE, HIVE_HOURLY)]
    keys += [bucket.post(parquet(), folder, "log.parquet") for folder in (PLAIN, HIVE_HOURLY)]

    done = bucket.ingest()

    rows = bucket.rows_by_key()
    assert done.count("ingested") == 6
    assert rows.keys() == set(keys)
    assert all(frame.equals(rows[keys[0]]) for frame in rows.values())
    assert rows[keys[0]]["log_status"].to_list() == ["OK", "NODATA", "OK"]


def test_firewall_logs_lie_beside_flow_logs(bucket: Bucket, samples: Path) -> None:
    folder = "AWSLogs/111122223333/network-firewall/alert/us-east-1/edge-fw/2026/11/23/09/"
    events = (samples / "flow_logs/07_nfw_alert_and_netflow_opensearch/sample_as_ndjson.derived.log").read_bytes()
    key = bucket.post_as(
        f"{folder}111122223333_network-firewall_alert_us-east-1_edge-fw_202611230905_0a1b2c3d.log.gz",
        gzip.compress(events),
    )
    bucket.post(gzip.compress(TEXT))

    without = bucket.ingest()
    with_them = bucket.ingest(collect_firewall_logs=True)

    assert (without.listed, with_them.listed) == (1, 2)
    assert with_them.rows("network_firewall") == 13
    rows = bucket.rows_by_key("firewall_logs")[key]
    assert rows["netflow_bytes"].sum() == 12352
    assert rows.select("account_id", "region", "firewall_log_type").unique().rows() == [
        ("111122223333", "us-east-1", "alert")
    ]
    assert bucket.audit()[key]["log_type"] == "network_firewall"


def boolean_addresses() -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame({"srcaddr": [True], "bytes": [1]}).write_parquet(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "ending", "reason"),
    [
        (gzip.compress(TEXT * 99)[:-9], "log.gz", "not whole gzip"),
        (TEXT, "log.gz", "not whole gzip"),
        (gzip.compress(b"no layout at all\n"), "log.gz", "no line names the fields"),
        (gzip.compress(b"\n" * 200_000_000), "log.gz", "largest_expansion"),
        (TEXT, "log.parquet", "Parquet"),
        (boolean_addresses(), "log.parquet", "srcaddr"),
    ],
    ids=["truncated", "not gzip", "no layout", "bomb", "not Parquet", "Parquet of other types"],
)
def test_an_unreadable_object_is_named_and_holds_nothing_up(
    bucket: Bucket, content: bytes, ending: str, reason: str
) -> None:
    bad = bucket.post(content, ending=ending)
    good = bucket.post(gzip.compress(TEXT))

    bucket.ingest()

    audit = bucket.audit()
    assert audit[bad]["outcome"] == "unreadable"
    assert reason in audit[bad]["error"]
    assert bucket.rows_by_key().keys() == {good}


@pytest.mark.parametrize(
    "content",
    [b"", gzip.compress(b""), gzip.compress(HEADER.encode())],
    ids=["0 bytes", "gzip of nothing", "header only"],
)
def test_an_object_without_records_is_empty(bucket: Bucket, content: bytes) -> None:
    key = bucket.post(content)

    bucket.ingest()

    assert (bucket.audit()[key]["outcome"], bucket.audit()[key]["rows"]) == ("empty", 0)


def test_an_archived_object_is_unreadable_until_it_is_restored(bucket: Bucket) -> None:
    key = bucket.post(gzip.compress(TEXT), StorageClass="GLACIER")

    bucket.ingest()

    assert bucket.audit()[key]["outcome"] == "unreadable"
    assert "restore it" in bucket.audit()[key]["error"]


def test_an_object_whose_key_is_denied_is_unreadable_and_read_once_it_is_granted(
    bucket: Bucket, aws: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    denied = bucket.post(gzip.compress(TEXT))
    bucket.post(gzip.compress(TEXT))
    with RefusingAws(aws.endpoint_url, lambda request: request.method == "GET" and denied in request.path) as refusing:
        monkeypatch.setenv("AWS_ENDPOINT_URL", refusing.url)
        bucket.ingest()
        before = bucket.audit()[denied]
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)

    bucket.ingest()

    assert (before["outcome"], "kms:Decrypt" in before["error"]) == ("unreadable", True)
    assert bucket.audit()[denied]["outcome"] == "ingested"
    assert bucket.lake["flow_logs"].read(PARTITION).height == 6


def test_damaged_lines_are_kept_with_their_numbers(bucket: Bucket) -> None:
    damaged = [LINES[0].replace("443", value) for value in ("NaN", "-1", "70000", "99999999999")]
    key = bucket.post(gzip.compress("\n".join((HEADER, LINES[0], *damaged)).encode()))

    bucket.ingest()

    rejected = bucket.lake["rejected_records"].read(PARTITION)
    assert rejected.sort("line_number").select("key", "line_number", "text").rows() == [
        (key, number, line) for number, line in enumerate(damaged, start=3)
    ]
    assert (bucket.audit()[key]["rows"], bucket.audit()[key]["rejected_lines"]) == (1, 4)


def test_a_lake_that_fails_while_rows_are_staged_ends_the_batch_and_blames_no_object(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        bucket.post(gzip.compress(TEXT))

    def failing(*_: object, **__: object) -> None:
        raise pl.exceptions.ComputeError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(pl.DataFrame, "estimated_size", failing)
        with pytest.raises(pl.exceptions.ComputeError):
            bucket.ingest()
    nothing = bucket.lake["flow_log_objects"].read(PARTITION)
    bucket.ingest()

    assert nothing.is_empty()
    assert bucket.lake["flow_logs"].read(PARTITION).height == 9


def many(records: int) -> bytes:
    return gzip.compress("\n".join((HEADER, *(LINES[0].replace("49152", str(n)) for n in range(records)))).encode())


def test_sampled_records_say_how_many_they_stand_for(bucket: Bucket) -> None:
    key = bucket.post(many(2_000))

    bucket.ingest(sampling=Sampling(rate=10))

    audit, rows = bucket.audit()[key], bucket.rows_by_key()[key]
    assert rows["sample_rate"].unique().to_list() == [10.0]
    assert audit["rows"] + audit["sampled_out"] == 2_000
    assert audit["rows"] == rows.height < 400


@pytest.mark.parametrize("later", ["unsampled", "legacy", Sampling(rate=1_000_000)], ids=["all", "legacy", "few"])
def test_another_sampling_rate_later_does_not_read_what_is_there_again(bucket: Bucket, later: Any) -> None:
    key = bucket.post(many(500))
    bucket.ingest(sampling=Sampling(rate=5))
    rows = bucket.lake["flow_logs"].read(PARTITION).height
    forget_the_audit(bucket.lake)

    bucket.ingest(sampling=later)

    audit = bucket.audit()[key]
    assert (audit["outcome"], audit["rows"], audit["sampled_out"]) == ("ingested", rows, 500 - rows)
    assert bucket.lake["flow_logs"].read(PARTITION).height == rows


def forget_the_audit(lake: Lake) -> None:
    """As a run leaves it that was killed between the rows and their audit."""
    merge_partition(lake["flow_log_objects"], PARTITION, pl.DataFrame.clear)
