"""Rules that change what happens to the calls they select."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.fake_aws.refusals import RefusedError


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a call belongs: whose it is, and what it calls."""

    account_id: str
    region: str
    service: str
    operation: str
    parameters: Mapping[str, Any] = field(hash=False, compare=False)
    caller_arn: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """As the counters count it."""
        return (self.account_id, self.region, self.service, self.operation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Which calls; None selects any, and `when` asks for these parameters."""

    account: str | None = None
    region: str | None = None
    service: str | None = None
    operation: str | None = None
    when: Mapping[str, Any] | None = None

    def selects(self, scope: Scope) -> bool:
        """Whether this is such a call."""
        return (
            self.account in (None, scope.account_id)
            and self.region in (None, scope.region)
            and self.service in (None, scope.service)
            and self.operation in (None, scope.operation)
            and has(scope.parameters, self.when or {})
        )


def has(parameters: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether parameters have these values; a list has a value that is in it."""
    return all(
        parameters.get(name) == value or (isinstance(parameters.get(name), list) and value in parameters[name])
        for name, value in wanted.items()
    )


@dataclass(frozen=True, slots=True)
class Delay:
    """The answer comes later."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Garbage:
    """The answer is this."""

    body: bytes
    status: int


Effect = RefusedError | Delay | Garbage


class Rule:
    """One rule; it holds until it is lifted, as a context manager until the block ends.

    Attributes:
        fired: how many calls it has changed.
        is_lifted: whether it has ended.
    """

    def __init__(
        self,
        selector: Selector,
        effect: Callable[[Scope], Effect | None],
        *,
        throttles: bool = False,
        after: int = 0,
        times: int | None = None,
    ) -> None:
        self.throttles = throttles
        self.fired = 0
        self._selector, self._effect = selector, effect
        self._after, self._times = after, times
        self._seen = 0
        self.is_lifted = False
        self._lock = threading.Lock()

    def lift(self) -> None:
        """From now on it changes nothing."""
        self.is_lifted = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.lift()

    def effect(self, scope: Scope) -> Effect | None:
        """What it does to a call; None where it lets it be."""
        if self.is_lifted or not self._selector.selects(scope):
            return None
        with self._lock:
            self._seen += 1
            if self._seen <= self._after or (self._times is not None and self.fired >= self._times):
                return None
            effect = self._effect(scope)
            self.fired += effect is not None
            return effect


class TokenBuckets:
    """A bucket of tokens for each account, region and operation; every call takes one."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._levels: dict[tuple[str, str, str, str], tuple[float, float]] = {}

    def takes(self, scope: Scope) -> bool:
        """Whether there was a token for a call."""
        now = time.monotonic()
        level, filled_at = self._levels.get(scope.key, (self._burst, now))
        level = min(self._burst, level + (now - filled_at) * self._rate)
        self._levels[scope.key] = (level - 1 if level >= 1 else level, now)
        return level >= 1
