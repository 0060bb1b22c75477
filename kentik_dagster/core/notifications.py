"""What messages of a notification queue say: which objects S3 made.

The same event comes in several wrappings: as S3 sends it, inside an SNS envelope, as an EventBridge event, inside a
batch of SQS messages as a function receives it. Keys are URL-encoded in S3's own events, and not in EventBridge's.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from urllib.parse import unquote_plus

import polars as pl

from kentik_dagster.core.schemas import require

# What no run has brought into the ledger after so many requests is left to the listing.
_MOST_TRIES = 5
# An envelope may hold an envelope; what is deeper is no notification.
_DEEPEST = 4
_MOST_BYTES = 2**63 - 1
_OBJECTS: dict[str, pl.DataType | type[pl.DataType]] = {
    "bucket": pl.String,
    "key": pl.String,
    "etag": pl.String,
    "size_bytes": pl.Int64,
    "posted_at": pl.Datetime("us", "UTC"),
    "message": pl.Int64,
}
_VERDICTS: dict[str, pl.DataType | type[pl.DataType]] = {"message": pl.Int64, "verdict": pl.String, "reason": pl.String}


class Verdict(StrEnum):
    """What a message turned out to be."""

    OBJECTS = "objects"  # it names objects that were created
    NOTHING = "nothing"  # a test event, a deletion: nothing for us
    NOT_UNDERSTOOD = "not_understood"  # all of it, or a part


@dataclass(frozen=True, slots=True)
class Posted:
    """What some messages said.

    Attributes:
        objects: one row per created object, in the order of the messages: `bucket`, `key` (as it is in S3), `etag`
            (without quotes; null where the event has none), `size_bytes` (B; null likewise), `posted_at` (null
            likewise), `message` (index of the message, from 0). An object that two messages name has two rows.
        verdicts: one row per message, in order: `message` (its index), `verdict` (of Verdict), `reason` (why it was
            not understood, else null). A message of which only a part was understood gives its objects all the same.
    """

    objects: pl.DataFrame
    verdicts: pl.DataFrame


@dataclass(frozen=True, slots=True)
class _Created:
    bucket: str
    key: str
    etag: str | None
    size_bytes: int | None
    posted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Divided:
    """What becomes of pending objects, and of the messages that named them.

    Attributes:
        asked: one row per object that a run is asked for, as in `pending`.
        remembered: one row per object to look for in the ledger again: `source_object`, `tries`.
        needed: messages that may be deleted once the requests and `remembered` are durable.
        unanswered: messages with an object that is neither asked for nor remembered: they must come again.
    """

    asked: pl.DataFrame
    remembered: pl.DataFrame
    needed: frozenset[int]
    unanswered: frozenset[int]


class _NotUnderstoodError(Exception):
    """A part of a message that is no event of S3; the text says why."""


def posted_objects(bodies: Sequence[str]) -> Posted:
    """Read the bodies of SQS messages; a body of any form gets a verdict, and none raises.

    A Python loop over the messages: each is a JSON document of its own, and there are some thousand at the most.
    """
    rows: list[tuple[object, ...]] = []
    verdicts: list[tuple[int, Verdict, str | None]] = []
    for index, body in enumerate(bodies):
        found = list(_parts(body, _DEEPEST))
        created = [part for part in found if isinstance(part, _Created)]
        reasons = [str(part) for part in found if isinstance(part, _NotUnderstoodError)]
        rows += [(part.bucket, part.key, part.etag, part.size_bytes, part.posted_at, index) for part in created]
        if reasons:
            more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
            verdicts.append((index, Verdict.NOT_UNDERSTOOD, reasons[0] + more))
        else:
            verdicts.append((index, Verdict.OBJECTS if created else Verdict.NOTHING, None))
    return Posted(pl.DataFrame(rows, _OBJECTS, orient="row"), pl.DataFrame(verdicts, _VERDICTS, orient="row"))


def divided(pending: pl.DataFrame, waiting_hours: Sequence[str], most_remembered: int) -> Divided:
    """Ask for the objects of free hours; remember these until the ledger has them, and the others until they are free.

    Args:
        pending: one row per object that a message names, and per remembered object, which stand first:
            `source_object`, `hour`, `message` (null for remembered ones), `tries` (requests for it so far).
        waiting_hours: those with a run in progress, which may have listed its objects before this one was posted,
            and those whose run has just failed.
        most_remembered: objects that are remembered at the most.
    """
    require(pending, "source_object", "hour", "message", "tries", by="divided")
    waits = pl.col("hour").is_in(list(waiting_hours))
    objects = pending.unique("source_object", keep="first", maintain_order=True).filter(pl.col("tries") < _MOST_TRIES)
    too_many = objects.slice(most_remembered).filter(waits)
    unanswered = pending.join(too_many, on="source_object", how="semi")["message"].drop_nulls()
    return Divided(
        asked=objects.filter(~waits),
        remembered=objects.head(most_remembered).select("source_object", pl.col("tries") + (~waits).cast(pl.Int64)),
        needed=frozenset(pending["message"].drop_nulls()) - frozenset(unanswered),
        unanswered=frozenset(unanswered),
    )


def remembered_objects(names: Mapping[str, int]) -> pl.DataFrame:
    """Remembered objects, and their tries, as rows: `source_object`, `hour` (from its name), `tries`."""
    objects = pl.DataFrame(
        {"source_object": list(names), "tries": list(names.values())},
        {"source_object": pl.String, "tries": pl.Int64},
    )
    hour = pl.col("source_object").str.replace(r"^(\d{4})(\d{2})(\d{2}T\d{2}).*$", "${1}-${2}-${3}")
    return objects.select("source_object", hour.alias("hour"), "tries")


def _parts(body: str, depth: int) -> Iterator[_Created | _NotUnderstoodError]:
    """The objects that a text names, and what in it was not understood."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        yield _NotUnderstoodError(f"it is not JSON: {_short(body)}")
        return
    if not isinstance(document, dict):
        yield _NotUnderstoodError(f"it is JSON, but no object: {_short(body)}")
    elif document.get("Event") == "s3:TestEvent":
        return
    elif isinstance(document.get("Records"), list):
        for record in document["Records"]:
            yield from _parts_of_record(record, depth)
    elif document.get("Type") == "SubscriptionConfirmation":
        topic = document.get("TopicArn")
        yield _NotUnderstoodError(f"the topic {topic!r} waits for its subscription to be confirmed: confirm it in SNS")
    elif isinstance(document.get("Message"), str):
        yield from _inside(document["Message"], depth)
    elif document.get("source") == "aws.s3":
        if document.get("detail-type") == "Object Created":
            yield _created(document, _of_eventbridge)
    else:
        yield _NotUnderstoodError(f"it is no event of S3: {_short(body)}")


