"""The README of a set-up: what to run, in which account, in which order, and what each file is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kentik_dagster.catalog.permissions import Feature
from kentik_dagster.setup.choices import Choices, Encryption
from kentik_dagster.setup.policies import collector_documents

_FEATURES = {
    Feature.METADATA: "network metadata of every account",
    Feature.METRICS: "CloudWatch metrics",
    Feature.ORGANIZATION: "the accounts of the organization",
    Feature.ROLE_CHAIN: "a role chain",
    Feature.FLOW_LOGS: "reading log objects",
    Feature.DELETION: "deleting log objects that have been read",
    Feature.ENCRYPTION: "log objects encrypted with KMS",
    Feature.NOTIFICATIONS: "notifications of new objects",
    Feature.VERIFICATION: "what only `kentik-dagster verify` calls",
    Feature.LAKE: "the lake in S3",
    Feature.LAKE_ENCRYPTION: "the lake encrypted with KMS",
}
_SAYS = {
    "main.tf": "the export's own account",
    "bucket-account/main.tf": "the account of the log bucket",
    "other-accounts/main.tf": "each other account: its role and its flow logs",
    "other-accounts/secondary-role.template.json": "the same role as CloudFormation, for a StackSet",
    "policies/collector-access.json": "what the identity that runs kentik_dagster may do",
    "policies/primary-trust.json": "who may assume the primary role",
    "policies/primary-access.json": "what the primary role may do",
    "policies/secondary-trust.json": "who may assume the role in the other accounts",
    "policies/secondary-access.json": "what that role may do",
    "policies/bucket-policy.json": "who may write log objects",
    "policies/key-policy.json": "who may use the key of the log objects",
    "policies/queue-policy.json": "who may notify",
    "policies/topic-policy.json": "who may publish",
}


def readme(choices: Choices, files: Sequence[str], advices: Sequence[str]) -> str:
    """The text, in Markdown."""
    return "\n".join([*_introduction(choices, advices), *_steps(choices), *_contents(choices, files)])


def _introduction(choices: Choices, advices: Sequence[str]) -> Iterator[str]:
    yield f"# The AWS side of export `{choices.export.name}`"
    yield ""
    yield "Written by `kentik-dagster setup`. Permissions for these features, and for nothing else:"
    yield ""
    yield from (f"- {says}" for feature, says in _FEATURES.items() if feature in choices.features)
    yield ""
    if advices:
        yield "Before you begin:"
        yield ""
        yield from (f"- {one[0].upper()}{one[1:]}." for one in advices)
        yield ""


def _steps(choices: Choices) -> Iterator[str]:
    export = choices.export
    steps: list[list[str]] = []
    if export.collects_logs and choices.create_bucket and choices.bucket_is_central:
        whose = f"With administrator credentials of account {choices.bucket_account}, which gets the bucket:"
        steps.append([whose, *_apply("bucket-account")])
    if export.collects_logs and not choices.create_bucket:
        steps.append(_existing_bucket(choices))
    steps.append([f"With administrator credentials of account {choices.account_id}:", *_apply(".")])
    steps.append(_collector(choices))
    if choices.has_other_accounts:
        steps.append(_other_accounts(choices))
    steps.append(["Look whether it works:", "", "    kentik-dagster verify"])
    yield "## What to run"
    yield ""
    for number, lines in enumerate(steps, start=1):
        yield f"{number}. {lines[0]}"
        yield from (f"   {line}".rstrip() for line in lines[1:])
        yield ""


def _collector(choices: Choices) -> list[str]:
    """Its own identity may be anybody's: a role here or elsewhere, or a user."""
    arn = choices.collector_arn or "the identity that runs kentik_dagster"
    is_user = ":user/" in arn
    kind = "user" if is_user else "role"
    name = arn.rpartition("/")[2] if choices.collector_arn else f"<the {kind}'s name>"
    lines = [f"Let {arn} do what `policies/collector-*.json` says:"]
    for document in collector_documents(choices):
        lines += [
            "",
            f"    aws iam put-{kind}-policy --{kind}-name {name} --policy-name kentik-dagster-{document} \\",
            f"        --policy-document file://policies/{document}.json",
        ]
    return lines


def _apply(folder: str) -> list[str]:
    return ["", f"    terraform -chdir={folder} init", f"    terraform -chdir={folder} apply"]


def _existing_bucket(choices: Choices) -> list[str]:
    lines = [
        f"In account {choices.bucket_account}, let bucket {choices.export.log_bucket} admit the logs:",
        "add the statements of `policies/bucket-policy.json` to its policy; keep what is there.",
    ]
    if choices.encryption is Encryption.SSE_KMS:
        lines.append("Add those of `policies/key-policy.json` to the policy of its key.")
    if choices.has_queue:
        fed = "the topic" if choices.through_sns else "the queue"
        lines += [
            f"Give the queue {choices.queue_arn} the policy",
            f"`policies/queue-policy.json`, and let the bucket notify {fed} of `s3:ObjectCreated:*` with the prefix",
            f"`{choices.export.log_folder}AWSLogs/`.",
        ]
    return lines


def _other_accounts(choices: Choices) -> list[str]:
    listed = choices.listed_accounts[1:]
    everywhere = choices.export.organization_role
    which = "every other account of the organization" if everywhere else f"accounts {', '.join(listed)}"
    chosen = "" if everywhere else f",Accounts={','.join(listed)},AccountFilterType=INTERSECTION"
    lines = [
        f"The role in {which}, all at once as a StackSet, from the management account or a delegated administrator:",
        "",
        "    aws cloudformation create-stack-set --stack-set-name kentik-dagster \\",
        "        --template-body file://other-accounts/secondary-role.template.json \\",
        "        --capabilities CAPABILITY_NAMED_IAM --permission-model SERVICE_MANAGED \\",
        "        --auto-deployment Enabled=true,RetainStacksOnAccountRemoval=false",
        "    aws cloudformation create-stack-instances --stack-set-name kentik-dagster --regions "
        f"{choices.export.region} \\",
        f"        --deployment-targets OrganizationalUnitIds=<the organization's root, such as r-ab12>{chosen}",
        "",
        "A StackSet leaves the management account out. Or in each account, with its flow logs:",
        "",
        "    terraform -chdir=other-accounts init",
        "    terraform -chdir=other-accounts workspace new <the account's id>",
        "    terraform -chdir=other-accounts apply",
    ]
    if choices.export.collects_logs:
        lines += [
            "",
            "With the StackSet, apply that, too, where flow logs are missing, or leave flow logs to what makes "
            "your VPCs: the",
            "check `every_network_sends_logs` in the Dagster UI, and `kentik-dagster verify`, name each VPC "
            "without one.",
        ]
    return lines


def _contents(choices: Choices, files: Sequence[str]) -> Iterator[str]:
    yield "## What is here"
    yield ""
    yield "| file | what it is for |"
    yield "|---|---|"
    for file in files:
        says = _SAYS.get(file, "which other accounts' role may be assumed")
        yield f"| `{file}` | {says} |"
    yield ""
    yield (
        "The documents name accounts, roles and the bucket: when kentik.yaml changes, run `kentik-dagster setup "
        "--force` and"
    )
    yield "look at the difference before you apply it."
    if choices.export.external_id is not None:
        yield (
            "`policies/primary-trust.json` holds the external id, as kentik.yaml does: keep both where others do "
            "not read."
        )
    yield ""
