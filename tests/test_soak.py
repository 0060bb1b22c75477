"""The soak's parts: AWS fails as often as it is told to, the plan follows from the seed, and judges see what is wrong.

The soak itself needs servers that not every machine has: tests/deploy/test_soak.py has its reduced form.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import boto3
import polars as pl
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from benchmarks.soak.commits import queryable_at
from benchmarks.soak.failing_aws import FAULTS, failing_aws
from benchmarks.soak.judged import (
    RunEvents,
    differing_rows,
    equal_tables,
    failed_share,
    flat_events,
    flat_memory,
    lag_of,
    restarted,
    swept_once,
)
from benchmarks.soak.plan import EXPORTS, HOUR, LONGEST_DELAY, kills, posts, scheduled
from kentik_dagster.demo.emulator_process import Emulator
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import append_objects
from tests.lake.flows import NINE, flows

START = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
FILES = [(f"file-{number}", START + number * timedelta(minutes=5)) for number in range(12)]


class TestFailingAws:
    def test_so_many_calls_fail_in_every_way_and_are_counted(self, aws: Emulator) -> None:
        boto3.client("s3").create_bucket(Bucket="soaked")
        once = Config(retries={"total_max_attempts": 1})
        failed = 0
        with failing_aws(aws.endpoint_url, share=0.25, seed=1) as failing:
            s3 = boto3.client("s3", endpoint_url=failing.url, config=once)
            for number in range(200):
                try:
                    s3.put_object(Bucket="soaked", Key=str(number), Body=b"content")
                    s3.get_object(Bucket="soaked", Key=str(number))["Body"].read()
                except (ClientError, BotoCoreError):
                    failed += 1

            counted = failing.counted()

        of_s3 = counted.failed["s3"]
        assert 0.2 < counted.share < 0.3
        assert failed == counted.failures("s3") == sum(of_s3.values())
        assert set(of_s3) == set(FAULTS)

    @pytest.mark.parametrize("service", ["sts", "ec2", "sqs"])
    def test_each_service_is_told_of_a_failure_as_it_tells_it(self, aws: Emulator, service: str) -> None:
        calls = {"sts": "get_caller_identity", "ec2": "describe_vpcs", "sqs": "list_queues"}
        once = Config(retries={"total_max_attempts": 1})
        codes: set[str] = set()
        with failing_aws(aws.endpoint_url, share=1, seed=2) as failing:
            client = boto3.client(service, endpoint_url=failing.url, config=once)
            for _ in range(40):
                # A part of an answer is not even XML.
                with suppress(BotoCoreError, ResponseParserError):
                    try:
                        getattr(client, calls[service])()
                    except ClientError as error:
                        codes.add(error.response["Error"]["Code"])

        throttled = {"sts": "Throttling", "ec2": "RequestLimitExceeded", "sqs": "RequestThrottled"}[service]
        assert codes == {"InternalError", throttled}

    def test_what_a_client_tries_again_succeeds(self, aws: Emulator) -> None:
        boto3.client("s3").create_bucket(Bucket="soaked-again")
        patient = Config(retries={"total_max_attempts": 8, "mode": "standard"})
        with failing_aws(aws.endpoint_url, share=0.1, seed=3) as failing:
            s3 = boto3.client("s3", endpoint_url=failing.url, config=patient)
            for number in range(50):
                s3.put_object(Bucket="soaked-again", Key=str(number), Body=b"content")

            assert failing.counted().share > 0
        assert boto3.client("s3").list_objects_v2(Bucket="soaked-again")["KeyCount"] == 50


class TestPlan:
    def test_each_file_is_posted_into_every_export_some_minutes_after_its_window(self) -> None:
        plan = posts(FILES, START, 60, seed=1)

        assert len(plan) == len({(post.export, post.key) for post in plan}) == 12 * len(EXPORTS)
        for post in plan:
            window = dict(FILES)[post.key] - START
            assert 0 <= post.at - window.total_seconds() <= LONGEST_DELAY
        assert max(post.at for post in plan) < HOUR
        assert [post.at for post in plan] == sorted(post.at for post in plan)

    def test_less_than_an_hour_has_the_first_files(self) -> None:
        assert {post.key for post in posts(FILES, START, 10, seed=1)} == {"file-0", "file-1"}

    def test_equal_seeds_give_equal_plans_and_others_do_not(self) -> None:
        assert posts(FILES, START, 60, seed=1) == posts(FILES, START, 60, seed=1) != posts(FILES, START, 60, seed=2)
        assert kills(4, 6, 60, seed=1) == kills(4, 6, 60, seed=1) != kills(4, 6, 60, seed=2)

    def test_nobody_is_killed_at_the_ends_of_the_hour_and_every_worker_is_killed(self) -> None:
        planned = kills(4, 6, 60, seed=1)

        assert sorted(one.name for one in planned) == ["daemon"] * 4 + [
            "worker-1", "worker-1", "worker-2", "worker-3", "worker-4", "worker-5",
        ]  # fmt: skip
        assert all(180 <= one.at <= HOUR - 180 for one in planned)

    def test_jobs_are_asked_for_at_their_minutes(self) -> None:
        asked = [(one.name, one.at / 60) for one in scheduled(60)]

        assert ("upkeep", 25.0) in asked
        assert [minute for name, minute in asked if name == "metadata"] == [1, 15, 30, 45]
        assert scheduled(5)[-1].at < 5 * 60


class TestTables:
    TABLE = pl.DataFrame({"object": ["a", "a", "b"], "bytes": [1, 1, 2], "run_id": ["x", "x", "y"]})

    def test_order_and_who_wrote_a_row_do_not_matter(self) -> None:
        other = self.TABLE.reverse().with_columns(run_id=pl.lit("z"))

        assert equal_tables("flow_logs", other, self.TABLE).holds

    def test_a_doubled_row_is_seen(self) -> None:
        doubled = pl.concat([self.TABLE, self.TABLE.tail(1)])

        assert differing_rows(doubled, self.TABLE) == (0, 1)
        assert not equal_tables("flow_logs", doubled, self.TABLE).holds

    def test_a_lost_row_is_seen_though_an_equal_one_is_there(self) -> None:
        assert differing_rows(self.TABLE.slice(1), self.TABLE) == (1, 0)

    def test_a_changed_value_is_seen(self) -> None:
        changed = self.TABLE.with_columns(bytes=pl.Series([1, 1, 3]))

        assert differing_rows(changed, self.TABLE) == (1, 1)

    def test_an_interrupted_sweep_may_find_an_object_gone_and_no_other_outcome_will_do(self) -> None:
        place = {"export": "two", "hour": "h", "bucket": "b", "key": "k", "etag": "e"}
        deleted, gone, failed = (pl.DataFrame([place | {"outcome": name}]) for name in
                                 ("deleted", "already_gone", "failed"))  # fmt: skip

        assert swept_once(gone, deleted).holds
        assert not swept_once(failed, deleted).holds
        assert not swept_once(pl.concat([deleted, gone]), deleted).holds


class TestLag:
    def test_one_late_object_in_a_hundred_is_no_failure_and_six_are(self) -> None:
        early = [30.0] * 94

        assert lag_of("lag", [*early, 30, 30, 30, 30, 30, 500], 100).holds
        assert not lag_of("lag", [*early, *[500.0] * 6], 100).holds

    def test_an_object_that_never_comes_is_a_failure(self) -> None:
        verdict = lag_of("lag", [30.0] * 99, 100)

        assert not verdict.holds
        assert "max inf" in verdict.figure

    def test_an_object_can_be_queried_from_the_commit_on_that_first_added_it(self, s3_lake_of_soak: Lake) -> None:
        table = s3_lake_of_soak["flow_logs"]
        before = datetime.now(UTC).replace(microsecond=0)
        append_objects(table, NINE, flows(a=2))
        append_objects(table, NINE, flows(b=1))
        bucket, prefix = s3_lake_of_soak.root.removeprefix("s3://").split("/")

        found = queryable_at(boto3.client("s3"), table, bucket, f"{prefix}/flow_logs")

        assert sorted(found["source_object"]) == ["a", "b"]
        assert set(found["export"]) == {NINE["export"]}
        assert found["queryable_at"].is_between(before, datetime.now(UTC) + timedelta(seconds=1)).all()


@pytest.fixture
def s3_lake_of_soak(aws: Emulator) -> Lake:
    boto3.client("s3").create_bucket(Bucket="soaked-lake")
    return Lake("s3://soaked-lake/kentik", {"AWS_ENDPOINT_URL": aws.endpoint_url, "AWS_ALLOW_HTTP": "true"})


class TestFlat:
    def test_memory_that_grows_by_a_quarter_is_seen(self) -> None:
        steady = [(at, 400.0) for at in range(0, 3600, 60)]
        growing = [(at, 400.0 + (100 if at > 3000 else 0)) for at in range(0, 3600, 60)]

        behind_a_peak = [(0.0, 900.0), *((at, 400.0 + at / 10) for at in range(60, 3600, 60))]

        assert flat_memory("a worker", steady, 1800).holds
        assert not flat_memory("a worker", behind_a_peak, 1800).holds
        assert not flat_memory("a worker", growing, 1800).holds
        assert not flat_memory("a worker", steady[:10], 1800).holds

    @pytest.mark.parametrize(("rows", "size"), [(60, 90_000), (50, 110_000)])
    def test_runs_that_store_more_and_more_are_seen(self, rows: int, size: int) -> None:
        first = [RunEvents(at, "flow_logs", 50, 90_000) for at in range(0, 1800, 60)]
        steady = [RunEvents(at, "flow_logs", 50, 90_000) for at in range(1800, 3600, 60)]
        growing = [RunEvents(at, "flow_logs", rows, size) for at in range(1800, 3600, 60)]

        assert all(verdict.holds for verdict in flat_events([*first, *steady], 1800))
        assert not all(verdict.holds for verdict in flat_events([*first, *growing], 1800))


class TestDisturbance:
    def test_too_few_failed_calls_are_no_soak(self) -> None:
        assert failed_share(10_000, 1_010, 0.1).holds
        assert not failed_share(10_000, 500, 0.1).holds
        assert not failed_share(100, 10, 0.1).holds

    def test_a_kill_that_did_not_happen_is_seen(self) -> None:
        assert restarted({"daemon": 4, "workers": 6}, {"daemon": 4, "workers": 6}).holds
        assert not restarted({"daemon": 4, "workers": 5}, {"daemon": 4, "workers": 6}).holds
