"""Checks of policies as they are written: those of a role that we may read, and those in files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kentik_dagster.aws.role_documents import role_documents
from kentik_dagster.aws.sessions import ambient_client
from kentik_dagster.catalog.permissions import Feature, permissions_of
from kentik_dagster.configuration import Export
from kentik_dagster.core.policy_review import (
    Fault,
    broad_policy_fault,
    is_trust,
    lacking,
    lacking_faults,
    permission_faults,
    read_document,
    trust_faults,
)
from kentik_dagster.core.verification import Finding, Status
from kentik_dagster.errors import SetupError
from kentik_dagster.setup.choices import Choices
from kentik_dagster.setup.policies import primary_documents, secondary_document

Statements = Sequence[Mapping[str, Any]]


def verify_role_policies(export: Export, caller_account: str) -> Iterator[Finding]:
    """Whether the primary role's policies grant what is needed and nothing more, where IAM lets us read them."""
    role_arn = export.iam_role_arn or ""
    documents = None
    if role_arn.split(":")[4:5] == [caller_account]:
        documents = role_documents(ambient_client("iam", export.region), role_arn.rpartition("/")[2])
    if documents is None:
        says = "its policies cannot be read from here: `verify --document` looks at files of them"
        yield Finding(check="policies", subject=role_arn, status=Status.SKIPPED, says=says, export=export.name)
        return
    needed = needed_statements(export, "primary")
    faults = list(trust_faults(documents.trust, wants_external_id=True))
    for document in documents.policies.values():
        faults += permission_faults(document, _called(needed))
    faults += lacking_faults(lacking(list(documents.policies.values()), needed)) if not documents.of_aws else []
    faults += [fault for fault in map(broad_policy_fault, documents.of_aws) if fault is not None]
    yield from _findings(role_arn, faults, export.name)


def verify_documents(export: Export, paths: Iterable[Path], role: str) -> Iterator[Finding]:
    """Policy documents in files, before anybody pastes them into AWS.

    Args:
        role: `primary` or `secondary`: whose documents they are.

    Raises:
        SetupError: a file cannot be read.
    """
    needed = needed_statements(export, role)
    permissions = []
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SetupError([f"cannot read {path}: {error}"]) from error
        document, faults = read_document(text)
        if document is not None and is_trust(document):
            faults += trust_faults(document, wants_external_id=role == "primary")
        elif document is not None:
            permissions.append(document)
            faults += permission_faults(document, _called(needed))
        yield from _findings(str(path), faults, export.name)
    if permissions:
        missing = list(lacking_faults(lacking(permissions, needed)))
        yield from _findings(f"the {role} role's policies together", missing, export.name)


def needed_statements(export: Export, role: str) -> Statements:
    """What a role of the export's has to be granted."""
    anybody = "arn:aws:iam::000000000000:role/collector"
    choices = Choices(export=export, collector_arn=anybody, verification=False)
    if role == "secondary":
        return list(secondary_document(choices)["Statement"])
    return [one for document in primary_documents(choices).values() for one in document["Statement"]]


def _called(needed: Statements) -> set[str]:
    """What may be called: what is needed, and what depends on things that the configuration does not say."""
    depends = (Feature.ENCRYPTION, Feature.VERIFICATION)
    open_to_choice = {one.action for feature in depends for one in permissions_of(feature)}
    return {str(action) for statement in needed for action in statement["Action"]} | open_to_choice


def _findings(subject: str, faults: Sequence[Fault], export: str) -> Iterator[Finding]:
    if not faults:
        yield Finding(check="policies", subject=subject, status=Status.OK, says="nothing is wrong", export=export)
    for fault in faults:
        status = Status.FAILED if fault.breaks else Status.WARNING
        yield Finding(
            check="policies", subject=subject, status=status, says=fault.says, to_do=fault.to_do, export=export
        )
