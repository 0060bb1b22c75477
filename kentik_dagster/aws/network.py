"""A snapshot of one account: every operation of the catalog in every region that is used and enabled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from kentik_dagster.aws.calls import Answer, all_pages
from kentik_dagster.aws.sessions import AccountAccess
from kentik_dagster.catalog.network import OPERATIONS, Operation
from kentik_dagster.catalog.outcomes import Outcome

# Operations at a time in one account and region: EC2 counts requests per account and region (metadata.md §5).
CONCURRENT_OPERATIONS = 4
_REGIONS = next(operation for operation in OPERATIONS if operation.name == "describe_regions")


@dataclass(frozen=True, slots=True)
class Observation:
    """What one operation answered in one account and region."""

    account_id: str
    region: str
    operation: Operation
    answer: Answer


def observe_account(
    account: AccountAccess,
    regions: Sequence[str],
    *,
    home_region: str,
    clock: Callable[[], datetime],
) -> list[Observation]:
    """Ask everything the catalog lists; what cannot be seen is an outcome, not an exception.

    Args:
        regions: those to collect; the ones that are not enabled in the account are skipped, and say so.
        home_region: where the account is asked which regions are enabled.
    """
    answer = _ask(account, home_region, _REGIONS, clock)
    enabled = {row["RegionName"] for row in answer.items} if answer.outcome is Outcome.OBSERVED else set(regions)
    observations = [Observation(account.account_id, home_region, _REGIONS, answer)]
    with ThreadPoolExecutor(CONCURRENT_OPERATIONS, thread_name_prefix="describe") as pool:
        for region in regions:
            if region not in enabled:
                observations += _skipped(account.account_id, region, clock())
                continue
            operations = [operation for operation in OPERATIONS if operation is not _REGIONS]
            answers = pool.map(lambda operation, region=region: _ask(account, region, operation, clock), operations)
            observations += [
                Observation(account.account_id, region, operation, answer)
                for operation, answer in zip(operations, answers, strict=True)
            ]
    return observations


def unreachable_account(
    account_id: str, regions: Sequence[str], code: str, message: str, now: datetime
) -> list[Observation]:
    """The outcome of every operation in an account whose role cannot be assumed."""
    answer = Answer(
        outcome=Outcome.DENIED, items=[], pages=0, started_at=now, ended_at=now, error_code=code, error_message=message
    )
    return [
        Observation(account_id, region, operation, answer)
        for region in regions
        for operation in OPERATIONS
        if operation is not _REGIONS
    ]


def _ask(account: AccountAccess, region: str, operation: Operation, clock: Callable[[], datetime]) -> Answer:
    return all_pages(
        account.client(operation.service, region),
        operation.name,
        operation.rows,
        page_size=operation.page_size,
        clock=clock,
    )


def _skipped(account_id: str, region: str, now: datetime) -> Iterator[Observation]:
    answer = Answer(
        outcome=Outcome.SKIPPED,
        items=[],
        pages=0,
        started_at=now,
        ended_at=now,
        error_code="RegionNotEnabled",
        error_message=f"{region} is not enabled in account {account_id}; enable it, or take it out of regions_used",
    )
    for operation in OPERATIONS:
        if operation is not _REGIONS:
            yield Observation(account_id, region, operation, answer)
