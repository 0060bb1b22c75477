"""Cloud devices: which device a record is of, how busy devices are, which are silent, and which are waited for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.device_directory import Directory, directory, expected_devices
from kentik_dagster.core.devices import RECORD_COLUMNS, cloud_devices, device_counts, merged_devices, seen_devices
from kentik_dagster.core.flow_log_keys import hour_of
from kentik_dagster.core.schemas import no_rows, polars_schema
from kentik_dagster.errors import MissingColumnsError

ACCOUNT, OWNER, REGION = "111122223333", "444455556666", "us-east-1"
NINE = datetime(2026, 11, 23, 9, tzinfo=UTC)
ARN = f"arn:aws:network-firewall:{REGION}:{ACCOUNT}:firewall/edge-fw"
PLACE = [("acme-logs", "")]
NO_DEVICES = no_rows(TABLES["cloud_devices"])
NO_HOURS = pl.DataFrame(schema={"export": pl.String(), "newest_hour_at": pl.Datetime("us", "UTC")})


def minute(number: float) -> datetime:
    return NINE + timedelta(minutes=number)


def record(at: float = 10, **fields: Any) -> dict[str, Any]:
    """A VPC record of one minute that ends so many minutes after nine."""
    return {
        "export": "acme", "hour": hour_of(minute(at)), "source_object": f"{minute(at):%Y%m%dT%H%MZ}_0123456789ab",
        "log_type": "vpc", "account_id": ACCOUNT, "log_status": "OK", "start": minute(at - 1), "end": minute(at),
    } | fields  # fmt: skip


def gateway_record(**fields: Any) -> dict[str, Any]:
    return record(log_type="transit_gateway", **fields)


def firewall_event(at: float = 10, **fields: Any) -> dict[str, Any]:
    left_out = dict.fromkeys(("log_type", "log_status", "start", "end"))
    of_firewall = {"region": REGION, "firewall_name": "edge-fw", "firewall_log_type": "flow", "timestamp": minute(at)}
    return record(at) | left_out | of_firewall | fields


def records(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=RECORD_COLUMNS)


def resource(kind: str, resource_id: str, name: str | None = None, **attributes: Any) -> dict[str, Any]:
    """A resource as its owner's account shows it."""
    return {
        "account_id": OWNER, "region": REGION, "resource_type": kind, "resource_id": resource_id, "name": name,
        "owner_account_id": OWNER, "attributes": json.dumps(attributes), "change": "added", "observed_at": NINE,
    }  # fmt: skip


def flow_log(of: str, **attributes: Any) -> dict[str, Any]:
    told = {"FlowLogStatus": "ACTIVE", "DeliverLogsStatus": "SUCCESS", "LogDestinationType": "s3",
            "LogDestination": "arn:aws:s3:::acme-logs", "ResourceId": of, "TrafficType": "ALL"}  # fmt: skip
    return resource("flow_log", f"fl-of-{of}", **(told | attributes))


def changes(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=polars_schema(TABLES["metadata_changes"]))


def known(*rows: dict[str, Any], interfaces: Sequence[tuple[str, str]] = ()) -> Directory:
    """What metadata knows: resources, and the VPC of each interface."""
    book = pl.DataFrame(interfaces, schema={"eni_id": pl.String, "vpc_id": pl.String}, orient="row")
    return directory(changes(*rows), book.with_columns(kind=pl.lit("interface_address")))


NOTHING_KNOWN = known()


def seen(*rows: dict[str, Any], by: Directory = NOTHING_KNOWN) -> pl.DataFrame:
    return seen_devices(device_counts(records(*rows), by))


def listed(
    seen_now: pl.DataFrame,
    before: pl.DataFrame = NO_DEVICES,
    by: Directory = NOTHING_KNOWN,
    newest: float | None = None,
) -> list[dict[str, Any]]:
    """Rows of `cloud_devices`, the newest hour with records being that of a minute."""
    hours = pl.DataFrame(
        [] if newest is None else [("acme", minute(newest).replace(minute=0))], schema=NO_HOURS.schema, orient="row"
    )
    return cloud_devices(before, seen_now, [], by, hours).to_dicts()


