"""SeaweedFS: an S3 of another make than the emulator's, as a referee of what S3 promises."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_KEY, _SECRET = "AKIAIOSFODNN7EXAMPLE", "made-up-secret"
_LONGEST_SECONDS = 60


@contextmanager
def seaweed(binary: str, folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Its endpoint URL and the environment with which AWS clients use it, as long as the block lasts."""
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": _KEY, "secretKey": _SECRET}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    identities = folder / "identities.json"
    identities.write_text(json.dumps({"identities": [identity]}))
    data = folder / "seaweed"
    data.mkdir()
    master, volume, filer, s3 = _free_ports(4)
    with (folder / "seaweed.log").open("wb") as log:
        process = subprocess.Popen(
            [
                binary, "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={data}", f"-master.port={master}",
                f"-volume.port={volume}", "-filer", f"-filer.port={filer}", "-s3", f"-s3.port={s3}",
                f"-s3.config={identities}", "-master.volumeSizeLimitMB=256", "-volume.max=200",
            ],
            env={**os.environ, "WEED_S3_SSE_KEK": "0" * 64}, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            _await(f"http://127.0.0.1:{s3}", process)
            yield f"http://127.0.0.1:{s3}", {"AWS_ACCESS_KEY_ID": _KEY, "AWS_SECRET_ACCESS_KEY": _SECRET}
        finally:
            process.kill()
            process.wait()


def _free_ports(count: int) -> list[int]:
    """Ports below 50,000 that are free, and whose neighbours ten thousand above are too: SeaweedFS takes both."""
    found: list[int] = []
    port = 20_000 + os.getpid() % 10_000
    while len(found) < count:
        port += 1
        if all(_is_free(number) for number in (port, port + 10_000)):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _LONGEST_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError:
            time.sleep(3)  # it answers, and its volumes follow
            return
        except OSError:
            time.sleep(0.5)
        else:
            time.sleep(3)
            return
    raise AssertionError("SeaweedFS did not start")
