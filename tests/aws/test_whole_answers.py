"""An answer that broke off is asked for again, and never taken for a short one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from botocore.exceptions import ConnectionClosedError

from kentik_dagster.aws.sessions import ambient_client
from kentik_dagster.aws.whole_answers import expect_whole_answers

ACCOUNTS = b'{"Accounts": [{"Id": "111122223333", "Name": "production"}]}'
QUEUES = b'{"QueueUrls": ["https://sqs.us-east-1.amazonaws.com/111122223333/posted"]}'


@contextmanager
def answering(*bodies: tuple[bytes, int]) -> Iterator[str]:
    """A server that gives these answers in turn, so many bytes of each, and then ends the connection."""
    left = list(bodies)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body, sent = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:sent])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")


def test_a_list_of_accounts_that_broke_off_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering((ACCOUNTS, 30), (ACCOUNTS, 0), (ACCOUNTS, len(ACCOUNTS))) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)

        answer = ambient_client("organizations", "us-east-1").list_accounts()

    assert [account["Id"] for account in answer["Accounts"]] == ["111122223333"]


def test_an_answer_that_always_breaks_off_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering((QUEUES, 20)) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
        client = boto3.client("sqs", region_name="us-east-1")
        expect_whole_answers(client)

        with pytest.raises(ConnectionClosedError):
            client.list_queues()
