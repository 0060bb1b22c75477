"""What an S3 key says of a flow log or firewall log object; and which keys are no log's."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.core.flow_log_keys import hour_of, hour_start, log_objects, source_object
from kentik_dagster.errors import MissingColumnsError

NAME = "111122223333_vpcflowlogs_eu-west-1_fl-0123456789abcdef0_20261123T0305Z_1a2b3c4d.log.gz"
FOLDER = "AWSLogs/111122223333/vpcflowlogs/eu-west-1/2026/11/23"
TIME = datetime(2026, 11, 23, 3, 5, tzinfo=UTC)
FIREWALL_FOLDER = "AWSLogs/111122223333/network-firewall/alert/eu-west-1/edge-fw-1/2026/11/23/03"
FIREWALL_NAME = "111122223333_network-firewall_alert_eu-west-1_edge-fw-1_202611230305_1a2b3c4d.log.gz"


def objects(*keys: str, bucket: str = "acme-flow-logs", etag: str = "9e107d9d") -> pl.DataFrame:
    """The log objects among objects with these keys."""
    listed = pl.DataFrame(
        {"bucket": [bucket] * len(keys), "key": keys, "etag": [etag] * len(keys)},
        schema=dict.fromkeys(("bucket", "key", "etag"), pl.String),
    )
    return log_objects(listed)


def test_a_key_says_account_region_flow_log_and_time() -> None:
    (found,) = objects(f"{FOLDER}/{NAME}").to_dicts()

    assert found | {"source_object": None} == {
        "bucket": "acme-flow-logs",
        "key": f"{FOLDER}/{NAME}",
        "etag": "9e107d9d",
        "account_id": "111122223333",
        "region": "eu-west-1",
        "flow_log_id": "fl-0123456789abcdef0",
        "firewall_name": None,
        "firewall_log_type": None,
        "family": "vpcflowlogs",
        "format": "gz",
        "file_time": TIME,
        "hour": "2026-11-23T03",
        "source_object": None,
    }


def test_a_key_says_which_firewall_wrote_which_log() -> None:
    (found,) = objects(f"{FIREWALL_FOLDER}/{FIREWALL_NAME}").to_dicts()

    assert found | {"source_object": None} == {
        "bucket": "acme-flow-logs",
        "key": f"{FIREWALL_FOLDER}/{FIREWALL_NAME}",
        "etag": "9e107d9d",
        "account_id": "111122223333",
        "region": "eu-west-1",
        "flow_log_id": None,
        "firewall_name": "edge-fw-1",
        "firewall_log_type": "alert",
        "family": "network-firewall",
        "format": "gz",
        "file_time": TIME,
        "hour": "2026-11-23T03",
        "source_object": None,
    }


def test_real_keys_say_what_they_should_and_other_services_are_left_out(samples: Path) -> None:
    notes = json.loads((samples / "flow_logs" / "11_s3_keys" / "expected.json").read_text(encoding="utf-8"))["keys"]
    logs = [note for note in notes if not note.get("ignore")]

    found = objects(*(note["key"] for note in notes))

    assert len(logs) == 6
    assert found.select(
        "key", "family", "account_id", "region", "flow_log_id", "firewall_name", "firewall_log_type", "format"
    ).rows() == [
        (
            note["key"],
            note["log_type"],
            note["account_id"],
            note["region"],
            note.get("flow_log_id"),
            note.get("firewall_name"),
            note.get("nfw_log_type"),
            {"text": "gz", "parquet": "parquet"}[note["format"]],
        )
        for note in logs
    ]
    assert found["file_time"].to_list() == [datetime.fromisoformat(note["file_time"]) for note in logs]


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
    "prefix", ["", "acme/network/", "/", "//", "/acme/", "acme//", "AWSLogs/999988887777/", "acme/AWSLogs/old/"]
)
def test_a_firewall_log_may_be_below_any_prefix(prefix: str) -> None:
    (found,) = objects(f"{prefix}{FIREWALL_FOLDER}/{FIREWALL_NAME}").to_dicts()

    assert (found["account_id"], found["region"], found["firewall_name"]) == ("111122223333", "eu-west-1", "edge-fw-1")
    assert found["file_time"] == TIME


@pytest.mark.parametrize("time", ["202611230305", "20261123T0305Z"])
def test_the_time_of_a_firewall_log_is_written_in_two_ways(time: str) -> None:
    (found,) = objects(f"{FIREWALL_FOLDER}/{FIREWALL_NAME.replace('202611230305', time)}").to_dicts()

    assert (found["file_time"], found["hour"]) == (TIME, "2026-11-23T03")


@pytest.mark.parametrize("firewall", ["f", "a-b-c", "2026", "AWSLogs", "flow", "network-firewall"])
def test_a_firewall_is_named_by_its_folder(firewall: str) -> None:
    key = f"{FIREWALL_FOLDER}/{FIREWALL_NAME}".replace("edge-fw-1", firewall)

    assert objects(key)["firewall_name"].to_list() == [firewall]


@pytest.mark.parametrize(
    "key",
    [
        f"{FIREWALL_FOLDER}/",
        f"{FIREWALL_FOLDER}/{FIREWALL_NAME}/",
        f"{FIREWALL_FOLDER}/{FIREWALL_NAME.replace('.log.gz', '.log.parquet')}",
        f"{FIREWALL_FOLDER}/{FIREWALL_NAME.replace('.log.gz', '.csv')}",
        f"{FIREWALL_FOLDER}/{FIREWALL_NAME.replace('202611230305', '202611312405')}",
        f"{FIREWALL_FOLDER}/{FIREWALL_NAME}".replace("alert", "debug"),
        f"X{FIREWALL_FOLDER}/{FIREWALL_NAME}",
        f"AWSLogs/{FIREWALL_NAME}",
        FIREWALL_NAME,
    ],
)
def test_what_is_no_firewall_log_is_left_out(key: str) -> None:
    assert objects(key).is_empty()


@pytest.mark.parametrize(
    "key",
    [
        "AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2026/11/23/111122223333_CloudTrail-Digest_eu-west-1_t.json.gz",
        "AWSLogs/111122223333/vpcdnsquerylogs/vpc-0a1/2026/11/23/vpc-0a1_vpcdnsquerylogs_111122223333_20261123T0305Z_1a.log.gz",
        "AWSLogs/111122223333/WAFLogs/eu-west-1/acl/2026/11/23/03/05/111122223333_waflogs_eu-west-1_acl_20261123T0305Z_1a.log.gz",
        "AWSLogs/111122223333/globalaccelerator/us-west-2/2026/11/23/111122223333_globalaccelerator_x_20261123T0305Z_1a.log.gz",
        "AWSLogs/111122223333/elasticloadbalancing/eu-west-1/2026/11/23/111122223333_elasticloadbalancing_eu-west-1_net.lb.1a_20261123T0305Z_1a.log.gz",
        "athena-results/0a1b2c3d-1111-2222-3333-444455556666.csv.metadata",
    ],
)
def test_logs_of_other_services_are_left_out(key: str) -> None:
    assert objects(key).is_empty()


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


@pytest.mark.parametrize("time", ["20260230T0305", "20261323T0305", "20261123T2405", "20261123T0360", "00000101T0000"])
def test_a_time_that_cannot_be_is_left_out(time: str) -> None:
    assert objects(f"{FOLDER}/{NAME.replace('20261123T0305', time)}").is_empty()


def test_objects_keep_their_order_and_their_other_columns() -> None:
    keys = [f"{FOLDER}/{NAME}", f"{FOLDER}/", f"a/{FOLDER}/{NAME}"]
    listed = pl.DataFrame({"bucket": "b", "key": keys, "etag": "e", "size_bytes": [3, 2, 1]})

    assert log_objects(listed).select("key", "size_bytes").rows() == [(keys[0], 3), (keys[2], 1)]


def test_an_empty_listing_gives_the_same_columns() -> None:
    empty, full = objects(), objects(f"{FOLDER}/{NAME}")

    assert empty.schema == full.schema


def test_a_listing_without_etags_is_refused() -> None:
    with pytest.raises(MissingColumnsError, match="log_objects needs the columns etag"):
        log_objects(pl.DataFrame({"bucket": ["b"], "key": ["k"]}))


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


@pytest.mark.parametrize("etag", ["9e107d9d", '"9e107d9d"', "9e107d9d-2"])
def test_a_listing_and_a_single_object_give_one_name(etag: str) -> None:
    keys = [f"{FOLDER}/{NAME}", f"ä/{FIREWALL_FOLDER}/{FIREWALL_NAME}"]

    found = objects(*keys, etag=etag)

    assert found["source_object"].to_list() == [source_object("acme-flow-logs", key, etag, TIME) for key in keys]


def test_an_hour_is_that_of_utc() -> None:
    in_india = datetime(2026, 11, 23, 8, 45, tzinfo=timezone(timedelta(hours=5, minutes=30)))

    assert hour_of(in_india) == "2026-11-23T03"
    assert hour_start("2026-11-23T03") == datetime(2026, 11, 23, 3, tzinfo=UTC)


@settings(deadline=None)
@given(st.datetimes(min_value=datetime(2015, 1, 1), max_value=datetime(2099, 1, 1)))
def test_an_instant_lies_in_its_hour(instant: datetime) -> None:
    start = hour_start(hour_of(instant.replace(tzinfo=UTC)))

    assert start <= instant.replace(tzinfo=UTC) < start + timedelta(hours=1)
