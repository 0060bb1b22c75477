"""What is said of the ends of flow records, each end that was asked for once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from kentik_dagster.catalog.tables import END_COLUMNS, PLACE_COLUMNS, TABLES
from kentik_dagster.core.address_index import AddressIndex
from kentik_dagster.core.distinct import coded
from kentik_dagster.core.end_questions import Questions
from kentik_dagster.core.observation import SAID
from kentik_dagster.core.schemas import polars_schema
from kentik_dagster.core.traffic import NETS, network_of

# Countries and autonomous systems of addresses: one row per distinct address, `address` and PLACE_COLUMNS.
Places = Callable[[pl.Series], pl.DataFrame]
# What many ends share, and what hardly two do: categories of the latter are forgotten with the batch.
_FEW = ("resolution", "gateway_id", "gateway_type", "forwarding_state", "aws_service", "country", "as_name")
_MANY = ("instance_name", "eni_entity_name")
_ENRICHED = polars_schema(TABLES["enriched_flows"])


def described_ends(
    questions: Questions, answers: pl.DataFrame, index: AddressIndex, places: Places | None
) -> pl.DataFrame:
    """What is said of each end that was asked for: the columns of an end, `net`, and what its route says.

    Ids of interfaces and instances are of the categories that the records have of those that recorded.

    Returns:
        One row per question, in the same order, and a last one for records that have no such end: all null.
    """
    said = questions.said.with_columns(address=questions.asked.text)
    answers, said = (pl.concat([rows, rows.clear(1)], rechunk=True) for rows in (answers, said))
    own = pl.Series(np.append(questions.asked.are_own, False))
    owners = index.owners.select(pl.col(END_COLUMNS).gather(answers["owner"]))
    recorders = {name: said[f"said_{name}"].dtype for name in ("eni_id", "instance_id")}
    described = owners.cast(recorders).with_columns(coded(owners[name]) for name in _MANY)  # type: ignore[arg-type]
    if own.any():
        described = described.with_columns(_as_recorded(described, said, own, index))
    told = answers.with_columns(_places(said["address"], answers["resolution"], places)).select(
        "resolution", "gateway_id", "gateway_type", "forwarding_state", "aws_service", *PLACE_COLUMNS, "is_in_vpc",
        net=network_of(pl.col("resolution"), pl.col("is_on_premises")),
    )  # fmt: skip
    ends = pl.concat([described, told], how="horizontal")
    return ends.with_columns(
        pl.selectors.by_name(_FEW).cast(pl.Categorical),
        net=pl.when(pl.col("resolution").is_not_null()).then(
            pl.col("net").replace_strict(NETS, default=len(NETS), return_dtype=pl.UInt8)
        ),
    )


def _as_recorded(described: pl.DataFrame, recorded: pl.DataFrame, own: pl.Series, index: AddressIndex) -> list[pl.Expr]:
    """What the record says of its own interface, where metadata does not say it or says another instance."""
    said = recorded.select(pl.when(own).then(f"said_{name}").alias(name) for name in SAID)
    names = said.select("account_id").join(index.account_names, on="account_id", how="left", maintain_order="left")
    moved = (said["instance_id"] != described["instance_id"]).fill_null(False)
    columns: list[pl.Expr] = []
    for name in END_COLUMNS:
        if name == "instance_id":
            columns.append(pl.coalesce(said[name], pl.col(name)).alias(name))
        elif name == "account_name":
            columns.append(pl.coalesce(pl.col(name), names[name]).alias(name))
        elif name in SAID:
            columns.append(pl.coalesce(pl.col(name), said[name]).alias(name))
        elif name in ("instance_name", "eni_entity_name", "tags"):
            columns.append(pl.when(~moved).then(pl.col(name)).alias(name))
    return columns


def _places(addresses: pl.Series, resolutions: pl.Series, places: Places | None) -> list[pl.Series]:
    """Country and autonomous system of the addresses that are not ours."""
    if places is None:
        types = {name: _ENRICHED[f"src_{name}"] for name in PLACE_COLUMNS}
        return [pl.repeat(None, len(addresses), dtype=types[name], eager=True).alias(name) for name in types]
    outside = pl.select(address=pl.when(resolutions == "external").then(addresses.cast(pl.String)))
    found = places(outside["address"].drop_nulls().unique())
    told = outside.join(found, on="address", how="left", maintain_order="left")
    return [told[name] for name in PLACE_COLUMNS]
