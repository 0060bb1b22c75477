"""The policies of a role as IAM keeps them, where we may read them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError


@dataclass(slots=True)
class RoleDocuments:
    """What is written about a role.

    Attributes:
        trust: who may assume it.
        policies: what it may do, by the name of each policy.
        of_aws: the names of policies that AWS wrote; their documents are not read.
    """

    trust: dict[str, Any]
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    of_aws: list[str] = field(default_factory=list)


def role_documents(iam: Any, role_name: str) -> RoleDocuments | None:
    """Everything about a role of the client's account; None: we may not read it, or there is none."""
    try:
        found = RoleDocuments(iam.get_role(RoleName=role_name)["Role"]["AssumeRolePolicyDocument"])
        for page in iam.get_paginator("list_role_policies").paginate(RoleName=role_name):
            for name in page["PolicyNames"]:
                found.policies[name] = iam.get_role_policy(RoleName=role_name, PolicyName=name)["PolicyDocument"]
        for page in iam.get_paginator("list_attached_role_policies").paginate(RoleName=role_name):
            for attached in page["AttachedPolicies"]:
                name, arn = attached["PolicyName"], attached["PolicyArn"]
                if ":iam::aws:policy/" in arn:
                    found.of_aws.append(name)
                    continue
                version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
                document = iam.get_policy_version(PolicyArn=arn, VersionId=version)
                found.policies[name] = document["PolicyVersion"]["Document"]
    except (ClientError, BotoCoreError, KeyError):
        return None
    return found
