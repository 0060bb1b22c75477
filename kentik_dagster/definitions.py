"""What Dagster loads: the code location of the configuration that the environment names."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from kentik_dagster.code_location import build_definitions
from kentik_dagster.configuration import Configuration
from kentik_dagster.configuration_file import load_configuration

CONFIGURATION_VARIABLE = "KENTIK_DAGSTER_CONFIG"
ENDPOINT_VARIABLE = "AWS_ENDPOINT_URL"
DEFAULT_CONFIGURATION = Path("kentik.yaml")


def configuration_path() -> Path:
    """The configuration file that the environment names."""
    return Path(os.environ.get(CONFIGURATION_VARIABLE) or DEFAULT_CONFIGURATION)


def _configuration() -> Configuration:
    """The configuration of this process; without any file, one with no exports, so that the graph can be seen."""
    path = configuration_path()
    if CONFIGURATION_VARIABLE not in os.environ and not path.exists():
        logging.getLogger(__name__).warning(
            "there is no %s, so there are no exports: copy kentik.example.yaml to it, or name another file in %s",
            path,
            CONFIGURATION_VARIABLE,
        )
        return Configuration(lake=str(Path("lake").resolve()))
    return load_configuration(path)


defs = build_definitions(_configuration(), endpoint_url=os.environ.get(ENDPOINT_VARIABLE) or None)
