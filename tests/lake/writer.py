"""A process that writes to a lake, and how a test starts it, lets it go and kills it.

    python -m tests.lake.writer open <root> ...
    python -m tests.lake.writer append <root> <hour> <seed> <objects> <storage options as JSON>

It says `ready` when everything is imported, waits for a line, and does it. Started anew, never forked: a child
that was forked from a process that has used deltalake panics.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import append_objects
from tests.lake.flows import flows

_PROJECT = Path(__file__).parents[2]
_LONGEST_SECONDS = 120
BATCH = 3


def records_of(objects: int) -> dict[str, int]:
    """Names of that many objects, and how many records each has: one, two or three."""
    return {f"object-{number:03d}": number % 3 + 1 for number in range(objects)}


def append(root: str, hour: str, seed: str, objects: int, storage_options: Mapping[str, str]) -> None:
    """Append the objects, batch by batch, in an order that the seed decides."""
    partition = {"export": "acme", "hour": hour}
    pending = list(records_of(objects).items())
    random.Random(seed).shuffle(pending)
    table = Lake(root, storage_options)["flow_logs"]
    for start in range(0, len(pending), BATCH):
        batch = dict(pending[start : start + BATCH])
        counts = append_objects(table, partition, flows(partition, **batch))
        assert counts == batch, f"of {batch}, the table holds {counts}"


def open_tables(roots: Sequence[str]) -> None:
    """Open a table of each lake."""
    for root in roots:
        Lake(root)["flow_logs"].open()


class Writer:
    """A writer process as its test sees it: `ready` once it is made."""

    def __init__(self, arguments: Sequence[str], module: str = "tests.lake.writer") -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by __exit__)
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=_PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            assert stream is not None
            stream.close()

    def await_ready(self) -> None:
        """Wait until it has imported everything."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n", self._said()

    def go(self) -> None:
        """Let it begin."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")
        self._process.stdin.flush()

    def kill(self, after_seconds: float = 0) -> bool:
        """SIGKILL; whether it was still at work."""
        try:
            self._process.wait(after_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return True
        return False

    def done(self, longest_seconds: float = _LONGEST_SECONDS) -> None:
        """Wait for its end, which must be a good one."""
        code = self._process.wait(longest_seconds)
        assert code == 0, self._said()

    def _said(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")


@contextmanager
def writers(arguments: Sequence[Sequence[str]]) -> Iterator[list[Writer]]:
    """Several writers, none of which outlives the block."""
    with ExitStack() as stack:
        yield [stack.enter_context(Writer(words)) for words in arguments]


def released(several: Sequence[Writer]) -> None:
    """Let them all go at the same moment, and wait until they are done."""
    for writer in several:
        writer.await_ready()
    for writer in several:
        writer.go()
    for writer in several:
        writer.done()


if __name__ == "__main__":
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    match sys.argv[1:]:
        case ["append", root, hour, seed, objects, storage_options]:
            append(root, hour, seed, int(objects), json.loads(storage_options))
        case ["open", *roots]:
            open_tables(roots)
