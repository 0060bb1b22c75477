"""Who can take part in a conversation: an organization's interfaces, the internet, addresses of nobody."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

import polars as pl

from kentik_dagster.core.randomness import random_below
from kentik_dagster.demo.organization import UNUSED_HOSTS, Organization
from kentik_dagster.demo.randomness import dotted
from kentik_dagster.demo.traffic import Ends

# Range of made-up internet hosts, how many of it, and the AWS service that the range belongs to.
_INTERNET = (
    ("198.51.100.0", 254, None),
    ("203.0.113.0", 254, None),
    ("8.8.8.7", 1, None),
    ("1.1.1.0", 1, None),
    ("52.95.128.0", 40, "S3"),
    ("52.94.8.0", 20, "DYNAMODB"),
    ("13.34.37.64", 4, "AMAZON"),
)
_INTERNET_SERVICES = (
    (443, 6),
    (443, 6),
    (443, 6),
    (80, 6),
    (443, 17),
    (123, 17),
)  # port and protocol, by turns
_PORTS = {"web": 443, "api": 8080, "db": 5432, "cache": 6379, "worker": 9100}


@dataclass(frozen=True, slots=True)
class Population:
    """Everybody, by number.

    Attributes:
        everybody: one row is one end: `address`, `kind` (`interface`, `external`, `unknown`), `service_port`,
            `service_protocol`, `aws_service` (nullable), and for an interface `interface_id`, `account_id`,
            `region`, `az_id`, `vpc_id`, `subnet_id`, `instance_id` (nullable) and `vpc`, the row of `vpcs`.
            Instances come first, those of one VPC together.
        vpcs: one row is one VPC with two instances or more: `vpc_id`, `first` and `count` (its instances),
            `gateway` (the NAT gateway's row, nullable), `first_unused` and `unused`.
        places: rows to choose from: `instances`, `public`, `private` (with a NAT gateway), `internet`; rows
            of
            `vpcs`: `twins` (VPCs that share their CIDR block), `requesters` and `accepters` (of a peering).
    """

    everybody: pl.DataFrame
    vpcs: pl.DataFrame
    places: dict[str, pl.Series]

    def choose(self, ends: Ends, counter: pl.Series, seed: int, purpose: str) -> tuple[pl.Series, pl.Series]:
        """Rows of the client and of the server, for each number of `counter`."""

        def one_of(place: str) -> pl.Series:
            rows = self.places[place]
            return rows.gather(random_below(len(rows), counter, seed, purpose, place))

        match ends:
            case "same_vpc" | "none":
                client = one_of("instances")
                return client, self._neighbours(client, counter, seed, purpose)
            case "twin_vpc":
                client = self._instance_in(one_of("twins"), counter, seed, purpose)
                return client, self._neighbours(client, counter, seed, purpose)
            case "peering":
                number = random_below(len(self.places["requesters"]), counter, seed, purpose, "peering")
                client = self._instance_in(self.places["requesters"].gather(number), counter, seed, purpose)
                return client, self._instance_in(
                    self.places["accepters"].gather(number), counter, seed, purpose, "accepter"
                )
            case "through_nat":
                return one_of("private"), one_of("internet")
            case "to_internet":
                return one_of("public"), one_of("internet")
            case "from_internet":
                return one_of("internet"), one_of("public")
            case "to_nobody" | "from_nobody":
                instance = one_of("instances")
                vpc = self.vpcs[self.everybody["vpc"].gather(instance)]
                nobody = vpc["first_unused"] + random_below(vpc["unused"], counter, seed, purpose, "nobody")
                return (instance, nobody) if ends == "to_nobody" else (nobody, instance)

    def gateways(self, instances: pl.Series) -> pl.Series:
        """Rows of the NAT gateways of the instances' VPCs."""
        return self.vpcs["gateway"].gather(self.everybody["vpc"].gather(instances))

    def _instance_in(self, vpc: pl.Series, counter: pl.Series, seed: int, *purpose: str) -> pl.Series:
        rows = self.vpcs[vpc]
        return rows["first"] + random_below(rows["count"], counter, seed, *purpose, "instance")

    def _neighbours(self, instances: pl.Series, counter: pl.Series, seed: int, purpose: str) -> pl.Series:
        """Another instance of the same VPC for each."""
        vpc = self.vpcs[self.everybody["vpc"].gather(instances)]
        step = 1 + random_below(vpc["count"] - 1, counter, seed, purpose, "neighbour")
        return vpc["first"] + (instances - vpc["first"] + step) % vpc["count"]


def population_of(organization: Organization) -> Population:
    """Everybody who can send or receive in an organization."""
    kinds = organization.interfaces.with_columns(is_gateway=pl.col("interface_type") == "nat_gateway")
    counts = kinds.filter(~pl.col("is_gateway")).group_by("vpc_id").len("count")
    vpcs = (
        organization.vpcs.join(counts.filter(pl.col("count") > 1), on="vpc_id", maintain_order="left")
        .with_columns(pl.col("count").cast(pl.Int64), is_twin=pl.col("cidr_block").is_duplicated())
        .with_columns(first=pl.col("count").cum_sum() - pl.col("count"))
        .with_row_index("vpc")
        .with_columns(pl.col("vpc").cast(pl.Int64))
    )
    interfaces = _interfaces(kinds, vpcs)
    internet, unused = _internet(), _unused(vpcs, organization.interfaces)
    everybody = pl.concat([interfaces, internet, unused], how="diagonal").with_row_index("row")
    everybody = everybody.with_columns(pl.col("row").cast(pl.Int64))
    gateways = everybody.filter("is_gateway").group_by("vpc").agg(gateway=pl.col("row").first())
    nobody = everybody.filter(kind="unknown").group_by("vpc").agg(first_unused=pl.col("row").first(), unused=pl.len())
    vpcs = vpcs.join(gateways, on="vpc", how="left", maintain_order="left").join(
        nobody, on="vpc", how="left", maintain_order="left"
    )

    instances = everybody.filter(~pl.col("is_gateway"))
    has_gateway = pl.col("vpc").is_in(gateways["vpc"].implode())
    peerings = organization.peerings.join(
        vpcs.select(requester_vpc_id="vpc_id", requester="vpc"), on="requester_vpc_id", maintain_order="left"
    ).join(vpcs.select(accepter_vpc_id="vpc_id", accepter="vpc"), on="accepter_vpc_id", maintain_order="left")
    places = {
        "instances": instances["row"],
        "public": instances.filter(pl.col("public_ip").is_not_null())["row"],
        "private": instances.filter(pl.col("public_ip").is_null() & has_gateway)["row"],
        "internet": everybody.filter(kind="external")["row"],
        "twins": vpcs.filter("is_twin")["vpc"],
        "requesters": pl.concat([peerings["requester"], peerings["accepter"]]),
        "accepters": pl.concat([peerings["accepter"], peerings["requester"]]),
    }
    return Population(everybody=everybody, vpcs=vpcs, places=places)


def _interfaces(kinds: pl.DataFrame, vpcs: pl.DataFrame) -> pl.DataFrame:
    role = pl.col("instance_name").str.extract(r"^(\w+)-")
    return (
        kinds.join(vpcs.select("vpc_id", "vpc"), on="vpc_id", maintain_order="left")
        .sort("is_gateway", "vpc", maintain_order=True)
        .select(
            pl.col(
                "interface_id",
                "account_id",
                "region",
                "az_id",
                "vpc_id",
                "subnet_id",
                "instance_id",
                "public_ip",
            ),
            pl.col("vpc", "is_gateway"),
            address="private_ip",
            kind=pl.lit("interface"),
            service_port=role.replace_strict(_PORTS, default=22, return_dtype=pl.Int32),
            service_protocol=pl.lit(6, dtype=pl.Int32),
        )
    )


def _internet() -> pl.DataFrame:
    hosts = [
        (str(ipaddress.IPv4Address(first) + 1 + place), service)
        for first, count, service in _INTERNET
        for place in range(count)
    ]
    services = [_INTERNET_SERVICES[place % len(_INTERNET_SERVICES)] for place in range(len(hosts))]
    return pl.DataFrame(
        {
            "address": [address for address, _ in hosts],
            "kind": "external",
            "aws_service": [service for _, service in hosts],
            "service_port": [443 if service else port for (_, service), (port, _) in zip(hosts, services, strict=True)],
            "service_protocol": [
                6 if service else number for (_, service), (_, number) in zip(hosts, services, strict=True)
            ],
        },
        schema_overrides={"aws_service": pl.String, "service_port": pl.Int32, "service_protocol": pl.Int32},
    )


def _unused(vpcs: pl.DataFrame, interfaces: pl.DataFrame) -> pl.DataFrame:
    bases = [int(ipaddress.IPv4Network(block).network_address) for block in vpcs["cidr_block"]]
    hosts = pl.DataFrame({"host": pl.Series(UNUSED_HOSTS, dtype=pl.Int64)})
    rows = vpcs.select("vpc", base=pl.Series(bases, dtype=pl.Int64)).join(
        hosts, how="cross", maintain_order="left_right"
    )
    return rows.select(
        "vpc",
        address=dotted(rows["base"] + rows["host"]),
        kind=pl.lit("unknown"),
        service_port=pl.lit(443, dtype=pl.Int32),
        service_protocol=pl.lit(6, dtype=pl.Int32),
    ).join(interfaces.select(address="private_ip"), on="address", how="anti", maintain_order="left")
