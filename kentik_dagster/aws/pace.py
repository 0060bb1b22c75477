"""How fast one client asks: below AWS's limits from the start, slower for a while once AWS throttles."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kentik_dagster.catalog.outcomes import THROTTLING_CODES

_SLOWEST = 0.2  # requests a second, however often AWS throttles
_RECOVERY = 1.1  # by how much a request that was not throttled quickens the ones after it
_JITTER = 0.1  # accounts that were throttled together do not come back together


@dataclass(slots=True)
class _Bucket:
    tokens: float
    rate: float
    at: float


class Pace:
    """Token buckets, one for each operation of a client; safe to use from several threads."""

    def __init__(
        self,
        rate: float,
        burst: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`rate` requests a second in the long run, `burst` at once."""
        self.throttled: Counter[str] = Counter()
        self._rate, self._burst, self._clock, self._sleep = rate, burst, clock, sleep
        self._buckets: dict[str, _Bucket] = {}
        self._lock = threading.Lock()

    def keep(self, client: Any) -> None:
        """Let every request of a boto3 client, repeated ones too, wait for its turn."""
        client.meta.events.register("before-send", self._before_send)
        client.meta.events.register("needs-retry", self._after_answer)

    def wait(self, operation: str) -> None:
        """Return when the operation's next request may go."""
        with self._lock:
            now = self._clock()
            bucket = self._buckets.setdefault(operation, _Bucket(self._burst, self._rate, now))
            bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * bucket.rate) - 1
            bucket.at = now
            due_in = max(0.0, -bucket.tokens / bucket.rate)
        if due_in:
            self._sleep(due_in * (1 + random.uniform(0, _JITTER)))

    def answered(self, operation: str, code: str | None) -> None:
        """Learn from an answer: its error code, None where there was no error."""
        with self._lock:
            bucket = self._buckets.get(operation)
            if code in THROTTLING_CODES:
                self.throttled[operation] += 1
                if bucket is not None:
                    bucket.rate = max(_SLOWEST, bucket.rate / 2)
                    bucket.tokens = min(0.0, bucket.tokens)
            elif bucket is not None:
                bucket.rate = min(self._rate, bucket.rate * _RECOVERY)

    def _before_send(self, event_name: str, **_: Any) -> None:
        self.wait(event_name.rpartition(".")[2])

    def _after_answer(self, operation: Any, response: tuple[Any, Mapping[str, Any]] | None, **_: Any) -> None:
        error = response[1].get("Error", {}) if response is not None else {}
        self.answered(operation.name, error.get("Code"))
