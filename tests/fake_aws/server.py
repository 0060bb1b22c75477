"""HTTP/1.1 on a loopback port, as little of it as SDKs use: benchmarks send tens of thousands of requests."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable

from tests.fake_aws.protocols import HttpRequest, Reply


class Server(socketserver.ThreadingTCPServer):
    """A thread for each connection; connections are kept alive."""

    request_queue_size = 512
    allow_reuse_address = True
    daemon_threads = False  # closing waits for them

    def __init__(self, answer: Callable[[HttpRequest], Reply]) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.answer = answer
        self._open: set[socket.socket] = set()
        self._is_stopped = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def start(self) -> None:
        """From now on it answers."""
        self._thread.start()

    def stop(self) -> None:
        """Ends every connection, and waits for their threads."""
        self.shutdown()
        self._thread.join()
        with self._lock:
            self._is_stopped = True
            for connection in self._open:
                _end(connection)
        self.server_close()

    def opened(self, connection: socket.socket) -> None:
        """A connection that `stop` has to end."""
        with self._lock:
            self._open.add(connection)
            if self._is_stopped:  # its thread began late
                _end(connection)

    def closed(self, connection: socket.socket) -> None:
        """A connection that has ended."""
        with self._lock:
            self._open.discard(connection)


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: Server

    def handle(self) -> None:
        self.server.opened(self.connection)
        try:
            with contextlib.suppress(ConnectionError):
                while (request := self._request()) is not None:
                    self._send(self.server.answer(request))
        finally:
            self.server.closed(self.connection)

    def _request(self) -> HttpRequest | None:
        line = self.rfile.readline().split()
        if len(line) != 3:
            return None
        headers: dict[str, str] = {}
        while (header := self.rfile.readline().strip()) != b"":
            name, _, value = header.partition(b":")
            headers[name.decode("latin-1").lower()] = value.strip().decode("latin-1")
        body = self.rfile.read(int(headers.get("content-length", "0")))
        return HttpRequest(line[0].decode(), line[1].decode(), headers, body)

    def _send(self, reply: Reply) -> None:
        head = (
            f"HTTP/1.1 {reply.status} \r\nContent-Type: {reply.content_type}\r\n"
            f"Content-Length: {len(reply.body)}\r\nx-amzn-RequestId: fake\r\n\r\n"
        )
        self.connection.sendall(head.encode("latin-1") + reply.body)
