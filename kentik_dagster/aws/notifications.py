"""The queue of an export: messages that say which log objects S3 made.

A message is deleted only when what it asked for is durable, and that is the caller's to know: `receive` leaves it in
the queue, hidden for a while, and `delete` is told its receipt handle later. Redelivery is harmless.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from kentik_dagster.aws.sessions import ExportAccess, error_code
from kentik_dagster.errors import QueueError

# SQS takes and gives ten at a time.
_PER_CALL = 10
# Longer than a tick of the sensor and the tick after it, which deletes what this one received.
HIDDEN_SECONDS = 300
_LONGEST_POLL_SECONDS = 1
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d")


@dataclass(frozen=True, slots=True)
class Message:
    """One message: what it says, and the handle that deletes it."""

    body: str
    receipt_handle: str


class NotificationQueue:
    """The SQS queue that an export's `notification_queue` names."""

    def __init__(self, access: ExportAccess) -> None:
        self.export = access.export
        self.url = access.export.notification_queue or ""
        self._client = access.primary.client("sqs", queue_region(self.url) or access.export.region)

    def receive(self, most_messages: int, seconds: float) -> list[Message]:
        """Messages until the queue gives no more, there are `most_messages`, or the time is over.

        Each is hidden from other receivers for HIDDEN_SECONDS, and comes again if it is not deleted by then.

        Raises:
            QueueError: the queue does not answer, or refuses.
        """
        messages: list[Message] = []
        ends_at = time.monotonic() + seconds
        while len(messages) < most_messages and time.monotonic() < ends_at:
            try:
                answer = self._client.receive_message(
                    QueueUrl=self.url,
                    MaxNumberOfMessages=min(_PER_CALL, most_messages - len(messages)),
                    VisibilityTimeout=HIDDEN_SECONDS,
                    WaitTimeSeconds=_LONGEST_POLL_SECONDS,
                )
            except (ClientError, BotoCoreError) as error:
                raise self._error("receive", error) from error
            received = answer.get("Messages", [])
            if not received:
                break
            messages += [Message(message["Body"], message["ReceiptHandle"]) for message in received]
        return messages

    def delete(self, receipt_handles: Sequence[str]) -> dict[str, str]:
        """Delete messages; returns the handles whose messages are still there, each with the reason.

        Those come again, which is harmless. When a whole call is refused, the rest is not tried.
        """
        failed: dict[str, str] = {}
        left = list(dict.fromkeys(receipt_handles))
        while left:
            batch, left = left[:_PER_CALL], left[_PER_CALL:]
            entries = [{"Id": str(number), "ReceiptHandle": handle} for number, handle in enumerate(batch)]
            try:
                answer = self._client.delete_message_batch(QueueUrl=self.url, Entries=entries)
            except (ClientError, BotoCoreError) as error:
                reason = str(self._error("delete", error))
                return failed | dict.fromkeys([*batch, *left], reason)
            for entry in answer.get("Failed", []):
                failed[batch[int(entry["Id"])]] = f"{entry.get('Code')}: {entry.get('Message', '')}"
        return failed

    def _error(self, doing: str, error: ClientError | BotoCoreError) -> QueueError:
        message = error.response.get("Error", {}).get("Message", "") if isinstance(error, ClientError) else str(error)
        return QueueError(self.url, self.export.name, doing, error_code(error), message)


def queue_region(url: str) -> str | None:
    """The region that the host name of a queue's URL names; None: it names none, as those of emulators."""
    labels = (urlsplit(url).hostname or "").split(".")
    return next((label for label in labels if _REGION.fullmatch(label)), None)
