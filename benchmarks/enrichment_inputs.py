"""What the enrichment benchmark reads: log objects in a folder, and the address book of who wrote them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from kentik_dagster.aws.flow_logs import LISTED, LogBucket
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.configuration import Export
from kentik_dagster.core import flow_log_keys
from kentik_dagster.core.address_book import in_order
from kentik_dagster.core.schemas import polars_schema
from kentik_dagster.demo.flows import log_objects
from kentik_dagster.demo.organization import Organization, Size, made_up_organization

SEED = 7
START = datetime(2026, 11, 23, 9, tzinfo=UTC)
HOUR = "2026-11-23T09"
EXPORT = Export(name="benchmark", region="us-east-1", bucket="benchmark-logs", start=START)
_MEMBERS, _REGIONS = 4, ("us-east-1", "eu-west-1")
PLACES = (1 + _MEMBERS) * len(_REGIONS)  # accounts and regions: each writes a file of its own
_WINDOW = timedelta(minutes=5)
_FIRST_SNAPSHOT, _REPLACED, _LAST_SNAPSHOT = (START - timedelta(days=days) for days in (30, 10, 1))
# One interface in so many has the address of one that is gone.
_REUSED = 10


class Folder(LogBucket):
    """Log objects in a folder instead of S3: a file below it is an object, its path the key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.export = EXPORT
        self.name = EXPORT.log_bucket

    def chunks(self, key: str, etag: str) -> Iterator[bytes]:
        """The stored bytes of one object."""
        yield (self.folder / key).read_bytes()

    def listed(self) -> pl.DataFrame:
        """All objects, as `LogBucket.objects` gives them."""
        rows = [
            (self.name, str(file.relative_to(self.folder)), hashlib.md5(file.name.encode()).hexdigest(),
             file.stat().st_size, START + _WINDOW)
            for file in self.files()
        ]  # fmt: skip
        return flow_log_keys.log_objects(pl.DataFrame(rows, schema=LISTED, orient="row"))

    def files(self) -> list[Path]:
        """The files, in the order of their keys."""
        return sorted(self.folder.rglob("*.log.gz"))


def organization(interfaces: int, seed: int = SEED) -> Organization:
    """The organization with so many interfaces; VPCs are added where they would not fit."""
    return made_up_organization(seed, Size(member_accounts=_MEMBERS, regions=_REGIONS, interfaces=interfaces))


def silent_book(interfaces: int) -> pl.DataFrame:
    """Rows of the address book of other accounts, at private addresses; they talk to nobody."""
    return made_up_book(organization(interfaces, SEED + 1)).filter(pl.col("is_public").fill_null(False).not_())


def write_objects(folder: Path, of: Organization, *, records: int, windows: int = 1) -> None:
    """One log object for each account and region, in each of some windows of five minutes.

    Args:
        records: of each window, all objects together. Windows differ in the names of their files only.
    """
    for log_object in log_objects(
        of, start=START, end=START + _WINDOW, records_per_object=records // PLACES, seed=SEED
    ):
        for window in range(windows):
            stamp = f"{START:%Y%m%dT%H%MZ}", f"{START + window * _WINDOW:%Y%m%dT%H%MZ}"
            file = folder / log_object.key.replace(*stamp)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(log_object.body)


def made_up_book(of: Organization) -> pl.DataFrame:
    """The address book that a month of snapshots leaves, without the log of changes.

    Returns:
        Rows of `address_book`, in its order: addresses of interfaces (of every tenth also the interface that had them
        until ten days before the records), ranges, peerings, and a route table for each subnet with routes to the
        VPC itself, to its peers and to the internet.
    """
    kinds = [*_addresses(of), *_ranges(of), _peerings(of), *_routes(of), *_snapshots(of)]
    return in_order(pl.concat([_stood(rows) for rows in kinds], how="diagonal"))


def _stood(rows: pl.DataFrame) -> pl.DataFrame:
    """With the times at which it stood: since the first snapshot, unless it says otherwise."""
    since = {"valid_from": _FIRST_SNAPSHOT, "valid_to": None, "observed_at": _LAST_SNAPSHOT}
    instant = polars_schema(TABLES["address_book"])["valid_from"]
    times = [pl.lit(at, instant).alias(name) for name, at in since.items() if name not in rows.columns]
    return rows.with_columns(times).with_columns(since_first_snapshot=pl.col("valid_from") == _FIRST_SNAPSHOT)


