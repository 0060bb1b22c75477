"""The generated Terraform applied to the emulator: what it says is taken by AWS's API, as far as the emulator knows it.

The emulator takes a bucket for the destination of flow logs, and no folder in it: the export has no bucket_prefix.

It takes a minute or two, because the provider waits for settling: `make test-setup` runs it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import boto3
import pytest

from kentik_dagster.demo.emulator_process import Emulator
from tests.setup.golden import set_up

_PLUGINS = Path(os.environ.get("TERRAFORM_PLUGINS", "/opt/tf-plugins"))
_SERVICES = ("ec2", "iam", "kms", "networkfirewall", "s3", "sns", "sqs", "sts")
CONFIGURATION = """\
exports:
  - name: applied
    iam_role_arn: arn:aws:iam::123456789012:role/net/KentikPrimary
    external_id: 4f1c-unique-per-deployment
    region: us-east-1
    secondary_accounts: ["222222222222"]
    role_suffix: KentikSecondary
    bucket: applied-flow-logs
    delete_after_read: true
    notification_queue: https://sqs.us-east-1.amazonaws.com/123456789012/applied-flow-logs
    start: 2026-11-01
"""


@pytest.mark.skipif("SETUP_ALL" not in os.environ, reason="it takes minutes: make test-setup runs it")
def test_what_is_generated_can_be_applied(aws: Emulator, tmp_path: Path) -> None:
    if shutil.which("terraform") is None or not _PLUGINS.is_dir():
        pytest.skip("there is no terraform, or no provider")
    collector = "--collector-arn=arn:aws:iam::123456789012:role/dagster"
    done = set_up(tmp_path, CONFIGURATION, collector, "--encryption=sse-kms", "--through-sns", "--expire-days=30")
    assert done.exit_code == 0, done.output
    endpoints = "\n".join(f'    {service} = "{aws.endpoint_url}"' for service in _SERVICES)
    (tmp_path / "aws/override.tf").write_text(
        f'provider "aws" {{\n  s3_use_path_style = true\n  skip_metadata_api_check = true\n'
        f"  skip_region_validation = true\n  endpoints {{\n{endpoints}\n  }}\n}}\n"
    )
    (tmp_path / "empty").write_text("")
    environment = os.environ | {
        "TF_CLI_CONFIG_FILE": str(tmp_path / "empty"), "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1",
    }  # fmt: skip

    for command in (["init", f"-plugin-dir={_PLUGINS}"], ["apply", "-auto-approve"]):
        ran = subprocess.run(
            ["terraform", *command, "-input=false", "-no-color"],
            cwd=tmp_path / "aws",
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert ran.returncode == 0, ran.stdout[-6_000:] + ran.stderr[-6_000:]

    iam, s3 = boto3.client("iam"), boto3.client("s3")
    assert iam.get_role(RoleName="KentikPrimary")["Role"]["Arn"].endswith(":role/net/KentikPrimary")
    attached = iam.list_attached_role_policies(RoleName="KentikPrimary")["AttachedPolicies"]
    assert {policy["PolicyName"] for policy in attached} == {
        "KentikPrimary-primary-access", "KentikPrimary-primary-accounts"
    }  # fmt: skip
    policy = json.loads(s3.get_bucket_policy(Bucket="applied-flow-logs")["Policy"])
    assert {statement["Sid"] for statement in policy["Statement"]} == {
        "LogDeliveryWrite",
        "LogDeliveryCheck",
        "TlsOnly",
    }
    logs = boto3.client("ec2").describe_flow_logs()["FlowLogs"]
    assert {log["LogDestination"] for log in logs} == {"arn:aws:s3:::applied-flow-logs"}
