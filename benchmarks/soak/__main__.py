"""An hour of five exports on a whole deployment, while AWS fails and processes die: `python -m benchmarks.soak`.

Writes benchmarks/SOAK.md and soak.svg; exit code 1 if anything does not hold that must.
"""

# ruff: noqa: T201

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from benchmarks.celery_stack import missing
from benchmarks.soak.hour import soak
from benchmarks.soak.plan import Options
from benchmarks.soak.report import picture, report, verdicts

_HERE = Path(__file__).parents[1]
_HELP = {
    "scale": "how many times faster than ours the hour goes",
    "minutes": "of log files",
    "seed": "of posts, kills and faults",
    "records": "in each object, on average",
    "share": "of calls that fail",
    "daemon_kills": "how often the daemon is killed",
    "worker_kills": "how often a worker is killed",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak, judge and write the report; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak", description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    defaults = Options()
    for option in fields(Options):
        default = getattr(defaults, option.name)
        name = f"--{option.name.replace('_', '-')}"
        parser.add_argument(name, type=type(default), default=default, help=_HELP[option.name])
    parser.add_argument("--keep", type=Path, help="a new folder for logs and databases, which then stay there")
    parser.add_argument("--report", type=Path, default=_HERE, help="folder for SOAK.md and soak.svg")
    chosen = vars(parser.parse_args(arguments))
    if missing():
        parser.exit(1, "this machine lacks " + ", ".join(missing()) + "\n")
    kept, folder = chosen.pop("keep"), chosen.pop("report")
    options = Options(**chosen)
    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {text}", flush=True)

    tell(f"the hour takes {options.hour_seconds:.0f} s, and all ends after {options.most_seconds:.0f} s at the latest")
    with tempfile.TemporaryDirectory(prefix="kentik-soak-", ignore_cleanup_errors=True) as made:
        place = kept or Path(made)
        place.mkdir(exist_ok=True)
        soaked = soak(options, place, tell)
        judged = list(verdicts(soaked))
    asked = {name: value for name, value in chosen.items() if value != getattr(defaults, name)}
    command = " ".join(
        ["python -m benchmarks.soak", *(f"--{name.replace('_', '-')} {value:g}" for name, value in asked.items())]
    )
    (folder / "SOAK.md").write_text(report(soaked, command, judged))
    (folder / "soak.svg").write_text(picture(soaked))
    for verdict in judged:
        tell(f"{'holds ' if verdict.holds else 'FAILS '} {verdict.what}: {verdict.figure}")
    return 0 if all(verdict.holds for verdict in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
