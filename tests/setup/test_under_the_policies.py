"""The generated policies at work: all of it runs under them, and without any one statement `verify` names what is "
"missing."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kentik_dagster.catalog.network_operations import OPERATIONS
from kentik_dagster.catalog.permissions import PERMISSIONS
from kentik_dagster.core.verification import Finding, Status
from kentik_dagster.demo.emulator_process import Emulator
from tests.setup.deployments import Deployed, deployed, held, organization
from tests.setup.enforcing import Role
from tests.setup.iam import is_allowed


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with organization(tmp_path_factory.mktemp("organization")) as running:
        yield running


def run_the_main_job(deployment: Deployed, place: Path) -> subprocess.CompletedProcess[str]:
    """`kentik-dagster run` in a process of its own, as a user has it."""
    path = place / "kentik.yaml"
    path.write_text(deployment.configuration.model_dump_json(exclude_defaults=True))  # JSON is YAML
    return subprocess.run(
        [sys.executable, "-m", "kentik_dagster.cli", "run", f"--config={path}"],
        env=os.environ | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def denied(deployment: Deployed) -> set[str]:
    """What was refused of all that was asked."""
    enforcing = deployment.enforcing
    context = {**enforcing.context, "kms:ViaService": "s3.us-east-1.amazonaws.com"}
    return {
        asked.action
        for asked in enforcing.asked
        if asked.action not in ("sts:GetCallerIdentity", "kms:Decrypt")
        and not is_allowed(_held_by(deployment, asked.caller), asked.action, asked.resource, context)
    }


# What asks for one resource at a time has none of them in a small organization; nothing small is uploaded in parts.
_NOTHING_TO_ASK_FOR = {operation.action for operation in OPERATIONS if operation.for_each} | {"s3:AbortMultipartUpload"}


def never_asked(deployment: Deployed) -> set[str]:
    """What was granted, and nobody asked for."""
    granted = {
        action
        for holder in ("collector", "primary", "secondary")
        for document in held(deployment.documents, holder)
        for statement in document["Statement"]
        for action in statement["Action"]
    }
    return granted - {asked.action for asked in deployment.enforcing.asked}


def _held_by(deployment: Deployed, caller: str) -> list[Any]:
    roles = deployment.enforcing.roles
    return list(roles[caller].policies if caller in roles else deployment.enforcing.policies)


COMBINATIONS = [
    {
        "others": others,
        "metrics": metrics,
        "deletion": deletion,
        "key": key,
        "queue": queue,
        "on_s3": on_s3,
        "role": role,
    }
    for others, metrics, deletion, key, queue, on_s3, role in itertools.product(
        ("organization", "named", "none"), *[(True, False)] * 6
    )
]
# In the suite: all features at once. `make test-setup` runs every combination.
RUN = COMBINATIONS if "SETUP_ALL" in os.environ else COMBINATIONS[:1]


@pytest.mark.parametrize("features", RUN, ids=lambda one: "-".join(str(value) for value in one.values()))
def test_the_whole_main_job_runs_under_the_generated_policies(
    features: dict[str, Any], made: Emulator, tmp_path: Path
) -> None:
    with deployed(made, tmp_path, **features) as deployment:
        assert [finding for finding in deployment.findings() if finding.status is Status.FAILED] == []
        done = run_the_main_job(deployment, tmp_path)
        assert done.returncode == 0, done.stdout[-5_000:] + done.stderr[-5_000:]
        assert denied(deployment) == set()
        if features == COMBINATIONS[0]:
            assert never_asked(deployment) <= _NOTHING_TO_ASK_FOR


@pytest.fixture(scope="module")
def everything(made: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with deployed(made, tmp_path_factory.mktemp("everything")) as deployment:
        yield deployment


def test_verify_finds_nothing_wrong_under_the_generated_policies(everything: Deployed) -> None:
    findings = everything.findings()

    assert {finding.check for finding in findings} >= {
        "ambient_identity", "lake", "primary_role", "external_id", "organization", "secondary_account", "region",
        "metadata", "metrics", "bucket", "log_object", "deletion", "queue", "queue_feed", "flow_logs",
        "flow_log_format",
    }  # fmt: skip
    assert [finding for finding in findings if finding.status not in (Status.OK, Status.SKIPPED)] == []


# Each statement of each document, with what `verify` has to call for once it is gone.
STATEMENTS = (
    ("collector", "RoleChainRole", "primary_role"),
    ("collector", "LakeBucket", "lake"),
    ("collector", "LakeObjects", "lake"),
    ("primary", "Metadata", "metadata"),
    ("primary", "Metrics", "metrics"),
    ("primary", "Organization", "organization"),
    ("primary", "FlowLogsBucket", "bucket"),
    ("primary", "FlowLogsObjects", "log_object"),
    ("primary", "DeletionObjects", "deletion"),
    ("primary", "EncryptionKey", "log_object"),
    ("primary", "NotificationsQueue", "queue"),
    ("primary", "VerificationBucket", "queue_feed"),
    ("primary", "VerificationQueue", "queue_feed"),
    ("primary", "SecondaryRoles", "secondary_account"),
    ("secondary", "Metadata", "metadata"),
    ("secondary", "Metrics", "metrics"),
)


def test_no_statement_is_left_out_below(everything: Deployed) -> None:
    written = {
        (holder, statement["Sid"])
        for holder in ("collector", "primary", "secondary")
        for document in held(everything.documents, holder)
        for statement in document["Statement"]
    }

    assert written == {(holder, sid) for holder, sid, _ in STATEMENTS}


@pytest.mark.parametrize(("holder", "sid", "check"), STATEMENTS)
def test_without_one_statement_verify_names_the_missing_action(
    holder: str, sid: str, check: str, everything: Deployed
) -> None:
    documents = deepcopy(everything.documents)
    removed: list[str] = []
    for document in held(documents, holder):
        removed += [one["Action"] for one in document["Statement"] if one["Sid"] == sid]
        document["Statement"][:] = [one for one in document["Statement"] if one["Sid"] != sid]
    (actions,) = removed

    failed = [finding for finding in _under(everything, documents, check) if finding.status is Status.FAILED]

    assert check in {finding.check for finding in failed}
    named = " ".join(f"{finding.says} {finding.to_do}" for finding in failed if finding.check == check)
    assert any(action in named for action in actions), named


CALLED_BY = {
    "s3": ("lake", "bucket", "log_object", "deletion", "queue_feed"),
    "sqs": ("queue", "queue_feed"),
    "cloudwatch": ("metrics",),
}


@pytest.mark.parametrize(
    "action", sorted({one.action for one in PERMISSIONS if one.action.startswith(("sqs:", "s3:", "cloudwatch:"))})
)
def test_without_one_action_verify_names_it(action: str, everything: Deployed) -> None:
    if action == "s3:AbortMultipartUpload":
        pytest.skip("nothing small needs it, and verify writes nothing large")
    documents = deepcopy(everything.documents)
    for document in documents.values():
        for statement in document["Statement"]:
            if (
                isinstance(statement["Action"], list)
                and statement["Effect"] == "Allow"
                and "Principal" not in statement
            ):
                statement["Action"] = [one for one in statement["Action"] if one != action]

    checks = CALLED_BY[action.partition(":")[0]]
    failed = [finding for finding in _under(everything, documents, *checks) if finding.status is Status.FAILED]

    assert any(action in finding.to_do for finding in failed), [finding.to_do for finding in failed]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"external_id": "another-id"}, "it asks for another external id than the export's"),
        ({"external_id": None}, "it asks for an external id, and the export has none"),
        ({"iam_role_arn": "arn:aws:iam::123456789012:role/Missing"}, "there is no role of that name in account"),
        ({"iam_role_arn": "arn:aws:iam::555555555555:role/KentikPrimary"}, "there is no role of that name in account"),
    ],
)
def test_a_role_that_refuses_is_said_with_what_it_may_be(
    changes: dict[str, Any], reason: str, everything: Deployed
) -> None:
    export = everything.configuration.exports[0].model_copy(update=changes)
    other = replace(everything, configuration=everything.configuration.model_copy(update={"exports": (export,)}))

    finding = next(iter(other.findings("primary_role")))

    assert finding.status is Status.FAILED
    assert reason in finding.to_do
    assert "another-id" not in str(finding.as_dict())


@pytest.mark.parametrize(
    "ambient", ["arn:aws:iam::444444444444:role/somebody", "arn:aws:iam::555555555555:role/dagster"]
)
def test_another_principal_or_account_is_refused(ambient: str, everything: Deployed) -> None:
    before, everything.enforcing.ambient = everything.enforcing.ambient, ambient
    try:
        finding = next(iter(everything.findings("primary_role")))
    finally:
        everything.enforcing.ambient = before

    assert finding.status is Status.FAILED
    assert "its trust policy does not name" in finding.to_do


def _under(deployment: Deployed, documents: dict[str, Any], *checks: str) -> list[Finding]:
    """What `verify` says with these documents in place of the generated ones."""
    enforcing = deployment.enforcing
    before = enforcing.policies, dict(enforcing.roles)
    enforcing.policies = held(documents, "collector")
    for arn, role in before[1].items():
        is_primary = arn == deployment.configuration.exports[0].iam_role_arn
        enforcing.roles[arn] = Role(role.trust, held(documents, "primary" if is_primary else "secondary"))
    try:
        return deployment.findings(*checks)
    finally:
        enforcing.policies, enforcing.roles = before
