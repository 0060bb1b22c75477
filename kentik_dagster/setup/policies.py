"""The policies of identities: who may assume which role, and what each may call. One statement per feature."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kentik_dagster.catalog.network import SERVICE_HOMES
from kentik_dagster.catalog.permissions import PERMISSIONS, Feature, On, Permission
from kentik_dagster.errors import SetupError
from kentik_dagster.setup.choices import Choices

Document = dict[str, Any]
Statement = dict[str, Any]

# "IAM and AWS STS quotas": characters of a managed policy without white space, and managed policies of a role.
LARGEST_POLICY = 6_144
MOST_POLICIES = 10
_ROLES_PER_DOCUMENT = 60
_OF_EVERY_ACCOUNT = (Feature.METADATA, Feature.METRICS)
_OF_THE_LAKE = (Feature.LAKE, Feature.LAKE_ENCRYPTION)


def document(statements: Iterable[Statement]) -> Document:
    """A policy document."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def as_json(value: Mapping[str, Any]) -> str:
    """A document as it is written: ASCII, indented by two blanks, with a line's end."""
    return json.dumps(value, indent=2, ensure_ascii=True) + "\n"


def compact_size(value: Mapping[str, Any]) -> int:
    """Characters of a document as IAM counts them."""
    return len(json.dumps(value, separators=(",", ":")))


def primary_trust(choices: Choices) -> Document:
    """Who may assume the primary role: the collector alone, with the external id if there is one."""
    principal = choices.collector_arn or f"arn:{choices.partition}:iam::{choices.account_id}:root"
    external_id = choices.export.external_id
    condition = {"StringEquals": {"sts:ExternalId": external_id}} if external_id is not None else {}
    return document([_trust("Collector", principal, condition)])


def secondary_trust(choices: Choices) -> Document:
    """Who may assume the role in the other accounts: the primary role alone, from within the organization."""
    organization = choices.organization_id
    condition = {"StringEquals": {"aws:PrincipalOrgID": organization}} if organization is not None else {}
    return document([_trust("PrimaryRole", choices.primary_arn, condition)])


def collector_documents(choices: Choices) -> dict[str, Document]:
    """What the identity that runs kentik_dagster needs, by the name of the policy."""
    lake = statements(choices, _OF_THE_LAKE)
    if choices.export.iam_role_arn is None:
        return _whole("collector", [*_access(choices), *lake], _chain(choices))
    primary = _granted(choices, On.PRIMARY_ROLE, [one for one in PERMISSIONS if one.on is On.PRIMARY_ROLE])
    return _whole("collector", [primary, *lake], [])


def primary_documents(choices: Choices) -> dict[str, Document]:
    """What the primary role needs, by the name of the policy; nothing where the collector needs no role.

    Raises:
        SetupError: more than fits into the policies of one role.
    """
    if choices.export.iam_role_arn is None:
        return {}
    return _whole("primary", _access(choices), _chain(choices))


def secondary_document(choices: Choices) -> Document:
    """What the role in each other account needs."""
    return document(statements(choices, _OF_EVERY_ACCOUNT))


def statements(choices: Choices, features: Iterable[Feature]) -> list[Statement]:
    """A statement for each of these features that is chosen, and each kind of thing that it is granted on."""
    wanted = [feature for feature in features if feature in choices.features]
    groups: dict[tuple[Feature, On], list[Permission]] = {}
    for one in PERMISSIONS:
        if one.feature in wanted and _is_there(one, choices.partition):
            groups.setdefault((one.feature, one.on), []).append(one)
    return [_granted(choices, on, permissions) for (_, on), permissions in groups.items()]


def _is_there(permission: Permission, partition: str) -> bool:
    """Whether the partition has a service that the permission is for: China has no Network Manager."""
    services = {call.partition(".")[0] for call in permission.calls}
    return not services or any(partition in SERVICE_HOMES.get(service, (partition,)) for service in services)


def _access(choices: Choices) -> list[Statement]:
    return statements(choices, [one for one in Feature if one not in (Feature.ROLE_CHAIN, *_OF_THE_LAKE)])


