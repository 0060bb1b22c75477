"""What `kentik-dagster verify` asks, as asset checks on a schedule: where AWS drifts from what is needed, it shows."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import dagster as dg

from kentik_dagster.configuration import Configuration
from kentik_dagster.core.verification import Finding, Status, has_failed
from kentik_dagster.work.verification import verify
from resources.aws import Aws
from resources.clock import Clock

_SHOWN = 200

AWS_SETUP = "aws_setup"
# Which of our checks each asset check is about.
CHECKS: Mapping[str, tuple[tuple[str, ...], str]] = MappingProxyType({
    "roles_can_be_assumed": (
        ("ambient_identity", "primary_role", "external_id", "policies", "organization", "secondary_account"),
        "The role of every export and account opens to us, and to us alone.",
    ),
    "operations_are_permitted": (
        ("region", "metadata", "metrics"),
        "Every operation of network metadata and metrics may be called in every account and region.",
    ),
    "logs_can_be_read": (
        ("bucket", "log_object", "deletion", "queue", "queue_feed"),
        "Buckets can be listed, a log object of each can be decoded, and the bucket feeds its queue.",
    ),
    "flow_logs_are_complete": (
        ("flow_logs", "flow_log_format"),
        "Every network sends logs that are read, with the fields that the tables are made from.",
    ),
    "lake_takes_commits": (
        ("lake",),
        "A conditional write to the lake is refused where somebody else was faster.",
    ),
})  # fmt: skip


def setup_asset() -> dg.AssetSpec:
    """What has to be so in AWS before anything can be collected, as `kentik-dagster setup` writes it."""
    return dg.AssetSpec(
        AWS_SETUP,
        description="Roles, policies, bucket, queue and flow logs in AWS: made outside of Dagster, such as from what "
        "`kentik-dagster setup` writes. Its checks say whether all is as it has to be.",
        group_name="sources",
        kinds={"aws"},
    )


def verification_checks(configuration: Configuration) -> dg.AssetChecksDefinition:
    """All checks of the AWS side, asked together."""

    @dg.multi_asset_check(
        name="verify_aws_setup",
        specs=[
            dg.AssetCheckSpec(name, asset=AWS_SETUP, description=f"{says} `kentik-dagster verify` asks the same.")
            for name, (_, says) in CHECKS.items()
        ],
        can_subset=True,
    )
    def verification(context: dg.AssetCheckExecutionContext, aws: Aws, clock: Clock) -> Iterator[dg.AssetCheckResult]:
        selected = {key.name for key in context.selected_asset_check_keys}
        asked = {name: checks for name, (checks, _) in CHECKS.items() if name in selected}
        findings = list(
            verify(
                configuration,
                access_of=aws.access,
                clock=clock.now,
                checks=[check for checks in asked.values() for check in checks],
                working=lambda text: context.log.info(text),
            )
        )
        for name, checks in asked.items():
            yield _result(name, [finding for finding in findings if finding.check in checks])

    return verification


def _result(name: str, findings: list[Finding]) -> dg.AssetCheckResult:
    amiss = [finding for finding in findings if finding.status in (Status.FAILED, Status.WARNING)]
    amiss.sort(key=lambda finding: finding.status is not Status.FAILED)
    rows = [
        dg.TableRecord({
            "status": str(one.status), "check": one.check, "subject": one.subject, "account_id": one.account_id or "",
            "region": one.region or "", "says": one.says, "to_do": one.to_do,
        })
        for one in amiss[:_SHOWN]
    ]  # fmt: skip
    counts = {str(status): sum(one.status is status for one in findings) for status in Status}
    first = amiss[0] if amiss else None
    return dg.AssetCheckResult(
        asset_key=AWS_SETUP,
        check_name=name,
        passed=not has_failed(findings),
        severity=dg.AssetCheckSeverity.WARN,
        description=None if first is None else f"{first.subject}: {first.says}. To do: {first.to_do or 'nothing'}",
        metadata={"findings": counts} | ({"amiss": dg.MetadataValue.table(rows)} if rows else {}),
    )
