"""Countries and autonomous systems of addresses, from files of several vendors, whole and broken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from kentik_dagster.errors import PlacesError
from kentik_dagster.work.places import Places

BERLIN, PARIS, TOKYO = "192.0.2.1", "198.51.100.7", "2001:db8::1"
Networks = Mapping[str, Mapping[str, Any]]
COUNTRIES: Networks = {
    "192.0.2.0/24": {"country": {"iso_code": "DE", "names": {"en": "Germany"}}},
    "198.51.100.0/24": {"country": {"iso_code": "FR"}},
    "203.0.113.0/24": {"registered_country": {"iso_code": "US"}},
    "2001:db8::/32": {"country": {"iso_code": "JP"}},
    "10.0.0.0/8": {"country": {"iso_code": "XX"}},
}
SYSTEMS: Networks = {
    "192.0.2.0/24": {"autonomous_system_number": 64_496, "autonomous_system_organization": "Example Net"},
    "2001:db8::/32": {"autonomous_system_number": 4_200_000_000},
}
Row = tuple[str, str | None, int | None, str | None]


def database(path: Path, networks: Networks, kind: str = "Test", ip_version: int = 6) -> str:
    """A file in MaxMind's format with these networks."""
    writer = MMDBWriter(ip_version=ip_version, database_type=kind, ipv4_compatible=ip_version == 6)
    for network, record in networks.items():
        writer.insert_network(IPSet([network]), dict(record))
    writer.to_db_file(str(path))
    return str(path)


@pytest.fixture
def countries(tmp_path: Path) -> str:
    return database(tmp_path / "country.mmdb", COUNTRIES, "GeoLite2-Country")


@pytest.fixture
def systems(tmp_path: Path) -> str:
    return database(tmp_path / "asn.mmdb", SYSTEMS, "GeoLite2-ASN")


@pytest.fixture
def places(countries: str, systems: str) -> Iterator[Places]:
    with Places(countries, systems) as opened:
        yield opened


def rows(places: Places, *addresses: str | None) -> list[Row]:
    return places.of(pl.Series(addresses, dtype=pl.String)).sort("address").rows()


def test_an_address_has_a_country_and_an_autonomous_system(places: Places) -> None:
    assert rows(places, BERLIN, PARIS, TOKYO) == [
        (BERLIN, "DE", 64_496, "Example Net"),
        (PARIS, "FR", None, None),
        (TOKYO, "JP", 4_200_000_000, None),
    ]


def test_each_address_has_one_row_and_no_address_none(places: Places) -> None:
    assert rows(places, BERLIN, None, BERLIN) == [(BERLIN, "DE", 64_496, "Example Net")]
    assert places.of(pl.Series([], dtype=pl.String)).schema == {
        "address": pl.String(),
        "country": pl.String(),
        "as_number": pl.Int64(),
        "as_name": pl.String(),
    }


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "fe80::1%eth0", "8.8.8.8", "2001:4860::1", "nonsense", "", "192.0.2.256", "192.0.2.0/24"]
)
def test_what_is_private_unknown_or_no_address_is_nowhere(places: Places, address: str) -> None:
    assert rows(places, address) == [(address, None, None, None)]


def test_where_a_network_is_registered_is_not_where_it_is(places: Places) -> None:
    assert rows(places, "203.0.113.1") == [("203.0.113.1", None, None, None)]


def test_an_ipv4_address_written_as_ipv6_is_the_same_address(places: Places) -> None:
    assert rows(places, "::ffff:192.0.2.1") == [("::ffff:192.0.2.1", "DE", 64_496, "Example Net")]


def test_either_database_may_be_left_out(countries: str, systems: str) -> None:
    with Places(country=countries) as only_countries, Places(autonomous_system=systems) as only_systems:
        assert rows(only_countries, BERLIN) == [(BERLIN, "DE", None, None)]
        assert rows(only_systems, BERLIN) == [(BERLIN, None, 64_496, "Example Net")]
    assert rows(Places(), BERLIN) == [(BERLIN, None, None, None)]


def test_a_database_of_ipv4_only_knows_no_ipv6_address(tmp_path: Path) -> None:
    path = database(tmp_path / "v4.mmdb", {"192.0.2.0/24": COUNTRIES["192.0.2.0/24"]}, ip_version=4)

    with Places(country=path) as opened:
        assert rows(opened, BERLIN, TOKYO) == [(BERLIN, "DE", None, None), (TOKYO, None, None, None)]


@pytest.mark.parametrize(
    "record",
    [
        {"country": "DE", "country_name": "Germany", "asn": "AS64496", "as_name": "Example Net"},
        {"country": "Germany", "country_code": "DE", "asn": "AS64496", "name": "Example Net"},
        {"country_code": "DE", "autonomous_system_number": 64_496, "autonomous_system_organization": "Example Net"},
    ],
)
def test_flat_records_of_other_vendors_are_read(tmp_path: Path, record: dict[str, Any]) -> None:
    path = database(tmp_path / "flat.mmdb", {"192.0.2.0/24": record}, "ipinfo bundle")

    with Places(path, path) as opened:
        assert rows(opened, BERLIN) == [(BERLIN, "DE", 64_496, "Example Net")]


def test_threads_share_the_databases(places: Places) -> None:
    addresses = pl.Series([f"192.0.2.{host}" for host in range(256)])

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(places.of, [addresses] * 32))

    assert all(frame["country"].to_list() == ["DE"] * 256 for frame in found)


# --- files that are of no use -------------------------------------------------------------------------------------


def test_a_file_that_is_not_there_is_said_with_its_key(tmp_path: Path) -> None:
    path = str(tmp_path / "none.mmdb")

    with pytest.raises(PlacesError) as raised:
        Places(country=path)

    assert (raised.value.path, raised.value.key) == (path, "country")
    assert str(raised.value) == (
        f"cannot use {path}: there is no such file.\nCorrect `geoip: country` in kentik.yaml, replace the file by a "
        "whole one of the vendor, or remove the key."
    )


@pytest.mark.parametrize("content", [b"", b"no database at all", b"\x00" * 5_000])
def test_what_is_no_database_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.mmdb"
    path.write_bytes(content)

    with pytest.raises(PlacesError, match="it is no whole database in MaxMind's format"):
        Places(autonomous_system=str(path))


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_file_that_was_cut_off_is_said(countries: str, share: float) -> None:
    path = Path(countries)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])

    with pytest.raises(PlacesError, match="geoip: country"):
        Places(country=countries)


def test_a_file_whose_records_are_broken_is_said(countries: str) -> None:
    path = Path(countries)
    content = path.read_bytes()
    tree = content.index(b"iso_code") - 40
    path.write_bytes(content[:tree] + b"\xff" * 60 + content[tree + 60 :])

    with pytest.raises(PlacesError, match="it is broken"):
        Places(country=countries)


def test_databases_that_are_mixed_up_are_said(countries: str, systems: str) -> None:
    with pytest.raises(PlacesError, match="it is a database of type 'GeoLite2-ASN', which tells no countries"):
        Places(country=systems)
    with pytest.raises(PlacesError, match="type 'GeoLite2-Country', which tells no autonomous systems"):
        Places(autonomous_system=countries)
