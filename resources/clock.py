"""The present moment as a Dagster resource, so that a made-up history can have its own."""

from datetime import UTC, datetime

import dagster as dg


class Clock(dg.ConfigurableResource):
    """Tells the time.

    Attributes:
        stopped_at: an ISO instant at which the clock stands still; None: it goes.
    """

    stopped_at: str | None = None

    def now(self) -> datetime:
        """The present moment, in UTC."""
        return datetime.now(UTC) if self.stopped_at is None else datetime.fromisoformat(self.stopped_at)
