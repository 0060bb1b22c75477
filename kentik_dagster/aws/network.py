"""A snapshot of one account: every operation of the catalog, wherever it is to be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from kentik_dagster.aws.calls import MALFORMED, Answer, all_pages
from kentik_dagster.aws.sessions import AccountAccess
from kentik_dagster.catalog.network import SERVICE_HOMES, ForEach, Operation, Reach
from kentik_dagster.catalog.network_operations import OPERATIONS
from kentik_dagster.catalog.outcomes import EXPIRED_CODES, Outcome
from kentik_dagster.errors import AwsError

# Requests at a time in one account and region: EC2 counts requests per account and region (metadata.md §5).
CONCURRENT_REQUESTS = 4
CONCURRENT_REGIONS = 4  # of one account
# An operation that is asked for hundreds of resources waits for its pace; it must not keep the others waiting.
_STRANDS = 2
_REGIONS = next(operation for operation in OPERATIONS if operation.name == "describe_regions")
# Of several requests for one operation, the gravest failure is its outcome.
_GRAVEST_FIRST = (Outcome.DENIED, Outcome.UNAVAILABLE, Outcome.UNSUPPORTED)


@dataclass(frozen=True, slots=True)
class Observation:
    """What one operation answered in one account and region.

    Attributes:
        unobserved: what is not among the rows is not there, but for the children of these parents (their keys, as
            resource ids begin with them). None: what is not among the rows is unknown.
        throttled: how often AWS threw a request back; each was sent again.
    """

    account_id: str
    region: str
    operation: Operation
    answer: Answer
    unobserved: frozenset[str] | None = None
    throttled: int = 0


@dataclass(frozen=True, slots=True)
class _Request:
    """One request of an operation: its parameters, and of which parent.

    Attributes:
        is_known: False where the parent does not say what to ask for.
    """

    parameters: Mapping[str, Any]
    parent: Mapping[str, str] = field(default_factory=dict)
    is_known: bool = True

    @property
    def key(self) -> str:
        return "|".join(self.parent.values())


def observe_account(
    account: AccountAccess,
    regions: Sequence[str],
    *,
    home_region: str,
    clock: Callable[[], datetime],
) -> Iterator[Observation]:
    """Ask everything the catalog lists; what cannot be seen is an outcome, not an exception.

    Args:
        regions: those to collect; the ones that are not enabled in the account are skipped, and say so.
        home_region: where the account is asked which regions are enabled, and for what is the same everywhere.
    """
    (enabled,) = _observed(account, home_region, [_REGIONS], clock)
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
            answer = _unasked(Outcome.SKIPPED, "RegionNotEnabled", message, clock())
            yield from (Observation(account.account_id, region, operation, answer) for operation in operations)
    with ThreadPoolExecutor(CONCURRENT_REGIONS, thread_name_prefix="region") as pool:
        for observed in pool.map(lambda region: _observed(account, region, asked[region], clock), asked):
            yield from observed


def _global_operations(account: AccountAccess, home_region: str) -> dict[str, list[Operation]]:
    """The operations that are asked once per account, by the region in which they are asked."""
    partition = (account.role_arn or "arn:aws:").split(":")[1]
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
    clock: Callable[[], datetime],
) -> list[Observation]:
    """The operations in one region: those that need nothing first, then those that ask for each of their resources."""
    with ThreadPoolExecutor(CONCURRENT_REQUESTS, thread_name_prefix="describe") as pool:
        return _observed_in(pool, account, region, operations, clock)


def _observed_in(
    pool: ThreadPoolExecutor,
    account: AccountAccess,
    region: str,
    operations: Sequence[Operation],
    clock: Callable[[], datetime],
) -> list[Observation]:
    done: dict[tuple[str, str], Observation] = {}
    throttled = {one: -account.throttled(one.service, region, one.api_name) for one in operations}
    waiting = list(operations)
    while waiting:
        ready = [one for one in waiting if one.for_each is None or (one.service, one.for_each.operation) in done]
        assert ready, f"{waiting[0].name} waits for an operation that the catalog does not have"
        asked = {one: _requests(one, done, account.account_id) for one in ready}
        started = {
            one: [
                pool.submit(_ask_each, account, region, one, requests[number::_STRANDS], clock)
                for number in range(_STRANDS)
            ]
            for one, requests in asked.items()
            if requests is not None
        }
        for one in ready:
            requests = asked[one]
            if requests is None:
                answer = _unasked(
                    Outcome.SKIPPED, "ParentNotObserved", f"it is asked for each row of {_parent(one)}, which was not "
                    "observed", clock(),
                )  # fmt: skip
                observation = Observation(account.account_id, region, one, answer)
            else:
                parents = done.get((one.service, _parent(one)))
                strands = [strand.result() for strand in started[one]]
                answers = [strands[number % _STRANDS][number // _STRANDS] for number in range(len(requests))]
                observation = _together(account.account_id, region, one, requests, answers, parents, clock)
            throttled[one] += account.throttled(one.service, region, one.api_name)
            done[one.service, one.name] = replace(observation, throttled=throttled[one])
        waiting = [one for one in waiting if one not in asked]
    return list(done.values())


def _parent(operation: Operation) -> str:
    return operation.for_each.operation if operation.for_each is not None else ""


def _requests(
    operation: Operation, done: Mapping[tuple[str, str], Observation], account_id: str
) -> list[_Request] | None:
    """What to ask, each once; None where it is not known for what to ask."""
    each = operation.for_each
    if each is None:
        return [_Request(operation.parameters)]
    parents = done[operation.service, each.operation]
    if parents.answer.outcome is not Outcome.OBSERVED and not parents.answer.items:
        return None
    requests: dict[str, _Request] = {}
    for parent in parents.answer.items:
        for request in _requests_of(parent, operation, each, account_id):
            requests.setdefault(request.key, request)
    return list(requests.values())


def _requests_of(parent: Any, operation: Operation, each: ForEach, account_id: str) -> list[_Request]:
    requests = []
    try:
        for place in _places(each, {"parent": parent, "account": account_id}):
            values = {name: jmespath.search(path, place) for name, path in each.parameters.items()}
            key = {name: jmespath.search(path, place) for name, path in each.key.items()}
            if None in key.values() or None in values.values():
                return [_Request({}, is_known=False)]
            parents_key = {name: str(value) for name, value in key.items()}
            requests.append(_Request({**operation.parameters, **values}, parents_key))
    except JMESPathError:  # a member that the parents' rows always have is absent
        return [_Request({}, is_known=False)]
    return requests


def _places(each: ForEach, place: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A parent, as often as what lies within it."""
    places = [place]
    for name, path in each.within:
        places = [{**one, name: value} for one in places for value in jmespath.search(path, one) or [] if value]
    return (one for one in places if each.where is None or jmespath.search(each.where, one))


