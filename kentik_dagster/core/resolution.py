"""Who had an address at a moment, as seen from a place in the network: found by rule, or said not to be known.

A record's own end is the interface that recorded it. Any other address is looked up in the VPC of the record; then, if
that VPC's ranges do not hold it, where the subnet's route leads, else in the VPCs that can be reached by peering and
transit gateways; then, only if it is unique there, in the organization: one interface has it, and no other VPC's range
holds it. A range that holds the address ends the search: its owner is there or not known, so overlapping ranges never
give a wrong owner.
"""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from kentik_dagster.core.address_index import AddressIndex
from kentik_dagster.core.addresses import address_numbers
from kentik_dagster.core.schemas import require
from kentik_dagster.core.topology import Topology

QUESTION = ("vpc_id", "via", "address", "own_eni_id", "is_disputed", "at", "instant")
_BEGINNING = datetime.min.replace(tzinfo=UTC)
ANSWER = pl.Schema({
    "owner": pl.UInt32(), "resolution": pl.String(), "is_on_premises": pl.Boolean(), "is_in_vpc": pl.Boolean(),
    "gateway_id": pl.String(),
    "gateway_type": pl.String(), "forwarding_state": pl.String(), "aws_service": pl.String(),
})  # fmt: skip


def resolve(questions: pl.DataFrame, index: AddressIndex) -> pl.DataFrame:
    """Answer who had each address.

    Args:
        questions: one row per distinct question: `vpc_id` (null: the record's VPC is not known), `via` (the route table
            of the record's subnet, or the transit gateway that recorded; null: not known), `address`, `own_eni_id`
            (the interface that recorded, where the address is its own; else null), `is_disputed` (the record speaks for
            its interface, of which nothing is known: nobody else is named), `at` (UTC, at which the address is looked
            up), `instant` (at which the network is; there are few).

    Returns:
        One row per question, in the same order: `owner` (a row of `index.owners`, null unless found),
        `resolution`: `exact` (that interface had it then), `earliest` (older than the first snapshot, which saw it
        there), `external` (not in AWS's networks of the organization: on the internet, or on premises),
        `ambiguous` (several had it), `unknown`; `is_on_premises`; `is_in_vpc` (a VPC of ours holds the address, whoever
        has it); `gateway_id`, `gateway_type` and `forwarding_state`
        of the route to it (null inside the VPC); and `aws_service`, in whose address ranges it lies.
    """
    require(questions, *QUESTION, by="resolve")
    asked = (
        questions.with_row_index("question")
        .join(address_numbers(questions["address"]), on="address", how="left", maintain_order="left")
        .sort("instant", maintain_order=True)
    )
    answered = [
        _at(part, index, index.topology(part["instant"][0]))
        for part in asked.partition_by("instant", maintain_order=True)
    ]
    if not answered:
        return pl.DataFrame(schema=ANSWER)
    return pl.concat(answered).sort("question").select(ANSWER.names())


_FLAGS = ("is_on_premises", "is_in_vpc")


class _Open:
    """Questions of which some are answered already."""

    def __init__(self, asked: pl.DataFrame) -> None:
        self.asked = asked.with_columns(pl.lit(False).alias(flag) for flag in _FLAGS).with_columns(
            owner=pl.lit(None, pl.UInt32), resolution=pl.lit(None, pl.String)
        )

    def rest(self) -> pl.DataFrame:
        """The questions without an answer, with the `row` that an answer has to name."""
        open_ = self.asked.with_row_index("row").filter(pl.col("resolution").is_null())
        return open_.drop("owner", "resolution", *_FLAGS)

    def deny(self) -> None:
        """Name nobody for the questions that are disputed."""
        denied = pl.col("is_disputed") & pl.col("owner").is_not_null()
        self.asked = self.asked.with_columns(
            owner=pl.when(~denied).then("owner"),
            resolution=pl.when(denied).then(pl.lit("ambiguous")).otherwise("resolution"),
        )

    def say(self, answers: pl.DataFrame) -> None:
        """Note answers: `row`, `resolution`, and if there is one, `owner` and the flags."""
        said = answers.rename({name: f"said_{name}" for name in answers.columns if name != "row"})
        columns = [name for name in ("owner", "resolution", *_FLAGS) if name in answers.columns]
        self.asked = (
            self.asked.with_row_index("row")
            .join(said, on="row", how="left", maintain_order="left")
            .with_columns(pl.coalesce(f"said_{name}", name).alias(name) for name in columns)
            .drop("row", *(f"said_{name}" for name in columns))
        )


