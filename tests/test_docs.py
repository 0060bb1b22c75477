"""What the documents say that the catalog knows is what the catalog says."""

from __future__ import annotations

import re
from pathlib import Path

from kentik_dagster.catalog.network_operations import OPERATIONS
from kentik_dagster.catalog.tables import TABLES

PROJECT = Path(__file__).parents[1]
README = (PROJECT / "README.md").read_text()


def test_the_readme_says_of_every_table_what_one_row_is() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|$", README, flags=re.MULTILINE))

    assert rows == {name: table.row for name, table in TABLES.items()}


def test_the_metadata_document_names_every_resource_type_with_the_action_that_shows_it() -> None:
    document = (PROJECT / "docs" / "metadata.md").read_text()

    rows = re.findall(r"^\| `(\w+)` \| `([\w:-]+)` \| [\w ]+ \|", document, flags=re.MULTILINE)

    assert rows == [(operation.resource_type, operation.action) for operation in OPERATIONS]


def test_every_link_into_the_project_leads_somewhere() -> None:
    documents = [PROJECT / "README.md", PROJECT / "CHANGELOG.md", *(PROJECT / "docs").glob("*.md")]

    broken = [
        (document.name, link)
        for document in documents
        for link in re.findall(r"\]\(([^)#]+)\)", document.read_text())
        if "://" not in link and not (document.parent / link).exists()
    ]

    assert broken == []
