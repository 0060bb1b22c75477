"""The made-up network of an organization with a history: which VPCs, connections and interfaces there are."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from kentik_dagster.demo.history_network import BEGIN, FIRST_SNAPSHOT, Network, Size, account_ids

S3_RANGES = ("52.216.0.0/15", "3.5.0.0/19")
ON_PREMISES, DATA_CENTER, BRANCH = "192.168.0.0/17", "192.168.128.0/17", "172.20.0.0/16"
IPV6_RANGE = "2600:1f18:4a3:6900::/56"
# Between two snapshots, which are at minutes 0, 15, 30 and 45: when an address changed hands.
REUSED_AT = tuple(FIRST_SNAPSHOT + timedelta(minutes=minutes) for minutes in (21, 53, 98))
MOVED_AT = FIRST_SNAPSHOT + timedelta(minutes=36)
EARLY_AT = BEGIN + timedelta(minutes=9)
BORN_IN_OUTAGE = FIRST_SNAPSHOT + timedelta(minutes=82)
SHORT_LIFE = (FIRST_SNAPSHOT + timedelta(minutes=88), FIRST_SNAPSHOT + timedelta(minutes=119))
_GAP = timedelta(seconds=45)  # nobody has the address, or the interface is on its way


def made_up_network(seed: int, size: Size) -> Network:
    """The network that follows from a seed and a size.

    Raises:
        ValueError: no region, or no pairs.
    """
    if not size.regions or not 1 <= size.pairs <= 20:
        raise ValueError(f"{size} has no place for a history: give it a region and 1 to 20 pairs of instances")
    network = Network(seed, account_ids(seed))
    _shop(network, size)
    for region in size.regions[1:]:
        network.add_vpc(f"shop-{region}", "payments", region, "10.11.0.0/16")
        network.add_routes(f"shop-{region}")
        for place in range(2 * size.pairs):
            network.add_instance(f"shop-{region}-web-{place}", f"shop-{region}-a", 10 + place)
    _twins(network, size)
    _shared(network, size)
    _transit(network, size)
    _on_premises(network, size)
    _hard_to_see(network, size)
    return network


def _to(cidr_block: str, **target: Any) -> dict[str, Any]:
    return {"DestinationCidrBlock": cidr_block, **target}


def _shop(network: Network, size: Size) -> None:
    region = size.regions[0]
    network.add_vpc("shop", "payments", region, "10.10.0.0/16", ipv6=IPV6_RANGE)
    network.add_vpc("acquired", "acquired", region, "10.100.0.0/16")
    for place in range(2 * size.pairs):
        network.add_instance(f"shop-web-{place}", "shop-a", 10 + place)
        network.add_instance(f"shop-front-{place}", "shop-b", 10 + place, public_ip=f"3.208.7.{10 + place}")
    network.add_instance(
        "shop-nat", "shop-b", 5, instance_id=None, public_ip="3.208.7.5", interface_type="nat_gateway",
        description=f"Interface for NAT Gateway {network.id('nat', 'shop')}", requester_id="AIDASOMENATGATEWAY000",
    )  # fmt: skip
    network.add_instance(
        "shop-balancer", "shop-b", 6, instance_id=None, public_ip="3.208.7.6", interface_type="network_load_balancer",
        description="ELB net/front/50dc6c495c0c9188", requester_id="amazon-elb",
    )  # fmt: skip
    network.add_instance(
        "shop-endpoint", "shop-a", 7, instance_id=None, interface_type="vpc_endpoint",
        description=f"VPC Endpoint Interface {network.id('vpce', 'shop-queue')}", requester_id="727180483921",
    )  # fmt: skip
    network.add_instance("shop-node", "shop-a", 60, secondary=("10.10.0.61", "10.10.0.62"))
    network.add_instance("shop-prefix-node", "shop-a", 63, prefix="10.10.0.64/28")
    for place, at in enumerate(REUSED_AT):
        network.add_instance(f"shop-old-{place}", "shop-a", 100 + place, until=at - _GAP)
        network.add_instance(f"shop-new-{place}", "shop-a", 100 + place, since=at)
    network.add_instance("shop-early-old", "shop-a", 110, until=EARLY_AT - _GAP)
    network.add_instance("shop-early-new", "shop-a", 110, since=EARLY_AT)
    moved = {"eni_id": network.id("eni", "moved")}
    network.add_instance("shop-before-move", "shop-a", 120, until=MOVED_AT - _GAP, **moved)
    network.add_instance("shop-after-move", "shop-a", 120, since=MOVED_AT, **moved)
    peering = network.add_peering("shop-acquired", "shop", "acquired")
    to_peer = _to("10.100.0.0/16", VpcPeeringConnectionId=peering)
    to_s3 = {"DestinationPrefixListId": "pl-63a5400a", "GatewayId": network.id("vpce", "shop-s3")}
    out, ipv6 = network.id("igw", "shop"), {"DestinationIpv6CidrBlock": "::/0"}
    inward = {**ipv6, "EgressOnlyInternetGatewayId": network.id("eigw", "shop")}
    network.add_routes("shop")
    through_nat = _to("0.0.0.0/0", NatGatewayId=network.id("nat", "shop"))
    network.add_routes("shop", [through_nat, inward, to_peer, to_s3], subnets=["shop-a"])
    network.add_routes("shop", [_to("0.0.0.0/0", GatewayId=out), {**ipv6, "GatewayId": out}], subnets=["shop-b"])


def _twins(network: Network, size: Size) -> None:
    """A hub that is peered with two VPCs of one range, a subnet for each; and two twins behind a transit gateway."""
    region = size.regions[0]
    network.add_vpc("hub", "network", region, "10.60.0.0/16")
    peered = {}
    for name, account, block in (
        ("twin-a", "payments", "10.50.0.0/16"),
        ("twin-b", "analytics", "10.50.0.0/16"),
        ("twin-c", "payments", "10.51.0.0/16"),
        ("twin-d", "analytics", "10.51.0.0/16"),
    ):
        network.add_vpc(name, account, region, block)
        for place in range(2 * size.pairs):
            network.add_instance(f"{name}-db-{place}", f"{name}-a", 10 + place)
    for place in range(size.pairs):
        network.add_instance(f"hub-to-a-{place}", "hub-a", 10 + place)
        network.add_instance(f"hub-to-b-{place}", "hub-b", 10 + place)
    for name in ("twin-a", "twin-b"):
        peered[name] = network.add_peering(f"hub-{name}", "hub", name)
        network.add_routes(name, [_to("10.60.0.0/16", VpcPeeringConnectionId=peered[name])])
    gateway = {"TransitGatewayId": network.id("tgw", "main")}
    network.add_routes("hub")
    for subnet, twin in (("hub-a", "twin-a"), ("hub-b", "twin-b")):
        to_twin = _to("10.50.0.0/16", VpcPeeringConnectionId=peered[twin])
        network.add_routes("hub", [to_twin, _to("10.51.0.0/16", **gateway)], subnets=[subnet])
    network.add_routes("twin-c", [_to("10.60.0.0/16", **gateway)])
    network.add_routes("twin-d", [_to("10.60.0.0/16", **gateway)])
    network.attach_vpc("hub")
    network.attach_vpc("twin-c", "static")
    network.attach_vpc("twin-d", None)


def _shared(network: Network, size: Size) -> None:
    network.add_vpc("shared", "network", size.regions[0], "10.70.0.0/16", shared=("payments", "analytics"))
    network.add_routes("shared")
    for place in range(size.pairs):
        network.add_instance(f"shared-payments-{place}", "shared-a", 10 + place, account="payments")
        network.add_instance(f"shared-analytics-{place}", "shared-a", 50 + place, account="analytics")


def _transit(network: Network, size: Size) -> None:
    for name, account, block in (
        ("orders", "payments", "10.80.0.0/16"),
        ("reports", "analytics", "10.81.0.0/16"),
    ):
        network.add_vpc(name, account, size.regions[0], block)
        network.add_routes(
            name,
            [
                _to(block, TransitGatewayId=network.id("tgw", "main"))
                for block in ("10.80.0.0/15", "10.201.0.0/16", DATA_CENTER)
            ],
        )
        network.attach_vpc(name)
        for place in range(size.pairs):
            network.add_instance(f"{name}-app-{place}", f"{name}-a", 10 + place)
    network.transit_routes.append(("10.201.0.0/16", None, "static"))
    network.attach_vpn("data-center", DATA_CENTER, "propagated")
    network.attach_vpn("branch", BRANCH, "static")


def _on_premises(network: Network, size: Size) -> None:
    """A VPC with a virtual private gateway, and a route to a peering that is gone."""
    network.add_vpc("plant", "analytics", size.regions[0], "10.90.0.0/16")
    network.vpn_routes["plant"] = (ON_PREMISES,)
    propagated = _to(ON_PREMISES, GatewayId=network.id("vgw", "plant"), Origin="EnableVgwRoutePropagation")
    gone = _to("10.200.0.0/16", VpcPeeringConnectionId=network.id("pcx", "gone"), State="blackhole")
    network.add_routes("plant", [propagated, gone])
    for place in range(size.pairs):
        network.add_instance(f"plant-app-{place}", "plant-a", 10 + place)


def _hard_to_see(network: Network, size: Size) -> None:
    """Interfaces of the account that denies its metadata, and of the one whose metadata stops for an hour."""
    network.add_vpc("builds", "platform", size.regions[0], "10.110.0.0/16")
    network.add_routes("builds")
    for place in range(size.pairs):
        network.add_instance(f"acquired-app-{place}", "acquired-a", 10 + place)
        network.add_instance(f"acquired-db-{place}", "acquired-b", 10 + place)
        network.add_instance(f"builds-app-{place}", "builds-a", 10 + place)
        network.add_instance(f"builds-born-{place}", "builds-a", 100 + place, since=BORN_IN_OUTAGE)
        network.add_instance(f"builds-brief-{place}", "builds-a", 150 + place, since=SHORT_LIFE[0], until=SHORT_LIFE[1])
