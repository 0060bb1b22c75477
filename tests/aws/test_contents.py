"""Objects come in parts that end with a line, whole or not at all, and never larger than the bounds say."""

from __future__ import annotations

import gzip
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from botocore.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.aws.contents import PART_BYTES, Bounds, stored_chunks, text_parts
from kentik_dagster.errors import UnreadableObjectError

ROOMY = Bounds(largest_bytes=10**9, largest_expansion=2_000)
LINE = b"2 111122223333 eni-0a1 192.0.2.1 192.0.2.2 443 49152 6 10 5000 1763860000 1763860060 ACCEPT OK\n"


def chunked(content: bytes, size: int = 1_000) -> Iterator[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))


def test_a_small_object_is_one_part() -> None:
    assert list(text_parts(chunked(gzip.compress(LINE * 3)), ROOMY)) == [LINE * 3]


@pytest.mark.parametrize("content", [b"", gzip.compress(b"")], ids=["0 bytes", "gzip of nothing"])
def test_an_object_of_nothing_has_no_parts(content: bytes) -> None:
    assert list(text_parts(chunked(content), ROOMY)) == []


def test_a_large_object_comes_in_parts_that_end_with_a_line() -> None:
    lines = 3 * PART_BYTES // len(LINE)

    parts = list(text_parts(chunked(gzip.compress(LINE * lines), 64_000), ROOMY))

    assert len(parts) > 1
    assert b"".join(parts) == LINE * lines
    assert all(part.endswith(b"\n") and len(part) < 3 * PART_BYTES for part in parts)


def test_the_last_line_needs_no_end() -> None:
    assert list(text_parts(chunked(gzip.compress(LINE + b"2 1111")), ROOMY)) == [LINE + b"2 1111"]


def test_joined_members_and_padding_are_one_object() -> None:
    joined = gzip.compress(LINE) + gzip.compress(LINE * 2) + b"\0" * 3_000

    assert b"".join(text_parts(chunked(joined), ROOMY)) == LINE * 3


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(LINE * 1_000)[:-20],
        gzip.compress(LINE * 1_000)[:-9] + b"\1" + gzip.compress(LINE * 1_000)[-8:],
        LINE,
        gzip.compress(LINE) + b"garbage",
        gzip.compress(LINE)[:5],
    ],
    ids=["truncated", "damaged", "plain text", "garbage behind", "half a head"],
)
def test_what_is_no_whole_gzip_gives_no_part_at_all(content: bytes) -> None:
    given_out: list[bytes] = []

    with pytest.raises(UnreadableObjectError, match="not whole gzip"):
        given_out.extend(text_parts(chunked(content), ROOMY))

    assert given_out == []


def test_an_object_that_expands_beyond_the_largest_size_is_refused_without_being_held() -> None:
    bomb = gzip.compress(b"\n" * 200_000_000)
    bounds = Bounds(largest_bytes=100_000_000, largest_expansion=10**6)

    with pytest.raises(UnreadableObjectError, match="set largest_object_bytes"):
        list(text_parts(chunked(bomb), bounds))


def test_an_object_that_expands_too_many_times_is_refused() -> None:
    bomb = gzip.compress(b"\n" * 100_000_000)
    bounds = Bounds(largest_bytes=10**9, largest_expansion=200)

    with pytest.raises(UnreadableObjectError, match=r"more than 200 times its size: .* largest_expansion"):
        list(text_parts(chunked(bomb), bounds))


def test_a_small_file_may_be_dense() -> None:
    dense = LINE * 50_000  # a hundred records that repeat

    assert (
        b"".join(text_parts(chunked(gzip.compress(dense)), Bounds(largest_bytes=10**9, largest_expansion=2))) == dense
    )


def test_a_line_without_an_end_is_no_log() -> None:
    endless = gzip.compress(b"a" * (40 * PART_BYTES))

    with pytest.raises(UnreadableObjectError, match="this is no log"):
        list(text_parts(chunked(endless), ROOMY))


def test_a_line_without_an_end_after_others_is_no_log_either() -> None:
    endless = gzip.compress(LINE + b"a" * (40 * PART_BYTES))

    with pytest.raises(UnreadableObjectError, match="this is no log"):
        list(text_parts(chunked(endless, 64_000), ROOMY))


@settings(deadline=None, max_examples=50)
@given(members=st.lists(st.binary(max_size=400), min_size=1, max_size=4), size=st.integers(1, 300))
def test_parts_joined_are_the_content_however_it_arrives(members: list[bytes], size: int) -> None:
    stored = b"".join(gzip.compress(member) for member in members)

    assert b"".join(text_parts(chunked(stored, size), ROOMY)) == b"".join(members)


def test_random_bytes_are_no_gzip() -> None:
    with pytest.raises(UnreadableObjectError):
        list(text_parts(chunked(os.urandom(5_000)), ROOMY))


CONTENT = os.urandom(3_000_000)


@pytest.fixture
def breaking_off() -> Iterator[tuple[Any, list[str]]]:
    """An S3 whose transfers break off after a megabyte, and the ranges that were asked of it."""
    ranges: list[str] = []

    class S3(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            ranges.append(self.headers.get("Range", ""))
            start = re.match(r"bytes=(\d+)-", ranges[-1])
            body = CONTENT[int(start[1]) if start else 0 :]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", self.headers["If-Match"])
            self.end_headers()
            self.wfile.write(body[:1_200_000])
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), S3)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    client = boto3.client(
        "s3", region_name="us-east-1", endpoint_url=f"http://127.0.0.1:{server.server_port}",
        aws_access_key_id="made-up", aws_secret_access_key="made-up", config=Config(s3={"addressing_style": "path"}),
    )  # fmt: skip
    yield client, ranges
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_transfer_that_breaks_off_goes_on_where_it_was(breaking_off: tuple[Any, list[str]]) -> None:
    client, ranges = breaking_off

    content = b"".join(stored_chunks(client, "logs", "key", "0a1b"))

    assert content == CONTENT
    assert ranges[0] == ""
    assert len(ranges) > 1
