"""An S3 that only deletes, and honours conditions, ignores them or fails as a test tells it to."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit


@dataclass
class DeletingEndpoint:
    """The objects of its one bucket, by key, with their ETags."""

    objects: dict[str, str]
    bulk_is_conditional: bool = True
    single_is_conditional: bool = True
    refuses: dict[str, str] = field(default_factory=dict)  # keys, and the code of the error
    refuses_bulks: bool = False
    loses_first_answer_to: str = ""
    requests: dict[str, int] = field(default_factory=lambda: {"DeleteObjects": 0, "DeleteObject": 0})
    _lock: threading.Lock = field(default_factory=threading.Lock)

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

    def delete(self, key: str, etag: str | None, *, conditional: bool) -> str | None:
        """The code of the error, if the key is refused."""
        with self._lock:
            if key in self.refuses:
                return self.refuses[key]
            if conditional and key not in self.objects:
                return "NoSuchKey"
            if conditional and etag != self.objects[key]:
                return "PreconditionFailed"
            self.objects.pop(key, None)
            return None

    def bulk(self, body: str) -> tuple[int, str]:
        listed = re.findall(r"<Key>(.*?)</Key><ETag>\"?(?:&quot;)?(.*?)\"?(?:&quot;)?</ETag>", body)
        assert listed, body
        if self.refuses_bulks and len(listed) > 1:
            return 400, "<Error><Code>MalformedXML</Code><Message>no</Message></Error>"
        entries = []
        for key, etag in listed:
            code = self.delete(key, etag, conditional=self.bulk_is_conditional)
            entries.append(
                f"<Error><Key>{key}</Key><Code>{code}</Code><Message>no</Message></Error>"
                if code
                else f"<Deleted><Key>{key}</Key></Deleted>"
            )
        return 200, f"<DeleteResult>{''.join(entries)}</DeleteResult>"

    def single(self, key: str, etag: str | None) -> tuple[int, str]:
        code = self.delete(key, etag, conditional=self.single_is_conditional)
        if not code and key == self.loses_first_answer_to:
            return 500, "<Error><Code>InternalError</Code><Message>lost</Message></Error>"
        status = {None: 204, "NoSuchKey": 404, "PreconditionFailed": 412, "AccessDenied": 403}[code]
        return status, f"<Error><Code>{code}</Code><Message>no</Message></Error>" if code else ""

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                outer.requests["DeleteObjects"] += 1
                self._send(*outer.bulk(body))

            def do_DELETE(self) -> None:
                key = unquote(urlsplit(self.path).path).split("/", 2)[2]
                with outer._lock:
                    outer.requests["DeleteObject"] += 1
                self._send(*outer.single(key, (self.headers.get("If-Match") or "").strip('"') or None))

            def _send(self, status: int, body: str) -> None:
                self.send_response(status)
                if status != 204:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if status != 204:
                    self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        return Handler
