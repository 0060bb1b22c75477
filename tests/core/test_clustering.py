"""Rows of flow logs that lie together: the same rows, those of one interface and pair of addresses as neighbours."""

from __future__ import annotations

from itertools import groupby

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kentik_dagster.core import enrichment
from kentik_dagster.core.enrichment import clustered

SCHEMA = dict.fromkeys(("interface_id", "srcaddr", "dstaddr", "pkt_srcaddr", "action"), pl.String) | {"bytes": pl.Int64}
_INTERFACES = st.sampled_from(["eni-1", "eni-2", None])
_ADDRESSES = st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1", None])
_ROWS = st.tuples(
    _INTERFACES, _ADDRESSES, _ADDRESSES, _ADDRESSES, st.sampled_from(["ACCEPT", "REJECT"]), st.integers(0, 9)
)


def in_order(frame: pl.DataFrame) -> list[tuple[object, ...]]:
    return sorted(frame.select(list(SCHEMA)).rows(), key=repr)


@given(st.lists(_ROWS, max_size=20))
def test_clustered_rows_are_the_same_rows_and_lie_together(rows: list[tuple[object, ...]]) -> None:
    flows = pl.DataFrame(rows, schema=SCHEMA, orient="row")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(enrichment, "_MANY_ROWS", 0)
        together = clustered(flows)

    assert in_order(together) == in_order(flows)
    groups = [key for key, _ in groupby(together.select("interface_id", "srcaddr", "dstaddr").rows())]
    assert len(groups) == len(set(groups))


@given(st.lists(_ROWS, max_size=20))
def test_a_few_rows_stay_in_the_order_of_the_log(rows: list[tuple[object, ...]]) -> None:
    flows = pl.DataFrame(rows, schema=SCHEMA, orient="row")

    assert clustered(flows).select(list(SCHEMA)).rows() == rows


def test_addresses_of_all_columns_can_be_compared() -> None:
    flows = pl.DataFrame([("eni-1", "192.0.2.1", None, "192.0.2.1", "ACCEPT", 1)], schema=SCHEMA, orient="row")

    together = clustered(flows)

    assert (together["srcaddr"] == together["pkt_srcaddr"]).to_list() == [True]
    assert together.select("dstaddr", "pkt_dstaddr").row(0) == (None, None)
