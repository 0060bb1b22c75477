"""Who talks to whom in each situation that a history has: functions that yield a server's port and the records."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kentik_dagster.demo.history_network import Network, Size
from kentik_dagster.demo.history_topology import REUSED_AT
from kentik_dagster.demo.history_views import (
    End,
    View,
    Way,
    at,
    both_ways,
    through_balancer,
    through_nat,
    views_one_way,
)

_PEERED = Way(path=4, gateway_type="vpc_peering_connection")
_INTERNET = Way(path=8, gateway_type="internet_gateway")
_IPV6_OUT = Way(path=8, gateway_type="egress_only_internet_gateway")
_TO_S3 = Way(path=7, gateway_type="vpc_endpoint")
_VPN = Way(path=3, gateway_type="vpn_gateway")
_WEB_SERVER = End("198.51.100.20", kind="external")
_SCANNER = End("203.0.113.77", kind="external")
_WEB_SERVER_6 = End("2001:db8:1::20", kind="external")

Conversations = Iterator[tuple[int, list[View]]]  # the server's port, the records
Situation = Callable[[Network, Size], Conversations]


class _Here:
    """The ends of a network by name, and how they talk."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def end(self, name: str, address: str | None = None) -> End:
        return at(self.network.interfaces[name], address)

    def ipv6(self, name: str) -> End:
        return self.end(name, self.network.interfaces[name].ipv6)

    def talk(self, client: str | End, server: str | End, way: Way = Way()) -> list[View]:  # noqa: B008 - frozen
        ends = [self.end(one) if isinstance(one, str) else one for one in (client, server)]
        return both_ways(self.network, ends[0], ends[1], way)

    def send(self, client: str, server: End, way: Way) -> list[View]:
        """A request without an answer."""
        return list(views_one_way(self.network, self.end(client), server, way, is_request=True))

    def transit(self, client: str | None, server: str | None) -> Way:
        """Over the transit gateway, from one attachment to another."""
        return Way(path=1, gateway_type="transit_gateway", attachments=(client, server))


def _plain(network: Network, size: Size) -> Conversations:
    here, names = _Here(network), ["shop", *(f"shop-{region}" for region in size.regions[1:])]
    for name in names:
        for place in range(size.pairs):
            yield 5432, here.talk(f"{name}-web-{2 * place}", f"{name}-web-{2 * place + 1}")
    for place in range(size.pairs):
        yield 8080, here.talk(f"shop-front-{place}", f"shop-web-{place}")
        yield 443, here.talk(_SCANNER, f"shop-front-{place}", _INTERNET)
        yield 443, here.talk(f"shop-front-{place}", _WEB_SERVER, _INTERNET)


def _before_first_snapshot(network: Network, size: Size) -> Conversations:
    here = _Here(network)
    yield 5432, here.talk("shop-web-0", "shop-web-1")
    yield 443, through_nat(here.end("shop-web-0"), here.end("shop-nat"), _WEB_SERVER)
    yield 443, here.talk("hub-to-b-0", "twin-b-db-0", _PEERED)
    yield 443, here.talk("orders-app-0", "reports-app-0", here.transit("orders", "reports"))
    yield 443, here.talk("shared-payments-0", "shared-analytics-0")
    # One address, two interfaces, and only the second was still there when the first snapshot was taken.
    yield 443, here.talk("shop-web-0", "shop-early-old")
    yield 443, here.talk("shop-web-0", "shop-early-new")


def _reused_address(network: Network, size: Size) -> Conversations:
    here = _Here(network)
    for place in range(len(REUSED_AT)):
        for name in ("old", "new"):
            yield 443, here.talk("shop-web-0", f"shop-{name}-{place}")
            yield 5432, here.talk(f"shop-{name}-{place}", "shop-web-1")


