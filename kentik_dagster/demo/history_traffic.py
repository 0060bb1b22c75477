"""Everything that is said in an organization with a history, and when it can be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from kentik_dagster.demo.history_network import BEGIN, END, FIRST_SNAPSHOT, Network, Size
from kentik_dagster.demo.history_situations import SITUATIONS
from kentik_dagster.demo.history_views import View


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """A client and a server that talk again and again, within [since, until), and what is recorded each time."""

    situation: str
    since: datetime
    until: datetime
    server_port: int
    views: tuple[View, ...]


def talks(network: Network, size: Size) -> Iterator[Talk]:
    """Everything that is said in a network; the situations are the keys of SITUATIONS."""
    for situation, conversations in SITUATIONS.items():
        is_early = situation == "before_first_snapshot"
        for port, views in conversations(network, size):
            stood = [
                end.interface for view in views for end in (view.pkt_src, view.pkt_dst) if end.interface is not None
            ]
            yield Talk(
                situation=situation,
                since=max([BEGIN if is_early else FIRST_SNAPSHOT, *(interface.since for interface in stood)]),
                until=min([FIRST_SNAPSHOT if is_early else END, *(interface.until for interface in stood)]),
                server_port=port,
                views=tuple(views),
            )
