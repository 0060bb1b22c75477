"""Who had an address at a moment, as seen from a VPC: found by rule, or said not to be known.

An address is looked up in the VPC of the record; then, if that VPC's ranges do not hold it, in the VPCs peered
with it; then, only if it is unique there, in the organization: one interface has it, and no other VPC's range
holds it. A range that holds the address ends the search: its owner is there or not known, so overlapping ranges
never give a wrong owner.
"""

from __future__ import annotations

import polars as pl

from kentik_dagster.catalog.tables import END_COLUMNS
from kentik_dagster.core.addresses import address_numbers, ranges
from kentik_dagster.core.schemas import require

_QUESTION = ("vpc_id", "address", "epoch")


def epochs(book: pl.DataFrame, moments: pl.Series, addresses: pl.Series) -> pl.DataFrame:
    """The stretches of time within which nothing in the book changes that concerns these addresses.

    Returns:
        One row per stretch, in order: `epoch` (uint32, from 0), `epoch_at` (an instant that stands for it; the
        first is the earliest moment).
    """
    known = moments.drop_nulls().sort()
    concerned = book.filter((pl.col("kind") != "interface_address") | pl.col("address").is_in(addresses.implode()))
    edges = pl.concat([concerned["valid_from"], concerned["valid_to"]]).drop_nulls().unique()
    inside = edges.filter(edges.is_between(known[0], known[-1], closed="right")) if len(known) else edges.clear()
    instants = pl.concat([known.head(1), inside]).sort()
    return pl.DataFrame({"epoch_at": instants}).with_row_index("epoch")


def resolve(questions: pl.DataFrame, book: pl.DataFrame) -> pl.DataFrame:
    """Answer who had each address.

    Args:
        questions: one row per distinct question: `vpc_id` (null: the record's VPC is not known), `address`,
            `epoch`, `epoch_at` (UTC).
        book: rows of `address_book`.

    Returns:
        One row per question: `vpc_id`, `address`, `epoch`, the columns of END_COLUMNS prefixed `end_` (null
        unless found), and `end_resolution`:
        `exact` (that interface had it then), `earliest` (older than the first snapshot, which saw it there),
        `external` (an internet address that is not ours), `ambiguous` (several had it), `unknown`.
    """
    require(questions, *_QUESTION, "epoch_at", by="resolve")
    require(book, "kind", "address", "vpc_id", "valid_from", "valid_to", "eni_id", by="resolve")
    asked = questions.join(address_numbers(questions["address"]), on="address", how="left")
    owners = book.filter(pl.col("kind") == "interface_address")
    blocks = _blocks(book)

    own = _found(asked.with_columns(scope=pl.col("vpc_id")), owners)
    rest = asked.join(own, on=_QUESTION, how="anti", nulls_equal=True)

    held_here = _held(rest.with_columns(scope=pl.col("vpc_id")), blocks)
    unknown_here = _said(held_here.select(*_QUESTION).unique(), "unknown")
    rest = rest.join(held_here, on=_QUESTION, how="anti", nulls_equal=True)

    in_peers = _in_peers(rest, book, owners, blocks)
    rest = rest.join(in_peers, on=_QUESTION, how="anti", nulls_equal=True)

    anywhere = _anywhere(_may_be_anywhere(rest, blocks), owners, blocks)
    rest = rest.join(anywhere, on=_QUESTION, how="anti", nulls_equal=True)

    outside = _said(rest.filter(pl.col("is_internet")).select(*_QUESTION), "external")
    unknown = _said(rest.filter(pl.col("is_internet").ne_missing(True)).select(*_QUESTION), "unknown")
    return pl.concat([own, unknown_here, in_peers, anywhere, outside, unknown], how="diagonal")


