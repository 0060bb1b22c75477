"""Imports go one way: every import of every file is read, and compared with what its room may use."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("kentik_dagster", "assets", "resources")


@dataclass(frozen=True, slots=True)
class Room:
    """A folder or a file, and what it may import.

    Attributes:
        rooms: rooms of ours, besides itself.
        libraries: packages of others; the standard library is free to all.
        denied: modules of the standard library that are not free to this room after all.
        calls: names of functions that it must not call.
    """

    place: str
    rooms: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()


_FRAMES = ("polars", "pyarrow")
_PURE = ("errors", "catalog")
_EDGES = ("aws", "lake")
_STEPS = (*_PURE, "core", "configuration", *_EDGES, "work")
_COMMANDS = (
    *_STEPS,
    "configuration_file",
    "resources",
    "assets",
    "code_location",
    "definitions",
    "run_environment",
    "one_pass",
)

# A room of ours is named by its folder or module in kentik_dagster, or by its top-level package.
# fmt: off
ROOMS = (
    Room("kentik_dagster/__init__.py", denied=("*",)),
    Room("kentik_dagster/errors.py"),
    Room("kentik_dagster/configuration", _PURE, ("pydantic",)),
    Room("kentik_dagster/configuration_file.py", ("errors", "configuration"), ("pydantic", "yaml")),
    Room("kentik_dagster/catalog", ("errors",), ("pyarrow",)),
    Room("kentik_dagster/core", _PURE, ("jmespath", "numpy", *_FRAMES),
         denied=("os", "time", "socket", "random", "subprocess", "pathlib", "shutil", "tempfile", "urllib.request"),
         calls=("now", "utcnow", "today", "open")),
    Room("kentik_dagster/aws", (*_PURE, "core", "configuration"),
         ("boto3", "botocore", "jmespath", "isal", "urllib3", *_FRAMES)),
    Room("kentik_dagster/lake", (*_PURE, "core"), ("deltalake", *_FRAMES)),
    Room("kentik_dagster/work", (*_STEPS, "setup"), ("maxminddb", *_FRAMES)),
    Room("resources", (*_PURE, "core", "configuration", *_EDGES), ("dagster", "pydantic")),
    Room("assets", (*_STEPS, "resources"), ("dagster", "pydantic", "polars")),
    Room("kentik_dagster/code_location.py", ("errors", "configuration", "assets", "resources"), ("dagster",)),
    Room("kentik_dagster/celery_launcher.py", libraries=("dagster", "dagster_celery")),
    Room("kentik_dagster/event_log.py", libraries=("dagster",)),
    Room("kentik_dagster/run_environment.py"),
    Room("kentik_dagster/definitions.py", ("errors", "configuration", "configuration_file", "code_location"),
         ("dagster",)),
    Room("kentik_dagster/one_pass.py", (*_STEPS, "resources", "assets", "code_location", "run_environment"),
         ("dagster", "rich")),
    Room("kentik_dagster/demo", (*_COMMANDS, "setup"),
         ("boto3", "botocore", "dagster", "isal", "moto", "rich", "time_machine", "werkzeug", *_FRAMES)),
    Room("kentik_dagster/setup", (*_PURE, "configuration")),
    Room("kentik_dagster/command_options.py", libraries=("click",)),
    Room("kentik_dagster/setup_command.py",
         (*_PURE, "configuration", "configuration_file", "aws", "setup", "command_options"), ("click", "yaml")),
    Room("kentik_dagster/status_command.py", (*_STEPS, "configuration_file", "command_options"), ("click", "polars")),
    Room("kentik_dagster/verify_command.py", (*_STEPS, "setup", "configuration_file", "command_options"),
         ("click", "rich")),
    Room("kentik_dagster/sql_command.py", (*_PURE, "core", "lake", "configuration_file", "command_options"),
         ("click", *_FRAMES)),
    Room("kentik_dagster/cli.py",
         (*_COMMANDS, "demo", "command_options", "setup_command", "sql_command", "status_command", "verify_command"),
         ("click", "dagster", "rich", *_FRAMES)),
)
# fmt: on


def complaints(file: str, source: str) -> Iterator[str]:
    """What a file imports or calls that its room may not: the file, the import, and what the room may use."""
    room = next((room for room in ROOMS if file == room.place or file.startswith(f"{room.place}/")), None)
    if room is None:
        yield f"{file} is in no room: give it a row in ROOMS"
        return
    itself = _room_of(room.place.removesuffix(".py").replace("/", "."))
    for line, module in _imports(file, source):
        top = module.split(".")[0]
        if top in PACKAGES:
            allowed = _room_of(module) in {itself, *room.rooms} and "*" not in room.denied
        elif top in sys.stdlib_module_names:
            allowed = (
                not any(f"{module}.".startswith(f"{denied}.") for denied in room.denied) and "*" not in room.denied
            )
        else:
            allowed = top in room.libraries
        if not allowed:
            yield (
                f"{file}:{line} imports {module}. {room.place} may import "
                f"{', '.join((*room.rooms, *room.libraries)) or 'nothing of ours and no library'}"
                + (f", and of the standard library not {', '.join(room.denied)}" if room.denied else "")
            )
    for line, name in _calls(source):
        if name in room.calls:
            yield f"{file}:{line} calls {name}(). {room.place} has no clock and no disk: take it as an argument"


def _room_of(module: str) -> str:
    """`core` for kentik_dagster.core.metrics, `assets` for assets.metrics, empty for kentik_dagster itself."""
    parts = module.split(".")
    return parts[0] if parts[0] != "kentik_dagster" else ".".join(parts[1:2])


def _imports(file: str, source: str) -> Iterator[tuple[int, str]]:
    """Every import of a file, also inside functions and for type checkers only, by its absolute name."""
    package = file.removesuffix(".py").split("/")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            # `from kentik_dagster import core` imports kentik_dagster.core.
            is_namespace = module in ("kentik_dagster", "urllib")
            names = [f"{module}.{alias.name}" for alias in node.names] if is_namespace else [module]
            yield from ((node.lineno, name) for name in names)
        elif isinstance(node, ast.Call) and _name(node.func) in ("import_module", "__import__"):
            yield node.lineno, str(node.args[0].value) if isinstance(node.args[0], ast.Constant) else "what it likes"


def _calls(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            yield node.lineno, _name(node.func)


def _name(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _files() -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("file", _files())
def test_a_file_imports_only_what_its_room_may(file: str) -> None:
    source = (ROOT / file).read_text(encoding="utf-8")

    assert list(complaints(file, source)) == []


@pytest.mark.parametrize(
    ("file", "source", "complaint"),
    [
        ("kentik_dagster/core/metrics.py", "import boto3", "core/metrics.py:1 imports boto3. kentik_dagster/core may"),
        ("kentik_dagster/core/metrics.py", "def f():\n    import os.path", "core/metrics.py:2 imports os.path"),
        ("kentik_dagster/core/metrics.py", "from ..aws import calls", "imports kentik_dagster.aws"),
        ("kentik_dagster/core/metrics.py", "from urllib import request", "imports urllib.request"),
        ("kentik_dagster/core/metrics.py", "from kentik_dagster import lake", "imports kentik_dagster.lake"),
        ("kentik_dagster/core/metrics.py", "datetime.now(UTC)", "metrics.py:1 calls now()"),
        ("kentik_dagster/core/metrics.py", "importlib.import_module('boto3')", "imports boto3"),
        ("kentik_dagster/lake/files.py", "import kentik_dagster.aws.calls", "imports kentik_dagster.aws.calls"),
        ("kentik_dagster/work/sweep.py", "import deltalake", "imports deltalake"),
        ("kentik_dagster/work/sweep.py", "from dagster import asset", "imports dagster"),
        (
            "kentik_dagster/catalog/columns.py",
            "import polars as pl",
            "kentik_dagster/catalog may import errors, pyarrow",
        ),
        ("kentik_dagster/__init__.py", "import logging", "imports logging"),
        ("kentik_dagster/errors.py", "import yaml", "may import nothing of ours and no library"),
        ("kentik_dagster/aws/calls.py", "from kentik_dagster.demo import story", "imports kentik_dagster.demo"),
        ("assets/metrics.py", "import boto3", "imports boto3"),
        ("assets/metrics.py", "import kentik_dagster.demo.story", "imports kentik_dagster.demo.story"),
        ("resources/lake.py", "from assets.metrics import metric_assets", "imports assets.metrics"),
        ("kentik_dagster/demo/story.py", "import tests.conftest", "imports tests.conftest"),
        ("kentik_dagster/attic/old.py", "", "is in no room: give it a row in ROOMS"),
    ],
)
def test_an_import_that_breaks_the_law_is_named(file: str, source: str, complaint: str) -> None:
    (found,) = complaints(file, source)

    assert complaint in found


@pytest.mark.parametrize(
    ("library", "rooms"),
    [
        ("boto3", {"kentik_dagster/aws", "kentik_dagster/demo"}),
        ("deltalake", {"kentik_dagster/lake"}),
        ("moto", {"kentik_dagster/demo"}),
    ],
)
def test_a_library_has_its_own_room(library: str, rooms: set[str]) -> None:
    assert {room.place for room in ROOMS if library in room.libraries} == rooms


def test_the_demo_is_known_to_the_command_line_only() -> None:
    assert {room.place for room in ROOMS if "demo" in room.rooms} == {"kentik_dagster/cli.py"}


def test_every_room_of_the_law_is_there() -> None:
    assert [room.place for room in ROOMS if not (ROOT / room.place).exists()] == []


def test_no_module_is_named_after_nothing() -> None:
    names = {Path(file).stem: file for file in _files()}

    assert not names.keys() & {"util", "utils", "common", "helper", "helpers", "misc"}


@pytest.mark.parametrize("package", ["assets", "resources"])
def test_only_this_distribution_provides_our_generic_packages(package: str) -> None:
    assert set(packages_distributions()[package]) == {"kentik-dagster"}
