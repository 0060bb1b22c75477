"""The command line: `kentik-dagster run`, `demo` and `dev`."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from kentik_dagster.command_options import CONFIGURATION_FILE, CONFIGURATION_VARIABLE, config_option
from kentik_dagster.errors import KentikDagsterError
from kentik_dagster.run_environment import set_run_environment
from kentik_dagster.setup_command import setup
from kentik_dagster.sql_command import sql
from kentik_dagster.status_command import status
from kentik_dagster.verify_command import verify

if TYPE_CHECKING:
    from kentik_dagster.demo.emulator_process import Emulator

# Dagster and Polars take seconds to import; a command imports what it needs, so that --help answers at once.

_NAME = "kentik-dagster"
DEMO_FOLDER = Path(".demo")
_console = Console()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """AWS network visibility as a Dagster code location."""
    set_run_environment()  # before Polars is imported


@main.command()
@config_option()
def run(config: Path) -> None:
    """One pass without a daemon: collect, ingest, enrich, sweep; exit code 1 if anything failed."""
    with _errors_in_one_line():
        from kentik_dagster.configuration_file import load_configuration

        configuration = load_configuration(config)
        from kentik_dagster.code_location import build_definitions
        from kentik_dagster.one_pass import AFTER_SENSORS, BEFORE_SENSORS, OnePass, dagster_instance, progress_logger

        _quiet()
        with _progress() as working, dagster_instance(config.resolve().parent / ".dagster") as instance:
            definitions = build_definitions(
                configuration,
                endpoint_url=os.environ.get("AWS_ENDPOINT_URL") or None,
                loggers={"progress": progress_logger(working)},
            )
            one_pass = OnePass(definitions, instance, tell=_tell, working=working)
            one_pass.ask_schedules(BEFORE_SENSORS)
            one_pass.ask_sensors()
            one_pass.ask_schedules(AFTER_SENSORS)
        _end(one_pass.failures)


@main.command()
@click.option(
    "--folder", type=click.Path(path_type=Path), default=DEMO_FOLDER, show_default=True, help="Where the demo lives."
)
def demo(folder: Path) -> None:
    """The main job over a made-up organization in an embedded AWS emulator; needs no AWS account."""
    with _errors_in_one_line():
        _quiet()
        from kentik_dagster.demo.story import demo_emulator, demo_folder, run_demo
        from kentik_dagster.demo.summary import summary
        from kentik_dagster.lake.tables import Lake

        place = demo_folder(folder, datetime.now(UTC))
        with _progress() as working:
            working("starting the AWS emulator and building the organization")
            with demo_emulator(place) as emulator:
                _tell(_organization(emulator))
                failures = run_demo(place, emulator, tell=_tell, working=working)
        _console.print()
        _console.print(summary(Lake(str(place.path / "lake"))))
        _console.print(f"\nThe Delta tables lie in {place.path / 'lake'}", soft_wrap=True)
        _console.print(f"How every export and account is: {place.path / 'lake' / 'status.html'}", soft_wrap=True)
        ask = f"{_program()} sql --config {folder / 'kentik.yaml'}"
        _console.print(f"Ask them: {ask} 'SELECT * FROM top_talkers'; {ask} --list names all views", soft_wrap=True)
        _console.print("Next: [bold]make dev[/bold] opens them, their lineage and backfills in the Dagster UI.")
        _end(failures)


@main.command()
@click.option("--port", default=3000, show_default=True, help="Port of the Dagster UI, on 127.0.0.1.")
@click.option(
    "--folder", type=click.Path(path_type=Path), default=DEMO_FOLDER, show_default=True, help="Where the demo lives."
)
def dev(port: int, folder: Path) -> None:
    """The Dagster UI on your kentik.yaml; without one, on the demo's organization."""
    with _errors_in_one_line(), contextlib.ExitStack() as stack:
        config = Path(os.environ.get(CONFIGURATION_VARIABLE) or CONFIGURATION_FILE)
        from kentik_dagster.one_pass import make_home

        environment = dict(os.environ)
        if CONFIGURATION_VARIABLE in os.environ or config.exists():
            home = config.resolve().parent / ".dagster"
        else:
            from kentik_dagster.demo.story import demo_configuration, demo_emulator, demo_folder

            place = demo_folder(folder, datetime.now(UTC))
            _tell(f"no {config} here: starting the demo's organization")
            emulator = stack.enter_context(demo_emulator(place))
            demo_configuration(place, emulator)
            config, home = place.configuration_path, place.dagster_home
            environment |= emulator.environment()
        if not environment.get("DAGSTER_HOME"):
            make_home(home)
            environment["DAGSTER_HOME"] = str(home.resolve())
        environment[CONFIGURATION_VARIABLE] = str(config.resolve())
        _tell(f"the Dagster UI will be at http://127.0.0.1:{port}; Ctrl-C ends it")
        command = [
            sys.executable,
            "-m",
            "dagster",
            "dev",
            "-m",
            "kentik_dagster.definitions",
            "-h",
            "127.0.0.1",
            "-p",
            str(port),
        ]
        # A shell's background job ignores SIGINT, and Dagster would then ignore SIGTERM too.
        process = subprocess.Popen(
            command, env=environment, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
        )
        stack.callback(_ended, process)
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        with contextlib.suppress(KeyboardInterrupt):
            process.wait()


def _ended(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
    process.wait()


def _organization(emulator: Emulator) -> str:
    counts = emulator.organization
    return (
        f"a made-up organization: {counts['accounts']} accounts, {counts['vpcs']} VPCs, {counts['interfaces']} "
        f"interfaces; {counts['objects']} log objects with {counts['records']:,} flow records"
    )


def _program() -> str:
    """This program, as it was called."""
    return sys.argv[0] if Path(sys.argv[0]).name == _NAME else _NAME


def _tell(text: str) -> None:
    _console.print(f"[green]*[/green] {text}", highlight=False, soft_wrap=True)


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    with _console.status("starting") as status:
        yield status.update


def _end(failures: list[str]) -> None:
    for failure in failures:
        _console.print(f"failed: {failure}", style="red", markup=False, highlight=False, soft_wrap=True)
    if failures:
        sys.exit(1)


@contextlib.contextmanager
def _errors_in_one_line() -> Iterator[None]:
    """What went wrong and what to do, instead of a traceback; bugs keep theirs."""
    try:
        yield
    except KentikDagsterError as error:
        _console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)


def _quiet() -> None:
    """Dagster's warnings about its own beta parameters are for us, not for the user of a command."""
    import warnings

    import dagster as dg

    warnings.simplefilter("ignore", dg.BetaWarning)
    warnings.simplefilter("ignore", dg.PreviewWarning)


main.add_command(sql)
main.add_command(status)
main.add_command(verify)
main.add_command(setup)

if __name__ == "__main__":
    main()
