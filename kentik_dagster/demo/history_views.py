"""How AWS records a conversation at the interfaces and attachments that it passes, and what each record should yield.

A conversation between a client and a server is a request and a response; each is seen at several places.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from kentik_dagster.demo.history_network import Attachment, Interface, Network

Kind = Literal["interface", "external", "on_premises", "nobody"]


@dataclass(frozen=True, slots=True)
class End:
    """Who sends or receives: an address, and the interface that has it, if one of the organization does."""

    address: str
    interface: Interface | None = None
    kind: Kind = "interface"
    aws_service: str | None = None

    @property
    def as_its_own(self) -> End:
        """As its own interface sees it: by its primary private IPv4 address, whichever the packet used."""
        return self if self.interface is None or ":" in self.address else End(self.interface.address, self.interface)


def at(interface: Interface, address: str | None = None) -> End:
    """An interface as an end, by its primary address or another one of its own."""
    return End(interface.address if address is None else address, interface)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One record of a request or a response.

    Attributes:
        observer: the interface, or the transit gateway's attachment, that records it.
        src: `srcaddr` and `dst`: `dstaddr`; `pkt_src` and `pkt_dst` are the packet's ends, of whom the truth is told.
        direction: AWS's `flow_direction`.
        path: `traffic_path`.
        is_primary: counts when traffic is to be counted once.
        gateway_type: what the packet left or entered the VPC by, as far as routes can tell; None: not to be known.
        version: of the record; 2 has few fields.
        pair: the other attachment, of a transit gateway's record.
    """

    is_request: bool
    observer: Interface | Attachment
    src: End
    dst: End
    pkt_src: End
    pkt_dst: End
    direction: Literal["egress", "ingress"]
    path: int | None = None
    is_primary: bool = False
    gateway_type: str | None = None
    version: int = 5
    log_type: str = "vpc"
    from_attachment: Attachment | None = None
    to_attachment: Attachment | None = None
    is_lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How packets of one direction travel between two ends outside of NAT: what `views_one_way` needs to know.

    Attributes:
        paths: `traffic_path` of egress records.
        gateway_type: seen from the sender's and the receiver's VPC.
        attachments: of the transit gateway, as names in the network: the sender's and the receiver's.
    """

    path: int = 1
    gateway_type: str | None = None
    attachments: tuple[str | None, str | None] | None = None
    version: int = 5


def both_ways(network: Network, client: End, server: End, way: Way) -> list[View]:
    """Request and response, at both interfaces and whatever of the transit gateway lies between."""
    back = replace(way, attachments=None if way.attachments is None else (way.attachments[1], way.attachments[0]))
    return [
        *views_one_way(network, client, server, way, is_request=True),
        *views_one_way(network, server, client, back, is_request=False),
    ]


def views_one_way(network: Network, sender: End, receiver: End, way: Way, *, is_request: bool) -> Iterator[View]:
    """The records of packets from one end to the other.

    The primary one is the sender's; the receiver's, if the sender is no interface of the organization; where neither
    is, that of the transit gateway where they come in.
    """
    common = View(
        is_request=is_request, observer=sender.interface or receiver.interface or _attachment(network, way, 0),
        src=sender, dst=receiver, pkt_src=sender, pkt_dst=receiver, direction="egress", version=way.version,
    )  # fmt: skip
    if sender.interface is not None:
        yield replace(
            common, observer=sender.interface, src=sender.as_its_own, path=way.path, is_primary=True,
            gateway_type=_unless_hidden(network, sender.interface, way),
        )  # fmt: skip
    yield from _over_the_transit_gateway(network, common, way)
    if receiver.interface is not None:
        yield replace(
            common, observer=receiver.interface, dst=receiver.as_its_own, direction="ingress",
            is_primary=sender.interface is None, gateway_type=_unless_hidden(network, receiver.interface, way),
        )  # fmt: skip


def _unless_hidden(network: Network, interface: Interface, way: Way) -> str | None:
    """Routes of an account that denies its metadata are not to be known."""
    return None if interface.account_id == network.account_ids["acquired"] else way.gateway_type


def _attachment(network: Network, way: Way, place: int) -> Attachment:
    name = way.attachments[place] if way.attachments is not None else None
    if name is None:
        raise ValueError("nothing records these packets: give one end an interface, or the way an attachment")
    return network.attachments[name]


def _over_the_transit_gateway(network: Network, common: View, way: Way) -> Iterator[View]:
    """At the attachments' interfaces, as VPC flow logs, and at the attachments, as transit gateway flow logs."""
    if way.attachments is None:
        return
    entered, left = (None if name is None else network.attachments[name] for name in way.attachments)
    if entered is None:
        raise ValueError("packets come into a transit gateway somewhere: give the way its first attachment")
    if entered.interface is not None:
        # A VPC's attachment names itself on the side that is its own, and the packet's end beside it; of requests the
        # packet's ends are kept, so that both forms are there.
        # https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-records-examples.html
        seen = common.dst if common.is_request else at(entered.interface)
        yield replace(common, observer=entered.interface, direction="ingress", dst=seen)
    between = replace(
        common, log_type="transit_gateway", version=6, from_attachment=entered, to_attachment=left, is_lost=left is None
    )
    is_primary = common.pkt_src.interface is None and common.pkt_dst.interface is None
    yield replace(between, observer=entered, direction="ingress", is_primary=is_primary)
    if left is None:
        return
    yield replace(between, observer=left, direction="egress")
    if left.interface is not None:
        yield replace(common, observer=left.interface, src=at(left.interface))


