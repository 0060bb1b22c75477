"""IAM's evaluation of policies, as far as our documents use it: a judge that is independent of what writes them.

"Policy evaluation logic" and "IAM JSON policy elements" of the IAM User Guide: a request is allowed by a statement
whose action, resource and every condition match, and by nothing else; a matching Deny wins. Actions are not
case-sensitive.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from typing import Any

Context = Mapping[str, str | list[str]]


def is_allowed(
    documents: Iterable[Mapping[str, Any]], action: str, resource: str, context: Context | None = None
) -> bool:
    """Whether identity policies let their holder do `action` on `resource`."""
    effects = {
        statement["Effect"]
        for document in documents
        for statement in document["Statement"]
        if _any(statement["Action"], action.lower(), fold=True)
        and _any(statement["Resource"], resource)
        and _conditions_hold(statement.get("Condition", {}), context or {})
    }
    return effects == {"Allow"}


def trusts(document: Mapping[str, Any], principal: str, context: Context | None = None) -> bool:
    """Whether a role's trust policy lets a role or user, given by its ARN, assume it."""
    account_root = re.sub(r"^(arn:[^:]+:iam::\d{12}):.*", r"\1:root", principal)
    effects = {
        statement["Effect"]
        for statement in document["Statement"]
        if _any(statement["Action"], "sts:assumerole", fold=True)
        and {principal, account_root, account_root.split(":")[4], "*"} & set(_principals(statement))
        and _conditions_hold(statement.get("Condition", {}), {"aws:PrincipalArn": principal, **(context or {})})
    }
    return effects == {"Allow"}


def _principals(statement: Mapping[str, Any]) -> list[str]:
    principal = statement["Principal"]
    return _listed(principal if isinstance(principal, str) else principal.get("AWS", []))


def _any(patterns: str | list[str], value: str, *, fold: bool = False) -> bool:
    return any(_like(value, pattern.lower() if fold else pattern) for pattern in _listed(patterns))


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _like(value: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(value, pattern.replace("[", "[[]"))


def _conditions_hold(conditions: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    known = {name.lower(): value for name, value in context.items()}
    return all(
        _holds(operator, known.get(key.lower()), _listed(wanted))
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _holds(operator: str, present: str | list[str] | None, wanted: list[str]) -> bool:
    if present is None:
        return False
    values = _listed(present)
    match operator.rpartition(":")[2]:
        case "StringEquals" | "Bool":
            return any(value in wanted for value in values)
        case "StringLike":
            return any(_like(value, pattern) for value in values for pattern in wanted)
        case "ArnLike" | "ArnEquals":  # the same to AWS: each of the six parts is matched by itself
            return any(_arn_like(value, pattern) for value in values for pattern in wanted)
    raise AssertionError(f"the judge does not know {operator}")


def _arn_like(value: str, pattern: str) -> bool:
    parts, patterns = value.split(":", 5), pattern.split(":", 5)
    return len(parts) == len(patterns) == 6 and all(map(_like, parts, patterns))
