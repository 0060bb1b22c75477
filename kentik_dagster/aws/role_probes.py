"""Asking AWS about a role that could not be assumed, and about one that could be assumed too easily.

All of it is a courtesy: what we may not ask is None, and never an error of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from kentik_dagster.aws.sessions import ExportAccess, ambient_client, error_code
from kentik_dagster.core.trust import identity_arn

_SESSION_NAME = "kentik-dagster-verify"


@dataclass(frozen=True, slots=True)
class SeenRole:
    """What could be learnt of a role.

    Attributes:
        exists: None: nobody told.
        trust: its trust policy.
        may_be_asked: whether the caller's own policies let it ask for the role.
    """

    exists: bool | None = None
    trust: dict[str, Any] | None = None
    may_be_asked: bool | None = None


def seen_role(iam: Any, caller_arn: str, role_arn: str) -> SeenRole:
    """What a caller can learn of a role, which is something only in its own account.

    Args:
        iam: the caller's IAM client.
    """
    may = _simulated(iam, identity_arn(caller_arn), role_arn)
    if caller_arn.split(":")[4:5] != role_arn.split(":")[4:5]:
        return SeenRole(may_be_asked=may)
    try:
        role = iam.get_role(RoleName=role_arn.rpartition("/")[2])["Role"]
    except ClientError as error:
        return SeenRole(exists=False if error_code(error) == "NoSuchEntity" else None, may_be_asked=may)
    except BotoCoreError:
        return SeenRole(may_be_asked=may)
    return SeenRole(exists=True, trust=role.get("AssumeRolePolicyDocument"), may_be_asked=may)


def is_assumable_without_external_id(access: ExportAccess) -> bool | None:
    """Whether the primary role also opens to one who does not say the external id; None: AWS did not answer."""
    export = access.export
    try:
        ambient_client("sts", export.region).assume_role(RoleArn=export.iam_role_arn, RoleSessionName=_SESSION_NAME)
    except ClientError as error:
        return False if error_code(error) == "AccessDenied" else None
    except BotoCoreError:
        return None
    return True


def _simulated(iam: Any, caller: str, role_arn: str) -> bool | None:
    try:
        answer = iam.simulate_principal_policy(
            PolicySourceArn=caller, ActionNames=["sts:AssumeRole"], ResourceArns=[role_arn]
        )
        return bool(answer["EvaluationResults"][0]["EvalDecision"] == "allowed")
    except (ClientError, BotoCoreError, LookupError):
        return None
