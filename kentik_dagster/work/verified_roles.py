"""Checks of who we are and may become: ambient identity, primary role, organization, other accounts, operations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

import polars as pl

from kentik_dagster.aws.accounts import ListedAccounts, list_accounts
from kentik_dagster.aws.log_probes import metrics_refusal
from kentik_dagster.aws.regions import partition_of
from kentik_dagster.aws.role_probes import SeenRole, is_assumable_without_external_id, seen_role
from kentik_dagster.aws.sessions import ExportAccess, ambient_client, caller_identity, secondary_role_arn
from kentik_dagster.catalog.network import Operation
from kentik_dagster.catalog.network_operations import OPERATIONS
from kentik_dagster.catalog.outcomes import Outcome
from kentik_dagster.configuration import Export
from kentik_dagster.core.accounts import collectible_accounts
from kentik_dagster.core.metadata_health import degraded_operations, skipped_regions
from kentik_dagster.core.trust import trust_objections
from kentik_dagster.core.verification import Finding, Status
from kentik_dagster.errors import AwsError, RoleRefusedError
from kentik_dagster.work.metadata import Snapshot, take_snapshot

# What has to be seen whole, so that it can be said which networks send logs.
_SEEN_WHOLE = frozenset({
    "region", "vpc", "subnet", "network_interface", "transit_gateway", "transit_gateway_attachment", "flow_log",
    "firewall_metadata", "firewall", "logging_configuration",
})  # fmt: skip
_OPTIONAL = ("iam:", "networkmanager:")
_ACTIONS = {(operation.service, operation.name): operation.action for operation in OPERATIONS}


@dataclass
class Reached:
    """What the checks of one export learnt for those that follow.

    Attributes:
        access: None where the primary role could not be assumed.
        accounts: the accounts to collect.
        snapshots: what each account showed.
    """

    access: ExportAccess | None = None
    accounts: tuple[str, ...] = ()
    snapshots: dict[str, Snapshot] = field(default_factory=dict)


def verify_identity(region: str) -> Finding:
    """Who this process is to AWS."""
    try:
        arn = caller_identity(ambient_client("sts", region))["Arn"]
    except AwsError as error:
        says, _, to_do = str(error).partition(". ")
        return Finding(check="ambient_identity", subject="this process", status=Status.FAILED, says=says, to_do=to_do)
    return Finding(check="ambient_identity", subject="this process", status=Status.OK, says=f"is {arn}")


def caller_account(region: str) -> str:
    """The account of the ambient identity; empty: AWS does not say."""
    try:
        return caller_identity(ambient_client("sts", region))["Account"]
    except AwsError:
        return ""


def verify_primary(access: ExportAccess, reached: Reached) -> Iterator[Finding]:
    """Whether the export's own role opens to us, and to us alone."""
    export = access.export
    subject = export.iam_role_arn or "the ambient identity"
    try:
        primary = access.primary
    except AwsError as error:
        yield _refused("primary_role", error, access, external=True)
        return
    reached.access = access
    says = f"account {primary.account_id} is reached"
    yield Finding(check="primary_role", subject=subject, status=Status.OK, says=says, export=export.name)
    if export.iam_role_arn is not None and export.external_id is not None:
        yield _external_id(access)


def verify_regions(export: Export) -> Iterator[Finding]:
    """The export's regions that do not exist."""
    for region in dict.fromkeys((export.region, *export.regions)):
        if partition_of(region) is None:
            yield Finding(
                check="region",
                subject=region,
                status=Status.FAILED,
                says="there is no such region",
                to_do=f"correct region and regions_used of export '{export.name}', or upgrade boto3 if it is a new one",
                export=export.name,
                region=region,
            )


