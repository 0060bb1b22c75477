"""What to ask of the ends of flow records: each question once, and for each record which are its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from kentik_dagster.core.address_index import AddressIndex, microseconds
from kentik_dagster.core.codes import gathered
from kentik_dagster.core.distinct import NONE, Numbers, numbered, numbered_keys, texts
from kentik_dagster.core.moments import last_changes
from kentik_dagster.core.observation import SAID, Observed
from kentik_dagster.core.resolution import Asked

SIDES = ("src", "dst")


@dataclass(frozen=True, slots=True)
class Questions:
    """What to ask of the ends of records, each question once.

    Attributes:
        asked: the questions.
        said: one row per question: what its record says of its interface (`said_*`).
        of: for each side the number of each record's question, null where it has none.
    """

    asked: Asked
    said: pl.DataFrame
    of: dict[str, pl.Series]


def end_questions(records: pl.DataFrame, observed: Observed, index: AddressIndex) -> Questions:
    """What to ask of the ends of records.

    An interface's own end is asked for as of the interface; any other as of what the interface's subnet sees, which is
    the same for many interfaces.

    Args:
        records: with `src_end`, `dst_end` (addresses), `src_is_own`, `dst_is_own`, `moment`.
        observed: where each of them was taken.
    """
    ends = pl.concat(records[f"{side}_end"].alias("end") for side in SIDES)
    addresses, address = texts(ends)
    moments = records["moment"]
    codes = index.codes.of(addresses)
    changed_at = last_changes(address, codes, pl.concat([moments, moments]), index.address_changes)
    distinct, numbers = _each_once(records, observed, address, changed_at.alias("changed_at"), len(addresses))

    where = pl.concat([observed.places, observed.scopes], how="diagonal")
    is_asked = (distinct["address"] >= 0) & where["instant"].is_not_null().gather(distinct["scope"])
    question = gathered(np.where(is_asked, np.cumsum(is_asked) - 1, NONE)).gather(numbers)
    distinct = distinct.filter(is_asked)
    first = int(str(moments.to_physical().min() or 0))
    return Questions(
        asked=_asked(distinct.with_columns(text=ends.gather(distinct["row"])), where, codes, first, index),
        said=where.select(pl.col([f"said_{name}" for name in SAID]).gather(distinct["scope"])),
        of=dict(zip(SIDES, (question[: records.height], question[records.height :]), strict=True)),
    )


def _each_once(
    records: pl.DataFrame, observed: Observed, address: Numbers, changed_at: pl.Series, addresses: int
) -> tuple[pl.DataFrame, Numbers]:
    """The distinct questions of the ends of both sides, and for each end the number of its own.

    Returns:
        Per question: `row` (an end that asks it), `scope` (its place or, behind all places, its scope), `address`,
        `is_own`, `changed_at`, and `tgw_vpc_id` and `tgw_id` if any record has them.
    """
    of_sides = [records[f"{side}_is_own"].to_numpy() for side in SIDES]
    place, scope = (numbers.cast(pl.Int64).to_numpy() for numbers in (observed.place, observed.places["scope"]))
    its_scope = (scope + observed.places.height)[place]
    seen_from = np.concatenate([np.where(are_own, place, its_scope) for are_own in of_sides])
    gateways = pl.Categorical(pl.Categories.random())
    also = pl.concat(
        records.select(pl.col(f"tgw_{side}_vpc_id").alias("tgw_vpc_id"), "tgw_id").cast(gateways) for side in SIDES
    ).with_columns(changed_at)
    also = also.select(column for column in also if column.null_count() < len(column))
    keys, size = seen_from * (addresses + 1) + address + 1, (len(scope) + observed.scopes.height) * (addresses + 1)
    if also.width:
        (rows, keys), (different, number) = numbered_keys(keys, size), numbered(also)
        keys, size = keys * different.height + number.to_numpy(), len(rows) * different.height
    rows, numbers = numbered_keys(keys, size)
    is_own = np.concatenate(of_sides)[rows]
    distinct = pl.DataFrame({"row": rows, "scope": seen_from[rows], "address": address[rows], "is_own": is_own})
    return pl.concat([distinct, also.select(pl.all().gather(rows))], how="horizontal"), numbers


def _asked(distinct: pl.DataFrame, where: pl.DataFrame, codes: Numbers, first: int, index: AddressIndex) -> Asked:
    scope, address = (distinct[name].to_numpy() for name in ("scope", "address"))
    is_own = distinct["is_own"].to_numpy()
    own = where["own"].fill_null(NONE).to_numpy()[scope]
    are_seen, had = index.had(np.where(is_own, own, NONE), codes[address])
    # An interface that metadata has never shown is taken at its word if it is an instance's.
    are_taken = ~are_seen & where["said_instance_id"].is_not_null().to_numpy()[scope]
    # What is asked of an interface itself changes with the interface, which `seen_at` says.
    times = [microseconds(where[name], first)[scope] for name in ("instant", "seen_at")]
    if "changed_at" in distinct.columns:
        times.append(microseconds(distinct["changed_at"], first))
    return Asked(
        vpc=_either(where["vpc"].to_numpy()[scope], distinct, "tgw_vpc_id", index),
        via=_either(where["via"].to_numpy()[scope], distinct, "tgw_id", index),
        address=codes[address],
        text=distinct["text"],
        own=own,
        at=np.maximum.reduce(times).clip(first),
        instant=where["instant"].gather(scope),
        are_own=is_own & (had | are_taken),
        are_disputed=is_own & ~are_seen & ~are_taken,
    )


def _either(said: Numbers, distinct: pl.DataFrame, otherwise: str, index: AddressIndex) -> Numbers:
    """What is said of the scope of each question or, where nothing is, what a transit gateway says of another's end."""
    if otherwise not in distinct.columns:
        return said
    return np.where((said == NONE) & ~distinct["is_own"].to_numpy(), index.codes.of(distinct[otherwise]), said)


def is_own() -> dict[str, pl.Expr]:
    """Whether an end is the interface that recorded: it sent or received the packet with its own address.

    Where it only hands packets on, the address in the packet is another than that which the interface sees.
    """
    return {
        f"{side}_is_own": (
            (pl.col("flow_direction") == way)
            & (pl.col(f"{side}addr") == pl.col(f"pkt_{side}addr"))
            & pl.col("interface_id").is_not_null()
        ).fill_null(False)
        for side, way in zip(SIDES, ("egress", "ingress"), strict=True)
    }
