"""Flow records with both ends resolved to who owned them at that moment."""

from __future__ import annotations

import polars as pl

from kentik_dagster.catalog.applications import APPLICATIONS, PROTOCOL_NAMES
from kentik_dagster.catalog.tables import END_COLUMNS, TABLES
from kentik_dagster.core.resolution import epochs, resolve
from kentik_dagster.core.schemas import polars_schema, require

_FLOWS = polars_schema(TABLES["flow_logs"])
_ENRICHED = polars_schema(TABLES["enriched_flows"])
FOUND = ("exact", "earliest")
_APPLICATIONS = pl.DataFrame(
    APPLICATIONS, schema={"protocol": pl.Int32, "port": pl.Int32, "name": pl.String}, orient="row"
)


def enriched_flows(flows: pl.DataFrame, book: pl.DataFrame) -> pl.DataFrame:
    """Resolve both ends of each flow record.

    The ends are those of the packet (`pkt_srcaddr`, `pkt_dstaddr`) where they were recorded: on the interfaces
    of NAT gateways and transit gateways, and of nodes whose pods have addresses of their own, the other
    address fields name the device in between. A record is matched with what was true when it ended.

    Args:
        flows: rows of `flow_logs`; columns that are missing count as null.
        book: rows of `address_book`.

    Returns:
        One row per row of `flows`, in the same order: the columns of `enriched_flows`. NODATA and SKIPDATA
        records have no ends, and no resolution.
    """
    require(flows, "export", "hour", "source_object", by="enriched_flows")
    absent = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in _FLOWS.items() if name not in flows.columns]
    records = flows.with_columns(absent).with_row_index("record")
    records = records.with_columns(
        moment=pl.coalesce("end", "start", _file_time()),
        src_end=pl.coalesce("pkt_srcaddr", "srcaddr"),
        dst_end=pl.coalesce("pkt_dstaddr", "dstaddr"),
    )
    records = _with_epochs(records, book)
    records = _with_observing(records, book)
    records = _columns(_with_ends(records, book), book)
    lacking = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in _ENRICHED.items() if name not in records.columns]
    return records.with_columns(lacking).select(_ENRICHED.names())


def unresolved_share(enriched: pl.DataFrame) -> pl.DataFrame:
    """How the ends of flows were resolved.

    Returns:
        One row per resolution: `resolution`, `ends` (both sides together), `share` (0 to 1), most ends first.
    """
    ends = pl.concat([enriched["src_resolution"], enriched["dst_resolution"]]).drop_nulls().alias("resolution")
    counts = pl.DataFrame(ends).group_by("resolution").len("ends")
    return counts.with_columns(share=pl.col("ends") / pl.col("ends").sum()).sort(
        "ends", "resolution", descending=[True, False]
    )


def _file_time() -> pl.Expr:
    """The time in the object's name, for formats without start and end."""
    return (
        pl.col("source_object")
        .str.slice(0, len("20261123T0100Z"))
        .str.to_datetime("%Y%m%dT%H%MZ", time_unit="us", strict=False)
        .dt.replace_time_zone("UTC")
    )


def _with_epochs(records: pl.DataFrame, book: pl.DataFrame) -> pl.DataFrame:
    addresses = pl.concat([records["src_end"], records["dst_end"]]).drop_nulls().unique()
    recorded = book.filter(pl.col("eni_id").is_in(records["interface_id"].drop_nulls().unique().implode()))
    stretches = epochs(book, records["moment"], pl.concat([addresses, recorded["address"].drop_nulls()]).unique())
    if stretches.is_empty():
        return records.with_columns(epoch=pl.lit(0, pl.UInt32), epoch_at=pl.lit(None, _FLOWS["end"]))
    numbered = (
        records.select("record", "moment")
        .filter(pl.col("moment").is_not_null())
        .sort("moment")
        .join_asof(stretches, left_on="moment", right_on="epoch_at", strategy="backward", coalesce=False)
        .select("record", "epoch", "epoch_at")
    )
    return records.join(numbered, on="record", how="left", maintain_order="left")


def _with_observing(records: pl.DataFrame, book: pl.DataFrame) -> pl.DataFrame:
    """What the record does not say of the interface that it was recorded at, from the book."""
    owners = book.filter(pl.col("kind") == "interface_address")
    asked = records.select("interface_id", "epoch", "epoch_at").drop_nulls().unique()
    at = pl.col("epoch_at")
    stands = (pl.col("valid_from") <= at) & (pl.col("valid_to").is_null() | (at < pl.col("valid_to")))
    known = (
        asked.join(owners, left_on="interface_id", right_on="eni_id", how="inner")
        .filter(stands | (pl.col("since_first_snapshot") & (at < pl.col("valid_from"))))
        .unique(["interface_id", "epoch"], keep="first", maintain_order=True)
        .select(
            "interface_id",
            "epoch",
            *(
                pl.col(name).alias(f"known_{name}")
                for name in ("account_id", "region", "az_id", "vpc_id", "subnet_id", "instance_id", "eni_type")
            ),
        )
    )
    joined = records.join(known, on=["interface_id", "epoch"], how="left", maintain_order="left")
    named = pl.when(pl.col("account_id") != "unknown").then("account_id")
    return joined.with_columns(
        pl.coalesce(named, "known_account_id").alias("observing_account_id"),
        *(
            pl.coalesce(name, f"known_{name}").alias(f"observing_{name}")
            for name in ("region", "az_id", "vpc_id", "subnet_id", "instance_id")
        ),
        observing_eni_id=pl.col("interface_id"),
    )


