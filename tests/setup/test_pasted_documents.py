"""Policies as published guides have them, pasted by somebody in a hurry: every slip is found, with what to change.

The slips are those of Kentik's public set-up page: see the table in `setup_tools.md`, "Every defect of the guide's
documents". The texts here are ours.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner

from kentik_dagster.cli import main
from kentik_dagster.core.verification import Status
from kentik_dagster.work.verified_policies import verify_role_policies
from tests.setup.deployments import COLLECTOR
from tests.work.snapshots import export, fake_aws

CONFIGURATION = """\
exports:
  - name: acme
    iam_role_arn: arn:aws:iam::111111111111:role/KentikPrimary
    external_id: 4f1c-unique-per-deployment
    region: us-east-1
    organization_role: true
    role_suffix: KentikSecondary
    bucket: acme-flow-logs
    delete_after_read: true
    start: 2026-11-01
"""

PRIMARY_POLICY = """\
{
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "VisualEditor0",
            "Effect": "Allow",
            "Action": [
                "sts:AssumeRole",
                "organizations:ListAccounts",
            ],
            "Resource": "*"
        }
    ]
}
""".replace("    ", "\u00a0\u00a0\u00a0\u00a0")

PRIMARY_ROLE = json.dumps({
    "Version": "2012-10-17",
    "Statement": [{
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::444444444444:root"},
        "Action": "sts:AssumeRole",
        "Condition": {
            "StringEquals": {"sts:ExternalId": "12345"},
            "ArnEquals": {"aws:PrincipalArn": "arn:aws:iam:444444444444:role/eks-ingest-node"},
        },
    }],
})  # fmt: skip

SECONDARY_TRUST = json.dumps({
    "Version": "2012-10-17",
    "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::primary_account_id:root"}, "Action": "sts:AssumeRole",
        "Condition": {},
    }],
})  # fmt: skip

AWS_POLICY = json.dumps({
    "Version": "2012-10-17",
    "Statement": [{
        "Sid": "VisualEditor1",
        "Effect": "Allow",
        "Action": [
            "ec2:Describe*", "ec2:Search*", "ec2:GetManagedPrefixListEntries", "directconnect:List*",
            "directconnect:describe*", "elasticloadbalancing:Describe*", "network-firewall:Describe*",
            "network-firewall:List*", "cloudwatch:ListMetrics", "cloudwatch:GetMetric*", "cloudwatch:Describe*",
        ],
        "Resource": "*",
    }, {
        "Effect": "Allow",
        "Action": ["s3:Get*", "s3:List*"],
        "Resource": ["arn:aws:s3:::acme-flow-logs", "arn:aws:s3:::acme-flow-logs/*"],
    }],
})  # fmt: skip

AWS_ROLE = json.dumps({
    "Version": "2008-10-17",
    "Statement": [{
        "Sid": "", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444444444444:role/eks-ingest-node"},
        "Action": "sts:AssumeRole",
    }],
})  # fmt: skip

KMS_POLICY = json.dumps({
    "Version": "2012-10-17",
    "Statement": [{
        "Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
        "Resource": ["arn:aws:kms::444444444444:key/"],
    }],
})  # fmt: skip

DELETION_POLICY = json.dumps({
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::acme-flow-logs/*"}],
})  # fmt: skip

LISTED_ACTIONS = json.dumps({
    "Version": "2012-10-17",
    "Statement": [{
        "Effect": "Allow",
        "Action": [
            "ec2:DescribeManagedPrefixLists", "ec2:DescribeManagedPrefixLists", "elb:DescribeLoadBalancers",
            "organization:ListAccounts", "s3:HeadBucket", "ec2:describeVpcs",
        ],
        "Resource": "*",
    }],
})  # fmt: skip


def verified(tmp_path: Path, *options: str, **texts: str) -> list[dict[str, Any]]:
    """The findings of `kentik-dagster verify --document`; texts by the name of their file."""
    (tmp_path / "kentik.yaml").write_text(CONFIGURATION)
    files = []
    for name, text in texts.items():
        (tmp_path / f"{name}.json").write_text(text, encoding="utf-8")
        files.append(f"--document={tmp_path / name}.json")
    done = CliRunner().invoke(main, ["verify", f"--config={tmp_path / 'kentik.yaml'}", "--json", *files, *options])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return [json.loads(line) for line in done.output.splitlines()]


@pytest.mark.parametrize(
    ("name", "text", "slips"),
    [
        ("primary_policy", PRIMARY_POLICY, [
            ("no-break spaces (U+00A0)", "replace them by blanks"),
            ("a comma stands before a closing bracket", "remove it"),
            ("sts:AssumeRole is granted on every role", "role/<role_suffix> alone"),
            ("ec2:DescribeVpcs", "grant"),
            ("s3:ListBucket on arn:aws:s3:::acme-flow-logs is not granted", "grant s3:ListBucket"),
        ]),
        ("primary_role", PRIMARY_ROLE, [
            ("'arn:aws:iam:444444444444:role/eks-ingest-node', which is no ARN", "two colons before the account"),
            ("it trusts all of arn:aws:iam::444444444444:root", "name the one role or user"),
            ("its external id has 5 characters", "use one of your own, such as a UUID"),
        ]),
        ("aws_policy", AWS_POLICY, [
            ("iam:ListAccountAliases, ", "grant"),
            ("networkmanager:ListCoreNetworks", "grant"),
            ("sts:AssumeRole on arn:aws:iam::*:role/KentikSecondary is not granted", "grant sts:AssumeRole"),
            ("ec2:Describe* grants all that it matches", "that are called"),
            ("cloudwatch:Describe* grants all that it matches", "nothing of it is called"),
            ("directconnect:List* grants all that it matches", "nothing of it is called"),
            ("directconnect:describe* is in lower case", "write it as AWS does"),
            ("actions on buckets and on objects share one list", "make two statements"),
            ("s3:List* does not grant s3:ListAllMyBuckets", "on * alone"),
            ("s3:DeleteObject on arn:aws:s3:::acme-flow-logs/AWSLogs/* is not granted", "grant s3:DeleteObject"),
        ]),
        ("aws_role", AWS_ROLE, [
            ("its Version is 2008-10-17", "write 2012-10-17"),
            ("it asks for no external id", "add the condition StringEquals sts:ExternalId"),
            ("the Sid '' is none", "leave it out"),
        ]),
        ("kms_policy", KMS_POLICY, [
            ("'arn:aws:kms::444444444444:key/' matches no key", "write arn:<partition>:kms:"),
            ("kms:GenerateDataKey is granted, and never called", "remove it"),
        ]),
        ("deletion_policy", DELETION_POLICY, [
            ("s3:* grants all that it matches", "it includes deleting the bucket and changing its policy"),
        ]),
        ("lists", LISTED_ACTIONS, [
            ("ec2:DescribeManagedPrefixLists stand there twice", "once is enough"),
            ("elb:DescribeLoadBalancers: IAM has no service 'elb'", "write elasticloadbalancing:"),
            ("organization:ListAccounts: IAM has no service 'organization'", "write organizations:"),
            ("s3:HeadBucket is no action", "grant s3:ListBucket"),
            ("ec2:describeVpcs is in lower case", "write it as AWS does"),
        ]),
    ],
)  # fmt: skip
def test_each_slip_is_found_with_what_to_change(
    name: str, text: str, slips: list[tuple[str, str]], tmp_path: Path
) -> None:
    findings = verified(tmp_path, **{name: text})

    for says, to_do in slips:
        assert any(says in finding["says"] and to_do in finding["to_do"] for finding in findings), (says, findings)


def test_a_trust_policy_in_place_of_the_secondary_policy_is_found(tmp_path: Path) -> None:
    findings = verified(tmp_path, "--role=secondary", trust=SECONDARY_TRUST, pasted_primary=PRIMARY_POLICY)
    says = " | ".join(finding["says"] for finding in findings)

    assert "the principal 'arn:aws:iam::primary_account_id:root' is no ARN of a role or user: IAM refuses it" in says
    assert "its Condition is empty, which is no condition" in says
    assert "ec2:DescribeVpcs" in says, "the primary's policy, pasted there as well, grants no describe at all"


QUEUE = "    notification_queue: https://sqs.us-east-1.amazonaws.com/111111111111/acme-flow-logs\n"


@pytest.mark.parametrize("options", [[], ["--encryption=sse-kms"], ["--existing-bucket"]])
def test_what_setup_writes_has_no_slips(options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.setup.test_pasted_documents.CONFIGURATION", CONFIGURATION + QUEUE)
    (tmp_path / "kentik.yaml").write_text(CONFIGURATION)
    command = ["setup", f"--config={tmp_path / 'kentik.yaml'}", f"--folder={tmp_path / 'aws'}", *options]
    assert CliRunner().invoke(main, [*command, f"--collector-arn={COLLECTOR}"]).exit_code == 0
    policies = tmp_path / "aws/policies"

    for role, names in {"primary": ("trust", "access", "accounts"), "secondary": ("trust", "access")}.items():
        texts = {name: (policies / f"{role}-{name}.json").read_text() for name in names}
        findings = verified(tmp_path, f"--role={role}", **texts)
        assert [finding for finding in findings if finding["status"] != "ok"] == []


def test_a_file_that_is_no_policy_is_said(tmp_path: Path) -> None:
    findings = verified(tmp_path, broken="{", empty="[]")

    assert "it is no JSON" in findings[0]["says"]
    assert "it has no Statement" in findings[1]["says"]


def test_a_role_that_can_be_read_is_judged_as_it_stands() -> None:
    with fake_aws() as fake:
        account = fake.ambient_account
        attached = {"PolicyName": "AmazonS3FullAccess", "PolicyArn": "arn:aws:iam::aws:policy/AmazonS3FullAccess"}
        own = {"PolicyName": "deletion", "PolicyArn": f"arn:aws:iam::{account}:policy/deletion"}
        role = {
            "Path": "/", "RoleName": "Pasted", "RoleId": "AROA", "Arn": f"arn:aws:iam::{account}:role/Pasted",
            "CreateDate": datetime(2026, 11, 1, tzinfo=UTC), "AssumeRolePolicyDocument": quote(PRIMARY_ROLE),
        }  # fmt: skip
        inline = {"RoleName": "Pasted", "PolicyName": "kms", "PolicyDocument": quote(KMS_POLICY)}
        version = {"Document": quote(DELETION_POLICY), "VersionId": "v1", "IsDefaultVersion": True}
        for operation, answer in (
            ("GetRole", {"Role": role}),
            ("ListRolePolicies", {"PolicyNames": ["kms"]}),
            ("GetRolePolicy", inline),
            ("ListAttachedRolePolicies", {"AttachedPolicies": [attached, own]}),
            ("GetPolicy", {"Policy": {"DefaultVersionId": "v1"}}),
            ("GetPolicyVersion", {"PolicyVersion": version}),
        ):
            fake.answers(account, None, "iam", operation, answer)

        findings = list(verify_role_policies(export(iam_role_arn=role["Arn"]), account))

    says = " | ".join(finding.says for finding in findings)
    assert "which is no ARN: nobody can ever assume the role" in says
    assert "matches no key" in says
    assert "s3:* grants all that it matches" in says
    assert "AmazonS3FullAccess is attached: it lets the role delete every bucket of the account" in says


def test_a_role_that_cannot_be_read_is_not_judged() -> None:
    with fake_aws() as fake:
        fake.deny(service="iam")
        for account in (fake.ambient_account, "111111111111"):
            arn = f"arn:aws:iam::{account}:role/KentikPrimary"
            (finding,) = verify_role_policies(export(iam_role_arn=arn), fake.ambient_account)
            assert finding.status is Status.SKIPPED
