"""Whether an S3 place takes conditional writes, which every commit to the lake rests on."""

from __future__ import annotations

import uuid

from botocore.exceptions import BotoCoreError, ClientError

from kentik_dagster.aws.log_probes import Refusal, refusal
from kentik_dagster.aws.sessions import ambient_client, error_code

_CONFLICTS = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409"})


def s3_lake_refusal(lake: str, region: str) -> tuple[str, Refusal] | None:
    """The action that is refused below an s3:// place, or `conditional`, with AWS's words; None: all is well.

    One small object is written below the place, a second write of it is tried, and it is deleted.
    """
    bucket, _, prefix = lake.removeprefix("s3://").partition("/")
    folder = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
    key = f"{folder}_verify/{uuid.uuid4()}"
    s3 = ambient_client("s3", region)
    try:
        s3.list_objects_v2(Bucket=bucket, Prefix=folder, MaxKeys=1)
    except (ClientError, BotoCoreError) as error:
        return "s3:ListBucket", refusal(error)
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=b"kentik-dagster verify", IfNoneMatch="*")
    except (ClientError, BotoCoreError) as error:
        return "s3:PutObject", refusal(error)
    problem = None
    try:
        s3.get_object(Bucket=bucket, Key=key)
    except (ClientError, BotoCoreError) as error:
        problem = "s3:GetObject", refusal(error)
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=b"a second writer", IfNoneMatch="*")
        problem = problem or ("conditional", Refusal("200", "a second write of the same object was taken"))
    except (ClientError, BotoCoreError) as error:
        if error_code(error) not in _CONFLICTS:
            problem = problem or ("s3:PutObject", refusal(error))
    try:
        s3.delete_object(Bucket=bucket, Key=key)
    except (ClientError, BotoCoreError) as error:
        return problem or ("s3:DeleteObject", refusal(error))
    return problem
