"""The network at one instant: which VPC holds an address, what can be reached from where, and where routes lead."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import polars as pl

from kentik_dagster.catalog.gateways import LOCAL, ON_PREMISES_ATTACHMENTS
from kentik_dagster.core.addresses import ranges
from kentik_dagster.core.prefixes import Pieces

_ROUTE = ("gateway_id", "gateway_type", "forwarding_state")
_ANYWHERE, _AWS = "organization", "aws"
_AWS_LISTS = r"^com\.amazonaws\.(?:[a-z]{2}(?:-[a-z]+)+-[0-9]|global)\.(.+)$"


def network_map(book: pl.DataFrame) -> pl.DataFrame:
    """The rows of the address book that are not of interfaces, with `first` and `last` of their range (uint128)."""
    rows = book.filter(~pl.col("kind").is_in(("interface_address", "snapshot")))
    return rows.join(ranges(rows["address"]), left_on="address", right_on="cidr_block", how="left")


class Topology:
    """What stood at one instant; what only the first snapshot knew counts as older."""

    def __init__(self, network: pl.DataFrame, at: datetime) -> None:
        """`network`: rows of `network_map`."""
        instant = pl.lit(at, network.schema["valid_from"])
        stands = (pl.col("since_first_snapshot") | (pl.col("valid_from") <= instant)) & (
            pl.col("valid_to").is_null() | (instant < pl.col("valid_to"))
        )
        self._kinds: Mapping[str, pl.DataFrame] = {
            str(kind): rows
            for (kind,), rows in network.filter(stands.fill_null(False)).partition_by("kind", as_dict=True).items()
        }
        self._none = network.clear()
        self._accounts = network.filter(pl.col("kind") == "account")["account_id"].unique()
        self.vpcs_ever = network.filter(pl.col("kind") == "vpc_cidr")["vpc_id"].unique()
        # A peering shows the ranges of its other VPC, also of one that is another organization's.
        is_ours = pl.col("account_id").is_null() | pl.col("account_id").is_in(self._accounts.implode())
        self._vpcs_of_ours = network.filter(pl.col("kind") == "vpc_cidr", is_ours)["vpc_id"].unique()
        self._peerings = (
            self._of("peering")
            .select("vpc_id", "peer_vpc_id", "gateway_id", pl.col("account_id").alias("peer_account_id"))
            .unique(["vpc_id", "gateway_id"], maintain_order=True)
        )
        self._attachments = self._hubs()
        self._gateways = self._of("vpn_gateway").select("vpc_id", "gateway_id")
        self._routes = self._routed("route").with_row_index("place")
        self._hub_routes = self._routed("transit_gateway_route").with_row_index("place")
        self._route_pieces = _pieces(self._routes, scope=pl.col("route_table_id"))
        self._hub_route_pieces = _pieces(self._hub_routes, scope=pl.col("route_table_id"))
        self._index_vpcs()
        self._index_services()
        on_premises = self._of("on_premises").with_row_index("place")
        self._on_premises = _pieces(on_premises, scope=pl.col("gateway_id"))
        ranges_of_interfaces = self._of("interface_range").with_row_index("place")
        self._delegated = ranges_of_interfaces
        self._delegated_pieces = _pieces(ranges_of_interfaces, scope=pl.col("vpc_id"))

    def _of(self, kind: str) -> pl.DataFrame:
        return self._kinds.get(kind, self._none)

    def _hubs(self) -> pl.DataFrame:
        """VPCs at transit gateways: `vpc_id`, `gateway_id`, `hub_route_table_id`, `hub` (gateways that are peered)."""
        attachments = self._of("transit_gateway_attachment").select(
            "vpc_id", "gateway_id", pl.col("route_table_id").alias("hub_route_table_id")
        )
        hub: dict[str, str] = {}
        pairs = self._of("transit_gateway_peering").select("gateway_id", "peer_gateway_id").rows()
        for one, other in pairs:  # a few of an organization
            joined, left = hub.get(one, one), hub.get(other, other)
            hub |= {gateway: joined for gateway, known in hub.items() if known == left} | {one: joined, other: joined}
        return attachments.with_columns(hub=pl.col("gateway_id").replace(hub)).unique(
            ["vpc_id", "gateway_id"], maintain_order=True
        )

    def _routed(self, kind: str) -> pl.DataFrame:
        """Routes with the ranges that they name, those of their prefix lists too."""
        rows = self._of(kind)
        listed = rows.filter(pl.col("first").is_null()).drop("first", "last", "prefix_list_id")
        entries = self._of("prefix_list_entry").select("prefix_list_id", "first", "last")
        expanded = listed.join(entries, left_on="address", right_on="prefix_list_id", how="inner")
        named = rows.filter(pl.col("first").is_not_null())
        columns = ["route_table_id", "first", "last", *_ROUTE, "peer_vpc_id"]
        return pl.concat([named.select(columns), expanded.select(columns)])

    def _index_vpcs(self) -> None:
        held = self._of("vpc_cidr")
        vpcs = held.select("vpc_id").unique(maintain_order=True).with_row_index("place")
        held = _outermost(held.select("vpc_id", "first", "last")).join(vpcs, on="vpc_id")
        self.known_vpcs = vpcs["vpc_id"]
        at_hubs = self._attachments.select("vpc_id", "hub").unique().join(held, on="vpc_id")
        self._own = _pieces(held, scope=pl.col("vpc_id"))
        self._anyone = _pieces(held, scope=pl.lit(_ANYWHERE))
        self._of_hubs = _pieces(at_hubs, scope=pl.col("hub"))

    def _index_services(self) -> None:
        """AWS's own prefix lists are named by the service: com.amazonaws.eu-west-1.s3."""
        entries = self._of("prefix_list_entry").with_columns(
            service=pl.col("name").str.extract(_AWS_LISTS).str.to_uppercase().str.replace_all("[.-]", "_")
        )
        services = entries.drop_nulls("service").select("service").unique(maintain_order=True).with_row_index("place")
        self._services = services["service"]
        self._service_pieces = _pieces(entries.join(services, on="service"), scope=pl.lit(_AWS))

    def route_tables(self, places: pl.DataFrame) -> pl.Series:
        """The route table of each subnet.

        Args:
            places: one row is a place: `vpc_id`, `subnet_id` (nullable).

        Returns:
            A route table id per row: the subnet's own, else the main one of its VPC, null where neither is known.
        """
        tables = self._of("route_table").select("vpc_id", "subnet_id", "route_table_id")
        own = tables.drop_nulls("subnet_id").unique("subnet_id", maintain_order=True)
        main = tables.filter(pl.col("subnet_id").is_null()).unique("vpc_id", maintain_order=True)
        return (
            places.select("vpc_id", "subnet_id")
            .join(own.select("subnet_id", own="route_table_id"), on="subnet_id", how="left", maintain_order="left")
            .join(main.select("vpc_id", main="route_table_id"), on="vpc_id", how="left", maintain_order="left")
            .select(pl.when(pl.col("subnet_id").is_not_null()).then(pl.coalesce("own", "main")).alias("via"))
            .to_series()
        )

    def delegated(self, asked: pl.DataFrame, *, scope: str) -> pl.DataFrame:
        """Interfaces to which a prefix with the address is delegated in the VPC of column `scope`: `eni_id`."""
        found = self._delegated_pieces.of(asked.select(pl.col(scope).alias("scope"), "number"))
        one = pl.when(found["places"] == 1).then(found["place"])
        return pl.DataFrame({"eni_id": self._delegated["eni_id"].gather(found.select(one).to_series())})

    def is_own(self, asked: pl.DataFrame) -> pl.Series:
        """Whether a range of the VPC holds the address: `vpc_id`, `number`."""
        return self._own.of(asked.select(pl.col("vpc_id").alias("scope"), "number"))["places"] > 0

    def holders(self, asked: pl.DataFrame) -> pl.DataFrame:
        """Which VPCs of the organization hold the address: `holder` (where it is one), `holders` (how many)."""
        found = self._anyone.of(asked.select(pl.lit(_ANYWHERE).alias("scope"), "number"))
        return found.select(
            holder=self.known_vpcs.gather(found["place"]), holders=pl.col("places")
        )  # fmt: skip

    def services(self, asked: pl.DataFrame) -> pl.Series:
        """The AWS service in whose prefix list an address is: S3, DYNAMODB, ...; null for others."""
        found = self._service_pieces.of(asked.select(pl.lit(_AWS).alias("scope"), "number"))
        return self._services.gather(found["place"])

    def routed(self, asked: pl.DataFrame) -> pl.DataFrame:
        """Where the most specific route leads.

        Args:
            asked: one row is a question: `vpc_id`, `via` (a route table, or the transit gateway that recorded),
                `number`.

        Returns:
            One row per row of `asked`: `gateway_id`, `gateway_type`, `forwarding_state` (null inside the VPC and
            where routes are not known), `target_vpc_id` (the VPC to which the route leads, where it says so) and
            `is_on_premises` (it leads to a network that is not AWS's).
        """
        place = self._route_pieces.of(asked.select(pl.col("via").alias("scope"), "number"))["place"]
        route = self._routes.select(pl.col(_ROUTE).gather(place)).with_columns(
            pl.when(pl.col("gateway_type") != LOCAL).then(pl.col(_ROUTE))
        )
        lead = pl.concat([asked.select("vpc_id", "via", "number"), route], how="horizontal")
        lead = lead.join(self._peerings, on=["vpc_id", "gateway_id"], how="left", maintain_order="left").join(
            self._attachments.drop("hub"), on=["vpc_id", "gateway_id"], how="left", maintain_order="left"
        )
        hub = self._hub_route_pieces.of(lead.select(pl.col("hub_route_table_id").alias("scope"), "number"))["place"]
        further = self._hub_routes.select(
            pl.col("gateway_type", "forwarding_state", "peer_vpc_id").gather(hub).name.prefix("hub_")
        )
        lead = pl.concat([lead, further], how="horizontal")
        is_active = pl.col("forwarding_state").ne_missing("blackhole") & pl.col("hub_forwarding_state").ne_missing(
            "blackhole"
        )
        target = pl.coalesce("peer_vpc_id", "hub_peer_vpc_id")
        recorded_at_hub = self._on_premises.of(lead.select(pl.col("via").alias("scope"), "number"))["places"] > 0
        return lead.select(
            "gateway_id",
            "gateway_type",
            forwarding_state=pl.when(pl.col("hub_forwarding_state") == "blackhole")
            .then("hub_forwarding_state")
            .otherwise("forwarding_state"),
            target_vpc_id=pl.when(is_active).then(target),
            target_is_ours=target.is_in(self._vpcs_of_ours.implode()).fill_null(False)
            | pl.col("peer_account_id").is_in(self._accounts.implode()).fill_null(False),
            is_on_premises=(
                is_active
                & (
                    (pl.col("gateway_type") == "vpn_gateway")
                    | pl.col("hub_gateway_type").is_in(ON_PREMISES_ATTACHMENTS)
                )
            ).fill_null(False)
            | recorded_at_hub,
        )  # fmt: skip

    def is_ours(self, vpc_ids: pl.Series) -> pl.Series:
        """Whether VPCs are of accounts that are collected, though perhaps denied."""
        return vpc_ids.is_in(self._vpcs_of_ours.implode()).fill_null(False)

    def reachable(self, asked: pl.DataFrame) -> pl.DataFrame:
        """Which VPCs that can be reached from the VPC hold the address, whatever routes say.

        Args:
            asked: one row is a question: `row`, `vpc_id`, `number`.

        Returns:
            One row per question for which there is one: `row`, `target_vpc_id`, `targets` (how many).
        """
        peers = asked.join(self._peerings, on="vpc_id", how="inner")
        held = self._own.of(peers.select(pl.col("peer_vpc_id").alias("scope"), "number"))
        by_peering = peers.select("row", target_vpc_id="peer_vpc_id", targets=held["places"])
        hubs = self._attachments.select("vpc_id", "hub").unique()
        attached = asked.join(hubs, on="vpc_id", how="inner")
        at_hub = self._of_hubs.of(attached.select(pl.col("hub").alias("scope"), "number"))
        by_hub = attached.select("row", target_vpc_id=self.known_vpcs.gather(at_hub["place"]), targets=at_hub["places"])
        found = pl.concat([by_peering, by_hub]).filter(pl.col("targets") > 0)
        return found.group_by("row").agg(
            pl.col("target_vpc_id").min(),
            targets=pl.max_horizontal(pl.col("targets").max(), pl.col("target_vpc_id").n_unique()),
        )

    def is_on_premises(self, asked: pl.DataFrame) -> pl.Series:
        """Whether the address lies behind a VPN or Direct Connect that the VPC can reach: `row`, `vpc_id`, `number`."""
        behind = pl.concat([self._attachments.select("vpc_id", "gateway_id"), self._gateways]).unique()
        reached = asked.join(behind, on="vpc_id", how="inner")
        held = self._on_premises.of(reached.select(pl.col("gateway_id").alias("scope"), "number"))["places"] > 0
        return asked["row"].is_in(reached.filter(held)["row"].implode())


def _outermost(held: pl.DataFrame) -> pl.DataFrame:
    """Ranges without those that lie in another range of the same VPC, which would count it twice."""
    distinct = held.drop_nulls().unique(maintain_order=True)
    within = distinct.join(distinct, on="vpc_id", suffix="_outer").filter(
        pl.col("first") >= pl.col("first_outer"),
        pl.col("last") <= pl.col("last_outer"),
        (pl.col("first") != pl.col("first_outer")) | (pl.col("last") != pl.col("last_outer")),
    )
    return distinct.join(within, on=["vpc_id", "first", "last"], how="anti", maintain_order="left")


def _pieces(rows: pl.DataFrame, *, scope: pl.Expr) -> Pieces:
    return Pieces(rows.select(scope.alias("scope"), "first", "last", "place"))
