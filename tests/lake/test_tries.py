"""What the storage fails now and then fails nothing of ours; what stays is told at once, or after some tries."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from benchmarks.soak.failing_aws import failing_aws
from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.lake import tries
from kentik_dagster.lake.files import stage
from kentik_dagster.lake.staging import staged_rows
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.tries import tried
from kentik_dagster.lake.writes import append_objects
from tests.lake.flows import NINE, flows, objects_in

BROKEN = OSError("Generic S3 error: end of file before message length reached")


def failing(times: int, failure: Exception = BROKEN) -> Callable[[], int]:
    """An action that fails so often, and then gives the number of its try."""
    tries_so_far = count(1)

    def act() -> int:
        attempt = next(tries_so_far)
        if attempt <= times:
            raise failure
        return attempt

    return act


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "_FIRST_PAUSE_SECONDS", 0)


def test_what_breaks_off_is_done_again() -> None:
    assert tried("s3://acme/lake", failing(3), OSError) == 4


def test_what_keeps_failing_is_raised() -> None:
    with pytest.raises(OSError, match="end of file before"):
        tried("s3://acme/lake", failing(99), OSError)


def test_a_refusal_is_raised_at_once() -> None:
    refusal = OSError("Client error: 403 Forbidden: AccessDenied")

    with pytest.raises(OSError, match="AccessDenied"):
        tried("s3://acme/lake", failing(1, refusal), OSError)


def test_a_local_disk_is_not_tried_again() -> None:
    with pytest.raises(OSError, match="end of file"):
        tried("/srv/lake", failing(1), OSError)


def test_an_error_that_is_not_the_storages_is_raised_at_once() -> None:
    with pytest.raises(ValueError, match="ours"):
        tried("s3://acme/lake", failing(1, ValueError("ours")), OSError)


def test_a_lake_is_written_and_read_though_answers_break_off(s3_lake: Lake, aws: Emulator) -> None:
    with failing_aws(aws.endpoint_url, share=0.08, seed=3, faults=["reply cut off"]) as failing_store:
        options = {"AWS_ENDPOINT_URL": failing_store.url, "AWS_ALLOW_HTTP": "true"}
        table = Lake(s3_lake.root, options)["flow_logs"]

        for number in range(10):
            append_objects(table, NINE, flows(**{f"object-{number}": 3}))
            assert table.read(NINE).height == 3 * (number + 1)

        assert failing_store.counted().failures("s3") > 5
    assert objects_in(s3_lake["flow_logs"]) == {f"object-{number}": 3 for number in range(10)}


def test_a_file_is_written_though_answers_break_off(s3_lake: Lake, aws: Emulator) -> None:
    append_objects(s3_lake["flow_logs"], NINE, flows(a=1))
    table = s3_lake["flow_logs"]
    with failing_aws(aws.endpoint_url, share=0.25, seed=1, faults=["reply cut off"]) as failing_store:
        options = {"AWS_ENDPOINT_URL": failing_store.url, "AWS_ALLOW_HTTP": "true"}

        files = [stage(flows(a=2), table.table, table.uri, options, written_at_ms=0) for _ in range(4)]

        assert failing_store.counted().failures("s3") > 2
    assert [staged_rows(table, file).height for file in files] == [2, 2, 2, 2]
