"""What a check of the AWS side found: one sentence, and one that says what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"  # it works, and something about it should be known
    FAILED = "failed"
    SKIPPED = "skipped"  # it could not be asked, because of another failure, or was not asked for


# What each check asks.
CHECKS: Mapping[str, str] = MappingProxyType({
    "ambient_identity": "who this process is to AWS",
    "lake": "the lake takes commits: a conditional write is refused where somebody else was faster",
    "primary_role": "the export's role can be assumed",
    "external_id": "the export's role cannot be assumed without the external id",
    "policies": "the role's policies, where they can be read, grant what is needed and no more",
    "region": "the export's regions exist, and are enabled",
    "organization": "the organization tells its accounts",
    "secondary_account": "the role in each other account can be assumed",
    "metadata": "the operations of network metadata are permitted",
    "metrics": "CloudWatch tells its metrics",
    "bucket": "the log bucket can be listed",
    "log_object": "a log object can be read and decoded",
    "deletion": "log objects may be deleted",
    "queue": "messages of the queue may be received and deleted",
    "queue_feed": "the bucket feeds the queue",
    "flow_logs": "VPCs, transit gateways and firewalls send logs that the export reads",
    "flow_log_format": "flow logs have the fields that the tables are made from",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found of one thing.

    Attributes:
        check: of CHECKS.
        subject: what was looked at: an ARN, a bucket, an account, a VPC.
        says: what is so.
        to_do: what to do about it; empty where there is nothing to do.
        details: what a program may want to know besides, such as each operation and its outcome.
    """

    check: str
    subject: str
    status: Status
    says: str
    to_do: str = ""
    export: str | None = None
    account_id: str | None = None
    region: str | None = None
    details: tuple[Mapping[str, Any], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The finding for machines; empty keys are left out."""
        values = asdict(self) | {"status": str(self.status), "details": [dict(one) for one in self.details]}
        return {key: value for key, value in values.items() if value not in (None, "", [])}


def has_failed(findings: Iterable[Finding]) -> bool:
    """Whether any check failed."""
    return any(finding.status is Status.FAILED for finding in findings)
