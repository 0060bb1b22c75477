"""A process that ingests, enriches, sweeps and compacts until a bucket is empty, to be killed at any moment.

    python -m tests.work.ingester <arguments as JSON>

Like `tests.lake.writer` it says `ready` when everything is imported, and waits for a line.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import polars as pl

from kentik_dagster.aws.flow_logs import LogBucket
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.configuration import Export
from kentik_dagster.core.address_index import AddressIndex
from kentik_dagster.core.enrichment import Knowledge
from kentik_dagster.core.schemas import no_rows
from kentik_dagster.lake.compaction import compact
from kentik_dagster.lake.tables import Lake
from kentik_dagster.work.enrich import enrich_hour
from kentik_dagster.work.ingest import ingest_hours
from kentik_dagster.work.sweep import sweep_hour
from tests.work.logs import DAY, REGION

# Few objects a batch: writers that work on the same hour meet often.
_BATCH = 7
_COMPACTED = ("flow_logs", "firewall_logs", "flow_log_objects", "enriched_flows")
# Whom the addresses belong to is not what is tested.
NOTHING_KNOWN = Knowledge(index=AddressIndex(no_rows(TABLES["address_book"])))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingester:
    """What the process is to do, and where its S3 is."""

    endpoint_url: str
    bucket: str
    lake: str
    storage_options: dict[str, str]
    seed: str

    def as_json(self) -> str:
        """The process's argument."""
        return json.dumps(asdict(self))

    def run(self) -> None:
        """Ingest, sweep and compact until nothing is left in the bucket."""
        chance = random.Random(self.seed)
        export = Export(
            name="acme",
            region=REGION,
            bucket=self.bucket,
            start=DAY,
            collect_firewall_logs=True,
            delete_after_read=True,
        )
        access = ExportAccess(export, custom_endpoint=True)
        bucket, lake = LogBucket(access), Lake(self.lake, self.storage_options)
        while not (listed := bucket.objects([DAY])).is_empty():
            hour = chance.choice(sorted(listed["hour"].unique()))
            # One hour, or all of them in one commit.
            some = listed if chance.random() < 0.5 else listed.filter(pl.col("hour") == hour)
            some = some.sample(fraction=1, shuffle=True, seed=chance.randrange(10**6)).head(_BATCH)
            hours = sorted(some["hour"].unique())
            ingest_hours(bucket, lake, hours, some, run_id=self.seed, clock=_now, known=NOTHING_KNOWN)
            if chance.random() < 0.2:
                enrich_hour(lake, "acme", hour, NOTHING_KNOWN, rebuild=chance.random() < 0.5)
            if chance.random() < 0.4:
                here = bucket.objects([DAY]).filter(pl.col("hour") == hour)
                sweep_hour(access, lake, hour, here, run_id=self.seed, clock=_now)
            if chance.random() < 0.2:
                compact(lake[chance.choice(_COMPACTED)], {"export": "acme", "hour": hour})
            time.sleep(chance.uniform(0, 0.05))


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    ingester = Ingester(**json.loads(sys.argv[1]))
    os.environ["AWS_ENDPOINT_URL"] = ingester.endpoint_url
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    ingester.run()