def _at(asked: pl.DataFrame, index: AddressIndex, topology: Topology) -> pl.DataFrame:
    """The questions of one instant, answered."""
    ends = _Open(asked)
    ends.say(_own_ends(ends.rest(), index))
    ends.say(_in_vpc(ends.rest().with_columns(scope="vpc_id", is_ours=pl.lit(True)), index, topology, ends_search=True))
    rest = ends.rest()
    routed = pl.concat([rest.select("row"), topology.routed(rest)], how="horizontal")
    ends.say(_along_routes(rest, routed, index, topology))
    ends.say(_in_reach(ends.rest(), index, topology))
    ends.say(_anywhere(ends.rest(), index, topology))
    rest = ends.rest()
    word = pl.when(pl.col("is_internet")).then(pl.lit("external")).otherwise(pl.lit("unknown"))
    ends.say(rest.select("row", resolution=word))
    ends.deny()
    gateways = routed.select("row", "gateway_id", "gateway_type", "forwarding_state")
    return (
        ends.asked.with_row_index("row")
        .join(gateways, on="row", how="left", maintain_order="left")
        .with_columns(aws_service=pl.when(pl.col("resolution") == "external").then(topology.services(ends.asked)))
        .select("question", *ANSWER.names())
    )


def _own_ends(rest: pl.DataFrame, index: AddressIndex) -> pl.DataFrame:
    """The interface that recorded is the owner, whatever is known of it."""
    own = rest.filter(pl.col("own_eni_id").is_not_null())
    found = index.interface(own.select(pl.col("own_eni_id").alias("eni_id"), "at"))
    word = pl.when(found["is_earliest"]).then(pl.lit("earliest")).otherwise(pl.lit("exact"))
    return own.select("row", owner=found["owner"], resolution=word)


def _in_vpc(asked: pl.DataFrame, index: AddressIndex, topology: Topology, *, ends_search: bool) -> pl.DataFrame:
    """Who had the address in the VPC of column `scope`, which is one of ours or not (`is_ours`).

    Args:
        ends_search: an address that nobody had is `unknown` if the VPC's ranges hold it; else it always is.
    """
    places = asked.select(pl.col("scope").alias("vpc_id"), "address", "at")
    found = index.at_place(places)
    had = asked.with_row_index("asked").join(found, on="asked", how="left", maintain_order="left")
    ranges = topology.delegated(asked, scope="scope")
    delegated = index.interface(ranges.with_columns(at=asked["at"]))
    by_range = pl.when(delegated["is_earliest"]).then(pl.lit("earliest")).otherwise(pl.lit("exact"))
    is_held = topology.is_own(places.with_columns(number=asked["number"])) if ends_search else pl.lit(True)
    return had.select(
        "row",
        owner=pl.when(pl.col("owners") == 1)
        .then("owner")
        .when(pl.col("owners").is_null())
        .then(delegated["owner"]),
        resolution=pl.when(pl.col("owners") > 1)
        .then(pl.lit("ambiguous"))
        .when(pl.col("owners") == 1)
        .then("word")
        .when(delegated["owner"].is_not_null())
        .then(by_range)
        .when(is_held)
        .then(pl.lit("unknown")),
        is_in_vpc="is_ours",
    ).drop_nulls("resolution")  # fmt: skip


