"""What a message of the notification queue says: which objects S3 made.

The same event arrives in several wrappings: as S3 sends it to SQS, inside an SNS envelope, as an EventBridge event.
Sources: "Event message structure" of the S3 User Guide; "Amazon S3 events" of the EventBridge guide; flow_logs.md §3.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

# A queue inside a topic inside a queue is not an AWS thing to do, but an envelope may hold an envelope.
_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class PostedObject:
    """An object that S3 says was made: bucket, and key as it is."""

    bucket: str
    key: str


@dataclass(frozen=True, slots=True)
class Notification:
    """What one message said.

    Attributes:
        objects: the objects that it names; none for test events, deletions and messages that say nothing of objects.
        problem: why the message was not understood; None: it was.
    """

    objects: tuple[PostedObject, ...] = ()
    problem: str | None = None


def notification(body: str) -> Notification:
    """Read the body of one SQS message; a body of any form is answered, none raises."""
    return _read(body, _DEEPEST)


def _read(body: str, depth: int) -> Notification:
    try:
        message = json.loads(body)
    except ValueError:
        return Notification(problem=f"the body is not JSON: {body[:80]!r}")
    if not isinstance(message, Mapping):
        return Notification(problem=f"the body is JSON, but no object: {body[:80]!r}")
    try:
        return _of(message, depth)
    except (KeyError, TypeError, AttributeError) as error:
        return Notification(problem=f"the event lacks what S3 always sends ({error!r}): {body[:80]!r}")


def _of(message: Mapping[str, Any], depth: int) -> Notification:
    if message.get("Event") == "s3:TestEvent":
        return Notification()
    if "Records" in message:
        found = [_of_record(record, depth) for record in message["Records"]]
        problems = [read.problem for read in found if read.problem is not None]
        objects = tuple(posted for read in found for posted in read.objects)
        return Notification(objects, "; ".join(problems) or None)
    if depth > 0 and isinstance(message.get("Message"), str):  # an SNS envelope
        return _read(message["Message"], depth - 1)
    if message.get("source") == "aws.s3":  # EventBridge does not encode keys
        if message["detail-type"] != "Object Created":
            return Notification()
        detail = message["detail"]
        return Notification((PostedObject(str(detail["bucket"]["name"]), str(detail["object"]["key"])),))
    return Notification(problem="the message is no event of S3")


def _of_record(record: Mapping[str, Any], depth: int) -> Notification:
    if depth > 0 and isinstance(record.get("body"), str):  # an SQS message, as a function receives it
        return _read(record["body"], depth - 1)
    if depth > 0 and isinstance(record.get("Sns"), Mapping):
        return _read(str(record["Sns"]["Message"]), depth - 1)
    if not str(record["eventName"]).removeprefix("s3:").startswith("ObjectCreated:"):
        return Notification()
    s3 = record["s3"]
    return Notification((PostedObject(str(s3["bucket"]["name"]), unquote_plus(str(s3["object"]["key"]))),))
