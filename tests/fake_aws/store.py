"""The answers that were set, and their pages as bytes."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fake_aws.paging import Cut, cut, page, paging_of
from tests.fake_aws.protocols import Call, Reply, operation_model, success
from tests.fake_aws.rules import Scope, has

Answer = Mapping[str, Any] | Callable[[dict[str, Any]], Mapping[str, Any]]
_Place = tuple[str | None, str | None, str, str]


@dataclass(slots=True)
class _Whole:
    """One whole answer; places that were given the same object share its bytes."""

    answer: Answer
    pages: dict[tuple[str, str, str, Cut | None], Reply] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Choice:
    when: Mapping[str, Any]
    whole: _Whole


class Store:
    """Answers by account, region, service and operation."""

    def __init__(self) -> None:
        self._choices: dict[_Place, tuple[_Choice, ...]] = {}
        self._wholes: dict[int, _Whole] = {}
        self._empty: dict[tuple[str, str], _Whole] = {}
        self._lock = threading.Lock()

    def set(self, place: _Place, answer: Answer, when: Mapping[str, Any]) -> None:
        """Sets an answer, in place of an earlier one for the same parameters."""
        _check(place[2], place[3], answer, when)
        with self._lock:
            earlier = self._choices.get(place, ())
            if any(choice.whole.answer is answer for choice in earlier):
                self._wholes.pop(id(answer), None)  # it has been changed, and is given again
            whole = self._wholes.setdefault(id(answer), _Whole(answer))
            others = [choice for choice in earlier if choice.when != when]
            # Who asks for more parameters is asked first.
            choices = sorted([*others, _Choice(when, whole)], key=lambda choice: -len(choice.when))
            self._choices[place] = tuple(choices)

    def reply(self, scope: Scope, call: Call, page_size: int | None, *, empty_pages: bool) -> Reply:
        """The page that a call asks for.

        Raises:
            RefusedError: AWS would not take its limit or its token, or the answer is a callable that refuses.
        """
        whole = self._whole(scope)
        is_fresh = callable(whole.answer)
        answer = whole.answer(dict(call.parameters)) if callable(whole.answer) else whole.answer
        paging = paging_of(call.service, call.operation)
        part = None if paging is None else cut(call, paging, answer, page_size, empty_pages=empty_pages)
        key = (call.service, call.operation, call.protocol, part)
        reply = whole.pages.get(key)
        if reply is None or is_fresh:
            shown = answer if paging is None or part is None else page(paging, answer, part)
            reply = success(call, {**_nothing(call.service, call.operation), **shown})
            if not is_fresh:
                whole.pages[key] = reply
        return reply

    def get(self, scope: Scope) -> Answer | None:
        """What was set for a call; None where nothing was."""
        found = self._found(scope)
        return None if found is None else found.answer

    def _whole(self, scope: Scope) -> _Whole:
        found = self._found(scope)
        if found is not None:
            return found
        with self._lock:
            return self._empty.setdefault((scope.service, scope.operation), _Whole({}))

    def _found(self, scope: Scope) -> _Whole | None:
        for account_id, region in (
            (scope.account_id, scope.region),
            (scope.account_id, None),
            (None, scope.region),
            (None, None),
        ):
            for choice in self._choices.get((account_id, region, scope.service, scope.operation), ()):
                if has(scope.parameters, choice.when):
                    return choice.whole
        return None


@functools.cache
def _nothing(service: str, operation: str) -> dict[str, Any]:
    """An empty answer: AWS sends empty lists, too."""
    shape = operation_model(service, operation).output_shape
    members: Mapping[str, Any] = shape.members if shape else {}
    return {name: [] for name, member in members.items() if member.type_name == "list"}


def _check(service: str, operation: str, answer: Answer, when: Mapping[str, Any]) -> None:
    model = operation_model(service, operation)
    for what, names, shape in (("parameter", when, model.input_shape), ("member", answer, model.output_shape)):
        known: Mapping[str, Any] = shape.members if shape else {}
        unknown = [] if callable(names) else [name for name in names if name not in known]
        if unknown:
            raise ValueError(f"{operation} has no {what} {', '.join(unknown)}; it has {', '.join(known)}")
