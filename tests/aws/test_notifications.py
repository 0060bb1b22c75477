"""The queue of an export, against a real SQS interface."""

from __future__ import annotations

import json
from datetime import date
from itertools import count

import boto3
import pytest

from kentik_dagster.aws.notifications import HIDDEN_SECONDS, NotificationQueue, queue_region
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.configuration import Export
from kentik_dagster.core.notifications import Verdict, posted_objects
from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.errors import QueueError

REGION = "us-east-1"
_numbers = count(1)


def new_queue(*bodies: str, **attributes: str) -> str:
    """The URL of a queue that holds some messages."""
    sqs = boto3.client("sqs", region_name=REGION)
    url = str(sqs.create_queue(QueueName=f"notifications-{next(_numbers)}", Attributes=attributes)["QueueUrl"])
    for body in bodies:
        sqs.send_message(QueueUrl=url, MessageBody=body)
    return url


def opened(url: str) -> NotificationQueue:
    export = Export(name="acme", region=REGION, bucket="acme-logs", start=date(2026, 11, 23), notification_queue=url)
    return NotificationQueue(ExportAccess(export, custom_endpoint=True))


def sizes(url: str) -> tuple[int, int]:
    """How many messages can be received, and how many are hidden."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = boto3.client("sqs", region_name=REGION).get_queue_attributes(QueueUrl=url, AttributeNames=names)
    return int(answer["Attributes"][names[0]]), int(answer["Attributes"][names[1]])


def test_all_messages_are_received_and_hidden_until_they_are_deleted(aws: Emulator) -> None:
    bodies = [f"message {number}" for number in range(23)]
    url = new_queue(*bodies)

    received = opened(url).receive(2_000, seconds=20)

    assert sorted(message.body for message in received) == sorted(bodies)
    assert sizes(url) == (0, 23)
    assert opened(url).receive(2_000, seconds=20) == []
    assert opened(url).delete([message.receipt_handle for message in received]) == {}
    assert sizes(url) == (0, 0)


def test_no_more_are_received_than_asked_for_and_none_after_the_time(aws: Emulator) -> None:
    url = new_queue(*map(str, range(15)))

    assert len(opened(url).receive(12, seconds=20)) == 12
    assert opened(url).receive(12, seconds=0) == []


def test_a_message_is_hidden_for_longer_than_two_ticks(aws: Emulator) -> None:
    assert HIDDEN_SECONDS >= 2 * 60


def test_a_handle_that_deletes_nothing_is_told_and_the_others_delete(aws: Emulator) -> None:
    url = new_queue("one", "two")
    handles = [message.receipt_handle for message in opened(url).receive(10, seconds=20)]

    failed = opened(url).delete([handles[0], "made up", handles[1], handles[1]])

    assert list(failed) == ["made up"]
    assert "ReceiptHandleIsInvalid" in failed["made up"]
    assert sizes(url) == (0, 0)


def test_a_queue_that_is_missing_is_an_error_that_names_the_key(aws: Emulator) -> None:
    url = f"{aws.endpoint_url}/123456789012/there-is-no-such-queue"

    with pytest.raises(QueueError, match="There is no such queue: correct `notification_queue` of export 'acme'"):
        opened(url).receive(10, seconds=20)


def test_what_cannot_be_deleted_for_want_of_a_queue_is_not_fatal(aws: Emulator) -> None:
    url = f"{aws.endpoint_url}/123456789012/there-is-no-such-queue"
    handles = [f"handle {number}" for number in range(25)]

    failed = opened(url).delete(handles)

    assert list(failed) == handles
    assert "cannot delete messages of" in failed[handles[-1]]


def test_what_s3_itself_sends_to_the_queue_is_understood(aws: Emulator) -> None:
    url = new_queue()
    s3 = boto3.client("s3", region_name=REGION)
    bucket = f"notifying-{next(_numbers)}"
    s3.create_bucket(Bucket=bucket)
    arn = f"arn:aws:sqs:{REGION}:123456789012:{url.rsplit('/', 1)[1]}"
    s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]},
    )
    etag = s3.put_object(Bucket=bucket, Key="AWSLogs/month=11/a file", Body=b"text")["ETag"].strip('"')

    posted = posted_objects([message.body for message in opened(url).receive(10, seconds=20)])

    assert Verdict.NOT_UNDERSTOOD not in posted.verdicts["verdict"].to_list()
    assert posted.objects.select("bucket", "key", "etag", "size_bytes").rows() == [
        (bucket, "AWSLogs/month=11/a file", etag, 4)
    ]


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.eu-west-1.amazonaws.com/111122223333/logs", "eu-west-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/111122223333/logs", "cn-north-1"),
        ("https://us-gov-west-1.queue.amazonaws.com/111122223333/logs", "us-gov-west-1"),
        ("https://vpce-0a1b-2c3d.sqs.ap-southeast-2.vpce.amazonaws.com/111122223333/logs", "ap-southeast-2"),
        ("https://queue.amazonaws.com/111122223333/eu-west-1", None),
        ("http://127.0.0.1:5000/123456789012/logs", None),
        ("no url", None),
    ],
)
def test_the_region_is_that_of_the_queue(url: str, region: str | None) -> None:
    assert queue_region(url) == region


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("AWS.SimpleQueueService.NonExistentQueue", "correct `notification_queue` of export 'acme'"),
        ("AccessDenied", "Grant sqs:ReceiveMessage on the queue to the role of export 'acme'"),
        ("KMS.AccessDeniedException", "grant kms:Decrypt on its key to the role of export 'acme'"),
        ("EndpointConnectionError", "Check `notification_queue` of export 'acme', its region"),
    ],
)
def test_an_error_says_which_permission_or_key_to_correct(code: str, hint: str) -> None:
    error = QueueError("https://sqs/1/logs", "acme", "receive", code, "as AWS says it")

    assert f"cannot receive messages of https://sqs/1/logs: AWS answered {code} (as AWS says it)." in str(error)
    assert hint in str(error)
    assert error.code == code


def test_bodies_come_back_byte_for_byte(aws: Emulator) -> None:
    body = json.dumps({"key": "ä+%20 \n"}, ensure_ascii=False)

    (message,) = opened(new_queue(body)).receive(1, seconds=20)

    assert message.body == body
