"""The log bucket in Terraform: encryption, lifecycle, access, notifications and the queue that they go to."""

from __future__ import annotations

from kentik_dagster.catalog.permissions import Feature
from kentik_dagster.setup.choices import Choices
from kentik_dagster.setup.hcl import Block, Expression, Value, file_beside, resource

_BUCKET = Expression("aws_s3_bucket.logs.id")
# Of parts of an upload that was given up, and of versions of objects that were deleted.
_LEFTOVER_DAYS = 7
# As long as SQS keeps a message; the listing finds what was not read by then.
_KEPT_SECONDS = 1_209_600
_HIDDEN_SECONDS = 300


def bucket_blocks(choices: Choices, policies: str) -> list[Block]:
    """The bucket, and all that belongs to it but the notifications.

    Args:
        policies: the folder of the policy documents, as this file reaches it.
    """
    bucket = resource(
        "aws_s3_bucket",
        "logs",
        {"bucket": choices.export.log_bucket, "force_destroy": Expression("var.s3_delete_nonempty_buckets")},
    )
    private = resource(
        "aws_s3_bucket_public_access_block",
        "logs",
        {
            "bucket": _BUCKET,
            "block_public_acls": True,
            "block_public_policy": True,
            "ignore_public_acls": True,
            "restrict_public_buckets": True,
        },
    )
    owned = resource(
        "aws_s3_bucket_ownership_controls",
        "logs",
        {"bucket": _BUCKET},
        Block("rule", (), {"object_ownership": "BucketOwnerEnforced"}),
    )
    policy = resource(
        "aws_s3_bucket_policy",
        "logs",
        {
            "bucket": _BUCKET,
            "policy": file_beside(f"{policies}/bucket-policy.json"),
            "depends_on": [Expression("aws_s3_bucket_public_access_block.logs")],
        },
    )
    return [*_key(choices, policies), bucket, private, owned, _encryption(choices), _lifecycle(choices), policy]


def queue_blocks(choices: Choices, policies: str) -> list[Block]:
    """The queue, the topic before it if there is one, and the bucket's notifications."""
    queue = resource(
        "aws_sqs_queue",
        "logs",
        {
            "name": choices.queue_name,
            "message_retention_seconds": _KEPT_SECONDS,
            "visibility_timeout_seconds": _HIDDEN_SECONDS,
            "receive_wait_time_seconds": 20,
            "sqs_managed_sse_enabled": True,
        },
    )
    admits = resource(
        "aws_sqs_queue_policy",
        "logs",
        {"queue_url": Expression("aws_sqs_queue.logs.url"), "policy": file_beside(f"{policies}/queue-policy.json")},
    )
    told: dict[str, Value] = {
        "events": ["s3:ObjectCreated:*"],
        "filter_prefix": f"{choices.export.log_folder}AWSLogs/",
    }
    if not choices.through_sns:
        target = Block("queue", (), {"queue_arn": Expression("aws_sqs_queue.logs.arn"), **told})
        return [queue, admits, _notification(target, "aws_sqs_queue_policy.logs")]
    topic = resource("aws_sns_topic", "logs", {"name": choices.queue_name})
    published = resource(
        "aws_sns_topic_policy",
        "logs",
        {"arn": Expression("aws_sns_topic.logs.arn"), "policy": file_beside(f"{policies}/topic-policy.json")},
    )
    subscription = resource(
        "aws_sns_topic_subscription",
        "logs",
        {
            "topic_arn": Expression("aws_sns_topic.logs.arn"),
            "protocol": "sqs",
            "endpoint": Expression("aws_sqs_queue.logs.arn"),
            "raw_message_delivery": True,
            "depends_on": [Expression("aws_sqs_queue_policy.logs")],
        },
    )
    target = Block("topic", (), {"topic_arn": Expression("aws_sns_topic.logs.arn"), **told})
    return [queue, admits, topic, published, subscription, _notification(target, "aws_sns_topic_policy.logs")]


def _notification(target: Block, after: str) -> Block:
    return resource(
        "aws_s3_bucket_notification", "logs", {"bucket": _BUCKET, "depends_on": [Expression(after)]}, target
    )


def _key(choices: Choices, policies: str) -> list[Block]:
    if not choices.creates_key:
        return []
    key = resource(
        "aws_kms_key",
        "logs",
        {
            "description": f"log objects in {choices.export.log_bucket}",
            "enable_key_rotation": True,
            "policy": file_beside(f"{policies}/key-policy.json"),
        },
    )
    named = resource(
        "aws_kms_alias", "logs", {"name": choices.key_alias, "target_key_id": Expression("aws_kms_key.logs.key_id")}
    )
    return [key, named]


def _encryption(choices: Choices) -> Block:
    if Feature.ENCRYPTION in choices.features:
        # By its ARN: an id alone is looked for in the account that writes.
        key: Value = Expression("aws_kms_key.logs.arn") if choices.creates_key else choices.kms_key_arn or ""
        by_default: dict[str, Value] = {"sse_algorithm": "aws:kms", "kms_master_key_id": key}
        rule: dict[str, Value] = {"bucket_key_enabled": True}
    else:
        by_default, rule = {"sse_algorithm": "AES256"}, {}
    default = Block("apply_server_side_encryption_by_default", (), by_default)
    return resource(
        "aws_s3_bucket_server_side_encryption_configuration",
        "logs",
        {"bucket": _BUCKET},
        Block("rule", (), rule, (default,)),
    )


def _lifecycle(choices: Choices) -> Block:
    leftovers = Block(
        "rule",
        (),
        {"id": "leftovers", "status": "Enabled"},
        (
            Block("filter"),
            Block("abort_incomplete_multipart_upload", (), {"days_after_initiation": _LEFTOVER_DAYS}),
            Block("noncurrent_version_expiration", (), {"noncurrent_days": _LEFTOVER_DAYS}),
        ),
    )
    rules = [leftovers]
    if choices.expire_days is not None:
        logs = Block("filter", (), {"prefix": f"{choices.export.log_folder}AWSLogs/"})
        expired = Block("expiration", (), {"days": choices.expire_days})
        rules.append(Block("rule", (), {"id": "old-logs", "status": "Enabled"}, (logs, expired)))
    return resource("aws_s3_bucket_lifecycle_configuration", "logs", {"bucket": _BUCKET}, *rules)
