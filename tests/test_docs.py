"""What the documents say that the catalog knows is what the catalog says."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl

from kentik_dagster.catalog.gateways import GATEWAY_TYPES, LOCAL
from kentik_dagster.catalog.network_operations import OPERATIONS
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.address_book import OF_INTERFACES
from kentik_dagster.core.traffic import FOUND, network_of, profile
from kentik_dagster.core.unresolved import UNRESOLVED

PROJECT = Path(__file__).parents[1]
README = (PROJECT / "README.md").read_text()
ENRICHMENT = (PROJECT / "docs" / "enrichment.md").read_text()
RESOLUTIONS = (*FOUND, "external", *UNRESOLVED)


def table_under(heading: str, document: str) -> list[list[str]]:
    """The cells of the table whose first column is called so, without backticks."""
    lines = document[document.index(f"\n| {heading} |") :].lstrip("\n").split("\n\n")[0].splitlines()
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_readme_says_of_every_table_what_one_row_is() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|$", README, flags=re.MULTILINE))

    assert rows == {name: table.row for name, table in TABLES.items()}


def test_the_metadata_document_names_every_resource_type_with_the_action_that_shows_it() -> None:
    document = (PROJECT / "docs" / "metadata.md").read_text()

    rows = re.findall(r"^\| `(\w+)` \| `([\w:-]+)` \| [\w ]+ \|", document, flags=re.MULTILINE)

    assert rows == [(operation.resource_type, operation.action) for operation in OPERATIONS]


def test_the_enrichment_document_explains_every_kind_of_row_of_the_address_book() -> None:
    core = PROJECT / "kentik_dagster" / "core"
    sources = [(core / f"{name}.py").read_text() for name in ("address_book", "network_ranges", "network_routes")]
    said = r'kind=pl\.lit\("(\w+)"\)|pl\.lit\("(\w+)"\)\.alias\("kind"\)'
    given = {one or other for source in sources for one, other in re.findall(said, source)} | {*OF_INTERFACES}

    explained = [kind for kind, _ in table_under("kind", ENRICHMENT)]

    assert sorted(explained) == sorted(given)


def test_the_enrichment_document_explains_every_resolution() -> None:
    explained = [row[0] for row in table_under("resolution", ENRICHMENT)]

    assert sorted(explained) == sorted(RESOLUTIONS)


def test_the_enrichment_document_names_every_gateway_by_its_id() -> None:
    rows = table_under("id begins with", ENRICHMENT)

    assert rows == [[start, kind] for start, kind in GATEWAY_TYPES.items() if kind != LOCAL]


def test_the_enrichment_document_names_every_traffic_profile_and_between_whom_it_is() -> None:
    ends = pl.DataFrame({"resolution": RESOLUTIONS}).join(pl.DataFrame({"on_premises": [False, True]}), how="cross")
    networks = ends.select(net=network_of(pl.col("resolution"), pl.col("on_premises"))).unique()
    both = networks.join(networks, how="cross")
    given = both.select(profile(pl.col("net"), pl.col("net_right"), pl.lit(value=True)), "net", "net_right")

    rows = table_under("traffic profile", ENRICHMENT)

    certain = [row for row in rows if row[0] != "unknown"]
    assert sorted(certain) == sorted(list(row) for row in given.drop_nulls().rows())
    assert {row[0] for row in rows} == set(given.to_series())


def test_every_link_into_the_project_leads_somewhere() -> None:
    documents = [PROJECT / "README.md", PROJECT / "CHANGELOG.md", *(PROJECT / "docs").glob("*.md")]

    broken = [
        (document.name, link)
        for document in documents
        for link in re.findall(r"\]\(([^)#]+)\)", document.read_text())
        if "://" not in link and not (document.parent / link).exists()
    ]

    assert broken == []
