"""Listing costs what the look-back window holds: ten million keys of history cost no request."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import pytest

from kentik_dagster.aws.flow_logs import LogBucket
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.configuration import Export

TODAY = date(2026, 11, 23)
REGIONS = ("eu-west-1", "us-east-1")
ACCOUNTS = tuple(f"{number:012d}" for number in range(1, 11))
OBJECTS_A_DAY = 100  # of an account in a region
_PAGE = 50
_IDENTITY = (
    "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>000000000001</Account><UserId>x</UserId>"
    "<Arn>arn:aws:iam::000000000001:role/collector</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>"
)


@dataclass
class Synthetic:
    """A bucket whose keys are worked out when they are asked for, and the requests that it was asked."""

    days: int
    prefixes_asked: list[str] = field(default_factory=list)

    @property
    def keys(self) -> int:
        return self.days * len(ACCOUNTS) * len(REGIONS) * OBJECTS_A_DAY

    def answer(self, prefix: str, delimiter: str, token: str) -> str:
        self.prefixes_asked.append(prefix)
        if delimiter:
            folders = "".join(
                f"<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>" for folder in self._below(prefix)
            )
            return f"<IsTruncated>false</IsTruncated>{folders}"
        first = int(token or 0)
        keys = list(self._keys(prefix, first))
        more = len(keys) == _PAGE and self._has(prefix, first + _PAGE)
        next_token = f"<NextContinuationToken>{first + _PAGE}</NextContinuationToken>" if more else ""
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-11-23T09:00:00.000Z</LastModified>"
            f"<ETag>&quot;{number:032x}&quot;</ETag><Size>100</Size></Contents>"
            for number, key in enumerate(keys, start=first)
        )
        return f"<IsTruncated>{str(more).lower()}</IsTruncated>{next_token}{contents}"

    def _below(self, prefix: str) -> list[str]:
        match prefix.count("/"):
            case 0:
                return ["AWSLogs/"]
            case 1:
                return [f"{prefix}{account}/" for account in ACCOUNTS]
            case 2:
                return [f"{prefix}vpcflowlogs/", f"{prefix}CloudTrail/"]
            case _:
                return [f"{prefix}{region}/" for region in REGIONS]

    def _keys(self, prefix: str, first: int) -> Iterator[str]:
        _, account, service, region, *day_parts = prefix.rstrip("/").split("/")
        if service != "vpcflowlogs" or not self._has(prefix, first):
            return
        day = date(*map(int, day_parts))
        for number in range(first, min(first + _PAGE, OBJECTS_A_DAY)):
            yield (
                f"{prefix}{account}_vpcflowlogs_{region}_fl-0123456789abcdef0_"
                f"{day:%Y%m%d}T{number % 24:02d}00Z_{number:08x}.log.gz"
            )

    def _has(self, prefix: str, number: int) -> bool:
        year, month, day = map(int, prefix.rstrip("/").split("/")[-3:])
        return TODAY - timedelta(days=self.days) < date(year, month, day) <= TODAY and number < OBJECTS_A_DAY


@contextmanager
def served(bucket: Synthetic) -> Iterator[str]:
    """The URL of an S3 that has only this bucket, as long as the block lasts."""

    class S3(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            asked = [query.get(name, [""])[0] for name in ("prefix", "delimiter", "continuation-token")]
            self._say(
                f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{bucket.answer(*asked)}</ListBucketResult>'
            )

        def do_POST(self) -> None:  # STS: whose keys these are
            self.rfile.read(int(self.headers["Content-Length"]))
            self._say(_IDENTITY)

        def _say(self, text: str) -> None:
            body = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), S3)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def requests_for_the_window(bucket: Synthetic, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Listing requests, and objects found, of a look at two days."""
    with served(bucket) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
        export = Export(name="acme", region="us-east-1", bucket="acme-logs", start=TODAY - timedelta(days=9_999))
        access = ExportAccess(export, custom_endpoint=True)
        found = LogBucket(access).objects([TODAY - timedelta(days=1), TODAY])
    return len(bucket.prefixes_asked), found.height


def test_ten_million_keys_of_history_cost_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    new, old = Synthetic(days=2), Synthetic(days=5_000)

    requests, objects = requests_for_the_window(new, monkeypatch)
    requests_with_history, objects_with_history = requests_for_the_window(old, monkeypatch)

    assert old.keys == 10_000_000
    assert objects == objects_with_history == 2 * len(ACCOUNTS) * len(REGIONS) * OBJECTS_A_DAY
    assert requests == requests_with_history
    # Folders: the bucket, AWSLogs twice, accounts and services; pages: two of each account, region and day.
    assert requests == 3 + 2 * len(ACCOUNTS) + 2 * 2 * len(ACCOUNTS) * len(REGIONS)
