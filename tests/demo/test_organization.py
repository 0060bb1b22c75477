"""The made-up organization has what a network of several accounts has, and its addresses are right."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import polars as pl
import pytest

from kentik_dagster.demo.organization import Organization, Size, made_up_organization, zone_prefix


def organization(
    seed: int = 7, member_accounts: int = 3, vpcs_per_account_region: int = 1, interfaces: int = 60
) -> Organization:
    size = Size(
        member_accounts=member_accounts,
        vpcs_per_account_region=vpcs_per_account_region,
        interfaces=interfaces,
    )
    return made_up_organization(seed, size)


def test_the_same_seed_gives_the_same_organization() -> None:
    first, second, other = organization(), organization(), organization(seed=8)

    for name, frame in first.frames().items():
        assert frame.equals(second.frames()[name])
    assert not first.interfaces["interface_id"].is_in(other.interfaces["interface_id"].implode()).any()


def test_it_has_the_size_that_was_asked_for() -> None:
    small, larger = organization(), organization(member_accounts=5, vpcs_per_account_region=2, interfaces=500)

    assert small.counts() == {
        "accounts": 4,
        "vpcs": 8,
        "subnets": 32,
        "interfaces": 60,
        "nat_gateways": 8,
        "peerings": 2,
    }
    assert larger.counts()["accounts"] == 6
    assert larger.counts()["vpcs"] == 24
    assert larger.counts()["interfaces"] == 500


def test_vpcs_are_added_where_the_interfaces_would_not_fit() -> None:
    crowded = organization(interfaces=400_000)

    assert crowded.counts()["vpcs"] == 16
    assert crowded.counts()["interfaces"] == 400_000
    assert not crowded.interfaces.select("vpc_id", "private_ip").is_duplicated().any()
    assert crowded.interfaces["interface_id"].is_unique().all()


def test_account_ids_are_twelve_digits_and_one_begins_with_zero() -> None:
    account_ids = organization().accounts["account_id"]

    assert account_ids.str.contains("^[0-9]{12}$").all()
    assert account_ids.str.starts_with("0").sum() == 1
    assert organization().accounts["is_management"].to_list() == [True, False, False, False]


def test_every_address_lies_in_its_subnet_and_every_subnet_in_its_vpc() -> None:
    made_up = organization(interfaces=300)
    placed = made_up.interfaces.join(made_up.subnets, on="subnet_id").join(
        made_up.vpcs.select("vpc_id", cidr_block_vpc="cidr_block"), on="vpc_id"
    )

    assert placed.height == 300
    for private_ip, subnet, vpc in placed.select("private_ip", "cidr_block", "cidr_block_vpc").iter_rows():
        assert IPv4Address(private_ip) in IPv4Network(subnet)
        assert IPv4Network(subnet).subnet_of(IPv4Network(vpc))
    for column in ("account_id", "region", "az_id", "vpc_id"):
        assert placed[column].equals(placed[f"{column}_right"], check_names=False)


def test_two_vpcs_of_different_accounts_share_their_cidr_block_and_are_not_peered() -> None:
    made_up = organization()
    twins = made_up.vpcs.filter(pl.col("cidr_block").is_duplicated())
    peered = made_up.peerings.filter(
        pl.col("requester_vpc_id").is_in(twins["vpc_id"].implode()),
        pl.col("accepter_vpc_id").is_in(twins["vpc_id"].implode()),
    )

    assert twins["account_id"].n_unique() == twins.height == 2
    assert peered.is_empty()
    assert made_up.interfaces.filter(vpc_id=twins["vpc_id"][0]).join(
        made_up.interfaces.filter(vpc_id=twins["vpc_id"][1]), on="private_ip"
    ).height >= 7  # fmt: skip


def test_peerings_join_two_accounts_in_one_region() -> None:
    made_up = organization()
    ends = made_up.peerings.join(made_up.vpcs, left_on="requester_vpc_id", right_on="vpc_id").join(
        made_up.vpcs, left_on="accepter_vpc_id", right_on="vpc_id", suffix="_accepter"
    )

    assert ends["region"].to_list() == ends["region_accepter"].to_list() == ["us-east-1", "eu-west-1"]
    assert (ends["account_id"] != ends["account_id_accepter"]).all()
    assert (ends["cidr_block"] != ends["cidr_block_accepter"]).all()


def test_only_interfaces_in_public_subnets_have_public_addresses() -> None:
    made_up = organization(interfaces=300)
    placed = made_up.interfaces.join(made_up.subnets, on="subnet_id")

    assert placed.filter(pl.col("public_ip").is_not_null() != pl.col("is_public")).is_empty()
    assert placed["public_ip"].drop_nulls().is_unique().all()
    assert placed["is_public"].any()


def test_instances_have_names_that_are_unique_in_their_vpc() -> None:
    instances = organization(interfaces=300).interfaces.filter(interface_type="interface")

    assert {"web-1", "api-2", "db-1"} <= set(instances["instance_name"])
    assert not instances.select("vpc_id", "instance_name").is_duplicated().any()


def test_nat_gateways_have_an_interface_without_an_instance() -> None:
    made_up = organization()
    joined = made_up.nat_gateways.join(made_up.interfaces, on="interface_id", suffix="_of_interface")

    assert joined.height == 8
    assert joined["private_ip"].equals(joined["private_ip_of_interface"], check_names=False)
    assert joined["instance_id"].is_null().all()


def test_renaming_changes_an_identifier_wherever_it_occurs() -> None:
    made_up = organization()
    vpc_id = made_up.peerings["accepter_vpc_id"][0]

    renamed = made_up.renamed({vpc_id: "vpc-1"})

    assert renamed.peerings["accepter_vpc_id"][0] == "vpc-1"
    assert renamed.vpcs.filter(vpc_id="vpc-1").height == 1
    assert renamed.interfaces.filter(vpc_id=vpc_id).is_empty()
    assert renamed.interfaces["az_id"].equals(made_up.interfaces["az_id"])


@pytest.mark.parametrize(
    ("region", "prefix"),
    [
        ("us-east-1", "use1"),
        ("ap-southeast-2", "apse2"),
        ("us-gov-west-1", "usgw1"),
        ("ca-central-1", "cac1"),
    ],
)
def test_zone_ids_begin_with_the_short_name_of_their_region(region: str, prefix: str) -> None:
    assert zone_prefix(region) == prefix


def test_an_organization_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="10 interfaces are too few for 8 VPCs: ask for 32 or more"):
        organization(interfaces=10)
    with pytest.raises(ValueError, match="need two member accounts"):
        organization(member_accounts=1)
