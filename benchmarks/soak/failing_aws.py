"""AWS that fails now and then: a proxy before the emulator, in a process of its own on loopback.

    with failing_aws(emulator.endpoint_url, share=0.1, seed=7) as aws:
        ...                          # AWS_ENDPOINT_URL = aws.url
        aws.counted()

So many of all calls fail, each in one of the ways of `FAULTS`, with equal chances. Some of them took effect before they
failed, which is what makes a caller's second try a different one.
"""

from __future__ import annotations

import http.client
import json
import random
import re
import subprocess
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

FAULTS = (
    "connection dropped before the call",
    "500 before the call",
    "throttled",
    "connection dropped after it took effect",
    "500 after it took effect",
    "reply cut off",
)
_BEFORE = FAULTS[:3]
_COUNTED = "/-/counted"
_SERVICE = re.compile(r"Credential=[^/]+/\d{8}/[^/]+/([^/]+)/")
_THROTTLED = {"s3": ("SlowDown", 503), "ec2": ("RequestLimitExceeded", 503), "sqs": ("RequestThrottled", 400)}
_NOT_FORWARDED = frozenset({"connection", "expect", "keep-alive"})


@dataclass(frozen=True, slots=True)
class Counted:
    """What went through the proxy: `calls` by service, and `failed` by service and fault."""

    calls: dict[str, int]
    failed: dict[str, dict[str, int]]

    @property
    def share(self) -> float:
        """Failed calls, of all."""
        return sum(map(self.failures, self.failed)) / max(1, sum(self.calls.values()))

    def failures(self, service: str) -> int:
        """Failed calls of a service."""
        return sum(self.failed.get(service, {}).values())


@dataclass(frozen=True, slots=True)
class FailingAws:
    """A proxy that runs; `url` is for AWS_ENDPOINT_URL."""

    url: str

    def counted(self) -> Counted:
        """All calls since it began."""
        with urllib.request.urlopen(f"{self.url}{_COUNTED}", timeout=30) as answer:
            return Counted(**json.load(answer))


@contextmanager
def failing_aws(endpoint_url: str, *, share: float, seed: int, faults: Sequence[str] = FAULTS) -> Iterator[FailingAws]:
    """Let a share of all calls of an emulator fail, in one of some ways, until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.soak.failing_aws", endpoint_url, str(share), str(seed), *faults],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        try:
            yield FailingAws(process.stdout.readline().strip())
        finally:
            process.kill()


class _Chance:
    """Which calls fail, and how; counts them."""

    def __init__(self, share: float, seed: int, faults: Sequence[str]) -> None:
        self._share, self._random, self._lock = share, random.Random(seed), threading.Lock()
        self._faults = faults
        self._calls: Counter[str] = Counter()
        self._failed: dict[str, Counter[str]] = {}

    def of(self, service: str) -> str | None:
        """What happens to the next call."""
        with self._lock:
            self._calls[service] += 1
            if self._random.random() >= self._share:
                return None
            fault = self._random.choice(self._faults)
            self._failed.setdefault(service, Counter())[fault] += 1
            return fault

    def counted(self) -> bytes:
        with self._lock:
            return json.dumps({"calls": self._calls, "failed": self._failed}).encode()


class _Relay(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    upstream = ""
    chance = _Chance(0, 0, FAULTS)

    def setup(self) -> None:
        super().setup()
        self._emulator: http.client.HTTPConnection | None = None

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()
        if self._emulator is not None:
            self._emulator.close()

    def handle_one_request(self) -> None:
        """Whatever the method is called."""
        with suppress(ConnectionError, TimeoutError):
            self.raw_requestline = self.rfile.readline(65_537)
            if self.raw_requestline and self.parse_request():
                self._relay()
                return
        self.close_connection = True

    def _relay(self) -> None:
        if self.path == _COUNTED:
            self._answer(200, [("Content-Type", "application/json")], self.chance.counted())
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        service = _SERVICE.search(self.headers.get("Authorization", ""))
        name = service[1] if service else "unsigned"
        fault = self.chance.of(name)
        if fault in _BEFORE:
            self._fail(fault, name)
            return
        status, headers, content = self._forwarded(body)
        if fault == "500 after it took effect":
            self._fail(fault, name)
        elif fault == "reply cut off" and len(content) > 1 and self.command != "HEAD":
            self._answer(status, headers, content, sent=len(content) // 2)
            self.close_connection = True
        elif fault is not None:
            self.close_connection = True
        else:
            self._answer(status, headers, content)

    def _forwarded(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _NOT_FORWARDED}
        if self._emulator is None:
            self._emulator = http.client.HTTPConnection(self.upstream, timeout=60)
        self._emulator.request(self.command, self.path, body, headers)
        answer = self._emulator.getresponse()
        content = answer.read()
        if answer.will_close:
            self._emulator.close()
        return answer.status, answer.getheaders(), content

    def _fail(self, fault: str, service: str) -> None:
        if fault.startswith("connection"):
            self.close_connection = True
            return
        code, status = _THROTTLED.get(service, ("Throttling", 400)) if fault == "throttled" else ("InternalError", 500)
        said = f"<Code>{code}</Code><Message>made up</Message>"
        kind = "text/xml"
        if "X-Amz-Target" in self.headers or "json" in self.headers.get("Content-Type", ""):
            kind, text = "application/x-amz-json-1.0", json.dumps({"__type": code, "message": "made up"})
        elif service == "s3":
            text = f"<Error>{said}</Error>"
        elif service == "ec2":
            text = f"<Response><Errors><Error>{said}</Error></Errors><RequestID>r</RequestID></Response>"
        else:
            text = f"<ErrorResponse><Error>{said}</Error><RequestId>r</RequestId></ErrorResponse>"
        self._answer(status, [("Content-Type", kind)], text.encode())

    def _answer(self, status: int, headers: Sequence[tuple[str, str]], content: bytes, sent: int | None = None) -> None:
        is_head = self.command == "HEAD"
        self.send_response_only(status)
        for name, value in headers:
            lower = name.lower()
            if lower not in ("connection", "transfer-encoding") and (is_head or lower != "content-length"):
                self.send_header(name, value)
        if not is_head:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if not is_head:
            self.wfile.write(content[:sent])


def _end_with_standard_input(server: ThreadingHTTPServer) -> None:
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    _Relay.upstream = urlsplit(sys.argv[1]).netloc
    _Relay.chance = _Chance(float(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
    relay = ThreadingHTTPServer(("127.0.0.1", 0), _Relay)
    relay.daemon_threads = True
    sys.stdout.write(f"http://127.0.0.1:{relay.server_address[1]}\n")
    sys.stdout.flush()
    threading.Thread(target=_end_with_standard_input, args=[relay], daemon=True).start()
    relay.serve_forever()
