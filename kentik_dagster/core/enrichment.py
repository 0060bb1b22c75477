"""Flow records with both ends resolved to who owned them at that moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import polars as pl

from kentik_dagster.catalog.gateways import GATEWAY_OF_PATH
from kentik_dagster.catalog.tables import END_COLUMNS, PLACE_COLUMNS, TABLES
from kentik_dagster.core.address_index import AddressIndex
from kentik_dagster.core.applications import application
from kentik_dagster.core.distinct import coded, numbered
from kentik_dagster.core.observation import observed_places
from kentik_dagster.core.resolution import QUESTION, instants, resolve
from kentik_dagster.core.schemas import polars_schema, require
from kentik_dagster.core.traffic import direction, is_primary, network_of, profile

_FLOWS = polars_schema(TABLES["flow_logs"])
_ENRICHED = polars_schema(TABLES["enriched_flows"])
_SIDES = ("src", "dst")
# What a record itself says of the interface that recorded it.
_SAID = ("account_id", "region", "az_id", "vpc_id", "subnet_id", "instance_id", "eni_id")
# Where an end may be; see `core.traffic.network_of`.
_NETS = {"cloud": 0, "inside": 1, "outside": 2}
# What many ends share, and what hardly two do: categories of the latter are forgotten with the batch.
_FEW = ("resolution", "gateway_id", "gateway_type", "forwarding_state", "aws_service", "country", "as_name")
_MANY = ("instance_id", "instance_name", "eni_entity_name")


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
    places: Callable[[pl.Series], pl.DataFrame] | None = None


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
    absent = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in _FLOWS.items() if name not in flows.columns]
    records = _coded(flows.with_columns(absent))
    records = records.with_columns(
        _moments(records),
        src_end=pl.coalesce("pkt_srcaddr", "srcaddr"),
        dst_end=pl.coalesce("pkt_dstaddr", "dstaddr"),
        **_is_own(),
    )
    records = records.with_columns(_instants(records["moment"], known.index))
    records = records.with_columns(_seen_at(records, known.index))
    places, place = observed_places(records, known.index)
    questions, numbers = _questions(records.with_columns(place=place), places, known.index)
    ends = _ends(questions, resolve(questions, known.index), known, records["interface_id"].dtype)
    described = [ends.select(pl.all().gather(numbers[side]).name.prefix(f"{side}_")) for side in _SIDES]
    observed = places.select(pl.selectors.starts_with("observing_")).with_columns(
        places["eni_type"].cast(pl.Categorical).alias("place_eni_type")
    )
    together = pl.concat([records, observed.select(pl.all().gather(place)), *described], how="horizontal")
    return _columns(together, known).select(_ENRICHED.names())


def _coded(records: pl.DataFrame) -> pl.DataFrame:
    """Addresses and interfaces as categories, which are compared, numbered and written as numbers."""
    addresses = pl.Categories.random()
    return records.with_columns(
        *(coded(records[name], addresses) for name in ("srcaddr", "dstaddr", "pkt_srcaddr", "pkt_dstaddr")),
        coded(records["interface_id"]),
    )


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
        .str.slice(0, len("20261123T0100Z"))
        .str.to_datetime("%Y%m%dT%H%MZ", time_unit="us", strict=False)
        .dt.replace_time_zone("UTC")
    )


def _is_own() -> dict[str, pl.Expr]:
    """Whether an end is the interface that recorded: it sent or received the packet with its own address.

    Where it only hands packets on, the address in the packet is another than that which the interface sees.
    """
    return {
        f"{side}_is_own": (
            (pl.col("flow_direction") == way)
            & (pl.col(f"{side}addr") == pl.col(f"pkt_{side}addr"))
            & pl.col("interface_id").is_not_null()
        ).fill_null(False)
        for side, way in zip(_SIDES, ("egress", "ingress"), strict=True)
    }


def _instants(moments: pl.Series, index: AddressIndex) -> pl.Series:
    """The instant at which the network is looked at for each record."""
    stretches = instants(index, moments)["instant"]
    if len(stretches) < 2:
        instant = pl.lit(stretches[0] if len(stretches) else None, moments.dtype)
        return pl.select(pl.when(moments.is_not_null()).then(instant)).to_series().alias("instant")
    number = stretches.search_sorted(moments, side="right").cast(pl.Int64) - 1
    return stretches.gather(pl.select(pl.when(moments.is_not_null()).then(number)).to_series()).alias("instant")


def _seen_at(records: pl.DataFrame, index: AddressIndex) -> pl.Series:
    """The last instant until each record at which anything changed about the interface that recorded it."""
    asked = records.select("instant", "moment", eni_id="interface_id")
    return _last_change(asked, "eni_id", index).alias("seen_at")


def _last_change(rows: pl.DataFrame, of: str, index: AddressIndex) -> pl.Series:
    """`instant` of each row, or, if later, when its address or interface (column `of`) changed last until `moment`."""
    begin, end = rows["instant"].min(), rows["moment"].max()
    values = rows.select(pl.col(of).unique()).drop_nulls().cast(pl.String)
    if begin is None or begin == end:
        return rows["instant"]
    edges = index.edges_of(values, of, begin, end)  # type: ignore[arg-type]
    if edges.is_empty():
        return rows["instant"]
    numbered = rows.select(pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"), pl.col(of).cast(pl.String), "moment")
    later = (
        numbered.drop_nulls()
        .join(edges.select(of).unique(), on=of, how="semi")
        .sort("moment")
        .join_asof(edges, left_on="moment", right_on="edge", by=of, strategy="backward", check_sortedness=False)
        .select("row", "edge")
    )
    joined = numbered.select("row").join(later, on="row", how="left", maintain_order="left")["edge"]
    return pl.select(pl.max_horizontal(rows["instant"], joined)).to_series()


def _questions(
    records: pl.DataFrame, places: pl.DataFrame, index: AddressIndex
) -> tuple[pl.DataFrame, dict[str, pl.Series]]:
    """What to ask of the ends of records, each question once.

    Returns:
        One row per question: the columns of QUESTION, and what its record says of its interface (`said_*`); and for
        each side the number of each record's question, null where it has none.
    """
    gateways = pl.Categories.random()
    asked = pl.concat(
        records.select(
            "place",
            pl.col(f"{side}_end").alias("address"),
            pl.col(f"{side}_is_own").alias("is_own"),
            pl.col(f"tgw_{side}_vpc_id").cast(pl.Categorical(gateways)).alias("tgw_vpc_id"),
            pl.col("tgw_id").cast(pl.Categorical(gateways)),
            "moment",
            "instant",
            "seen_at",
        )
        for side in _SIDES
    )
    asked = asked.with_columns(at=_last_change(asked, "address", index))
    # What is asked of an interface itself changes with the interface.
    asked = asked.with_columns(at=pl.when("is_own").then(pl.max_horizontal("at", "seen_at")).otherwise("at"))
    distinct, numbers = numbered(asked.select("place", "address", "is_own", "tgw_vpc_id", "tgw_id", "at"))
    is_asked = distinct.select(pl.col("address").is_not_null() & pl.col("at").is_not_null()).to_series()
    question = pl.select(pl.when(is_asked).then(is_asked.cum_sum().cast(pl.UInt32) - 1)).to_series().gather(numbers)
    by_side = dict(zip(_SIDES, (question[: records.height], question[records.height :]), strict=True))
    return _asked(distinct.filter(is_asked), places, index), by_side


def _asked(distinct: pl.DataFrame, places: pl.DataFrame, index: AddressIndex) -> pl.DataFrame:
    here = places.select(
        pl.col("instant", "vpc_id", "via", "own_eni_id", *(f"said_{name}" for name in _SAID)).gather(distinct["place"])
    )
    asked = pl.concat([distinct.with_columns(pl.selectors.categorical().cast(pl.String)), here], how="horizontal")
    asked = asked.with_columns(had_id=pl.when("is_own").then("own_eni_id"))
    had = index.had(asked.select(pl.col("had_id").alias("eni_id"), "address"))
    # An interface that metadata has never shown is taken at its word if it is an instance's.
    is_own = pl.col("is_own") & had.fill_null(asked["said_instance_id"].is_not_null())
    return asked.with_columns(
        vpc_id=pl.coalesce("vpc_id", "tgw_vpc_id"),
        via=pl.coalesce("via", "tgw_id"),
        own_eni_id=pl.when(is_own).then("own_eni_id"),
        is_disputed=pl.col("is_own") & had.is_null() & asked["said_instance_id"].is_null(),
    ).select(*QUESTION, *(f"said_{name}" for name in _SAID))


def _ends(questions: pl.DataFrame, answers: pl.DataFrame, known: Knowledge, interfaces: pl.DataType) -> pl.DataFrame:
    """What is said of each end that was asked for: the columns of an end, `net`, and what its route says.

    Args:
        interfaces: the type of ids of interfaces, to compare them with those that recorded.
    """
    described = known.index.owners.select(pl.col(END_COLUMNS).gather(answers["owner"]))
    own = questions["own_eni_id"].is_not_null()
    if own.any():
        described = described.with_columns(_as_recorded(described, questions, own, known.index))
    told = answers.with_columns(_places(questions["address"], answers["resolution"], known)).select(
        "resolution", "gateway_id", "gateway_type", "forwarding_state", "aws_service", *PLACE_COLUMNS, "is_in_vpc",
        net=network_of(pl.col("resolution"), pl.col("is_on_premises")),
    )  # fmt: skip
    ends = pl.concat([described, told], how="horizontal")
    return ends.with_columns(
        pl.selectors.by_name(_FEW).cast(pl.Categorical),
        pl.col("net").replace_strict(_NETS, default=len(_NETS), return_dtype=pl.UInt8),
        pl.col("eni_id").cast(interfaces),
        *(coded(ends[name]) for name in _MANY),
    )


def _as_recorded(
    described: pl.DataFrame, questions: pl.DataFrame, own: pl.Series, index: AddressIndex
) -> list[pl.Expr]:
    """What the record says of its own interface, where metadata does not say it or says another instance."""
    said = questions.select(
        pl.when(own).then(pl.col(f"said_{name}")).cast(described.schema[name]).alias(name) for name in _SAID
    )
    names = said.select("account_id").join(index.account_names, on="account_id", how="left", maintain_order="left")
    moved = (said["instance_id"] != described["instance_id"]).fill_null(False)
    columns: list[pl.Expr] = []
    for name in END_COLUMNS:
        if name == "instance_id":
            columns.append(pl.coalesce(said[name], pl.col(name)).alias(name))
        elif name == "account_name":
            columns.append(pl.coalesce(pl.col(name), names[name]).alias(name))
        elif name in _SAID:
            columns.append(pl.coalesce(pl.col(name), said[name]).alias(name))
        elif name in ("instance_name", "eni_entity_name", "tags"):
            columns.append(pl.when(~moved).then(pl.col(name)).alias(name))
    return columns


def _places(addresses: pl.Series, resolutions: pl.Series, known: Knowledge) -> list[pl.Series]:
    """Country and autonomous system of the addresses that are not ours."""
    if known.places is None:
        return [
            pl.Series(name, [None], _ENRICHED[f"src_{name}"]).new_from_index(0, len(addresses))
            for name in PLACE_COLUMNS
        ]
    outside = pl.select(address=pl.when(resolutions == "external").then(addresses))
    places = known.places(outside["address"].drop_nulls().unique())
    told = outside.join(places, on="address", how="left", maintain_order="left")
    return [told[name] for name in PLACE_COLUMNS]


def _columns(records: pl.DataFrame, known: Knowledge) -> pl.DataFrame:
    own = pl.col("interface_id")
    way = direction(pl.col("flow_direction"), own, *(pl.col(f"{side}_eni_id") for side in _SIDES))
    records = records.with_columns(flow_direction=way)
    is_out = pl.col("flow_direction") != "ingress"
    on_path = pl.col("traffic_path").replace_strict(GATEWAY_OF_PATH, default=None, return_dtype=pl.String)
    remote = {
        name: pl.when(is_out).then(f"dst_{name}").when(~is_out).then(f"src_{name}")
        for name in ("gateway_id", "gateway_type", "forwarding_state")
    }
    return records.with_columns(
        application(records.select("protocol", "srcport", "dstport"), known.applications),
        _profiles(records),
        is_primary_record=is_primary(
            log_type=pl.col("log_type"),
            direction=pl.col("flow_direction"),
            own=own,
            # A regional NAT gateway has no interface, and says itself what it is.
            own_type=pl.when(pl.col("resource_id").str.starts_with("nat-"))
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
        gateway_id=remote["gateway_id"],
        gateway_type=pl.coalesce(
            remote["gateway_type"], pl.when(remote["gateway_id"].is_null()).then(on_path.cast(pl.Categorical))
        ),
        forwarding_state=remote["forwarding_state"],
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
    nets = pl.Series([*_NETS, None], dtype=pl.String)
    pairs = pl.DataFrame({"src": nets}).join(pl.DataFrame({"dst": nets}), how="cross")
    named = pairs.select(profile(pl.col("src"), pl.col("dst"), pl.lit(value=True)).cast(pl.Categorical)).to_series()
    pair = pl.col("src_net").cast(pl.UInt32) * len(nets) + pl.col("dst_net")
    return named.gather(records.select(pair).to_series()).alias("traffic_profile")
