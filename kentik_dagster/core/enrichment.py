"""Flow records with both ends resolved to who owned them at that moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import polars as pl

from kentik_dagster.catalog.gateways import GATEWAY_OF_PATH
from kentik_dagster.catalog.tables import END_COLUMNS, PLACE_COLUMNS, TABLES
from kentik_dagster.core.address_index import AddressIndex
from kentik_dagster.core.applications import application
from kentik_dagster.core.observation import observed_places
from kentik_dagster.core.resolution import QUESTION, instants, resolve
from kentik_dagster.core.schemas import polars_schema, require
from kentik_dagster.core.traffic import direction, is_primary, network_of, profile

_FLOWS = polars_schema(TABLES["flow_logs"])
_ENRICHED = polars_schema(TABLES["enriched_flows"])
_SIDES = ("src", "dst")
# What a record itself says of the interface that recorded it.
_SAID = ("account_id", "region", "az_id", "vpc_id", "subnet_id", "instance_id", "eni_id")


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
    records = flows.with_columns(absent)
    records = records.with_columns(
        moment=pl.coalesce("end", "start", _file_time()),
        src_end=pl.coalesce("pkt_srcaddr", "srcaddr"),
        dst_end=pl.coalesce("pkt_dstaddr", "dstaddr"),
        **_is_own(),
    )
    records = records.with_columns(_instants(records["moment"], known.index))
    records = records.with_columns(_seen_at(records, known.index))
    places, place = observed_places(records, known.index)
    records = records.with_columns(place)
    answers, numbers = _answers(records, places, known.index)
    described = {side: _ends(records, answers, numbers[side], known, side) for side in _SIDES}
    observed = places.select(pl.all().gather(place)).select(pl.all().name.prefix("place_"))
    together = pl.concat([records, observed, *described.values()], how="horizontal")
    return _columns(together, known).select(_ENRICHED.names())


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


def _answers(
    records: pl.DataFrame, places: pl.DataFrame, index: AddressIndex
) -> tuple[pl.DataFrame, dict[str, pl.Series]]:
    """The answer to each distinct question, and for each side the number of the answer of each record."""
    codes = pl.Categorical(pl.Categories.random())
    asked = pl.concat(
        records.select(
            "place",
            pl.col(f"{side}_end").cast(codes).alias("address"),
            pl.col(f"{side}_is_own").alias("is_own"),
            pl.col(f"tgw_{side}_vpc_id").alias("tgw_vpc_id"),
            "tgw_id",
            "moment",
            "instant",
            "seen_at",
        )
        for side in _SIDES
    )
    asked = asked.with_columns(at=_last_change(asked, "address", index))
    # What is asked of an interface itself changes with the interface.
    asked = asked.with_columns(at=pl.when("is_own").then(pl.max_horizontal("at", "seen_at")).otherwise("at"))
    asked = asked.drop("moment", "seen_at")
    key = asked.columns
    distinct = (
        asked.filter(pl.col("address").is_not_null(), pl.col("at").is_not_null()).unique().with_row_index("answer")
    )
    numbers = asked.join(distinct, on=key, how="left", nulls_equal=True, maintain_order="left")["answer"]
    by_side = dict(zip(_SIDES, (numbers[: records.height], numbers[records.height :]), strict=True))
    questions = _questions(distinct, places, index)
    answers = resolve(questions, index)
    return pl.concat([questions.select("own_eni_id", "address"), answers], how="horizontal"), by_side


def _questions(distinct: pl.DataFrame, places: pl.DataFrame, index: AddressIndex) -> pl.DataFrame:
    """What to ask: one row per row of `distinct`, the columns of QUESTION."""
    here = places.select(pl.col("vpc_id", "via", "own_eni_id", "said_instance").gather(distinct["place"]))
    asked = pl.concat(
        [distinct.select("address", "is_own", "tgw_vpc_id", "tgw_id", "at", "instant"), here], how="horizontal"
    )
    asked = asked.with_columns(pl.col("address").cast(pl.String), had_id=pl.when("is_own").then("own_eni_id"))
    had = index.had(asked.select(pl.col("had_id").alias("eni_id"), "address"))
    # An interface that metadata has never shown is taken at its word if it is an instance's.
    is_own = pl.col("is_own") & had.fill_null(asked["said_instance"].is_not_null())
    return asked.with_columns(
        vpc_id=pl.coalesce("vpc_id", "tgw_vpc_id"),
        via=pl.coalesce("via", "tgw_id"),
        own_eni_id=pl.when(is_own).then("own_eni_id"),
        is_disputed=pl.col("is_own") & had.is_null() & asked["said_instance"].is_null(),
    ).select(QUESTION)


def _ends(records: pl.DataFrame, answers: pl.DataFrame, number: pl.Series, known: Knowledge, side: str) -> pl.DataFrame:
    """What is said of one end of each record: its columns, and `<side>_net` and what its route says."""
    own = answers["own_eni_id"].gather(number).is_not_null()
    owner = answers["owner"].gather(number)
    described = known.index.owners.select(pl.col(END_COLUMNS).gather(owner))
    if own.any():
        described = described.with_columns(_as_recorded(described, records, own, known.index))
    places = _places(answers, known)
    told = pl.concat([answers.drop("owner", "own_eni_id"), places], how="horizontal").select(
        pl.col("resolution").cast(pl.Categorical),
        pl.col("gateway_id", "gateway_type", "forwarding_state", "aws_service").cast(pl.Categorical),
        pl.col("country", "as_name").cast(pl.Categorical),
        "as_number",
        "is_in_vpc",
        net=network_of(pl.col("resolution"), pl.col("is_on_premises")).cast(pl.Categorical),
    )
    return pl.concat([described, told.select(pl.all().gather(number))], how="horizontal").select(
        pl.all().name.prefix(f"{side}_")
    )


def _as_recorded(described: pl.DataFrame, records: pl.DataFrame, own: pl.Series, index: AddressIndex) -> list[pl.Expr]:
    """What the record says of its own interface, where metadata does not say it or says another instance."""
    said = records.select(
        pl.when(pl.col("account_id") != "unknown").then("account_id"), "region", "az_id", "vpc_id", "subnet_id",
        "instance_id", pl.col("interface_id").alias("eni_id"),
    )  # fmt: skip
    said = said.select(pl.when(own).then(pl.col(name)).cast(described.schema[name]).alias(name) for name in _SAID)
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


def _places(answers: pl.DataFrame, known: Knowledge) -> pl.DataFrame:
    """Country and autonomous system of the addresses that are not ours."""
    if known.places is None:
        return pl.DataFrame(
            [pl.Series(name, [None] * answers.height, _ENRICHED[f"src_{name}"]) for name in PLACE_COLUMNS]
        )
    outside = answers.select(pl.when(pl.col("resolution") == "external").then("address"))
    places = known.places(outside["address"].drop_nulls().unique())
    return outside.join(places, on="address", how="left", maintain_order="left").select(PLACE_COLUMNS)


def _columns(records: pl.DataFrame, known: Knowledge) -> pl.DataFrame:
    own = pl.col("interface_id")
    way = direction(pl.col("flow_direction"), own, *(pl.col(f"{side}_eni_id").cast(pl.String) for side in _SIDES))
    records = records.with_columns(flow_direction=way)
    is_out = pl.col("flow_direction") != "ingress"
    unsaid_account = pl.when(pl.col("account_id") != "unknown").then("account_id")
    on_path = pl.col("traffic_path").replace_strict(GATEWAY_OF_PATH, default=None, return_dtype=pl.String)
    remote = {
        name: pl.when(is_out).then(f"dst_{name}").when(~is_out).then(f"src_{name}").cast(pl.String)
        for name in ("gateway_id", "gateway_type", "forwarding_state")
    }
    resolutions = {f"{side}_resolution": pl.col(f"{side}_resolution").cast(pl.String) for side in _SIDES}
    return records.with_columns(
        application(records.select("protocol", "srcport", "dstport"), known.applications),
        pl.coalesce(unsaid_account, "place_known_account_id").alias("observing_account_id"),
        pl.coalesce("region", "place_known_region").alias("observing_region"),
        pl.coalesce("az_id", "place_known_az_id").alias("observing_az_id"),
        pl.col("place_vpc_id").alias("observing_vpc_id"),
        pl.col("place_subnet_id").alias("observing_subnet_id"),
        pl.coalesce("instance_id", "place_known_instance_id").alias("observing_instance_id"),
        observing_eni_id=own,
        traffic_profile=profile(
            pl.col("src_net").cast(pl.String),
            pl.col("dst_net").cast(pl.String),
            resolutions["src_resolution"].is_not_null(),
        ),
        is_primary_record=is_primary(
            log_type=pl.col("log_type"),
            direction=pl.col("flow_direction"),
            own=own,
            # A regional NAT gateway has no interface, and says itself what it is.
            own_type=pl.when(pl.col("resource_id").str.starts_with("nat-"))
            .then(pl.lit("nat_gateway"))
            .otherwise("place_eni_type"),
            src=pl.col("src_eni_id").cast(pl.String),
            src_type=pl.col("src_eni_type").cast(pl.String),
            src_is_in_vpc=pl.col("src_is_in_vpc").fill_null(False),
            dst_is_in_vpc=pl.col("dst_is_in_vpc").fill_null(False),
            srcport=pl.col("srcport"),
            dstport=pl.col("dstport"),
            dst=pl.col("dst_eni_id").cast(pl.String),
            **resolutions,
        ).fill_null(False),
        gateway_id=remote["gateway_id"],
        gateway_type=pl.coalesce(remote["gateway_type"], pl.when(remote["gateway_id"].is_null()).then(on_path)),
        forwarding_state=remote["forwarding_state"],
        src_aws_service=pl.coalesce("pkt_src_aws_service", "src_aws_service"),
        dst_aws_service=pl.coalesce("pkt_dst_aws_service", "dst_aws_service"),
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
