"""Reading policy documents as people write and paste them: what is wrong in them, and what to write instead.

A document is judged by its text alone. What the actions are for is the caller's to say: `needed` are the statements
that `kentik-dagster setup` would write for the export.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from kentik_dagster.core.trust import ARN, listed, principals

_VERSION = "2012-10-17"
# "IAM: Sid" of the IAM JSON policy reference: letters and digits.
_SID = re.compile(r"[A-Za-z0-9]+")
_ACTION = re.compile(r"(?P<prefix>[a-z0-9-]+):(?P<name>[A-Za-z0-9*?]+)")
# What SDKs and consoles call services that IAM knows by another name.
_SLIPS = {
    "elb": "elasticloadbalancing", "elbv2": "elasticloadbalancing", "organization": "organizations",
    "monitoring": "cloudwatch", "networkfirewall": "network-firewall", "vpc": "ec2",
}  # fmt: skip
# Names of API operations for which there is no action.
_NO_ACTIONS = {"s3:headbucket": "s3:ListBucket", "s3:headobject": "s3:GetObject", "s3:listobjectsv2": "s3:ListBucket"}
_SHORT_EXTERNAL_ID = 16
_KEY = re.compile(r"arn:(aws|aws-cn|aws-us-gov):kms:[a-z0-9-]+:\d{12}:(key|alias)/.+")
_BROAD_POLICIES = {
    "AmazonS3FullAccess": "it lets the role delete every bucket of the account",
    "AmazonS3ReadOnlyAccess": "it lets the role read every bucket of the account",
    "AdministratorAccess": "it lets the role do anything",
    "PowerUserAccess": "it lets the role do nearly anything",
    "ReadOnlyAccess": "it lets the role read every bucket, table and secret parameter of the account",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with a document.

    Attributes:
        breaks: whether something does not work because of it; else it works, and grants too much or says too little.
    """

    says: str
    to_do: str
    breaks: bool


def read_document(text: str) -> tuple[dict[str, Any] | None, list[Fault]]:
    """A document as pasted, put right where a strict reader would refuse it, and its faults.

    The document is None where nobody can read it.
    """
    faults = []
    if "\u00a0" in text:
        number = text.count("\u00a0")
        faults.append(
            Fault(
                f"{number} no-break spaces (U+00A0) stand where blanks should",
                "replace them by blanks: IAM refuses them",
                True,
            )
        )
        text = text.replace("\u00a0", " ")
    without = re.sub(r",(\s*[\]}])", r"\1", text)
    if without != text:
        faults.append(Fault("a comma stands before a closing bracket", "remove it: IAM refuses the document", True))
    try:
        document = json.loads(without)
    except ValueError as error:
        return None, [*faults, Fault(f"it is no JSON: {error}", "correct it there", True)]
    if not isinstance(document, dict) or not document.get("Statement"):
        return None, [*faults, Fault("it has no Statement", "write a policy document", True)]
    return document, faults


def is_trust(document: Mapping[str, Any]) -> bool:
    """Whether it says who may assume a role, and not what its holder may do."""
    return any("Principal" in statement for statement in listed(document["Statement"]))


def trust_faults(trust: Mapping[str, Any], *, wants_external_id: bool) -> Iterator[Fault]:
    """What is wrong with a trust policy, whoever wants to assume the role.

    Args:
        wants_external_id: whether it is the primary role's, which somebody else than its account may want to assume.
    """
    yield from _form(trust)
    for statement in listed(trust["Statement"]):
        for principal in principals(statement):
            yield from _principal(principal)
        conditions: Mapping[str, Mapping[str, Any]] = statement.get("Condition") or {}
        if "Condition" in statement and not conditions:
            yield Fault("its Condition is empty, which is no condition", "write one, or leave the key out", False)
        external_ids = [str(one) for keys in conditions.values() for key, value in keys.items()
                        if key.lower() == "sts:externalid" for one in listed(value)]  # fmt: skip
        if wants_external_id and not external_ids:
            yield Fault(
                "it asks for no external id",
                "add the condition StringEquals sts:ExternalId with an id of your own: without one, whoever "
                "collects for "
                "several customers can be made to collect yours for another",
                False,
            )
        for one in external_ids:
            if len(one) < _SHORT_EXTERNAL_ID:
                yield Fault(
                    f"its external id has {len(one)} characters: it can be guessed",
                    "use one of your own, such as a UUID, and no one from a public page",
                    False,
                )
        for operator, keys in conditions.items():
            for key, value in keys.items():
                wrong = [
                    str(one) for one in listed(value) if operator.startswith("Arn") and not ARN.fullmatch(str(one))
                ]
                for one in wrong:
                    yield Fault(
                        f"the condition {operator} {key} holds {one!r}, which is no ARN: nobody can ever assume the "
                        "role",
                        "write it as arn:<partition>:iam::<account>:role/<name>, with two colons before the account",
                        True,
                    )


