"""What each record of a history says, and the truth beside it: all that does not depend on when it was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.schemas import polars_schema
from kentik_dagster.demo.history_network import FIRST_SNAPSHOT, Attachment, Interface, Network, sightings
from kentik_dagster.demo.history_traffic import Talk
from kentik_dagster.demo.history_views import End, View

FLOWS = polars_schema(TABLES["flow_logs"])
_INSTANT, _TEXT = pl.Datetime("us", "UTC"), pl.String()
_OF_AN_END = {
    "true_{}_eni_id": _TEXT, "true_{}_account_id": _TEXT, "true_{}_vpc_id": _TEXT, "true_{}_instance_id": _TEXT,
    "true_{}_kind": _TEXT,
}  # fmt: skip
TRUTH = {
    "situation": _TEXT,
    **{name.format(side): dtype for side in ("src", "dst") for name, dtype in _OF_AN_END.items()},
    **{f"{side}_is_resolvable": pl.Boolean() for side in ("src", "dst")},
    **{f"expected_{side}_resolution": _TEXT for side in ("src", "dst")},
    "expected_gateway_type": _TEXT,
    "conversation_id": pl.Int64(),
    "is_primary": pl.Boolean(),
}
# Whose record does not say whose interface it is.
_OF_AWS = ("network_load_balancer", "vpc_endpoint")
# Routes tell what lies behind a VPN: it is known to be none of the organization's interfaces, as the internet is.
_WORDS = {"external": "external", "on_premises": "external", "nobody": "unknown"}


def view_rows(network: Network, spoken: Sequence[Talk]) -> pl.DataFrame:
    """Every view of every talk.

    Returns:
        One row per view: `talk` (its place in `spoken`), `is_request`, the columns of `flow_logs` that do not depend
        on time or ports, those of TRUTH likewise, and for each side `{side}_is_own` (the recorded interface's own
        end, and the record says so), `{side}_is_seen` (a snapshot saw the interface so) and `{side}_last_sight_at`.
    """
    rows = [
        {"talk": number, "situation": talk.situation, **_record(network, view), **_truth(network, view)}
        for number, talk in enumerate(spoken)
        for view in talk.views
    ]
    for_sides = {f"{side}_{name}": pl.Boolean() for side in ("src", "dst") for name in ("is_own", "is_seen")}
    last_sights = {f"{side}_last_sight_at": _INSTANT for side in ("src", "dst")}
    schema = {**FLOWS, **TRUTH, "talk": pl.Int64(), "is_request": pl.Boolean(), **for_sides, **last_sights}
    return pl.DataFrame(
        rows, schema={name: dtype for name, dtype in schema.items() if name in rows[0] or name in FLOWS}
    )


def with_expectations(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with `is_resolvable` and `expected_resolution` of both sides: what can be known of them at their `end`."""
    moment = pl.col("end")

    def of(side: str) -> Iterator[pl.Expr]:
        own, seen = pl.col(f"{side}_is_own"), pl.col(f"{side}_is_seen")
        yield (own | (seen & (moment <= pl.col(f"{side}_last_sight_at")))).alias(f"{side}_is_resolvable")
        yield (
            pl.when(pl.col(f"true_{side}_kind") != "interface")
            .then(pl.col(f"true_{side}_kind").replace(_WORDS))
            # The first snapshot saw it, and AWS does not contradict: it has been there longer.
            .when(seen & (moment < FIRST_SNAPSHOT))
            .then(pl.lit("earliest"))
            # What stood is taken to stand until a snapshot, or AWS, says otherwise.
            .when(own | seen)
            .then(pl.lit("exact"))
            .otherwise(pl.lit("unknown"))
            .alias(f"expected_{side}_resolution")
        )

    return rows.with_columns(*of("src"), *of("dst"))