def _along_routes(rest: pl.DataFrame, routed: pl.DataFrame, index: AddressIndex, topology: Topology) -> pl.DataFrame:
    """Where the most specific route of the record's subnet leads: into one VPC, or out of AWS."""
    to = rest.with_columns(scope=routed["target_vpc_id"], is_ours=routed["target_is_ours"])
    leads = to.filter(pl.col("scope").is_not_null())
    # Some routes lead to more than is there: a VPC whose ranges are known, and do not hold the address, is not meant.
    known = leads["scope"].is_in(topology.known_vpcs.implode())
    holds = topology.is_own(leads.select(pl.col("scope").alias("vpc_id"), "number"))
    inside = _in_vpc(leads.filter(holds | ~known), index, topology, ends_search=False)
    outside = rest.filter(routed["is_on_premises"]).select(
        "row", owner=pl.lit(None, pl.UInt32), resolution=pl.lit("external"), is_on_premises=pl.lit(True)
    )
    is_service = (routed["gateway_type"] == "vpc_endpoint").fill_null(False) & rest["is_internet"].fill_null(False)
    services = rest.filter(is_service).select("row", resolution=pl.lit("external"))
    return pl.concat([inside, outside, services], how="diagonal").unique("row", keep="first", maintain_order=True)


def _in_reach(rest: pl.DataFrame, index: AddressIndex, topology: Topology) -> pl.DataFrame:
    """The questions whose address a VPC in reach holds, answered; two such VPCs make them ambiguous."""
    held = topology.reachable(rest.select("row", "vpc_id", "number"))
    one = rest.join(held.filter(pl.col("targets") == 1).select("row", scope="target_vpc_id"), on="row", how="inner")
    several = held.filter(pl.col("targets") > 1).select("row", resolution=pl.lit("ambiguous"), is_in_vpc=pl.lit(True))
    inside = _in_vpc(one.with_columns(is_ours=topology.is_ours(one["scope"])), index, topology, ends_search=False)
    behind = rest.filter(topology.is_on_premises(rest.select("row", "vpc_id", "number")))
    outside = behind.join(held, on="row", how="anti").select(
        "row", resolution=pl.lit("external"), is_on_premises=pl.lit(True)
    )
    return pl.concat([inside, several, outside], how="diagonal")


def _anywhere(rest: pl.DataFrame, index: AddressIndex, topology: Topology) -> pl.DataFrame:
    """The questions for which one interface of the organization had the address, and nothing speaks for another.

    A private address is asked for only where the record's VPC is known, so that it is known not to lie in it.
    """
    is_known = pl.col("vpc_id").is_in(topology.vpcs_ever.implode()).fill_null(False)
    asked = rest.filter(pl.col("is_internet").fill_null(False) | is_known)
    found = index.at_address(asked.select("address", "at"))
    holders = pl.concat([asked.select("row"), topology.holders(asked)], how="horizontal").with_row_index("asked")
    told = holders.join(found, on="asked", how="inner", maintain_order="left")
    its_vpc = index.owners["vpc_id"].gather(told["owner"]).cast(pl.String)
    is_clear = (pl.col("owners") == 1) & (
        (pl.col("holders") == 0) | ((pl.col("holders") == 1) & (pl.col("holder") == its_vpc).fill_null(False))
    )
    return told.select(
        "row",
        owner=pl.when(is_clear).then("owner"),
        resolution=pl.when(is_clear).then("word").otherwise(pl.lit("ambiguous")),
        is_in_vpc=pl.lit(True),
    )


def instants(index: AddressIndex, moments: pl.Series) -> pl.Series:
    """The instants that stand for the times of records, as far as ranges, routes and connections go.

    Returns:
        The beginning of each stretch within which the network did not change, in order, from the one that holds the
        earliest moment to the one that holds the latest. What was before the first change of all begins at _BEGINNING.
    """
    begin, end = moments.min(), moments.max()
    if begin is None or end is None:
        return moments.clear()
    edges = pl.concat([pl.Series([_BEGINNING], dtype=moments.dtype), index.network_edges.cast(moments.dtype)])
    first, last = edges.search_sorted(pl.Series([begin, end], dtype=moments.dtype), side="right")
    return edges[first - 1 : last]