def _ask_each(
    account: AccountAccess,
    region: str,
    operation: Operation,
    requests: Sequence[_Request],
    clock: Callable[[], datetime],
) -> list[Answer]:
    return [_ask(account, region, operation, request, clock) for request in requests]


def _ask(
    account: AccountAccess,
    region: str,
    operation: Operation,
    request: _Request,
    clock: Callable[[], datetime],
) -> Answer:
    if not request.is_known:
        message = f"a row of {_parent(operation)} does not say for what to ask"
        return _unasked(Outcome.UNAVAILABLE, MALFORMED, message, clock())

    def ask(client: Any) -> Answer:
        return all_pages(
            client,
            operation.name,
            operation.rows,
            page_size=operation.page_size,
            parameters=request.parameters,
            withheld=operation.withheld,
            clock=clock,
        )

    client = account.client(operation.service, region)
    answer = ask(client)
    if answer.error_code not in EXPIRED_CODES:
        return answer
    try:
        account.renew(client)
    except AwsError as error:
        return _unasked(Outcome.DENIED, error.code, str(error), clock())
    return ask(account.client(operation.service, region))


def _together(
    account_id: str,
    region: str,
    operation: Operation,
    requests: Sequence[_Request],
    answers: Sequence[Answer],
    parents: Observation | None,
    clock: Callable[[], datetime],
) -> Observation:
    """The answers to all requests of an operation as one; rows know the parent that they were asked of."""
    if operation.for_each is None:
        (answer,) = answers
        unobserved = frozenset[str]() if answer.outcome is Outcome.OBSERVED else None
        return Observation(account_id, region, operation, answer, unobserved)
    items: list[Any] = [
        {**request.parent, **row} if isinstance(row, dict) else row
        for request, answer in zip(requests, answers, strict=True)
        for row in answer.items
    ]
    failed = [
        (request, answer)
        for request, answer in zip(requests, answers, strict=True)
        if answer.outcome is not Outcome.OBSERVED
    ]
    are_all_asked = (
        parents is not None
        and parents.answer.outcome is Outcome.OBSERVED
        and all(request.is_known for request in requests)
    )
    now = clock()
    outcome, code, message = Outcome.OBSERVED, None, None
    if failed:
        request, worst = min(failed, key=lambda one: _GRAVEST_FIRST.index(one[1].outcome))
        outcome, code = worst.outcome, worst.error_code
        message = (
            f"{len(failed)} of {len(requests)} requests failed, such as that of {request.key or 'an unreadable row'}: "
            f"{worst.error_message}"
        )
    elif not are_all_asked:
        outcome, code = Outcome.SKIPPED, "ParentNotObserved"
        message = f"{operation.for_each.operation} was observed in part"
    return Observation(
        account_id,
        region,
        operation,
        Answer(
            outcome=outcome,
            items=items,
            pages=sum(answer.pages for answer in answers),
            started_at=min((answer.started_at for answer in answers), default=now),
            ended_at=max((answer.ended_at for answer in answers), default=now),
            error_code=code,
            error_message=message,
        ),
        unobserved=frozenset(request.key for request, _ in failed) if are_all_asked else None,
    )


def _unasked(outcome: Outcome, code: str, message: str, now: datetime) -> Answer:
    return Answer(
        outcome=outcome, items=[], pages=0, started_at=now, ended_at=now, error_code=code, error_message=message
    )
