"""Checks of what an export reads: bucket, a real object, deletion, queue, and whether the networks send logs there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from kentik_dagster.aws.flow_logs import LogBucket
from kentik_dagster.aws.log_probes import (
    Refusal,
    bucket_region,
    deletion_refusal,
    message_deletion_refusal,
    newest_objects,
    notifications_of,
    queue_attributes,
    receiving_refusal,
)
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.configuration import Configuration
from kentik_dagster.core.log_coverage import log_coverage
from kentik_dagster.core.schemas import no_rows
from kentik_dagster.core.verification import Finding, Status
from kentik_dagster.core.verified_logs import coverage_findings, format_findings
from kentik_dagster.errors import BucketError, UnreadableObjectError
from kentik_dagster.work.metadata import Snapshot
from kentik_dagster.work.reading import parsed_parts

# One that is read to see whether it can be.
_LARGEST_READ_BYTES = 50_000_000


def verify_bucket(access: ExportAccess, now: datetime) -> Iterator[Finding]:
    """Whether the bucket is where the export says, can be listed, and a log object of it can be read."""
    export = access.export
    bucket = export.log_bucket
    region = bucket_region(access)
    if isinstance(region, str) and region != export.region:
        yield Finding(
            check="bucket",
            subject=f"s3://{bucket}",
            status=Status.WARNING,
            says=f"it is in {region}, and the export's region is {export.region}",
            to_do=f"write region: {region}; meanwhile requests are sent twice, and traffic between regions is billed",
            export=export.name,
            region=region,
        )
    logs = LogBucket(access)
    try:
        folders = logs.day_parents()
    except BucketError as error:
        says, _, to_do = str(error).partition("). ")
        yield _of_bucket(access, "bucket", Status.FAILED, f"{says})", to_do)
        yield _of_bucket(access, "log_object", Status.SKIPPED, "the bucket cannot be listed")
        return
    yield _of_bucket(access, "bucket", Status.OK, f"it can be listed, with logs in {len(folders)} folders of days")
    days = [(now - timedelta(days=back)).date() for back in range(export.look_back_days + 1)]
    found = next(newest_objects(logs, days), None)
    if found is None:
        yield _of_bucket(
            access,
            "log_object",
            Status.WARNING,
            f"there is none of the last {len(days)} days below s3://{bucket}/{export.log_folder}",
            "wait a quarter of an hour after flow logs were created; then look at flow_logs below, and at "
            "bucket_prefix",
        )
        return
    readable = found.filter(pl.col("size_bytes") <= _LARGEST_READ_BYTES).sort("posted_at", descending=True)
    row = (readable if readable.height else found.sort("size_bytes")).row(0, named=True)
    yield _read(access, logs, row)


def verify_deletion(access: ExportAccess) -> Finding:
    """Whether log objects may be deleted, where the export asks for it."""
    export = access.export
    if not export.delete_after_read:
        return _of_bucket(access, "deletion", Status.SKIPPED, "delete_after_read is false: nothing is deleted")
    refusal = deletion_refusal(access)
    if refusal is None:
        return _of_bucket(access, "deletion", Status.OK, "log objects may be deleted; nothing was")
    to_do = (
        f"grant s3:DeleteObject on {_arn(access)}/{export.log_folder}AWSLogs/* to "
        f"{_reader(access)}, and "
        "see that no bucket policy denies it"
    )
    return _of_bucket(access, "deletion", Status.FAILED, _said(refusal), to_do)


def verify_queue(access: ExportAccess) -> Iterator[Finding]:
    """Whether the queue gives its messages, and whether the bucket feeds it."""
    export = access.export
    url = export.notification_queue or ""
    for action, refusal in (
        ("sqs:ReceiveMessage", receiving_refusal(access)),
        ("sqs:DeleteMessage", message_deletion_refusal(access)),
    ):
        if refusal is not None:
            to_do = f"grant {action} on the queue to {_reader(access)}"
            if "NonExistentQueue" in refusal.code or refusal.code in ("QueueDoesNotExist", "InvalidAddress"):
                to_do = f"correct notification_queue of export '{export.name}'"
            yield Finding(
                check="queue", subject=url, status=Status.FAILED, says=_said(refusal), to_do=to_do, export=export.name
            )
            break
    else:
        yield Finding(
            check="queue",
            subject=url,
            status=Status.OK,
            says="messages may be received and deleted",
            export=export.name,
        )
    yield _feed(access, url)


def verify_flow_logs(
    configuration: Configuration, access: ExportAccess, snapshots: Mapping[str, Snapshot]
) -> Iterator[Finding]:
    """Which networks send logs that are read, and with which fields."""
    export = access.export
    if not snapshots:
        return
    calls = pl.concat(snapshot.calls for snapshot in snapshots.values())
    columns = no_rows(TABLES["metadata_changes"]).drop("change", "observed_at").columns
    state = pl.concat(snapshot.seen.select(columns) for snapshot in snapshots.values())
    state = state.filter(pl.col("region").is_in(list(export.regions)))
    places = [(one.log_bucket, one.log_folder) for one in configuration.log_exports if one.collect_flow_logs]
    firewalls = [(one.log_bucket, one.log_folder) for one in configuration.log_exports if one.collect_firewall_logs]
    kinds = ["vpc", "transit_gateway"] * export.collect_flow_logs + ["firewall"] * export.collect_firewall_logs
    coverage = log_coverage(state, calls, places, firewalls).filter(pl.col("resource_type").is_in(kinds))
    yield from coverage_findings(coverage, export.name)
    read = coverage.filter(pl.col("coverage") == "read")["flow_log_ids"].explode().drop_nulls()
    yield from format_findings(state, frozenset(read), export.name)


def _read(access: ExportAccess, logs: LogBucket, row: Mapping[str, Any]) -> Finding:
    key = str(row["key"])
    try:
        parts = list(parsed_parts(logs, row))
    except UnreadableObjectError as error:
        says, _, to_do = str(error).partition(": ")
        return _of_bucket(access, "log_object", Status.FAILED, f"{key}: {says}", to_do)
    rows = sum(part.rows.height for part in parts)
    rejected = sum(part.rejected.height for part in parts)
    if rejected and not rows:
        reason = next(part.rejected for part in parts if part.rejected.height)["reason"][0]
        to_do = "look at the object; what writes there besides AWS needs a folder of its own"
        return _of_bucket(access, "log_object", Status.FAILED, f"{key}: no line can be read: {reason}", to_do)
    lines = f", and {rejected} lines that cannot be read" if rejected else ""
    return _of_bucket(access, "log_object", Status.OK, f"{key} gave {rows} rows{lines}")


def _feed(access: ExportAccess, url: str) -> Finding:
    export = access.export
    bucket = f"s3://{export.log_bucket}"
    attributes, configured = queue_attributes(access), notifications_of(access)
    for action, answer in (("sqs:GetQueueAttributes", attributes), ("s3:GetBucketNotification", configured)):
        if isinstance(answer, Refusal):
            says = f"whether {bucket} feeds the queue cannot be seen: {_said(answer)}"
            to_do = f"grant {action} to {_reader(access)}"
            return Finding(
                check="queue_feed", subject=url, status=Status.FAILED, says=says, to_do=to_do, export=export.name
            )
    assert not isinstance(attributes, Refusal)
    assert not isinstance(configured, Refusal)
    arn = attributes.get("QueueArn", "")
    waiting = attributes.get("ApproximateNumberOfMessages", "0")
    queues = [one for one in configured.get("QueueConfigurations", []) if one.get("QueueArn") == arn]
    ways = [
        *(_way("the queue", one, export.log_folder) for one in queues),
        *(
            _way(f"topic {one.get('TopicArn')}", one, export.log_folder)
            for one in configured.get("TopicConfigurations", [])
        ),
        *(["EventBridge"] if "EventBridgeConfiguration" in configured else []),
    ]
    fitting = [way for way in ways if way is not None]
    if not fitting:
        prefix = f"{export.log_folder}AWSLogs/"
        says = f"{bucket} notifies {'this queue of other objects' if queues else 'nobody who could feed it'}"
        to_do = f"let {bucket} notify {arn} of s3:ObjectCreated:* with the prefix {prefix}"
        return Finding(
            check="queue_feed", subject=url, status=Status.FAILED, says=says, to_do=to_do, export=export.name
        )
    if queues and not _admits(attributes, export.log_bucket):
        says, to_do = f"the queue's policy does not admit {bucket}", (
            "let its policy allow s3.amazonaws.com sqs:SendMessage where aws:SourceArn is "
            f"{_arn(access)}"
        )  # fmt: skip
        return Finding(
            check="queue_feed", subject=url, status=Status.FAILED, says=says, to_do=to_do, export=export.name
        )
    says = f"{bucket} notifies {fitting[0]}; about {waiting} messages wait"
    return Finding(check="queue_feed", subject=url, status=Status.OK, says=says, export=export.name)


def _way(target: str, notification: Mapping[str, Any], folder: str) -> str | None:
    """The target, if it hears of new log objects."""
    rules = notification.get("Filter", {}).get("Key", {}).get("FilterRules", [])
    said = {str(rule.get("Name", "")).lower(): str(rule.get("Value", "")) for rule in rules}
    prefix = said.get("prefix", "")
    is_created = any(str(event).startswith("s3:ObjectCreated:") for event in notification.get("Events", []))
    is_within = f"{folder}AWSLogs/".startswith(prefix) or (prefix.startswith(folder) and "AWSLogs/" in prefix)
    return target if is_created and is_within else None


def _admits(attributes: Mapping[str, str], bucket: str) -> bool:
    """Whether the queue's policy lets the bucket send; one that cannot be read is not to blame."""
    try:
        policy = json.loads(attributes.get("Policy") or "{}")
    except ValueError:
        return True
    text = json.dumps([one for one in policy.get("Statement", []) if one.get("Effect") == "Allow"])
    return "s3.amazonaws.com" in text or '"*"' in text or f":{bucket}" in text


def _of_bucket(access: ExportAccess, check: str, status: Status, says: str, to_do: str = "") -> Finding:
    export = access.export
    subject = f"s3://{export.log_bucket}"
    return Finding(check=check, subject=subject, status=status, says=says, to_do=to_do, export=export.name)


def _arn(access: ExportAccess) -> str:
    return f"arn:{access.primary.partition}:s3:::{access.export.log_bucket}"


def _reader(access: ExportAccess) -> str:
    return access.export.iam_role_arn or "the ambient identity"


def _said(refusal: Refusal) -> str:
    return f"AWS answered {refusal.code} ({refusal.message})"
