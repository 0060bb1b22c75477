"""The ready views for analysts: what `views.sql` says, view by view.

The file is the one source: DuckDB and people read it as it stands, and everything else reads it through here. Each
view has a comment above it, `-- name: one row is ...`, then its columns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files

from kentik_dagster.catalog.tables import TABLES


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyView:
    """One view.

    Attributes:
        name: by which queries know it.
        row: what one row is.
        says: the lines of its comment below that: columns, units, and what to know.
        statement: `CREATE VIEW ...`, without a semicolon.
        reads: the tables that it reads, also through other views.
    """

    name: str
    row: str
    says: str
    statement: str
    reads: frozenset[str]

    @property
    def query(self) -> str:
        """Its SELECT alone."""
        return self.statement.split(" AS\n", 1)[1]


VIEWS_FILE = files(__package__).joinpath("views.sql")
_VIEW = re.compile(
    r"^-- (?P<name>\w+): one row is (?P<row>.+)\n(?P<says>(?:--.*\n)*)(?P<statement>CREATE VIEW (?P=name) AS\n[^;]+);\n",
    flags=re.MULTILINE,
)


def names_in(sql: str) -> frozenset[str]:
    """The words of a query in small letters: whatever may be the name of a table or view."""
    return frozenset(re.findall(r"\w+", sql.lower()))


def _views(text: str) -> dict[str, ReadyView]:
    views: dict[str, ReadyView] = {}
    for found in _VIEW.finditer(text):
        words = names_in(found["statement"])
        through = (view.reads for name, view in views.items() if name in words)
        views[found["name"]] = ReadyView(
            name=found["name"],
            row=found["row"],
            says=re.sub(r"^-- ?", "", found["says"], flags=re.MULTILINE).rstrip(),
            statement=found["statement"],
            reads=(words & TABLES.keys()).union(*through),
        )
    return views


# In the order of the file: a view reads tables and views above it.
READY_VIEWS = _views(VIEWS_FILE.read_text(encoding="ascii"))
