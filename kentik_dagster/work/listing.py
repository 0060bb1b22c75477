"""A look at a log bucket that ends in time, however much there is to list, and goes on where the last one ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

import polars as pl

from kentik_dagster.aws.flow_logs import LISTED, LogBucket
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.core.flow_log_keys import log_objects
from kentik_dagster.core.look_back import Examined

# So many times as long as they took to find, folders are not looked for again; unless they are found at once.
FOLDERS_SHARE = 20
QUICK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Look:
    """What was listed.

    Attributes:
        objects: rows of `log_objects`, with `listed_on`, the day of their folder.
        days: how many whole days.
        left_after: how far into the next one; None: it was not begun.
    """

    objects: pl.DataFrame
    days: int
    left_after: str | None


class Parts(Protocol):
    """A bucket whose days are listed in parts, as `LogBucket` does."""

    def parts_of(self, day: date, after: str | None = None) -> Iterator[tuple[str | None, pl.DataFrame]]:
        """As `LogBucket.parts_of`."""
        ...


def look(bucket: Parts, examined: Examined, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> Look:
    """List what is left, part by part, until the time is over; one part at least, for progress."""
    ends_at = clock() + seconds
    parts = [log_objects(pl.DataFrame(schema=LISTED)).with_columns(listed_on=pl.lit(None, pl.Date))]
    days, after = 0, examined.left_after
    for day in examined.left:
        rest: str | None = None
        for rest_after, objects in bucket.parts_of(day, after):
            parts.append(objects.with_columns(listed_on=pl.lit(day)))
            rest = rest_after
            if clock() >= ends_at:
                break
        after = rest
        if after is not None:
            break
        days += 1
        if clock() >= ends_at:
            break
    return Look(pl.concat(parts), days, after)


@dataclass
class Folders:
    """The folders of a bucket that hold days: where it takes long to find them, they are looked for less often.

    In an organization of a thousand accounts that takes thousands of requests; a new account begins to count when they
    are looked for again.
    """

    clock: Callable[[], float] = time.monotonic
    _known: Sequence[str] | None = field(default=None, init=False)
    _until: float = field(default=0.0, init=False)

    def bucket(self, access: ExportAccess) -> LogBucket:
        """The bucket, with the folders that are known."""
        begun = self.clock()
        if self._known is None or begun >= self._until:
            self._known = LogBucket(access).day_parents()
            took = self.clock() - begun
            self._until = begun + (took * FOLDERS_SHARE if took > QUICK_SECONDS else 0)
        return LogBucket(access, self._known)