def through_nat(instance: End, gateway: End, server: End) -> list[View]:
    """A private instance and an internet server: two views of the instance, four of the gateway."""
    request = View(
        is_request=True, observer=_interface(instance), src=instance.as_its_own, dst=server,
        pkt_src=instance, pkt_dst=server, direction="egress", path=1, is_primary=True, gateway_type="nat_gateway",
    )  # fmt: skip
    response = View(
        is_request=False, observer=_interface(instance), src=server, dst=instance.as_its_own,
        pkt_src=server, pkt_dst=instance, direction="ingress", is_primary=True, gateway_type="nat_gateway",
    )  # fmt: skip
    asked, answered = (
        replace(view, observer=_interface(gateway), path=None, is_primary=False, gateway_type=None)
        for view in (request, response)
    )
    return [
        request,
        replace(asked, src=instance, dst=gateway, direction="ingress"),
        replace(asked, src=gateway, pkt_src=gateway, path=8),
        replace(answered, dst=gateway, pkt_dst=gateway),
        replace(answered, src=gateway, dst=instance, direction="egress", path=1),
        response,
    ]


def through_balancer(network: Network, client: End, balancer: End, target: End) -> list[View]:
    """A network load balancer that keeps the client's address: the client speaks to it, the target sees the client."""
    out = "internet_gateway" if client.interface is None else None
    forwarded = list(views_one_way(network, client, target, Way(), is_request=True))
    at_client = [
        replace(view, dst=balancer, pkt_dst=balancer) for view in forwarded if view.observer is client.interface
    ]
    at_target = [replace(view, gateway_type=None) for view in forwarded if view.observer is target.interface]
    inward = replace(at_target[0], observer=_interface(balancer), is_primary=False)
    response = list(views_one_way(network, target, client, Way(path=8 if out else 1), is_request=False))
    outward = replace(response[0], observer=_interface(balancer), is_primary=False)
    return [
        *at_client,
        replace(inward, dst=balancer, pkt_dst=balancer),
        replace(inward, src=balancer, direction="egress", path=1),
        *at_target,
        response[0],
        replace(outward, dst=balancer, direction="ingress", path=None),
        replace(outward, src=balancer, pkt_src=balancer),
        *(replace(view, src=balancer, pkt_src=balancer) for view in response[1:]),
    ]


def _interface(end: End) -> Interface:
    if end.interface is None:
        raise ValueError(f"nothing records at {end.address}: give an end that has an interface")
    return end.interface
