"""A snapshot of one account: every operation of the catalog, wherever it is to be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from kentik_dagster.aws.calls import MALFORMED, Answer, all_pages
from kentik_dagster.aws.fan_out import Observation, Request, requests_for, together, unasked
from kentik_dagster.aws.sessions import AccountAccess
from kentik_dagster.catalog.network import SERVICE_HOMES, Operation, Reach
from kentik_dagster.catalog.network_operations import OPERATIONS
from kentik_dagster.catalog.outcomes import EXPIRED_CODES, Outcome
from kentik_dagster.errors import AwsError

# Requests at a time in one account and region: EC2 counts requests per account and region (metadata.md §5).
CONCURRENT_REQUESTS = 4
CONCURRENT_REGIONS = 4  # of one account
# An operation that is asked for hundreds of resources waits for its pace; it must not keep the others waiting.
_STRANDS = 2
_SMALL_PAGE = 5  # EC2 takes no smaller one
_REGIONS = next(operation for operation in OPERATIONS if operation.name == "describe_regions")


def observe_account(
    account: AccountAccess,
    regions: Sequence[str],
    *,
    home_region: str,
    clock: Callable[[], datetime],
    is_brief: Callable[[Operation], bool] = lambda _: False,
) -> Iterator[Observation]:
    """Ask everything the catalog lists; what cannot be seen is an outcome, not an exception.

    Args:
        regions: those to collect; the ones that are not enabled in the account are skipped, and say so.
        home_region: where the account is asked which regions are enabled, and for what is the same everywhere.
        is_brief: of which operations one small page is enough, and one parent: those tell whether they are permitted,
            and not all that there is.
    """
    ask = _Asking(clock, is_brief)
    (enabled,) = _observed(account, home_region, [_REGIONS], ask)
    yield enabled
    usable = set(regions)
    if enabled.answer.outcome is Outcome.OBSERVED:
        # Some emulators list the regions that are not enabled, too, and say so.
        usable = {row.get("RegionName") for row in enabled.answer.items if row.get("OptInStatus") != "not-opted-in"}
        if not usable or None in usable:
            usable = set(regions)  # no list of regions: each says itself whether it is enabled
    asked = _global_operations(account, home_region)
    for region in dict.fromkeys(regions):
        operations = [operation for operation in OPERATIONS if operation.reach is Reach.REGION]
        if region in usable:
            asked.setdefault(region, []).extend(operations)
        else:
            message = f"{region} is not enabled in {account.account_id}: enable it, or take it out of regions_used"
            answer = unasked(Outcome.SKIPPED, "RegionNotEnabled", message, clock())
            yield from (Observation(account.account_id, region, operation, answer) for operation in operations)
    with ThreadPoolExecutor(CONCURRENT_REGIONS, thread_name_prefix="region") as pool:
        for observed in pool.map(lambda region: _observed(account, region, asked[region], ask), asked):
            yield from observed


@dataclass(frozen=True, slots=True)
class _Asking:
    """How operations are asked."""

    clock: Callable[[], datetime]
    is_brief: Callable[[Operation], bool]


def _global_operations(account: AccountAccess, home_region: str) -> dict[str, list[Operation]]:
    """The operations that are asked once per account, by the region in which they are asked."""
    partition = account.partition
    placed: dict[str, list[Operation]] = {}
    for operation in OPERATIONS:
        if operation.reach is Reach.EXPORT_REGION and operation is not _REGIONS:
            placed.setdefault(home_region, []).append(operation)
        if operation.reach is Reach.SERVICE_HOME and partition in SERVICE_HOMES[operation.service]:
            placed.setdefault(SERVICE_HOMES[operation.service][partition], []).append(operation)
    return placed


def _observed(
    account: AccountAccess,
    region: str,
    operations: Sequence[Operation],
    asking: _Asking,
) -> list[Observation]:
    """The operations in one region: those that need nothing first, then those that ask for each of their resources."""
    with ThreadPoolExecutor(CONCURRENT_REQUESTS, thread_name_prefix="describe") as pool:
        return _observed_in(pool, account, region, operations, asking)


def _observed_in(
    pool: ThreadPoolExecutor,
    account: AccountAccess,
    region: str,
    operations: Sequence[Operation],
    asking: _Asking,
) -> list[Observation]:
    done: dict[tuple[str, str], Observation] = {}
    throttled = {one: -account.throttled(one.service, region, one.api_name) for one in operations}
    waiting = list(operations)
    while waiting:
        ready = [one for one in waiting if one.for_each is None or (one.service, one.for_each.operation) in done]
        assert ready, f"{waiting[0].name} waits for an operation that the catalog does not have"
        asked = {one: requests_for(one, done, account.account_id) for one in ready}
        asked = {one: some and some[:1] if asking.is_brief(one) else some for one, some in asked.items()}
        started = {
            one: [
                pool.submit(_ask_each, account, region, one, requests[number::_STRANDS], asking)
                for number in range(_STRANDS)
            ]
            for one, requests in asked.items()
            if requests is not None
        }
        for one in ready:
            requests = asked[one]
            if requests is None:
                answer = unasked(
                    Outcome.SKIPPED, "ParentNotObserved", f"it is asked for each row of {one.parent}, which was not "
                    "observed", asking.clock(),
                )  # fmt: skip
                observation = Observation(account.account_id, region, one, answer)
            else:
                parents = done.get((one.service, one.parent))
                strands = [strand.result() for strand in started[one]]
                answers = [strands[number % _STRANDS][number // _STRANDS] for number in range(len(requests))]
                observation = together(account.account_id, region, one, requests, answers, parents, asking.clock)
            throttled[one] += account.throttled(one.service, region, one.api_name)
            done[one.service, one.name] = replace(observation, throttled=throttled[one])
        waiting = [one for one in waiting if one not in asked]
    return list(done.values())


def _ask_each(
    account: AccountAccess,
    region: str,
    operation: Operation,
    requests: Sequence[Request],
    asking: _Asking,
) -> list[Answer]:
    return [_ask(account, region, operation, request, asking) for request in requests]


def _ask(
    account: AccountAccess,
    region: str,
    operation: Operation,
    request: Request,
    asking: _Asking,
) -> Answer:
    if not request.is_known:
        message = f"a row of {operation.parent} does not say for what to ask"
        return unasked(Outcome.UNAVAILABLE, MALFORMED, message, asking.clock())

    is_brief = asking.is_brief(operation)

    def ask(client: Any) -> Answer:
        return all_pages(
            client,
            operation.name,
            operation.rows,
            page_size=_SMALL_PAGE if is_brief and operation.page_size is not None else operation.page_size,
            parameters=request.parameters,
            withheld=operation.withheld,
            clock=asking.clock,
            is_first_enough=is_brief,
        )

    client = account.client(operation.service, region)
    answer = ask(client)
    if answer.error_code not in EXPIRED_CODES:
        return answer
    try:
        account.renew(client)
    except AwsError as error:
        return unasked(Outcome.DENIED, error.code, str(error), asking.clock())
    return ask(account.client(operation.service, region))
