"""What deploy/ ships loads in the classes that it names, and says the same things everywhere.

Nothing here starts a container: no engine, no cluster and no Helm is needed. The official chart, where there is one, is
asked too: name its folder in KENTIK_DAGSTER_HELM_CHART.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pytest
import yaml
from botocore.validate import ParamValidator

from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.one_pass import make_home
from kentik_dagster.run_environment import RUN_ENVIRONMENT
from tests.deploy.shipped import DEPLOY, SHIPPED, chart_values, settings

WITH_DAGSTER_YAML = ("celery", "ecs")
ENVIRONMENT = {
    "DAGSTER_POSTGRES_HOST": "127.0.0.1",
    "DAGSTER_POSTGRES_PORT": "1",
    "DAGSTER_POSTGRES_DB": "dagster",
    "DAGSTER_POSTGRES_USER": "dagster",
    "DAGSTER_POSTGRES_PASSWORD": "made-up",
    "DAGSTER_COMPUTE_LOG_BUCKET": "acme-dagster",
    "CELERY_BROKER_URL": "redis://127.0.0.1:1/0",
    "CELERY_RESULT_BACKEND": "redis://127.0.0.1:1/1",
    "DAGSTER_ECS_CLUSTER": "dagster",
    "DAGSTER_ECS_RUN_TASK": "kentik-dagster-run",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def cluster(aws: Emulator) -> Iterator[str]:
    """A cluster and the task definition of deploy/ecs, registered as AWS takes it."""
    ecs = boto3.client("ecs", region_name="us-east-1")
    ecs.create_cluster(clusterName="dagster")
    definition = json.loads((DEPLOY / "ecs" / "run-task.json").read_text())
    ecs.register_task_definition(**definition)
    yield definition["family"]
    ecs.delete_cluster(cluster="dagster")


def instance(name: str, home: Path, changes: Mapping[str, Any]) -> dg.DagsterInstance:
    """The instance of a dagster.yaml; its storage is SQLite, as there is no Postgres behind the made-up address."""
    (home / "dagster.yaml").write_text(yaml.safe_dump({**settings(name), **changes}))
    return dg.DagsterInstance.from_config(str(home))


@pytest.mark.usefixtures("environment")
def test_runs_are_launched_as_celery_tasks(tmp_path: Path) -> None:
    with instance("celery", tmp_path, {"storage": {"sqlite": {"base_dir": str(tmp_path)}}}) as made:
        launcher = made.run_launcher
        assert type(launcher).__name__ == "WatchedCeleryRunLauncher"
        assert launcher.supports_check_run_worker_health
        assert type(made.compute_log_manager).__name__ == "S3ComputeLogManager"
        assert made.run_monitoring_enabled


@pytest.mark.usefixtures("environment", "cluster")
def test_runs_are_launched_as_ecs_tasks(tmp_path: Path) -> None:
    with instance("ecs", tmp_path, {"storage": {"sqlite": {"base_dir": str(tmp_path)}}}) as made:
        launcher = made.run_launcher
        assert type(launcher).__name__ == "EcsRunLauncher"
        assert ":task-definition/kentik-dagster-run" in vars(launcher)["task_definition"]
        task = {"taskDefinition": "kentik-dagster-run", **vars(launcher)["run_task_kwargs"]}
        assert (_wrong("RunTask", task), task["cluster"]) == ("", "dagster")


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("name", WITH_DAGSTER_YAML)
def test_the_storage_is_postgres_through_the_driver_that_is_installed(name: str) -> None:
    from dagster_postgres.utils import pg_url_from_config

    configured = settings(name)["storage"]["postgres"]["postgres_db"]
    resolved = {
        key: os.environ[value["env"]] if isinstance(value, dict) else value for key, value in configured.items()
    }

    url = pg_url_from_config({"postgres_db": resolved | {"port": int(resolved["port"])}})

    assert url == "postgresql+psycopg2://dagster:made-up@127.0.0.1:1/dagster"


def test_pods_are_made_of_what_the_values_say(tmp_path: Path) -> None:
    from dagster_k8s.job import construct_dagster_k8s_job
    from dagster_k8s.launcher import K8sRunLauncher

    values = chart_values()
    (deployment,) = values["dagster-user-deployments"]["deployments"]
    wanted = values["runLauncher"]["config"]["k8sRunLauncher"]
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(KUBECONFIG))
    run_config = wanted["runK8sConfig"]
    launcher = K8sRunLauncher(
        service_account_name=values["global"]["serviceAccountName"],
        instance_config_map="dagster-instance",
        dagster_home="/opt/dagster",
        postgres_password_secret=values["global"]["postgresqlSecretName"],
        load_incluster_config=False,
        kubeconfig_file=str(kubeconfig),
        image_pull_policy=wanted["imagePullPolicy"],
        run_k8s_config={
            "container_config": run_config["containerConfig"],
            "pod_spec_config": run_config["podSpecConfig"],
            "job_spec_config": run_config["jobSpecConfig"],
        },
    )
    image = "{repository}:{tag}".format(**deployment["image"])
    context = launcher.get_container_context_for_run(dg.DagsterRun(job_name="flow_logs"))

    job = construct_dagster_k8s_job(
        context.get_k8s_job_config(image, launcher),
        args=["dagster", "api", "execute_run"],
        job_name="dagster-run-1",
        user_defined_k8s_config=context.run_k8s_config,
    ).to_dict()

    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert (container["image"], pod["service_account_name"]) == (image, "kentik-dagster")
    assert container["resources"]["limits"] == {"memory": "4Gi"}
    assert pod["security_context"]["run_as_non_root"] is True
    assert job["spec"]["ttl_seconds_after_finished"] == 3600


KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "made-up",
    "contexts": [{"name": "made-up", "context": {"cluster": "made-up", "user": "made-up"}}],
    "clusters": [{"name": "made-up", "cluster": {"server": "https://127.0.0.1:1"}}],
    "users": [{"name": "made-up", "user": {"token": "made-up"}}],
}


def test_the_chart_takes_the_values() -> None:
    named = os.environ.get("KENTIK_DAGSTER_HELM_CHART")
    if named is None:
        pytest.skip("name a copy of the chart's folder, helm/dagster of dagster's source, in KENTIK_DAGSTER_HELM_CHART")
    jsonschema = pytest.importorskip("jsonschema")
    chart = Path(named)
    schema = json.loads((chart / "values.schema.json").read_text())
    values = _over(yaml.safe_load((chart / "values.yaml").read_text()), chart_values())

    found = jsonschema.Draft7Validator(_without_links(schema)).iter_errors(values)

    assert [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in found] == []
    assert list(_unknown(chart_values(), schema, schema["definitions"])) == []


def _over(defaults: Any, ours: Any) -> Any:
    """Values as Helm puts them together: ours over the chart's own."""
    if isinstance(defaults, dict) and isinstance(ours, dict):
        return defaults | {key: _over(defaults.get(key), value) for key, value in ours.items()}
    return ours


