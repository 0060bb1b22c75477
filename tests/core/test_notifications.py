"""What messages of a notification queue say, in every wrapping that AWS has for it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.core.notifications import Verdict, divided, posted_objects, remembered_objects

HIVE_KEY = "AWSLogs/aws-account-id=111122223333/aws-service=vpcflowlogs/a file.log.gz"
ETAG = "0cdef8885755dff42b6fbd91732ae506"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


def record(key: str = HIVE_KEY.replace("=", "%3D").replace(" ", "+"), **changes: Any) -> dict[str, Any]:
    """A record as S3 sends it."""
    return {
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-11-23T09:10:11.500Z",
        "s3": {"bucket": {"name": "acme-logs"}, "object": {"key": key, "size": 9234, "eTag": ETAG}},
    } | changes


def s3_event(*records: dict[str, Any]) -> str:
    return json.dumps({"Records": records or [record()]})


def through_sns(body: str) -> str:
    return json.dumps({"Type": "Notification", "TopicArn": "arn:aws:sns:us-east-1:111122223333:logs", "Message": body})


def eventbridge(key: str = HIVE_KEY, detail_type: str = "Object Created") -> str:
    detail = {"bucket": {"name": "acme-logs"}, "object": {"key": key, "size": 9234, "etag": ETAG}}
    return json.dumps(
        {"source": "aws.s3", "detail-type": detail_type, "time": "2026-11-23T09:10:11.500Z", "detail": detail}
    )


def batch(*bodies: str) -> str:
    """SQS messages as a function receives them."""
    return json.dumps({"Records": [{"messageId": "1", "eventSource": "aws:sqs", "body": body} for body in bodies]})


TEST_EVENT = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "acme-logs"})


@pytest.mark.parametrize(
    "body",
    [
        s3_event(),
        through_sns(s3_event()),
        eventbridge(),
        through_sns(eventbridge()),
        batch(s3_event()),
        batch(through_sns(s3_event())),
        json.dumps({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": s3_event()}}]}),
        s3_event(record(eventName="s3:ObjectCreated:CompleteMultipartUpload")),
    ],
)
def test_a_created_object_is_found_in_every_wrapping(body: str) -> None:
    posted = posted_objects([body])

    posted_at = datetime(2026, 11, 23, 9, 10, 11, 500_000, tzinfo=UTC)
    assert posted.objects.rows() == [("acme-logs", HIVE_KEY, ETAG, 9234, posted_at, 0)]
    assert posted.verdicts.rows() == [(0, Verdict.OBJECTS, None)]


def test_keys_of_eventbridge_are_taken_as_they_are() -> None:
    posted = posted_objects([eventbridge("AWSLogs/a+b%3Dc.log.gz")])

    assert posted.objects["key"].to_list() == ["AWSLogs/a+b%3Dc.log.gz"]


@pytest.mark.parametrize(
    "body",
    [
        TEST_EVENT,
        through_sns(TEST_EVENT),
        batch(TEST_EVENT),
        s3_event(record(eventName="ObjectRemoved:Delete")),
        eventbridge(detail_type="Object Deleted"),
        json.dumps({"Records": []}),
    ],
)
def test_test_events_and_deletions_are_nothing_for_us(body: str) -> None:
    posted = posted_objects([body])

    assert posted.objects.is_empty()
    assert posted.verdicts.rows() == [(0, Verdict.NOTHING, None)]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "it is not JSON"),
        ("{", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("9" * 5_000, "it is not JSON"),
        ("null", "it is JSON, but no object: 'null'"),
        ("[1, 2]", "it is JSON, but no object"),
        ("{}", "it is no event of S3"),
        (json.dumps({"Records": "none"}), "it is no event of S3"),
        (json.dumps({"Records": [None]}), "a record is no event of S3"),
        (s3_event({"eventName": "ObjectCreated:Put", "s3": {}}), "the event lacks what S3 always sends: KeyError"),
        (s3_event(record(key="")), "lacks what S3 always sends"),
        (s3_event(record(key="%FF")), "lacks what S3 always sends"),
        (s3_event(record(key="\ud800")), "lacks what S3 always sends"),
        (s3_event(record(s3={"bucket": {"name": 7}, "object": {"key": "k"}})), "7 is no name"),
        (json.dumps({"source": "aws.s3", "detail-type": "Object Created"}), "KeyError 'detail'"),
        (json.dumps({"Type": "SubscriptionConfirmation", "TopicArn": "t", "Message": "m"}), "confirm it in SNS"),
        (through_sns("hello"), "it is not JSON: 'hello'"),
        (through_sns(through_sns(through_sns(through_sns(through_sns(s3_event()))))), "too many envelopes"),
    ],
)
def test_what_is_not_understood_says_why(body: str, reason: str) -> None:
    posted = posted_objects([body])

    assert posted.objects.is_empty()
    ((_, verdict, told),) = posted.verdicts.rows()
    assert verdict == Verdict.NOT_UNDERSTOOD
    assert reason in told


def test_the_readable_records_of_a_message_count_though_others_are_not_understood() -> None:
    posted = posted_objects([s3_event(record("one"), {"odd": 1}, record("two"), {"odd": 2})])

    assert posted.objects["key"].to_list() == ["one", "two"]
    ((_, verdict, reason),) = posted.verdicts.rows()
    assert verdict == Verdict.NOT_UNDERSTOOD
    assert reason.endswith("(and 1 more)")


def test_what_an_event_may_lack_is_null() -> None:
    bare = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "acme-logs"}, "object": {"key": "k"}}}
    odd = record("k", eventTime="yesterday")
    odd["s3"]["object"] |= {"size": "large", "eTag": None}

    posted = posted_objects([s3_event(bare, odd)])

    assert posted.objects.rows() == [("acme-logs", "k", None, None, None, 0)] * 2


def test_objects_and_verdicts_name_their_message() -> None:
    posted = posted_objects([s3_event(record("a"), record("b")), TEST_EVENT, "odd", s3_event(record("c"))])

    assert posted.objects.select("key", "message").rows() == [("a", 0), ("b", 0), ("c", 3)]
    assert posted.verdicts["verdict"].to_list() == ["objects", "nothing", "not_understood", "objects"]


def test_no_messages_are_no_rows() -> None:
    posted = posted_objects([])

    assert (posted.objects.height, posted.verdicts.height) == (0, 0)


def test_samples_are_read_as_expected(samples: Path) -> None:
    folder = samples / "flow_logs" / "10_s3_events"
    expected = json.loads((folder / "expected.json").read_text())["files"]
    names = sorted(expected)

    posted = posted_objects([(folder / name).read_text() for name in names])

    wanted = [
        (entry["bucket"], entry["key"], entry["size"], index)
        for index, name in enumerate(names)
        for entry in expected[name]["objects"]
    ]
    assert posted.objects.select("bucket", "key", "size_bytes", "message").rows() == wanted
    assert Verdict.NOT_UNDERSTOOD not in posted.verdicts["verdict"].to_list()


@given(st.lists(st.text() | JSON.map(json.dumps), max_size=5))
@settings(max_examples=100, deadline=None)
def test_every_body_gets_one_verdict_and_none_raises(bodies: list[str]) -> None:
    posted = posted_objects(bodies)

    assert posted.verdicts["message"].to_list() == list(range(len(bodies)))


@given(inner=JSON, place=st.sampled_from(["Records", "s3", "bucket", "object", "key", "size", "eTag", "eventTime"]))
@settings(max_examples=100, deadline=None)
def test_an_odd_value_anywhere_in_an_event_is_survived(inner: object, place: str) -> None:
    odd = record("k")
    for holder in (odd, odd["s3"], odd["s3"]["object"]):
        if place in holder:
            holder[place] = inner
    body = json.dumps({"Records": inner if place == "Records" else [odd]})

    assert posted_objects([body, through_sns(body)]).verdicts.height == 2


@given(st.text(min_size=1).filter(lambda key: key.isprintable()))
@settings(max_examples=100, deadline=None)
def test_every_key_comes_back_as_it_was(key: str) -> None:
    posted = posted_objects([s3_event(record(quote_plus(key))), eventbridge(key)])

    assert posted.objects["key"].to_list() == [key, key]


class TestWhatBecomesOfPendingObjects:
    FREE, BUSY = "2026-11-23T01", "2026-11-23T02"

    def pending(self, *rows: tuple[str, str, int | None, int]) -> pl.DataFrame:
        return pl.DataFrame(rows, ["source_object", "hour", "message", "tries"], orient="row")

    def test_free_hours_are_asked_for_and_busy_ones_are_remembered_and_both_messages_may_go(self) -> None:
        parts = divided(self.pending(("a", self.FREE, 0, 0), ("b", self.BUSY, 1, 0)), [self.BUSY], 10)

        assert parts.asked["source_object"].to_list() == ["a"]
        assert parts.remembered.rows() == [("a", 1), ("b", 0)]
        assert (set(parts.needed), set(parts.unanswered)) == ({0, 1}, set())

    def test_a_message_whose_object_finds_no_room_must_come_again(self) -> None:
        pending = self.pending(("a", self.BUSY, None, 0), ("b", self.BUSY, 0, 0), ("b", self.BUSY, 1, 0))

        parts = divided(pending, [self.BUSY], 1)

        assert parts.remembered.rows() == [("a", 0)]
        assert (set(parts.needed), set(parts.unanswered)) == (set(), {0, 1})

    def test_an_object_that_two_messages_name_is_asked_for_once_and_keeps_its_tries(self) -> None:
        parts = divided(self.pending(("a", self.FREE, None, 3), ("a", self.FREE, 0, 0)), [], 10)

        assert parts.asked.height == 1
        assert parts.remembered.rows() == [("a", 4)]

    def test_an_object_that_no_run_brings_in_is_given_up(self) -> None:
        memory, asked = {"20261123T0105Z_0123456789ab": 0}, 0
        while memory:
            objects = remembered_objects(memory).with_columns(message=pl.lit(None, pl.Int64))
            parts = divided(objects, [], 10)
            asked += parts.asked.height
            memory = dict(parts.remembered.iter_rows())

        assert asked == 5

    def test_the_name_of_an_object_says_its_hour(self) -> None:
        assert remembered_objects({"20261123T0105Z_0123456789ab": 2}).rows() == [
            ("20261123T0105Z_0123456789ab", "2026-11-23T01", 2)
        ]
        assert remembered_objects({}).is_empty()
