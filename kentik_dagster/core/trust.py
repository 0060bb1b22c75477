"""Why a role's trust policy refuses a caller, as far as its text tells."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping
from typing import Any

_SESSION = re.compile(r"arn:(?P<partition>[a-z-]+):sts::(?P<account>\d{12}):assumed-role/(?P<role>[^/]+)/.+")
ARN = re.compile(r"arn:(aws|aws-cn|aws-us-gov):[a-z0-9-]+:[a-z0-9-]*:(\d{12}|\*|aws)?:.+")
_EXTERNAL_ID = "sts:externalid"


def identity_arn(caller_arn: str) -> str:
    """The role behind a session's ARN, without the path that a session does not tell; other ARNs as they are."""
    match = _SESSION.fullmatch(caller_arn)
    return f"arn:{match['partition']}:iam::{match['account']}:role/{match['role']}" if match else caller_arn


def trust_objections(trust: Mapping[str, Any], caller_arn: str, external_id: str | None) -> list[str]:
    """What has to change in a trust policy before the caller may assume the role; nothing where it may.

    Args:
        trust: the policy document.
        caller_arn: as GetCallerIdentity tells it.
        external_id: what the caller sends; None: nothing.
    """
    by_statement = [
        list(_objections(statement, caller_arn, external_id))
        for statement in listed(trust.get("Statement", []))
        if statement.get("Effect") == "Allow"
        and "sts:assumerole" in {str(one).lower() for one in listed(statement.get("Action", []))}
    ]
    if not by_statement:
        return ["no statement of its trust policy allows sts:AssumeRole"]
    return min(by_statement, key=len)


def principals(statement: Mapping[str, Any]) -> list[str]:
    """The AWS principals of a statement."""
    principal = statement.get("Principal", {})
    if isinstance(principal, Mapping):
        principal = principal.get("AWS", [])
    return [str(one) for one in listed(principal)]


def listed(value: Any) -> list[Any]:
    """One value or several, as a list."""
    return list(value) if isinstance(value, list | tuple) else [value]


def _objections(statement: Mapping[str, Any], caller_arn: str, external_id: str | None) -> Iterator[str]:
    caller = identity_arn(caller_arn)
    account = caller.split(":")[4] if caller.count(":") >= 5 else ""
    partition = caller.split(":")[1] if account else "aws"
    trusted = principals(statement)
    if not any(_is(one, caller, account, partition) for one in trusted):
        named = ", ".join(trusted) or "nobody"
        yield f"its trust policy names {named}, and not {caller}: name that as the principal"
    for operator, keys in statement.get("Condition", {}).items():
        for key, wanted in keys.items():
            values = [str(one) for one in listed(wanted)]
            if key.lower() == _EXTERNAL_ID and external_id not in values:
                yield (
                    "its trust policy asks for an external id, and the export has none: add external_id to the export"
                    if external_id is None
                    else "its trust policy asks for another external id than the export's: make them the same"
                )
            elif operator.startswith("Arn"):
                wrong = [value for value in values if not ARN.fullmatch(value)]
                if wrong:
                    yield (
                        f"the condition {operator} {key} holds {wrong[0]!r}, which is no ARN and never true: correct it"
                    )
                elif key.lower() == "aws:principalarn" and not any(_like(caller, value) for value in values):
                    yield f"the condition {operator} {key} does not name {caller}: name it there"


def _is(principal: str, caller: str, account: str, partition: str) -> bool:
    if principal in ("*", caller, account, f"arn:{partition}:iam::{account}:root"):
        return True
    # A session does not tell the path of its role.
    same_name = principal.rpartition("/")[2] == caller.rpartition("/")[2]
    return same_name and principal.startswith(f"arn:{partition}:iam::{account}:role/") and ":role/" in caller


def _like(caller: str, pattern: str) -> bool:
    without_path = re.sub(r":role/.*/", ":role/", pattern)
    return fnmatch.fnmatchcase(caller, pattern) or fnmatch.fnmatchcase(caller, without_path)
