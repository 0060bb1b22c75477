"""Terraform for the accounts of an export: the primary role's, the bucket's if it is another one, and all others.

Policies are files beside it, so that they can be read, linted and reviewed as what they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kentik_dagster.catalog.permissions import Feature
from kentik_dagster.setup.bucket_terraform import bucket_blocks, queue_blocks
from kentik_dagster.setup.choices import Choices
from kentik_dagster.setup.flow_log_terraform import flow_log_blocks, flow_log_variables, provider_alias
from kentik_dagster.setup.hcl import Block, Expression, Value, file_beside, resource, text_of, variable
from kentik_dagster.setup.policies import primary_documents

# What is written here was planned and applied with 5.100 of the provider; 6 adds arguments, and takes none away.
_PROVIDER = ">= 5.40, < 7.0"


def primary_terraform(choices: Choices) -> str:
    """`main.tf`: what the export's own account needs."""
    own_bucket = choices.export.collects_logs and choices.create_bucket and not choices.bucket_is_central
    only: dict[str, Value] = {"allowed_account_ids": [choices.account_id]}
    blocks = _head(choices, choices.account_id, choices.export.regions, only)
    blocks += _primary_role(choices)
    if own_bucket:
        blocks += bucket_blocks(choices, "policies")
    if own_bucket and choices.has_queue:
        blocks += queue_blocks(choices, "policies")
    blocks += flow_log_blocks(choices, depends_on=("aws_s3_bucket_policy.logs",) if own_bucket else ())
    return text_of([*blocks, *_outputs(choices, own_bucket=own_bucket)])


def bucket_account_terraform(choices: Choices) -> str:
    """`bucket-account/main.tf`: the bucket, where it lies in an account that is not the export's own."""
    only: dict[str, Value] = {"allowed_account_ids": [choices.bucket_account]}
    head = _head(choices, choices.bucket_account, (), only, flow_logs=False)
    blocks = [*head, *bucket_blocks(choices, "../policies")]
    return text_of([*blocks, *(queue_blocks(choices, "../policies") if choices.has_queue else [])])


def other_accounts_terraform(choices: Choices) -> str:
    """`other-accounts/main.tf`: the role and the flow logs of each account besides the export's own."""
    path, name = _path_and_name(choices.export.role_suffix or "")
    role = resource(
        "aws_iam_role",
        "secondary",
        {
            "name": name,
            "path": path,
            "description": "kentik_dagster collects this account's network metadata and metrics",
            "assume_role_policy": file_beside("../policies/secondary-trust.json"),
        },
    )
    policy = resource(
        "aws_iam_role_policy",
        "secondary",
        {
            "name": "kentik-dagster",
            "role": Expression("aws_iam_role.secondary.name"),
            "policy": file_beside("../policies/secondary-access.json"),
        },
    )
    others = list(choices.listed_accounts[1:])
    # One state serves one account, and the export's own has another role.
    only: dict[str, Value] = (
        {"forbidden_account_ids": [choices.account_id]}
        if choices.export.organization_role
        else {"allowed_account_ids": others}
    )
    head = _head(choices, None, choices.export.regions, only)
    return text_of([*head, role, policy, *flow_log_blocks(choices, depends_on=())])


def _head(
    choices: Choices,
    account_id: str | None,
    regions: Iterable[str],
    only: Mapping[str, Value],
    *,
    flow_logs: bool = True,
) -> list[Block]:
    """Versions, a provider for each region, and the variables.

    Args:
        account_id: whose file it is; None: that of several accounts.
        only: in which accounts the providers may work.
    """
    export = choices.export
    required = Block("required_providers", (), {"aws": {"source": "hashicorp/aws", "version": _PROVIDER}})
    blocks = [
        Block("terraform", (), {"required_version": ">= 1.5"}, (required,)),
        Block("provider", ("aws",), {"region": export.region, **only}),
    ]
    blocks += [
        Block("provider", ("aws",), {"alias": provider_alias(region), "region": region, **only})
        for region in regions
        if region != export.region
    ]
    if account_id == choices.account_id and export.iam_role_arn is not None:
        blocks.append(
            variable("create_role", "bool", True, says="false: the primary role is there already, with its trust")
        )
    if export.collects_logs and choices.create_bucket and account_id == choices.bucket_account:
        blocks.append(
            variable("s3_delete_nonempty_buckets", "bool", False, says="whether destroy may delete a bucket with logs")
        )
    return blocks + (flow_log_variables(choices) if flow_logs and export.collects_logs else [])


def _primary_role(choices: Choices) -> list[Block]:
    documents = primary_documents(choices)
    if not documents:
        return []
    path, name = _path_and_name((choices.export.iam_role_arn or "").partition(":role/")[2])
    created = Expression("var.create_role ? 1 : 0")
    role = resource(
        "aws_iam_role",
        "primary",
        {
            "count": created,
            "name": name,
            "path": path,
            "description": f"kentik_dagster collects export {choices.export.name}",
            "assume_role_policy": file_beside("policies/primary-trust.json"),
        },
    )
    names: dict[str, Value] = {one: Expression(f'"${{path.module}}/policies/{one}.json"') for one in documents}
    policy = resource(
        "aws_iam_policy",
        "primary",
        {
            "for_each": names,
            "name": Expression(f'"{name}-${{each.key}}"'),
            "policy": Expression("file(each.value)"),
        },
    )
    attachment = resource(
        "aws_iam_role_policy_attachment",
        "primary",
        {
            "for_each": Expression("aws_iam_policy.primary"),
            "role": name,
            "policy_arn": Expression("each.value.arn"),
            "depends_on": [Expression("aws_iam_role.primary")],
        },
    )
    return [role, policy, attachment]


def _outputs(choices: Choices, *, own_bucket: bool) -> list[Block]:
    """As the wizard's module names them."""
    outputs = []
    if choices.export.iam_role_arn is not None:
        outputs.append(Block("output", ("iam_role_arn",), {"value": choices.export.iam_role_arn}))
    if own_bucket:
        outputs.append(Block("output", ("bucket_name_list",), {"value": [Expression("aws_s3_bucket.logs.bucket")]}))
    if own_bucket and Feature.NOTIFICATIONS in choices.features:
        outputs.append(Block("output", ("notification_queue",), {"value": Expression("aws_sqs_queue.logs.url")}))
    return outputs


def _path_and_name(role: str) -> tuple[str, str]:
    path, _, name = role.rpartition("/")
    return (f"/{path}/" if path else "/"), name
