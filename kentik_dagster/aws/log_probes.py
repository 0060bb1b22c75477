"""Probes of the log bucket and its queue: each changes nothing, and answers what AWS says.

Every probe returns None where all is well, else AWS's code and message.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl
from botocore.exceptions import BotoCoreError, ClientError

from kentik_dagster.aws.flow_logs import LogBucket
from kentik_dagster.aws.notifications import queue_region
from kentik_dagster.aws.sessions import ExportAccess, error_code

# A condition that nothing meets, on an object that is not there.
_PROBE_NAME = "AWSLogs/kentik-dagster-permission-probe"
_UNMET = '"00000000000000000000000000000000"'
_NOT_MET = frozenset({"NoSuchKey", "404", "PreconditionFailed", "412"})
_NO_HANDLE = "kentik-dagster-verify"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What AWS answered instead."""

    code: str
    message: str

    @property
    def is_denial(self) -> bool:
        """Whether a permission is missing."""
        return "AccessDenied" in self.code or self.code in ("403", "Forbidden", "UnauthorizedOperation")


def bucket_region(access: ExportAccess) -> str | Refusal:
    """Where the log bucket is."""
    export = access.export
    try:
        answer = access.primary.client("s3", export.region).head_bucket(Bucket=export.log_bucket)
    except (ClientError, BotoCoreError) as error:
        return refusal(error)
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return str(headers.get("x-amz-bucket-region") or export.region)


def deletion_refusal(access: ExportAccess) -> Refusal | None:
    """Whether the bucket's log objects may be deleted: asked of an object that is not there, and nothing is deleted.

    A conditional DeleteObject of a missing key is answered with 404, and one that is not permitted with 403
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html).
    """
    export = access.export
    key = f"{export.log_folder}{_PROBE_NAME}"
    try:
        access.primary.client("s3", export.region).delete_object(Bucket=export.log_bucket, Key=key, IfMatch=_UNMET)
    except (ClientError, BotoCoreError) as error:
        return None if error_code(error) in _NOT_MET else refusal(error)
    return None


def newest_objects(bucket: LogBucket, days: list[date]) -> Iterator[pl.DataFrame]:
    """The log objects of some days, newest day first, as `LogBucket.objects`."""
    for day in sorted(days, reverse=True):
        found = bucket.objects([day])
        if found.height:
            yield found


def notifications_of(access: ExportAccess) -> dict[str, Any] | Refusal:
    """What the log bucket notifies of what."""
    export = access.export
    client = access.primary.client("s3", export.region)
    try:
        answer: dict[str, Any] = client.get_bucket_notification_configuration(Bucket=export.log_bucket)
    except (ClientError, BotoCoreError) as error:
        return refusal(error)
    return answer


def queue_attributes(access: ExportAccess) -> dict[str, str] | Refusal:
    """What the queue says of itself: ARN, policy, and how many messages wait."""
    try:
        answer = _sqs(access).get_queue_attributes(QueueUrl=access.export.notification_queue, AttributeNames=["All"])
    except (ClientError, BotoCoreError) as error:
        return refusal(error)
    attributes: dict[str, str] = answer.get("Attributes", {})
    return attributes


def receiving_refusal(access: ExportAccess) -> Refusal | None:
    """Whether messages may be received; one that is received is visible again at once."""
    try:
        _sqs(access).receive_message(
            QueueUrl=access.export.notification_queue, MaxNumberOfMessages=1, VisibilityTimeout=0, WaitTimeSeconds=0
        )
    except (ClientError, BotoCoreError) as error:
        return refusal(error)
    return None


def message_deletion_refusal(access: ExportAccess) -> Refusal | None:
    """Whether messages may be deleted: asked with a handle that no message has."""
    entries = [{"Id": "0", "ReceiptHandle": _NO_HANDLE}]
    try:
        _sqs(access).delete_message_batch(QueueUrl=access.export.notification_queue, Entries=entries)
    except (ClientError, BotoCoreError) as error:
        return None if "ReceiptHandle" in error_code(error) else refusal(error)
    return None


def metrics_refusal(access: ExportAccess, account_id: str) -> tuple[str, Refusal] | None:
    """The IAM action that CloudWatch refuses in an account, with what it says."""
    export = access.export
    client = access.account(account_id).client("cloudwatch", export.regions[0])
    try:
        client.list_metrics(Namespace="AWS/EC2", MetricName="NetworkIn")
    except (ClientError, BotoCoreError) as error:
        return "cloudwatch:ListMetrics", refusal(error)
    try:
        # Without a query there is nothing to pay: what is permitted is refused as incomplete.
        client.get_metric_data(MetricDataQueries=[], StartTime=0, EndTime=60)
    except (ClientError, BotoCoreError) as error:
        answer = refusal(error)
        return ("cloudwatch:GetMetricData", answer) if answer.is_denial else None
    return None


def refusal(error: ClientError | BotoCoreError) -> Refusal:
    """An error of boto3's."""
    message = error.response.get("Error", {}).get("Message", "") if isinstance(error, ClientError) else str(error)
    return Refusal(error_code(error), " ".join(message.split())[:500])


def _sqs(access: ExportAccess) -> Any:
    url = access.export.notification_queue or ""
    return access.primary.client("sqs", queue_region(url) or access.export.region)
