"""Flow records are enriched in the pass that reads them, and come out as if they had been read back for it."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import boto3
import polars as pl
import pytest

from kentik_dagster.aws.flow_logs import LogBucket
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.configuration import Export
from kentik_dagster.core.address_index import AddressIndex
from kentik_dagster.core.enrichment import Knowledge
from kentik_dagster.core.schemas import no_rows
from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.errors import PlacesError
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import replace_partition
from kentik_dagster.work import enriching
from kentik_dagster.work.enrich import enrich_hour, enriched_rows
from kentik_dagster.work.ingest import Ingested, ingest_hour, ingest_hours
from tests.core.made_up_book import BOOK, Fact
from tests.work.logs import DAY, REGION, log_objects

HOUR = "2026-11-23T09"
PARTITION = {"export": "acme", "hour": HOUR}
# 192.0.2.1 sends all records of VPC flow logs, and is the interface that recorded them.
OWNED = {
    "kind": "interface_address", "account_id": "111122223333", "address": "192.0.2.1", "eni_id": "eni-0a1",
    "instance_name": "sender",
}  # fmt: skip
KNOWN = Knowledge(
    index=AddressIndex(pl.DataFrame([OWNED | row for row in Fact("vpc-0a1", is_first=True).rows()], schema=BOOK))
)
_numbers = count(1)


class Hour:
    """A bucket with objects of an hour, and lakes into which they are brought."""

    def __init__(self, folder: Path, objects: int) -> None:
        self._folder = folder
        self._s3 = boto3.client("s3", region_name=REGION)
        bucket = f"enriching-{next(_numbers)}"
        self._export = Export(name="acme", region=REGION, bucket=bucket, start=DAY, collect_firewall_logs=True)
        self._s3.create_bucket(Bucket=bucket)
        for log in log_objects(objects):
            self.post(log.key, log.content)

    def post(self, key: str, content: bytes) -> None:
        self._s3.put_object(Bucket=self._export.bucket, Key=key, Body=content)

    def lake(self, name: str) -> Lake:
        return Lake(str(self._folder / name))

    def ingest(self, lake: Lake, known: Knowledge | None) -> Ingested:
        bucket = LogBucket(ExportAccess(self._export, custom_endpoint=True))
        listed = bucket.objects([DAY]).filter(pl.col("hour") == HOUR)
        return ingest_hour(bucket, lake, HOUR, listed, run_id="run", clock=lambda: datetime.now(UTC), known=known)

    def ingest_all(self, lake: Lake, known: Knowledge, *, at_once: bool) -> dict[str, Ingested]:
        """All hours in which there are objects: together, or one after the other."""
        bucket = LogBucket(ExportAccess(self._export, custom_endpoint=True))
        listed = bucket.objects([DAY])
        hours = sorted(listed["hour"].unique())
        return {
            hour: done
            for some in ([hours] if at_once else [[hour] for hour in hours])
            for hour, done in ingest_hours(
                bucket, lake, some, listed.filter(pl.col("hour").is_in(some)),
                run_id="run", clock=lambda: datetime.now(UTC), known=known,
            ).items()
        }  # fmt: skip


@pytest.fixture
def hour(aws: Emulator, tmp_path: Path) -> Hour:
    return Hour(tmp_path, objects=36)


@pytest.fixture(params=[1, 10, enriching.BATCH_ROWS])
def batch_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of an object, of some, and of all."""
    monkeypatch.setattr(enriching, "BATCH_ROWS", request.param)


def enriched(lake: Lake) -> pl.DataFrame:
    """The rows in one order; each has a source port of its own."""
    return lake["enriched_flows"].read(PARTITION).sort("src_port", "source_object")


def of_objects(lake: Lake, table: str) -> dict[str, int]:
    return lake[table].open().object_counts(PARTITION)


@pytest.mark.usefixtures("batch_rows")
def test_records_come_out_as_if_they_had_been_read_back(hour: Hour) -> None:
    one_pass, two_passes = hour.lake("one"), hour.lake("two")

    on_the_way = hour.ingest(one_pass, KNOWN)
    before = of_objects(one_pass, "enriched_flows")
    done = enrich_hour(one_pass, "acme", HOUR, KNOWN, rebuild=False)
    hour.ingest(two_passes, None)
    undisturbed = enrich_hour(two_passes, "acme", HOUR, KNOWN, rebuild=False)

    assert before == of_objects(one_pass, "flow_logs") == of_objects(two_passes, "flow_logs")
    assert enriched(one_pass).equals(enriched(two_passes))
    assert "sender" in enriched(one_pass)["src_instance_name"]
    assert done.rows == undisturbed.rows == enriched(one_pass).height
    ends = pl.concat([on_the_way.ends, done.ends]).group_by("resolution").agg(pl.col("ends").sum())
    assert ends.sort("resolution").equals(
        undisturbed.ends.group_by("resolution").agg(pl.col("ends").sum()).sort("resolution")
    )


