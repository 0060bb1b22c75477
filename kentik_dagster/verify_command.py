"""`kentik-dagster verify`: one line for each check of AWS and the lake, and what to do where one fails."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kentik_dagster.command_options import config_option
from kentik_dagster.errors import KentikDagsterError

if TYPE_CHECKING:
    from kentik_dagster.configuration import Configuration
    from kentik_dagster.core.verification import Finding

_MARKS = {"ok": ("ok", "green"), "warning": ("warn", "yellow"), "failed": ("FAIL", "red"), "skipped": ("skip", "blue")}
# There may be thousands of them: those that are well are one line together.
_SUMMED = ("flow_logs", "flow_log_format")


@click.command("verify")
@config_option()
@click.option("--export", "export_names", multiple=True, help="Only these exports.")
@click.option("--check", "checks", multiple=True, help="Only these checks; 'list' shows them.")
@click.option(
    "--document",
    "documents",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Look at policy documents in files instead; asks nothing of AWS.",
)
@click.option(
    "--role",
    type=click.Choice(["primary", "secondary"]),
    default="primary",
    show_default=True,
    help="With --document: whose they are.",
)
@click.option("--json", "as_json", is_flag=True, help="An object a line, with every operation that was asked.")
def verify(
    config: Path,
    export_names: tuple[str, ...],
    checks: tuple[str, ...],
    documents: tuple[Path, ...],
    role: str,
    as_json: bool,
) -> None:
    """Ask AWS and the lake whether all is as it has to be; changes nothing. Exit code 1 if a check failed."""
    from kentik_dagster.core.verification import CHECKS, Status, has_failed

    if "list" in checks:
        room = max(map(len, CHECKS))
        click.echo("\n".join(f"{name:{room}}  {asks}" for name, asks in CHECKS.items()))
        return
    unknown = [name for name in checks if name not in CHECKS]
    if unknown:
        raise click.UsageError(f"there is no check '{unknown[0]}': --check list shows them")
    findings: list[Finding] = []
    try:
        configuration = _configuration(config, export_names)
        found = (
            _of_documents(configuration, documents, role)
            if documents
            else _findings(configuration, checks or tuple(CHECKS), show_progress=not as_json)
        )
        for finding in found:
            findings.append(finding)
            _show(finding, as_json=as_json)
    except KentikDagsterError as error:
        click.secho(str(error), fg="red", err=True)
        sys.exit(1)
    if not as_json:
        for check in _SUMMED:
            number = sum(one.check == check and one.status is Status.OK for one in findings)
            if number:
                click.echo(f"{click.style('ok  ', fg='green')} {check}  {number} are as they should be")
        counts = {status: sum(one.status is status for one in findings) for status in Status}
        click.echo(", ".join(f"{count} {status}" for status, count in counts.items() if count))
    sys.exit(1 if has_failed(findings) else 0)


def _configuration(config: Path, export_names: tuple[str, ...]) -> Configuration:
    """The configuration with these exports, or with all of them."""
    from kentik_dagster.configuration_file import load_configuration
    from kentik_dagster.errors import ConfigurationError

    configuration = load_configuration(config)
    known = [export.name for export in configuration.exports]
    unknown = [name for name in export_names if name not in known]
    if unknown:
        raise ConfigurationError(str(config), [f"there is no export {unknown[0]!r}; there are {', '.join(known)}"])
    exports = tuple(one for one in configuration.exports if not export_names or one.name in export_names)
    return configuration.model_copy(update={"exports": exports})


def _of_documents(configuration: Configuration, documents: tuple[Path, ...], role: str) -> Iterator[Finding]:
    from kentik_dagster.work.verified_policies import verify_documents

    for export in configuration.exports:
        yield from verify_documents(export, documents, role)


def _findings(configuration: Configuration, checks: tuple[str, ...], *, show_progress: bool) -> Iterator[Finding]:
    from rich.console import Console

    from kentik_dagster.aws.sessions import ExportAccess
    from kentik_dagster.work.verification import verify as verified

    custom = bool(os.environ.get("AWS_ENDPOINT_URL"))
    with Console(stderr=True).status("", spinner="dots") as status:
        yield from verified(
            configuration,
            access_of=lambda export: ExportAccess(export, custom_endpoint=custom),
            clock=lambda: datetime.now(UTC),
            checks=checks,
            working=lambda text: status.update(text) if show_progress else None,
        )


def _show(finding: Finding, *, as_json: bool) -> None:
    from kentik_dagster.core.readable import harmless_text

    if as_json:
        click.echo(json.dumps(finding.as_dict(), default=str))
        return
    if finding.check in _SUMMED and finding.status == "ok":
        return
    mark, colour = _MARKS[finding.status]
    place = " ".join(part for part in (finding.region,) if part)
    where = f" ({place})" if place and finding.check != "bucket" else ""
    line = harmless_text(f"{finding.check}  {finding.subject}{where}: {finding.says}")
    click.echo(f"{click.style(f'{mark:4}', fg=colour)} {line}")
    if finding.to_do:
        click.echo(f"     -> {harmless_text(finding.to_do)}")