def _moved_interface(network: Network, size: Size) -> Conversations:
    here = _Here(network)
    for name in ("shop-before-move", "shop-after-move"):
        yield 443, here.talk("shop-web-0", name)
        yield 443, through_nat(here.end(name), here.end("shop-nat"), _WEB_SERVER)


def _twin_ranges(network: Network, size: Size) -> Conversations:
    for name in ("twin-a", "twin-b", "twin-c", "twin-d"):
        for place in range(size.pairs):
            yield 5432, _Here(network).talk(f"{name}-db-{2 * place}", f"{name}-db-{2 * place + 1}")


def _twin_ranges_peered(network: Network, size: Size) -> Conversations:
    for place in range(size.pairs):
        yield 5432, _Here(network).talk(f"hub-to-a-{place}", f"twin-a-db-{place}", _PEERED)
        yield 5432, _Here(network).talk(f"hub-to-b-{place}", f"twin-b-db-{place}", _PEERED)


def _twin_ranges_over_transit_gateway(network: Network, size: Size) -> Conversations:
    here = _Here(network)
    for place in range(size.pairs):
        yield 5432, here.talk(f"hub-to-a-{place}", f"twin-c-db-{place}", here.transit("hub", "twin-c"))


def _shared_subnet(network: Network, size: Size) -> Conversations:
    for place in range(size.pairs):
        yield 443, _Here(network).talk(f"shared-payments-{place}", f"shared-analytics-{place}")


def _ipv6(network: Network, size: Size) -> Conversations:
    here = _Here(network)
    for place in range(size.pairs):
        web, front = here.ipv6(f"shop-web-{place}"), here.ipv6(f"shop-front-{place}")
        yield 443, here.talk(web, front)
        yield 443, here.talk(web, _WEB_SERVER_6, _IPV6_OUT)
        yield 443, here.talk(_WEB_SERVER_6, front, _INTERNET)


def _nat_gateway(network: Network, size: Size) -> Conversations:
    for place in range(size.pairs):
        yield 443, through_nat(_Here(network).end(f"shop-web-{place}"), _Here(network).end("shop-nat"), _WEB_SERVER)


def _transit_gateway(network: Network, size: Size) -> Conversations:
    here = _Here(network)
    for place in range(size.pairs):
        yield 443, here.talk(f"orders-app-{place}", f"reports-app-{place}", here.transit("orders", "reports"))


def _network_load_balancer(network: Network, size: Size) -> Conversations:
    here = _Here(network)
    for place in range(size.pairs):
        for client in (_SCANNER, here.end(f"shop-front-{place}")):
            yield 443, through_balancer(network, client, here.end("shop-balancer"), here.end(f"shop-web-{place}"))


def _eks_pods(network: Network, size: Size) -> Conversations:
    here = _Here(network)
    pods = [here.end("shop-node", address) for address in network.interfaces["shop-node"].secondary]
    in_prefix = [here.end("shop-prefix-node", f"10.10.0.{host}") for host in (64, 70, 79)]
    for pod in (*pods, *in_prefix):
        yield 5432, here.talk(pod, "shop-web-0")
        yield 8080, here.talk("shop-front-0", pod)
        yield 443, through_nat(pod, here.end("shop-nat"), _WEB_SERVER)
    yield 8080, here.talk(pods[0], in_prefix[1])


def _gateway_endpoint(network: Network, size: Size) -> Conversations:
    for place in range(size.pairs):
        yield (
            443,
            _Here(network).talk(
                f"shop-web-{place}", End(f"52.216.8.{place}", kind="external", aws_service="S3"), _TO_S3
            ),
        )


def _vpc_endpoint(network: Network, size: Size) -> Conversations:
    for place in range(size.pairs):
        yield 443, _Here(network).talk(f"shop-web-{place}", "shop-endpoint")


def _on_premises_vpn(network: Network, size: Size) -> Conversations:
    here = _Here(network)
    for place in range(size.pairs):
        desk = End(f"192.168.5.{20 + place}", kind="on_premises")
        yield 443, here.talk(f"plant-app-{place}", desk, _VPN)
        yield 22, here.talk(desk, f"plant-app-{place}", _VPN)


