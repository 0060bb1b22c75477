"""The network at one instant: which VPC holds an address, what can be reached from where, and where routes lead."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from kentik_dagster.core.codes import Flags, Rows, values_of
from kentik_dagster.core.distinct import NONE, Numbers, texts
from kentik_dagster.core.neighbours import Neighbours
from kentik_dagster.core.routing import Lead, Routing
from kentik_dagster.core.standing import Standing

_AWS_LISTS = r"^com\.amazonaws\.(?:[a-z]{2}(?:-[a-z]+)+-[0-9]|global)\.(.+)$"


@dataclass(frozen=True, slots=True)
class Holders:
    """The VPC that holds each address: NONE if none does, or more than one.

    Attributes:
        are_several: more than one does.
    """

    vpc: Numbers
    are_several: Flags


class Topology:
    """VPCs, route tables and gateways are numbers of `Codes`, addresses are numbers of `Cuts`.

    Attributes:
        routes: what is said of a route: `gateway_id`, `gateway_type`, `forwarding_state` (categories).
        services: AWS's services (categories).
    """

    def __init__(self, standing: Standing) -> None:
        self._standing = standing
        neighbours = self._neighbours = Neighbours(standing)
        self._routing = Routing(standing, neighbours)
        self.routes = self._routing.routes
        ever = standing.network.filter(pl.col("kind") == "vpc_cidr")
        accounts = standing.network.filter(pl.col("kind") == "account")["account_id"].drop_nulls()
        # A peering shows the ranges of its other VPC, also of one that is another organization's.
        ours = ever.filter(pl.col("account_id").is_null() | pl.col("account_id").is_in(accounts.implode()))
        self._vpcs_ever, self._vpcs_of_ours = (standing.codes(rows["vpc_id"].unique()) for rows in (ever, ours))

        held = _outermost(standing.of("vpc_cidr").select("vpc_id", "first", "last"))
        vpcs = standing.codes(held["vpc_id"])
        self._vpcs = standing.codes(standing.of("vpc_cidr")["vpc_id"].unique())
        self._own, self._anyone = standing.pieces(held, "vpc_id", vpcs), standing.pieces(held, None, vpcs)
        at_hubs = neighbours.at_hubs.join(held, on="vpc_id", maintain_order="left")
        self._of_hubs = standing.pieces(at_hubs, "hub", standing.codes(at_hubs["vpc_id"]))
        self._on_premises = standing.pieces(standing.of("on_premises"), "gateway_id")
        delegated = standing.of("interface_range")
        self._delegated, self._delegated_to = standing.pieces(delegated, "vpc_id"), standing.codes(delegated["eni_id"])
        lists = _service_lists(standing)
        tables = standing.of("route_table")
        own, main = tables.drop_nulls("subnet_id"), tables.filter(pl.col("subnet_id").is_null())
        self._tables_of_subnets, self._main_tables_of_vpcs = (
            Rows(standing.codes(ids)) for ids in (own["subnet_id"], main["vpc_id"])
        )
        self._tables, self._main_tables = (standing.codes(rows["route_table_id"]) for rows in (own, main))
        services, service = texts(lists["service"])
        self._in_lists, self.services = standing.pieces(lists, None, service), services.cast(pl.Categorical)

    def route_tables(self, vpc: Numbers, subnet: Numbers) -> Numbers:
        """The route table of each subnet: its own, else the main one of its VPC; NONE where neither is known."""
        own = values_of(self._tables, self._tables_of_subnets.first(subnet))
        main = values_of(self._main_tables, self._main_tables_of_vpcs.first(vpc))
        return np.where(own >= 0, own, np.where(subnet == NONE, NONE, main))

    def holds(self, vpc: Numbers, cut: Numbers) -> Flags:
        """Whether a range of the VPC holds the address."""
        return self._own.of(vpc, cut).places > 0

    def are_known(self, vpc: Numbers) -> Flags:
        """Whether ranges of the VPC are known."""
        return (vpc >= 0) & np.isin(vpc, self._vpcs)

    def were_ever(self, vpc: Numbers) -> Flags:
        """Whether ranges of the VPC were ever known."""
        return (vpc >= 0) & np.isin(vpc, self._vpcs_ever)

    def are_ours(self, vpc: Numbers) -> Flags:
        """Whether VPCs are of accounts that are collected, though perhaps denied."""
        return (vpc >= 0) & np.isin(vpc, self._vpcs_of_ours)

    def holders(self, cut: Numbers) -> Holders:
        """Which VPC of the organization holds the address."""
        found = self._anyone.of(np.zeros(len(cut), np.int64), cut)
        return Holders(np.where(found.places == 1, found.place, NONE), found.places > 1)

    def delegates(self, vpc: Numbers, cut: Numbers) -> Numbers:
        """The interface to which a prefix with the address is delegated in the VPC, NONE if to none or to several."""
        found = self._delegated.of(vpc, cut)
        return np.where(found.places == 1, values_of(self._delegated_to, found.place), NONE)

    def service(self, cut: Numbers) -> Numbers:
        """The AWS service in whose prefix list an address is: a row of `services`, NONE for others."""
        return self._in_lists.of(np.zeros(len(cut), np.int64), cut).place

    def leads(self, vpc: Numbers, via: Numbers, cut: Numbers) -> Lead:
        """Where the most specific route leads; `via` is a route table, or the transit gateway that recorded."""
        lead = self._routing.leads(vpc, via, cut)
        return replace(
            lead,
            target_is_ours=lead.target_is_ours | self.are_ours(lead.target),
            is_on_premises=lead.is_on_premises | (self._on_premises.of(via, cut).places > 0),
        )

    def reachable(self, vpc: Numbers, cut: Numbers) -> Holders:
        """Which VPC that can be reached from the VPC holds the address, whatever routes say."""
        asked, peering = self._neighbours.peerings_of.pairs(vpc)
        peers = self._neighbours.peers[peering]
        by_peering = self._own.of(peers, cut[asked])
        also_asked, hub = self._neighbours.hubs_of.pairs(vpc)
        at_hub = self._of_hubs.of(self._neighbours.hubs[hub], cut[also_asked])
        asked = np.concatenate([asked, also_asked])
        targets = np.concatenate([peers, at_hub.place])
        places = np.concatenate([by_peering.places, at_hub.places])
        is_held = places > 0
        asked, targets, places = asked[is_held], targets[is_held], places[is_held]
        one = np.full(len(vpc), NONE)
        one[asked] = targets
        are_several = np.zeros(len(vpc), bool)
        are_several[asked[(places > 1) | (one[asked] != targets)]] = True
        return Holders(np.where(are_several, NONE, one), are_several)

    def are_on_premises(self, vpc: Numbers, cut: Numbers) -> Flags:
        """Whether the address lies behind a VPN or Direct Connect that the VPC can reach."""
        asked, gateway = self._neighbours.gateways_of.pairs(vpc)
        are_behind = self._on_premises.of(self._neighbours.gateways[gateway], cut[asked]).places > 0
        behind = np.zeros(len(vpc), bool)
        behind[asked[are_behind]] = True
        return behind


def _service_lists(standing: Standing) -> pl.DataFrame:
    """Ranges of AWS's own prefix lists, which are named by the `service`: com.amazonaws.eu-west-1.s3."""
    named = pl.col("name").str.extract(_AWS_LISTS).str.to_uppercase().str.replace_all("[.-]", "_")
    entries = standing.of("prefix_list_entry").select("first", "last", service=named)
    return entries.drop_nulls("service")


def _outermost(held: pl.DataFrame) -> pl.DataFrame:
    """Ranges without those that lie in another range of the same VPC, which would count it twice."""
    distinct = held.drop_nulls().unique(maintain_order=True)
    within = distinct.join(distinct, on="vpc_id", suffix="_outer").filter(
        pl.col("first") >= pl.col("first_outer"),
        pl.col("last") <= pl.col("last_outer"),
        (pl.col("first") != pl.col("first_outer")) | (pl.col("last") != pl.col("last_outer")),
    )
    return distinct.join(within, on=["vpc_id", "first", "last"], how="anti", maintain_order="left")
