"""CloudFormation for the role in the other accounts: one StackSet makes it in all of them, also in later ones."""

from __future__ import annotations

from typing import Any

from kentik_dagster.setup.choices import Choices
from kentik_dagster.setup.policies import secondary_document, secondary_trust


def secondary_template(choices: Choices) -> dict[str, Any]:
    """A template of one role, without parameters: every account gets the same."""
    path, _, name = (choices.export.role_suffix or "").rpartition("/")
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"The role with which kentik_dagster collects this account (export {choices.export.name})",
        "Resources": {
            "SecondaryRole": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "RoleName": name,
                    "Path": f"/{path}/" if path else "/",
                    "Description": "kentik_dagster collects this account's network metadata and metrics",
                    "AssumeRolePolicyDocument": secondary_trust(choices),
                    "Policies": [{"PolicyName": "kentik-dagster", "PolicyDocument": secondary_document(choices)}],
                },
            }
        },
        "Outputs": {"RoleArn": {"Value": {"Fn::GetAtt": ["SecondaryRole", "Arn"]}}},
    }
