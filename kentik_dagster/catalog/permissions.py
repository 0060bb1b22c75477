"""Which IAM action each feature calls, on what, and why: the generated policies are made from these rows.

Actions, their resource levels and the calls that they permit: the Service Authorization Reference of each service.
Metadata's are those of the operation catalog.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kentik_dagster.catalog.network_operations import OPERATIONS


class Feature(StrEnum):
    """What an export, or the deployment, does with AWS."""

    METADATA = "metadata"
    METRICS = "metrics"
    ORGANIZATION = "organization"
    ROLE_CHAIN = "role_chain"
    FLOW_LOGS = "flow_logs"
    DELETION = "deletion"
    ENCRYPTION = "encryption"
    NOTIFICATIONS = "notifications"
    VERIFICATION = "verification"
    LAKE = "lake"
    LAKE_ENCRYPTION = "lake_encryption"


class On(StrEnum):
    """What an action is granted on."""

    ANYTHING = "anything"  # the ids are not known before, or the action has no resource level
    LOG_BUCKET = "log_bucket"
    LOG_OBJECTS = "log_objects"
    LOG_KEY = "log_key"
    QUEUE = "queue"
    PRIMARY_ROLE = "primary_role"
    SECONDARY_ROLES = "secondary_roles"
    LAKE_BUCKET = "lake_bucket"
    LAKE_OBJECTS = "lake_objects"
    LAKE_KEY = "lake_key"


@dataclass(frozen=True, slots=True)
class Permission:
    """One IAM action that a feature needs.

    Attributes:
        calls: the boto3 methods that it permits, as `service.method`; empty: a service calls it on our behalf.
    """

    feature: Feature
    action: str
    on: On
    calls: tuple[str, ...]
    why: str


# fmt: off
_METADATA = tuple(
    Permission(Feature.METADATA, action, On.ANYTHING,
               tuple(f"{one.service}.{one.name}" for one in OPERATIONS if one.action == action), "network metadata")
    for action in sorted({one.action for one in OPERATIONS})
)
PERMISSIONS = (
    *_METADATA,
    Permission(Feature.METRICS,       "cloudwatch:ListMetrics",   On.ANYTHING,        ("cloudwatch.list_metrics",),      "which series there are"),
    Permission(Feature.METRICS,       "cloudwatch:GetMetricData", On.ANYTHING,        ("cloudwatch.get_metric_data",),   "their datapoints"),
    Permission(Feature.ORGANIZATION,  "organizations:ListAccounts", On.ANYTHING,      ("organizations.list_accounts",),  "the accounts of the organization"),
    Permission(Feature.ROLE_CHAIN,    "sts:AssumeRole",           On.PRIMARY_ROLE,    ("sts.assume_role",),              "the export's own account"),
    Permission(Feature.ROLE_CHAIN,    "sts:AssumeRole",           On.SECONDARY_ROLES, ("sts.assume_role",),              "its other accounts"),
    Permission(Feature.FLOW_LOGS,     "s3:ListBucket",            On.LOG_BUCKET,      ("s3.list_objects_v2",),           "which log objects there are"),
    Permission(Feature.FLOW_LOGS,     "s3:GetObject",             On.LOG_OBJECTS,     ("s3.get_object",),                "what they say"),
    Permission(Feature.DELETION,      "s3:DeleteObject",          On.LOG_OBJECTS,     ("s3.delete_object", "s3.delete_objects"), "deleting what has been read"),
    Permission(Feature.ENCRYPTION,    "kms:Decrypt",              On.LOG_KEY,         (),                                "S3 decrypts log objects for their reader"),
    Permission(Feature.NOTIFICATIONS, "sqs:ReceiveMessage",       On.QUEUE,           ("sqs.receive_message",),          "which log objects are new"),
    Permission(Feature.NOTIFICATIONS, "sqs:DeleteMessage",        On.QUEUE,           ("sqs.delete_message_batch",),     "messages whose objects are durable"),
    Permission(Feature.LAKE,          "s3:ListBucket",            On.LAKE_BUCKET,     (),                                "Delta lists its log"),
    Permission(Feature.LAKE,          "s3:GetObject",             On.LAKE_OBJECTS,    (),                                "reading tables"),
    Permission(Feature.LAKE,          "s3:PutObject",             On.LAKE_OBJECTS,    (),                                "writing them, large files in parts"),
    Permission(Feature.LAKE,          "s3:DeleteObject",          On.LAKE_OBJECTS,    (),                                "files beyond their retention"),
    Permission(Feature.LAKE,          "s3:AbortMultipartUpload",  On.LAKE_OBJECTS,    (),                                "parts of a file that was given up"),
    Permission(Feature.LAKE_ENCRYPTION, "kms:GenerateDataKey",    On.LAKE_KEY,        (),                                "S3 encrypts what is written"),
    Permission(Feature.LAKE_ENCRYPTION, "kms:Decrypt",            On.LAKE_KEY,        (),                                "and decrypts what is read; large uploads need it, too"),
    Permission(Feature.VERIFICATION,  "s3:GetBucketNotification", On.LOG_BUCKET,      ("s3.get_bucket_notification_configuration",), "`verify`: whether the bucket feeds the queue"),
    Permission(Feature.VERIFICATION,  "sqs:GetQueueAttributes",   On.QUEUE,           ("sqs.get_queue_attributes",),     "`verify`: whether the queue admits the bucket, and how much waits in it"),
)
# fmt: on


def permissions_of(feature: Feature) -> tuple[Permission, ...]:
    """What a feature needs."""
    return tuple(one for one in PERMISSIONS if one.feature is feature)
