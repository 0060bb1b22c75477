"""A folder as an S3 bucket on loopback, in a process of its own, which counts what it is asked and what that costs it.

    with object_server(folder) as server:
        ...                          # AWS_ENDPOINT_URL = server.url
        server.counted()             # {"ListObjectsV2": 3, "GetObject": 40, "cpu": 0.8}

It answers what reading asks for: ListObjectsV2 (prefix, delimiter, pages), GetObject and GetCallerIdentity.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_PAGE = 1_000
_PROJECT = Path(__file__).parents[1]
_IDENTITY = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    "<Arn>arn:aws:iam::123456789012:user/benchmark</Arn><UserId>AIDA</UserId><Account>123456789012</Account>"
    "</GetCallerIdentityResult></GetCallerIdentityResponse>"
)


@dataclass(frozen=True, slots=True)
class ObjectServer:
    """A server that runs."""

    url: str

    def counted(self) -> dict[str, float]:
        """Requests since the last call by name, and `cpu`, the seconds that answering them took."""
        with urllib.request.urlopen(f"{self.url}/-/counted") as answer:
            counted: dict[str, float] = json.load(answer)
        return counted

    def environment(self) -> dict[str, str]:
        """Variables with which boto3 uses it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "made-up",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@contextmanager
def object_server(folder: Path) -> Iterator[ObjectServer]:
    """Serve a folder until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.object_server", str(folder)],
        cwd=_PROJECT,
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield ObjectServer(process.stdout.readline().strip())
    finally:
        process.kill()
        process.wait()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder: Path
    counts: ClassVar[Counter[str]] = Counter()
    cpu_before = 0.0

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/-/counted":
            self._count()
        elif "list-type" in query:
            self.counts["ListObjectsV2"] += 1
            self._answer(_listing(self.folder, query).encode(), "application/xml")
        else:
            self.counts["GetObject"] += 1
            key = unquote(parts.path).split("/", 2)[2]
            file = self.folder / key
            self._answer(file.read_bytes(), "binary/octet-stream", ETag=f'"{_etag(key)}"')

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.counts["GetCallerIdentity"] += 1
        self._answer(_IDENTITY.encode(), "text/xml")

    def _count(self) -> None:
        cpu = time.process_time()
        said = {**self.counts, "cpu": cpu - _Handler.cpu_before}
        _Handler.cpu_before = cpu
        self.counts.clear()
        self._answer(json.dumps(said).encode(), "application/json")

    def _answer(self, body: bytes, kind: str, **headers: str) -> None:
        self.send_response(200)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


def _listing(folder: Path, query: dict[str, str]) -> str:
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    after = query.get("continuation-token", "")
    keys = sorted(str(file.relative_to(folder)) for file in folder.rglob("*.gz"))
    found: dict[str, bool] = {}  # in order; whether it is a folder
    for key in keys:
        if key.startswith(prefix):
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            found[key if cut < 0 else key[: cut + 1]] = cut >= 0
    names = [name for name in found if name > after]
    page = names[:_PAGE]
    more = len(names) > len(page)
    body = "".join(_folder(name) if found[name] else _object(folder, name) for name in page)
    token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
    return (
        f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><KeyCount>{len(page)}</KeyCount>'
        f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{body}</ListBucketResult>"
    )


def _folder(name: str) -> str:
    return f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"


def _object(folder: Path, key: str) -> str:
    stat = (folder / key).stat()
    modified = datetime.fromtimestamp(stat.st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return (
        f"<Contents><Key>{escape(key)}</Key><LastModified>{modified}</LastModified><ETag>&quot;{_etag(key)}&quot;</ETag>"
        f"<Size>{stat.st_size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
    )


def _etag(key: str) -> str:
    return hashlib.md5(key.encode()).hexdigest()


if __name__ == "__main__":
    _Handler.folder = Path(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    sys.stdout.write(f"http://127.0.0.1:{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()
