"""What reading a part of a log object gives, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

REJECTED = pl.Schema({"line_number": pl.Int64(), "text": pl.String(), "reason": pl.String()})


def no_rejected() -> pl.DataFrame:
    """No rejected line."""
    return pl.DataFrame(schema=REJECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What one part of an object gave: large objects are read in parts, each ending with a line.

    Attributes:
        rows: one row per record in the order of the file, typed as the catalog says; columns that the file does
            not name are left out.
        rejected: one row per line that could not be read: `line_number` in the object (from 1), `text`, `reason`.
        lines: lines of this part, so that the next one knows the number of its first.
        layout: fields of the last header line, which the next part goes on with; None: there was none yet.
        rest: bytes at the end that belong to a record which the next part completes.
    """

    rows: pl.DataFrame = field(default_factory=pl.DataFrame)
    rejected: pl.DataFrame = field(default_factory=no_rejected)
    lines: int = 0
    layout: tuple[str, ...] | None = None
    rest: bytes = b""