def device_of(row: dict[str, Any], by: Directory = NOTHING_KNOWN) -> tuple[str, str]:
    """Type and id of the only device that a record is of."""
    (device,) = seen(row, by=by).to_dicts()
    return device["device_type"], device["device_id"]


METADATA = known(
    resource("subnet", "subnet-1", VpcId="vpc-1"),
    resource("nat_gateway", "nat-1", VpcId="vpc-1"),
    resource("transit_gateway_attachment", "tgw-attach-1", TransitGatewayId="tgw-1"),
    resource("firewall", ARN, "edge-fw") | {"account_id": ACCOUNT, "owner_account_id": ACCOUNT},
    interfaces=[("eni-1", "vpc-1")],
)


@pytest.mark.parametrize(
    ("row", "device"),
    [
        (record(vpc_id="vpc-9", interface_id="eni-1", subnet_id="subnet-1"), ("vpc", "vpc-9")),
        (record(interface_id="eni-1", subnet_id="subnet-9"), ("vpc", "vpc-1")),
        (record(interface_id="eni-9", subnet_id="subnet-1"), ("vpc", "vpc-1")),
        (record(interface_id=None, resource_id="nat-1"), ("vpc", "vpc-1")),
        (record(interface_id="eni-9", subnet_id="subnet-9"), ("subnet", "subnet-9")),
        (record(interface_id="eni-9"), ("network_interface", "eni-9")),
        (gateway_record(tgw_id="tgw-9", tgw_attachment_id="tgw-attach-1"), ("transit_gateway", "tgw-9")),
        (gateway_record(tgw_attachment_id="tgw-attach-1"), ("transit_gateway", "tgw-1")),
        (firewall_event(), ("firewall", ARN)),
        (firewall_event(account_id=OWNER), ("firewall", "edge-fw")),
    ],
)
def test_a_device_is_the_most_general_thing_that_a_record_or_metadata_names(
    row: dict[str, Any], device: tuple[str, str]
) -> None:
    assert device_of(row, METADATA) == device


def test_a_peering_attachment_is_of_two_gateways_and_so_says_nothing() -> None:
    peering = resource("transit_gateway_attachment", "tgw-attach-1", TransitGatewayId="tgw-1")
    other_end = resource("transit_gateway_attachment", "tgw-attach-1", TransitGatewayId="tgw-2") | {
        "account_id": ACCOUNT
    }

    devices = seen(gateway_record(tgw_attachment_id="tgw-attach-1"), by=known(peering, other_end))

    assert devices.is_empty()


def test_records_that_name_nothing_are_counted_and_are_no_device() -> None:
    counts = device_counts(records(record(resource_id="nat-9"), record(resource_id="nat-9")), NOTHING_KNOWN)

    assert counts.select("device_id", "rows").rows() == [(None, 2)]
    assert seen_devices(counts).is_empty()


def test_rates_are_flows_over_the_time_that_the_hour_covers_before_and_after_sampling() -> None:
    sampled = [record(at, vpc_id="vpc-1", sample_rate=10.0) for at in range(1, 11)]

    (device,) = seen(*sampled).to_dicts()

    assert device["stored_flows_per_second"] == 10 / 600
    assert device["flows_per_second"] == 100 / 600


def test_the_covered_time_is_that_of_all_devices_of_the_export() -> None:
    rows = [record(1, vpc_id="vpc-1"), record(5, vpc_id="vpc-1"), record(30, vpc_id="vpc-2")]

    rates = dict(seen(*rows).select("device_id", "flows_per_second").iter_rows())

    assert rates == {"vpc-1": 2 / 1800, "vpc-2": 1 / 1800}


