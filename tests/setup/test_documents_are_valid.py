"""What was generated, judged by maintained tools: HashiCorp's parser, Terraform itself, cfn-lint."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pygohcl
import pytest
from cfnlint.api import lint_all

from tests.setup.golden import GOLDEN, TYPICAL

_PLUGINS = Path(os.environ.get("TERRAFORM_PLUGINS", "/opt/tf-plugins"))
TERRAFORM_FILES = sorted(GOLDEN.rglob("main.tf"))
# Policies of things, by what CloudFormation calls that which holds them.
_HOLDERS: dict[str, tuple[str, dict[str, Any], str]] = {
    "bucket-policy": ("AWS::S3::BucketPolicy", {"Bucket": "logs"}, "PolicyDocument"),
    "queue-policy": ("AWS::SQS::QueuePolicy", {"Queues": ["https://queue"]}, "PolicyDocument"),
    "topic-policy": ("AWS::SNS::TopicPolicy", {"Topics": ["arn:aws:sns:us-east-1:111111111111:t"]}, "PolicyDocument"),
    "key-policy": ("AWS::KMS::Key", {}, "KeyPolicy"),
    "trust": ("AWS::IAM::Role", {}, "AssumeRolePolicyDocument"),
}


def faults(template: str) -> list[str]:
    """The errors and warnings of cfn-lint; what it merely recommends (I...) is not among them."""
    return [str(match) for match in lint_all(template) if not match.rule.id.startswith("I")]


@pytest.mark.parametrize("path", TERRAFORM_FILES, ids=lambda path: str(path.relative_to(GOLDEN)))
def test_hashicorps_parser_takes_the_terraform(path: Path) -> None:
    parsed = pygohcl.loads(path.read_text())

    assert {"terraform", "provider"} <= parsed.keys()


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a Terraform that asks nobody on the network."""
    if shutil.which("terraform") is None or not _PLUGINS.is_dir():
        pytest.skip(f"there is no terraform, or no provider in {_PLUGINS} (TERRAFORM_PLUGINS names another folder)")
    place = tmp_path_factory.mktemp("terraform")
    (place / "empty").write_text("")
    return os.environ | {
        "TF_CLI_CONFIG_FILE": str(place / "empty"), "TF_DATA_DIR": str(place / "data"), "CHECKPOINT_DISABLE": "1"
    }  # fmt: skip


# Each is three CPU seconds: `make test-setup` takes them all, the suite those that hold every kind of resource.
_EVERY_KIND = ("central-bucket/main.tf", "central-bucket/bucket-account/main.tf")


@pytest.mark.parametrize("name", TYPICAL)
def test_terraform_takes_it_and_would_format_it_the_same(name: str, terraform: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / name, tmp_path / "aws")

    formatted = subprocess.run(
        ["terraform", "fmt", "-check", "-diff", "-recursive", "aws"],
        cwd=tmp_path,
        env=terraform,
        capture_output=True,
        text=True,
    )

    assert (formatted.returncode, formatted.stdout + formatted.stderr) == (0, "")
    for path in sorted((tmp_path / "aws").rglob("main.tf")):
        is_short = "SETUP_ALL" not in os.environ
        if is_short and f"{name}/{path.relative_to(tmp_path / 'aws')}" not in _EVERY_KIND:
            continue
        for command in (["init", "-input=false", f"-plugin-dir={_PLUGINS}"], ["validate", "-json"]):
            done = subprocess.run(
                ["terraform", *command], cwd=path.parent, env=terraform, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout) | {"diagnostics": []} == json.loads(done.stdout)


@pytest.mark.parametrize("name", TYPICAL)
def test_cfn_lint_finds_nothing_in_the_policies(name: str) -> None:
    resources: dict[str, Any] = {}
    for path in sorted((GOLDEN / name / "policies").iterdir()):
        document = json.loads(path.read_text())
        kind, properties, key = next(
            (holder for ending, holder in _HOLDERS.items() if path.stem.endswith(ending)),
            ("AWS::IAM::ManagedPolicy", {}, "PolicyDocument"),
        )
        properties = {**properties, key: document}
        resources[path.stem.title().replace("-", "")] = {"Type": kind, "Properties": properties}
        assert path.read_text().isascii()

    assert faults(json.dumps({"Resources": resources})) == []


@pytest.mark.parametrize("name", [name for name in TYPICAL if (GOLDEN / name / "other-accounts").exists()])
def test_cfn_lint_finds_nothing_in_the_stack(name: str) -> None:
    template = (GOLDEN / name / "other-accounts/secondary-role.template.json").read_text()

    assert faults(template) == []


def test_the_linters_find_what_is_wrong() -> None:
    action = {"Effect": "Allow", "Action": "s3:HeadBucket", "Resource": "*"}
    policy = {"PolicyDocument": {"Version": "2012-10-17", "Statement": [action]}}
    template = json.dumps({"Resources": {"One": {"Type": "AWS::IAM::ManagedPolicy", "Properties": policy}}})

    assert any("headbucket" in fault.lower() for fault in faults(template))
    with pytest.raises(pygohcl.HCLParseError):
        pygohcl.loads('resource "a" "b" {\n  c = 1\n  c = 2\n}\n')