def _chain(choices: Choices) -> list[Statement]:
    """The roles of the other accounts: those of named accounts, or of any account of the organization."""
    if not choices.has_other_accounts:
        return []
    arn = f"arn:{choices.partition}:iam::{{}}:role/{choices.export.role_suffix}"
    if choices.export.organization_role:
        organization = choices.organization_id
        condition = {"StringEquals": {"aws:ResourceOrgID": organization}} if organization is not None else {}
        return [_allow("SecondaryRoles", ["sts:AssumeRole"], [arn.format("*")], condition)]
    accounts = choices.listed_accounts[1:]
    return [
        _allow("SecondaryRoles", ["sts:AssumeRole"], [arn.format(account_id) for account_id in some])
        for some in (
            accounts[start : start + _ROLES_PER_DOCUMENT] for start in range(0, len(accounts), _ROLES_PER_DOCUMENT)
        )
    ]


def _whole(holder: str, access: Sequence[Statement], chain: Sequence[Statement]) -> dict[str, Document]:
    documents = {f"{holder}-access": document(access)} if access else {}
    for number, statement in enumerate(chain, start=1):
        suffix = f"-{number}" if len(chain) > 1 else ""
        documents[f"{holder}-accounts{suffix}"] = document([statement])
    too_large = [name for name, one in documents.items() if compact_size(one) > LARGEST_POLICY]
    if len(documents) > MOST_POLICIES or too_large:
        raise SetupError([
            f"the {holder}'s permissions need {len(documents)} policies ({', '.join(too_large) or 'none'} beyond "
            f"{LARGEST_POLICY:,} characters), and a role takes {MOST_POLICIES}: set organization_role: true with "
            "blocked_accounts instead of so many secondary_accounts, or divide them between two exports"
        ])  # fmt: skip
    return documents


def _granted(choices: Choices, on: On, permissions: Sequence[Permission]) -> Statement:
    feature = "".join(part.capitalize() for part in permissions[0].feature.split("_"))
    sid = f"{feature}{'' if on is On.ANYTHING else on.rpartition('_')[2].capitalize()}"
    actions = list(dict.fromkeys(one.action for one in permissions))
    return _allow(sid, actions, _resources(choices, on), _conditions(choices, on))


def _resources(choices: Choices, on: On) -> list[str]:
    lake_bucket, _, lake_prefix = choices.lake.removeprefix("s3://").partition("/")
    lake_folder = f"{lake_prefix.strip('/')}/" if lake_prefix.strip("/") else ""
    match on:
        case On.LOG_BUCKET:
            return [choices.bucket_arn]
        case On.LOG_OBJECTS:
            return [choices.log_objects_arn]
        case On.LOG_KEY:
            any_key = f"arn:{choices.partition}:kms:{choices.export.region}:{choices.bucket_account}:key/*"
            return [choices.kms_key_arn or any_key]
        case On.QUEUE:
            return [choices.queue_arn]
        case On.PRIMARY_ROLE:
            return [choices.primary_arn]
        case On.LAKE_BUCKET:
            return [f"arn:{choices.partition}:s3:::{lake_bucket}"]
        case On.LAKE_OBJECTS:
            return [f"arn:{choices.partition}:s3:::{lake_bucket}/{lake_folder}*"]
        case On.LAKE_KEY:
            return [choices.lake_kms_key_arn or "*"]
    return ["*"]


def _conditions(choices: Choices, on: On) -> dict[str, Any]:
    if on is not On.LOG_KEY:
        return {}
    # The key is used by S3 for this reader, and for nothing else. With bucket keys the context is the bucket.
    condition: dict[str, Any] = {
        "StringEquals": {"kms:ViaService": f"s3.{choices.export.region}.{choices.dns_suffix}"},
    }
    if choices.creates_key:
        condition["StringEquals"]["kms:EncryptionContext:aws:s3:arn"] = choices.bucket_arn
        # Its id is not known before it is made; the alias is its own.
        condition["ForAnyValue:StringEquals"] = {"kms:ResourceAliases": choices.key_alias}
    else:
        condition["StringLike"] = {"kms:EncryptionContext:aws:s3:arn": [choices.bucket_arn, f"{choices.bucket_arn}/*"]}
    return condition


def _allow(
    sid: str, actions: Sequence[str], resources: Sequence[str], condition: Mapping[str, Any] | None = None
) -> Statement:
    statement: Statement = {
        "Sid": sid,
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": resources[0] if len(resources) == 1 else list(resources),
    }
    return statement | ({"Condition": dict(condition)} if condition else {})


def _trust(sid: str, principal: str, condition: Mapping[str, Any]) -> Statement:
    statement: Statement = {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": "sts:AssumeRole",
    }
    return statement | ({"Condition": dict(condition)} if condition else {})
