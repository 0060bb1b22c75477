"""Events that are written together are found as those that Dagster's own storage wrote one by one."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.instance import DagsterInstance

from kentik_dagster.event_log import BatchingSqliteEventLogStorage
from kentik_dagster.one_pass import dagster_instance
from kentik_dagster.run_environment import BATCH_SIZE_VARIABLE

HOURS = dg.MultiPartitionsDefinition({
    "export": dg.StaticPartitionsDefinition(["acme"]),
    "hour": dg.HourlyPartitionsDefinition(start_date="2026-11-23-00:00", end_offset=1),
})  # fmt: skip
RANGE = {
    "dagster/asset_partition_range_start": "acme|2026-11-23-00:00",
    "dagster/asset_partition_range_end": "acme|2026-11-23-11:00",
}


@dg.multi_asset(
    specs=[dg.AssetSpec(name, partitions_def=HOURS) for name in ("flow_logs", "rejected_records")],
    check_specs=[dg.AssetCheckSpec("every_line_readable", asset="flow_logs")],
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def batches(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[object] | dg.AssetCheckResult]:
    for number, key in enumerate(context.partition_keys):
        context.add_asset_metadata({"rows": number}, asset_key="flow_logs", partition_key=key)
    yield dg.MaterializeResult("flow_logs")
    yield dg.MaterializeResult("rejected_records")
    yield dg.AssetCheckResult(asset_key="flow_logs", check_name="every_line_readable", passed=True)


def run_twice(home: Path, monkeypatch: pytest.MonkeyPatch, batch_size: str) -> DagsterInstance:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv(BATCH_SIZE_VARIABLE, batch_size)
    instance = dagster_instance(home)
    job = dg.Definitions(assets=[batches], jobs=[dg.define_asset_job("job")]).resolve_job_def("job")
    for _ in range(2):
        job.execute_in_process(instance=instance, tags=RANGE)
    return instance


def told(instance: DagsterInstance) -> list[object]:
    """What the UI and the sensors ask of it."""
    said: list[object] = []
    for name in ("flow_logs", "rejected_records"):
        key, log = dg.AssetKey(name), instance.event_log_storage
        planned = log.get_latest_storage_id_by_partition(key, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
        latest = instance.get_latest_materialization_event(key)
        said += [
            sorted(hours(instance, key)),
            sorted(instance.get_materialized_partitions(key)),
            sorted(planned),
            latest and latest.run_id in {run.run_id for run in instance.get_runs(limit=1)},
        ]
    check = dg.AssetCheckKey(dg.AssetKey("flow_logs"), "every_line_readable")
    history = instance.event_log_storage.get_asset_check_execution_history(check, limit=10)
    return [*said, [execution.status.value for execution in history]]


def hours(instance: DagsterInstance, key: dg.AssetKey) -> list[tuple[str | None, ...]]:
    """Of each materialisation: partition, the hour that its tags say, metadata."""
    log = instance.event_log_storage
    return [
        (
            record.partition_key,
            *(tags["dagster/partition/hour"] for tags in log.get_event_tags_for_asset(key, None, record.storage_id)),
            str(record.asset_materialization and record.asset_materialization.metadata),
        )
        for record in instance.fetch_materializations(key, limit=100).records
    ]


def test_events_written_together_are_found_as_those_written_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = run_twice(tmp_path / "alone", monkeypatch, "0")
    together = run_twice(tmp_path / "together", monkeypatch, "5")

    assert isinstance(together.event_log_storage, BatchingSqliteEventLogStorage)
    assert told(together) == told(alone)
    said = hours(together, dg.AssetKey("flow_logs"))
    assert len(said) == 24
    assert {partition for partition, hour, _ in said if partition != f"acme|{hour}"} == set()


def test_the_events_lie_where_dagster_keeps_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_twice(tmp_path, monkeypatch, "5")
    (tmp_path / "dagster.yaml").unlink()

    with DagsterInstance.local_temp(str(tmp_path)) as of_dagster:
        assert type(of_dagster.event_log_storage) is not BatchingSqliteEventLogStorage
        assert len(of_dagster.get_materialized_partitions(dg.AssetKey("flow_logs"))) == 12


def test_a_folder_may_have_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    home = tmp_path / "logs: acme #1"

    dagster_instance(home)

    assert (home / "history" / "runs" / "index.db").exists()
