"""An S3 that takes commits and loses its replies, and fails reads: a proxy, in a process of its own.

    python -m tests.lake.lossy_store <endpoint URL of the emulator>

It says at which port it listens, and ends with its standard input. Of the commits (PUT of a log entry), every
second one goes well; the others suffer the faults of `FAULTS` in turn. Of the reads of log objects, two of three go
well; the others suffer those of `READ_FAULTS`.
"""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

FAULTS = ("reply lost", "request lost", "answered 503 after it took effect", "answered 500 after it took effect")
_LOG_ENTRY = re.compile(r"/_delta_log/\d{20}\.json$")
READ_FAULTS = ("503", "broken off", "slow", "404 although it was listed")
_LOG_OBJECT = re.compile(r"/AWSLogs/[^?]+\.log\.")
_SLOW_SECONDS = 1.5
_NOT_THERE = b"<Error><Code>NoSuchKey</Code><Message>made up</Message></Error>"
_LOCK = threading.Lock()
_NEXT_FAULTS = itertools.cycle(fault for name in FAULTS for fault in (None, name))

_NEXT_READ_FAULTS = itertools.cycle(fault for name in READ_FAULTS for fault in (None, None, name))


class _Relay(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    upstream = ""

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return self._relay
        raise AttributeError(name)

    def _relay(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = None
        if self.command == "PUT" and _LOG_ENTRY.search(self.path):
            with _LOCK:
                fault = next(_NEXT_FAULTS)
        if self.command == "GET" and _LOG_OBJECT.search(self.path):
            with _LOCK:
                fault = next(_NEXT_READ_FAULTS)
        if fault == "slow":
            time.sleep(_SLOW_SECONDS)
            fault = None
        if fault in ("503", "404 although it was listed"):
            self._answer(int(fault[:3]), [("Content-Type", "application/xml")], _NOT_THERE if "404" in fault else b"")
            return
        if fault == "request lost":
            self.close_connection = True
            return
        connection = HTTPConnection(self.upstream)
        connection.request(self.command, self.path, body, dict(self.headers.items()))
        answer = connection.getresponse()
        content = answer.read()
        status, headers = answer.status, answer.getheaders()
        connection.close()
        if fault == "reply lost":
            self.close_connection = True
            return
        if fault == "broken off":
            self._answer(status, headers, content, sent=len(content) // 2)
            self.close_connection = True
            return
        if fault is not None:
            status, headers, content = int(fault.split()[1]), [], b""
        with suppress(BrokenPipeError, ConnectionResetError):  # delta-rs does not wait for every answer
            self._answer(status, headers, content)

    def _answer(self, status: int, headers: Sequence[tuple[str, str]], content: bytes, sent: int | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() != "connection" and (self.command == "HEAD" or name.lower() != "content-length"):
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:sent])


@contextmanager
def lossy_store(endpoint_url: str) -> Iterator[str]:
    """The endpoint URL of such a store, as long as the block lasts."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.lake.lossy_store", endpoint_url],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"


if __name__ == "__main__":
    _Relay.upstream = urlsplit(sys.argv[1]).netloc
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Relay)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()
