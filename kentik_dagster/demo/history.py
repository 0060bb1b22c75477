"""A made-up organization with a history: addresses change hands, accounts hide, ranges overlap, and the truth is known.

`demo.organization` is calm, and shows what the system does; this one is hard, and shows what it gets right.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from kentik_dagster.core.randomness import random_below, salt
from kentik_dagster.demo.history_answers import answers
from kentik_dagster.demo.history_network import BEGIN, END, SNAPSHOTS, Size, is_visible
from kentik_dagster.demo.history_records import FLOWS, TRUTH, view_rows, with_expectations
from kentik_dagster.demo.history_situations import SITUATIONS
from kentik_dagster.demo.history_topology import made_up_network
from kentik_dagster.demo.history_traffic import talks

__all__ = ["BEGIN", "END", "SITUATIONS", "TRUTH", "History", "Size"]

WINDOW = timedelta(minutes=5)  # of a flow log file, and of the conversations in it
_MINUTE = 60


class History:
    """Three hours of an organization, from BEGIN to END, that follow from `seed` and `size` alone.

    Every interface's VPC has a flow log, and the transit gateway has one: whatever passes is recorded.

    Attributes:
        snapshots: when metadata is collected; the first is later than the first flows.
        regions: where there is anything.
        accounts: one row per account: `account_id` (12 digits, text), `name`.
    """

    def __init__(self, seed: int, size: Size = Size()) -> None:  # noqa: B008 - frozen
        self.seed, self.size = seed, size
        self.network = made_up_network(seed, size)
        self.snapshots = SNAPSHOTS
        self.regions = size.regions
        ids = self.network.account_ids
        self.accounts = pl.DataFrame({"account_id": list(ids.values()), "name": list(ids)})

    def answers(self, account_id: str, region: str, at: datetime) -> Mapping[str, list[dict[str, Any]]] | None:
        """What AWS answers about an account and region at an instant, if the account lets us look.

        Returns:
            By resource type, what `rows` of its operation finds in the answer; resources of other operations carry
            their parent's key. None: nothing can be seen.
        """
        (name,) = self.accounts.filter(account_id=account_id)["name"]
        return answers(self.network, account_id, region, at) if is_visible(name, at) else None

    @functools.cached_property
    def _talks(self) -> pl.DataFrame:
        """One row per talk: `talk`, `since` and `until` (epoch seconds), `server_port`."""
        rows = [
            (number, int(talk.since.timestamp()), int(talk.until.timestamp()), talk.server_port)
            for number, talk in enumerate(self._spoken)
        ]
        schema = {"talk": pl.Int64(), "since": pl.Int64(), "until": pl.Int64(), "server_port": pl.Int32()}
        return pl.DataFrame(rows, schema=schema, orient="row")

    @functools.cached_property
    def _spoken(self) -> tuple[Any, ...]:
        return tuple(talks(self.network, self.size))

    @functools.cached_property
    def _views(self) -> pl.DataFrame:
        return view_rows(self.network, self._spoken)

    def records(self, start: datetime = BEGIN, end: datetime = END) -> pl.DataFrame:
        """The flow log records whose `end` lies in [start, end).

        Returns:
            One row per record, in the order of conversations: the columns of `flow_logs`, and the truth (TRUTH).
            `situation` is a key of SITUATIONS. `true_src_eni_id`, `_account_id`, `_vpc_id` and `_instance_id` tell
            whose interface sent the packet (null: none of the organization), `true_src_kind` is `interface`,
            `external` (the internet), `on_premises` or `nobody`; likewise for `dst`. `src_is_resolvable`: who
            had all snapshots, AWS's times of attachment and the record could know; `expected_src_resolution`: the
            word for it. `expected_gateway_type` is null where there is none or routes cannot tell.
            `conversation_id` numbers conversations; `is_primary` is true on one record of each direction of each.
        """
        spoken = self._conversations(start, end)
        rows = spoken.join(self._views.drop("start", "end", "bytes", "packets"), on="talk", maintain_order="left")
        is_request = pl.col("is_request")
        client, server = pl.col("client_port"), pl.col("server_port")
        told = rows.with_columns(
            srcport=pl.when(is_request).then(client).otherwise(server),
            dstport=pl.when(is_request).then(server).otherwise(client),
            packets=pl.when(is_request).then("request_packets").otherwise("response_packets"),
            bytes=pl.when(is_request).then("request_bytes").otherwise("response_bytes"),
            tcp_flags=pl.when(pl.col("version") > 2).then(pl.when(is_request).then(3).otherwise(19)),
            packets_lost_blackhole=pl.col("packets_lost_blackhole") * pl.col("request_packets"),
            sample_rate=pl.lit(1),
            export=pl.lit("acme"),
            hour=pl.col("file_time").dt.strftime("%Y-%m-%dT%H"),
            source_object=pl.concat_str(
                pl.col("file_time").dt.strftime("%Y%m%dT%H%MZ_"),
                pl.lit(f"{salt(self.seed, 'object') % 16**12:012x}"),
            ),
        )
        named = with_expectations(told).select(*FLOWS.names(), *TRUTH)
        return named.cast(pl.Schema([*FLOWS.items(), *TRUTH.items()]))

    def _conversations(self, start: datetime, end: datetime) -> pl.DataFrame:
        """The conversations that end in [start, end).

        Returns:
            One row per conversation: `talk`, `conversation_id`, `file_time`, `start`, `end`, `client_port`,
            `server_port`, and `packets` and `bytes` of `request_` and `response_`.
        """
        first = BEGIN + max((start - BEGIN) // WINDOW, 0) * WINDOW
        times = pl.datetime_range(first, min(end, END), WINDOW, closed="left", time_unit="us", eager=True)
        windows = pl.DataFrame({"file_time": times}).with_columns(
            window=(pl.col("file_time") - BEGIN).dt.total_minutes() // (WINDOW // timedelta(minutes=1))
        )
        repeated = pl.DataFrame({"turn": range(self.size.conversations)}, schema={"turn": pl.Int64()})
        planned = (
            windows.join(self._talks, how="cross")
            .join(repeated, how="cross")
            .with_columns(
                conversation_id=(pl.col("window") * self._talks.height + pl.col("talk")) * self.size.conversations
                + pl.col("turn"),
                earliest=pl.max_horizontal(pl.col("file_time").dt.epoch("s"), pl.col("since") + _MINUTE),
                latest=pl.min_horizontal(pl.col("file_time").dt.epoch("s") + int(WINDOW.total_seconds()), "until"),
            )
            .filter(pl.col("earliest") < pl.col("latest"))
            .sort("conversation_id")
        )
        number = planned["conversation_id"]

        def below(limit: int | pl.Series, purpose: str) -> pl.Series:
            return random_below(limit, number, self.seed, purpose)

        ends_at = planned["earliest"] + below(planned["latest"] - planned["earliest"], "end")
        request, response = 1 + below(500, "request packets"), 1 + below(900, "response packets")
        made = planned.select(
            "talk",
            "conversation_id",
            "file_time",
            "server_port",
            start=pl.from_epoch(ends_at - 1 - below(_MINUTE - 2, "duration"), "s")
            .dt.cast_time_unit("us")
            .dt.replace_time_zone("UTC"),
            end=pl.from_epoch(ends_at, "s").dt.cast_time_unit("us").dt.replace_time_zone("UTC"),
            client_port=32_768 + below(28_232, "client port"),
            request_packets=request,
            request_bytes=request * (40 + below(400, "request size")),
            response_packets=response,
            response_bytes=response * (40 + below(1_400, "response size")),
        )
        return made.filter(pl.col("end").is_between(start, end, closed="left"))