def test_a_record_is_enriched_once_however_often_its_hour_is_brought_in(hour: Hour) -> None:
    lake = hour.lake("lake")

    for _ in range(2):
        hour.ingest(lake, KNOWN)
        enrich_hour(lake, "acme", HOUR, KNOWN, rebuild=False)

    assert enriched(lake)["src_port"].is_unique().all()


def test_an_object_that_cannot_be_read_to_its_end_leaves_no_enriched_row(hour: Hour) -> None:
    lake = hour.lake("lake")
    broken, whole = (log for log in log_objects(40) if log.key.endswith(("00000024.log.gz", "00000027.log.gz")))
    hour.post(whole.key, whole.content)
    hour.post(broken.key, broken.content[:-9])

    done = hour.ingest(lake, KNOWN)

    assert done.count("unreadable") == 1
    assert of_objects(lake, "enriched_flows") == of_objects(lake, "flow_logs")
    assert set(whole.records) <= set(enriched(lake)["src_port"])
    assert set(broken.records).isdisjoint(enriched(lake)["src_port"])


def test_rows_of_a_run_that_was_killed_are_enriched_as_they_lie_in_the_table(hour: Hour) -> None:
    lake = hour.lake("lake")
    hour.ingest(lake, None)
    replace_partition(lake["flow_log_objects"], PARTITION, lambda: [no_rows(TABLES["flow_log_objects"])])

    again = hour.ingest(lake, KNOWN)

    assert again.count("ingested") == again.listed
    assert enriched_rows(lake, "acme", [HOUR]) == {HOUR: 0}
    enrich_hour(lake, "acme", HOUR, KNOWN, rebuild=False)
    assert of_objects(lake, "enriched_flows").items() >= of_objects(lake, "flow_logs").items()


@pytest.mark.usefixtures("batch_rows")
def test_what_keeps_records_from_being_enriched_keeps_none_from_being_ingested(hour: Hour) -> None:
    def broken(addresses: pl.Series) -> pl.DataFrame:
        raise PlacesError("country.mmdb", "geoip.country", "it is broken")

    lake, undisturbed = hour.lake("lake"), hour.lake("undisturbed")
    knowing_less = Knowledge(index=KNOWN.index, places=broken)

    done = hour.ingest(lake, knowing_less)
    hour.ingest(undisturbed, None)

    assert done.count("ingested") == done.listed
    assert of_objects(lake, "flow_logs") == of_objects(undisturbed, "flow_logs")
    assert (done.ends.height, enriched_rows(lake, "acme", [HOUR])) == (0, {HOUR: 0})
    with pytest.raises(PlacesError, match="it is broken"):
        enrich_hour(lake, "acme", HOUR, knowing_less, rebuild=False)


def test_hours_that_are_read_together_hold_what_each_holds_alone(hour: Hour) -> None:
    together, alone = hour.lake("together"), hour.lake("alone")

    done = hour.ingest_all(together, KNOWN, at_once=True)
    one_by_one = hour.ingest_all(alone, KNOWN, at_once=False)

    assert len(done) == 3
    for table in ("flow_logs", "firewall_logs", "enriched_flows"):
        assert everything(together, table).equals(everything(alone, table))
    for name, of_hour in done.items():
        same = one_by_one[name]
        assert (of_hour.listed, of_hour.ends.rows()) == (same.listed, same.ends.rows())
        told = "source_object", "outcome", "rows", "rejected_lines"
        assert of_hour.objects.select(told).sort(told).equals(same.objects.select(told).sort(told))
    # Made, and written to once.
    assert together["flow_logs"].open().version == together["enriched_flows"].open().version == 1


def everything(lake: Lake, table: str) -> pl.DataFrame:
    rows = lake[table].read()
    return rows.sort("hour", "source_object", next(name for name in ("src_port", "srcport") if name in rows.columns))
