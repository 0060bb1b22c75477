"""The accounts of a made-up organization in moto, in this process, and clients in each of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import boto3
import botocore.session
import polars as pl

from kentik_dagster.demo.moto_corrections import (
    moto_default_account,
    name_management_account,
    next_account_id,
)
from kentik_dagster.demo.organization import Organization

PRIMARY_ROLE, SECONDARY_ROLE = "KentikPrimary", "KentikSecondary"
HOME_REGION = "us-east-1"  # of the bucket and of global services
_READ_EVERYTHING = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": [
                "organizations:List*", "organizations:Describe*", "iam:ListAccountAliases", "sts:AssumeRole",
                "ec2:Describe*", "ec2:Get*", "ec2:Search*", "elasticloadbalancing:Describe*",
                "directconnect:Describe*", "network-firewall:Describe*", "network-firewall:List*",
                "networkmanager:Get*", "networkmanager:List*", "cloudwatch:GetMetricData",
                "cloudwatch:ListMetrics", "s3:Get*", "s3:List*", "s3:DeleteObject",
                "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes",
            ],
            "Resource": "*",
        }
    ],
}  # fmt: skip


@dataclass(slots=True)
class EmulatedAws:
    """Sessions in every account, and moto's identifiers for the made-up ones."""

    identifiers: dict[str, str] = field(default_factory=dict)
    management_account_id: str = ""
    _sessions: dict[str, Any] = field(default_factory=dict)
    _clients: dict[tuple[str, str, str], Any] = field(default_factory=dict)
    _models: Any = field(default_factory=lambda: botocore.session.get_session().get_component("data_loader"))

    def client(self, service: str, account_id: str, region: str = HOME_REGION) -> Any:
        """A client with the account's own credentials; `account_id` is moto's."""
        key = (service, account_id, region)
        if key not in self._clients:
            if account_id not in self._sessions:
                self._sessions[account_id] = self._session(account_id)
            self._clients[key] = self._sessions[account_id].client(service, region_name=region)
        return self._clients[key]

    def create_accounts(self, organization: Organization) -> None:
        """Makes the organization, its accounts, and in each the role that a collector assumes."""
        management = organization.accounts.row(0, named=True)
        self.management_account_id = moto_default_account()
        self.identifiers[management["account_id"]] = self.management_account_id
        organizations = self.client("organizations", self.management_account_id)
        organizations.create_organization(FeatureSet="ALL")
        name_management_account(self.management_account_id, management["name"])
        for account in organization.accounts.filter(~pl.col("is_management")).iter_rows(named=True):
            with next_account_id(account["account_id"]):
                status = organizations.create_account(
                    Email=f"{account['name']}@example.com", AccountName=account["name"]
                )
            self.identifiers[account["account_id"]] = status["CreateAccountStatus"]["AccountId"]
        root = f"arn:aws:iam::{self.management_account_id}:root"
        self._role(self.management_account_id, PRIMARY_ROLE, trusted=root)
        primary = f"arn:aws:iam::{self.management_account_id}:role/{PRIMARY_ROLE}"
        for account_id, name in organization.accounts.select("account_id", "name").iter_rows():
            self.client("iam", self.identifiers[account_id]).create_account_alias(AccountAlias=f"made-up-{name}")
        for account_id in organization.accounts.filter(~pl.col("is_management"))["account_id"]:
            self._role(self.identifiers[account_id], SECONDARY_ROLE, trusted=primary)

    def _role(self, account_id: str, name: str, trusted: str) -> None:
        trust = {"Effect": "Allow", "Principal": {"AWS": trusted}, "Action": "sts:AssumeRole"}
        iam = self.client("iam", account_id)
        iam.create_role(
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        )
        iam.put_role_policy(RoleName=name, PolicyName="read", PolicyDocument=json.dumps(_READ_EVERYTHING))

    def _session(self, account_id: str) -> Any:
        ambient = self._boto3_session("AKIAIOSFODNN7EXAMPLE", "made-up")
        if account_id == self.management_account_id:
            return ambient
        answer = ambient.client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{account_id}:role/{SECONDARY_ROLE}", RoleSessionName="made-up-organization"
        )
        keys = answer["Credentials"]
        return self._boto3_session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])

    def _boto3_session(self, *keys: str) -> boto3.Session:
        core = botocore.session.get_session()
        core.register_component("data_loader", self._models)
        return boto3.Session(*keys, region_name=HOME_REGION, botocore_session=core)
