"""Listing costs what the look-back window holds: ten million keys of history cost no request."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from benchmarks.synthetic_bucket import SyntheticBucket, served
from kentik_dagster.aws.flow_logs import LogBucket
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.configuration import Export

TODAY = date(2026, 11, 23)
REGIONS = ("eu-west-1", "us-east-1")
ACCOUNTS = tuple(f"{number:012d}" for number in range(1, 11))
OBJECTS_A_DAY = 100  # of an account in a region


def requests_for_the_window(bucket: SyntheticBucket, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Listing requests, and objects found, of a look at two days."""
    with served(bucket) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
        export = Export(name="acme", region="us-east-1", bucket="acme-logs", start=TODAY - timedelta(days=9_999))
        access = ExportAccess(export, custom_endpoint=True)
        found = LogBucket(access).objects([TODAY - timedelta(days=1), TODAY])
    return len(bucket.prefixes_asked), found.height


def test_ten_million_keys_of_history_cost_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    new, old = (SyntheticBucket(TODAY, days, ACCOUNTS, REGIONS, OBJECTS_A_DAY, page=50) for days in (2, 5_000))

    requests, objects = requests_for_the_window(new, monkeypatch)
    requests_with_history, objects_with_history = requests_for_the_window(old, monkeypatch)

    assert old.keys == 10_000_000
    assert objects == objects_with_history == 2 * len(ACCOUNTS) * len(REGIONS) * OBJECTS_A_DAY
    assert requests == requests_with_history
    # Folders: the bucket, AWSLogs twice, accounts and services; pages: two of each account, region and day.
    assert requests == 3 + 2 * len(ACCOUNTS) + 2 * 2 * len(ACCOUNTS) * len(REGIONS)
