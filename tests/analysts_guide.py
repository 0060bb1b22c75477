"""Writes the answers into docs/analysts.md: what the demo's organization gives for each query that stands there.

    POLARS_MAX_THREADS=1 .venv/bin/python -m tests.analysts_guide

It runs the demo over the same half hour every time (half a minute), so that only what was changed changes.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from click.testing import CliRunner

from kentik_dagster.catalog.ready_views import VIEWS_FILE
from kentik_dagster.cli import main as command_line

GUIDE = Path(__file__).parents[1] / "docs" / "analysts.md"
START = datetime(2026, 11, 23, 9, 10, tzinfo=UTC)
# A query, and its answer if it has one.
_ASKED = re.compile(r"```sql\n(?P<query>.*?)```\n(?:\n```text\n(?P<answer>.*?)```\n)?", flags=re.DOTALL)
_MADE_FROM = re.compile(r"\n<!-- The answers are those to the queries and views [0-9a-f]{12}\. -->\n")


def questions(guide: str) -> list[tuple[str, str]]:
    """Each query of the guide with the answer that stands below it; empty: none does."""
    return [(found["query"], found["answer"] or "") for found in _ASKED.finditer(guide)]


def made_from(guide: str) -> str:
    """The last line of the guide: by it a change of a query or a view without new answers is seen."""
    text = "".join([*(query for query, _ in questions(guide)), VIEWS_FILE.read_text(encoding="ascii")])
    return (
        f"\n<!-- The answers are those to the queries and views {hashlib.sha256(text.encode()).hexdigest()[:12]}. -->\n"
    )


def answered(guide: str, configuration: Path) -> str:
    """The guide with the answers of the lake that a configuration names."""

    def asked(found: re.Match[str]) -> str:
        return f"```sql\n{found['query']}```\n\n```text\n{asked_of(configuration, found['query'])}```\n"

    return _ASKED.sub(asked, _MADE_FROM.sub("", guide)) + made_from(guide)


def asked_of(configuration: Path, query: str) -> str:
    """What `kentik-dagster sql` prints for a query.

    Raises:
        RuntimeError: it complains.
    """
    done = CliRunner().invoke(command_line, ["sql", "--config", str(configuration), query])
    if done.exit_code:
        raise RuntimeError(f"{query}\n{done.stderr}")
    return done.stdout


def demo(folder: Path) -> Path:
    """The configuration of a demo over the guide's half hour, which has run."""
    (folder / "demo.json").write_text(json.dumps({"start": START.isoformat()}))
    done = CliRunner().invoke(command_line, ["demo", "--folder", str(folder)])
    if done.exit_code:
        raise RuntimeError(done.output)
    return folder / "kentik.yaml"


def main() -> None:
    """Writes the guide."""
    with tempfile.TemporaryDirectory() as folder:
        GUIDE.write_text(answered(GUIDE.read_text(encoding="utf-8"), demo(Path(folder))), encoding="utf-8")
    sys.stdout.write(f"{GUIDE}: {len(questions(GUIDE.read_text(encoding='utf-8')))} answers\n")


if __name__ == "__main__":
    main()
