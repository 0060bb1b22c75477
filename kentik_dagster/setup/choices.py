"""What a person chose for an export's AWS side."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from urllib.parse import urlsplit

from kentik_dagster.catalog.permissions import Feature
from kentik_dagster.configuration import Export
from kentik_dagster.errors import SetupError

_DNS_SUFFIXES = {"aws": "amazonaws.com", "aws-us-gov": "amazonaws.com", "aws-cn": "amazonaws.com.cn"}


class Encryption(StrEnum):
    """How S3 encrypts the log objects."""

    SSE_S3 = "sse-s3"
    SSE_KMS = "sse-kms"


class FileFormat(StrEnum):
    """How AWS writes flow logs."""

    PLAIN_TEXT = "plain-text"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class TransitGateway:
    """A transit gateway to log, in its region."""

    region: str
    id: str


@dataclass(frozen=True, kw_only=True)
class Choices:
    """One export, and all that its configuration leaves open.

    Attributes:
        lake: where the tables lie, as the configuration says it.
        collector_arn: the role or user that runs kentik_dagster.
        bucket_account_id: the account of the log bucket; None: the export's own.
        create_bucket: whether the bucket is made, with its policy and its notifications; else it is there already.
        kms_key_arn: the key of the log objects; None: with SSE_KMS one is made.
        expire_days: a lifecycle rule deletes log objects of that age; None: none does.
        through_sns: S3 notifies a topic, which others may subscribe to, and the topic feeds the queue.
        vpc_ids: flow logs for these alone; empty: for all VPCs.
        subnet_ids, transit_gateways, firewall_arns: flow logs of these, too.
        every_minute: records of at most one minute; else of ten.
        verification: grants what only `kentik-dagster verify` calls.
    """

    export: Export
    lake: str = "./lake"
    collector_arn: str | None = None
    organization_id: str | None = None
    bucket_account_id: str | None = None
    create_bucket: bool = True
    encryption: Encryption = Encryption.SSE_S3
    kms_key_arn: str | None = None
    lake_kms_key_arn: str | None = None
    expire_days: int | None = None
    through_sns: bool = False
    vpc_ids: tuple[str, ...] = ()
    subnet_ids: tuple[str, ...] = ()
    transit_gateways: tuple[TransitGateway, ...] = ()
    firewall_arns: tuple[str, ...] = ()
    every_minute: bool = False
    file_format: FileFormat = FileFormat.PLAIN_TEXT
    verification: bool = True

    @property
    def features(self) -> frozenset[Feature]:
        """What the export and the lake need."""
        export = self.export
        chosen = {
            Feature.METADATA: True,
            Feature.METRICS: export.collect_metrics,
            Feature.ORGANIZATION: export.organization_role,
            Feature.ROLE_CHAIN: export.iam_role_arn is not None or self.has_other_accounts,
            Feature.FLOW_LOGS: export.collects_logs,
            Feature.DELETION: export.collects_logs and export.delete_after_read,
            Feature.ENCRYPTION: export.collects_logs and self.encryption is Encryption.SSE_KMS,
            Feature.NOTIFICATIONS: self.has_queue,
            Feature.VERIFICATION: self.verification and self.has_queue,
            Feature.LAKE: self.lake.startswith("s3://"),
            Feature.LAKE_ENCRYPTION: self.lake.startswith("s3://") and self.lake_kms_key_arn is not None,
        }
        return frozenset(feature for feature, is_chosen in chosen.items() if is_chosen)

    @property
    def partition(self) -> str:
        """`aws`, `aws-cn` or `aws-us-gov`: that of the role, else of the collector."""
        return (self.export.iam_role_arn or self.collector_arn or "arn:aws").split(":")[1]

    @property
    def dns_suffix(self) -> str:
        """How the names of AWS's endpoints end in the partition."""
        return _DNS_SUFFIXES[self.partition]

    @property
    def account_id(self) -> str:
        """The export's own account."""
        return (self.export.iam_role_arn or self.collector_arn or ":::::").split(":")[4]

    @property
    def role_name(self) -> str:
        """The primary role without its path; empty: the collector's own identity collects."""
        return (self.export.iam_role_arn or "").rpartition("/")[2]

    @property
    def primary_arn(self) -> str:
        """Who asks AWS: the primary role, else the collector itself."""
        return self.export.iam_role_arn or self.collector_arn or ""

    @property
    def has_other_accounts(self) -> bool:
        """Whether accounts besides the export's own are collected."""
        return self.export.organization_role or bool(self.export.secondary_accounts)

    @property
    def listed_accounts(self) -> tuple[str, ...]:
        """The accounts that are known by their ids: the export's own first."""
        others = (one for one in self.export.secondary_accounts if one not in self.export.blocked_accounts)
        return tuple(dict.fromkeys((self.account_id, *others)))

    @property
    def bucket_account(self) -> str:
        """The account of the log bucket."""
        return self.bucket_account_id or self.account_id

    @property
    def bucket_is_central(self) -> bool:
        """Whether the bucket lies in an account that is not the export's own."""
        return self.bucket_account != self.account_id

    @property
    def bucket_arn(self) -> str:
        """Of the log bucket."""
        return f"arn:{self.partition}:s3:::{self.export.log_bucket}"

    @property
    def log_objects_arn(self) -> str:
        """The log objects. In a bucket that is there already, other folders may lie before AWSLogs/."""
        return f"{self.bucket_arn}/{self.export.log_folder}{'' if self.create_bucket else '*'}AWSLogs/*"

    @property
    def key_alias(self) -> str:
        """The alias of the key that is made for the bucket."""
        return f"alias/{self.export.log_bucket.replace('.', '-')}"

    @property
    def creates_key(self) -> bool:
        """Whether a KMS key is made."""
        return Feature.ENCRYPTION in self.features and self.create_bucket and self.kms_key_arn is None

    @property
    def has_queue(self) -> bool:
        """Whether notifications are read from a queue."""
        return self.export.collects_logs and self.export.notification_queue is not None

    @cached_property
    def queue_arn(self) -> str:
        """The queue that the export's URL names.

        Raises:
            SetupError: the URL is none of a queue.
        """
        account_id, name = self._queue()
        return f"arn:{self.partition}:sqs:{self.export.region}:{account_id}:{name}"

    @property
    def queue_name(self) -> str:
        """Its name."""
        return self.queue_arn.rpartition(":")[2]

    @property
    def topic_arn(self) -> str:
        """The topic that is called like the queue."""
        return f"arn:{self.partition}:sns:{self.export.region}:{self.bucket_account}:{self.queue_name}"

    def _queue(self) -> tuple[str, str]:
        url = urlsplit(self.export.notification_queue or "")
        match = re.fullmatch(r"/(\d{12})/([\w-]{1,80}(?:\.fifo)?)", url.path)
        if match is None or url.scheme not in ("http", "https"):
            raise SetupError([
                f"notification_queue {self.export.notification_queue!r} is no URL of a queue: write "
                f"https://sqs.{self.export.region}.{self.dns_suffix}/{self.account_id}/<name>"
            ])  # fmt: skip
        return match[1], match[2]
