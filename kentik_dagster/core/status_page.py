"""The status as one HTML file: it needs nothing from elsewhere, runs no script, and believes no name from AWS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape

import polars as pl

from kentik_dagster.core.status import Status

# A page that a browser opens at once, whatever the number of accounts: problems are sorted to the front of each table.
MOST_ROWS = 500
_STYLE = """
:root{color-scheme:light dark;--line:#8884;--ok:#1a7f37;--bad:#cf222e;--wait:#9a6700;--off:#6e7781}
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:95rem;padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}
p.when{color:var(--off);margin:.2rem 0 1.5rem}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600;white-space:nowrap}td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
td{overflow-wrap:break-word;min-width:4rem}.state{font-weight:600;white-space:nowrap}
.OK{color:var(--ok)}.Error{color:var(--bad)}.Pending,.Start{color:var(--wait)}.Disabled{color:var(--off)}
summary{cursor:pointer;margin:.5rem 0}
"""
_NUMBERS = (pl.Int64, pl.UInt32, pl.Float64)


def status_html(status: Status) -> str:
    """The page.

    Every text of the tables is escaped: names, tags and error messages come from strangers.
    """
    return "".join(f"{line}\n" for line in _page(status))


def _page(status: Status) -> Iterator[str]:
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    yield '<meta name="viewport" content="width=device-width, initial-scale=1"><title>kentik_dagster: status</title>'
    yield f"<style>{_STYLE}</style></head><body>"
    yield f'<h1>Status</h1><p class="when">as of {_instant(status.at)}; objects and lag are of the last 24 hours</p>'
    yield "<h2>Exports</h2>"
    yield from _table(status.exports, (
        ("export", "export"), ("state", "state"), ("reason", "why"), ("to_do", "what to do"), ("accounts", "accounts"),
        ("reached", "reached"), ("objects", "objects"), ("rows", "rows"), ("rejected_lines", "rejected lines"),
        ("unreadable", "unreadable"), ("newest_posted_at", "newest object"), ("lag_p50", "lag p50, s"),
        ("lag_p95", "lag p95, s"),
    ))  # fmt: skip
    yield from _section("Accounts", status.accounts, (
        ("account_id", "account"), ("name", "name"), ("export", "export"), ("state", "state"), ("reason", "why"),
        ("operations", "operations"), ("denied", "denied"), ("last_observed_at", "last snapshot"),
    ), "org_accounts and metadata_calls")  # fmt: skip
    yield from _section("Denied or unanswered operations", status.denied, (
        ("account_id", "account"), ("region", "region"), ("operation", "operation"), ("outcome", "outcome"),
        ("missing_action", "grant"), ("error_message", "AWS says"), ("last_observed_at", "last answer"),
    ), "metadata_calls")  # fmt: skip
    yield from _section("Networks", status.networks, (
        ("device_id", "network"), ("device_name", "name"), ("device_type", "type"), ("account_id", "account"),
        ("region", "region"), ("export", "export"), ("state", "state"), ("last_seen_at", "newest record"),
        ("flows_per_second", "flows/s"), ("stored_flows_per_second", "stored flows/s"), ("reason", "flow logs"),
    ), "cloud_devices")  # fmt: skip
    yield from _section("Objects that could not be read", status.errors, (
        ("export", "export"), ("key", "object"), ("error", "why, and what to do"), ("ingested_at", "tried at"),
    ), "flow_log_objects")  # fmt: skip
    yield "</body></html>"


def _section(title: str, rows: pl.DataFrame, columns: Sequence[tuple[str, str]], table: str) -> Iterator[str]:
    yield f"<h2>{title}</h2>"
    if rows.is_empty():
        yield "<p>none</p>"
        return
    amiss = rows.filter(pl.col("state").is_in(["OK"]).not_()) if "state" in rows.columns else rows
    well = rows.filter(pl.col("state") == "OK") if "state" in rows.columns else rows.clear()
    yield from _table(amiss, columns, table)
    if well.height:
        yield f"<details{'' if amiss.height else ' open'}><summary>{well.height:,} are well</summary>"
        yield from _table(well, columns, table)
        yield "</details>"


def _table(rows: pl.DataFrame, columns: Sequence[tuple[str, str]], table: str = "") -> Iterator[str]:
    if rows.is_empty():
        return
    yield '<div class="wide"><table><thead><tr>'
    numbers = {name for name, dtype in rows.schema.items() if dtype in _NUMBERS}
    yield "".join(f"<th{' class=n' if name in numbers else ''}>{escape(title)}</th>" for name, title in columns)
    yield "</tr></thead><tbody>"
    for row in rows.head(MOST_ROWS).iter_rows(named=True):
        yield "<tr>" + "".join(_cell(name, row[name], name in numbers) for name, _ in columns) + "</tr>"
    yield "</tbody></table></div>"
    if rows.height > MOST_ROWS:
        yield f"<p>and {rows.height - MOST_ROWS:,} more: see table {escape(table)}</p>"


def _cell(name: str, value: object, is_number: bool) -> str:
    if name == "state":
        return f'<td class="state {escape(str(value), quote=True)}">{escape(str(value))}</td>'
    return f"<td{' class=n' if is_number else ''}>{escape(_text(value))}</td>"


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return _instant(value)
        case float():
            return f"{value:,.1f}"
        case int():
            return f"{value:,}"
    return str(value)


def _instant(value: datetime) -> str:
    return f"{value:%Y-%m-%d %H:%M} UTC"
