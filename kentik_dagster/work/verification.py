"""Everything that has to be so in AWS and at the lake, asked once: findings come as they are found.

Nothing is changed: what would delete is asked of things that are not there, and the one object that is written to the
lake is deleted again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from kentik_dagster.aws.lake_probe import s3_lake_refusal
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.configuration import Configuration, Export
from kentik_dagster.core.verification import CHECKS, Finding, Status
from kentik_dagster.work.verified_logs import verify_bucket, verify_deletion, verify_flow_logs, verify_queue
from kentik_dagster.work.verified_policies import verify_role_policies
from kentik_dagster.work.verified_roles import (
    Reached,
    caller_account,
    verify_account,
    verify_accounts,
    verify_identity,
    verify_primary,
    verify_regions,
)

_CONCURRENT_ACCOUNTS = 8
_OF_QUEUE = frozenset({"queue", "queue_feed"})
_OF_NETWORKS = frozenset({"flow_logs", "flow_log_format"})
_OF_ACCOUNTS = frozenset({"organization", "secondary_account", "region", "metadata", "metrics"}) | _OF_NETWORKS


def verify(
    configuration: Configuration,
    *,
    access_of: Callable[[Export], ExportAccess],
    clock: Callable[[], datetime],
    checks: Collection[str] = CHECKS,
    working: Callable[[str], None] = lambda _: None,
) -> Iterator[Finding]:
    """Every check of every export, and of the lake. One that fails hides no other that can still be asked.

    Args:
        access_of: the role chain of an export.
        checks: those of CHECKS that are asked for. What they need is asked, too, and not told.
        working: is told what is being looked at.
    """
    region = configuration.exports[0].region if configuration.exports else "us-east-1"
    wanted = frozenset(checks)
    if "ambient_identity" in wanted:
        working("who we are")
        yield verify_identity(region)
    if "lake" in wanted:
        working("the lake")
        yield verify_lake(configuration.lake, region)
    for export in configuration.exports if wanted - {"ambient_identity", "lake"} else ():
        for finding in _verify_export(configuration, access_of(export), clock, wanted, working):
            if finding.check in wanted:
                yield finding


def _verify_export(
    configuration: Configuration,
    access: ExportAccess,
    clock: Callable[[], datetime],
    wanted: frozenset[str],
    working: Callable[[str], None],
) -> Iterator[Finding]:
    export, reached = access.export, Reached()
    working(f"the role of export {export.name}")
    yield from verify_primary(access, reached)
    if "policies" in wanted and export.iam_role_arn is not None:
        yield from verify_role_policies(export, caller_account(export.region))
    if reached.access is None:
        says = "the primary role cannot be assumed"
        for check in sorted(_of_account(export) | _of_logs(export)):
            yield Finding(check=check, subject=export.name, status=Status.SKIPPED, says=says, export=export.name)
        return
    yield from verify_regions(export)
    if wanted & _OF_ACCOUNTS:
        yield from _verify_accounts(access, reached, clock, working)
    if not export.collects_logs:
        return
    working(f"the log bucket of export {export.name}")
    if wanted & {"bucket", "log_object"}:
        yield from verify_bucket(access, clock())
    if "deletion" in wanted:
        yield verify_deletion(access)
    if export.notification_queue is not None and wanted & _OF_QUEUE:
        yield from verify_queue(access)
    if wanted & _OF_NETWORKS:
        yield from verify_flow_logs(configuration, access, reached.snapshots)


def _verify_accounts(
    access: ExportAccess, reached: Reached, clock: Callable[[], datetime], working: Callable[[str], None]
) -> Iterator[Finding]:
    name = access.export.name
    working(f"the accounts of export {name}")
    yield from verify_accounts(access, reached, clock)
    with ThreadPoolExecutor(_CONCURRENT_ACCOUNTS, thread_name_prefix="verify") as pool:
        asked = {
            account_id: pool.submit(verify_account, access, account_id, reached, clock)
            for account_id in reached.accounts
        }
        for number, (account_id, findings) in enumerate(asked.items(), start=1):
            working(f"export {name}: account {account_id}, {number} of {len(asked)}")
            yield from findings.result()


def _of_account(export: Export) -> set[str]:
    """What is asked of an export's accounts."""
    return {"metadata", "metrics"} if export.collect_metrics else {"metadata"}


def _of_logs(export: Export) -> set[str]:
    """What is asked of an export's logs."""
    return {"bucket", "log_object", "flow_logs"} if export.collects_logs else set()


def verify_lake(lake: str, region: str) -> Finding:
    """Whether the lake takes conditional writes."""
    if lake.startswith("s3://"):
        refused = s3_lake_refusal(lake, os.environ.get("AWS_REGION") or region)
        if refused is None:
            return Finding(check="lake", subject=lake, status=Status.OK, says="it takes conditional writes")
        action, answer = refused
        if action == "conditional":
            says = (
                "it does not refuse a write to an object that is there already: two runs could commit over each other"
            )
            to_do = "use an S3 that honours If-None-Match: AWS does"
        else:
            says = f"AWS answered {answer.code} ({answer.message})"
            to_do = f"grant {action} on it to the ambient identity"
            if answer.code == "NoSuchBucket":
                to_do = "create the bucket, or correct lake in kentik.yaml"
        return Finding(check="lake", subject=lake, status=Status.FAILED, says=says, to_do=to_do)
    return _local_lake(lake)


def _local_lake(lake: str) -> Finding:
    folder = Path(lake) / "_verify"
    probe = folder / str(os.getpid())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch(exist_ok=False)
        try:
            probe.touch(exist_ok=False)
        except FileExistsError:
            return Finding(check="lake", subject=lake, status=Status.OK, says="it takes conditional writes")
        finally:
            probe.unlink()
            folder.rmdir()
    except OSError as error:
        return Finding(
            check="lake",
            subject=lake,
            status=Status.FAILED,
            says=f"it cannot be written: {error.strerror or error}",
            to_do="make the folder writable for this process, or correct lake in kentik.yaml",
        )
    return Finding(
        check="lake",
        subject=lake,
        status=Status.FAILED,
        says="its file system makes a file that is there already: two runs could commit over each other",
        to_do="put the lake on a local disk, or on S3",
    )
