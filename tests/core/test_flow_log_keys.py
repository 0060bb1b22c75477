"""What an S3 key says of a flow log object; and which keys are no flow log's."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.core.flow_log_keys import flow_log_objects, hour_of, hour_start, source_object
from kentik_dagster.errors import MissingColumnsError

NAME = "111122223333_vpcflowlogs_eu-west-1_fl-0123456789abcdef0_20261123T0305Z_1a2b3c4d.log.gz"
FOLDER = "AWSLogs/111122223333/vpcflowlogs/eu-west-1/2026/11/23"
TIME = datetime(2026, 11, 23, 3, 5, tzinfo=UTC)


def objects(*keys: str, bucket: str = "acme-flow-logs", etag: str = "9e107d9d") -> pl.DataFrame:
    """The flow log objects among objects with these keys."""
    listed = pl.DataFrame(
        {"bucket": [bucket] * len(keys), "key": keys, "etag": [etag] * len(keys)},
        schema=dict.fromkeys(("bucket", "key", "etag"), pl.String),
    )
    return flow_log_objects(listed)


def test_a_key_says_account_region_flow_log_and_time() -> None:
    (found,) = objects(f"{FOLDER}/{NAME}").to_dicts()

    assert found | {"source_object": None} == {
        "bucket": "acme-flow-logs",
        "key": f"{FOLDER}/{NAME}",
        "etag": "9e107d9d",
        "account_id": "111122223333",
        "region": "eu-west-1",
        "flow_log_id": "fl-0123456789abcdef0",
        "format": "gz",
        "file_time": TIME,
        "hour": "2026-11-23T03",
        "source_object": None,
    }


def test_real_keys_say_what_they_should_and_other_services_are_left_out(samples: Path) -> None:
    notes = json.loads((samples / "flow_logs" / "11_s3_keys" / "expected.json").read_text(encoding="utf-8"))["keys"]
    flow_logs = [note for note in notes if note.get("log_type") == "vpcflowlogs"]

    found = objects(*(note["key"] for note in notes))

    assert len(flow_logs) == 5
    assert found.select("key", "account_id", "region", "flow_log_id", "format").rows() == [
        (
            note["key"],
            note["account_id"],
            note["region"],
            note["flow_log_id"],
            {"text": "gz", "parquet": "parquet"}[note["format"]],
        )
        for note in flow_logs
    ]
    assert found["file_time"].to_list() == [datetime.fromisoformat(note["file_time"]) for note in flow_logs]


@pytest.mark.parametrize(
    "folder",
    [
        FOLDER,
        f"{FOLDER}/03",
        f"acme/network/{FOLDER}",
        f"/{FOLDER}",
        f"acme//{FOLDER}",
        f"acme/AWSLogs/old/{FOLDER}",
        "AWSLogs/aws-account-id=111122223333/aws-service=vpcflowlogs/aws-region=eu-west-1/year=2026/month=11/day=23",
        "AWSLogs/aws-account-id=111122223333/service=vpcflowlogs/aws-region=eu-west-1/year=2026/month=11/day=23/hour=03",
    ],
)
def test_the_folders_may_be_plain_hourly_hive_or_below_any_prefix(folder: str) -> None:
    (found,) = objects(f"{folder}/{NAME}").to_dicts()

    assert (found["account_id"], found["region"], found["file_time"]) == ("111122223333", "eu-west-1", TIME)
    assert found["key"] == f"{folder}/{NAME}"


@pytest.mark.parametrize(
    "key",
    [
        NAME,
        f"logs/{NAME}",
        f"AWSLogs/{NAME}",
        f"{FOLDER}/",
        f"{FOLDER}/{NAME}.tmp",
        f"{FOLDER}/{NAME}/",
        f"{FOLDER}/{NAME.replace('vpcflowlogs', 'CloudTrail')}",
        f"{FOLDER}/{NAME.replace('111122223333', '11112222333')}",
        f"{FOLDER}/{NAME.replace('.log.gz', '.log')}",
        f"{FOLDER}/{NAME}\n",
        f"XAWSLogs/111122223333/{NAME}",
        "",
    ],
)
def test_what_is_no_flow_log_is_left_out(key: str) -> None:
    assert objects(key).is_empty()


@pytest.mark.parametrize("time", ["20260230T0305", "20261323T0305", "20261123T2405", "20261123T0360", "00000000T0000"])
def test_a_time_that_cannot_be_is_left_out(time: str) -> None:
    assert objects(f"{FOLDER}/{NAME.replace('20261123T0305', time)}").is_empty()


def test_objects_keep_their_order_and_their_other_columns() -> None:
    keys = [f"{FOLDER}/{NAME}", f"{FOLDER}/", f"a/{FOLDER}/{NAME}"]
    listed = pl.DataFrame({"bucket": "b", "key": keys, "etag": "e", "size_bytes": [3, 2, 1]})

    assert flow_log_objects(listed).select("key", "size_bytes").rows() == [(keys[0], 3), (keys[2], 1)]


def test_an_empty_listing_gives_the_same_columns() -> None:
    empty, full = objects(), objects(f"{FOLDER}/{NAME}")

    assert empty.schema == full.schema


def test_a_listing_without_etags_is_refused() -> None:
    with pytest.raises(MissingColumnsError, match="flow_log_objects needs the columns etag"):
        flow_log_objects(pl.DataFrame({"bucket": ["b"], "key": ["k"]}))


# What may stand in a bucket's name, a key and an ETag.
_parts = st.tuples(
    st.text("abc.-", min_size=3, max_size=63),
    st.text(min_size=1, max_size=1024),
    st.text("0123456789abcdef-", min_size=1),
)


@settings(deadline=None)
@given(_parts, st.datetimes(min_value=datetime(2015, 1, 1), max_value=datetime(2099, 1, 1)))
def test_a_source_object_is_short_and_begins_with_what_varies(parts: tuple[str, str, str], time: datetime) -> None:
    name = source_object(*parts, time.replace(tzinfo=UTC))

    assert len(name) <= 64
    assert name.startswith(f"{time:%Y%m%dT%H%M}Z_")


def test_a_source_object_is_the_same_for_the_same_content_only() -> None:
    name = source_object("b", "k", "e", TIME)

    assert source_object("b", "k", '"e"', TIME) == name
    assert source_object("b", "k", "f", TIME) != name
    assert source_object("b", "l", "e", TIME) != name
    assert source_object("c", "k", "e", TIME) != name


def test_a_source_object_is_the_same_in_every_release() -> None:
    # Rows in lakes carry it: a new way to make it would read every object again.
    assert source_object("acme-flow-logs", f"{FOLDER}/{NAME}", "9e107d9d", TIME) == "20261123T0305Z_147c6244904d"


def test_an_hour_is_that_of_utc() -> None:
    in_india = datetime(2026, 11, 23, 8, 45, tzinfo=timezone(timedelta(hours=5, minutes=30)))

    assert hour_of(in_india) == "2026-11-23T03"
    assert hour_start("2026-11-23T03") == datetime(2026, 11, 23, 3, tzinfo=UTC)


@settings(deadline=None)
@given(st.datetimes(min_value=datetime(2015, 1, 1), max_value=datetime(2099, 1, 1)))
def test_an_instant_lies_in_its_hour(instant: datetime) -> None:
    start = hour_start(hour_of(instant.replace(tzinfo=UTC)))

    assert start <= instant.replace(tzinfo=UTC) < start + timedelta(hours=1)