@pytest.mark.parametrize(("start", "seconds"), [(minute(9.9), 300), (minute(-600), 3600)])
def test_an_hour_lasts_five_minutes_at_least_and_an_hour_at_most(start: datetime, seconds: int) -> None:
    (device,) = seen(record(10, vpc_id="vpc-1", start=start)).to_dicts()

    assert device["flows_per_second"] == 1 / seconds


@pytest.mark.parametrize(
    "row",
    [
        record(vpc_id="vpc-1", log_status="NODATA"),
        record(vpc_id="vpc-1", log_status="SKIPDATA"),
        firewall_event(firewall_log_type="alert"),
    ],
)
def test_what_is_no_flow_still_shows_that_the_device_sends(row: dict[str, Any]) -> None:
    (device,) = seen(row).to_dicts()

    assert (device["last_seen_at"], device["flows_per_second"]) == (minute(10), 0.0)


@pytest.mark.parametrize(
    ("row", "at"),
    [
        (record(10, vpc_id="vpc-1", end=None), minute(9)),
        (record(10, vpc_id="vpc-1", end=None, start=None), minute(10)),
        (firewall_event(10, timestamp=None, event_timestamp=minute(11)), minute(11)),
    ],
)
def test_a_record_without_an_end_was_seen_at_its_start_or_at_its_files_time(row: dict[str, Any], at: datetime) -> None:
    assert seen(row)["last_seen_at"].to_list() == [at]


def test_files_that_lack_columns_are_read() -> None:
    bare = records(record(interface_id="eni-1")).select("export", "hour", "source_object", "log_type", "interface_id")

    devices = seen_devices(device_counts(bare, NOTHING_KNOWN))

    assert devices["device_id"].to_list() == ["eni-1"]


def test_rows_without_an_hour_cannot_be_counted() -> None:
    with pytest.raises(MissingColumnsError, match="hour"):
        device_counts(records(record()).drop("hour"), NOTHING_KNOWN)


def test_name_and_place_are_those_of_the_owner_even_of_what_is_gone() -> None:
    gone = resource("vpc", "vpc-1", "prod") | {"change": "removed", "observed_at": minute(1)}

    (device,) = listed(seen(record(vpc_id="vpc-1")), by=known(resource("vpc", "vpc-1", "old"), gone))

    assert (device["device_name"], device["account_id"], device["region"]) == ("prod", OWNER, REGION)


def test_a_device_that_metadata_does_not_know_is_called_by_its_id_and_stands_where_its_records_say() -> None:
    rows = [record(vpc_id="vpc-1", account_id="unknown"), record(vpc_id="vpc-1", region=REGION)]

    (device,) = listed(seen(*rows))

    assert (device["device_name"], device["account_id"], device["region"]) == ("vpc-1", ACCOUNT, REGION)


def test_firewalls_of_one_name_in_two_accounts_are_two_devices() -> None:
    devices = listed(seen(firewall_event(), firewall_event(account_id=OWNER)))

    assert [(device["device_id"], device["account_id"]) for device in devices] == [
        ("edge-fw", ACCOUNT), ("edge-fw", OWNER),
    ]  # fmt: skip


@pytest.mark.parametrize(("last_seen", "status"), [(0, "OK"), (-60, "OK"), (-61, "Error")])
def test_a_device_is_silent_when_it_sent_nothing_in_the_hour_before_the_newest(last_seen: int, status: str) -> None:
    (device,) = listed(seen(record(last_seen, vpc_id="vpc-1")), newest=55)

    assert device["status"] == status


def test_an_hour_that_is_read_again_replaces_its_rates() -> None:
    of_vpc = record(5, vpc_id="vpc-1")
    at_first = seen(of_vpc)
    later = seen(of_vpc, record(30, vpc_id="vpc-2"))

    rates = dict(merged_devices(at_first, later).select("device_id", "flows_per_second").iter_rows())

    assert at_first["flows_per_second"].to_list() == [1 / 300]
    assert rates["vpc-1"] == 1 / (26 * 60)


