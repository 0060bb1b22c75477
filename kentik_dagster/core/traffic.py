"""What a record says of its conversation: its direction, between which networks it goes, and whether it counts."""

from __future__ import annotations

import polars as pl

FOUND = ("exact", "earliest")
# Where an end may be, as numbers of a table; see `network_of`.
NETS = {"cloud": 0, "inside": 1, "outside": 2}
VPC = "vpc"
# These hand on what others send and receive, and it is recorded at their interfaces, too.
_FORWARDING = (
    "nat_gateway",
    "transit_gateway",
    "network_load_balancer",
    "gateway_load_balancer",
    "gateway_load_balancer_endpoint",
)


def direction(recorded: pl.Series, own: pl.Series, src: pl.Series, dst: pl.Series) -> pl.Series:
    """`egress` or `ingress` as the record says, else as the ends show; interface ids: `own`, `src`, `dst`.

    Of the type of `recorded`: text or categories.
    """
    if not recorded.null_count():
        return recorded
    egress, ingress = (pl.lit(word, recorded.dtype) for word in ("egress", "ingress"))
    shown = pl.when(src == own).then(egress).when(dst == own).then(ingress)
    return pl.select(pl.coalesce(recorded, shown)).to_series()


def network_of(resolution: pl.Expr, is_on_premises: pl.Expr) -> pl.Expr:
    """Where an end is: `cloud` (an interface of ours), `inside` (on premises), `outside`; null: not known."""
    return (
        pl.when(resolution.is_in(FOUND))
        .then(pl.lit("cloud"))
        .when(is_on_premises)
        .then(pl.lit("inside"))
        .when(resolution == "external")
        .then(pl.lit("outside"))
    )


def profile(src: pl.Expr, dst: pl.Expr, is_traffic: pl.Expr) -> pl.Expr:
    """The traffic profile of two ends of `network_of`; null where the record has no ends."""
    named = (
        pl.when((src == "cloud") & (dst == "cloud"))
        .then(pl.lit("internal cloud"))
        .when((src == "inside") & (dst == "inside"))
        .then(pl.lit("internal"))
        .when((src == "outside") & (dst == "outside"))
        .then(pl.lit("through"))
        .otherwise(src + pl.lit(" to ") + dst)
    )
    return pl.when(is_traffic).then(named.fill_null("unknown"))


def is_primary(
    *,
    log_type: pl.Expr,
    direction: pl.Expr,
    own: pl.Expr,
    own_type: pl.Expr,
    src: pl.Expr,
    src_type: pl.Expr,
    dst: pl.Expr,
    src_resolution: pl.Expr,
    dst_resolution: pl.Expr,
    src_is_in_vpc: pl.Expr,
    dst_is_in_vpc: pl.Expr,
    srcport: pl.Expr,
    dstport: pl.Expr,
) -> pl.Expr:
    """One record of each direction of a conversation.

    It is the record of the interface that sent the packets, or, if the sender is no interface of ours, of the interface
    that they were for. What NAT gateways, transit gateways and network load balancers recorded in between is a second
    view; what a balancer sends in its own name counts where a target receives it (the balancer's port is the higher
    one). Transit gateways and firewalls log what was recorded already, unless neither end is an interface of ours;
    then what came in counts. A sender that is not known, at an address of a VPC of ours, has recorded what it sent.

    Args:
        own, own_type: id and type of the interface that recorded.
        src, dst: ids of the interfaces at the ends, null where there is none of ours; `src_type` of the sender's.
        src_is_in_vpc, dst_is_in_vpc: whether the address lies in a VPC of ours, whoever has it.
    """
    src_is_ours, dst_is_ours = src_resolution.is_in(FOUND), dst_resolution.is_in(FOUND)
    forwards = own_type.is_in(_FORWARDING).fill_null(False)
    is_handed_on = (src_type.is_in(_FORWARDING) & (srcport > dstport)).fill_null(False)
    sent_here = (~src_is_ours & (src_resolution != "external")) | (src == own).fill_null(False)
    meant_here = ~dst_is_ours | (dst == own).fill_null(False)
    received = meant_here & pl.when(src_is_ours).then(is_handed_on).otherwise(~src_is_in_vpc)
    either = sent_here | ((src_resolution == "external") & ~dst_is_ours)
    at_interface = ~forwards & (
        pl.when(direction == "ingress").then(received).when(direction == "egress").then(sent_here).otherwise(either)
    )
    nobody_recorded = ~src_is_ours & ~dst_is_ours & ~src_is_in_vpc & ~dst_is_in_vpc & direction.ne_missing("egress")
    return src_resolution.is_not_null() & pl.when(log_type == VPC).then(at_interface).otherwise(nobody_recorded)
