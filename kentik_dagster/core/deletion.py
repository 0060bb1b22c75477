"""Which log objects may be deleted, and what the sweep says of each.

An object passes through these lines of `deletion_sweep`, each replacing the one before:

    would_delete (dry run)  →  would_delete, DELETION_BEGUN  →  deleted, changed, already_gone or failed

The line with DELETION_BEGUN is committed before the first request. A sweep that is killed after its requests leaves
it behind, and so the next one knows that an object which is gone was this system's to delete.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

import polars as pl

from kentik_dagster.catalog.outcomes import DENIED_CODES
from kentik_dagster.core.ledger import deletable_objects
from kentik_dagster.core.schemas import require

CONTENT = ("bucket", "key", "etag")
FIREWALL = "network_firewall"
DELETION_BEGUN = "the deletion was begun, and its result is not written yet"
DELETED_UNSEEN = "an earlier sweep began the deletion and did not write its result; the object is gone"
# Begins the text of a request that may have been carried out all the same.
NO_ANSWER = "S3 did not answer"
NOT_CONDITIONAL = "NotConditional"
# Waiting does not mend these.
REFUSALS = DENIED_CODES | {"AllAccessDisabled", "InvalidRequest", "MethodNotAllowed", "NotImplemented", NOT_CONDITIONAL}


class SweepOutcome(StrEnum):
    """What became of an object whose content the lake holds."""

    DELETED = "deleted"
    WOULD_DELETE = "would_delete"  # dry run, or about to be deleted
    CHANGED = "changed"  # the key holds other content now; that content is read first
    ALREADY_GONE = "already_gone"
    FAILED = "failed"


def held_objects(audit: pl.DataFrame, counts: Mapping[str, Mapping[str, int]]) -> pl.DataFrame:
    """The audit lines of objects whose every row and every rejected line was counted in the committed tables.

    Args:
        audit: rows of `flow_log_objects`.
        counts: rows of each source object, by table: `flow_logs`, `firewall_logs`, `rejected_records`. What is
            not counted there is not held.
    """
    require(audit, "source_object", "outcome", "log_type", "rows", "rejected_lines", by="held_objects")
    is_firewall = pl.col("log_type").eq_missing(pl.lit(FIREWALL))
    held = pl.concat(
        [
            deletable_objects(audit.filter(~is_firewall), counts.get("flow_logs", {})),
            deletable_objects(audit.filter(is_firewall), counts.get("firewall_logs", {})),
        ]
    )
    rejected = counts.get("rejected_records", {})
    kept = pl.DataFrame(
        {"source_object": list(rejected), "_kept": list(rejected.values())},
        schema={"source_object": pl.String, "_kept": pl.Int64},
    )
    joined = held.join(kept, on="source_object", how="left", maintain_order="left")
    return joined.filter(pl.col("rejected_lines").fill_null(0) <= pl.col("_kept").fill_null(0)).drop("_kept")


def vanished_objects(held: pl.DataFrame, listed: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """The held objects that the bucket does not hold any more, and what is to be said of each.

    Args:
        held: one row per object: `bucket`, `key`, `etag`, and whatever else.
        listed: the objects in the bucket: `bucket`, `key`, `etag`.
        known: rows of `deletion_sweep`.

    Returns:
        The rows of `held` that are not listed with their ETag, without those known as deleted, plus `outcome`
        and `error`.
    """
    gone = held.join(listed, on=CONTENT, how="anti").join(
        known.filter(pl.col("outcome") == SweepOutcome.DELETED), on=CONTENT, how="anti"
    )
    keys = listed.select("bucket", "key", overwritten=pl.lit(True)).unique()
    begun = known.filter(_begun()).select(*CONTENT, begun=pl.lit(True))
    # fmt: off
    says = (
        pl.when(pl.col("overwritten"))
        .then(_says(SweepOutcome.CHANGED, "the object was overwritten after it was read"))
        .when(pl.col("begun"))
        .then(_says(SweepOutcome.DELETED, DELETED_UNSEEN))
        .otherwise(_says(SweepOutcome.ALREADY_GONE, "the object was not there any more when the sweep looked"))
    )
    # fmt: on
    return (
        gone.join(keys, on=("bucket", "key"), how="left")
        .join(begun, on=CONTENT, how="left")
        .with_columns(says=says)
        .drop("overwritten", "begun")
        .unnest("says")
    )


def merged_sweep(there: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """The rows of `deletion_sweep` with new lines: one row for each content, the latest.

    A line that would say the same again leaves the row as it was. `deleted` stays where another sweep, with an
    older listing, only found the object gone, overwritten or about to be deleted.
    """
    deleted = there.filter(pl.col("outcome") == SweepOutcome.DELETED)
    says_less = pl.col("outcome").is_in([SweepOutcome.ALREADY_GONE, SweepOutcome.CHANGED]) | _begun()
    outdated = lines.filter(says_less).join(deleted, on=CONTENT, how="semi")
    new = lines.join(outdated, on=CONTENT, how="anti").join(
        there, on=[*CONTENT, "outcome", "error"], how="anti", nulls_equal=True
    )
    kept = there.join(new, on=CONTENT, how="anti")
    return pl.concat([kept, new.select(there.columns)]).sort("key", "etag")


def held_back(known: pl.DataFrame) -> pl.DataFrame:
    """The contents that only a dry run kept in the bucket: `bucket`, `key`, `etag`."""
    return known.filter(pl.col("outcome") == SweepOutcome.WOULD_DELETE, pl.col("error").is_null()).select(CONTENT)


def refused_deletions(swept: pl.DataFrame) -> pl.DataFrame:
    """The rows of `deletion_sweep` that failed for a reason which waiting does not mend."""
    code = pl.col("error").str.extract(r"^(\w+):")
    return swept.filter(pl.col("outcome") == SweepOutcome.FAILED, code.is_in(sorted(REFUSALS)))


def deletion_lags(swept: pl.DataFrame) -> pl.DataFrame:
    """How long the objects that were deleted lay in the bucket.

    Args:
        swept: rows of `deletion_sweep`.

    Returns:
        The rows of `swept` that were seen deleted, in the same order, plus `lag_seconds` (float64, s), from
        posting to deletion. Deletions that a killed sweep did not write down are left out: their time is unknown.
    """
    seen = swept.filter(pl.col("outcome") == SweepOutcome.DELETED, pl.col("error").ne_missing(pl.lit(DELETED_UNSEEN)))
    return seen.with_columns(lag_seconds=(pl.col("swept_at") - pl.col("posted_at")).dt.total_microseconds() / 1e6)


def current_lags(lags: pl.DataFrame, now: datetime, window: timedelta) -> pl.DataFrame:
    """The rows of `deletion_lags` that say whether the sweep keeps up: posted within `window`, and not kept on purpose.

    Args:
        lags: with `held_back` (bool): a dry run had kept the object until then.
    """
    return lags.filter(pl.col("posted_at") > pl.lit(now) - window, ~pl.col("held_back"))


def _begun() -> pl.Expr:
    """A deletion may have been carried out, although no line says so."""
    announced = (pl.col("outcome") == SweepOutcome.WOULD_DELETE) & pl.col("error").eq_missing(pl.lit(DELETION_BEGUN))
    unanswered = (pl.col("outcome") == SweepOutcome.FAILED) & pl.col("error").str.starts_with(NO_ANSWER)
    return announced | unanswered.fill_null(False)


def _says(outcome: SweepOutcome, error: str) -> pl.Expr:
    return pl.struct(outcome=pl.lit(str(outcome)), error=pl.lit(error))
