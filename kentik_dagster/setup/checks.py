"""What AWS would refuse of the choices, what does not fit together, and what could be better."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from kentik_dagster.configuration.values import ROLE_ARN
from kentik_dagster.errors import SetupError
from kentik_dagster.setup.choices import Choices, Encryption

_COLLECTOR_ARN = re.compile(
    r"arn:(?P<partition>aws|aws-cn|aws-us-gov):iam::(?P<account>\d{12}):(?P<kind>role|user)/[\w+=,.@/-]+"
)
_KEY_ARN = re.compile(
    r"arn:(?P<partition>aws|aws-cn|aws-us-gov):kms:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):key/[\w-]+"
)
_FIREWALL_ARN = re.compile(
    r"arn:(aws|aws-cn|aws-us-gov):network-firewall:(?P<region>[a-z0-9-]+):\d{12}:firewall/[A-Za-z0-9-]+"
)
_ORGANIZATION_ID = re.compile(r"o-[a-z0-9]{10,32}")
_RESOURCE_ID = r"-(?:[0-9a-f]{8}|[0-9a-f]{17})"
_ROLE_NAME = re.compile(r"[\w+=,.@-]{1,64}")
# "Bucket naming rules" of the Amazon S3 User Guide, beyond the characters that the configuration checks.
_BUCKET_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_BUCKET_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def check(choices: Choices, partition_of: Callable[[str], str | None]) -> None:
    """Refuse what AWS would refuse, and what would not fit together, before anything is written.

    Args:
        partition_of: the partition of a region; None: there is no such region.

    Raises:
        SetupError: with every mistake, and what to write instead.
    """
    problems = [
        *_principals(choices),
        *_regions(choices, partition_of),
        *_bucket(choices),
        *_queue(choices),
        *_keys(choices),
        *_selected(choices),
    ]
    if problems:
        raise SetupError(problems)


def advice(choices: Choices) -> Iterator[str]:
    """What is as asked for, and could be better."""
    if choices.export.iam_role_arn is not None and choices.collector_arn is None:
        yield (
            f"the primary role trusts all of account {choices.account_id}: name the role or user that runs "
            "kentik_dagster with --collector-arn, and it trusts that one alone"
        )
    if choices.export.iam_role_arn is not None and choices.export.external_id is None:
        yield (
            f"export '{choices.export.name}' has no external_id: if the collector serves others than you, give it one "
            "of your own, such as a UUID"
        )
    if choices.export.organization_role and choices.organization_id is None:
        yield (
            "without --organization-id, the roles of the organization's accounts do not check the organization, and "
            "the bucket admits the logs of the accounts that the export names alone"
        )


def _principals(choices: Choices) -> Iterator[str]:
    export, collector = choices.export, choices.collector_arn
    role = ROLE_ARN.fullmatch(export.iam_role_arn or "")
    known = _COLLECTOR_ARN.fullmatch(collector or "")
    if collector is None and role is None:
        yield (
            f"export '{export.name}' names no iam_role_arn: the identity that runs kentik_dagster collects, so name it "
            "with --collector-arn (aws sts get-caller-identity shows it)"
        )
    if collector is not None and known is None:
        session = re.fullmatch(r"arn:([a-z-]+):sts::(\d{12}):assumed-role/([^/]+)/.*", collector)
        instead = (
            f"that is a session; its role is arn:{session[1]}:iam::{session[2]}:role/{session[3]}, with the role's "
            "path "
            "if it has one"
            if session
            else "write the ARN of one role or user, such as arn:aws:iam::111111111111:role/dagster, and no whole "
            "account"
        )
        yield f"--collector-arn {collector!r}: {instead}"
    if role and known and role["partition"] != known["partition"]:
        yield f"{export.iam_role_arn} and {collector} are of different partitions: no role can be assumed across them"
    if choices.organization_id is not None and not _ORGANIZATION_ID.fullmatch(choices.organization_id):
        yield f"--organization-id {choices.organization_id!r} is no organization's id, such as o-exampleorgid"
    names = {"iam_role_arn": choices.role_name, "role_suffix": (export.role_suffix or "").rpartition("/")[2]}
    for key, name in names.items():
        if name and not _ROLE_NAME.fullmatch(name):
            yield f"{key}: {name!r} is no name of a role: AWS takes 1 to 64 letters, digits and +=,.@_-"
    if role and export.role_suffix == role["name"] and choices.has_other_accounts:
        yield (
            f"role_suffix {export.role_suffix!r} is the primary role's own name: give the other accounts' role another"
        )
    if choices.account_id in export.secondary_accounts:
        yield f"secondary_accounts lists {choices.account_id}, which is the export's own account: take it out"


def _regions(choices: Choices, partition_of: Callable[[str], str | None]) -> Iterator[str]:
    for region in dict.fromkeys((choices.export.region, *choices.export.regions_used)):
        partition = partition_of(region)
        if partition is None:
            yield f"region {region!r} does not exist: correct it, or upgrade boto3 if AWS has opened it lately"
        elif partition != choices.partition:
            yield (
                f"region {region!r} is in partition {partition}, and {choices.primary_arn or 'the role'} is in "
                f"{choices.partition}: one export cannot reach both"
            )


def _bucket(choices: Choices) -> Iterator[str]:
    export = choices.export
    if not export.collects_logs:
        return
    name = export.log_bucket
    if (
        ".." in name
        or re.fullmatch(r"(\d+\.){3}\d+", name)
        or name.startswith(_BUCKET_PREFIXES)
        or name.endswith(_BUCKET_SUFFIXES)
    ):  # fmt: skip
        yield (
            f"bucket {name!r}: AWS refuses such names: no two dots together, no IP address, no "
            f"{', '.join(_BUCKET_PREFIXES)} "
            f"at the beginning, no {', '.join(_BUCKET_SUFFIXES)} at the end"
        )
    if choices.bucket_account_id is not None and not re.fullmatch(r"\d{12}", choices.bucket_account_id):
        yield f"--bucket-account-id {choices.bucket_account_id!r}: {twelve_digits(choices.bucket_account_id)}"
    if export.bucket_prefix.startswith("/"):
        yield f"bucket_prefix {export.bucket_prefix!r} begins with a slash: AWS would make a folder without a name"
    if choices.expire_days is not None and choices.expire_days <= export.look_back_days:
        yield (
            f"--expire-days {choices.expire_days}: the export looks for late log objects for "
            f"{export.look_back_days} days "
            "(look_back_days): S3 would delete objects that were never read"
        )


def _queue(choices: Choices) -> Iterator[str]:
    if not choices.has_queue:
        if choices.through_sns:
            yield "--through-sns goes with a queue: set notification_queue of the export"
        return
    try:
        account_id = choices.queue_arn.split(":")[4]
    except SetupError as error:
        yield from error.problems
        return
    if choices.queue_name.endswith(".fifo"):
        yield f"queue {choices.queue_name!r}: S3 notifies no FIFO queue: use a standard one"
    host = urlsplit(choices.export.notification_queue or "").hostname or ""
    region = re.search(r"[a-z]{2}(?:-[a-z]+)+-\d", host)
    if region and region[0] != choices.export.region:
        yield (
            f"the queue is in {region[0]}, and the bucket in {choices.export.region}: S3 notifies queues of the "
            "bucket's "
            "own region alone"
        )
    if choices.create_bucket and account_id != choices.bucket_account:
        yield (
            f"the queue is of account {account_id}, and the bucket of {choices.bucket_account}: make the queue in the "
            "bucket's account, where it can admit the bucket"
        )


def _keys(choices: Choices) -> Iterator[str]:
    for option, arn in (("--kms-key-arn", choices.kms_key_arn), ("--lake-kms-key-arn", choices.lake_kms_key_arn)):
        if arn is not None and not _KEY_ARN.fullmatch(arn):
            yield (
                f"{option} {arn!r} is no key's ARN: write arn:{choices.partition}:kms:<region>:<account>:key/<id>; "
                "an alias "
                "grants nothing"
            )
    if choices.kms_key_arn is not None and choices.encryption is not Encryption.SSE_KMS:
        yield "--kms-key-arn goes with --encryption sse-kms"
    match = _KEY_ARN.fullmatch(choices.kms_key_arn or "")
    if match and match["region"] != choices.export.region:
        yield (
            f"--kms-key-arn: the key is in {match['region']}, and the bucket in {choices.export.region}: S3 "
            "cannot use it"
        )
    if choices.encryption is Encryption.SSE_KMS and not choices.create_bucket and choices.kms_key_arn is None:
        yield "the bucket is there already: name its key with --kms-key-arn"


def _selected(choices: Choices) -> Iterator[str]:
    chosen = {
        "vpc": choices.vpc_ids,
        "subnet": choices.subnet_ids,
        "tgw": tuple(one.id for one in choices.transit_gateways),
    }
    for prefix, ids in chosen.items():
        for one in ids:
            if not re.fullmatch(prefix + _RESOURCE_ID, one):
                yield f"{one!r} is no id such as {prefix}-0123456789abcdef0"
    for gateway in choices.transit_gateways:
        if gateway.region not in choices.export.regions:
            yield f"{gateway.id} is in {gateway.region}, which the export does not use: add it to regions_used"
    for arn in choices.firewall_arns:
        match = _FIREWALL_ARN.fullmatch(arn)
        if match is None:
            yield f"{arn!r} is no firewall's ARN, such as arn:aws:network-firewall:eu-west-1:111111111111:firewall/name"
        elif match["region"] not in choices.export.regions:
            yield f"{arn!r} is in a region that the export does not use: add it to regions_used"
    if choices.firewall_arns and not choices.export.collect_firewall_logs:
        yield "--firewall-arn: set collect_firewall_logs: true, or nobody reads those logs"


def twelve_digits(account_id: str) -> str:
    """What is wrong with an account id that has not twelve digits."""
    if account_id.isdecimal() and len(account_id) < 12:
        return f"account ids have 12 digits, and this one lost its leading zeros: write '{account_id.zfill(12)}'"
    return "account ids have 12 digits"