def permission_faults(document: Mapping[str, Any], called: Collection[str]) -> Iterator[Fault]:
    """What is wrong with a policy of an identity, besides what it lacks.

    Args:
        called: the actions that its holder may have to call.
    """
    yield from _form(document)
    called = {action.lower() for action in called}
    for statement in listed(document["Statement"]):
        if statement.get("Effect") != "Allow":
            continue
        actions = [str(one) for one in listed(statement.get("Action", []))]
        resources = [str(one) for one in listed(statement.get("Resource", []))]
        yield from _actions(actions, called)
        yield from _resources(actions, resources)


def lacking(documents: Sequence[Mapping[str, Any]], needed: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """The actions that documents together do not grant, each with a resource on which it is needed."""
    granting = [one for document in documents for one in listed(document["Statement"]) if one.get("Effect") == "Allow"]
    return [
        (str(action), resource)
        for statement in needed
        for action in listed(statement["Action"])
        for resource in map(str, listed(statement["Resource"]))
        if not any(_grants(one, str(action), resource) for one in granting)
    ]


def lacking_faults(missing: Sequence[tuple[str, str]]) -> Iterator[Fault]:
    """What is not granted, by resource."""
    ordered = sorted(missing, key=lambda one: (one[1], one[0]))
    for resource, some in groupby(ordered, key=lambda one: one[1]):
        names = ", ".join(dict.fromkeys(action for action, _ in some))
        where = "" if resource == "*" else f" on {resource}"
        yield Fault(f"{names}{where} is not granted", f"grant {names}{where}", True)


def broad_policy_fault(name: str) -> Fault | None:
    """Why a policy of AWS's own should not be attached; None: nothing is known against it."""
    reason = _BROAD_POLICIES.get(name)
    if reason is None:
        return None
    return Fault(f"{name} is attached: {reason}", "detach it: a narrow policy beside it narrows nothing", False)


def _form(document: Mapping[str, Any]) -> Iterator[Fault]:
    version = document.get("Version")
    if version != _VERSION:
        yield Fault(
            f"its Version is {version}",
            f"write {_VERSION}: variables and newer elements are not understood else",
            False,
        )
    for statement in listed(document["Statement"]):
        sid = statement.get("Sid")
        if sid is not None and not _SID.fullmatch(str(sid)):
            yield Fault(f"the Sid {sid!r} is none", "use letters and digits, or leave it out", False)


def _principal(principal: str) -> Iterator[Fault]:
    if principal == "*":
        yield Fault("it trusts everybody", "name the one role or user that assumes the role", False)
    elif re.fullmatch(r"\d{12}|arn:[a-z-]+:iam::\d{12}:root", principal):
        yield Fault(f"it trusts all of {principal}", "name the one role or user that assumes the role", False)
    elif not re.fullmatch(r"arn:(aws|aws-cn|aws-us-gov):(iam|sts)::\d{12}:\S+", principal):
        yield Fault(
            f"the principal {principal!r} is no ARN of a role or user: IAM refuses it",
            "put the account and the role's name where the placeholder stands",
            True,
        )


def _actions(actions: Sequence[str], called: Collection[str]) -> Iterator[Fault]:
    doubled = sorted({one for one in actions if actions.count(one) > 1})
    if doubled:
        yield Fault(f"{', '.join(doubled)} stand there twice", "once is enough", False)
    distinct = list(dict.fromkeys(actions))
    for action in distinct:
        yield from _name(action)
        if "*" in action or "?" in action:
            yield _wildcard(action, called)
    uncalled = [one for one in distinct if one.lower() not in called and not any(_name(one)) and "*" not in one]
    if uncalled:
        yield Fault(f"{', '.join(uncalled)} is granted, and never called", "remove it", False)


def _name(action: str) -> Iterator[Fault]:
    """What is wrong with the name of an action."""
    match = _ACTION.fullmatch(action)
    prefix = action.partition(":")[0]
    if prefix.lower() in _SLIPS:
        right = _SLIPS[prefix.lower()]
        yield Fault(f"{action}: IAM has no service {prefix!r}", f"write {right}: instead of {prefix}:", True)
    elif action.lower() in _NO_ACTIONS:
        yield Fault(f"{action} is no action", f"grant {_NO_ACTIONS[action.lower()]}, which permits that call", True)
    elif match is None and action != "*":
        yield Fault(f"{action!r} is no action", "write <service>:<Operation>", True)
    elif match and match["name"][:1].islower():
        to_do = "write it as AWS does: AWS itself takes it, and tools that read policies do not"
        yield Fault(f"{action} is in lower case", to_do, False)


def _wildcard(action: str, called: Collection[str]) -> Fault:
    fitting = [one for one in called if fnmatch.fnmatchcase(one, action.lower())]
    to_do = f"list the {len(fitting)} that are called" if fitting else "remove it: nothing of it is called"
    if action.lower() in ("s3:*", "*"):
        to_do += "; it includes deleting the bucket and changing its policy"
    return Fault(f"{action} grants all that it matches", to_do, False)


def _resources(actions: Sequence[str], resources: Sequence[str]) -> Iterator[Fault]:
    lower = [action.lower() for action in actions]
    if "*" in resources and any(fnmatch.fnmatchcase("sts:assumerole", one) for one in lower):
        yield Fault(
            "sts:AssumeRole is granted on every role of every account",
            "grant it on arn:<partition>:iam::<account>:role/<role_suffix> alone",
            False,
        )
    for resource in resources:
        if resource == "*":
            continue
        if ":kms:" in resource and not _KEY.fullmatch(resource):
            yield Fault(
                f"{resource!r} matches no key: a key's ARN has a region, an account and an id",
                "write arn:<partition>:kms:<region>:<account>:key/<id>",
                True,
            )
        elif not re.fullmatch(r"arn:(aws|aws-cn|aws-us-gov|\*):[a-z0-9*-]+:[a-z0-9*-]*:[0-9*]*:.+", resource):
            yield Fault(
                f"{resource!r} is no ARN", "write it as arn:<partition>:<service>:<region>:<account>:<resource>", True
            )
    on_objects = {"s3:getobject", "s3:putobject", "s3:deleteobject"}
    is_of_object = [
        any(fnmatch.fnmatchcase(one, action) for one in on_objects) for action in lower if action.startswith("s3:")
    ]
    is_of_bucket = [fnmatch.fnmatchcase("s3:listbucket", action) for action in lower if action.startswith("s3:")]
    if any(is_of_object) and any(is_of_bucket) and len(resources) > 1:
        yield Fault(
            "actions on buckets and on objects share one list of resources",
            "make two statements: s3:ListBucket on the bucket, s3:GetObject on the objects in it",
            False,
        )
    account_wide = [action for action in actions if fnmatch.fnmatchcase("s3:listallmybuckets", action.lower())]
    if account_wide and resources and "*" not in resources:
        yield Fault(
            f"{account_wide[0]} does not grant s3:ListAllMyBuckets on a bucket", "it is granted on * alone", False
        )


def _grants(statement: Mapping[str, Any], action: str, resource: str) -> bool:
    actions: Iterable[Any] = listed(statement.get("Action", []))
    resources: Iterable[Any] = listed(statement.get("Resource", []))
    return any(fnmatch.fnmatchcase(action.lower(), str(one).lower()) for one in actions) and any(
        fnmatch.fnmatchcase(resource, str(one)) for one in resources
    )