def _with_ends(records: pl.DataFrame, book: pl.DataFrame) -> pl.DataFrame:
    """Each distinct (VPC, address, epoch) is looked up once; the answers are joined to both sides."""
    questions = pl.concat(
        records.select(pl.col("observing_vpc_id").alias("vpc_id"), pl.col(side).alias("address"), "epoch", "epoch_at")
        for side in ("src_end", "dst_end")
    )
    answers = resolve(questions.filter(pl.col("address").is_not_null(), pl.col("epoch").is_not_null()).unique(), book)
    missing = [f"end_{name}" for name in END_COLUMNS if f"end_{name}" not in answers.columns]
    answers = answers.with_columns(
        pl.lit(None, _ENRICHED[name.replace("end_", "src_")]).alias(name) for name in missing
    )
    for side in ("src", "dst"):
        renamed = answers.rename(
            {name: name.replace("end_", f"{side}_") for name in answers.columns if name.startswith("end_")}
        )
        records = records.join(
            renamed.rename({"vpc_id": "observing_vpc_id", "address": f"{side}_end"}),
            on=["observing_vpc_id", f"{side}_end", "epoch"],
            how="left",
            nulls_equal=True,
            maintain_order="left",
        )
    return records


def _columns(records: pl.DataFrame, book: pl.DataFrame) -> pl.DataFrame:
    src_is_ours, dst_is_ours = (pl.col(f"{side}_resolution").is_in(FOUND) for side in ("src", "dst"))
    src_outside, dst_outside = (pl.col(f"{side}_resolution") == "external" for side in ("src", "dst"))
    direction = pl.coalesce(
        "flow_direction",
        pl.when(pl.col("src_eni_id") == pl.col("interface_id")).then(pl.lit("egress")),
        pl.when(pl.col("dst_eni_id") == pl.col("interface_id")).then(pl.lit("ingress")),
    )
    profile = (
        pl.when(src_is_ours & dst_is_ours)
        .then(pl.lit("internal cloud"))
        .when(src_is_ours & dst_outside)
        .then(pl.lit("cloud to outside"))
        .when(src_outside & dst_is_ours)
        .then(pl.lit("outside to cloud"))
        .when(pl.col("src_resolution").is_not_null())
        .then(pl.lit("unknown"))
    )
    return records.with_columns(
        _application(),
        flow_direction=direction,
        traffic_profile=profile,
        is_primary_record=_is_primary(direction, src_is_ours),
        start_time=pl.col("start"),
        end_time=pl.col("end"),
        src_addr=pl.col("srcaddr"),
        dst_addr=pl.col("dstaddr"),
        src_pkt_addr=pl.col("pkt_srcaddr"),
        dst_pkt_addr=pl.col("pkt_dstaddr"),
        src_port=pl.col("srcport"),
        dst_port=pl.col("dstport"),
        src_aws_service=pl.col("pkt_src_aws_service"),
        dst_aws_service=pl.col("pkt_dst_aws_service"),
        gateway_id=pl.lit(None, pl.String),
        gateway_type=pl.lit(None, pl.String),
        sample_rate=pl.col("sample_rate").fill_null(1),
        metadata_as_of=pl.lit(book["valid_from"].max(), _ENRICHED["metadata_as_of"]),
    )


def _is_primary(direction: pl.Expr, src_is_ours: pl.Expr) -> pl.Expr:
    """One record of each conversation and direction: the sender's, or the receiver's if the sender is not ours.

    What a NAT gateway's interface recorded is a second view of what the instances' interfaces recorded.
    """
    at_nat_gateway = (pl.col("known_eni_type") == "nat_gateway").fill_null(False)
    is_traffic = pl.col("src_resolution").is_not_null()
    return is_traffic & ~at_nat_gateway & ((direction != "ingress").fill_null(True) | ~src_is_ours.fill_null(False))


def _application() -> pl.Expr:
    def served_by(port: str) -> pl.Expr:
        # Ports fit 16 bits, so that protocol and port make one number.
        number = pl.col("protocol").cast(pl.Int64) * 65_536 + pl.col(port)
        known = _APPLICATIONS.select(pl.col("protocol").cast(pl.Int64) * 65_536 + pl.col("port"), "name")
        return number.replace_strict(known.to_series(0), known.to_series(1), default=None, return_dtype=pl.String)

    return pl.coalesce(
        served_by("dstport"),
        served_by("srcport"),
        pl.col("protocol").replace_strict(PROTOCOL_NAMES, default=None, return_dtype=pl.String),
    ).alias("application")
