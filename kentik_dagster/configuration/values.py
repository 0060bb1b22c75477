"""The values that kentik.yaml is made of: account ids, regions, names, places; and what every part of it is like."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

ROLE_ARN = re.compile(r"arn:(?P<partition>aws|aws-cn|aws-us-gov):iam::(?P<account>\d{12}):role/(?P<name>[\w+=,.@/-]+)")


def matching(pattern: str, what: str) -> AfterValidator:
    """Text that is `what` and matches the whole pattern."""

    def check(value: str) -> str:
        if re.fullmatch(pattern, value) is None:
            raise ValueError(f"{value!r} is not {what}")
        return value

    return AfterValidator(check)


def _quoted_account(value: Any) -> Any:
    if isinstance(value, int):
        raise ValueError(
            f"account ids are text of 12 digits, and YAML reads {value} as a number, which loses "
            "leading zeros: put quotes around it"
        )
    return value


def hour(value: Any) -> Any:
    """A date is its first hour; what has no zone is UTC."""
    if value is None:
        return value
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else value
        if isinstance(instant, date) and not isinstance(instant, datetime):
            instant = datetime.combine(instant, time())
        if not isinstance(instant, datetime):
            raise TypeError
    except (TypeError, ValueError) as error:
        raise ValueError(f"{value!r} is not a date: write it as 2026-11-01 or 2026-11-01T06:00") from error
    instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    return instant.replace(minute=0, second=0, microsecond=0)


AccountId = Annotated[str, BeforeValidator(_quoted_account), matching(r"\d{12}", "an account id of 12 digits")]
Region = Annotated[str, matching(r"[a-z]{2}(-[a-z]+)+-\d", "a region such as eu-west-1")]
Owner = Annotated[
    str,
    matching(r"team:[A-Za-z0-9_]+|[^@\s]+@[^@\s]+\.[^@\s]+", "an owner: write team:network or an email address"),
]
ExportName = Annotated[
    str, matching(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", "an export name: letters, digits, '-', '_' and '.', 63 at most")
]
BucketName = Annotated[
    str,
    matching(
        r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
        "the name of a bucket: 3 to 63 lower case letters, digits, '-' and '.', no 's3://' and no "
        "ARN; a folder goes into bucket_prefix",
    ),
]
BucketPrefix = Annotated[str, matching(r"(?!(.*/)?AWSLogs(/|$)).*", "what stands before AWSLogs/ in the keys")]
Place = Annotated[str, matching(r"s3://[^/]+.*|(?!.*://).*\S.*", "a folder or s3://bucket/prefix")]
RoleArn = Annotated[
    str, matching(ROLE_ARN.pattern, "the ARN of a role such as arn:aws:iam::111111111111:role/KentikPrimary")
]
RoleSuffix = Annotated[str, matching(r"[\w+=,.@/-]{1,64}", "a role name such as KentikSecondary")]
# 2 to 1,224 characters: the STS API reference, AssumeRole, ExternalId.
ExternalId = Annotated[str, matching(r"[\w+=,.@:/-]{2,1224}", "an external id: 2 to 1224 letters, digits and +=,.@:/-")]


class Strict(BaseModel):
    """Unknown keys are mistakes, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)
