"""Real flow logs from the bucket to the tables: S3 over HTTP, sensor, Dagster run, Delta."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import polars as pl
import pytest

from kentik_dagster.catalog.flow_logs import VPC_DEFAULT_FORMAT
from kentik_dagster.code_location import build_definitions
from kentik_dagster.configuration import Configuration
from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.lake.tables import Lake
from kentik_dagster.one_pass import OnePass

ACCOUNT, REGION = "123456789012", "us-east-1"
_numbers = count(1)


@dataclass
class Deployment:
    """A configuration, its bucket in the emulator, and its Dagster instance."""

    configuration: Configuration
    instance: dg.DagsterInstance
    endpoint_url: str
    made: dict[str, dg.Definitions] = field(default_factory=dict)

    @property
    def bucket(self) -> str:
        return self.configuration.exports[0].log_bucket

    @property
    def lake(self) -> Lake:
        options = {"AWS_ENDPOINT_URL": self.endpoint_url, "AWS_ALLOW_HTTP": "true"}
        return Lake(self.configuration.lake, options if "://" in self.configuration.lake else {})

    def post(self, text: bytes, *, file_time: datetime, flow_log: str = "fl-0123456789abcdef0") -> str:
        """Put an object where AWS would; returns its key."""
        return self.post_object(gzip.compress(text, mtime=0), file_time=file_time, flow_log=flow_log)

    def post_object(self, body: bytes, *, file_time: datetime, flow_log: str = "fl-0123456789abcdef0") -> str:
        key = (
            f"AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/{file_time:%Y/%m/%d}/"
            f"{ACCOUNT}_vpcflowlogs_{REGION}_{flow_log}_{file_time:%Y%m%dT%H%MZ}_{next(_numbers):08x}.log.gz"
        )
        boto3.client("s3", region_name=REGION).put_object(Bucket=self.bucket, Key=key, Body=body)
        return key

    def keys(self) -> list[str]:
        """What lies in the bucket."""
        answer = boto3.client("s3", region_name=REGION).list_objects_v2(Bucket=self.bucket)
        return [entry["Key"] for entry in answer.get("Contents", [])]

    def run_pass(self) -> list[str]:
        """What `kentik-dagster run` does; returns what failed."""
        quiet: Callable[[str], None] = lambda text: None  # noqa: E731
        loggers = {"progress": dg.LoggerDefinition(lambda _: __import__("logging").getLogger("quiet"))}
        made_for = self.configuration.model_dump_json()
        if made_for not in self.made:
            self.made[made_for] = build_definitions(self.configuration, endpoint_url=self.endpoint_url, loggers=loggers)
        one_pass = OnePass(self.made[made_for], self.instance, tell=quiet, working=quiet)
        one_pass.ask_sensors()
        return one_pass.failures


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def deployment(
    request: pytest.FixtureRequest, aws: Emulator, instance: dg.DagsterInstance, tmp_path: Path
) -> Deployment:
    bucket = (
        f"flow-logs-{request.node.name.translate(str.maketrans('_[]', '---')).lower()[:40].strip('-')}-{next(_numbers)}"
    )
    s3 = boto3.client("s3", region_name=REGION)
    s3.create_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=f"{bucket}-lake")
    on_s3 = getattr(request, "param", "local") == "s3"
    lake = f"s3://{bucket}-lake/kentik" if on_s3 else str(tmp_path / "lake")
    export = {
        "name": "acme",
        "region": REGION,
        "bucket": bucket,
        "start": (now() - timedelta(days=3)).isoformat(),
    }
    configuration = Configuration.model_validate({"lake": lake, "exports": [export]})
    return Deployment(configuration, instance, aws.endpoint_url)


def now() -> datetime:
    return datetime.now(UTC)


on_both_lakes = pytest.mark.parametrize("deployment", ["local", "s3"], indirect=True)
VPC_TEXT_SAMPLES = (
    ("01_vpc_v2_default_centralized_logging", "vpcflow.log"),
    ("02_vpc_v2_gz_lambda_promtail", "vpcflowlog.log.gz"),
    ("03_vpc_aws_doc_records", "v2_default_records.txt"),
    ("03_vpc_aws_doc_records", "v3_custom_tcp_flags_records.txt"),
    ("03_vpc_aws_doc_records", "v5_custom_traffic_path_records.txt"),
    ("06_vpc_too_few_fields_otel", "vpc_flow_log_too_few_fields.log"),
    ("12_vpc_v2_headerless_vpcflowreporter", "sample.dat"),
)


@on_both_lakes
def test_real_samples_reach_the_tables_as_a_correct_reader_expects(deployment: Deployment, samples: Path) -> None:
    file_time = now() - timedelta(hours=2)
    posted: dict[str, tuple[bytes, Mapping[str, Any]]] = {}
    for folder, name in VPC_TEXT_SAMPLES:
        expected = json.loads((samples / "flow_logs" / folder / "expected.json").read_text())["files"][name]
        content = (samples / "flow_logs" / folder / name).read_bytes()
        text = gzip.decompress(content) if name.endswith(".gz") else _with_header(content, expected)
        key = (
            deployment.post_object(content, file_time=file_time)
            if name.endswith(".gz")
            else deployment.post(text, file_time=file_time)
        )
        posted[key] = (text, expected)

    assert deployment.run_pass() == []

    objects = {row["key"]: row for row in deployment.lake["flow_log_objects"].read().to_dicts()}
    flows = deployment.lake["flow_logs"].read()
    rejected = deployment.lake["rejected_records"].read()
    assert objects.keys() == posted.keys()
    for key, (text, expected) in posted.items():
        source_object = objects[key]["source_object"]
        rows = flows.filter(pl.col("source_object") == source_object)
        lines = rejected.filter(pl.col("source_object") == source_object)
        _assert_as_expected(rows, expected)
        assert lines["line_number"].to_list() == expected.get("malformed_line_numbers", [])
        assert [text.splitlines()[number - 1].decode() for number in lines["line_number"]] == lines["text"].to_list()
        assert (objects[key]["outcome"], objects[key]["rows"]) == ("ingested", rows.height)
        assert objects[key]["rejected_lines"] == lines.height


def _with_header(content: bytes, expected: Mapping[str, Any]) -> bytes:
    """Records of a document have no header, and S3 files always do; only the default format needs none."""
    is_default = len(expected["fields"]) == 14
    return content if expected["header"] or is_default else " ".join(expected["fields"]).encode() + b"\n" + content


def _assert_as_expected(rows: pl.DataFrame, expected: Mapping[str, Any]) -> None:
    assert rows.height == expected["rows_total"]
    numbers = {
        "rows_ok": rows.filter(pl.col("log_status") == "OK").height,
        "rows_nodata": rows.filter(pl.col("log_status") == "NODATA").height,
        "rows_skipdata": rows.filter(pl.col("log_status") == "SKIPDATA").height,
        "rows_accept": rows.filter(pl.col("action") == "ACCEPT").height,
        "rows_reject": rows.filter(pl.col("action") == "REJECT").height,
        "sum_packets": rows["packets"].sum(),
        "sum_bytes": rows["bytes"].sum(),
        "min_start": rows["start"].dt.epoch("s").min(),
        "max_end": rows["end"].dt.epoch("s").max(),
        "distinct_rows": rows.drop("extra_fields").unique().height,
    }
    assert {name: numbers[name] for name in numbers if name in expected} == {
        name: expected[name] for name in numbers if name in expected
    }
    columns = [field.replace("-", "_") for field in expected["fields"]]
    native = rows.select(
        pl.col(name).dt.epoch("s") if name in ("start", "end") else pl.col(name) for name in columns
    ).to_dicts()
    if "rows" in expected:
        assert native == expected["rows"]
    if "first_rows" in expected:
        assert native[: len(expected["first_rows"])] == expected["first_rows"]
        assert native[-1] == expected["last_row"]


HEADER = b"%s\n" % " ".join(VPC_DEFAULT_FORMAT).encode()


def records(how_many: int, start: datetime) -> bytes:
    """A small flow log in the default format."""
    second = int(start.timestamp())
    line = "2 123456789012 eni-0123456789abcdef0 10.0.0.5 192.0.2.7 {} 443 6 10 {} {} {} ACCEPT OK\n"
    return (
        HEADER
        + "".join(line.format(40_000 + n, 1000 + n, second + n, second + n + 30) for n in range(how_many)).encode()
    )


def table_rows(deployment: Deployment, *names: str) -> dict[str, list[str]]:
    return {name: sorted(repr(row) for row in deployment.lake[name].read().rows()) for name in names}


LOG_TABLES = ("flow_logs", "flow_log_objects", "rejected_records", "enriched_flows", "deletion_sweep")


def test_a_second_pass_changes_nothing(deployment: Deployment) -> None:
    deployment.post(records(5, now()), file_time=now() - timedelta(hours=1))
    deployment.run_pass()
    before = table_rows(deployment, *LOG_TABLES)
    versions = {name: deployment.lake[name].open().version for name in LOG_TABLES}

    assert deployment.run_pass() == []

    assert table_rows(deployment, *LOG_TABLES) == before
    assert {name: deployment.lake[name].open().version for name in LOG_TABLES} == versions


def test_a_late_file_of_an_old_hour_is_added_to_what_is_there(deployment: Deployment) -> None:
    hour = now() - timedelta(hours=20)
    deployment.post(records(5, hour), file_time=hour, flow_log="fl-0fffffffffffffff0")
    deployment.run_pass()

    deployment.post(records(3, hour), file_time=hour, flow_log="fl-00000000000000001")
    deployment.run_pass()

    assert deployment.lake["flow_logs"].read().height == 8
    assert deployment.lake["enriched_flows"].read().height == 8


def test_a_damaged_line_is_kept_with_its_reason_and_the_others_land(deployment: Deployment) -> None:
    lines = records(3, now()).splitlines()
    lines[2] = b"2 123456789012 eni-0123456789abcdef0 10.0.0.5 192.0.2.7 http 443 6 10 1 1 1 ACCEPT OK"
    deployment.post(b"\n".join(lines), file_time=now() - timedelta(hours=1))

    assert deployment.run_pass() == []

    assert deployment.lake["flow_logs"].read().height == 2
    (rejected,) = deployment.lake["rejected_records"].read().to_dicts()
    assert (rejected["line_number"], rejected["text"]) == (3, lines[2].decode())
    assert "srcport is 'http'" in rejected["reason"]


def test_a_truncated_object_is_unreadable_stays_and_holds_nothing_up(deployment: Deployment) -> None:
    file_time = now() - timedelta(hours=1)
    truncated = deployment.post_object(gzip.compress(records(500, now()))[:-20], file_time=file_time)
    whole = deployment.post(records(4, now()), file_time=file_time)
    empty = deployment.post(HEADER, file_time=file_time)

    assert deployment.run_pass() == []

    outcomes = {row["key"]: row["outcome"] for row in deployment.lake["flow_log_objects"].read().to_dicts()}
    assert outcomes == {truncated: "unreadable", whole: "ingested", empty: "empty"}
    assert deployment.lake["flow_logs"].read().height == 4
    (line,) = deployment.lake["flow_log_objects"].read().filter(pl.col("key") == truncated).to_dicts()
    assert "not whole gzip" in line["error"]


def test_the_sweep_deletes_what_is_committed_and_only_that(deployment: Deployment) -> None:
    file_time = now() - timedelta(hours=1)
    truncated = deployment.post_object(gzip.compress(records(500, now()))[:-20], file_time=file_time)
    whole = deployment.post(records(4, now()), file_time=file_time)
    deployment.run_pass()
    dry_run = deployment.lake["deletion_sweep"].read()
    assert deployment.keys() == sorted([truncated, whole])

    export = deployment.configuration.exports[0].model_copy(update={"delete_after_read": True})
    deployment.configuration = deployment.configuration.model_copy(update={"exports": (export,)})
    assert deployment.run_pass() == []

    swept = deployment.lake["deletion_sweep"].read()
    assert deployment.keys() == [truncated]
    assert dry_run.select("key", "outcome").rows() == [(whole, "would_delete")]
    assert swept.select("key", "outcome").rows() == [(whole, "deleted")]
    assert deployment.lake["flow_logs"].read().height == 4


def test_an_object_that_is_overwritten_counts_both_times_and_only_the_read_one_is_deleted(
    deployment: Deployment,
) -> None:
    file_time = now() - timedelta(hours=1)
    key = deployment.post(records(4, now()), file_time=file_time)
    deployment.run_pass()
    body = gzip.compress(records(2, now() - timedelta(minutes=5)))
    boto3.client("s3", region_name=REGION).put_object(Bucket=deployment.bucket, Key=key, Body=body)

    assert deployment.run_pass() == []

    assert deployment.lake["flow_logs"].read().height == 6
    swept = deployment.lake["deletion_sweep"].read().sort("outcome")
    assert swept["outcome"].to_list() == ["changed", "would_delete"]
    assert deployment.keys() == [key]
