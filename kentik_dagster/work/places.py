"""Where on Earth an address is and whose network it belongs to, as files in MaxMind's database format tell."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import maxminddb
import polars as pl

from kentik_dagster.catalog.addresses import NOT_INTERNET
from kentik_dagster.errors import PlacesError

_SCHEMA = {"address": pl.String, "country": pl.String, "as_number": pl.Int64, "as_name": pl.String}
_NOWHERE = tuple(ip_network(block) for block in NOT_INTERNET)
# So many networks of a database are looked at to see what it is about.
_SAMPLE = 1_000


class Places:
    """A database of countries, one of autonomous systems, both or neither; threads may share it.

    The files of MaxMind (GeoLite2, GeoIP2), DB-IP and IPinfo are understood. They are mapped into memory, opened
    once, and read as they were when opened.

    Raises:
        PlacesError: a file is missing or broken, or is about something else.
    """

    def __init__(self, country: str | None = None, autonomous_system: str | None = None) -> None:
        """Open the databases.

        Args:
            country: path of the file named by `geoip: country`.
            autonomous_system: path of the file named by `geoip: as`.
        """
        self._country = _Database(country, "country", "countries", _country) if country else None
        self._as = _Database(autonomous_system, "as", "autonomous systems", _as_number) if autonomous_system else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the files back; nothing can be asked afterwards."""
        for database in (self._country, self._as):
            if database is not None:
                database.reader.close()

    def of(self, addresses: pl.Series) -> pl.DataFrame:
        """The places of addresses.

        Args:
            addresses: IP addresses as text; nulls and repeats are welcome.

        Returns:
            One row per distinct address, in no order: `address`, `country` (ISO 3166-1 code of two letters),
            `as_number` (int64), `as_name` (string). Null where the databases do not know, and for what is no
            address or is nobody's on the internet (private, link-local, multicast).

        Raises:
            PlacesError: a database turns out to be broken.
        """
        return pl.DataFrame(
            [self._row(text) for text in addresses.drop_nulls().unique().to_list()], schema=_SCHEMA, orient="row"
        )

    def _row(self, text: str) -> tuple[str, str | None, int | None, str | None]:
        address = _public(text)
        if address is None:
            return text, None, None, None
        place = self._country.record(address) if self._country else {}
        owner = self._as.record(address) if self._as else {}
        return text, _country(place), _as_number(owner), _as_name(owner)


class _Database:
    """One open file, and the key of kentik.yaml that names it."""

    def __init__(self, path: str, key: str, subject: str, fact: Callable[[dict[str, Any]], object]) -> None:
        self.path, self.key = path, key
        if not Path(path).is_file():
            raise PlacesError(path, key, "there is no such file")
        try:
            self.reader = maxminddb.open_database(path)
        except (maxminddb.InvalidDatabaseError, OSError, ValueError) as error:
            raise PlacesError(path, key, f"it is no whole database in MaxMind's format ({error})") from error
        self._has_ipv6 = self.reader.metadata().ip_version == 6
        if not self._tells(fact):
            kind = self.reader.metadata().database_type
            self.reader.close()
            raise PlacesError(path, key, f"it is a database of type '{kind}', which tells no {subject}")

    def record(self, address: IPv4Address | IPv6Address) -> dict[str, Any]:
        """What the file says of an address; empty if nothing."""
        if address.version == 6 and not self._has_ipv6:
            return {}
        try:
            found = self.reader.get(address)
        except (maxminddb.InvalidDatabaseError, ValueError) as error:
            raise self._broken(error) from error
        return found if isinstance(found, dict) else {}

    def _tells(self, fact: Callable[[dict[str, Any]], object]) -> bool:
        # Vendors name their types as they like, so the records decide.
        try:
            return any(
                isinstance(record, dict) and fact(record) is not None for _, record in islice(self.reader, _SAMPLE)
            )
        except (maxminddb.InvalidDatabaseError, ValueError) as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> PlacesError:
        return PlacesError(self.path, self.key, f"it is broken ({error})")


def _public(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return None if any(address in block for block in _NOWHERE) else address


def _country(record: dict[str, Any]) -> str | None:
    """MaxMind and DB-IP: `country.iso_code`; IPinfo: `country_code`, or `country` where that is the code."""
    country = record.get("country")
    code = country.get("iso_code") if isinstance(country, dict) else record.get("country_code", country)
    return code if isinstance(code, str) and len(code) == 2 else None


def _as_number(record: dict[str, Any]) -> int | None:
    """MaxMind and DB-IP: a number; IPinfo: `asn`, such as AS64496."""
    number = record.get("autonomous_system_number", record.get("asn"))
    if isinstance(number, str):
        digits = number.removeprefix("AS")
        return int(digits) if digits.isascii() and digits.isdigit() else None
    return number if isinstance(number, int) else None


def _as_name(record: dict[str, Any]) -> str | None:
    names = (record.get(key) for key in ("autonomous_system_organization", "as_name", "name"))
    return next((name for name in names if isinstance(name, str) and name), None)
