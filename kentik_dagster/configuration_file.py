"""Reading kentik.yaml, and a clear answer where it says something that it may not."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from kentik_dagster.configuration import Application, Configuration, Export, Geoip
from kentik_dagster.configuration.metrics import MetricRule, Metrics
from kentik_dagster.configuration.values import Strict
from kentik_dagster.errors import ConfigurationError


class _Loader(yaml.SafeLoader):
    """YAML in which no key hides another, and an impossible date is text, which our own check then names."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        doubled = next((key for key, _ in node.value if keys.count(key.value) > 1), None)
        if doubled is not None:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key '{doubled.value}' stands there twice: remove one", doubled.start_mark
            )
        return super().construct_mapping(node, deep)

    def construct_date(self, node: yaml.ScalarNode) -> Any:
        try:
            return super().construct_yaml_timestamp(node)
        except ValueError:
            return self.construct_scalar(node)


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _Loader.construct_date)


def load_configuration(path: Path) -> Configuration:
    """Read and check a configuration file.

    Raises:
        ConfigurationError: it is missing, is no YAML, or says something that it may not; each mistake
            names the key and what to write.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigurationError(
            str(path),
            ["there is no such file. Copy kentik.example.yaml there, or name another file in KENTIK_DAGSTER_CONFIG."],
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(path), [f"the file cannot be read: {error}"]) from error
    return configuration_of(text, path)


def configuration_of(text: str, path: Path) -> Configuration:
    """Check the text of a configuration file that lies, or will lie, at a path.

    Raises:
        ConfigurationError: as `load_configuration`.
    """
    try:
        document = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split()).replace(' in "<unicode string>",', ",")
        raise ConfigurationError(str(path), [f"the file is not YAML: {reason}"]) from error
    if not isinstance(document, dict):
        raise ConfigurationError(str(path), ["the file holds no keys: it needs `exports:`; see kentik.example.yaml"])
    try:
        configuration = Configuration.model_validate(document)
    except ValidationError as error:
        raise ConfigurationError(str(path), list(_problems(error, document))) from error
    lake, geoip = configuration.lake, configuration.geoip
    places = {
        "lake": lake if lake.startswith("s3://") else _absolute(lake, path),
        "geoip": geoip.model_copy(update={key: _absolute(file, path) for key, file in geoip if file is not None}),
    }
    return configuration.model_copy(update=places)


def _absolute(place: str, path: Path) -> str:
    """A path as the configuration file means it: from the folder that the file is in."""
    return str((path.parent / Path(place).expanduser()).resolve())


# The parts of the file that have keys of their own, and how such a part is written.
_PARTS: dict[str, tuple[type[Strict], str]] = {
    "exports": (Export, "this is an export: write its keys, beginning with `- name: ...`"),
    "applications": (Application, "this is an application: write it as {protocol: tcp, port: 9092, name: kafka}"),
    "metrics": (Metrics, "these are keys: write `budget_per_run:`, `rules:` and so on; see docs/metrics.md"),
    "geoip": (Geoip, "these are keys: write `country:` and `as:`, each with the path of a .mmdb file"),
}

# What to write where pydantic only says what it expected.
_EXPECTED = {
    "tuple_type": "this is a list: write [a, b], or each item on a line of its own after '- '",
    "string_type": "this is text, and YAML reads it as something else: put quotes around it",
    "bool_parsing": "write true or false",
    "bool_type": "write true or false",
    "int_parsing": "write a whole number",
    "int_type": "write a whole number",
    "int_from_float": "write a whole number",
    "invalid_key": "there is no such key",
}


def _problems(error: ValidationError, document: dict[str, Any]) -> Iterator[str]:
    for problem in error.errors(include_url=False):
        where = _where(problem["loc"], document)
        key = str(problem["loc"][-1]) if problem["loc"] else ""
        match problem["type"]:
            case "extra_forbidden":
                known = _keys(problem["loc"])
                near = difflib.get_close_matches(key, known, n=1)
                yield f"{where}: there is no such key. " + (
                    f"Did you mean '{near[0]}'?" if near else f"The keys are {', '.join(known)}."
                )
            case "missing":
                yield f"{where}: this key is missing; see kentik.example.yaml for a value"
            case "value_error":
                text = problem["msg"].removeprefix("Value error, ")
                yield f"{where}: {text}" if where else text
            case _ if problem["input"] is None:
                yield f"{where}: there is no value: write one, or leave the key out; see kentik.example.yaml"
            case "model_type" if problem["loc"][:2] == ("metrics", "rules"):
                yield f"{where}: this is a rule: write it as {{namespace: AWS/S3, collect: false}}"
            case "model_type" if problem["loc"] and problem["loc"][0] in _PARTS:
                yield f"{where}: {_PARTS[str(problem['loc'][0])][1]}"
            case expected if expected in _EXPECTED:
                yield f"{where}: {_EXPECTED[expected]}"
            case _:
                yield f"{where}: {problem['msg'][0].lower()}{problem['msg'][1:]}"


def _keys(location: Sequence[int | str]) -> list[str]:
    """The keys that may stand where an unknown one stands, as the file spells them."""
    within = _PARTS[str(location[0])][0] if len(location) > 1 and location[0] in _PARTS else Configuration
    if location[:2] == ("metrics", "rules"):
        within = MetricRule
    return [field.alias or name for name, field in within.model_fields.items()]


def _where(location: Sequence[int | str], document: dict[str, Any]) -> str:
    """The place as a person finds it: an export by its name where it has one."""
    parts: list[str] = []
    for index, step in enumerate(location):
        if isinstance(step, int) and index > 0 and location[index - 1] == "exports":
            export = document["exports"][step]
            name = export.get("name") if isinstance(export, dict) else None
            parts[-1] = f"exports[{name if isinstance(name, str) else step}]"
        elif isinstance(step, int) and parts:
            parts[-1] += f"[{step}]"
        else:
            parts.append(str(step))
    return ".".join(parts)
