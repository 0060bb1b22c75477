"""A thing is dark if no healthy flow log of its own, or of all its parts, is read; what nobody looked at is unknown."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.log_coverage import log_coverage
from kentik_dagster.core.schemas import no_rows, polars_schema
from kentik_dagster.errors import MissingColumnsError

PAYMENTS, PLATFORM = "111122223333", "444455556666"
HERE = "eu-west-1"
CHANGES, CALLS = (polars_schema(TABLES[name]) for name in ("metadata_changes", "metadata_calls"))
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PLACES = [("our-logs", "prod"), ("more-logs", "")]
FIREWALL = f"arn:aws:network-firewall:{HERE}:{PAYMENTS}:firewall/edge"


def thing(
    resource_type: str, resource_id: str, account: str = PAYMENTS, owner: str | None = None, **attributes: Any
) -> dict[str, Any]:
    """A resource as one account sees it."""
    return {
        "account_id": account,
        "region": HERE,
        "resource_type": resource_type,
        "resource_id": resource_id,
        "name": f"{resource_id}, seen by {account}",
        "owner_account_id": owner or account,
        "attributes": json.dumps(attributes),
    }


def vpc(account: str = PAYMENTS, owner: str | None = None, **attributes: Any) -> dict[str, Any]:
    return thing("vpc", "vpc-1", account, owner, **attributes)


def subnet(subnet_id: str, account: str = PAYMENTS, owner: str | None = None) -> dict[str, Any]:
    return thing("subnet", subnet_id, account, owner, VpcId="vpc-1")


def interface(eni_id: str) -> dict[str, Any]:
    return thing("network_interface", eni_id, VpcId="vpc-1", SubnetId="subnet-1")


def flow_log(flow_log_id: str, of: str, account: str = PAYMENTS, **attributes: Any) -> dict[str, Any]:
    """A healthy flow log that is read, where nothing else is said."""
    usual = {
        "FlowLogId": flow_log_id,
        "ResourceId": of,
        "FlowLogStatus": "ACTIVE",
        "DeliverLogsStatus": "SUCCESS",
        "LogDestinationType": "s3",
        "LogDestination": "arn:aws:s3:::our-logs/prod/",
        "TrafficType": "ALL",
    }
    return thing("flow_log", flow_log_id, account, **(usual | attributes))


def firewall() -> dict[str, Any]:
    return thing("firewall", FIREWALL, Firewall={"FirewallArn": FIREWALL, "VpcId": "vpc-1"}, FirewallStatus={})


def logging(*destinations: dict[str, Any]) -> dict[str, Any]:
    return thing(
        "logging_configuration",
        FIREWALL,
        FirewallArn=FIREWALL,
        LoggingConfiguration={"LogDestinationConfigs": list(destinations)},
    )


def destination(log_type: str, kind: str = "S3", **where: str) -> dict[str, Any]:
    return {"LogType": log_type, "LogDestinationType": kind, "LogDestination": where}


def call(operation: str = "describe_flow_logs", account: str = PAYMENTS, **values: Any) -> dict[str, Any]:
    service = "network-firewall" if operation == "describe_logging_configuration" else "ec2"
    usual = {"account_id": account, "region": HERE, "service": service, "operation": operation}
    return usual | {"outcome": "observed", "last_observed_at": NOON} | values


NEVER: dict[str, Any] = {"outcome": "denied", "error_code": "UnauthorizedOperation", "last_observed_at": None}
OBSERVED = (call(), call(account=PLATFORM), call("describe_logging_configuration"))


def state(*resources: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(resources, schema=CHANGES)


def asked(*calls: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(calls, schema=CALLS)


def found(
    *resources: dict[str, Any], calls: tuple[dict[str, Any], ...] = OBSERVED, places: list[tuple[str, str]] = PLACES
) -> dict[str, Any]:
    """What is said of the only thing there is."""
    (row,) = log_coverage(state(*resources), asked(*calls), places).to_dicts()
    return row


# --- a VPC --------------------------------------------------------------------------------------------------------


def test_a_new_vpc_is_dark_and_the_reason_says_what_to_do() -> None:
    row = found(vpc())

    assert (row["coverage"], row["is_idle"], row["flow_log_ids"]) == ("none", False, [])
    assert row["reason"] == "no flow log: create one to s3://more-logs/ or s3://our-logs/prod/"


@pytest.mark.parametrize("delivered", ["SUCCESS", None])
def test_a_flow_log_of_its_own_covers_a_vpc(delivered: str | None) -> None:
    row = found(vpc(), flow_log("fl-1", "vpc-1", DeliverLogsStatus=delivered))

    assert (row["coverage"], row["flow_log_ids"], row["reason"]) == ("read", ["fl-1"], "it is read")


@pytest.mark.parametrize(("logged", "coverage"), [(["subnet-1"], "none"), (["subnet-1", "subnet-2"], "read")])
def test_flow_logs_of_subnets_cover_a_vpc_if_every_subnet_has_one(logged: list[str], coverage: str) -> None:
    logs = [flow_log(f"fl-{part}", part) for part in logged]

    row = found(vpc(), subnet("subnet-1"), subnet("subnet-2"), *logs)

    assert (row["coverage"], row["flow_log_ids"]) == (coverage, [f"fl-{part}" for part in logged])


@pytest.mark.parametrize(("logged", "coverage"), [([], "none"), (["eni-1"], "none"), (["eni-1", "eni-2"], "read")])
def test_flow_logs_of_interfaces_cover_a_vpc_if_every_interface_has_one(logged: list[str], coverage: str) -> None:
    logs = [flow_log(f"fl-{part}", part) for part in logged]

    row = found(vpc(), subnet("subnet-1"), interface("eni-1"), interface("eni-2"), *logs)

    assert row["coverage"] == coverage


def test_a_vpc_that_is_logged_in_part_is_dark_and_the_reason_names_the_flow_logs() -> None:
    row = found(vpc(), subnet("subnet-1"), subnet("subnet-2"), flow_log("fl-1", "subnet-1"))

    assert row["reason"].startswith("only parts of it are logged, by fl-1: create one to s3://")


def test_flow_logs_of_another_vpc_cover_nothing() -> None:
    other = thing("subnet", "subnet-9", VpcId="vpc-9")

    row = found(vpc(), other, flow_log("fl-1", "vpc-9"), flow_log("fl-2", "subnet-9"))

    assert (row["coverage"], row["flow_log_ids"]) == ("none", [])


def test_one_healthy_flow_log_among_others_is_enough() -> None:
    logs = [
        flow_log("fl-1", "vpc-1", DeliverLogsStatus="FAILED"),
        flow_log("fl-2", "vpc-1"),
        flow_log("fl-3", "vpc-1", LogDestination="arn:aws:s3:::other-bucket/"),
    ]

    row = found(vpc(), *logs)

    assert (row["coverage"], row["flow_log_ids"]) == ("read", ["fl-1", "fl-2", "fl-3"])


@pytest.mark.parametrize(
    ("types", "reason"),
    [
        (["ACCEPT"], "it is read, but ACCEPT traffic only: create a flow log of ALL traffic instead"),
        (["REJECT"], "it is read, but REJECT traffic only: create a flow log of ALL traffic instead"),
        (["ACCEPT", "REJECT"], "it is read"),
        (["ALL", "REJECT"], "it is read"),
    ],
)
def test_traffic_that_is_not_logged_is_told(types: list[str], reason: str) -> None:
    row = found(vpc(), *(flow_log(f"fl-{kind}", "vpc-1", TrafficType=kind) for kind in types))

    assert (row["coverage"], row["reason"]) == ("read", reason)


# --- health and place ---------------------------------------------------------------------------------------------


def test_a_flow_log_that_cannot_deliver_is_unhealthy_and_the_reason_is_that_of_aws() -> None:
    broken = flow_log("fl-2", "vpc-1", DeliverLogsStatus="FAILED", DeliverLogsErrorMessage="Access error")

    row = found(vpc(), broken)

    assert row["coverage"] == "unhealthy"
    assert row["reason"] == (
        "fl-2 cannot deliver: Access error: let the policies of bucket our-logs and of its KMS key admit "
        "delivery.logs.amazonaws.com"
    )


@pytest.mark.parametrize("message", ["Rate limited", None])
def test_a_failure_that_is_not_of_permissions_may_pass(message: str | None) -> None:
    row = found(vpc(), flow_log("fl-2", "vpc-1", DeliverLogsStatus="FAILED", DeliverLogsErrorMessage=message))

    assert row["coverage"] == "unhealthy"
    assert row["reason"].endswith(": if that lasts, delete it, and create it anew")


@pytest.mark.parametrize("status", ["INACTIVE", None])
def test_a_flow_log_that_is_not_active_is_unhealthy(status: str | None) -> None:
    row = found(vpc(), flow_log("fl-1", "vpc-1", FlowLogStatus=status))

    assert row["coverage"] == "unhealthy"
    assert row["reason"].startswith("fl-1 is not active (its status: ")


def test_a_flow_log_that_delivers_elsewhere_is_named_with_its_bucket() -> None:
    row = found(vpc(), flow_log("fl-1", "vpc-1", LogDestination="arn:aws:s3:::other-bucket/"), places=PLACES[:1])

    assert row["coverage"] == "elsewhere"
    assert row["reason"] == (
        "its flow log fl-1 delivers to s3://other-bucket/, which no export reads: add an export for it, or create one "
        "to s3://our-logs/prod/"
    )


@pytest.mark.parametrize("kind", ["cloud-watch-logs", "kinesis-data-firehose"])
def test_a_flow_log_that_is_not_in_s3_cannot_be_read(kind: str) -> None:
    row = found(vpc(), flow_log("fl-1", "vpc-1", LogDestinationType=kind, LogDestination="arn:aws:logs:::group"))

    assert row["coverage"] == "elsewhere"
    assert f"fl-1 delivers to {kind} arn:aws:logs:::group, which no export can read: create one to" in row["reason"]


def test_a_flow_log_without_a_destination_is_not_in_s3() -> None:
    old = flow_log("fl-1", "vpc-1", LogDestinationType=None, LogDestination=None, LogGroupName="flows")

    assert "delivers to cloud-watch-logs flows" in found(vpc(), old)["reason"]


@pytest.mark.parametrize(
    ("target", "place", "is_read"),
    [
        ("our-logs/prod", ("our-logs", "prod"), True),
        ("our-logs/prod/", ("our-logs", "prod/"), True),
        ("our-logs/prod/vpc-1/", ("our-logs", "prod"), True),
        ("our-logs", ("our-logs", ""), True),
        ("our-logs/any/folder", ("our-logs", ""), True),
        ("our-logs/production/", ("our-logs", "prod"), False),
        ("our-logs", ("our-logs", "prod"), False),
        ("our-logs-2/prod/", ("our-logs", "prod"), False),
        ("our-logs/prod/", ("our-logs", "/prod"), False),
    ],
)
def test_a_place_is_a_bucket_and_a_folder_with_all_that_is_below_it(
    target: str, place: tuple[str, str], is_read: bool
) -> None:
    for partition in ("aws", "aws-cn", "aws-us-gov"):
        log = flow_log("fl-1", "vpc-1", LogDestination=f"arn:{partition}:s3:::{target}")

        assert (found(vpc(), log, places=[place])["coverage"] == "read") is is_read


def test_without_a_place_to_read_the_reason_asks_for_an_export() -> None:
    row = found(vpc(), places=[])

    assert row["reason"] == "no flow log: create one to a bucket, with an export that reads it"


def test_of_the_parts_the_worst_counts_and_is_named() -> None:
    elsewhere = flow_log("fl-2", "subnet-2", LogDestination="arn:aws:s3:::other-bucket/x/")

    row = found(vpc(), subnet("subnet-1"), subnet("subnet-2"), flow_log("fl-1", "subnet-1"), elsewhere)

    assert (row["coverage"], row["flow_log_ids"]) == ("elsewhere", ["fl-1", "fl-2"])
    assert row["reason"].startswith("flow log fl-2 of subnet-2 delivers to s3://other-bucket/x/, which")


# --- several accounts ---------------------------------------------------------------------------------------------


def test_a_shared_vpc_is_judged_once_as_its_owner_shows_it() -> None:
    row = found(vpc(PAYMENTS, PLATFORM), vpc(PLATFORM, PLATFORM))

    assert (row["account_id"], row["name"]) == (PLATFORM, f"vpc-1, seen by {PLATFORM}")


def test_a_flow_log_in_a_participants_account_counts() -> None:
    shared = [subnet("subnet-1", PLATFORM), subnet("subnet-1", PAYMENTS, PLATFORM)]

    row = found(vpc(PLATFORM), *shared, flow_log("fl-1", "subnet-1", PAYMENTS))

    assert row["coverage"] == "read"


def test_what_an_account_that_is_not_collected_owns_is_unknown_unless_it_is_read() -> None:
    foreign = vpc(PAYMENTS, PLATFORM)

    rows = [found(foreign, calls=(call(),)), found(foreign, flow_log("fl-1", "vpc-1"), calls=(call(),))]

    assert [row["coverage"] for row in rows] == ["unknown", "read"]
    assert rows[0]["reason"] == (
        f"describe_flow_logs was never asked in account {PLATFORM} and region {HERE}: let an export collect their "
        "metadata"
    )


# --- what is unknown ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "calls",
    [(), (call(**NEVER),), (call("describe_vpcs"),), (call(region="us-east-1"),), (call(account=PLATFORM),)],
    ids=["never asked", "never answered", "another operation", "another region", "another account"],
)
def test_where_flow_logs_were_never_observed_nothing_is_called_dark(calls: tuple[dict[str, Any], ...]) -> None:
    assert found(vpc(), calls=calls)["coverage"] == "unknown"


def test_the_reason_of_an_unknown_names_the_permission() -> None:
    row = found(vpc(), calls=(call(**NEVER),))

    assert row["reason"] == (
        f"describe_flow_logs never answered in account {PAYMENTS} and region {HERE} (denied, UnauthorizedOperation): "
        "let the role there do ec2:DescribeFlowLogs"
    )


def test_what_was_observed_once_is_known_although_the_last_call_failed() -> None:
    assert found(vpc(), calls=(call(outcome="denied"),))["coverage"] == "none"


# --- idle ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resources", "is_idle"),
    [
        ([vpc(IsDefault=True)], True),
        ([vpc(IsDefault=True), subnet("subnet-1")], True),
        ([vpc(IsDefault=True), interface("eni-1")], False),
        ([vpc(IsDefault=False)], False),
        ([vpc()], False),
    ],
)
def test_a_default_vpc_without_interfaces_is_idle(resources: list[dict[str, Any]], is_idle: bool) -> None:
    row = found(*resources)

    assert (row["coverage"], row["is_idle"]) == ("none", is_idle)
    assert row["reason"].startswith("a default VPC without network interfaces") is is_idle


def test_a_default_vpc_whose_interfaces_nobody_may_see_is_not_called_idle() -> None:
    row = found(vpc(IsDefault=True), calls=(call(), call("describe_network_interfaces", **NEVER)))

    assert (row["coverage"], row["is_idle"]) == ("none", False)


# --- transit gateways and firewalls -------------------------------------------------------------------------------


def attachment(attachment_id: str, standing: str = "available") -> dict[str, Any]:
    return thing("transit_gateway_attachment", attachment_id, TransitGatewayId="tgw-1", State=standing)


@pytest.mark.parametrize(
    ("logged", "coverage"),
    [
        ([], "none"),
        (["tgw-1"], "read"),
        (["tgw-attach-1"], "none"),
        (["tgw-attach-1", "tgw-attach-2"], "read"),
    ],
)
def test_a_transit_gateway_is_covered_by_its_own_flow_log_or_those_of_all_attachments(
    logged: list[str], coverage: str
) -> None:
    parts = [attachment("tgw-attach-1"), attachment("tgw-attach-2"), attachment("tgw-attach-3", "deleted")]
    logs = [flow_log(f"fl-{part}", part, TrafficType=None) for part in logged]

    row = found(thing("transit_gateway", "tgw-1", State="available"), *parts, *logs)

    assert (row["coverage"], row["is_idle"]) == (coverage, False)


def test_a_peering_is_a_part_of_both_transit_gateways() -> None:
    gateways = [thing("transit_gateway", f"tgw-{n}", account) for n, account in (("1", PAYMENTS), ("2", PLATFORM))]
    ends = [
        thing("transit_gateway_attachment", "tgw-attach-1", account, TransitGatewayId=gateway)
        for gateway, account in (("tgw-1", PAYMENTS), ("tgw-2", PLATFORM))
    ]
    other = thing("transit_gateway_attachment", "tgw-attach-2", PLATFORM, TransitGatewayId="tgw-2")

    rows = log_coverage(
        state(*gateways, *ends, other, flow_log("fl-2", "tgw-attach-2", PLATFORM)), asked(*OBSERVED), PLACES
    )

    assert rows.select("resource_id", "coverage").rows() == [("tgw-1", "none"), ("tgw-2", "none")]


def test_a_transit_gateway_that_is_deleted_is_left_out() -> None:
    deleted = state(thing("transit_gateway", "tgw-1", State="deleted"))

    assert log_coverage(deleted, asked(*OBSERVED), PLACES).is_empty()


@pytest.mark.parametrize(
    ("destinations", "coverage", "reason"),
    [
        ([destination("FLOW", bucketName="our-logs", prefix="prod")], "read", "it is read"),
        ([destination("FLOW", bucketName="more-logs")], "read", "it is read"),
        (
            [destination("FLOW", bucketName="our-logs")],
            "elsewhere",
            "it delivers to s3://our-logs/, which no export reads: add an export for it, or add a destination",
        ),
        (
            [destination("FLOW", "CloudWatchLogs", logGroup="flows")],
            "elsewhere",
            "it delivers to CloudWatchLogs flows, which no export can read: add a destination of type FLOW in s3://",
        ),
        ([destination("ALERT", bucketName="our-logs", prefix="prod")], "none", "it logs no flows: add a destination"),
        ([], "none", "it logs no flows: add a destination of type FLOW in s3://more-logs/ or s3://our-logs/prod/ to"),
    ],
)
def test_a_firewall_is_covered_by_a_destination_of_flows_that_is_read(
    destinations: list[dict[str, Any]], coverage: str, reason: str
) -> None:
    row = found(firewall(), logging(*destinations))

    assert (row["coverage"], row["flow_log_ids"]) == (coverage, [])
    assert row["reason"].startswith(reason)


@pytest.mark.parametrize("attributes", [{}, {"LoggingConfiguration": {}}, {"LoggingConfiguration": None}])
def test_a_firewall_without_logging_is_dark(attributes: dict[str, Any]) -> None:
    empty = thing("logging_configuration", FIREWALL, FirewallArn=FIREWALL, **attributes)

    assert [found(firewall(), empty)["coverage"], found(firewall())["coverage"]] == ["none", "none"]


def test_a_firewall_whose_logging_was_never_observed_is_unknown() -> None:
    row = found(firewall(), calls=(call(), call("describe_logging_configuration", **NEVER)))

    assert row["coverage"] == "unknown"
    assert row["reason"].endswith("let the role there do network-firewall:DescribeLoggingConfiguration")


def test_exports_that_read_flow_logs_need_not_read_firewall_logs() -> None:
    resources = state(
        firewall(), logging(destination("FLOW", bucketName="more-logs")), vpc(), flow_log("fl-1", "vpc-1")
    )

    rows = log_coverage(resources, asked(*OBSERVED), PLACES, firewall_places=[("firewall-logs", "")])

    assert rows.select("resource_type", "coverage").rows() == [("firewall", "elsewhere"), ("vpc", "read")]


# --- any input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("places", [[], PLACES])
@pytest.mark.parametrize("calls", [(), OBSERVED])
def test_nothing_is_covered_where_nothing_is(calls: tuple[dict[str, Any], ...], places: list[tuple[str, str]]) -> None:
    rows = log_coverage(no_rows(TABLES["metadata_changes"]), asked(*calls), places)

    assert rows.is_empty()
    assert rows.schema == log_coverage(state(vpc()), asked(*OBSERVED), PLACES).schema
    assert rows.schema["flow_log_ids"] == pl.List(pl.String)


def test_resources_without_attributes_break_nothing() -> None:
    kinds = ("vpc", "subnet", "network_interface", "transit_gateway", "transit_gateway_attachment", "flow_log")
    bare = [thing(kind, f"{kind}-1") | {"attributes": None} for kind in (*kinds, "firewall", "logging_configuration")]

    rows = log_coverage(state(*bare), asked(*OBSERVED), PLACES)

    assert rows.select("resource_type", "coverage").rows() == [
        ("firewall", "none"),
        ("transit_gateway", "none"),
        ("vpc", "none"),
    ]


def test_a_state_without_attributes_is_refused() -> None:
    with pytest.raises(MissingColumnsError, match="log_coverage needs the columns attributes"):
        log_coverage(state(vpc()).drop("attributes"), asked(*OBSERVED), PLACES)


_RANKS = ("none", "elsewhere", "unhealthy", "read")
_HOW: dict[str, dict[str, Any]] = {
    "elsewhere": {"LogDestination": "arn:aws:s3:::other-bucket/"},
    "unhealthy": {"DeliverLogsStatus": "FAILED"},
    "read": {},
}
_PARTS = {"vpc-1": vpc(), **{f"subnet-{n}": subnet(f"subnet-{n}") for n in "12"}}
_PARTS |= {f"eni-{n}": interface(f"eni-{n}") for n in "12"}
_logs = st.lists(st.tuples(st.sampled_from(sorted(_PARTS)), st.sampled_from(sorted(_HOW))), max_size=8)


@settings(deadline=None, max_examples=60)
@given(_logs, st.sets(st.sampled_from(sorted(_PARTS.keys() - {"vpc-1"}))), st.randoms(use_true_random=False))
def test_the_best_way_counts_and_of_a_way_its_worst_part(
    logs: list[tuple[str, str]], parts: set[str], random: Any
) -> None:
    there = [_PARTS[part] for part in ("vpc-1", *sorted(parts))]
    there += [flow_log(f"fl-{number}", part, **_HOW[how]) for number, (part, how) in enumerate(logs)]

    row = found(*random.sample(there, len(there)))

    best = {
        part: max((_RANKS.index(how) for logged, how in logs if logged == part), default=0)
        for part in ("vpc-1", *parts)
    }
    ways = [[rank for part, rank in best.items() if part.startswith(kind)] for kind in ("vpc", "subnet", "eni")]
    assert row["coverage"] == _RANKS[max(min(way) for way in ways if way)]
    assert row["flow_log_ids"] == [f"fl-{number}" for number, (part, _) in enumerate(logs) if part in best]
    assert row == found(*there)
    assert row["reason"]