def _parts_of_record(record: object, depth: int) -> Iterator[_Created | _NotUnderstoodError]:
    match record:
        case {"body": str(body)}:  # an SQS message as a function receives it
            yield from _inside(body, depth)
        case {"Sns": {"Message": str(body)}}:  # an SNS message as a function receives it
            yield from _inside(body, depth)
        case {"s3": dict(), "eventName": str(name)}:
            if name.removeprefix("s3:").startswith("ObjectCreated:"):
                yield _created(record, _of_s3)
        case _:
            yield _NotUnderstoodError(f"a record is no event of S3: {_short(json.dumps(record))}")


def _inside(body: str, depth: int) -> Iterator[_Created | _NotUnderstoodError]:
    if depth == 0:
        yield _NotUnderstoodError("it has too many envelopes around it")
    else:
        yield from _parts(body, depth - 1)


def _created(event: Any, read: Callable[[Mapping[str, Any]], _Created]) -> _Created | _NotUnderstoodError:
    try:
        return read(event)
    except (KeyError, TypeError, ValueError) as error:
        return _NotUnderstoodError(f"the event lacks what S3 always sends: {type(error).__name__} {error}")


def _of_s3(record: Mapping[str, Any]) -> _Created:
    entry = record["s3"]["object"]
    # Strictly: a key that is no UTF-8 must not turn into another key.
    key = unquote_plus(_text(entry["key"]), errors="strict")
    return _Created(
        bucket=_text(record["s3"]["bucket"]["name"]),
        key=_text(key),
        etag=_etag(entry.get("eTag")),
        size_bytes=_size(entry.get("size")),
        posted_at=_instant(record.get("eventTime")),
    )


def _of_eventbridge(event: Mapping[str, Any]) -> _Created:
    entry = event["detail"]["object"]
    return _Created(
        bucket=_text(event["detail"]["bucket"]["name"]),
        key=_text(entry["key"]),
        etag=_etag(entry.get("etag")),
        size_bytes=_size(entry.get("size")),
        posted_at=_instant(event.get("time")),
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(f"{value!r} is no name")
    value.encode()  # JSON can spell half a character, which is in no name
    return value


def _etag(value: object) -> str | None:
    return None if value is None else _text(value).strip('"')


def _size(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= _MOST_BYTES else None


def _instant(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        instant = datetime.fromisoformat(value)
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _short(text: str) -> str:
    """The beginning of a text, for a log line."""
    return repr(text[:80])