def _on_premises_transit_gateway(network: Network, size: Size) -> Conversations:
    here = _Here(network)
    for place in range(size.pairs):
        rack, shop = End(f"192.168.200.{place}", kind="on_premises"), End(f"172.20.3.{place}", kind="on_premises")
        yield 443, here.talk(f"orders-app-{place}", rack, here.transit("orders", "data-center"))
        yield 22, here.talk(rack, f"orders-app-{place}", here.transit("data-center", "orders"))
        yield 1433, here.talk(shop, rack, here.transit("branch", "data-center"))


def _denied_account(network: Network, size: Size) -> Conversations:
    here = _Here(network)
    for place in range(size.pairs):
        yield 443, here.talk(f"acquired-app-{place}", f"acquired-db-{place}")
        yield 443, here.talk(f"shop-web-{place}", f"acquired-db-{place}", _PEERED)
        yield 443, here.talk(f"acquired-app-{place}", f"shop-web-{place}", _PEERED)
        yield 443, here.talk(f"acquired-app-{place}", _WEB_SERVER, _INTERNET)


def _outage(network: Network, size: Size) -> Conversations:
    here = _Here(network)
    for place in range(size.pairs):
        for name in ("builds-born", "builds-brief"):
            yield 443, here.talk(f"builds-app-{place}", f"{name}-{place}")
            yield 443, here.talk(f"{name}-{place}", f"builds-app-{(place + 1) % size.pairs}")


def _version_2(network: Network, size: Size) -> Conversations:
    here = _Here(network)
    for place in range(size.pairs):
        yield 443, here.talk(f"shop-web-{place}", f"shop-front-{place}", Way(version=2))
        out = Way(path=8, gateway_type="internet_gateway", version=2)
        yield 443, here.talk(f"shop-front-{place}", _WEB_SERVER, out)
        yield 443, here.talk(f"acquired-app-{place}", _WEB_SERVER, out)


def _blackhole(network: Network, size: Size) -> Conversations:
    here = _Here(network)
    for place in range(size.pairs):
        yield 443, here.send(f"plant-app-{place}", End(f"10.200.0.{place}", kind="nobody"), Way(path=4))
        dropped = End(f"10.201.0.{place}", kind="nobody")
        yield 443, here.send(f"orders-app-{place}", dropped, here.transit("orders", None))


def _nobody(network: Network, size: Size) -> Conversations:
    for place in range(size.pairs):
        yield 443, _Here(network).send(f"shop-web-{place}", End(f"10.10.0.{200 + place}", kind="nobody"), Way())
        yield 443, _Here(network).send(f"shop-web-{place}", End(f"10.10.77.{place}", kind="nobody"), Way())


SITUATIONS: dict[str, Situation] = {
    "plain": _plain,
    "before_first_snapshot": _before_first_snapshot,
    "reused_address": _reused_address,
    "moved_interface": _moved_interface,
    "twin_ranges": _twin_ranges,
    "twin_ranges_peered": _twin_ranges_peered,
    "twin_ranges_over_transit_gateway": _twin_ranges_over_transit_gateway,
    "shared_subnet": _shared_subnet,
    "ipv6": _ipv6,
    "nat_gateway": _nat_gateway,
    "transit_gateway": _transit_gateway,
    "network_load_balancer": _network_load_balancer,
    "eks_pods": _eks_pods,
    "vpc_endpoint": _vpc_endpoint,
    "gateway_endpoint": _gateway_endpoint,
    "on_premises_vpn": _on_premises_vpn,
    "on_premises_transit_gateway": _on_premises_transit_gateway,
    "denied_account": _denied_account,
    "outage": _outage,
    "version_2": _version_2,
    "blackhole": _blackhole,
    "nobody": _nobody,
}
