"""A process that compacts nine o'clock of a lake again and again until it is killed.

python -m tests.lake.compactor <root>
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kentik_dagster.lake.compaction import compact
from kentik_dagster.lake.tables import Lake
from tests.lake.flows import NINE


@contextmanager
def compactor(root: str) -> Iterator[subprocess.Popen[bytes]]:
    """A compactor at work; at the end of the block it is killed, whatever it is doing."""
    words = [sys.executable, "-m", "tests.lake.compactor", root]
    with subprocess.Popen(words, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process
            assert process.poll() is None, "the compactor ended by itself"
        finally:
            process.kill()


if __name__ == "__main__":
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        compact(Lake(sys.argv[1])["flow_logs"], NINE)
