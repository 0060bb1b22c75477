"""Every error that kentik_dagster raises on purpose: what happened, with the value, then the way out."""

from __future__ import annotations

import re
from collections.abc import Sequence


def _without_colours(text: str) -> str:
    """Delta's errors are coloured for a terminal, which a log or a web page is not."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


class KentikDagsterError(Exception):
    """The base of all of them; its text is meant for the person who runs the system.

    Attributes:
        may_pass: the same may well succeed some seconds later, without anybody doing anything.
    """

    may_pass: bool = False


class ConfigurationError(KentikDagsterError):
    """The configuration file is missing or wrong.

    Attributes:
        path: the file.
        problems: one sentence for each mistake: the key, what is wrong, what to write instead.
    """

    def __init__(self, path: str, problems: Sequence[str]) -> None:
        self.path = path
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{path}: {problem}" for problem in self.problems))


class SetupError(KentikDagsterError):
    """The AWS side of an export cannot be generated as it was asked for; nothing was written.

    Attributes:
        problems: one sentence for each mistake.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class MissingColumnsError(KentikDagsterError):
    """A frame lacks columns that a function needs."""

    def __init__(self, function: str, missing: Sequence[str], present: Sequence[str]) -> None:
        self.function, self.missing, self.present = function, tuple(missing), tuple(present)
        super().__init__(
            f"{function} needs the columns {', '.join(missing)}, which the frame lacks. It has {', '.join(present)}."
        )


class SchemaDifferenceError(KentikDagsterError):
    """A frame or a table does not have exactly the columns that the catalog declares."""

    def __init__(self, table: str, differences: Sequence[str]) -> None:
        self.table, self.differences = table, tuple(differences)
        super().__init__(
            f"the rows for table '{table}' do not have the table's columns:\n  "
            + "\n  ".join(differences)
            + "\nNothing was written. If the table was made by another release, see CHANGELOG.md for its migration."
        )


class LakeError(KentikDagsterError):
    """The lake could not be opened, read or written."""

    def __init__(self, uri: str, doing: str, cause: BaseException | str) -> None:
        self.uri, self.doing = uri, doing
        super().__init__(
            f"cannot {doing} {uri}: {_without_colours(str(cause))}\n"
            "Check that the lake's path exists and is writable, and for s3:// that the credentials may list, read and "
            "write that prefix (AWS_ENDPOINT_URL and AWS_REGION are honoured)."
        )


class CommitContentionError(LakeError):
    """Other writers kept changing the same partition until we gave up; nothing of ours is half written."""

    def __init__(self, uri: str, lock: str, attempts: int, last: BaseException | None) -> None:
        self.lock, self.attempts = lock, attempts
        super().__init__(
            uri,
            f"commit to '{lock}' of",
            f"{attempts} attempts met other writers or failed; the last answer was: {last}",
        )
        self.may_pass = True


class PlacesError(KentikDagsterError):
    """A database of countries or autonomous systems cannot be read, or is one of something else."""

    def __init__(self, path: str, key: str, reason: str) -> None:
        self.path, self.key = path, key
        super().__init__(
            f"cannot use {path}: {reason}.\nCorrect `geoip: {key}` in kentik.yaml, replace the file by a whole one of "
            "the vendor, or remove the key."
        )


class UnreadableObjectError(KentikDagsterError):
    """An S3 object whose content cannot be read as a flow log; it stays where it is."""


# What AWS answers when it is asked too often, or has trouble of its own.
_PASSING = ("Throttl", "TooManyRequests", "RequestLimitExceeded", "SlowDown", "ServiceUnavailable", "InternalError",
            "InternalFailure", "RequestTimeout", "EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError",
            "ConnectionClosedError")  # fmt: skip


class AwsError(KentikDagsterError):
    """AWS refused or failed a call that the work cannot go on without.

    Attributes:
        code: AWS's error code, such as `AccessDenied`, or the name of what kept the call from AWS.
    """

    def __init__(self, message: str, code: str) -> None:
        self.code = code
        self.may_pass = code.startswith(_PASSING)
        super().__init__(message)


class RoleRefusedError(AwsError):
    """A role of the chain could not be assumed."""

    def __init__(self, role_arn: str, caller: str, export: str, code: str, *, with_external_id: bool) -> None:
        self.role_arn, self.caller, self.export = role_arn, caller, export
        reason = (
            f"the external id of export '{export}'"
            if with_external_id
            else f"that it asks for no external id (export '{export}' names none)"
        )
        super().__init__(
            f"cannot assume {role_arn}: AWS answered {code}, and does not say why. "
            f"Check that the role exists, that it trusts {caller}, that {caller} may call sts:AssumeRole on "
            f"it, and {reason}.",
            code,
        )


class BucketError(AwsError):
    """The log bucket cannot be listed."""

    def __init__(self, bucket: str, export: str, code: str, message: str) -> None:
        self.bucket, self.export = bucket, export
        hints = {
            "NoSuchBucket": f"There is no bucket of that name: correct `bucket` of export '{export}'.",
            "AccessDenied": f"Grant s3:ListBucket on bucket {bucket} to the role of export '{export}'.",
            "PermanentRedirect": f"The bucket is in another region: correct `region` of export '{export}'.",
        }
        super().__init__(
            f"cannot list s3://{bucket}: AWS answered {code} ({message}). "
            + hints.get(code, f"Check `bucket`, `region` and the role of export '{export}'."),
            code,
        )


class QueueError(AwsError):
    """The notification queue does not give its messages, or does not delete them."""

    def __init__(self, queue: str, export: str, doing: str, code: str, message: str) -> None:
        self.queue, self.export, self.doing = queue, export, doing
        key = f"`notification_queue` of export '{export}'"
        permission = {"receive": "sqs:ReceiveMessage", "delete": "sqs:DeleteMessage"}.get(doing, f"sqs ({doing})")
        if "NonExistentQueue" in code or code in ("QueueDoesNotExist", "InvalidAddress"):
            hint = f"There is no such queue: correct {key}, the URL that SQS shows for it."
        elif code.startswith(("KMS", "Kms")):
            hint = (
                f"The queue is encrypted with KMS: grant kms:Decrypt on its key to the role of export '{export}', and "
                "see that the key is enabled."
            )
        elif "AccessDenied" in code or code == "InvalidSecurity":
            hint = (
                f"Grant {permission} on the queue to the role of export '{export}', and see that the queue's policy "
                "denies nothing."
            )
        else:
            hint = f"Check {key}, its region, the network and AWS_ENDPOINT_URL."
        super().__init__(
            f"cannot {doing} messages of {queue}: AWS answered {code} ({message}). {hint} Log objects are found by "
            "listing meanwhile.",
            code,
        )


class QueryError(KentikDagsterError):
    """A query that cannot be answered: it is no query, names what is not there, or asks for too much."""


class BudgetError(KentikDagsterError):
    """A run would request more metrics than it may pay for; nothing was requested."""

    def __init__(self, queries: int, cost: float, budget: float) -> None:
        self.queries, self.cost, self.budget = queries, cost, budget
        super().__init__(
            f"this run would request {queries:,} metrics, which costs {cost:.2f}, and metrics.budget_per_run is "
            f"{budget:.2f}. Nothing was requested. Ask for fewer hours at once, leave metrics out with metrics.rules "
            "(docs/metrics.md), or raise the budget."
        )
