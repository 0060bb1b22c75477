"""Flow logs in Terraform: of VPCs, subnets, transit gateways and firewalls, in every region of the export."""

from __future__ import annotations

from kentik_dagster.catalog.flow_logs import FLOW_FIELDS
from kentik_dagster.setup.choices import Choices, FileFormat
from kentik_dagster.setup.hcl import Block, Expression, Value, resource, variable

# Their values are tags whose keys somebody has to choose for each flow log (version 11).
_NEEDS_TAG_KEYS = frozenset(
    {"instance-tag", "instance-tag-2", "interface-tag", "interface-tag-2", "asg-tag", "asg-tag-2"}
)
_FIREWALL_LOGS = ("FLOW", "ALERT")


def log_format(family: str) -> str:
    """Every field of a family of flow logs, `vpc` or `tgw`, in the order of AWS's tables, as a custom format."""
    names = (field.name for field in FLOW_FIELDS if getattr(field, family) is not None)
    return " ".join(f"${{{name}}}" for name in names if name not in _NEEDS_TAG_KEYS)


def flow_log_variables(choices: Choices) -> list[Block]:
    """What may differ from account to account."""
    gateways: dict[str, Value] = {
        region: [one.id for one in choices.transit_gateways if one.region == region]
        for region in dict.fromkeys(one.region for one in choices.transit_gateways)
    }
    networks = [
        variable("vpc_id_list", "list(string)", list(choices.vpc_ids), says="VPCs to log; empty: all of the account"),
        variable("subnet_id_list", "list(string)", list(choices.subnet_ids), says="subnets to log besides"),
        variable(
            "transit_gateway_ids",
            "map(list(string))",
            gateways,
            says="transit gateways of this account to log, by their region",
        ),
        variable(
            "store_logs_more_frequently",
            "bool",
            choices.every_minute,
            says="true: records of at most one minute, and more of them; false: of ten minutes",
        ),
    ]
    firewalls = variable(
        "firewall_arn_list", "list(string)", list(choices.firewall_arns), says="firewalls of this account to log"
    )
    export = choices.export
    return networks * export.collect_flow_logs + [firewalls] * export.collect_firewall_logs


def flow_log_blocks(choices: Choices, *, depends_on: tuple[str, ...]) -> list[Block]:
    """The flow logs of one account.

    Args:
        depends_on: what has to be there first, such as the bucket's policy: whoever creates a flow log while it is
            missing lets AWS write a policy of its own.
    """
    export = choices.export
    blocks: list[Block] = []
    for region in export.regions if export.collects_logs else ():
        provider: dict[str, Value] = (
            {} if region == export.region else {"provider": Expression(f"aws.{provider_alias(region)}")}
        )
        if export.collect_flow_logs:
            blocks += _of_networks(choices, region, provider, depends_on)
        if export.collect_firewall_logs:
            blocks += [_of_firewalls(choices, region, provider, depends_on)]
    return blocks


def _of_networks(choices: Choices, region: str, provider: dict[str, Value], depends_on: tuple[str, ...]) -> list[Block]:
    name = provider_alias(region)
    vpcs, subnets = f"data.aws_vpcs.{name}.ids", f"data.aws_subnets.{name}.ids"
    here = f"setintersection(var.vpc_id_list, {vpcs})"
    interval = Expression("var.store_logs_more_frequently ? 60 : 600")
    logs = (
        # Of a transit gateway there is one interval.
        ("vpc", f"length(var.vpc_id_list) == 0 ? toset({vpcs}) : {here}", interval),
        ("subnet", f"setintersection(var.subnet_id_list, {subnets})", interval),
        ("transit_gateway", f'toset(lookup(var.transit_gateway_ids, "{region}", []))', 60),
    )
    return [
        Block("data", ("aws_vpcs", name), provider),
        Block("data", ("aws_subnets", name), provider),
        *(_flow_log(choices, name, kind, chosen, seconds, provider, depends_on) for kind, chosen, seconds in logs),
    ]


def _flow_log(
    choices: Choices,
    region_name: str,
    kind: str,
    chosen: str,
    seconds: Value,
    provider: dict[str, Value],
    depends_on: tuple[str, ...],
) -> Block:
    export = choices.export
    # A transit gateway accepts and rejects nothing: its flow logs take no traffic type.
    traffic: dict[str, Value] = {} if kind == "transit_gateway" else {"traffic_type": "ALL"}
    after: dict[str, Value] = {"depends_on": [Expression(one) for one in depends_on]} if depends_on else {}
    in_parquet = Block(
        "destination_options",
        (),
        {"file_format": "parquet", "hive_compatible_partitions": False, "per_hour_partition": False},
    )
    return resource(
        "aws_flow_log",
        f"{kind}_{region_name}",
        {
            "for_each": Expression(chosen),
            **provider,
            f"{kind}_id": Expression("each.value"),
            **traffic,
            "log_destination_type": "s3",
            "log_destination": f"{choices.bucket_arn}/{export.log_folder}" if export.log_folder else choices.bucket_arn,
            "max_aggregation_interval": seconds,
            "log_format": log_format("tgw" if kind == "transit_gateway" else "vpc"),
            **after,
        },
        *((in_parquet,) if choices.file_format is FileFormat.PARQUET else ()),
    )


def _of_firewalls(choices: Choices, region: str, provider: dict[str, Value], depends_on: tuple[str, ...]) -> Block:
    export = choices.export
    place: dict[str, Value] = {"bucketName": export.log_bucket}
    if export.log_folder:
        place["prefix"] = export.log_folder.rstrip("/")
    destinations = tuple(
        Block(
            "log_destination_config",
            (),
            {"log_type": kind, "log_destination_type": "S3", "log_destination": place},
        )
        for kind in _FIREWALL_LOGS
    )
    after: dict[str, Value] = {"depends_on": [Expression(one) for one in depends_on]} if depends_on else {}
    return resource(
        "aws_networkfirewall_logging_configuration",
        provider_alias(region),
        {
            "for_each": Expression(
                f'toset([for arn in var.firewall_arn_list : arn if split(":", arn)[3] == "{region}"])'
            ),
            **provider,
            "firewall_arn": Expression("each.value"),
            **after,
        },
        Block("logging_configuration", (), None, destinations),
        comment="This is the firewall's whole logging configuration: what it logs elsewhere has to be added here.",
    )


def provider_alias(region: str) -> str:
    """The name of a region's provider."""
    return region.replace("-", "_")
