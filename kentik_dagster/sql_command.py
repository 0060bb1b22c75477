"""`kentik-dagster sql`: a query over the tables and the ready views, answered on the terminal or into a file.

Rows go out while they come, whatever their number; only `--format table` holds some of them, as many as it shows.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from kentik_dagster.command_options import config_option
from kentik_dagster.errors import KentikDagsterError

if TYPE_CHECKING:
    import pyarrow as pa

    from kentik_dagster.lake.sql import Answer

# Polars, pyarrow and deltalake take a second to import; what needs them imports them, so that --help answers at once.

SHOWN_ROWS = 100


@click.command("sql")
@click.argument("query", required=False)
@config_option("The configuration file, which names the lake.")
@click.option("--file", type=click.Path(path_type=Path, dir_okay=False), help="Read the query from a file.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json", "parquet"]),
    default="table",
    show_default=True,
    help="json: an object a line.",
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the answer to a file.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    help=f"So many rows at most; 0: all of them. By default {SHOWN_ROWS} as a table, all in the other formats.",
)
@click.option("--memory", default="2G", show_default=True, help="The engine goes to temporary files beyond that.")
@click.option("--list", "listing", is_flag=True, help="The tables and views; of one that is named, its columns.")
def sql(
    query: str | None,
    config: Path,
    file: Path | None,
    form: str,
    output: Path | None,
    limit: int | None,
    memory: str,
    listing: bool,
) -> None:
    """Ask the tables: kentik-dagster sql "SELECT * FROM top_talkers ORDER BY bytes DESC LIMIT 10".

    One query of any kind that reads: SELECT, WITH, EXPLAIN. Without QUERY or with - it is read from the standard
    input. A condition on `hour` reads the files of those hours alone.
    """
    with _errors():
        if listing:
            click.echo(_described(query) if query else _listed())
            return
        text = _query(query, file)
        from kentik_dagster.configuration_file import load_configuration
        from kentik_dagster.lake.sql import answer
        from kentik_dagster.lake.tables import lake_at

        lake = lake_at(load_configuration(config).lake, os.environ.get("AWS_ENDPOINT_URL"))
        rows = answer(lake, text, memory=memory)
        if form == "table":
            _show(rows, SHOWN_ROWS if limit is None else limit, output)
        else:
            _write(rows, limit or 0, form, output)


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """What went wrong and what to do, on the standard error: the standard output is for rows."""
    try:
        yield
    except KentikDagsterError as error:
        from kentik_dagster.core.readable import harmless_text

        raise click.ClickException(harmless_text(str(error))) from error


def _query(query: str | None, file: Path | None) -> str:
    if query and file:
        raise click.UsageError("there is a query and a --file: give one of them")
    if file:
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"--file {file} cannot be read: {error}") from error
    if query and query != "-":
        return query
    if sys.stdin.isatty():
        raise click.UsageError('there is no query: write one in quotes, such as "SELECT ...", or see --list')
    return sys.stdin.read()


def _listed() -> str:
    from kentik_dagster.catalog.ready_views import READY_VIEWS
    from kentik_dagster.catalog.tables import TABLES

    tables = {name: table.row for name, table in TABLES.items()}
    views = {name: view.row for name, view in READY_VIEWS.items()}
    room = max(map(len, tables | views))
    return "\n".join(
        [
            "Tables: one row is",
            *(f"  {name:{room}}  {row}" for name, row in tables.items()),
            "",
            "Views: one row is",
            *(f"  {name:{room}}  {row}" for name, row in views.items()),
            "",
            "kentik-dagster sql --list <name> shows the columns.",
        ]
    )


def _described(name: str) -> str:
    from kentik_dagster.catalog.ready_views import READY_VIEWS
    from kentik_dagster.catalog.tables import TABLES

    if name in READY_VIEWS:
        view = READY_VIEWS[name]
        return f"{name}: one row is {view.row}\n{view.says}"
    if name not in TABLES:
        raise click.UsageError(f"there is no table or view '{name}': --list alone shows all")
    table = TABLES[name]
    room = max(len(column.name) for column in table.columns)
    kinds = max(len(str(column.type)) for column in table.columns)
    columns = [
        f"  {column.name:{room}}  {column.type!s:{kinds}}  {column.meaning}" + f" ({column.unit})" * bool(column.unit)
        for column in table.columns
    ]
    divided = f"Files are divided by {', '.join(table.partition_by)}: a condition on them skips the others."
    return "\n".join([f"{name}: one row is {table.row}", *columns, *([divided] if table.partition_by else [])])


def _show(rows: Answer, limit: int, output: Path | None) -> None:
    """The first rows as a table, and that there are more."""
    import pyarrow as pa

    from kentik_dagster.core.readable import harmless_text, text_table

    batches = list(_first(rows.batches, limit + 1 if limit else 0))
    table = pa.Table.from_batches(batches, rows.schema)
    shown = table.slice(0, limit) if limit else table
    whole = shown.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], rows.schema)]
    if rows.schema.names == ["plan_type", "plan"]:
        text = "\n".join(
            harmless_text(f"{kind}\n{plan}") for kind, plan in zip(*whole[0].to_pydict().values(), strict=True)
        )
    else:
        text = text_table(whole[0], _screen_width() if output is None else None)
    with _opened(output) as stream:
        stream.write(f"{text}\n".encode())
    if shown.num_rows < table.num_rows:
        click.echo(f"The first {limit} rows; --limit 0 shows all, --format csv writes them all.", err=True)


def _write(rows: Answer, limit: int, form: str, output: Path | None) -> None:
    """The rows to a file or the standard output, a batch at a time."""
    if form == "parquet" and output is None and sys.stdout.isatty():
        raise click.UsageError("Parquet is not for a terminal: name a file with --output")
    with _opened(output) as stream:
        writer = {"csv": _write_csv, "json": _write_json, "parquet": _write_parquet}[form]
        writer(rows.schema, _first(rows.batches, limit), stream)


def _write_csv(schema: pa.Schema, batches: Iterator[pa.RecordBatch], stream: IO[bytes]) -> None:
    import polars as pl

    from kentik_dagster.core.readable import flat, harmless

    # A file keeps what was logged; a terminal would obey it.
    told = harmless(pl.all()) if stream.isatty() else pl.all()
    pl.DataFrame(schema=schema.names).write_csv(stream)
    for batch in batches:
        flat(batch).select(told).write_csv(stream, include_header=False)


def _write_json(_: pa.Schema, batches: Iterator[pa.RecordBatch], stream: IO[bytes]) -> None:
    from kentik_dagster.core.readable import json_lines

    for batch in batches:
        stream.write(json_lines(batch).encode("ascii"))


def _write_parquet(schema: pa.Schema, batches: Iterator[pa.RecordBatch], stream: IO[bytes]) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)


def _first(batches: Iterator[pa.RecordBatch], limit: int) -> Iterator[pa.RecordBatch]:
    """So many rows of the batches; 0: all. No batch is asked for that is not needed."""
    if not limit:
        yield from batches
        return
    left = limit
    while left > 0 and (batch := next(batches, None)) is not None:
        yield batch.slice(0, left)
        left -= batch.num_rows


@contextlib.contextmanager
def _opened(output: Path | None) -> Iterator[IO[bytes]]:
    """The standard output, or a file that appears under its name once it is whole."""
    if output is None:
        stream = sys.stdout.buffer
        yield stream
        stream.flush()
        return
    unfinished = output.with_name(f"{output.name}.part")
    try:
        with unfinished.open("wb") as file:
            yield file
        unfinished.replace(output)
    except OSError as error:
        raise click.UsageError(f"--output {output} cannot be written: {error}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _screen_width() -> int | None:
    """Characters in a line of the terminal; what goes elsewhere is as wide as it takes."""
    return os.get_terminal_size().columns if sys.stdout.isatty() else None