def _record(network: Network, view: View) -> Mapping[str, Any]:
    has_packet = view.version > 2
    common: dict[str, Any] = {
        "is_request": view.is_request,
        "version": view.version,
        "log_type": view.log_type,
        "srcaddr": view.src.address,
        "dstaddr": view.dst.address,
        "protocol": 6,
        "log_status": "OK",
        "type": ("IPv6" if ":" in view.src.address else "IPv4") if has_packet else None,
        "flow_direction": view.direction if has_packet else None,
        "pkt_src_aws_service": view.pkt_src.aws_service if has_packet else None,
        "pkt_dst_aws_service": view.pkt_dst.aws_service if has_packet else None,
    }
    if isinstance(view.observer, Interface):
        return common | _at_interface(view, view.observer)
    return common | _at_transit_gateway(network, view, view.observer)


def _at_interface(view: View, observer: Interface) -> dict[str, Any]:
    of_version_2: dict[str, Any] = {
        "account_id": "unknown" if observer.interface_type in _OF_AWS else observer.account_id,
        "interface_id": observer.eni_id,
        "action": "ACCEPT",
    }
    if view.version == 2:
        return of_version_2
    return of_version_2 | {
        "vpc_id": observer.subnet.vpc.vpc_id,
        "subnet_id": observer.subnet.subnet_id,
        "instance_id": observer.instance_id,
        "region": observer.subnet.vpc.region,
        "az_id": observer.subnet.az_id,
        "pkt_srcaddr": view.pkt_src.address,
        "pkt_dstaddr": view.pkt_dst.address,
        "traffic_path": view.path if view.direction == "egress" else None,
    }


def _at_transit_gateway(network: Network, view: View, observer: Attachment) -> dict[str, Any]:
    other = view.to_attachment if observer is view.from_attachment else view.from_attachment
    return {
        "account_id": network.account_ids["network"],
        "resource_type": "TransitGateway",
        "tgw_id": network.id("tgw", "main"),
        "tgw_attachment_id": observer.attachment_id,
        "tgw_pair_attachment_id": None if other is None else other.attachment_id,
        "region": network.vpcs["hub"].region,
        "packets_lost_no_route": 0,
        "packets_lost_blackhole": 1 if view.is_lost else 0,
        "packets_lost_mtu_exceeded": 0,
        "packets_lost_ttl_expired": 0,
        **_attached("src", view.from_attachment),
        **_attached("dst", view.to_attachment),
    }


def _attached(side: str, attachment: Attachment | None) -> Mapping[str, str]:
    if attachment is None or attachment.interface is None:
        return {}
    subnet = attachment.interface.subnet
    return {
        f"tgw_{side}_vpc_account_id": subnet.vpc.account_id,
        f"tgw_{side}_vpc_id": subnet.vpc.vpc_id,
        f"tgw_{side}_subnet_id": subnet.subnet_id,
        f"tgw_{side}_eni": attachment.interface.eni_id,
        f"tgw_{side}_az_id": subnet.az_id,
    }


def _truth(network: Network, view: View) -> Mapping[str, Any]:
    return {
        **_of_an_end(network, view, "src", view.pkt_src),
        **_of_an_end(network, view, "dst", view.pkt_dst),
        "expected_gateway_type": view.gateway_type,
        "is_primary": view.is_primary,
    }


def _of_an_end(network: Network, view: View, side: str, end: End) -> Mapping[str, Any]:
    interface = end.interface
    seen: list[datetime] = [] if interface is None else sightings(network, interface)
    is_observer = (
        interface is not None and isinstance(view.observer, Interface) and interface.eni_id == view.observer.eni_id
    )
    return {
        f"true_{side}_eni_id": None if interface is None else interface.eni_id,
        f"true_{side}_account_id": None if interface is None else interface.account_id,
        f"true_{side}_vpc_id": None if interface is None else interface.subnet.vpc.vpc_id,
        f"true_{side}_instance_id": None if interface is None else interface.instance_id,
        f"true_{side}_kind": end.kind,
        # Version 2 does not say which end is the recorded interface's: only metadata does.
        f"{side}_is_own": is_observer and (view.version > 2 or bool(seen)),
        f"{side}_is_seen": bool(seen),
        f"{side}_last_sight_at": seen[-1] if seen else None,
    }
