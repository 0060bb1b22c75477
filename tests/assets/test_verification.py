"""The checks of `aws_setup`: what `verify` finds shows in the Dagster UI, and the next run shows that it drifted."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from kentik_dagster.code_location import build_definitions
from kentik_dagster.configuration import Configuration
from tests.work.snapshots import PRIMARY, PRIMARY_ROLE, answer_everything, export, fake_aws


def checked(configuration: Configuration, url: str) -> dict[str, dg.AssetCheckEvaluation]:
    """The verification job; its checks by their names."""
    definitions = build_definitions(configuration, endpoint_url=url)
    done = definitions.resolve_job_def("verification").execute_in_process()
    return {one.check_name: one for one in done.get_asset_check_evaluations()}


def test_drift_shows(tmp_path: Path) -> None:
    acme = export(collect_flow_logs=False, collect_metrics=False, role_suffix=None)
    configuration = Configuration.model_validate({"lake": str(tmp_path / "lake"), "exports": [acme.model_dump()]})
    with fake_aws() as fake:
        answer_everything(fake)
        fake.role(PRIMARY_ROLE, trusts=fake.ambient_account, external_id="unique-id")
        before = checked(configuration, fake.url)
        fake.deny(PRIMARY, None, "ec2", "DescribeVpcs")
        after = checked(configuration, fake.url)

    assert {name: one.passed for name, one in before.items()} == dict.fromkeys(before, True)
    assert set(before) == {
        "roles_can_be_assumed", "operations_are_permitted", "logs_can_be_read", "flow_logs_are_complete",
        "lake_takes_commits",
    }  # fmt: skip
    assert {name for name, one in after.items() if not one.passed} == {"operations_are_permitted"}
    said = after["operations_are_permitted"]
    assert f"grant ec2:DescribeVpcs to {PRIMARY_ROLE}" in (said.description or "")
    shown = said.metadata["amiss"]
    assert isinstance(shown, dg.TableMetadataValue)
    assert [record.data["status"] for record in shown.records] == ["failed"]


def test_the_checks_are_not_part_of_any_other_job() -> None:
    definitions = build_definitions(Configuration())
    jobs = [job for job in definitions.get_repository_def().get_all_jobs() if not job.name.startswith("__")]

    holding = [job.name for job in jobs if any("verify_aws_setup" in node.name for node in job.nodes)]

    assert holding == ["verification"]
