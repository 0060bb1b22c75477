"""A page for people in an S3 bucket."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from kentik_dagster.aws.sessions import ambient_client
from kentik_dagster.errors import LakeError


def put_page(bucket: str, key: str, text: str, region: str) -> None:
    """Write an HTML file that browsers show instead of downloading it.

    Raises:
        LakeError: S3 refuses it.
    """
    try:
        ambient_client("s3", region).put_object(
            Bucket=bucket, Key=key, Body=text.encode(), ContentType="text/html; charset=utf-8"
        )
    except (ClientError, BotoCoreError) as error:
        raise LakeError(f"s3://{bucket}/{key}", "write", error) from error
