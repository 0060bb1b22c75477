"""One record of each direction of a conversation counts, wherever else it was recorded."""

from __future__ import annotations

import polars as pl
import pytest

from kentik_dagster.core.traffic import direction, is_primary, network_of, profile

# A client of ours (eni-c) asks a server of ours (eni-s); what is not said is so.
_RECORD = {
    "log_type": "vpc",
    "direction": "egress",
    "own": "eni-c",
    "own_type": "interface",
    "src": "eni-c",
    "src_type": "interface",
    "dst": "eni-s",
    "src_resolution": "exact",
    "dst_resolution": "exact",
    "src_is_in_vpc": True,
    "dst_is_in_vpc": True,
    "srcport": 50000,
    "dstport": 443,
}
_FROM_INTERNET = {"src": None, "src_type": None, "src_resolution": "external", "src_is_in_vpc": False}
_TO_INTERNET = {"dst": None, "dst_resolution": "external", "dst_is_in_vpc": False}
_FROM_UNKNOWN = {"src": None, "src_type": None, "src_resolution": "unknown"}


def counts(**said: object) -> bool | None:
    frame = pl.DataFrame(
        [_RECORD | said],
        schema_overrides={
            **dict.fromkeys(("direction", "own", "own_type", "src", "src_type", "dst"), pl.String),
            **dict.fromkeys(("src_resolution", "dst_resolution"), pl.String),
        },
    )
    found: bool | None = frame.select(is_primary(**{name: pl.col(name) for name in _RECORD})).item()
    return found


def test_between_our_interfaces_the_senders_record_counts() -> None:
    assert counts(direction="egress", own="eni-c")
    assert not counts(direction="ingress", own="eni-s", own_type="interface")


def test_from_the_internet_the_receivers_record_counts_and_to_it_the_senders() -> None:
    assert counts(direction="ingress", own="eni-s", **_FROM_INTERNET)
    assert counts(direction="egress", **_TO_INTERNET)


@pytest.mark.parametrize("way", ["ingress", "egress"])
@pytest.mark.parametrize(
    "kind",
    [
        "nat_gateway",
        "transit_gateway",
        "network_load_balancer",
        "gateway_load_balancer",
        "gateway_load_balancer_endpoint",
    ],
)
def test_what_is_handed_on_is_a_second_view(kind: str, way: str) -> None:
    assert not counts(direction=way, own="eni-n", own_type=kind)
    assert not counts(direction=way, own="eni-n", own_type=kind, **_TO_INTERNET)
    assert not counts(direction=way, own="eni-n", own_type=kind, **_FROM_INTERNET)


def test_what_a_balancer_asks_in_its_own_name_counts_where_a_target_receives_it() -> None:
    balancer = {"src": "eni-n", "src_type": "network_load_balancer"}

    assert not counts(own="eni-n", own_type="network_load_balancer", **balancer)
    assert counts(direction="ingress", own="eni-s", **balancer)
    # Its answers to clients are answers of a target, which the target's interface has recorded.
    assert not counts(direction="ingress", own="eni-s", **balancer, srcport=443, dstport=50000)


def test_a_sender_at_an_unknown_address_of_ours_has_recorded_what_it_sent() -> None:
    assert counts(direction="egress", own="eni-x", **_FROM_UNKNOWN)
    assert not counts(direction="ingress", own="eni-s", **_FROM_UNKNOWN)


def test_from_an_unknown_address_that_is_not_ours_the_receivers_record_counts() -> None:
    assert counts(direction="ingress", own="eni-s", **_FROM_UNKNOWN, src_is_in_vpc=False)


@pytest.mark.parametrize("log_type", ["transit_gateway", "network_firewall"])
def test_a_gateways_log_counts_only_where_no_interface_of_ours_is_at_an_end(log_type: str) -> None:
    said = {"log_type": log_type, "own": None, "own_type": None, "direction": "ingress"}

    assert not counts(**said)
    assert not counts(**said, **_FROM_INTERNET)
    assert not counts(**said, **_TO_INTERNET)
    assert counts(**said, **_FROM_INTERNET, **_TO_INTERNET)
    assert not counts(**(said | {"direction": "egress"}), **_FROM_INTERNET, **_TO_INTERNET)
    assert counts(**(said | {"direction": None}), **_FROM_INTERNET, **_TO_INTERNET)
    assert not counts(**said, **_FROM_INTERNET, dst=None, dst_resolution="unknown")


def test_a_record_without_ends_does_not_count() -> None:
    nothing = {"src": None, "dst": None, "src_resolution": None, "dst_resolution": None}

    assert counts(**nothing) is False
    assert counts(**nothing, log_type="transit_gateway") is False


@pytest.mark.parametrize("way", ["egress", "ingress", None])
@pytest.mark.parametrize("resolution", ["exact", "earliest", "external", "ambiguous", "unknown"])
def test_a_record_with_ends_counts_or_does_not(resolution: str, way: str | None) -> None:
    assert counts(direction=way, src_resolution=resolution, own_type=None, src_type=None, srcport=None) in (True, False)


def test_the_direction_is_as_recorded_else_as_the_ends_show() -> None:
    columns = ("recorded", "own", "src", "dst")
    rows = [
        ("ingress", "eni-1", "eni-1", "eni-2"),
        (None, "eni-1", "eni-1", "eni-2"),
        (None, "eni-2", "eni-1", "eni-2"),
        (None, "eni-3", "eni-1", "eni-2"),
        (None, None, None, None),
    ]
    frame = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")

    told = direction(*(frame[name] for name in columns))

    assert told.to_list() == ["ingress", "egress", "ingress", None, None]


def test_ends_lie_in_the_cloud_on_premises_or_outside() -> None:
    rows = [
        ("exact", False),
        ("earliest", False),
        ("external", True),
        ("external", False),
        ("unknown", False),
        (None, None),
    ]
    frame = pl.DataFrame(rows, schema={"resolution": pl.String, "on": pl.Boolean}, orient="row")

    lies = frame.select(network_of(pl.col("resolution"), pl.col("on"))).to_series()

    assert lies.to_list() == ["cloud", "cloud", "inside", "outside", None, None]


@pytest.mark.parametrize(
    ("src", "dst", "expected"),
    [
        ("cloud", "cloud", "internal cloud"),
        ("inside", "inside", "internal"),
        ("outside", "outside", "through"),
        ("cloud", "outside", "cloud to outside"),
        ("inside", "cloud", "inside to cloud"),
        ("cloud", None, "unknown"),
        (None, None, "unknown"),
    ],
)
def test_the_profile_names_both_networks(src: str | None, dst: str | None, expected: str) -> None:
    frame = pl.DataFrame({"src": [src], "dst": [dst]}, schema={"src": pl.String, "dst": pl.String})

    assert frame.select(profile(pl.col("src"), pl.col("dst"), pl.lit(value=True))).item() == expected
    assert frame.select(profile(pl.col("src"), pl.col("dst"), pl.lit(value=False))).item() is None
