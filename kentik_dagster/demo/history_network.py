"""What an organization with a history is made of: accounts, VPCs, what connects them, who has which address when.

Everything is named by a word of ours (`shop-web-0`), from which its AWS identifiers follow.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from kentik_dagster.core.randomness import salt
from kentik_dagster.demo.organization import zone_prefix

BEGIN = datetime(2026, 11, 23, 10, 30, tzinfo=UTC)
END = BEGIN + timedelta(hours=3)
SNAPSHOTS = tuple(BEGIN + timedelta(minutes=15 * place) for place in range(1, 13))
FIRST_SNAPSHOT = SNAPSHOTS[0]
LONG_AGO = datetime(2026, 3, 2, 8, tzinfo=UTC)
NEVER = datetime(2100, 1, 1, tzinfo=UTC)
OUTAGE = (datetime(2026, 11, 23, 12, tzinfo=UTC), datetime(2026, 11, 23, 13, tzinfo=UTC))
ACCOUNTS = ("management", "network", "payments", "analytics", "platform", "acquired")
DENIED, WITH_OUTAGE = "acquired", "platform"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How big a history is.

    Attributes:
        pairs: pairs of instances that talk, where a situation can have several.
        conversations: of each pair in five minutes.
        regions: one or two; the second has plain traffic.
    """

    pairs: int = 3
    conversations: int = 1
    regions: tuple[str, ...] = ("us-east-1", "eu-west-1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vpc:
    """A VPC; `participants` are accounts that see it because a subnet is shared with them."""

    name: str
    vpc_id: str
    account_id: str
    region: str
    cidr_block: str
    ipv6_cidr_block: str | None = None
    participants: tuple[str, ...] = ()

    @property
    def seen_from(self) -> tuple[str, ...]:
        """Accounts whose answers hold it."""
        return (self.account_id, *self.participants)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """A subnet: a /24 of its VPC."""

    name: str
    subnet_id: str
    vpc: Vpc
    cidr_block: str
    az_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One state of a network interface, with the time it stood: [since, until).

    An interface that was moved to another instance has two states; `since` is also when it was attached.
    """

    name: str
    eni_id: str
    account_id: str
    subnet: Subnet
    address: str
    instance_id: str | None = None
    since: datetime = LONG_AGO
    until: datetime = NEVER
    public_ip: str | None = None
    secondary: tuple[str, ...] = ()
    prefix: str | None = None
    ipv6: str | None = None
    interface_type: str = "interface"
    description: str = ""
    requester_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Peering:
    """An active peering of two VPCs."""

    peering_id: str
    requester: Vpc
    accepter: Vpc


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTable:
    """A VPC's route table; the one without subnets is the main one. Routes are as AWS answers them."""

    route_table_id: str
    vpc: Vpc
    subnets: tuple[Subnet, ...]
    routes: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """Something attached to the transit gateway: a VPC, with its interface there, or a VPN connection."""

    attachment_id: str
    account_id: str
    resource_id: str
    resource_type: str
    vpc: Vpc | None = None
    interface: Interface | None = None


@dataclass(frozen=True, slots=True)
class Network:
    """Everything there is, by our names; `account_ids` in the order of ACCOUNTS.

    Attributes:
        gateways: ids of internet gateways and other things that one VPC has one of.
        transit_routes: destination, the attachment's name (None: blackhole), `static` or `propagated`.
        vpn_routes: of each VPN connection by name, its destinations.
    """

    seed: int
    account_ids: dict[str, str]
    vpcs: dict[str, Vpc] = field(default_factory=dict)
    subnets: dict[str, Subnet] = field(default_factory=dict)
    interfaces: dict[str, Interface] = field(default_factory=dict)
    peerings: dict[str, Peering] = field(default_factory=dict)
    route_tables: list[RouteTable] = field(default_factory=list)
    attachments: dict[str, Attachment] = field(default_factory=dict)
    transit_routes: list[tuple[str, str | None, str]] = field(default_factory=list)
    vpn_routes: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def id(self, prefix: str, name: str) -> str:
        """An identifier as AWS writes it."""
        return f"{prefix}-{salt(self.seed, prefix, name):017x}"

    def add_vpc(
        self,
        name: str,
        account: str,
        region: str,
        cidr_block: str,
        *,
        ipv6: str | None = None,
        shared: Iterable[str] = (),
    ) -> Vpc:
        """A VPC with two subnets, `<name>-a` and `<name>-b`: the first two /24 of its range."""
        vpc = Vpc(
            name=name, vpc_id=self.id("vpc", name), account_id=self.account_ids[account], region=region,
            cidr_block=cidr_block, ipv6_cidr_block=ipv6,
            participants=tuple(self.account_ids[other] for other in shared),
        )  # fmt: skip
        self.vpcs[name] = vpc
        blocks = ipaddress.IPv4Network(cidr_block).subnets(new_prefix=24)
        for place, block in zip("ab", blocks, strict=False):
            az_id = f"{zone_prefix(region)}-az{'ab'.index(place) + 1}"
            self.subnets[f"{name}-{place}"] = Subnet(
                name=f"{name}-{place}", subnet_id=self.id("subnet", f"{name}-{place}"), vpc=vpc,
                cidr_block=str(block), az_id=az_id,
            )  # fmt: skip
        return vpc

    def add_instance(self, name: str, subnet: str, host: int, *, account: str | None = None, **more: Any) -> Interface:
        """An instance's interface at that place of a subnet, or what `more` makes of it."""
        home = self.subnets[subnet]
        values: dict[str, Any] = {"instance_id": self.id("i", name), "eni_id": self.id("eni", name)} | more
        if home.vpc.ipv6_cidr_block is not None and "interface_type" not in more:
            values["ipv6"] = str(ipaddress.IPv6Network(home.vpc.ipv6_cidr_block)[(int(subnet[-1] == "b") << 64) + host])
        interface = Interface(
            name=name, subnet=home, address=str(ipaddress.IPv4Network(home.cidr_block)[host]),
            account_id=home.vpc.account_id if account is None else self.account_ids[account], **values,
        )  # fmt: skip
        self.interfaces[name] = interface
        return interface

    def add_peering(self, name: str, requester: str, accepter: str) -> str:
        """An active peering; returns its id."""
        peering = Peering(peering_id=self.id("pcx", name), requester=self.vpcs[requester], accepter=self.vpcs[accepter])
        self.peerings[name] = peering
        return peering.peering_id

    def add_routes(self, vpc: str, routes: Iterable[dict[str, Any]] = (), *, subnets: Iterable[str] = ()) -> None:
        """A route table with what every one has, and these routes."""
        home, names = self.vpcs[vpc], tuple(subnets)
        local = [{"DestinationCidrBlock": home.cidr_block, "GatewayId": "local"}]
        if home.ipv6_cidr_block is not None:
            local.append({"DestinationIpv6CidrBlock": home.ipv6_cidr_block, "GatewayId": "local"})
        every = [{**route, "Origin": "CreateRouteTable", "State": "active"} for route in local]
        every += [{"Origin": "CreateRoute", "State": "active"} | route for route in routes]
        self.route_tables.append(
            RouteTable(
                route_table_id=self.id("rtb", "-".join((vpc, *names))), vpc=home,
                subnets=tuple(self.subnets[name] for name in names), routes=tuple(every),
            )
        )  # fmt: skip

    def attach_vpc(self, name: str, cidr_route: str | None = "propagated") -> None:
        """Attach a VPC to the transit gateway, with an interface at the end of its second subnet."""
        vpc, attachment_id = self.vpcs[name], self.id("tgw-attach", name)
        interface = self.add_instance(
            f"{name}-attachment", f"{name}-b", 250, instance_id=None, interface_type="transit_gateway",
            description=f"Network Interface for Transit Gateway Attachment {attachment_id}",
            requester_id="AIDASOMETRANSITGATEW",
        )  # fmt: skip
        self.attachments[name] = Attachment(
            attachment_id=attachment_id, account_id=vpc.account_id, resource_id=vpc.vpc_id, resource_type="vpc",
            vpc=vpc, interface=interface,
        )  # fmt: skip
        if cidr_route is not None:
            self.transit_routes.append((vpc.cidr_block, name, cidr_route))

    def attach_vpn(self, name: str, cidr_block: str, kind: str) -> None:
        """Attach a VPN connection to the transit gateway."""
        self.vpn_routes[name] = (cidr_block,)
        self.attachments[name] = Attachment(
            attachment_id=self.id("tgw-attach", name), account_id=self.account_ids["network"],
            resource_id=self.id("vpn", name), resource_type="vpn",
        )  # fmt: skip
        self.transit_routes.append((cidr_block, name, kind))


def account_ids(seed: int) -> dict[str, str]:
    """Twelve digits for each of ACCOUNTS; some begin with zero."""
    return {name: f"{place % 3}{salt(seed, 'account', name) % 10**11:011d}" for place, name in enumerate(ACCOUNTS)}


def is_visible(account: str, at: datetime) -> bool:
    """Whether a snapshot of the account, by our name, succeeds at an instant."""
    return account != DENIED and not (account == WITH_OUTAGE and OUTAGE[0] <= at < OUTAGE[1])


def sightings(network: Network, interface: Interface) -> list[datetime]:
    """The snapshots that saw this state of an interface, in order."""
    (account,) = (name for name, account_id in network.account_ids.items() if account_id == interface.account_id)
    return [at for at in SNAPSHOTS if interface.since <= at < interface.until and is_visible(account, at)]
