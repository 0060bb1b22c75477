"""An organization in the emulator, its AWS side as `kentik-dagster setup` writes it, and IAM that holds everybody "
"to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import pytest

from kentik_dagster.aws.regions import partition_of
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.configuration import Configuration
from kentik_dagster.core.verification import CHECKS, Finding
from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.setup.choices import Choices, Encryption
from kentik_dagster.setup.folder import files_of
from kentik_dagster.work.verification import verify
from tests.setup.enforcing import Enforcing, Role

HOME = "us-east-1"
COLLECTOR = "arn:aws:iam::444444444444:role/dagster"
LOG_KEY = "arn:aws:kms:us-east-1:123456789012:key/99999999-2222-3333-4444-555555555555"
ORGANIZATION = "o-exampleorgid"
_numbers = count(1)

Documents = dict[str, dict[str, Any]]


@dataclass
class Deployed:
    """One export with its policies; `enforcing` refuses what they do not allow."""

    configuration: Configuration
    documents: Documents
    enforcing: Enforcing

    def findings(self, *checks: str) -> list[Finding]:
        """What `verify` says; of these checks alone if any are named."""
        return list(
            verify(
                self.configuration,
                access_of=lambda export: ExportAccess(export, custom_endpoint=True),
                clock=lambda: datetime.now(UTC),
                checks=checks or CHECKS,
            )
        )


@contextmanager
def organization(place: Path) -> Iterator[Emulator]:
    """A small organization with flow logs of the last minutes."""
    start = datetime.now(UTC) - timedelta(minutes=30)
    start = start.replace(minute=start.minute // 5 * 5, second=0, microsecond=0)
    with Emulator(
        start=start,
        minutes=5,
        folder=place,
        bucket="acme-flow-logs",
        interfaces=24,
        member_accounts=2,
        records_per_object=50,
    ) as running:
        yield running


_kept: dict[str, dict[str, bytes]] = {}


def _put_back_what_was_deleted(emulator: Emulator) -> None:
    """Deployments share the organization's log objects, and some of them delete them."""
    s3, bucket = boto3.client("s3"), emulator.organization["bucket"]
    if emulator.endpoint_url not in _kept:
        keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]]
        _kept[emulator.endpoint_url] = {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}
    for key, body in _kept[emulator.endpoint_url].items():
        s3.put_object(Bucket=bucket, Key=key, Body=body)


@contextmanager
def deployed(emulator: Emulator, place: Path, **features: Any) -> Iterator[Deployed]:
    """The export of the organization with these features; AWS is reached through IAM alone.

    Args:
        features: `others` (organization, named, none), `metrics`, `deletion`, `key`, `queue`, `on_s3`, `role`.
    """
    chosen = {
        "others": "organization", "metrics": True, "deletion": True, "key": True, "queue": True, "on_s3": True,
        "role": True,
    } | features  # fmt: skip
    with pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            environment.delenv(name, raising=False)
        for name, value in emulator.environment().items():
            environment.setenv(name, value)
        _put_back_what_was_deleted(emulator)
        configuration = _configuration(emulator, place, chosen)
        documents = _documents(configuration, chosen)
        queue = configuration.exports[0].notification_queue
        if queue is not None:
            policy = json.dumps(documents["queue-policy"])
            boto3.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
        with _enforced(emulator, configuration, documents, chosen) as enforcing:
            environment.setenv("AWS_ENDPOINT_URL", enforcing.url)
            yield Deployed(configuration, documents, enforcing)


def _configuration(emulator: Emulator, place: Path, chosen: Mapping[str, Any]) -> Configuration:
    made = emulator.organization
    s3, name = boto3.client("s3"), f"acme-{next(_numbers)}-{place.name[-20:].replace('_', '-').lower().strip('-')}"
    export: dict[str, Any] = {
        "name": "acme", "region": HOME, "regions_used": [HOME], "bucket": made["bucket"],
        "collect_metrics": chosen["metrics"], "delete_after_read": chosen["deletion"],
        "start": (datetime.now(UTC) - timedelta(days=1)).isoformat(),
    }  # fmt: skip
    if chosen["role"]:
        export |= {"iam_role_arn": made["primary_role_arn"], "external_id": "4f1c-unique"}
    if chosen["others"] != "none":
        export["role_suffix"] = made["secondary_role_name"]
    if chosen["others"] == "organization":
        export["organization_role"] = True
    if chosen["others"] == "named":
        export["secondary_accounts"] = [one for one in made["account_ids"] if one != made["management_account_id"]]
    if chosen["queue"]:
        sqs = boto3.client("sqs")
        export["notification_queue"] = sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = f"arn:aws:sqs:{HOME}:{made['management_account_id']}:{name}"
        notified = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}
        s3.put_bucket_notification_configuration(
            Bucket=made["bucket"], NotificationConfiguration={"QueueConfigurations": [notified]}
        )
    lake = str(place / "lake")
    if chosen["on_s3"]:
        s3.create_bucket(Bucket=f"{name}-lake")
        lake = f"s3://{name}-lake/kentik"
    return Configuration.model_validate({"lake": lake, "exports": [export]})


def _documents(configuration: Configuration, chosen: Mapping[str, Any]) -> Documents:
    choices = Choices(
        export=configuration.exports[0],
        lake=configuration.lake,
        collector_arn=COLLECTOR if chosen["role"] else "arn:aws:iam::123456789012:role/dagster",
        organization_id=ORGANIZATION if chosen["others"] == "organization" else None,
        encryption=Encryption.SSE_KMS if chosen["key"] else Encryption.SSE_S3,
    )
    files = files_of(choices, partition_of)
    return {Path(name).stem: json.loads(text) for name, text in files.items() if name.startswith("policies/")}


def _enforced(
    emulator: Emulator, configuration: Configuration, documents: Documents, chosen: Mapping[str, Any]
) -> Enforcing:
    export = configuration.exports[0]
    roles = {}
    if chosen["role"]:
        roles[export.iam_role_arn or ""] = Role(documents["primary-trust"], held(documents, "primary"))
    for account_id in emulator.organization["account_ids"] if chosen["others"] != "none" else ():
        arn = f"arn:aws:iam::{account_id}:role/{export.role_suffix}"
        roles[arn] = Role(documents["secondary-trust"], held(documents, "secondary"))
    return Enforcing(
        endpoint_url=emulator.endpoint_url,
        ambient=COLLECTOR if chosen["role"] else "arn:aws:iam::123456789012:role/dagster",
        policies=held(documents, "collector"),
        roles=roles,
        context={"aws:PrincipalOrgID": ORGANIZATION, "aws:ResourceOrgID": ORGANIZATION},
        log_key=(export.log_bucket, LOG_KEY) if chosen["key"] else None,
    )


def held(documents: Documents, holder: str) -> list[Mapping[str, Any]]:
    """The identity policies of a role or of the collector."""
    return [document for name, document in documents.items() if name.startswith(f"{holder}-a")]
