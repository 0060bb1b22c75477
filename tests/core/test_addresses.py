"""Addresses as numbers agree with Python's own ipaddress module, for IPv4, IPv6 and texts that are neither."""

from __future__ import annotations

import ipaddress

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.catalog.addresses import NOT_INTERNET
from kentik_dagster.core.addresses import address_numbers, ranges

MAPPED = 0xFFFF << 32
NOBODYS = [ipaddress.ip_network(block) for block in NOT_INTERNET]

_v4 = st.ip_addresses(v=4).map(str)
_v6 = st.ip_addresses(v=6)
_v6_texts = st.one_of(
    _v6.map(str), _v6.map(lambda address: address.exploded.upper()), _v4.map(lambda text: f"::ffff:{text}")
)
_garbage = st.one_of(
    st.text(max_size=12),
    st.text("0123456789.", max_size=15),
    st.text("0123456789abcdef:.", max_size=20),
    st.sampled_from(
        ["-", "unknown", "010.0.0.1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4/32", "1.2.3.4\n", "\u0661.2.3.4"]
    ),
)


def number(text: str) -> int | None:
    """The number that a text stands for, by the standard library."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return int(address) + (MAPPED if address.version == 4 else 0)


def is_internet(text: str) -> bool | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if address.version == 6 and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return not any(address in network for network in NOBODYS)


@settings(deadline=None, max_examples=80)
@given(st.lists(st.one_of(_v4, _v6_texts, _garbage), max_size=20))
def test_every_text_has_the_number_that_the_standard_library_gives_it(texts: list[str]) -> None:
    numbered = address_numbers(pl.Series(texts, dtype=pl.String))

    assert sorted(numbered.rows()) == sorted((text, number(text), is_internet(text)) for text in set(texts))


@settings(deadline=None, max_examples=80)
@given(st.lists(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), min_size=1, max_size=5), st.integers(0, 128))
def test_a_range_begins_and_ends_where_its_network_does(
    addresses: list[ipaddress.IPv4Address | ipaddress.IPv6Address], length: int
) -> None:
    blocks = [f"{address}/{min(length, address.max_prefixlen)}" for address in addresses]

    found = ranges(pl.Series([*blocks, blocks[0]]))

    networks = {block: ipaddress.ip_network(block, strict=False) for block in blocks}
    assert sorted(found.rows()) == sorted(
        (block, number(str(network[0])), number(str(network[-1]))) for block, network in networks.items()
    )


@pytest.mark.parametrize("text", ["", "-", "pl-0123456789abcdef0", "10.0.0.0/33", "10.0.0.0/", "2001:db8::/129", "x/8"])
def test_what_is_no_range_is_left_out(text: str) -> None:
    assert ranges(pl.Series([text, None, "10.0.0.0/8"]))["cidr_block"].to_list() == ["10.0.0.0/8"]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.1", True),
        ("8.8.8.8", True),
        ("2001:db8::1", True),
        ("10.255.255.255", False),
        ("11.0.0.0", True),
        ("172.15.255.255", True),
        ("172.16.0.0", False),
        ("172.32.0.0", True),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("fd00::1", False),
        ("fe80::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:8.8.8.8", True),
    ],
)
def test_private_ranges_are_not_the_internet(address: str, expected: bool) -> None:
    assert address_numbers(pl.Series([address]))["is_internet"].to_list() == [expected]


def test_no_addresses_are_no_numbers() -> None:
    assert address_numbers(pl.Series([None], dtype=pl.String)).is_empty()
    assert ranges(pl.Series([], dtype=pl.String)).is_empty()
