"""The policies of things: the log bucket, its key, the queue and the topic.

Log delivery needs s3:PutObject below AWSLogs/, and s3:GetBucketAcl and s3:ListBucket on the bucket, for
delivery.logs.amazonaws.com ("Amazon S3 bucket permissions for flow logs" of the Amazon VPC User Guide). Each admission
names the accounts that deliver, or AWS would write for anybody who knows the bucket's name.
"""

from __future__ import annotations

from typing import Any

from kentik_dagster.catalog.permissions import Feature
from kentik_dagster.setup.choices import Choices
from kentik_dagster.setup.policies import Document, Statement, document

_DELIVERY = {"Service": "delivery.logs.amazonaws.com"}


def bucket_policy(choices: Choices) -> Document:
    """Who may write to the log bucket, and that nobody may talk to it without TLS."""
    objects = f"{choices.bucket_arn}/{choices.export.log_folder}AWSLogs/*"
    written: Statement = {
        "Sid": "LogDeliveryWrite",
        "Effect": "Allow",
        "Principal": _DELIVERY,
        "Action": "s3:PutObject",
        "Resource": objects,
        "Condition": _delivering(choices, {"s3:x-amz-acl": "bucket-owner-full-control"}),
    }
    checked: Statement = {
        "Sid": "LogDeliveryCheck",
        "Effect": "Allow",
        "Principal": _DELIVERY,
        "Action": ["s3:GetBucketAcl", "s3:ListBucket"],
        "Resource": choices.bucket_arn,
        "Condition": _delivering(choices, {}),
    }
    tls_only: Statement = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [choices.bucket_arn, f"{choices.bucket_arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return document([written, checked, *_reader_of_another_account(choices), tls_only])


def key_policy(choices: Choices) -> Document:
    """Who may use the key of the log objects: its account's administrators, log delivery, and the reader through S3."""
    key: Statement = {"Resource": "*"}
    statements: list[Statement] = [
        {
            "Sid": "Administration",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:{choices.partition}:iam::{choices.bucket_account}:root"},
            "Action": "kms:*",
            **key,
        },
        {
            "Sid": "LogDelivery",
            "Effect": "Allow",
            "Principal": _DELIVERY,
            "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
            **key,
            "Condition": _delivering(choices, {}),
        },
    ]
    if choices.bucket_is_central:
        statements.append(
            {
                "Sid": "Reader",
                "Effect": "Allow",
                "Principal": _account_of_reader(choices),
                "Action": "kms:Decrypt",
                **key,
                "Condition": {
                    "ArnEquals": {"aws:PrincipalArn": choices.primary_arn},
                    "StringEquals": {"kms:ViaService": f"s3.{choices.export.region}.{choices.dns_suffix}"},
                },
            }
        )
    return document(statements)


def queue_policy(choices: Choices) -> Document:
    """That the bucket, or its topic, may put messages into the queue."""
    if choices.through_sns:
        source, service = {"ArnEquals": {"aws:SourceArn": choices.topic_arn}}, "sns.amazonaws.com"
    else:
        source, service = _from_bucket(choices), "s3.amazonaws.com"
    statements: list[Statement] = [
        {
            "Sid": "Notifications",
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "sqs:SendMessage",
            "Resource": choices.queue_arn,
            "Condition": source,
        }
    ]
    if choices.bucket_is_central:
        actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage"]
        if Feature.VERIFICATION in choices.features:
            actions.append("sqs:GetQueueAttributes")
        statements.append(
            {
                "Sid": "Reader",
                "Effect": "Allow",
                "Principal": _account_of_reader(choices),
                "Action": actions,
                "Resource": choices.queue_arn,
                "Condition": {"ArnEquals": {"aws:PrincipalArn": choices.primary_arn}},
            }
        )
    return document(statements)


def topic_policy(choices: Choices) -> Document:
    """That the bucket may publish to the topic."""
    return document(
        [
            {
                "Sid": "Notifications",
                "Effect": "Allow",
                "Principal": {"Service": "s3.amazonaws.com"},
                "Action": "sns:Publish",
                "Resource": choices.topic_arn,
                "Condition": _from_bucket(choices),
            }
        ]
    )


def _delivering(choices: Choices, more: dict[str, Any]) -> dict[str, Any]:
    """The accounts whose logs are admitted: those of the organization, else those that the export names."""
    if choices.organization_id is not None and choices.export.organization_role:
        return {"StringEquals": {**more, "aws:SourceOrgID": choices.organization_id}}
    accounts = list(choices.listed_accounts)
    sources = [f"arn:{choices.partition}:logs:*:{account_id}:*" for account_id in accounts]
    return {"StringEquals": {**more, "aws:SourceAccount": accounts}, "ArnLike": {"aws:SourceArn": sources}}


def _from_bucket(choices: Choices) -> dict[str, Any]:
    return {
        "ArnEquals": {"aws:SourceArn": choices.bucket_arn},
        "StringEquals": {"aws:SourceAccount": choices.bucket_account},
    }


def _account_of_reader(choices: Choices) -> dict[str, str]:
    # A role as principal of another account's policy has to exist first; with the condition it is as exact.
    return {"AWS": f"arn:{choices.partition}:iam::{choices.account_id}:root"}


def _reader_of_another_account(choices: Choices) -> list[Statement]:
    if not choices.bucket_is_central:
        return []
    on_bucket = ["s3:ListBucket"]
    if Feature.VERIFICATION in choices.features:
        on_bucket.append("s3:GetBucketNotification")
    on_objects = ["s3:GetObject"]
    if Feature.DELETION in choices.features:
        on_objects.append("s3:DeleteObject")
    return [
        {
            "Sid": f"Reader{what}",
            "Effect": "Allow",
            "Principal": _account_of_reader(choices),
            "Action": actions,
            "Resource": resource,
            "Condition": {"ArnEquals": {"aws:PrincipalArn": choices.primary_arn}},
        }
        for what, actions, resource in (
            ("Bucket", on_bucket, choices.bucket_arn),
            ("Objects", on_objects, choices.log_objects_arn),
        )
    ]
