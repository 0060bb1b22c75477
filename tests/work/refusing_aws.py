"""An AWS between the client and the emulator that refuses what a test tells it to refuse."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

_DROPPED = {"host", "connection", "accept-encoding", "transfer-encoding"}


@dataclass(frozen=True)
class Request:
    """What a client asks: HTTP method, path with query, body, and the X-Amz-Target of JSON services."""

    method: str
    path: str
    body: str
    target: str


@dataclass
class RefusingAws:
    """Passes requests on to `endpoint_url`, but answers AccessDenied to those that `refuses` names."""

    endpoint_url: str
    refuses: Callable[[Request], bool] = lambda request: False
    seen: list[Request] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = Request(
                    self.command, self.path, content.decode(errors="replace"), self.headers.get("X-Amz-Target") or ""
                )
                outer.seen.append(request)
                if outer.refuses(request):
                    self._send(403, _refusal(request), {"Content-Type": _content_type(request)})
                    return
                headers = {name: value for name, value in self.headers.items() if name.lower() not in _DROPPED}
                passed = urllib.request.Request(
                    outer.endpoint_url + self.path, data=content or None, headers=headers, method=self.command
                )
                try:
                    with urllib.request.urlopen(passed, timeout=30) as answer:
                        self._send(answer.status, answer.read(), dict(answer.headers.items()))
                except urllib.error.HTTPError as error:
                    with error:
                        self._send(error.code, error.read(), dict(error.headers.items()))

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer

            def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in _DROPPED | {"content-length", "date", "server"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _content_type(request: Request) -> str:
    return "application/x-amz-json-1.1" if request.target else "text/xml"


def _refusal(request: Request) -> bytes:
    if request.target:
        return b'{"__type": "AccessDeniedException", "message": "not authorized"}'
    error = "<Code>AccessDenied</Code><Message>not authorized</Message>"
    if "Action=Describe" in request.body:
        return f"<Response><Errors><Error>{error}</Error></Errors><RequestID>1</RequestID></Response>".encode()
    if "Action=" in request.body:
        return f"<ErrorResponse><Error><Type>Sender</Type>{error}</Error></ErrorResponse>".encode()
    return f"<Error>{error}</Error>".encode()
