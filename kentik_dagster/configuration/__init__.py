"""What kentik.yaml may say."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from kentik_dagster.configuration.metrics import Metrics
from kentik_dagster.configuration.values import (
    AccountId,
    BucketName,
    BucketPrefix,
    ExportName,
    ExternalId,
    Owner,
    Place,
    Region,
    RoleArn,
    RoleSuffix,
    Strict,
    hour,
    matching,
)
from kentik_dagster.errors import ConfigurationError

_LARGEST_RATE = 1_000_000


class Sampling(Strict):
    """One of `rate` flow records is kept, at random."""

    rate: Annotated[int, Field(ge=1, le=_LARGEST_RATE)]


def _sampling(value: Any) -> Any:
    if value in ("unsampled", "legacy") or isinstance(value, Sampling):
        return value
    rate = value.get("rate") if isinstance(value, dict) and len(value) == 1 else None
    if not isinstance(rate, int) or isinstance(rate, bool) or not 1 <= rate <= _LARGEST_RATE:
        raise ValueError(
            f"{value!r} is no sampling: write unsampled, legacy, or {{rate: 100}} to keep one of 100 records"
        )
    return Sampling(rate=rate)


class Export(Strict):
    """One cloud export: whom to ask, where its logs lie, and what to collect."""

    name: ExportName
    description: str = ""
    iam_role_arn: RoleArn | None = None
    external_id: ExternalId | None = None
    region: Region
    organization_role: bool = False
    secondary_accounts: tuple[AccountId, ...] = ()
    blocked_accounts: tuple[AccountId, ...] = ()
    regions_used: tuple[Region, ...] = ()
    role_suffix: RoleSuffix | None = None
    bucket: BucketName | None = None
    bucket_prefix: BucketPrefix = ""
    collect_flow_logs: bool = True
    collect_firewall_logs: bool = False
    collect_metrics: bool = True
    delete_after_read: bool = False
    notification_queue: str | None = None
    sampling: Annotated[Literal["unsampled", "legacy"] | Sampling, BeforeValidator(_sampling)] = "unsampled"
    start: Annotated[datetime, BeforeValidator(hour)]
    look_back_days: Annotated[int, Field(ge=1, le=90)] = 2
    largest_object_bytes: Annotated[int, Field(ge=1_000_000)] = 10_000_000_000
    largest_expansion: Annotated[int, Field(ge=2)] = 200

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.external_id is not None and self.iam_role_arn is None:
            raise ValueError(
                "external_id goes with iam_role_arn: name the role that asks for it, or remove external_id"
            )
        if (self.organization_role or self.secondary_accounts) and self.role_suffix is None:
            raise ValueError(
                "role_suffix is missing: name the role to assume in the other accounts, such as KentikSecondary"
            )
        if self.collects_logs and self.bucket is None:
            raise ValueError(
                "bucket is missing: name the bucket with the logs, or set collect_flow_logs: false and leave "
                "collect_firewall_logs out"
            )
        return self

    @property
    def collects_logs(self) -> bool:
        """Whether log objects are read: flow logs, firewall logs or both."""
        return self.collect_flow_logs or self.collect_firewall_logs

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions to collect: those named, else the export's own."""
        return self.regions_used or (self.region,)

    @property
    def log_folder(self) -> str:
        """`bucket_prefix` as keys begin with it: with a slash at its end, or nothing."""
        prefix = self.bucket_prefix
        return prefix if not prefix or prefix.endswith("/") else f"{prefix}/"

    @property
    def log_bucket(self) -> str:
        """The bucket with the logs, of an export that collects them."""
        if self.bucket is None:
            raise ConfigurationError("kentik.yaml", [f"export '{self.name}' names no bucket"])
        return self.bucket


_TRANSPORTS = {"tcp": 6, "udp": 17, "dccp": 33, "sctp": 132}


def _protocol(value: Any) -> Any:
    number = _TRANSPORTS.get(value.lower()) if isinstance(value, str) else value
    if value is not None and (not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= 255):
        raise ValueError(f"{value!r} is no protocol: write tcp, udp, sctp, dccp or a number from 0 to 255")
    return number


def _port_range(value: Any) -> Any:
    """The first and the last port."""
    if value is None or isinstance(value, tuple):
        return value
    text = "" if isinstance(value, bool) else str(value)
    match = re.fullmatch(r"\s*([0-9]{1,5})\s*(?:-\s*([0-9]{1,5})\s*)?", text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= first <= last <= 65_535:
        raise ValueError(f'{value!r} is no port: write a number from 1 to 65535, or a range such as "8000-8099"')
    return first, last


class Application(Strict):
    """The user's own name for what is served at a port, or at the ports from the first to the last."""

    protocol: Annotated[int, BeforeValidator(_protocol)]
    port: Annotated[tuple[int, int], BeforeValidator(_port_range)]
    name: Annotated[str, matching(r"\S(.{0,62}\S)?", "a name of 1 to 64 characters without blanks around it")]


DatabaseFile = Annotated[str, matching(r"(?!.*://).*\S.*", "the path of a local .mmdb file")]


class Geoip(Strict):
    """Databases in MaxMind's format that tell where an address is, and whose. Paths are absolute once loaded."""

    country: DatabaseFile | None = None
    autonomous_system: Annotated[DatabaseFile | None, Field(alias="as")] = None


class Configuration(Strict):
    """The whole file. `lake` is absolute once loaded: a local folder, or s3://bucket/prefix."""

    lake: Place = "./lake"
    owners: tuple[Owner, ...] = ("team:network",)
    retention_days: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    applications: tuple[Application, ...] = ()
    geoip: Geoip = Geoip()
    metrics: Metrics = Metrics()
    exports: tuple[Export, ...] = ()

    @model_validator(mode="after")
    def _a_port_has_one_name(self) -> Self:
        ordered = sorted(self.applications, key=lambda application: (application.protocol, application.port))
        for one, other in pairwise(ordered):
            if one.protocol == other.protocol and other.port[0] <= one.port[1]:
                raise ValueError(
                    f"applications: port {other.port[0]} of protocol {other.protocol} is named {one.name!r} and "
                    f"{other.name!r}: give each port one name"
                )
        return self

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [export.name for export in self.exports]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"two exports are called {doubled[0]!r}: give each a name of its own")
        # The folders below a prefix are searched too, so one prefix must not lie in another.
        places = sorted((export.bucket, _folder(export.bucket_prefix), export.name) for export in self.log_exports)
        for (bucket, folder, name), (other_bucket, other_folder, other) in pairwise(places):
            if bucket == other_bucket and other_folder.startswith(folder):
                raise ValueError(
                    f"exports {name!r} and {other!r} read the same folders of bucket {bucket!r}, and would count their "
                    "logs twice: give one of them another bucket_prefix, or collect_flow_logs: false"
                )
        return self

    def export(self, name: str) -> Export:
        """The export of that name; KeyError if there is none."""
        return {export.name: export for export in self.exports}[name]

    @property
    def application_names(self) -> dict[tuple[int, int], str]:
        """The user's own names of applications, by (protocol, port); ranges are spelled out."""
        return {
            (application.protocol, port): application.name
            for application in self.applications
            for port in range(application.port[0], application.port[1] + 1)
        }

    @property
    def log_exports(self) -> tuple[Export, ...]:
        """The exports that read log objects."""
        return tuple(export for export in self.exports if export.collects_logs)


def _folder(prefix: str) -> str:
    return f"{prefix.strip('/')}/".lstrip("/")