def _standing(at: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Whether a row of the book stood at an instant; and whether it is only known to have stood later."""
    exact = (pl.col("valid_from") <= at) & (pl.col("valid_to").is_null() | (at < pl.col("valid_to")))
    earliest = pl.col("since_first_snapshot") & (at < pl.col("valid_from"))
    return exact.alias("is_exact"), earliest.alias("is_earliest")


def _found(asked: pl.DataFrame, owners: pl.DataFrame, *, scoped: bool = True) -> pl.DataFrame:
    """The questions for which an interface in `scope` had the address then, answered."""
    known = owners.rename({name: f"end_{name}" for name in END_COLUMNS})
    if scoped:
        candidates = asked.join(known.with_columns(scope=pl.col("end_vpc_id")), on=["scope", "address"], how="inner")
    else:
        candidates = asked.join(known, on="address", how="inner")
    exact, earliest = _standing(pl.col("epoch_at"))
    candidates = candidates.with_columns(exact, earliest).filter(pl.col("is_exact") | pl.col("is_earliest"))
    # What was true then outweighs what was only true later.
    candidates = candidates.filter(pl.col("is_exact") == pl.col("is_exact").any().over(_QUESTION))
    several = pl.col("end_eni_id").n_unique().over(_QUESTION) > 1
    word = (
        pl.when(several).then(pl.lit("ambiguous")).when("is_exact").then(pl.lit("exact")).otherwise(pl.lit("earliest"))
    )
    answered = candidates.with_columns(end_resolution=word).unique(_QUESTION, keep="first", maintain_order=True)
    is_clear = pl.col("end_resolution") != "ambiguous"
    return answered.select(
        *_QUESTION,
        *(pl.when(is_clear).then(pl.col(f"end_{name}")).alias(f"end_{name}") for name in END_COLUMNS),
        "end_resolution",
    )


def _blocks(book: pl.DataFrame) -> pl.DataFrame:
    held = book.filter(pl.col("kind") == "vpc_cidr").rename({"address": "cidr_block", "vpc_id": "scope"})
    return held.join(ranges(held["cidr_block"]), on="cidr_block").select(
        "scope", "first", "last", "valid_from", "valid_to", "since_first_snapshot"
    )


def _held(asked: pl.DataFrame, blocks: pl.DataFrame) -> pl.DataFrame:
    """The questions whose address lies in a range that `scope` had then: `vpc_id`, `address`, `epoch`, `scope`."""
    exact, earliest = _standing(pl.col("epoch_at"))
    return (
        asked.join(blocks, on="scope", how="inner")
        .filter(pl.col("number").is_between("first", "last"), exact | earliest)
        .select(*_QUESTION, "scope")
        .unique()
    )


def _in_peers(asked: pl.DataFrame, book: pl.DataFrame, owners: pl.DataFrame, blocks: pl.DataFrame) -> pl.DataFrame:
    """The questions whose address lies in a peered VPC, answered; two such VPCs make them ambiguous."""
    peerings = book.filter(pl.col("kind") == "peering").select(
        "vpc_id", pl.col("peer_vpc_id").alias("scope"), "valid_from", "valid_to", "since_first_snapshot"
    )
    exact, earliest = _standing(pl.col("epoch_at"))
    reachable = (
        asked.join(peerings, on="vpc_id", how="inner")
        .filter(exact | earliest)
        .drop("valid_from", "valid_to", "since_first_snapshot")
        .unique([*_QUESTION, "scope"])
    )
    held = _held(reachable, blocks).with_columns(places=pl.len().over(_QUESTION))
    several = _said(held.filter(pl.col("places") > 1).select(*_QUESTION).unique(), "ambiguous")
    one = asked.join(held.filter(pl.col("places") == 1).drop("places"), on=_QUESTION, how="inner", nulls_equal=True)
    found = _found(one, owners)
    lost = _said(one.join(found, on=_QUESTION, how="anti", nulls_equal=True).select(*_QUESTION), "unknown")
    return pl.concat([several, found, lost], how="diagonal")


def _may_be_anywhere(asked: pl.DataFrame, blocks: pl.DataFrame) -> pl.DataFrame:
    """Internet addresses; and others where the record's VPC is known, so that they are known not to lie in it."""
    known_vpcs = blocks.select(pl.col("scope").alias("vpc_id")).unique()
    inside = asked.filter(pl.col("is_internet").ne_missing(True)).join(known_vpcs, on="vpc_id", how="semi")
    return pl.concat([asked.filter(pl.col("is_internet")), inside])


def _anywhere(asked: pl.DataFrame, owners: pl.DataFrame, blocks: pl.DataFrame) -> pl.DataFrame:
    """The questions for which interfaces of the organization had the address then, answered."""
    found = _found(asked, owners, scoped=False)
    found_in = found.filter(pl.col("end_resolution") != "ambiguous").select(*_QUESTION, "end_vpc_id")
    exact, earliest = _standing(pl.col("epoch_at"))
    # Where another VPC has the same range, the one interface that is known need not be the one that was meant.
    held_elsewhere = (
        asked.join(found_in, on=_QUESTION, how="inner", nulls_equal=True)
        .join_where(blocks, pl.col("number") >= pl.col("first"), pl.col("number") <= pl.col("last"))
        .filter(exact | earliest, pl.col("scope") != pl.col("end_vpc_id"))
        .select(*_QUESTION)
        .unique()
    )
    clear = found.join(held_elsewhere, on=_QUESTION, how="anti", nulls_equal=True)
    return pl.concat([clear, _said(held_elsewhere, "ambiguous")], how="diagonal")


def _said(asked: pl.DataFrame, word: str) -> pl.DataFrame:
    return asked.with_columns(end_resolution=pl.lit(word))
