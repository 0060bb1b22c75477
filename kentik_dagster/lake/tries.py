"""What the storage failed to do is done again, where it may well succeed a moment later.

delta-rs and Polars repeat a request that was answered with an error. They do not repeat one whose answer broke off in
the middle, and one broken connection would fail a run.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

_Made = TypeVar("_Made")

_TRIES = 5
_FIRST_PAUSE_SECONDS = 0.1
# What took so long has been repeated for as long by delta-rs.
_LONGEST_SECONDS = 8.0
_REFUSED = (
    "access denied", "accessdenied", "forbidden", "permission denied", "necessary privileges", "not authorized",
    "no credentials", "valid authentication credentials", "invalidaccesskeyid", "signaturedoesnotmatch", "expiredtoken",
)  # fmt: skip


def tried(uri: str, act: Callable[[], _Made], *failures: type[Exception]) -> _Made:
    """What an action gives that may be done any number of times: it reads, or writes what nobody sees yet.

    Args:
        uri: of the table. What a local disk fails is not tried again: nothing breaks off there.
        failures: what it raises where the storage failed; the last one is raised.
    """
    ends_at = time.monotonic() + _LONGEST_SECONDS
    for attempt in range(1, _TRIES):
        try:
            return act()
        except failures as failure:
            if "://" not in uri or is_refusal(failure) or time.monotonic() >= ends_at:
                raise
            time.sleep(random.uniform(0.5, 1) * _FIRST_PAUSE_SECONDS * 2**attempt)
    return act()


def is_refusal(failure: BaseException) -> bool:
    """Whether the storage said that we may not."""
    text = str(failure).casefold()
    return any(words in text for words in _REFUSED)
