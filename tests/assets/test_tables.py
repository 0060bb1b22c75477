"""What every computation that keeps tables has in common: what fails for a while is tried again, what stays is not."""

from __future__ import annotations

import dagster as dg
import pytest

from assets.tables import table_assets, table_spec
from kentik_dagster.errors import AwsError, BudgetError, CommitContentionError, KentikDagsterError, RoleRefusedError

REFUSED = RoleRefusedError(
    "arn:aws:iam::1:role/a", "arn:aws:iam::2:role/b", "acme", "AccessDenied", with_external_id=True
)


@pytest.fixture(autouse=True)
def without_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assets.tables._RETRIES", dg.RetryPolicy(max_retries=2, delay=0))


def tries(error: Exception, times: int) -> tuple[int, dg.ExecuteInProcessResult]:
    """How often a computation was tried that fails some times, and how it ended."""
    tried = []

    @table_assets("org_accounts", [table_spec("org_accounts", group="metadata")])
    def org_accounts() -> dg.MaterializeResult[None]:
        tried.append(error)
        if len(tried) <= times:
            raise error
        return dg.MaterializeResult()

    result = dg.materialize([org_accounts], raise_on_error=False)
    return len(tried), result


@pytest.mark.parametrize(
    "error",
    [
        AwsError("cannot list: Rate exceeded", "ThrottlingException"),
        CommitContentionError("s3://lake/flow_logs", "acme/2026-11-20T07", 50, None),
        ConnectionResetError("Connection reset by peer"),
    ],
    ids=["throttled", "other writers", "something unexpected"],
)
def test_what_may_pass_is_tried_again(error: Exception) -> None:
    tried, result = tries(error, times=2)

    assert (tried, result.success) == (3, True)


@pytest.mark.parametrize("error", [BudgetError(10_000, 1.0, 0.5), REFUSED], ids=["budget", "refused role"])
def test_what_stays_is_told_at_once(error: KentikDagsterError) -> None:
    tried, result = tries(error, times=9)

    assert (tried, result.success) == (1, False)
    (failed,) = result.filter_events(lambda event: event.is_step_failure)
    told = failed.step_failure_data.user_failure_data
    assert told is not None
    assert told.description == str(error)


def test_tries_come_to_an_end() -> None:
    tried, result = tries(AwsError("cannot list: Rate exceeded", "Throttling"), times=9)

    assert (tried, result.success) == (3, False)