def _without_links(schema: Any) -> Any:
    """The schema without what stands in the documents of Kubernetes, which are elsewhere."""
    if isinstance(schema, dict):
        linked = str(schema.get("$ref", "")).startswith("http")
        return {key: _without_links(value) for key, value in schema.items() if not (linked and key == "$ref")}
    return [_without_links(one) for one in schema] if isinstance(schema, list) else schema


def _unknown(values: Any, schema: Any, definitions: Mapping[str, Any], place: str = "") -> Iterator[str]:
    """Values that the chart's own part of the schema does not name: the chart would pass over them without a word."""
    while schema.get("$ref", "").startswith("#"):
        schema = definitions[schema["$ref"].split("/")[-1]]
    if isinstance(values, dict) and schema.get("properties") and "$ref" not in schema:
        for key, value in values.items():
            if key in schema["properties"]:
                yield from _unknown(value, schema["properties"][key], definitions, f"{place}{key}.")
            else:
                yield f"{place}{key}"
    elif isinstance(values, list) and "items" in schema:
        for value in values:
            yield from _unknown(value, schema["items"], definitions, place)


def test_the_chart_says_nothing_that_contradicts_what_is_added_to_it() -> None:
    daemon = chart_values()["dagsterDaemon"]

    for added in ("runCoordinator", "runMonitoring", "runRetries"):
        assert daemon[added] == {"enabled": False}


def test_ecs_takes_the_task_definition() -> None:
    assert _wrong("RegisterTaskDefinition", json.loads((DEPLOY / "ecs" / "run-task.json").read_text())) == ""


def _wrong(operation: str, parameters: Mapping[str, Any]) -> str:
    """What is wrong with the parameters of an operation of ECS, by botocore's own model of it."""
    model = boto3.client("ecs", region_name="us-east-1").meta.service_model
    found = ParamValidator().validate(dict(parameters), model.operation_model(operation).input_shape)
    return str(found.generate_report())


def test_one_machine_needs_no_settings_of_its_own(tmp_path: Path) -> None:
    make_home(tmp_path)
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        assert not made.telemetry_enabled
        assert made.run_monitoring_enabled
        assert made.run_retries_enabled


def test_wherever_runs_go_they_are_limited_watched_and_retried_alike() -> None:
    here = settings("one machine")
    wanted = [(limit["key"], limit.get("value")) for limit in here["concurrency"]["runs"]["tag_concurrency_limits"]]

    for other in map(settings, SHIPPED):
        limits = [(one["key"], one.get("value")) for one in other["concurrency"]["runs"]["tag_concurrency_limits"]]
        assert limits == wanted
        assert other["concurrency"]["pools"] == here["concurrency"]["pools"]
        assert other["run_monitoring"].keys() >= here["run_monitoring"].keys()
        assert other["run_monitoring"]["max_runtime_seconds"] == here["run_monitoring"]["max_runtime_seconds"]
        assert other["run_retries"] | {"max_retries": 1} == here["run_retries"]


def test_no_secret_is_written_down() -> None:
    for path in DEPLOY.rglob("*.*"):
        for line in path.read_text().splitlines():
            if "password" in line.lower() and not line.lstrip().startswith("#"):
                assert any(word in line for word in ("env:", "Secret", "secret", '_PASSWORD"')), f"{path.name}: {line}"


def test_the_image_is_built_of_what_is_there() -> None:
    root = DEPLOY.parent
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    copied = [word for line in lines if line.startswith("COPY") for word in shlex.split(line)[1:-1]]

    assert [name for name in copied if not (root / name).exists()] == []
    assert any(line.startswith("USER") and "root" not in line for line in lines)


def test_the_image_starts_runs_with_the_environment_that_the_command_gives_them() -> None:
    text = (DEPLOY / "Dockerfile").read_text()

    assert [name for name, value in RUN_ENVIRONMENT.items() if f"{name}={value} " not in text] == []
