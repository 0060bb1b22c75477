"""The role chain: ambient credentials, primary role, secondary roles."""

from __future__ import annotations

from datetime import date

import boto3
import pytest

from kentik_dagster.aws.sessions import ExportAccess, caller_identity, secondary_role_arn
from kentik_dagster.configuration import Export
from kentik_dagster.demo.emulator_process import Emulator

PRIMARY = "arn:aws:iam::111122223333:role/KentikPrimary"


def export(**changes: object) -> Export:
    values = {
        "name": "acme",
        "region": "us-east-1",
        "bucket": "acme-logs",
        "start": date(2026, 11, 1),
        "iam_role_arn": PRIMARY,
        "external_id": "unique-id",
        "role_suffix": "team/KentikSecondary",
        "secondary_accounts": ("012345678910",),
    }
    return Export.model_validate(values | changes)


def who(access: ExportAccess, account_id: str) -> str:
    return str(access.account(account_id).client("sts", "us-east-1").get_caller_identity()["Arn"])


def test_other_accounts_are_reached_through_the_primary_role_with_the_suffix(aws: Emulator) -> None:
    access = ExportAccess(export(), custom_endpoint=True)

    assert who(access, "012345678910") == "arn:aws:sts::012345678910:assumed-role/KentikSecondary/kentik-dagster"


def test_the_primary_account_is_reached_with_the_primary_role_itself(aws: Emulator) -> None:
    access = ExportAccess(export(), custom_endpoint=True)

    assert who(access, "111122223333") == "arn:aws:sts::111122223333:assumed-role/KentikPrimary/kentik-dagster"


def test_without_a_role_the_ambient_credentials_are_the_primary(aws: Emulator) -> None:
    access = ExportAccess(export(iam_role_arn=None, external_id=None), custom_endpoint=True)

    assert access.primary.account_id == caller_identity(boto3.client("sts", region_name="us-east-1"))["Account"]


def test_one_client_serves_all_calls_of_a_service_in_a_region(aws: Emulator) -> None:
    account = ExportAccess(export(), custom_endpoint=True).account("012345678910")

    assert account.client("ec2", "us-east-1") is account.client("ec2", "us-east-1")
    assert account.client("ec2", "eu-west-1") is not account.client("ec2", "us-east-1")


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_secondary_roles_are_in_the_partition_of_the_primary(partition: str) -> None:
    role = PRIMARY.replace("arn:aws:", f"arn:{partition}:")

    arn = secondary_role_arn(export(iam_role_arn=role), "012345678910")

    assert arn == f"arn:{partition}:iam::012345678910:role/team/KentikSecondary"