def verify_accounts(access: ExportAccess, reached: Reached, clock: Callable[[], datetime]) -> Iterator[Finding]:
    """Which accounts there are."""
    export = access.export
    own = access.primary.account_id
    reached.accounts = (own,)
    listed: ListedAccounts | None = None
    try:
        listed = list_accounts(access, observed_at=clock(), clock=clock)
        error_code = listed.answer.error_code if listed.answer is not None else None
        message = listed.answer.error_message if listed.answer is not None else None
    except AwsError as error:
        error_code, message = error.code, str(error)
    if listed is not None and listed.outcome is Outcome.OBSERVED:
        reached.accounts = tuple(collectible_accounts(listed.accounts)["account_id"].to_list())
        if export.organization_role:
            says = f"{listed.accounts.height} accounts, {len(reached.accounts)} of them to collect"
            yield Finding(
                check="organization", subject="the organization", status=Status.OK, says=says, export=export.name
            )
        return
    yield Finding(
        check="organization",
        subject="the organization",
        status=Status.FAILED,
        says=f"its accounts are not told: AWS answered {error_code} ({message})",
        to_do=(
            f"grant organizations:ListAccounts to {export.iam_role_arn or 'the ambient identity'}; it answers in the "
            "management account, or in an account that is a delegated administrator, alone"
        ),
        export=export.name,
    )


def verify_account(
    access: ExportAccess, account_id: str, reached: Reached, clock: Callable[[], datetime]
) -> list[Finding]:
    """Whether an account is reached, and what may be asked there."""
    export = access.export
    findings: list[Finding] = []
    is_primary = account_id == access.primary.account_id
    if not is_primary:
        role_arn = secondary_role_arn(export, account_id)
        try:
            access.account(account_id)
        except AwsError as error:
            return [_refused("secondary_account", error, access, external=False, account_id=account_id)]
        findings.append(
            Finding(
                check="secondary_account",
                subject=role_arn,
                status=Status.OK,
                says=f"account {account_id} is reached",
                export=export.name,
                account_id=account_id,
            )
        )
    try:
        refused = metrics_refusal(access, account_id) if export.collect_metrics else None
        snapshot = take_snapshot(access, account_id, clock, _is_brief)
    except AwsError as error:
        says, to_do = f"account {account_id} was lost: {error}", "try again; check the network if this stays"
        findings.append(
            Finding(
                check="metadata", subject=account_id, status=Status.FAILED, says=says, to_do=to_do, export=export.name
            )
        )
        return findings
    finally:
        if not is_primary:
            access.forget(account_id)
    reached.snapshots[account_id] = snapshot
    role = export.iam_role_arn if is_primary else secondary_role_arn(export, account_id)
    findings.append(_regions(snapshot, export, account_id))
    findings += _operations(snapshot, export.name, account_id, role or "the ambient identity")
    if export.collect_metrics:
        action, answer = refused if refused is not None else ("", None)
        findings.append(
            Finding(
                check="metrics",
                subject=f"account {account_id}",
                status=Status.OK if answer is None else Status.FAILED,
                says="metrics are told" if answer is None else f"AWS answered {answer.code} ({answer.message})",
                to_do=f"grant {action} to {role or 'the ambient identity'}" if answer is not None else "",
                export=export.name,
                account_id=account_id,
            )
        )
    return findings


def _is_brief(operation: Operation) -> bool:
    return operation.resource_type not in _SEEN_WHOLE


def _external_id(access: ExportAccess) -> Finding:
    role = access.export.iam_role_arn or ""
    opens = is_assumable_without_external_id(access)
    says = {True: "opens to one who does not say it", False: "opens to nobody without it", None: "AWS did not say"}
    to_do = (
        f"add the condition StringEquals sts:ExternalId to the trust policy of {role}: whoever may call for "
        "somebody else "
        "from the same account could reach yours"
    )
    return Finding(
        check="external_id",
        subject=role,
        status=Status.WARNING if opens else Status.OK if opens is False else Status.SKIPPED,
        says=says[opens],
        to_do=to_do if opens else "",
        export=access.export.name,
    )


def _regions(snapshot: Snapshot, export: Export, account_id: str) -> Finding:
    off = skipped_regions(snapshot.calls)["region"].to_list()
    return Finding(
        check="region",
        subject=f"account {account_id}",
        status=Status.FAILED if off else Status.OK,
        says=f"{', '.join(off)} is not enabled" if off else f"{', '.join(export.regions)} can be asked",
        to_do=f"enable {', '.join(off)} in account {account_id}, or take it out of regions_used" if off else "",
        export=export.name,
        account_id=account_id,
    )


