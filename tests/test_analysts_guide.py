"""The analysts' guide: its answers are those to its queries, and its Python runs.

That the answers are still the demo's takes a demo of half a minute:

    KENTIK_DAGSTER_GUIDE=1 .venv/bin/pytest tests/test_analysts_guide.py
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake

from kentik_dagster.catalog.ready_views import READY_VIEWS
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.schemas import polars_schema
from tests.analysts_guide import GUIDE, answered, asked_of, demo, made_from, questions

TEXT = GUIDE.read_text(encoding="utf-8")
PYTHON = [block for block in re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL) if "spark" not in block]
CONFIGURATION = """\
lake: ./.demo/lake
exports:
  - name: acme
    region: us-east-1
    bucket: acme-logs
    start: 2026-11-01
"""


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of a lake whose tables hold a row each, of 9 o'clock on the guide's day."""
    folder = tmp_path_factory.mktemp("guide")
    for name, table in TABLES.items():
        row = {"export": "acme", "hour": "2026-11-23T09", "account_id": "111122223333", "bytes": 1_000}
        row |= {"is_primary_record": True, "src_vpc_id": "vpc-a", "dst_vpc_id": "vpc-b", "sample_rate": 1.0}
        row |= {"src_account_name": "shop", "dst_account_name": "data"}
        schema = polars_schema(table)
        frame = pl.DataFrame({key: [value] for key, value in row.items() if key in schema})
        frame = frame.select(
            (pl.col(column) if column in frame.columns else pl.lit(None)).cast(kind).alias(column)
            for column, kind in schema.items()
        )
        uri = folder / ".demo" / "lake" / name
        write_deltalake(uri, frame.to_arrow(), partition_by=list(table.partition_by))
    (folder / "kentik.yaml").write_text(CONFIGURATION)
    return folder / "kentik.yaml"


def test_every_query_has_an_answer_that_is_not_older_than_the_query_and_the_views() -> None:
    assert [query for query, answer in questions(TEXT) if not answer] == []
    assert TEXT.endswith(made_from(TEXT)), "run .venv/bin/python -m tests.analysts_guide"


@pytest.mark.parametrize(("query", "answer"), questions(TEXT))
def test_a_query_gives_the_columns_of_its_answer(configuration: Path, query: str, answer: str) -> None:
    said = asked_of(configuration, query)

    assert said.splitlines()[0].split() == answer.splitlines()[0].split()


def test_every_view_is_asked_for() -> None:
    asked = " ".join(query for query, _ in questions(TEXT))

    assert [name for name in READY_VIEWS if name not in asked] == []


@pytest.mark.parametrize("block", PYTHON, ids=[re.findall(r"import (\w+)", block)[-1] for block in PYTHON])
def test_the_python_reads_the_tables(
    configuration: Path, block: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(configuration.parent)
    here = Path("kentik_dagster")
    if not here.exists():
        here.symlink_to(GUIDE.parents[1] / "kentik_dagster")

    exec(compile(block, str(GUIDE), "exec"), {})

    assert re.search(r"1[_,]?000", capsys.readouterr().out)


@pytest.mark.slow
@pytest.mark.skipif("KENTIK_DAGSTER_GUIDE" not in os.environ, reason="takes a demo; see the docstring")
def test_the_answers_are_those_of_the_demo(tmp_path: Path) -> None:
    assert answered(TEXT, demo(tmp_path)) == TEXT