def _addresses(of: Organization) -> list[pl.DataFrame]:
    tags = polars_schema(TABLES["address_book"])["tags"]
    accounts = of.accounts.select("account_id", account_name="name")
    vpcs, subnets = of.vpcs.select("vpc_id", vpc_name="name"), of.subnets.select("subnet_id", subnet_name="name")
    gateways = of.nat_gateways.select("interface_id", gateway="name")
    named = (
        of.interfaces.join(accounts, on="account_id", how="left", maintain_order="left")
        .join(vpcs, on="vpc_id", how="left", maintain_order="left")
        .join(subnets, on="subnet_id", how="left", maintain_order="left")
        .join(gateways, on="interface_id", how="left", maintain_order="left")
    )
    is_gateway = pl.col("interface_type") == "nat_gateway"
    team = pl.struct(key=pl.lit("team"), value="account_name")
    name = pl.struct(key=pl.lit("Name"), value=pl.coalesce("instance_name", "gateway"))
    now = named.select(
        "account_id", "account_name", "region", "az_id", "vpc_id", "vpc_name", "subnet_id", "subnet_name",
        "instance_id", "instance_name", "private_ip", "public_ip",
        kind=pl.lit("interface_address"),
        eni_id="interface_id",
        eni_type="interface_type",
        eni_entity_type=pl.when(is_gateway).then(pl.lit("nat_gateway")).otherwise(pl.lit("instance")),
        eni_entity_name=pl.coalesce("instance_name", "gateway"),
        security_group_ids=pl.concat_list("vpc_id", "subnet_id").list.eval(
            pl.element().str.replace("^(vpc|subnet)", "sg")
        ),
        tags=pl.concat_list(name, team).cast(tags),
    )  # fmt: skip
    reused = pl.int_range(pl.len()) % _REUSED == _REUSED - 1
    replaced = pl.lit(_REPLACED)
    gone = now.filter(reused).with_columns(
        pl.col("eni_id", "instance_id").str.replace("....$", "gone"), valid_to=replaced, valid_from=_FIRST_SNAPSHOT
    )
    now = now.with_columns(valid_from=pl.when(reused).then(replaced).otherwise(_FIRST_SNAPSHOT))
    return [
        rows.drop("private_ip", "public_ip")
        .with_columns(address=rows[column], is_public=pl.lit(column == "public_ip"))
        .drop_nulls("address")
        for rows in (now, gone)
        for column in ("private_ip", "public_ip")
    ]


def _ranges(of: Organization) -> list[pl.DataFrame]:
    vpcs = of.vpcs.select("vpc_id", "account_id", "region", address="cidr_block", vpc_name="name")
    subnets = of.subnets.select(
        "subnet_id", "vpc_id", "account_id", "region", "az_id", address="cidr_block", subnet_name="name"
    )
    return [vpcs.with_columns(kind=pl.lit("vpc_cidr")), subnets.with_columns(kind=pl.lit("subnet_cidr"))]


def _peerings(of: Organization) -> pl.DataFrame:
    """Both directions of each peering, with the range of the peer as `cidr_block`."""
    ends = ["requester_vpc_id", "accepter_vpc_id"]
    both = pl.concat(
        of.peerings.select(gateway_id="peering_id", vpc_id=one, peer_vpc_id=other) for one, other in (ends, ends[::-1])
    )
    peers = of.vpcs.select("account_id", peer_vpc_id="vpc_id")
    return both.join(peers, on="peer_vpc_id").with_columns(kind=pl.lit("peering"))


def _routes(of: Organization) -> list[pl.DataFrame]:
    """A route table for each subnet, and its routes."""
    table = pl.col("subnet_id").str.replace("^subnet", "rtb")
    tables = of.subnets.select("vpc_id", "subnet_id", "region", "is_public", kind=pl.lit("route_table")).with_columns(
        route_table_id=table
    )
    own = tables.join(of.vpcs.select("vpc_id", address="cidr_block"), on="vpc_id").with_columns(
        gateway_id=pl.lit("local"), gateway_type=pl.lit("local")
    )
    peers = of.vpcs.select(peer_vpc_id="vpc_id", address="cidr_block")
    peered = (
        _peerings(of)
        .select("vpc_id", "peer_vpc_id", "gateway_id", gateway_type=pl.lit("vpc_peering_connection"))
        .join(peers, on="peer_vpc_id")
        .drop("peer_vpc_id")
        .join(tables, on="vpc_id")
    )
    gateway = pl.col("vpc_id").str.replace("^vpc", "igw")
    out = tables.join(of.nat_gateways.select("vpc_id", "nat_gateway_id"), on="vpc_id").with_columns(
        address=pl.lit("0.0.0.0/0"),
        gateway_id=pl.when("is_public").then(gateway).otherwise("nat_gateway_id"),
        gateway_type=pl.when("is_public").then(pl.lit("internet_gateway")).otherwise(pl.lit("nat_gateway")),
    )
    routes = pl.concat([own, peered, out], how="diagonal").with_columns(
        kind=pl.lit("route"), forwarding_state=pl.lit("active")
    )
    return [tables.drop("is_public"), routes.drop("is_public", "nat_gateway_id", "subnet_id")]


def _snapshots(of: Organization) -> list[pl.DataFrame]:
    places = of.vpcs.select("account_id", "region").unique()
    accounts = of.accounts.select("account_id", account_name="name")
    return [places.with_columns(kind=pl.lit("snapshot")), accounts.with_columns(kind=pl.lit("account"))]
