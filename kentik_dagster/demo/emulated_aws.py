"""The accounts of a made-up organization in moto, in this process, and clients in each of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import boto3
import botocore.session
import polars as pl

from kentik_dagster.configuration import Export
from kentik_dagster.demo.moto_corrections import (
    moto_default_account,
    name_management_account,
    next_account_id,
)
from kentik_dagster.demo.organization import Organization
from kentik_dagster.setup.choices import Choices
from kentik_dagster.setup.policies import (
    Document,
    document,
    primary_documents,
    primary_trust,
    secondary_document,
    secondary_trust,
)

PRIMARY_ROLE, SECONDARY_ROLE = "KentikPrimary", "KentikSecondary"
EXTERNAL_ID = "made-up-external-id"
HOME_REGION = "us-east-1"  # of the bucket and of global services


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

    def create_accounts(self, organization: Organization, bucket: str) -> None:
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
        choices = self._choices(bucket)
        granted = [one for document in primary_documents(choices).values() for one in document["Statement"]]
        self._role(self.management_account_id, PRIMARY_ROLE, primary_trust(choices), document(granted))
        for account_id, name in organization.accounts.select("account_id", "name").iter_rows():
            self.client("iam", self.identifiers[account_id]).create_account_alias(AccountAlias=f"made-up-{name}")
        for account_id in organization.accounts.filter(~pl.col("is_management"))["account_id"]:
            member = self.identifiers[account_id]
            self._role(member, SECONDARY_ROLE, secondary_trust(choices), secondary_document(choices))

    def _choices(self, bucket: str) -> Choices:
        """The AWS side as `kentik-dagster setup` makes it."""
        export = {
            "name": "made-up", "region": HOME_REGION, "bucket": bucket, "start": "2026-11-01",
            "iam_role_arn": f"arn:aws:iam::{self.management_account_id}:role/{PRIMARY_ROLE}",
            "external_id": EXTERNAL_ID, "organization_role": True, "role_suffix": SECONDARY_ROLE,
            "delete_after_read": True,
        }  # fmt: skip
        collector = f"arn:aws:iam::{self.management_account_id}:user/moto"
        return Choices(export=Export.model_validate(export), collector_arn=collector)

    def _role(self, account_id: str, name: str, trust: Document, policy: Document) -> None:
        iam = self.client("iam", account_id)
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        iam.put_role_policy(RoleName=name, PolicyName="kentik-dagster", PolicyDocument=json.dumps(policy))

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
