"""Which VPCs are connected at one instant, by peering and at gateways."""

from __future__ import annotations

import numpy as np
import polars as pl

from kentik_dagster.core.codes import Rows
from kentik_dagster.core.standing import Standing


class Neighbours:
    """Peerings and attachments; VPCs and gateways are numbers.

    Attributes:
        peerings: by VPC and peering; `peerings_of`: by VPC. Their rows: `peers` (the other VPC), `peer_is_ours` (its
            account is collected).
        attachments: by VPC and transit gateway. Their rows: `hub_tables` (the route table there, NONE: not known).
        hubs_of: by VPC. Their rows: `hubs`, transit gateways, those that are peered as one.
        at_hubs: `vpc_id`, `hub`, as text.
        gateways_of: by VPC. Their rows: `gateways`, those through which the VPC may reach what is on premises.
    """

    def __init__(self, standing: Standing) -> None:
        peerings = standing.of("peering").unique(["vpc_id", "gateway_id"], maintain_order=True)
        vpcs = standing.codes(peerings["vpc_id"])
        self.peerings, self.peerings_of = Rows(vpcs, standing.codes(peerings["gateway_id"])), Rows(vpcs)
        self.peers = standing.codes(peerings["peer_vpc_id"])
        accounts = standing.network.filter(pl.col("kind") == "account")["account_id"].drop_nulls()
        self.peer_is_ours = np.isin(standing.codes(peerings["account_id"]), standing.codes(accounts))

        attachments = _attachments(standing)
        vpcs = standing.codes(attachments["vpc_id"])
        self.attachments = Rows(vpcs, standing.codes(attachments["gateway_id"]))
        self.hub_tables = standing.codes(attachments["hub_route_table_id"])

        self.at_hubs = attachments.select("vpc_id", "hub").unique(maintain_order=True)
        self.hubs_of = Rows(standing.codes(self.at_hubs["vpc_id"]))
        self.hubs = standing.codes(self.at_hubs["hub"])

        places = [rows.select("vpc_id", "gateway_id") for rows in (attachments, standing.of("vpn_gateway"))]
        behind = pl.concat(places).unique(maintain_order=True)
        self.gateways_of = Rows(standing.codes(behind["vpc_id"]))
        self.gateways = standing.codes(behind["gateway_id"])


def _attachments(standing: Standing) -> pl.DataFrame:
    """VPCs at transit gateways: `vpc_id`, `gateway_id`, `hub_route_table_id`, `hub` (gateways that are peered)."""
    attachments = standing.of("transit_gateway_attachment").select(
        "vpc_id", "gateway_id", pl.col("route_table_id").alias("hub_route_table_id")
    )
    hub: dict[str, str] = {}
    pairs = standing.of("transit_gateway_peering").select("gateway_id", "peer_gateway_id").rows()
    for one, other in pairs:  # a few of an organization
        joined, left = hub.get(one, one), hub.get(other, other)
        hub |= {gateway: joined for gateway, known in hub.items() if known == left} | {one: joined, other: joined}
    return attachments.with_columns(hub=pl.col("gateway_id").replace(hub)).unique(
        ["vpc_id", "gateway_id"], maintain_order=True
    )
