"""What is asked for each resource of another operation: the requests, and their answers as one observation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from kentik_dagster.aws.calls import Answer
from kentik_dagster.catalog.network import ForEach, Operation
from kentik_dagster.catalog.outcomes import Outcome
from kentik_dagster.core.resources import KEY_SEPARATOR

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
class Request:
    """One request of an operation: its parameters, and of which parent.

    Attributes:
        is_known: False where the parent does not say what to ask for.
    """

    parameters: Mapping[str, Any]
    parent: Mapping[str, str] = field(default_factory=dict)
    is_known: bool = True

    @property
    def key(self) -> str:
        """As the resource ids of its rows begin."""
        return KEY_SEPARATOR.join(self.parent.values())


def requests_for(
    operation: Operation, done: Mapping[tuple[str, str], Observation], account_id: str
) -> list[Request] | None:
    """What to ask, each once; None where it is not known for what to ask."""
    each = operation.for_each
    if each is None:
        return [Request(operation.parameters)]
    parents = done[operation.service, each.operation]
    if parents.answer.outcome is not Outcome.OBSERVED and not parents.answer.items:
        return None
    requests: dict[str, Request] = {}
    for parent in parents.answer.items:
        for request in _requests_of(parent, operation, each, account_id):
            requests.setdefault(request.key, request)
    return list(requests.values())


def _requests_of(parent: Any, operation: Operation, each: ForEach, account_id: str) -> list[Request]:
    requests = []
    try:
        for place in _places(each, {"parent": parent, "account": account_id}):
            values = {name: jmespath.search(path, place) for name, path in each.parameters.items()}
            key = {name: jmespath.search(path, place) for name, path in each.key.items()}
            if None in key.values() or None in values.values():
                return [Request({}, is_known=False)]
            parents_key = {name: str(value) for name, value in key.items()}
            requests.append(Request({**operation.parameters, **values}, parents_key))
    except JMESPathError:  # a member that the parents' rows always have is absent
        return [Request({}, is_known=False)]
    return requests


def _places(each: ForEach, place: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A parent, as often as what lies within it."""
    places = [place]
    for name, path in each.within:
        places = [{**one, name: value} for one in places for value in jmespath.search(path, one) or [] if value]
    return (one for one in places if each.where is None or jmespath.search(each.where, one))


def together(
    account_id: str,
    region: str,
    operation: Operation,
    requests: Sequence[Request],
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
        {**row, **request.parent} if isinstance(row, dict) else row
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


def unasked(outcome: Outcome, code: str, message: str, now: datetime) -> Answer:
    """The answer to what was not asked."""
    return Answer(
        outcome=outcome, items=[], pages=0, started_at=now, ended_at=now, error_code=code, error_message=message
    )
