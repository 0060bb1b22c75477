"""How ends were resolved is counted by VPC and reason; what is on the internet is not held against us."""

from __future__ import annotations

import polars as pl
import pytest

from kentik_dagster.core.unresolved import ends_by_vpc, shares, together, unresolved_share

Flow = tuple[str | None, str, str | None, str, str | None]  # VPC, both ends and how they were resolved


def enriched(*flows: Flow) -> pl.DataFrame:
    columns = ["observing_vpc_id", "src_addr", "src_resolution", "dst_addr", "dst_resolution"]
    schema = dict.fromkeys(columns, pl.String) | dict.fromkeys(["src_pkt_addr", "dst_pkt_addr"], pl.String)
    return pl.DataFrame([(*flow, None, None) for flow in flows], schema=schema, orient="row")


HOUR = enriched(
    ("vpc-1", "10.0.0.1", "exact", "10.0.9.9", "unknown"),
    ("vpc-1", "10.0.0.1", "exact", "198.51.100.7", "external"),
    ("vpc-2", "10.0.0.2", "earliest", "10.0.0.1", "ambiguous"),
    (None, "10.0.0.3", "unknown", "nonsense", "unknown"),
    ("vpc-1", "-", None, "-", None),
)


def test_ends_are_counted_by_vpc_and_reason() -> None:
    counted = {(vpc, word, internal): ends for vpc, word, internal, ends in ends_by_vpc(HOUR).iter_rows()}

    assert counted == {
        ("vpc-1", "exact", True): 2,
        ("vpc-1", "unknown", True): 1,
        ("vpc-1", "external", False): 1,
        ("vpc-2", "earliest", True): 1,
        ("vpc-2", "ambiguous", True): 1,
        (None, "unknown", True): 2,
    }


def test_the_share_is_that_of_internal_ends() -> None:
    assert unresolved_share(ends_by_vpc(HOUR)) == pytest.approx(4 / 7)


def test_an_internet_address_that_two_of_ours_had_is_not_internal() -> None:
    shared = enriched(("vpc-1", "10.0.0.1", "exact", "198.51.100.7", "ambiguous"))

    assert unresolved_share(ends_by_vpc(shared)) == 0


def test_hours_add_up() -> None:
    counted = ends_by_vpc(HOUR)

    assert together([counted, counted])["ends"].sum() == 2 * counted["ends"].sum()
    assert together([counted, counted]).height == counted.height
    assert together([]).is_empty()


def test_shares_are_those_of_all_vpcs() -> None:
    assert shares(ends_by_vpc(HOUR)).rows() == [
        ("unknown", 3, 3 / 8),
        ("exact", 2, 2 / 8),
        ("ambiguous", 1, 1 / 8),
        ("earliest", 1, 1 / 8),
        ("external", 1, 1 / 8),
    ]


def test_nothing_has_no_share() -> None:
    nothing = ends_by_vpc(enriched())

    assert shares(nothing).is_empty()
    assert unresolved_share(nothing) == 0
