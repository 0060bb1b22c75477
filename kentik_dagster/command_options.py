"""What several commands have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

CONFIGURATION_VARIABLE = "KENTIK_DAGSTER_CONFIG"
CONFIGURATION_FILE = Path("kentik.yaml")
_Command = TypeVar("_Command", bound=Callable[..., Any])


def config_option(says: str = "The configuration file.") -> Callable[[_Command], _Command]:
    """`--config`: the configuration file that a command is given as `config`."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path),
        envvar=CONFIGURATION_VARIABLE,
        default=CONFIGURATION_FILE,
        show_default=True,
        help=says,
    )
