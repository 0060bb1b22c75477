"""What `kentik-dagster setup` writes, and what it refuses before it writes anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from kentik_dagster.catalog.flow_logs import FLOW_FIELDS
from kentik_dagster.cli import main
from kentik_dagster.configuration_file import load_configuration
from tests.setup.golden import COLLECTOR, GOLDEN, TYPICAL, files_in, set_up

ROLE = "arn:aws:iam::111111111111:role/KentikPrimary"
QUEUES = "https://sqs.eu-west-1.amazonaws.com"
FIREWALL = "arn:aws:network-firewall:eu-west-1:111111111111:firewall/a"
MANY = [f"{number:012}" for number in range(700)]


def kentik_yaml(**changes: object) -> str:
    """One export with these keys; None leaves a key out."""
    export: dict[str, object] = {
        "name": "acme", "iam_role_arn": ROLE, "external_id": "4f1c-unique", "region": "eu-west-1",
        "bucket": "acme-flow-logs", "start": "2026-11-01",
    }  # fmt: skip
    export = {key: value for key, value in (export | changes).items() if value is not None}
    return yaml.safe_dump({"exports": [export]})


@pytest.mark.parametrize("name", TYPICAL)
def test_a_typical_configuration_gives_the_reviewed_files(name: str, tmp_path: Path) -> None:
    done = set_up(tmp_path, TYPICAL[name].configuration, *TYPICAL[name].options)

    assert done.exit_code == 0, done.output
    assert files_in(tmp_path / "aws") == files_in(GOLDEN / name), "if it is meant: python -m tests.setup.golden"


@pytest.mark.parametrize(
    ("changes", "options", "said"),
    [
        ({}, ["--collector-arn=arn:aws:iam::444444444444:root"], "write the ARN of one role or user"),
        ({}, ["--collector-arn=arn:aws:sts::444444444444:assumed-role/dagster/me"], "role/dagster, with the"),
        ({}, ["--collector-arn=arn:aws-cn:iam::444444444444:role/dagster"], "of different partitions"),
        ({"iam_role_arn": None, "external_id": None}, [], "name it with --collector-arn"),
        ({"region": "eu-west-9"}, [], "region 'eu-west-9' does not exist"),
        ({"regions_used": ["eu-west-1", "eu-nowhere-1"]}, [], "region 'eu-nowhere-1' does not exist"),
        ({"region": "cn-north-1"}, [], "region 'cn-north-1' is in partition aws-cn"),
        ({"iam_role_arn": ROLE.replace("arn:aws:", "arn:aws-us-gov:")}, [], "is in aws-us-gov"),
        ({"secondary_accounts": [22222222222], "role_suffix": "S"}, [], "put quotes around it"),
        ({"secondary_accounts": ["22222222222"], "role_suffix": "S"}, [], "is not an account id of 12 digits"),
        ({"secondary_accounts": ["111111111111"], "role_suffix": "S"}, [], "which is the export's own account"),
        ({"organization_role": True, "role_suffix": "KentikPrimary"}, [], "is the primary role's own name"),
        ({}, ["--bucket-account-id=99999999999"], "write '099999999999'"),
        ({"bucket": "xn--acme"}, [], "AWS refuses such names"),
        ({"bucket": "10.0.0.1"}, [], "AWS refuses such names"),
        ({"bucket": "acme..logs"}, [], "AWS refuses such names"),
        ({"bucket": "acme-s3alias"}, [], "AWS refuses such names"),
        ({"bucket": "Acme"}, [], "is not the name of a bucket"),
        ({"bucket_prefix": "/network"}, [], "begins with a slash"),
        ({"iam_role_arn": "arn:aws:iam::111111111111:role/" + "a" * 65}, [], "is no name of a role"),
        ({"notification_queue": "acme-queue"}, [], "is no URL of a queue"),
        ({"notification_queue": f"{QUEUES}/111111111111/q.fifo"}, [], "S3 notifies no FIFO queue"),
        ({"notification_queue": "https://sqs.us-east-1.amazonaws.com/111111111111/q"}, [], "the queue is in us-east-1"),
        ({"notification_queue": f"{QUEUES}/222222222222/q"}, [], "make the queue in the bucket's account"),
        ({}, ["--through-sns"], "set notification_queue"),
        ({}, ["--encryption=sse-c"], "log delivery cannot write with a key that only you have"),
        ({}, ["--encryption=sse-kms", "--kms-key-arn=alias/logs"], "an alias grants nothing"),
        ({}, ["--encryption=sse-kms", "--kms-key-arn=arn:aws:kms:us-east-1:111111111111:key/abc"], "S3 cannot use it"),
        ({}, ["--encryption=sse-kms", "--existing-bucket"], "name its key with --kms-key-arn"),
        ({}, ["--kms-key-arn=arn:aws:kms:eu-west-1:111111111111:key/abc"], "goes with --encryption sse-kms"),
        ({"look_back_days": 7}, ["--expire-days=7"], "S3 would delete objects that were never read"),
        ({}, ["--organization-id=acme"], "is no organization's id"),
        ({}, ["--vpc-id=vpc-1"], "'vpc-1' is no id"),
        ({}, ["--transit-gateway-id=us-east-1:tgw-0123456789abcdef0"], "add it to regions_used"),
        ({}, [f"--firewall-arn={FIREWALL}"], "set collect_firewall_logs: true"),
        ({"secondary_accounts": MANY, "role_suffix": "S"}, [], "set organization_role: true"),
    ],
)  # fmt: skip
def test_what_aws_would_refuse_is_said_and_nothing_is_written(
    changes: dict[str, object], options: list[str], said: str, tmp_path: Path
) -> None:
    done = set_up(tmp_path, kentik_yaml(**changes), *options)

    assert done.exit_code == 1
    assert said in done.output
    assert not (tmp_path / "aws").exists()


def test_two_exports_on_one_bucket_and_prefix_are_refused(tmp_path: Path) -> None:
    exports = [yaml.safe_load(kentik_yaml(name=name))["exports"][0] for name in ("one", "two")]

    done = set_up(tmp_path, yaml.safe_dump({"exports": exports}), "--export=one")

    assert done.exit_code == 1
    assert "read the same folders of bucket 'acme-flow-logs'" in done.output
    assert not (tmp_path / "aws").exists()


def test_of_several_exports_one_is_named(tmp_path: Path) -> None:
    exports = [yaml.safe_load(kentik_yaml(name=name, bucket=name))["exports"][0] for name in ("one", "two")]
    text = yaml.safe_dump({"exports": exports})

    assert "name one export with --export (one, two)" in set_up(tmp_path, text).output
    assert "there is no export 'three': the file has one, two" in set_up(tmp_path, text, "--export=three").output
    assert set_up(tmp_path, text, "--export=two").exit_code == 0
    assert "arn:aws:s3:::two" in (tmp_path / "aws/policies/primary-access.json").read_text()


def test_every_mistake_is_said_at_once(tmp_path: Path) -> None:
    done = set_up(tmp_path, kentik_yaml(region="eu-west-9", bucket="xn--acme"), "--vpc-id=vpc-1")

    assert [word in done.output for word in ("'eu-west-9' does not exist", "refuses such names", "is no id")] == [
        True
    ] * 3


def test_nothing_is_written_over_without_force(tmp_path: Path) -> None:
    set_up(tmp_path, kentik_yaml())
    edited = tmp_path / "aws/main.tf"
    edited.write_text("# mine\n")
    (tmp_path / "aws/README.md").unlink()

    refused = set_up(tmp_path, kentik_yaml())

    assert refused.exit_code == 1
    assert f"{edited} is there already, and differs" in refused.output
    assert edited.read_text() == "# mine\n"
    assert not (tmp_path / "aws/README.md").exists()
    assert set_up(tmp_path, kentik_yaml(), "--force").exit_code == 0
    assert "# mine" not in edited.read_text()
    assert "nothing was written" in set_up(tmp_path, kentik_yaml()).output


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "aws").write_text("a file")

    done = set_up(tmp_path, kentik_yaml())

    assert done.exit_code == 1
    assert "cannot write" in done.output


def test_options_alone_make_a_configuration_too(tmp_path: Path) -> None:
    folder = tmp_path / "aws"
    command = [
        "setup", f"--folder={folder}", "--account-id=012345678901", "--region=cn-north-1", "--organization",
        "--name-prefix=acme", "--s3-bucket-prefix=acme", "--iam-role-prefix=Acme", "--delete-after-read",
    ]  # fmt: skip

    first, second = CliRunner().invoke(main, command), CliRunner().invoke(main, command)

    assert first.exit_code == 0, first.output
    export = load_configuration(folder / "kentik.yaml").exports[0]
    assert (export.name, export.bucket) == ("acme-cn-north-1", "acme-ingest-bucket-012345678901-flow-logs")
    assert export.iam_role_arn == "arn:aws-cn:iam::012345678901:role/AcmePrimary"
    assert (export.role_suffix, export.organization_role, export.delete_after_read) == ("AcmeSecondary", True, True)
    trust = json.loads((folder / "policies/primary-trust.json").read_text())
    assert trust["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"] == export.external_id
    assert len(export.external_id or "") == 36
    assert "nothing was written" in second.output, "the external id stays"


def test_options_alone_need_an_account_of_twelve_digits_and_a_region(tmp_path: Path) -> None:
    short = CliRunner().invoke(main, ["setup", f"--folder={tmp_path / 'aws'}", "--account-id=1", "--region=eu-west-1"])
    nowhere = CliRunner().invoke(main, ["setup", f"--folder={tmp_path / 'aws'}", "--account-id=111111111111"])

    assert (short.exit_code, nowhere.exit_code) == (1, 1)
    assert "--account-id '1'" in short.output
    assert "--region" in nowhere.output
    assert not (tmp_path / "aws").exists()


def test_flow_logs_ask_for_every_field_that_needs_no_tag_key() -> None:
    text = (GOLDEN / "one-account/main.tf").read_text()
    vpc = next(line for line in text.splitlines() if "log_format" in line and "interface-id" in line)
    gateway = next(line for line in text.splitlines() if "log_format" in line and "tgw-id" in line)

    for field in FLOW_FIELDS:
        assert (f"$${{{field.name}}}" in vpc) == (field.vpc is not None and "-tag" not in field.name), field.name
        assert (f"$${{{field.name}}}" in gateway) == (field.tgw is not None), field.name


def test_a_partition_without_a_service_grants_nothing_of_it(tmp_path: Path) -> None:
    role = "arn:aws-cn:iam::111111111111:role/KentikPrimary"
    assert set_up(tmp_path, kentik_yaml(iam_role_arn=role, region="cn-north-1")).exit_code == 0
    granted = (tmp_path / "aws/policies/primary-access.json").read_text()

    assert "networkmanager:" not in granted
    assert "ec2:DescribeVpcs" in granted


def test_an_export_without_logs_makes_no_bucket(tmp_path: Path) -> None:
    assert set_up(tmp_path, kentik_yaml(collect_flow_logs=False, bucket=None)).exit_code == 0
    text = "".join(files_in(tmp_path / "aws").values())

    assert "aws_s3_bucket" not in text
    assert "aws_flow_log" not in text


def test_the_external_id_is_in_the_trust_policy_alone() -> None:
    holding = [name for name, text in files_in(GOLDEN / "organization").items() if "4f1c-unique" in text]

    assert holding == ["policies/primary-trust.json"]


def test_one_who_is_not_told_the_collector_is_told_what_that_means(tmp_path: Path) -> None:
    done = set_up(tmp_path, kentik_yaml())

    assert "the primary role trusts all of account 111111111111" in done.output
    assert "with --collector-arn" in (tmp_path / "aws/README.md").read_text()
    assert "trusts all of" not in set_up(tmp_path, kentik_yaml(), f"--collector-arn={COLLECTOR}", "--force").output
