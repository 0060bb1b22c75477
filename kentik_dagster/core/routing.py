"""Where routes lead at one instant: to which gateway, to which VPC behind it, or out of AWS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from kentik_dagster.catalog.gateways import LOCAL, ON_PREMISES_ATTACHMENTS
from kentik_dagster.core.codes import Flags, values_of
from kentik_dagster.core.distinct import NONE, Numbers
from kentik_dagster.core.neighbours import Neighbours
from kentik_dagster.core.standing import Standing, are

ROUTE = ("gateway_id", "gateway_type", "forwarding_state")
_BLACKHOLE = "blackhole"


@dataclass(frozen=True, slots=True)
class Lead:
    """Where the most specific route to each address leads.

    Attributes:
        route: a row of `Routing.routes`, NONE inside the VPC and where routes are not known.
        target: the VPC to which it leads, NONE where it does not say so.
        target_is_ours: that VPC is of an account that is collected.
        is_on_premises: it leads to a network that is not AWS's.
        is_endpoint: it leads to an endpoint of an AWS service.
    """

    route: Numbers
    target: Numbers
    target_is_ours: Flags
    is_on_premises: Flags
    is_endpoint: Flags


class Routing:
    """The routes of route tables and transit gateways.

    Attributes:
        routes: `gateway_id`, `gateway_type`, `forwarding_state` (categories) of each route; then those of the same
            routes where the transit gateway behind them drops what they bring.
    """

    def __init__(self, standing: Standing, neighbours: Neighbours) -> None:
        routes = _with_lists(standing, standing.of("route"))
        hub_routes = _with_lists(standing, standing.of("transit_gateway_route"))
        said = routes.select(ROUTE)
        dropped = said.with_columns(forwarding_state=pl.lit(_BLACKHOLE))
        self.routes = pl.concat([said, dropped]).with_columns(pl.all().cast(pl.Categorical))
        self._neighbours = neighbours
        self._count = routes.height
        self._pieces = standing.pieces(routes, "route_table_id")
        self._gateways = standing.codes(routes["gateway_id"])
        self._is_told = routes["gateway_type"].is_not_null().to_numpy() & ~are(routes["gateway_type"], LOCAL)
        self._is_blackhole = are(routes["forwarding_state"], _BLACKHOLE)
        self._is_vpn = are(routes["gateway_type"], "vpn_gateway")
        self._is_endpoint = are(routes["gateway_type"], "vpc_endpoint")
        self._hub_pieces = standing.pieces(hub_routes, "route_table_id")
        self._hub_vpcs = standing.codes(hub_routes["peer_vpc_id"])
        self._hub_is_blackhole = are(hub_routes["forwarding_state"], _BLACKHOLE)
        self._hub_leaves_aws = are(hub_routes["gateway_type"], *ON_PREMISES_ATTACHMENTS)

    def leads(self, vpc: Numbers, via: Numbers, cut: Numbers) -> Lead:
        """Where the most specific route leads; `via` is a route table."""
        found = self._pieces.of(via, cut).place
        route = np.where(values_of(self._is_told, found), found, NONE)
        gateway = values_of(self._gateways, route)
        peering = self._neighbours.peerings.first(vpc, gateway)
        attachment = self._neighbours.attachments.first(vpc, gateway)
        at_hub = self._hub_pieces.of(values_of(self._neighbours.hub_tables, attachment), cut).place
        is_dropped = values_of(self._hub_is_blackhole, at_hub)
        is_active = ~values_of(self._is_blackhole, route) & ~is_dropped
        peer = values_of(self._neighbours.peers, peering)
        target = np.where(peer >= 0, peer, values_of(self._hub_vpcs, at_hub))
        return Lead(
            route=np.where(is_dropped, route + self._count, route),
            target=np.where(is_active, target, NONE),
            target_is_ours=values_of(self._neighbours.peer_is_ours, peering),
            is_on_premises=is_active & (values_of(self._is_vpn, route) | values_of(self._hub_leaves_aws, at_hub)),
            is_endpoint=values_of(self._is_endpoint, route),
        )


def _with_lists(standing: Standing, rows: pl.DataFrame) -> pl.DataFrame:
    """Routes with the ranges that they name, those of their prefix lists too."""
    listed = rows.filter(pl.col("first").is_null()).drop("first", "last", "prefix_list_id")
    entries = standing.of("prefix_list_entry").select("prefix_list_id", "first", "last")
    expanded = listed.join(entries, left_on="address", right_on="prefix_list_id", how="inner")
    named = rows.filter(pl.col("first").is_not_null())
    columns = ["route_table_id", "first", "last", *ROUTE, "peer_vpc_id"]
    return pl.concat([named.select(columns), expanded.select(columns)])
