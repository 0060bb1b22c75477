"""A made-up AWS organization: who owns which address, known exactly because we made it up."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import product

import polars as pl

from kentik_dagster.core.randomness import counter, salt
from kentik_dagster.demo.randomness import dotted, random_ids

VPC_CAPACITY = 40_000  # interfaces that fit into the four subnets of a /16 of ours, see `_ROLES`
SMALLEST_VPC = 4  # a NAT gateway and three instances
UNUSED_HOSTS = range(16_000, 16_300)  # places in a VPC's first subnet that never belong to an interface
_ACCOUNT_NAMES = ("management", "payments", "analytics", "platform", "search", "mobile", "data", "security")
_SUBNETS = ("private-a", "private-b", "public-a", "public-b")  # a /18 each
_NAT_GATEWAY_SUBNET, _NAT_GATEWAY_HOST, _FIRST_HOST = 2, 5, 16
_PUBLIC_ADDRESSES = int(ipaddress.IPv4Address("3.208.0.0"))  # a /12

# One row is one of eight instances; a VPC repeats the eight until it is full.
# `per_eight` and `place`: how many of that role, or in that subnet, the eight hold, and which of them this
# is.
# fmt: off
_ROLES = pl.DataFrame(
    [
        ("web",    2, 0, 2, 1, 0),
        ("api",    2, 0, 0, 3, 0),
        ("db",     1, 0, 1, 3, 0),
        ("web",    2, 1, 3, 1, 0),
        ("worker", 2, 0, 0, 3, 1),
        ("api",    2, 1, 1, 3, 1),
        ("cache",  1, 0, 0, 3, 2),
        ("worker", 2, 1, 1, 3, 2),
    ],
    schema={"role": pl.String, "role_per_eight": pl.Int64, "role_place": pl.Int64,
            "subnet": pl.Int64, "subnet_per_eight": pl.Int64, "subnet_place": pl.Int64},
    orient="row",
)
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How big a made-up organization is; VPCs are added where `interfaces` would not fit."""

    member_accounts: int = 3
    regions: tuple[str, ...] = ("us-east-1", "eu-west-1")
    vpcs_per_account_region: int = 1
    interfaces: int = 60

    def vpcs_needed(self) -> int:
        """VPCs of each account in each region."""
        places = (1 + self.member_accounts) * len(self.regions)
        return max(self.vpcs_per_account_region, -(-self.interfaces // (places * VPC_CAPACITY)))


@dataclass(frozen=True, slots=True)
class Organization:
    """Frames whose one row is one thing, named by its AWS identifier in the first column.

    Attributes:
        accounts: `account_id` (12 digits, text), `name`, `is_management`.
        vpcs: `vpc_id`, `account_id`, `region`, `cidr_block`, `name`.
        subnets: `subnet_id`, `vpc_id`, `account_id`, `region`, `az_id`, `cidr_block`, `name`, `is_public`.
        interfaces: `interface_id`, `account_id`, `region`, `az_id`, `vpc_id`, `subnet_id`, `private_ip`,
            `public_ip` (nullable), `instance_id` and `instance_name` (null for a NAT gateway's interface),
            `interface_type` (`interface`, `nat_gateway`), `exists_from` and `exists_until` (UTC; null:
            always).
        nat_gateways: `nat_gateway_id`, `interface_id`, `vpc_id`, `subnet_id`, `account_id`, `region`,
            `private_ip`, `public_ip`, `name`.
        peerings: `peering_id`, `requester_vpc_id`, `accepter_vpc_id`; all active.
    """

    accounts: pl.DataFrame
    vpcs: pl.DataFrame
    subnets: pl.DataFrame
    interfaces: pl.DataFrame
    nat_gateways: pl.DataFrame
    peerings: pl.DataFrame

    def frames(self) -> dict[str, pl.DataFrame]:
        """Every frame by its name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def counts(self) -> dict[str, int]:
        """How many there are of each thing."""
        return {name: frame.height for name, frame in self.frames().items()}

    def renamed(self, identifiers: Mapping[str, str]) -> Organization:
        """The same organization with other identifiers (of accounts, VPCs …), wherever they occur."""
        old, new = list(identifiers.keys()), list(identifiers.values())
        is_identifier = pl.selectors.ends_with("_id") - pl.selectors.by_name("az_id", require_all=False)
        renamed = {name: frame.with_columns(is_identifier.replace(old, new)) for name, frame in self.frames().items()}
        return dataclasses.replace(self, **renamed)


def made_up_organization(seed: int, size: Size) -> Organization:
    """An organization that follows from `seed` and `size` alone.

    Every account has the same number of VPCs in every region. In every region the management account's first
    VPC is peered with the first member's. In the first region the first two members' VPCs have the same CIDR
    block and are not peered, so the same private addresses exist twice. Instances take the lowest addresses
    of a subnet; the places of `UNUSED_HOSTS` belong to nobody.

    Raises:
        ValueError: fewer than two member accounts or one region, or too few interfaces for the VPCs.
    """
    if size.member_accounts < 2 or not size.regions:
        raise ValueError(f"{size} is too small: two VPCs with one CIDR block need two member accounts and a region")
    accounts = _accounts(seed, size)
    vpcs = _vpcs(seed, size, accounts)
    least = SMALLEST_VPC * vpcs.height
    if size.interfaces < least:
        raise ValueError(f"{size.interfaces} interfaces are too few for {vpcs.height} VPCs: ask for {least} or more")
    subnets = _subnets(seed, vpcs)
    interfaces = _interfaces(seed, size.interfaces, vpcs, subnets)
    return Organization(
        accounts=accounts,
        vpcs=vpcs.drop("base"),
        subnets=subnets.drop("base"),
        interfaces=interfaces,
        nat_gateways=_nat_gateways(seed, vpcs, interfaces),
        peerings=_peerings(seed, vpcs, accounts),
    )


def _accounts(seed: int, size: Size) -> pl.DataFrame:
    names = [
        _ACCOUNT_NAMES[place] if place < len(_ACCOUNT_NAMES) else f"team-{place}"
        for place in range(1 + size.member_accounts)
    ]
    first_digits = [0 if place == 1 else 1 + place % 9 for place in range(len(names))]  # the first member's is zero
    account_ids = [
        f"{digit}{salt(seed, 'account', name) % 10**11:011d}" for digit, name in zip(first_digits, names, strict=True)
    ]
    return pl.DataFrame(
        {"account_id": account_ids, "name": names, "is_management": [name == "management" for name in names]}
    )


def _vpcs(seed: int, size: Size, accounts: pl.DataFrame) -> pl.DataFrame:
    places = list(product(range(accounts.height), size.regions, range(size.vpcs_needed())))
    networks = {place: 16 + row for row, place in enumerate(places)}
    networks[2, size.regions[0], 0] = networks[1, size.regions[0], 0]
    account_ids, names = accounts["account_id"].to_list(), accounts["name"].to_list()
    rows = [
        {
            "account_id": account_ids[account],
            "region": region,
            "cidr_block": f"10.{networks[account, region, number] % 256}.0.0/16",
            "name": f"{names[account]}-{region}" + (f"-{number + 1}" if number else ""),
            "base": (10 << 24) + (networks[account, region, number] % 256 << 16),
        }
        for account, region, number in places
    ]
    return pl.DataFrame(rows).insert_column(0, random_ids("vpc", len(rows), seed).alias("vpc_id"))


def _subnets(seed: int, vpcs: pl.DataFrame) -> pl.DataFrame:
    kinds = pl.DataFrame({"kind": _SUBNETS, "place": range(len(_SUBNETS))})
    rows = vpcs.join(kinds, how="cross", maintain_order="left_right").with_columns(
        pl.col("base") + pl.col("place") * (1 << 14)
    )
    zones = {region: zone_prefix(region) for region in vpcs["region"].unique(maintain_order=True)}
    return rows.select(
        random_ids("subnet", rows.height, seed).alias("subnet_id"),
        "vpc_id",
        "account_id",
        "region",
        az_id=pl.concat_str(
            pl.col("region").replace_strict(zones),
            pl.when(pl.col("kind").str.ends_with("-a")).then(pl.lit("-az1")).otherwise(pl.lit("-az2")),
        ),
        cidr_block=pl.concat_str(dotted(rows["base"]), pl.lit("/18")),
        name=pl.concat_str("name", "kind", separator="-"),
        is_public=pl.col("kind").str.starts_with("public"),
        base="base",
    )


def zone_prefix(region: str) -> str:
    """What the zone ids of a region begin with: `use1` for us-east-1, `apse2` for ap-southeast-2."""
    area, *directions, number = region.split("-")
    words = {"northeast": "ne", "northwest": "nw", "southeast": "se", "southwest": "sw"}
    return area + "".join(words.get(direction, direction[0]) for direction in directions) + number


def _interfaces(seed: int, total: int, vpcs: pl.DataFrame, subnets: pl.DataFrame) -> pl.DataFrame:
    """Interfaces in the order of their VPCs; the first of each VPC is its NAT gateway's."""
    row = counter(total).cast(pl.Int64)
    vpc = row * vpcs.height // total
    place = row - (vpc * total + vpcs.height - 1) // vpcs.height
    is_gateway = place == 0
    eight, role = (place - 1) // len(_ROLES), (place - 1) % len(_ROLES)
    roles = _ROLES[role].with_columns(is_gateway=is_gateway, eight=eight)
    located = roles.select(
        subnet=pl.when("is_gateway").then(_NAT_GATEWAY_SUBNET).otherwise("subnet"),
        host=pl.when("is_gateway")
        .then(_NAT_GATEWAY_HOST)
        .otherwise(_FIRST_HOST + pl.col("eight") * pl.col("subnet_per_eight") + pl.col("subnet_place")),
        instance_name=pl.when(~pl.col("is_gateway")).then(
            pl.concat_str("role", pl.col("eight") * pl.col("role_per_eight") + pl.col("role_place") + 1, separator="-")
        ),
    )
    subnet = subnets[vpc * len(_SUBNETS) + located["subnet"]]
    has_public_ip = subnet["is_public"]
    public = _PUBLIC_ADDRESSES + (has_public_ip.cast(pl.Int64).cum_sum() * 977) % (1 << 20)
    always = pl.lit(None, dtype=pl.Datetime("us", "UTC"))
    return subnet.select(
        random_ids("eni", total, seed).alias("interface_id"),
        "account_id",
        "region",
        "az_id",
        "vpc_id",
        "subnet_id",
        dotted(subnet["base"] + located["host"]).alias("private_ip"),
        pl.when(has_public_ip).then(dotted(public)).alias("public_ip"),
        pl.when(~is_gateway).then(random_ids("i", total, seed)).alias("instance_id"),
        located["instance_name"],
        pl.when(is_gateway).then(pl.lit("nat_gateway")).otherwise(pl.lit("interface")).alias("interface_type"),
        exists_from=always,
        exists_until=always,
    )


def _nat_gateways(seed: int, vpcs: pl.DataFrame, interfaces: pl.DataFrame) -> pl.DataFrame:
    rows = interfaces.filter(interface_type="nat_gateway").join(
        vpcs.select("vpc_id", vpc_name="name"), on="vpc_id", maintain_order="left"
    )
    return rows.select(
        random_ids("nat", rows.height, seed).alias("nat_gateway_id"),
        "interface_id",
        "vpc_id",
        "subnet_id",
        "account_id",
        "region",
        "private_ip",
        "public_ip",
        name=pl.concat_str("vpc_name", pl.lit("nat"), separator="-"),
    )


def _peerings(seed: int, vpcs: pl.DataFrame, accounts: pl.DataFrame) -> pl.DataFrame:
    first = vpcs.group_by("account_id", "region", maintain_order=True).first()
    requesters = first.filter(account_id=accounts["account_id"][0])
    accepters = first.filter(account_id=accounts["account_id"][1])
    pairs = requesters.join(accepters, on="region", suffix="_accepter", maintain_order="left")
    return pairs.select(
        random_ids("pcx", pairs.height, seed).alias("peering_id"),
        requester_vpc_id="vpc_id",
        accepter_vpc_id="vpc_id_accepter",
    )
