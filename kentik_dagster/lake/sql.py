"""SQL over the tables of a lake: one query, answered as a stream of rows.

The engine is DataFusion, which deltalake has inside. It speaks the whole of SQL (every kind of subquery and window,
views), opens files by Delta's own log, so that a condition on `hour` skips the files of other hours, gives its answer
in batches, and moves to disk what does not fit into memory. Polars' SQL knows no views and not all of SQL; DuckDB
would be another dependency, whose Delta extension is downloaded when first used. Both read the same tables and views
all the same (docs/analysts.md).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import DeltaError, TableNotFoundError

from kentik_dagster.catalog.ready_views import READY_VIEWS, names_in
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.errors import LakeError, QueryError
from kentik_dagster.lake.tables import Lake

# By what each table is made. Until then it is not there, which is not the same as having no rows.
MADE_BY = {
    "org_accounts": "the first listing of accounts",
    "metadata_changes": "the first snapshot of an account's metadata",
    "metadata_calls": "the first snapshot of an account's metadata",
    "address_book": "the first run that puts snapshots of metadata together",
    "flow_logs": "the first run that reads log objects",
    "firewall_logs": "the first run that reads log objects",
    "flow_log_objects": "the first run that reads log objects",
    "rejected_records": "the first run that reads log objects",
    "enriched_flows": "the first run that resolves the ends of flows that were read",
    "cloud_devices": "the first look at who sends logs, every five minutes",
    "metric_listings": "the first reading of CloudWatch metrics",
    "metric_series": "the first reading of CloudWatch metrics",
    "deletion_sweep": "the first sweep over log objects that were read",
}
_BEGIN_QUERIES = ("SELECT", "WITH", "VALUES", "EXPLAIN", "FROM", "")
_PART_ROWS = 8_192
_CHECKED = "query_that_is_checked"
_EXPLAIN = re.compile(r"\s*explain(?:\s+(?:analyze|verbose|format\s+\w+))*\b", flags=re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows of a query, read while they come.

    Attributes:
        schema: the columns.
        batches: the rows; reading them raises `QueryError` where the engine gives up.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def answer(lake: Lake, query: str, *, memory: str = "2G") -> Answer:
    """Ask the lake's tables and the ready views; nothing is made, changed or written.

    Args:
        query: one SELECT, WITH ..., VALUES, or EXPLAIN of one.
        memory: how much the engine may hold, such as `2G`; beyond that it uses temporary files, where it can.

    Raises:
        QueryError: the text is no query, is wrong, or names what is not there; the message says what to write.
        LakeError: the storage does not answer.
    """
    engine = _Engine(lake, query)
    engine.run(f"SET datafusion.runtime.memory_limit = '{memory}'")
    engine.check(query)
    reader = engine.run(query)
    if not reader.schema.names:
        raise QueryError("the query has no columns: name some after SELECT, and leave out INTO")
    schema = _plain_schema(reader.schema)
    return Answer(schema, engine.batches(reader, schema))


class _Engine:
    """A session that knows the tables and views which a query may mean."""

    def __init__(self, lake: Lake, query: str) -> None:
        words = names_in(query)
        # A view is made with all that it reads; tables that no word of the query means are not opened.
        views = {name: view for name, view in READY_VIEWS.items() if name in words}
        wanted = (words & TABLES.keys()).union(*(view.reads for view in views.values()))
        self._lake = lake
        self._builder = QueryBuilder()
        self._missing = {name for name in TABLES if name in wanted and not self._register(name)}
        for view in READY_VIEWS.values():
            if view.reads <= wanted - self._missing:
                self._builder.execute(view.statement)

    def _register(self, name: str) -> bool:
        """Whether the table is there; it is not made, as a table that nobody wrote says nothing."""
        table = self._lake[name]
        try:
            self._builder.register(name, DeltaTable(table.uri, storage_options=dict(table.storage_options)))
        except TableNotFoundError:
            return False
        except (OSError, DeltaError) as error:
            raise LakeError(table.uri, "open", error) from error
        return True

    def check(self, query: str) -> None:
        """That the text is one query: a view can be made of nothing else, and making it runs nothing."""
        explained = _EXPLAIN.match(query)
        self.run(f"CREATE VIEW {_CHECKED} AS\n{query[explained.end() :] if explained else query}")

    def run(self, statement: str) -> pa.RecordBatchReader:
        try:
            return pa.RecordBatchReader.from_stream(self._builder.execute(statement))
        except (DeltaError, OSError, ValueError) as error:
            raise self._said(str(error), statement) from error

    def batches(self, reader: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        try:
            for rows in _brought_together(reader):
                yield from rows.combine_chunks().cast(schema).to_batches()
        except (pa.ArrowException, OSError) as error:
            raise self._said(str(error), "") from error

    def _said(self, reason: str, statement: str) -> QueryError:
        """What the engine said, as a person needs it."""
        if found := re.search(r"table '(?:datafusion\.public\.)?(.+?)' not found", reason):
            return QueryError(self._no_table(found[1]))
        if found := re.search(r"No field named (\S+?)\.(?:\s|$)", reason):
            valid = re.search(r"Valid fields are (.*)", reason)
            return QueryError(_no_column(found[1], valid[1].rstrip(".") if valid else ""))
        if found := re.search(r"duplicate unqualified field name (\S+)", reason):
            return QueryError(f"two columns of the answer are called {found[1]}: give one of them another name with AS")
        if "single SQL statement" in reason:
            return QueryError("there are several statements: ask one query at a time")
        if "No SQL statements" in reason or "found: EOF" in reason:
            return QueryError("the query ends where more is expected: begin with SELECT, and close what is opened")
        if "Resources exhausted" in reason:
            return QueryError(
                "the query needs more memory than it may have: narrow it by a condition on `hour`, group by fewer "
                "columns, or leave out ORDER BY"
            )
        word = _first_word(statement.removeprefix(f"CREATE VIEW {_CHECKED} AS\n"))
        if word not in _BEGIN_QUERIES or re.search(r"not implemented: Query (?:INSERT|UPDATE|DELETE|MERGE)", reason):
            return QueryError(
                f"this begins with {word}, and only queries are answered: nothing is changed from here. Begin with "
                "SELECT, WITH or EXPLAIN; --output writes an answer to a file, --list shows tables and their columns"
            )
        return QueryError(f"the query cannot be answered: {_in_a_line(reason)}")

    def _no_table(self, name: str) -> str:
        if name in self._missing:
            return f"the table {name} is not in {self._lake.root} yet: {MADE_BY[name]} makes it (kentik-dagster run)"
        if name in READY_VIEWS:
            missing = sorted(READY_VIEWS[name].reads & self._missing)
            return f"the view {name} cannot be asked yet: " + "; ".join(map(self._no_table, missing))
        near = _near(name, [*TABLES, *READY_VIEWS])
        return f"there is no table or view '{name}'. " + (
            f"Did you mean {near}? --list shows all." if near else "--list shows what there is."
        )


def _brought_together(reader: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """The rows in parts of some thousands: a join may give them one by one, and each part costs whoever writes it."""
    part: list[pa.RecordBatch] = []
    held = 0
    for batch in reader:
        part.append(batch)
        held += batch.num_rows
        if held >= _PART_ROWS:
            yield pa.Table.from_batches(part)
            part, held = [], 0
    if part:
        yield pa.Table.from_batches(part)


def _first_word(statement: str) -> str:
    """The word in capitals, after comments."""
    begin = re.match(r"(?:\s|--[^\n]*\n|/\*.*?\*/|[(;])*(\w*)", statement, flags=re.DOTALL)
    return begin[1].upper() if begin else ""


def _no_column(name: str, valid: str) -> str:
    """Says which columns there are whose names are like it."""
    columns = dict.fromkeys(column.split(".")[-1].strip(' "') for column in valid.split(",") if column)
    plain = name.split(".")[-1].strip('"')
    near = _near(plain, list(columns))
    where = "--list and the name of a table or view shows its columns."
    if plain.lower() in columns and plain not in columns:
        return f'there is no column {name}: leave out the quotation marks, or write "{plain.lower()}"'
    return f"there is no column {name} here. " + (f"Did you mean {near}? " if near else "") + where


def _near(name: str, names: list[str]) -> str:
    """Up to three names that are like one, also where underscores or hyphens stand otherwise."""
    bare = {re.sub(r"\W|_", "", known): known for known in names}
    close = difflib.get_close_matches(re.sub(r"\W|_", "", name.lower()), bare, n=3, cutoff=0.7)
    return " or ".join(bare[known] for known in close)


def _in_a_line(reason: str) -> str:
    """The engine's reason without its own words before it, and with lines counted as in the query."""
    first = reason.split("caused by")[-1].strip().splitlines()[0]
    first = re.sub(
        r"^(?:SQL error: ParserError\(\"|(?:Error during planning|Schema error|External error|Error): )+", "", first
    )
    counted = re.sub(r"at Line: (\d+)", lambda found: f"at Line: {max(1, int(found[1]) - 1)}", first)
    return counted.removesuffix('")')


def _plain_schema(schema: pa.Schema) -> pa.Schema:
    """The same columns in types that every writer and reader knows."""
    return pa.schema([pa.field(field.name, _plain_type(field.type)) for field in schema])


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if kind == pa.string_view():
        return pa.string()
    if kind == pa.binary_view():
        return pa.binary()
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_map(kind):
        return pa.map_(_plain_type(kind.key_type), _plain_type(kind.item_type))
    if pa.types.is_list(kind):
        return pa.list_(_plain_type(kind.value_type))
    return cast("pa.DataType", kind)