def test_an_older_hour_that_is_read_later_does_not_replace_rates() -> None:
    newer, older = seen(record(70, vpc_id="vpc-1")), seen(*[record(10, vpc_id="vpc-1")] * 5)

    (device,) = merged_devices(newer, older).to_dicts()

    assert (device["first_seen_at"], device["flows_per_second"]) == (minute(10), 1 / 300)


def test_an_export_that_stands_still_does_not_silence_its_devices() -> None:
    before = pl.DataFrame(listed(seen(record(vpc_id="vpc-1")), newest=10), schema=NO_DEVICES.schema)

    (device,) = listed(NO_DEVICES, before, newest=None)

    assert device["status"] == "OK"


def test_interfaces_become_their_vpc_once_metadata_knows_them() -> None:
    of_interfaces = listed(seen(record(5, interface_id="eni-1"), record(9, interface_id="eni-2")), newest=9)
    before = pl.DataFrame(of_interfaces, schema=NO_DEVICES.schema)

    devices = listed(NO_DEVICES, before, known(interfaces=[("eni-1", "vpc-1"), ("eni-2", "vpc-1")]), newest=9)

    assert [(row["device_type"], row["device_id"]) for row in devices] == [("vpc", "vpc-1")]
    assert (devices[0]["first_seen_at"], devices[0]["last_seen_at"]) == (minute(5), minute(9))
    assert devices[0]["flows_per_second"] == 2 / 300


def test_a_firewall_gets_its_arn_once_metadata_knows_it() -> None:
    before = pl.DataFrame(listed(seen(firewall_event())), schema=NO_DEVICES.schema)

    (device,) = listed(NO_DEVICES, before, METADATA)

    assert (device["device_id"], device["device_name"]) == (ARN, "edge-fw")


def test_what_should_send_and_was_never_heard_of_is_pending() -> None:
    logged = changes(resource("vpc", "vpc-1", "prod"), flow_log("vpc-1"), flow_log("vpc-2"))
    by = directory(logged, no_rows(TABLES["address_book"]))
    expected = expected_devices(logged, by, "acme", PLACE, [])

    devices = cloud_devices(NO_DEVICES, seen(record(vpc_id="vpc-2")), [expected], by, NO_HOURS)

    assert devices.select("device_id", "device_name", "status", "flows_per_second").rows() == [
        ("vpc-1", "prod", "Pending", None), ("vpc-2", "vpc-2", "OK", 1 / 300),
    ]  # fmt: skip


def test_a_device_is_pending_only_while_a_flow_log_names_its_export() -> None:
    before = expected_devices(changes(flow_log("vpc-1")), NOTHING_KNOWN, "acme", PLACE, [])
    pending = cloud_devices(NO_DEVICES, NO_DEVICES, [before], NOTHING_KNOWN, NO_HOURS)

    devices = cloud_devices(pending, NO_DEVICES, [], NOTHING_KNOWN, NO_HOURS)

    assert pending.height == 1
    assert devices.is_empty()


FIREWALL_LOGGING = resource(
    "logging_configuration", ARN,
    LoggingConfiguration={"LogDestinationConfigs": [
        {"LogType": "FLOW", "LogDestinationType": "S3", "LogDestination": {"bucketName": "acme-logs"}}
    ]},
)  # fmt: skip