def _operations(snapshot: Snapshot, export: str, account_id: str, role: str) -> Iterator[Finding]:
    calls = snapshot.calls.filter(pl.col("service") != "sts", pl.col("error_code").ne_missing("RegionNotEnabled"))
    told = calls.select(
        "region", "service", "operation", "outcome", "error_code",
        action=pl.struct("service", "operation").map_elements(
            lambda one: _ACTIONS.get((one["service"], one["operation"])), return_dtype=pl.String
        ),
    )  # fmt: skip
    degraded = degraded_operations(calls, _ACTIONS).filter(pl.col("outcome") != "unsupported")
    missing = degraded["missing_action"].drop_nulls().unique().sort().to_list()
    others = degraded.filter(pl.col("missing_action").is_null())
    answered = calls.filter(pl.col("outcome") == str(Outcome.OBSERVED)).height
    says = [f"{answered} of {calls.height} operations answer"]
    to_do = []
    if missing:
        says.append(f"denied: {len(missing)}")
        to_do.append(f"grant {', '.join(missing)} to {role}")
    if others.height:
        first = others.row(0, named=True)
        says.append(f"without an answer: {others.height}, such as {first['operation']}: {first['error_message']}")
        to_do.append("try again, and read the messages with --json if this stays")
    yield Finding(
        check="metadata",
        subject=f"account {account_id}",
        status=_status(missing, others.height),
        says="; ".join(says),
        to_do="; ".join(to_do),
        export=export,
        account_id=account_id,
        details=tuple(told.to_dicts()),
    )


def _status(missing: list[str], unanswered: int) -> Status:
    """Without accounts' aliases and Cloud WAN all else works, and published policies often lack them."""
    if any(not action.startswith(_OPTIONAL) for action in missing):
        return Status.FAILED
    return Status.WARNING if missing or unanswered else Status.OK


def _refused(
    check: str, error: AwsError, access: ExportAccess, *, external: bool, account_id: str | None = None
) -> Finding:
    """A role that could not be assumed, with what is known of the reason."""
    export = access.export
    role_arn = secondary_role_arn(export, account_id) if account_id else export.iam_role_arn or ""
    finding = Finding(
        check=check, subject=role_arn, status=Status.FAILED, says="", export=export.name, account_id=account_id
    )  # fmt: skip
    if not isinstance(error, RoleRefusedError):
        says, _, to_do = str(error).partition(". ")
        return replace(finding, says=says, to_do=to_do or "check the credentials of this process, and the network")
    iam = ambient_client("iam", export.region) if account_id is None else access.primary.client("iam", export.region)
    seen = seen_role(iam, error.caller, role_arn)
    external_id = export.external_id if external else None
    reasons = _reasons(seen, error, external_id)
    if reasons:
        return replace(finding, says=f"it cannot be assumed by {error.caller}", to_do="; ".join(reasons))
    return replace(
        finding,
        says=f"it cannot be assumed by {error.caller}, and AWS does not say why ({error.code})",
        to_do="; or ".join(_guesses(error, external=external, external_id=external_id)),
    )


def _reasons(seen: SeenRole, error: RoleRefusedError, external_id: str | None) -> list[str]:
    """What is certain."""
    reasons = []
    if seen.exists is False:
        reasons.append(f"there is no role {error.role_arn}: create it, or correct its name")
    if seen.trust is not None:
        reasons += trust_objections(seen.trust, error.caller, external_id)
    if seen.may_be_asked is False or "identity-based policy" in str(error.__cause__):
        reasons.append(f"{error.caller} may not ask for it: grant it sts:AssumeRole on {error.role_arn}")
    return reasons


def _guesses(error: RoleRefusedError, *, external: bool, external_id: str | None) -> Iterator[str]:
    """What it may be, the likeliest first: a role's own trust is what people get wrong most."""
    yield f"its trust policy does not name {error.caller}"
    if external and external_id is not None:
        yield "it asks for another external id than the export's"
    elif external:
        yield "it asks for an external id, and the export has none"
    yield f"there is no role of that name in account {error.role_arn.split(':')[4]}"
    yield f"{error.caller} lacks sts:AssumeRole on it"
