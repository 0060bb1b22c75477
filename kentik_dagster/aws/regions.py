"""The regions that AWS has, as botocore's data knows them."""

from __future__ import annotations

import functools

import botocore.session


def partition_of(region: str) -> str | None:
    """`aws`, `aws-cn` or `aws-us-gov`; None: botocore knows no such region."""
    return _partitions().get(region)


@functools.cache
def _partitions() -> dict[str, str]:
    session = botocore.session.get_session()
    return {
        region: partition
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("ec2", partition_name=partition)
    }
