"""Real flow log files, which nobody here wrote, give the rows that their notes say."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kentik_dagster.core.flow_log_text import parse_text
from kentik_dagster.core.parsed import Parsed

SAMPLES = (
    "01_vpc_v2_default_centralized_logging/vpcflow.log",
    "02_vpc_v2_gz_lambda_promtail/vpcflowlog.log.gz",
    "03_vpc_aws_doc_records/v2_default_records.txt",
    "03_vpc_aws_doc_records/v3_custom_tcp_flags_records.txt",
    "03_vpc_aws_doc_records/v5_custom_traffic_path_records.txt",
    "04_vpc_v7_ecs_vrl/v7_record.txt",
    "05_tgw_custom_header_otel/valid_tgw_flow_log.log",
    "06_vpc_too_few_fields_otel/vpc_flow_log_too_few_fields.log",
    "12_vpc_v2_headerless_vpcflowreporter/sample.dat",
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One real file: what it gave, what it should give, and its log type."""

    name: str
    text: Parsed
    expected: dict[str, Any]
    log_type: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows as expected.json writes them: instants in epoch seconds, only the file's own fields."""
        columns = [field.replace("-", "_") for field in self.expected["fields"]]
        if self.text.rows.is_empty():
            return []
        return self.text.rows.select(
            pl.col(name).dt.epoch("s") if name in ("start", "end") else pl.col(name) for name in columns
        ).to_dicts()


@pytest.fixture(params=SAMPLES)
def sample(request: pytest.FixtureRequest, samples: Path) -> Sample:
    path = samples / "flow_logs" / request.param
    everything = json.loads((path.parent / "expected.json").read_text(encoding="utf-8"))
    expected = everything["files"][path.name]
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if not expected["header"] and path.suffix == ".txt":  # a list out of a document: on S3 it would have a header
        content = " ".join(expected["fields"]).encode() + b"\n" + content
    log_type = {"vpc": "vpc", "tgw": "transit_gateway"}[everything["kind"]]
    return Sample(request.param, parse_text(content), expected, log_type)


def test_a_real_file_gives_the_rows_that_it_should(sample: Sample) -> None:
    expected = sample.expected

    assert len(sample.rows) == expected["rows_total"]
    if "rows" in expected:
        assert sample.rows == expected["rows"]
    if "first_rows" in expected:
        assert sample.rows[: len(expected["first_rows"])] == expected["first_rows"]
        assert sample.rows[-1] == expected["last_row"]


def test_a_real_file_adds_up(sample: Sample) -> None:
    rows, expected = sample.rows, sample.expected
    statuses, actions = [row.get("log_status") for row in rows], [row.get("action") for row in rows]
    counted = {
        "rows_ok": statuses.count("OK"),
        "rows_nodata": statuses.count("NODATA"),
        "rows_skipdata": statuses.count("SKIPDATA"),
        "rows_accept": actions.count("ACCEPT"),
        "rows_reject": actions.count("REJECT"),
        "sum_packets": sum(row.get("packets") or 0 for row in rows),
        "sum_bytes": sum(row.get("bytes") or 0 for row in rows),
        "min_start": min((row["start"] for row in rows), default=None),
        "max_end": max((row["end"] for row in rows), default=None),
        "distinct_rows": len({tuple(row.items()) for row in rows}),
    }

    assert {name: value for name, value in counted.items() if name in expected} == {
        name: expected[name] for name in counted if name in expected
    }


def test_a_real_file_is_known_by_its_fields(sample: Sample) -> None:
    if sample.expected["rows_total"]:
        assert sample.text.rows["log_type"].unique().to_list() == [sample.log_type]
        assert "extra_fields" not in sample.text.rows.columns


def test_a_damaged_line_of_a_real_file_is_kept_aside(sample: Sample) -> None:
    assert sample.text.rejected["line_number"].to_list() == sample.expected.get("malformed_line_numbers", [])
