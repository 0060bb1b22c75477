"""An answer of AWS that broke off is no answer, and the call is repeated.

botocore reads what comes until the connection ends, and takes it for all: half a list of XML fails to parse, which no
retry expects, and half an answer of JSON counts as one with nothing in it. Bodies that are read as a stream (GetObject)
are not concerned: their reader counts.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ConnectionClosedError


def expect_whole_answers(client: Any) -> None:
    """Let a boto3 client treat an answer that is shorter than it says as a connection that broke, which is retried."""
    endpoint = client._endpoint
    endpoint.http_session = _CountingHttp(endpoint.http_session)


class _CountingHttp:
    """botocore's HTTP session, whose answers are as long as they say."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def send(self, request: Any) -> Any:
        """The answer to a request.

        Raises:
            ConnectionClosedError: it broke off.
        """
        answer = self._session.send(request)
        promised = answer.headers.get("Content-Length")
        if promised is None or request.method == "HEAD" or request.stream_output:
            return answer
        if len(answer.content) < int(promised):
            raise ConnectionClosedError(endpoint_url=request.url)
        return answer

    def close(self) -> None:
        """Close all connections."""
        self._session.close()