@pytest.mark.parametrize(
    ("row", "devices"),
    [
        (flow_log("vpc-9"), [("vpc", "vpc-9")]),
        (flow_log("subnet-1"), [("vpc", "vpc-1")]),
        (flow_log("eni-1"), [("vpc", "vpc-1")]),
        (flow_log("eni-9"), [("network_interface", "eni-9")]),
        (flow_log("tgw-9"), [("transit_gateway", "tgw-9")]),
        (flow_log("tgw-attach-1"), [("transit_gateway", "tgw-1")]),
        (flow_log("tgw-attach-9"), []),
        (flow_log("vpc-9", DeliverLogsStatus="FAILED"), [("vpc", "vpc-9")]),
        (flow_log("vpc-9", LogDestination="arn:aws:s3:::other-logs"), []),
        (flow_log("vpc-9") | {"change": "removed"}, []),
        (FIREWALL_LOGGING, [("firewall", ARN)]),
    ],
)
def test_a_flow_log_makes_its_device_expected(row: dict[str, Any], devices: list[tuple[str, str]]) -> None:
    expected = expected_devices(changes(row), METADATA, "acme", PLACE, PLACE)

    assert expected.select("device_type", "device_id").rows() == devices


# --- laws

SENDERS = st.sampled_from(
    [
        {"vpc_id": "vpc-1"},
        {"vpc_id": "vpc-2", "account_id": OWNER},
        {"interface_id": "eni-1"},
        {"interface_id": "eni-9", "subnet_id": "subnet-9"},
        {"resource_id": "nat-9"},
        {"log_type": "transit_gateway", "tgw_id": "tgw-1"},
    ]
)


@st.composite
def made_up_record(draw: st.DrawFn) -> dict[str, Any]:
    at = draw(st.integers(0, 239))
    status = draw(st.sampled_from(["OK", "NODATA", None]))
    rate = draw(st.sampled_from([1.0, 8.0, None]))
    return record(at, log_status=status, sample_rate=rate, **draw(SENDERS))


def told(devices: pl.DataFrame) -> list[dict[str, Any]]:
    return devices.sort("device_type", "device_id").to_dicts()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(made_up_record(), min_size=1, max_size=6), min_size=1, max_size=4))
def test_files_say_together_what_they_say_in_parts(files: list[list[dict[str, Any]]]) -> None:
    in_parts = pl.concat([device_counts(records(*rows), METADATA) for rows in files])

    whole = device_counts(records(*(row for rows in files for row in rows)), METADATA)

    assert told(seen_devices(in_parts)) == told(seen_devices(whole))


@settings(max_examples=60, deadline=None)
@given(st.lists(made_up_record(), min_size=1, max_size=12), st.data())
def test_devices_of_several_hours_are_those_of_each_merged_in_any_order(
    rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    counts = device_counts(records(*rows), METADATA)
    hours = data.draw(st.permutations(counts.partition_by("hour")))

    merged = NO_DEVICES
    for hour in hours:
        merged = merged_devices(merged, seen_devices(hour))

    assert told(merged) == told(seen_devices(counts))


@settings(max_examples=60, deadline=None)
@given(st.lists(made_up_record(), max_size=8), st.lists(made_up_record(), max_size=8), st.booleans())
def test_no_device_disappears_and_none_is_seen_first_after_last(
    earlier: list[dict[str, Any]], later: list[dict[str, Any]], knows: bool
) -> None:
    before = pl.DataFrame(listed(seen(*earlier)), schema=NO_DEVICES.schema)
    by = METADATA if knows else NOTHING_KNOWN

    after = pl.DataFrame(listed(seen(*later, by=by), before, by), schema=NO_DEVICES.schema)

    lost = set(before["device_id"]) - set(after["device_id"])
    assert lost <= ({"eni-1"} if knows else set())
    assert lost == set() or "vpc-1" in after["device_id"]
    assert (after["first_seen_at"] <= after["last_seen_at"]).all()
    assert after.select("device_type", "device_id").is_unique().all()


@settings(max_examples=40, deadline=None)
@given(st.lists(made_up_record(), min_size=1, max_size=8))
def test_counting_again_changes_nothing(rows: list[dict[str, Any]]) -> None:
    once = listed(seen(*rows), newest=239)

    again = listed(seen(*rows), pl.DataFrame(once, schema=NO_DEVICES.schema), newest=239)

    assert again == once
