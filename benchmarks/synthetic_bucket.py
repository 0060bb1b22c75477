"""An S3 whose one bucket has as many objects as one likes, and holds none of them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

_IDENTITY = (
    "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>000000000001</Account><UserId>x</UserId>"
    "<Arn>arn:aws:iam::000000000001:role/collector</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>"
)


@dataclass
class SyntheticBucket:
    """A bucket whose keys are worked out when they are asked for, and the requests that it was asked.

    Attributes:
        today: the last day with objects.
        days: how many days have some.
        objects_a_day: of each account in each region; AWS writes a file every five minutes.
        page: keys in one answer; S3 gives a thousand.
    """

    today: date
    days: int
    accounts: Sequence[str]
    regions: Sequence[str]
    objects_a_day: int
    page: int = 1_000
    prefixes_asked: list[str] = field(default_factory=list)

    @property
    def keys(self) -> int:
        """How many objects there are."""
        return self.days * len(self.accounts) * len(self.regions) * self.objects_a_day

    def answer(self, prefix: str, delimiter: str, token: str) -> str:
        """What ListObjectsV2 answers, as XML without its root."""
        self.prefixes_asked.append(prefix)
        if delimiter:
            folders = "".join(
                f"<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>" for folder in self._below(prefix)
            )
            return f"<IsTruncated>false</IsTruncated>{folders}"
        first = int(token or 0)
        keys = list(self._keys(prefix, first))
        more = len(keys) == self.page and self._has(prefix, first + self.page)
        next_token = f"<NextContinuationToken>{first + self.page}</NextContinuationToken>" if more else ""
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
                return [f"{prefix}{account}/" for account in self.accounts]
            case 2:
                return [f"{prefix}vpcflowlogs/", f"{prefix}CloudTrail/"]
            case _:
                return [f"{prefix}{region}/" for region in self.regions]

    def _keys(self, prefix: str, first: int) -> Iterator[str]:
        _, account, service, region, *day_parts = prefix.rstrip("/").split("/")
        if service != "vpcflowlogs" or not self._has(prefix, first):
            return
        day = date(*map(int, day_parts))
        for number in range(first, min(first + self.page, self.objects_a_day)):
            yield (
                f"{prefix}{account}_vpcflowlogs_{region}_fl-0123456789abcdef0_"
                f"{day:%Y%m%d}T{number % 24:02d}00Z_{number:08x}.log.gz"
            )

    def _has(self, prefix: str, number: int) -> bool:
        year, month, day = map(int, prefix.rstrip("/").split("/")[-3:])
        return (
            self.today - timedelta(days=self.days) < date(year, month, day) <= self.today
            and number < self.objects_a_day
        )


@contextmanager
def served(bucket: SyntheticBucket) -> Iterator[str]:
    """The URL of an S3 that has only this bucket, as long as the block lasts."""

    class S3(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/requests":
                self._say(str(len(bucket.prefixes_asked)))
                return
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


def main() -> None:
    """Serve one until standard input ends: `today`, days, accounts, regions and objects a day are the arguments."""
    today, days, accounts, regions, objects = sys.argv[1:]
    names = tuple(f"{number:012d}" for number in range(1, int(accounts) + 1))
    bucket = SyntheticBucket(date.fromisoformat(today), int(days), names, regions.split(","), int(objects))
    with served(bucket) as url:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
