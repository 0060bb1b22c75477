"""Flow records with both ends resolved to who owned them at that moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import polars as pl

from kentik_dagster.catalog.gateways import GATEWAY_OF_PATH
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.address_index import AddressIndex
from kentik_dagster.core.applications import application
from kentik_dagster.core.described_ends import Places, described_ends
from kentik_dagster.core.distinct import coded
from kentik_dagster.core.end_questions import SIDES, end_questions, is_own
from kentik_dagster.core.moments import network_instants
from kentik_dagster.core.observation import observed_places
from kentik_dagster.core.resolution import resolve
from kentik_dagster.core.schemas import polars_schema, require
from kentik_dagster.core.traffic import NETS, direction, is_primary, profile

_FLOWS = polars_schema(TABLES["flow_logs"])
_ENRICHED = polars_schema(TABLES["enriched_flows"])
_NETS = len(NETS) + 1  # and one that is not known
_MANY_ROWS = 16 * 1024
# What is said of the way to the remote end.
_OF_ROUTES = ("gateway_id", "gateway_type", "forwarding_state")
_ADDRESSES = ("srcaddr", "dstaddr", "pkt_srcaddr", "pkt_dstaddr")


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What is known besides the records.

    Attributes:
        index: of the address book.
        applications: names by (protocol, port), before those of IANA.
        places: countries and autonomous systems of addresses: one row per distinct address, `address` and
            PLACE_COLUMNS; None: nothing is known of them.
    """

    index: AddressIndex
    applications: Mapping[tuple[int, int], str] = field(default_factory=dict)
    places: Places | None = None


def enriched_flows(flows: pl.DataFrame, known: Knowledge) -> pl.DataFrame:
    """Resolve both ends of each flow record.

    The ends are those of the packet (`pkt_srcaddr`, `pkt_dstaddr`) where they were recorded: on the interfaces
    of NAT gateways and transit gateways, and of nodes whose pods have addresses of their own, the other
    address fields name the device in between. A record is matched with what was true when it ended.

    Args:
        flows: rows of `flow_logs`; columns that are missing count as null.

    Returns:
        One row per row of `flows`, in the same order: the columns of `enriched_flows`; much text is categorical. NODATA
        and SKIPDATA records have no ends, and no resolution.
    """
    require(flows, "export", "hour", "source_object", by="enriched_flows")
    records = with_categories(flows)
    absent = {name: dtype for name, dtype in _FLOWS.items() if name not in records.columns}
    records = records.with_columns(
        pl.lit(None, pl.Categorical if dtype == pl.String else dtype).alias(name) for name, dtype in absent.items()
    )
    records = records.with_columns(
        _moments(records),
        src_end=pl.coalesce("pkt_srcaddr", "srcaddr"),
        dst_end=pl.coalesce("pkt_dstaddr", "dstaddr"),
        **is_own(),
    )
    records = records.with_columns(network_instants(records["moment"], known.index))
    observed = observed_places(records, known.index)
    questions = end_questions(records, observed, known.index)
    answers = resolve(questions.asked, known.index)
    ends = described_ends(questions, answers, known.index, known.places)
    of_place = observed.places.select(
        pl.selectors.starts_with("observing_"), place_eni_type=pl.col("eni_type").cast(pl.Categorical)
    )
    told = [_told(of_place, observed.place), _with_ends(records, ends, questions.of)]
    return _columns(pl.concat(told, how="horizontal"), known).select(_ENRICHED.names())


def _with_ends(records: pl.DataFrame, ends: pl.DataFrame, question: Mapping[str, pl.Series]) -> pl.DataFrame:
    """Records with what is said of both ends (`src_*`, `dst_*`), of the way to the remote one, and their direction.

    Args:
        ends: of `described_ends`, the last of them for records that have none.
        question: for each side, which of them is each record's.
    """
    number = {side: question[side].fill_null(ends.height - 1) for side in SIDES}
    of_sides = [_told(ends.drop(_OF_ROUTES), number[side]).select(pl.all().name.prefix(f"{side}_")) for side in SIDES]
    interfaces = (of_side[f"{side}_eni_id"] for side, of_side in zip(SIDES, of_sides, strict=True))
    way = direction(records["flow_direction"], records["interface_id"], *interfaces)
    records = records.with_columns(way.alias("flow_direction"))
    is_out = pl.col("flow_direction") != "ingress"
    remote = records.select(pl.when(is_out).then(number["dst"]).when(~is_out).then(number["src"])).to_series()
    of_route = _told(ends.select(_OF_ROUTES), remote.fill_null(ends.height - 1))
    return pl.concat([records, *of_sides, of_route], how="horizontal")


def _told(said: pl.DataFrame, number: pl.Series) -> pl.DataFrame:
    """What is said of each record, by the number of the row that says it."""
    return pl.DataFrame(
        column.gather(number) if column.null_count() < len(column) else column.clear(len(number)) for column in said
    )


