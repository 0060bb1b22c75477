"""`kentik-dagster status`: how exports, accounts and networks are, out of the lake; AWS is not asked."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kentik_dagster.command_options import config_option
from kentik_dagster.errors import KentikDagsterError

if TYPE_CHECKING:
    import polars as pl

    from kentik_dagster.core.status import Status

_SHOWN = 20


@click.command("status")
@config_option()
@click.option("--json", "as_json", is_flag=True, help="One object: exports, accounts, denied, networks, errors.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the page into a file.")
def status(config: Path, as_json: bool, html: Path | None) -> None:
    """Exports, devices, denied operations and lag, as the tables tell them. Exit code 1 if an export is in Error."""
    try:
        from kentik_dagster.configuration_file import load_configuration
        from kentik_dagster.core.readable import harmless_text
        from kentik_dagster.core.status_page import status_html
        from kentik_dagster.lake.tables import lake_at
        from kentik_dagster.work.status import read_status

        configuration = load_configuration(config)
        lake = lake_at(configuration.lake, os.environ.get("AWS_ENDPOINT_URL"))
        found = read_status(configuration, lake, datetime.now(UTC))
        if html is not None:
            html.write_text(status_html(found), encoding="utf-8")
            click.echo(f"wrote {html}", err=True)
        click.echo(_json(found) if as_json else harmless_text(_text(found)))
    except (KentikDagsterError, OSError) as error:
        click.secho(str(error), fg="red", err=True)
        sys.exit(1)
    sys.exit(1 if found.has_errors else 0)


def _json(found: Status) -> str:
    frames = {name: getattr(found, name).to_dicts() for name in ("exports", "accounts", "denied", "networks", "errors")}
    return json.dumps({"at": found.at, **frames}, default=_plain, indent=2)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _text(found: Status) -> str:
    """Exports whole; of the rest, what is amiss."""
    import polars as pl

    amiss = pl.col("state") != "OK"
    exports = found.exports.select(
        "export", "state", "accounts", "objects", "rows", "rejected_lines", "unreadable", "newest_posted_at", "lag_p50",
        "lag_p95",
    )  # fmt: skip
    accounts = found.accounts.filter(amiss)
    denied = found.denied.select("account_id", "region", "operation", "outcome", "missing_action")
    networks = found.networks.filter(amiss)
    errors = found.errors
    parts = [
        _part("Exports (objects and lag of the last 24 hours)", exports, None),
        *(
            f"{row['export']}: {row['reason']}" + (f"\n     -> {row['to_do']}" if row["to_do"] else "")
            for row in found.exports.filter(pl.col("reason") != "").iter_rows(named=True)
        ),
        _lines("Accounts that need something", accounts, "{account_id} {name}: {reason}", found.accounts.height),
        _part("Operations that are denied or do not answer", denied, None),
        _lines(
            "Networks that send nothing, or are new",
            networks,
            "{device_type} {device_id} in {account_id} {region}, {state}: {reason}",
            found.networks.height,
        ),
        _lines("Objects that could not be read", errors, "{export} {key}: {error}", None),
    ]
    return "\n\n".join(parts)


def _lines(title: str, rows: pl.DataFrame, form: str, of: int | None) -> str:
    if rows.is_empty():
        return _none(title, of)
    lines = [f"  {form.format_map(row)}" for row in rows.head(_SHOWN).to_dicts()]
    return "\n".join([title, *lines, *_more(rows)])


def _none(title: str, of: int | None) -> str:
    return f"{title}: none" + (f" of {of:,}" if of else "")


def _more(rows: pl.DataFrame) -> list[str]:
    left = rows.height - _SHOWN
    return [f"  and {left:,} more: --json has them all"] if left > 0 else []


def _part(title: str, rows: pl.DataFrame, of: int | None) -> str:
    from kentik_dagster.core.readable import text_table

    if rows.is_empty():
        return _none(title, of)
    table = rows.head(_SHOWN).to_arrow().combine_chunks().to_batches()[0]
    width = os.get_terminal_size().columns if sys.stdout.isatty() else None
    return "\n".join([title, text_table(table, width), *_more(rows)])
