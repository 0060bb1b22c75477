"""VPC flow log records of a made-up organization, with the truth about both ends, and AWS's files of them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl
from isal import igzip

from kentik_dagster.core.randomness import counter, random_bits, salt
from kentik_dagster.demo.conversations import conversations
from kentik_dagster.demo.organization import Organization
from kentik_dagster.demo.population import Population, population_of
from kentik_dagster.demo.traffic import PATTERNS, conversations_of

# fmt: off
FIELDS = (  # of versions 2 to 5, in AWS's order; the column is the same name with underscores
    "version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol",
    "packets", "bytes", "start", "end", "action", "log-status",
    "vpc-id", "subnet-id", "instance-id", "tcp-flags", "type", "pkt-srcaddr", "pkt-dstaddr",
    "region", "az-id", "sublocation-type", "sublocation-id",
    "pkt-src-aws-service", "pkt-dst-aws-service", "flow-direction", "traffic-path",
)
TRUTH = (
    "true_src_interface_id", "true_dst_interface_id", "true_src_account_id", "true_dst_account_id",
    "true_src_kind", "true_dst_kind", "conversation_id", "is_first_view",
)
# fmt: on
_OF_THE_INTERFACE = ("account_id", "interface_id", "vpc_id", "subnet_id", "instance_id", "region", "az_id")
WINDOW = timedelta(minutes=5)


def flow_records(
    organization: Organization, *, start: datetime, end: datetime, records: int, seed: int
) -> pl.DataFrame:
    """Exactly `records` VPC flow log records whose `end` lies in [start, end), in random order.

    Returns:
        One row per record: the columns of `FIELDS` with underscores (`start` and `end` in epoch seconds; null
        where AWS writes `-`), and the truth (`TRUTH`). The truth is about the ends of the packet,
        `pkt_srcaddr` and `pkt_dstaddr`: `true_src_interface_id` and `true_src_account_id` (null where no
        interface of the organization has that address), `true_src_kind` (`interface`, `external`: the
        internet, `unknown`: in the VPC's range, and nobody has it), likewise for `dst`. `conversation_id`
        numbers the conversations of one call; `is_first_view` is true on one record of each direction of a
        conversation. NODATA and SKIPDATA records have no truth: null, and false.
    """
    return _records(population_of(organization), start, end, records, seed)


def log_text(records: pl.DataFrame, fields: Sequence[str] = FIELDS) -> bytes:
    """The text of a flow log file with these fields (named with hyphens), header first."""
    text = io.BytesIO()
    records.select(pl.col(field.replace("-", "_")).alias(field) for field in fields).write_csv(
        text, separator=" ", null_value="-", quote_style="never"
    )
    return text.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogObject:
    """One flow log file in S3.

    Attributes:
        body: the gzip file.
        records: what it holds, in order, with the truth.
        file_time: the beginning of its five minutes, as its key says.
        posted_at: when it appears in the bucket.
    """

    key: str
    body: bytes
    records: pl.DataFrame
    file_time: datetime
    posted_at: datetime


def log_objects(
    organization: Organization,
    *,
    start: datetime,
    end: datetime,
    records_per_object: int,
    seed: int,
    objects_per_window: int = 1,
    prefix: str = "",
    fields: Sequence[str] = FIELDS,
) -> Iterator[LogObject]:
    """The flow log files of every account and region, in the order of their windows.

    Args:
        start: beginning of the first five-minute window, UTC; a multiple of five minutes.
        records_per_object: on average; busy accounts have more.
        objects_per_window: files of one account and region in one window.
        prefix: folders before `AWSLogs`, without a slash at the end.
    """
    if start.timestamp() % WINDOW.total_seconds():
        raise ValueError(f"{start} is not the beginning of a five-minute window: use minutes 0, 5, 10 …")
    population = population_of(organization)
    places = organization.interfaces.select("account_id", "region").unique().height
    file_time = start
    while file_time < end:
        per_window = records_per_object * objects_per_window * places
        window_seed = salt(seed, "window", file_time.isoformat())
        records = _records(population, file_time, file_time + WINDOW, per_window, window_seed)
        for (account_id, region), file_records in sorted(
            records.partition_by("account_id", "region", as_dict=True).items(), key=lambda item: str(item[0])
        ):
            for part in range(objects_per_window):
                begin, stop = (file_records.height * edge // objects_per_window for edge in (part, part + 1))
                rows = file_records.slice(begin, stop - begin)
                name = salt(seed, account_id, region, file_time.isoformat(), part)
                yield LogObject(
                    key=_key(prefix, str(account_id), str(region), file_time, seed, name),
                    body=igzip.compress(log_text(rows, fields), mtime=0),
                    records=rows,
                    file_time=file_time,
                    posted_at=file_time + WINDOW + timedelta(seconds=name % 241),
                )
        file_time += WINDOW


def _key(prefix: str, account_id: str, region: str, file_time: datetime, seed: int, name: int) -> str:
    flow_log_id = f"fl-{salt(seed, 'flow log', account_id, region):017x}"
    folder = f"AWSLogs/{account_id}/vpcflowlogs/{region}/{file_time:%Y/%m/%d}"
    file = f"{account_id}_vpcflowlogs_{region}_{flow_log_id}_{file_time:%Y%m%dT%H%MZ}_{name >> 32:08x}.log.gz"
    return "/".join([*([prefix] if prefix else []), folder, file])


def _records(population: Population, start: datetime, end: datetime, records: int, seed: int) -> pl.DataFrame:
    everyone = conversations(population, start=start, end=end, records=records, seed=seed)
    rows, begin = [], 0
    for pattern, count in zip(PATTERNS, conversations_of(records), strict=True):
        part = everyone.slice(begin, count)
        begin += count
        rows += [
            part.select(
                "conversation", "protocol", "start", "end",
                observer=view.observer, src=view.src, dst=view.dst,
                pkt_src=view.pkt_src, pkt_dst=view.pkt_dst,
                srcport="client_port" if view.direction == "request" else "server_port",
                dstport="server_port" if view.direction == "request" else "client_port",
                packets=f"{view.direction}_packets",
                bytes=f"{view.direction}_bytes",
                tcp_flags=f"{view.direction}_flags",
                flow_direction=pl.lit(view.flow_direction),
                traffic_path=pl.lit(view.path, dtype=pl.Int32),
                action=pl.lit(pattern.action),
                log_status=pl.lit(pattern.log_status),
                is_first_view=pl.lit(view.is_first),
            )
            for view in pattern.views
        ]  # fmt: skip
    shuffled = pl.concat(rows).with_columns(random_bits(counter(records), seed, "order").alias("order")).sort("order")
    return _with_names(shuffled, population.everybody, first_conversation=int(start.timestamp()) << 32)


def _with_names(rows: pl.DataFrame, everybody: pl.DataFrame, first_conversation: int) -> pl.DataFrame:
    """Rows of `everybody` replaced by what AWS and the truth say of them."""

    def of(party: str, what: str) -> pl.Series:
        return everybody[what].gather(rows[party])

    named = rows.select(
        "protocol", "srcport", "dstport", "packets", "bytes", "start", "end", "action", "log_status",
        "tcp_flags", "flow_direction", "traffic_path", "is_first_view",
        *(of("observer", name) for name in _OF_THE_INTERFACE),
        version=pl.lit(5, dtype=pl.Int32),
        type=pl.lit("IPv4"),
        srcaddr=of("src", "address"),
        dstaddr=of("dst", "address"),
        pkt_srcaddr=of("pkt_src", "address"),
        pkt_dstaddr=of("pkt_dst", "address"),
        pkt_src_aws_service=of("pkt_src", "aws_service"),
        pkt_dst_aws_service=of("pkt_dst", "aws_service"),
        sublocation_type=pl.lit(None, dtype=pl.String),
        sublocation_id=pl.lit(None, dtype=pl.String),
        true_src_interface_id=of("pkt_src", "interface_id"),
        true_dst_interface_id=of("pkt_dst", "interface_id"),
        true_src_account_id=of("pkt_src", "account_id"),
        true_dst_account_id=of("pkt_dst", "account_id"),
        true_src_kind=of("pkt_src", "kind"),
        true_dst_kind=of("pkt_dst", "kind"),
        conversation_id=first_conversation + rows["conversation"],
    )  # fmt: skip
    always = {"version", "start", "end", "log_status", "is_first_view", *_OF_THE_INTERFACE}
    columns = [*(field.replace("-", "_") for field in FIELDS), *TRUTH]
    has_traffic = pl.col("log_status") == "OK"
    return named.select(
        pl.col(name) if name in always else pl.when(has_traffic).then(pl.col(name)).alias(name) for name in columns
    )