def clustered(flows: pl.DataFrame) -> pl.DataFrame:
    """Rows of `flow_logs` with all text as categories, and rows that say much the same next to each other.

    Categories are compared, moved and written as numbers; files of rows of one interface and the same addresses one
    after the other are half as large, and quicker to write and to read. A few rows gain nothing, and stay in the order
    of the log.
    """
    flows = with_categories(flows).rechunk()  # what has become numbers is smaller than what was text
    if flows.height < _MANY_ROWS:
        return flows
    key = pl.repeat(0, flows.height, dtype=pl.UInt64, eager=True)
    for name in ("interface_id", "srcaddr", "dstaddr"):
        codes = flows[name].to_physical().cast(pl.UInt64) + 1
        key = key * (int(str(codes.max() or 0)) + 1) + codes.fill_null(0)
    order = key.arg_sort()
    return flows.with_columns(column.gather(order) for column in flows if not _is_constant(column))


def _is_constant(column: pl.Series) -> bool:
    """Whether all rows are known to have one value; not all that have are known."""
    values = column.to_physical()
    return values.dtype.is_numeric() and not values.null_count() and values.min() == values.max()


def with_categories(flows: pl.DataFrame) -> pl.DataFrame:
    """Rows of `flow_logs` with text as categories; all addresses have the same ones, so that they can be compared.

    What has been given categories once is returned as it is.
    """
    needed = (*_ADDRESSES, "interface_id", "instance_id")
    absent = [name for name in needed if flows.schema.get(name, pl.Null()) == pl.Null]
    flows = flows.with_columns(pl.lit(None, pl.String).alias(name) for name in absent)
    addresses = pl.Categories.random()
    texts = [column for column in flows if column.dtype == pl.String]
    return flows.with_columns(coded(text, addresses if text.name in _ADDRESSES else None) for text in texts)


def _moments(records: pl.DataFrame) -> pl.Series:
    """When each record ended, as far as it says; else the time in its object's name."""
    said = records.select(moment=pl.coalesce("end", "start"))["moment"]
    if not said.null_count():
        return said
    return records.select(pl.coalesce(said, _file_time()).alias("moment"))["moment"]


def _file_time() -> pl.Expr:
    """The time in the object's name, for formats without start and end."""
    return (
        pl.col("source_object")
        .cast(pl.String)
        .str.slice(0, len("20261123T0100Z"))
        .str.to_datetime("%Y%m%dT%H%MZ", time_unit="us", strict=False)
        .dt.replace_time_zone("UTC")
    )


def _columns(records: pl.DataFrame, known: Knowledge) -> pl.DataFrame:
    own = pl.col("interface_id")
    paths = pl.Series([GATEWAY_OF_PATH.get(path) for path in range(max(GATEWAY_OF_PATH) + 1)], dtype=pl.Categorical)
    path = pl.when(pl.col("traffic_path").is_between(0, len(paths) - 1)).then("traffic_path").cast(pl.UInt32)
    on_path = paths.gather(records.select(path).to_series())
    return records.with_columns(
        application(records.select("protocol", "srcport", "dstport"), known.applications),
        _profiles(records),
        is_primary_record=is_primary(
            log_type=pl.col("log_type"),
            direction=pl.col("flow_direction"),
            own=own,
            # A regional NAT gateway has no interface, and says itself what it is.
            own_type=pl.when(pl.col("resource_id").cat.starts_with("nat-"))
            .then(pl.lit("nat_gateway", pl.Categorical))
            .otherwise("place_eni_type"),
            src=pl.col("src_eni_id"),
            src_type=pl.col("src_eni_type"),
            src_is_in_vpc=pl.col("src_is_in_vpc").fill_null(False),
            dst_is_in_vpc=pl.col("dst_is_in_vpc").fill_null(False),
            srcport=pl.col("srcport"),
            dstport=pl.col("dstport"),
            dst=pl.col("dst_eni_id"),
            src_resolution=pl.col("src_resolution"),
            dst_resolution=pl.col("dst_resolution"),
        ).fill_null(False),
        gateway_type=pl.coalesce("gateway_type", pl.when(pl.col("gateway_id").is_null()).then(on_path)),
        src_aws_service=pl.coalesce(pl.col("pkt_src_aws_service").cast(pl.Categorical), "src_aws_service"),
        dst_aws_service=pl.coalesce(pl.col("pkt_dst_aws_service").cast(pl.Categorical), "dst_aws_service"),
        observing_eni_id=own,
        start_time=pl.col("start"),
        end_time=pl.col("end"),
        src_addr=pl.col("srcaddr"),
        dst_addr=pl.col("dstaddr"),
        src_pkt_addr=pl.col("pkt_srcaddr"),
        dst_pkt_addr=pl.col("pkt_dstaddr"),
        src_port=pl.col("srcport"),
        dst_port=pl.col("dstport"),
        sample_rate=pl.col("sample_rate").fill_null(1),
        metadata_as_of=pl.lit(known.index.as_of, _ENRICHED["metadata_as_of"]),
    )


def _profiles(records: pl.DataFrame) -> pl.Series:
    """The traffic profile of each record, from a table of all pairs of networks."""
    pair = pl.col("src_net").cast(pl.UInt32) * _NETS + pl.col("dst_net")
    return _profiles_of_pairs().gather(records.select(pair).to_series()).alias("traffic_profile")


@lru_cache(maxsize=1)
def _profiles_of_pairs() -> pl.Series:
    nets = pl.DataFrame({"src": [*NETS, None]})
    pairs = nets.join(nets.rename({"src": "dst"}), how="cross", maintain_order="left_right")
    return pairs.select(profile(pl.col("src"), pl.col("dst"), pl.lit(value=True)).cast(pl.Categorical)).to_series()
