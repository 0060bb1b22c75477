"""Whether contenders read the same records: counts and checksums, before anybody looks at times."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl
from isal import igzip

from kentik_dagster.lake.tables import Lake

_IDENTITY = ("interface_id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets", "bytes")
# The columns of `enriched_flows` that say the same.
_ENRICHED = ("observing_eni_id", "src_addr", "dst_addr", "src_port", "dst_port", "protocol", "packets", "bytes")


class DisagreementError(RuntimeError):
    """Two contenders did not read the same records, so that their times cannot be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksum:
    """What a set of records comes to, in any order.

    Attributes:
        found: ends for which an owner was named; None: nobody was looked up.
    """

    records: int
    bytes: int
    packets: int
    fingerprint: int
    found: int | None


def of_contender(folder: Path) -> Checksum | None:
    """The checksum of what a contender wrote; None: it writes nothing."""
    if (folder / "flows.parquet").exists():
        return _checksum(pl.scan_parquet(folder / "flows.parquet"), _IDENTITY)
    if (folder / "flows").exists():
        return _checksum(pl.scan_delta(str(folder / "flows")), _IDENTITY)
    return None


def of_frame(flows: object) -> dict[str, int | None]:
    """The checksum of a frame that a contender read and did not write, as JSON can say it."""
    assert isinstance(flows, pl.DataFrame)
    return asdict(_checksum(flows.lazy(), _IDENTITY))


def text_bytes(files: Sequence[Path]) -> int:
    """How long the text of gzip objects is, as the end of each says: one member each, none of 4 GB."""
    return sum(int.from_bytes(file.read_bytes()[-4:], "little") for file in files)


def sums(files: Sequence[Path]) -> dict[str, int]:
    """`records`, `bytes` and `packets` of some objects."""
    totals = {"records": 0, "bytes": 0, "packets": 0}
    for file in files:
        flows = pl.read_csv(io.BytesIO(igzip.decompress(file.read_bytes())), separator=" ", infer_schema=False)
        numbers = flows.select(pl.col("bytes", "packets").cast(pl.Int64, strict=False).sum())
        for name, value in {"records": flows.height, **numbers.row(0, named=True)}.items():
            totals[name] += value
    return totals


def same(said: Mapping[str, int], expected: Mapping[str, int], *, who: str) -> None:
    """Refuse a contender that did not read what the objects hold.

    Raises:
        DisagreementError: it did not.
    """
    if said != expected:
        raise DisagreementError(f"{who} read {dict(said)}, the objects hold {dict(expected)}")


def of_ours(lake: Lake) -> tuple[Checksum, Checksum]:
    """The checksums of `flow_logs` and of `enriched_flows`."""
    return (
        _checksum(lake["flow_logs"].scan(), _IDENTITY),
        _checksum(lake["enriched_flows"].scan(), _ENRICHED),
    )


def agree(one: Checksum, other: Checksum, *, who: str, whom: str) -> None:
    """Refuse to compare what is not the same; owners are compared where both look them up.

    Raises:
        DisagreementError: the records differ.
    """
    theirs = (one.records, one.bytes, one.packets, one.fingerprint)
    if theirs != (other.records, other.bytes, other.packets, other.fingerprint):
        raise DisagreementError(f"{who} read {one}, {whom} {other}: times of different work are not compared")
    if one.found is not None and other.found is not None and one.found != other.found:
        raise DisagreementError(f"{who} found {one.found} owners, {whom} {other.found}")


def _checksum(flows: pl.LazyFrame, identity: tuple[str, ...]) -> Checksum:
    names = flows.collect_schema().names()
    flows = flows.rename({name: name.removeprefix("f.") for name in names if name.startswith("f.")})
    looked_up = "src_eni_id" in names and identity is _IDENTITY
    numbers = pl.col(identity[3:]).cast(pl.Int64)
    texts = pl.col(identity[:3]).cast(pl.String)
    rows = flows.select(
        pl.len().alias("records"),
        pl.col("bytes").sum(),
        pl.col("packets").sum(),
        fingerprint=(pl.struct(texts, numbers).hash(seed=7) % 2**32).sum(),
        found=pl.col("src_eni_id").count() + pl.col("dst_eni_id").count() if looked_up else pl.lit(None),
    )
    return Checksum(**rows.collect().row(0, named=True))
