"""What is granted is what the chosen features need: no less, and no more."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from kentik_dagster.aws.regions import partition_of
from kentik_dagster.catalog.network_operations import OPERATIONS
from kentik_dagster.catalog.permissions import PERMISSIONS, Feature, On
from kentik_dagster.configuration import Export
from kentik_dagster.setup.choices import Choices, Encryption
from kentik_dagster.setup.folder import files_of
from kentik_dagster.setup.policies import (
    LARGEST_POLICY,
    collector_documents,
    compact_size,
    primary_documents,
    secondary_document,
)
from tests.setup.golden import COLLECTOR
from tests.setup.iam import is_allowed, trusts

PRIMARY_ROLE = "arn:aws:iam::111111111111:role/KentikPrimary"
OTHERS_ROLE = "arn:aws:iam::222222222222:role/KentikSecondary"
QUEUE = "arn:aws:sqs:us-east-1:111111111111:acme-flow-logs"
LAKE_KEY = "arn:aws:kms:us-east-1:444444444444:key/11111111-2222-3333-4444-555555555555"
LOG_KEY = "arn:aws:kms:us-east-1:111111111111:key/99999999-2222-3333-4444-555555555555"
# What S3 tells KMS when it decrypts for a reader, and what AWS adds to a request.
THROUGH_S3: dict[str, str | list[str]] = {
    "kms:ViaService": "s3.us-east-1.amazonaws.com",
    "kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::acme-flow-logs",
    "kms:ResourceAliases": ["alias/acme-flow-logs"],
    "aws:ResourceOrgID": "o-exampleorgid",
}
ON = {
    On.ANYTHING: "*",
    On.LOG_BUCKET: "arn:aws:s3:::acme-flow-logs",
    On.LOG_OBJECTS: "arn:aws:s3:::acme-flow-logs/net/AWSLogs/111111111111/vpcflowlogs/us-east-1/2026/11/01/a.log.gz",
    On.LOG_KEY: LOG_KEY,
    On.QUEUE: QUEUE,
    On.PRIMARY_ROLE: PRIMARY_ROLE,
    On.SECONDARY_ROLES: OTHERS_ROLE,
    On.LAKE_BUCKET: "arn:aws:s3:::acme-lake",
    On.LAKE_OBJECTS: "arn:aws:s3:::acme-lake/kentik/flow_logs/_delta_log/00000000000000000000.json",
    On.LAKE_KEY: LAKE_KEY,
}
# Beside each thing, one that is not meant.
BESIDE = {
    On.LOG_BUCKET: "arn:aws:s3:::acme-flow-logs-2",
    On.LOG_OBJECTS: "arn:aws:s3:::acme-flow-logs/reports/2026.csv",
    On.QUEUE: f"{QUEUE}-2",
    On.PRIMARY_ROLE: "arn:aws:iam::111111111111:role/Administrator",
    On.SECONDARY_ROLES: "arn:aws:iam::222222222222:role/Administrator",
    On.LAKE_BUCKET: "arn:aws:s3:::acme-flow-logs-2",
    On.LAKE_OBJECTS: "arn:aws:s3:::acme-lake/finance/2026.csv",
    On.LAKE_KEY: LAKE_KEY.replace("1111", "7777"),
}


def chosen(**changes: Any) -> Choices:
    """Choices of which each feature can be left out."""
    features: dict[str, Any] = {
        "metrics": True, "others": "organization", "logs": True, "deletion": True, "key": "made",
        "queue": True, "lake": "encrypted", "role": True, "verification": True,
    } | changes  # fmt: skip
    others: dict[str, dict[str, Any]] = {
        "organization": {"organization_role": True, "role_suffix": "KentikSecondary"},
        "named": {"secondary_accounts": ("222222222222",), "role_suffix": "KentikSecondary"},
        "none": {},
    }
    export: dict[str, Any] = {
        "name": "acme", "region": "us-east-1", "start": "2026-11-01", "collect_metrics": features["metrics"],
        "collect_flow_logs": features["logs"], "delete_after_read": features["deletion"],
        "bucket": "acme-flow-logs", "bucket_prefix": "net", **others[features["others"]],
    }  # fmt: skip
    if features["role"]:
        export |= {"iam_role_arn": PRIMARY_ROLE, "external_id": "4f1c-unique"}
    if features["queue"]:
        export["notification_queue"] = "https://sqs.us-east-1.amazonaws.com/111111111111/acme-flow-logs"
    return Choices(
        export=Export.model_validate(export),
        lake="./lake" if features["lake"] == "local" else "s3://acme-lake/kentik",
        collector_arn=COLLECTOR if features["role"] else "arn:aws:iam::111111111111:role/dagster",
        organization_id="o-exampleorgid" if features["others"] == "organization" else None,
        encryption=Encryption.SSE_S3 if features["key"] == "none" else Encryption.SSE_KMS,
        kms_key_arn=LOG_KEY if features["key"] == "given" else None,
        lake_kms_key_arn=LAKE_KEY if features["lake"] == "encrypted" else None,
        verification=features["verification"],
    )


def combinations() -> Iterator[dict[str, Any]]:
    """Every combination of features."""
    values = {
        "metrics": (True, False), "others": ("organization", "named", "none"), "logs": (True, False),
        "deletion": (True, False), "key": ("made", "given", "none"), "queue": (True, False),
        "lake": ("encrypted", "s3", "local"), "role": (True, False), "verification": (True, False),
    }  # fmt: skip
    yield from (dict(zip(values, some, strict=True)) for some in itertools.product(*values.values()))


def documents(choices: Choices, holder: str) -> list[dict[str, Any]]:
    """The identity policies of the collector, the primary or the secondary role."""
    if holder == "secondary":
        return [secondary_document(choices)]
    return list((collector_documents if holder == "collector" else primary_documents)(choices).values())


def holder_of(choices: Choices, feature: Feature, on: On) -> str:
    """Who calls what a feature needs."""
    if feature in (Feature.LAKE, Feature.LAKE_ENCRYPTION) or on is On.PRIMARY_ROLE:
        return "collector"
    return "primary" if choices.export.iam_role_arn is not None else "collector"


def needed(choices: Choices) -> set[tuple[str, str, On]]:
    """Holder, action and thing of all that the chosen features call."""
    export = choices.export
    logs = export.collects_logs
    called = {
        Feature.METADATA: True,
        Feature.METRICS: export.collect_metrics,
        Feature.ORGANIZATION: export.organization_role,
        Feature.FLOW_LOGS: logs,
        Feature.DELETION: logs and export.delete_after_read,
        Feature.ENCRYPTION: logs and choices.encryption is Encryption.SSE_KMS,
        Feature.NOTIFICATIONS: logs and export.notification_queue is not None,
        Feature.VERIFICATION: logs and export.notification_queue is not None and choices.verification,
        Feature.LAKE: choices.lake.startswith("s3://"),
        Feature.LAKE_ENCRYPTION: choices.lake_kms_key_arn is not None,
    }
    wanted = {
        (holder_of(choices, one.feature, one.on), one.action, one.on) for one in PERMISSIONS if called.get(one.feature)
    }
    if export.iam_role_arn is not None:
        wanted.add(("collector", "sts:AssumeRole", On.PRIMARY_ROLE))
    if export.organization_role or export.secondary_accounts:
        wanted.add((holder_of(choices, Feature.ROLE_CHAIN, On.SECONDARY_ROLES), "sts:AssumeRole", On.SECONDARY_ROLES))
    return wanted


def test_each_combination_of_features_is_granted_what_it_calls_and_nothing_else() -> None:
    everything = {(one.action, one.on) for one in PERMISSIONS}
    for features in combinations():
        choices = chosen(**features)
        wanted = needed(choices)
        for holder in ("collector", "primary"):
            held = documents(choices, holder)
            granted = {
                (holder, action, on) for action, on in everything if is_allowed(held, action, ON[on], THROUGH_S3)
            }
            assert granted == {each for each in wanted if each[0] == holder}, features


def test_every_action_that_is_granted_is_called() -> None:
    known = {one.action for one in PERMISSIONS}
    for holder in ("collector", "primary", "secondary"):
        for document in documents(chosen(), holder):
            for statement in document["Statement"]:
                assert set(statement["Action"]) <= known
                assert not any("*" in action for action in statement["Action"])


def test_every_operation_of_the_catalog_is_granted() -> None:
    assert {one.action for one in OPERATIONS} == {one.action for one in PERMISSIONS if one.feature is Feature.METADATA}
    assert all(one.calls for one in PERMISSIONS if one.feature is Feature.METADATA)


@pytest.mark.parametrize("on", BESIDE)
def test_nothing_is_granted_on_what_lies_beside(on: On) -> None:
    for holder, role in itertools.product(("collector", "primary"), (True, False)):
        held = documents(chosen(role=role, key="given"), holder)
        for one in PERMISSIONS:
            if one.on is on:
                assert not is_allowed(held, one.action, BESIDE[on], THROUGH_S3)


@pytest.mark.parametrize("missing", THROUGH_S3)
def test_the_key_serves_reading_through_s3_alone(missing: str) -> None:
    held = documents(chosen(others="none"), "primary")
    context = {name: value for name, value in THROUGH_S3.items() if name != missing}

    assert is_allowed(held, "kms:Decrypt", LOG_KEY, THROUGH_S3)
    assert is_allowed(held, "kms:Decrypt", LOG_KEY, context) == (missing == "aws:ResourceOrgID")


def test_another_organization_is_out_of_reach() -> None:
    held = documents(chosen(), "primary")

    assert is_allowed(held, "sts:AssumeRole", OTHERS_ROLE, {"aws:ResourceOrgID": "o-exampleorgid"})
    assert not is_allowed(held, "sts:AssumeRole", OTHERS_ROLE, {"aws:ResourceOrgID": "o-another0000"})


def test_without_one_statement_its_own_actions_are_refused() -> None:
    for holder, role in (("primary", True), ("collector", False), ("collector", True), ("secondary", True)):
        choices = chosen(role=role)
        for number, document in enumerate(held := documents(choices, holder)):
            for removed in document["Statement"]:
                left = [{**document, "Statement": [one for one in document["Statement"] if one is not removed]}]
                others = [one for other, one in enumerate(held) if other != number]
                resource = next(
                    thing
                    for thing in ON.values()
                    if is_allowed([{"Statement": [removed]}], removed["Action"][0], thing, THROUGH_S3)
                )
                for action in removed["Action"]:
                    assert not is_allowed([*left, *others], action, resource, THROUGH_S3), removed["Sid"]


def test_the_documents_fit_where_iam_keeps_them() -> None:
    many = tuple(f"{number:012}" for number in range(1, 400))
    export = chosen().export.model_copy(update={"organization_role": False, "secondary_accounts": many})
    held = documents(replace(chosen(), export=export, organization_id=None), "primary")

    assert len(held) <= 10
    assert max(map(compact_size, held)) <= LARGEST_POLICY
    assert all(
        is_allowed(held, "sts:AssumeRole", f"arn:aws:iam::{account_id}:role/KentikSecondary") for account_id in many
    )
    assert not is_allowed(held, "sts:AssumeRole", OTHERS_ROLE.replace("2" * 12, "9" * 12))


def trust_of(holder: str, **features: Any) -> dict[str, Any]:
    """The trust policy of a role."""
    document: dict[str, Any] = json.loads(files_of(chosen(**features), partition_of)[f"policies/{holder}-trust.json"])
    return document


@pytest.mark.parametrize(
    ("principal", "context", "is_trusted"),
    [
        (COLLECTOR, {"sts:ExternalId": "4f1c-unique"}, True),
        (COLLECTOR, {"sts:ExternalId": "another"}, False),
        (COLLECTOR, {}, False),
        (f"{COLLECTOR}2", {"sts:ExternalId": "4f1c-unique"}, False),
        ("arn:aws:iam::555555555555:role/dagster", {"sts:ExternalId": "4f1c-unique"}, False),
    ],
)
def test_the_primary_role_trusts_the_collector_with_its_external_id(
    principal: str, context: dict[str, str], is_trusted: bool
) -> None:
    assert trusts(trust_of("primary"), principal, context) == is_trusted


@pytest.mark.parametrize(
    ("principal", "context", "is_trusted"),
    [
        (PRIMARY_ROLE, {"aws:PrincipalOrgID": "o-exampleorgid"}, True),
        (PRIMARY_ROLE, {"aws:PrincipalOrgID": "o-another0000"}, False),
        (PRIMARY_ROLE, {}, False),
        (COLLECTOR, {"aws:PrincipalOrgID": "o-exampleorgid"}, False),
        (PRIMARY_ROLE.replace("1" * 12, "5" * 12), {"aws:PrincipalOrgID": "o-exampleorgid"}, False),
    ],
)
def test_the_other_accounts_trust_the_primary_role(principal: str, context: dict[str, str], is_trusted: bool) -> None:
    assert trusts(trust_of("secondary"), principal, context) == is_trusted


def test_the_bucket_admits_log_delivery_of_these_accounts_over_tls_alone() -> None:
    policy = json.loads(files_of(chosen(others="named"), partition_of)["policies/bucket-policy.json"])
    statements = {statement["Sid"]: statement for statement in policy["Statement"]}

    for sid in ("LogDeliveryWrite", "LogDeliveryCheck"):
        condition = statements[sid]["Condition"]
        assert statements[sid]["Principal"] == {"Service": "delivery.logs.amazonaws.com"}
        assert condition["StringEquals"]["aws:SourceAccount"] == ["111111111111", "222222222222"]
        assert condition["ArnLike"]["aws:SourceArn"] == [
            "arn:aws:logs:*:111111111111:*",
            "arn:aws:logs:*:222222222222:*",
        ]
    assert statements["LogDeliveryWrite"]["Resource"] == "arn:aws:s3:::acme-flow-logs/net/AWSLogs/*"
    assert statements["TlsOnly"]["Effect"] == "Deny"
    assert statements["TlsOnly"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
