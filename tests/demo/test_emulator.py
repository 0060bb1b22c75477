"""Two emulators that were started with the same arguments are the same AWS, and end with their parent."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import polars as pl
import pytest

from kentik_dagster.demo.emulator_process import Emulator, EmulatorError

START = datetime(2026, 11, 23, 9, 10, tzinfo=UTC)
PROJECT = Path(__file__).parents[2]


class Aws:
    """An emulator as a client with the ambient credentials sees it."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self.emulator, self.folder = emulator, folder
        environment = emulator.environment()
        self._endpoint_url = environment["AWS_ENDPOINT_URL"]
        self._sessions: dict[str | None, Any] = {
            None: boto3.Session(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])
        }
        self._clients: dict[tuple[str, str | None, str], Any] = {}

    def client(self, service: str, account_id: str | None = None, region: str = "us-east-1") -> Any:
        """Without an account: of the management account; with one: in its KentikSecondary role."""
        if account_id not in self._sessions:
            role = f"arn:aws:iam::{account_id}:role/KentikSecondary"
            keys = self.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
            self._sessions[account_id] = boto3.Session(
                keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"]
            )
        key = (service, account_id, region)
        if key not in self._clients:
            self._clients[key] = self._sessions[account_id].client(
                service, region_name=region, endpoint_url=self._endpoint_url
            )
        return self._clients[key]

    def account_ids(self) -> list[str]:
        return [account["Id"] for account in self.client("organizations").list_accounts()["Accounts"]]

    def described(self, operation: str, member: str) -> list[Any]:
        """What every account and region answers, whole."""
        return [
            getattr(self.client("ec2", account_id, region), operation)()[member]
            for account_id in self.account_ids()
            for region in ("us-east-1", "eu-west-1")
        ]

    def objects(self) -> list[dict[str, Any]]:
        bucket = self.emulator.organization["bucket"]
        answer: list[dict[str, Any]] = self.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
        return answer


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Aws, Aws]]:
    folders = [tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")]
    emulators = [
        Emulator(seed=7, start=START, minutes=10, records_per_object=300, interfaces=40, folder=folder)
        for folder in folders
    ]
    try:
        with ThreadPoolExecutor() as both:
            list(both.map(Emulator.start, emulators))
        yield Aws(emulators[0], folders[0]), Aws(emulators[1], folders[1])
    finally:
        for emulator in emulators:
            emulator.stop()


@pytest.mark.parametrize(
    ("operation", "member"),
    [
        ("describe_vpcs", "Vpcs"),
        ("describe_subnets", "Subnets"),
        ("describe_network_interfaces", "NetworkInterfaces"),
        ("describe_instances", "Reservations"),
        ("describe_nat_gateways", "NatGateways"),
        ("describe_addresses", "Addresses"),
        ("describe_route_tables", "RouteTables"),
        ("describe_security_groups", "SecurityGroups"),
        ("describe_vpc_peering_connections", "VpcPeeringConnections"),
    ],
)
def test_both_describe_the_same_network(pair: tuple[Aws, Aws], operation: str, member: str) -> None:
    first, second = (aws.described(operation, member) for aws in pair)

    assert first == second
    assert any(first)


def test_both_have_the_same_accounts(pair: tuple[Aws, Aws]) -> None:
    first, second = (aws.client("organizations").list_accounts()["Accounts"] for aws in pair)

    assert first == second
    assert [account["Name"] for account in first] == ["management", "payments", "analytics", "platform"]
    assert {account["JoinedTimestamp"] for account in first} == {START - timedelta(days=7)}


def test_both_hold_the_same_files_posted_at_the_same_times(pair: tuple[Aws, Aws]) -> None:
    first, second = (aws.objects() for aws in pair)

    assert first == second
    assert len(first) == 2 * 8
    posted_at = [file["LastModified"] for file in first]
    assert START + timedelta(minutes=5) <= min(posted_at) <= max(posted_at) <= START + timedelta(minutes=14)


def test_both_wrote_the_same_truth(pair: tuple[Aws, Aws]) -> None:
    first, second = (pl.read_parquet(aws.folder / "truth.parquet") for aws in pair)

    assert first.equals(second)
    assert first.height == 2 * 8 * 300


def test_the_truth_names_the_interfaces_that_the_network_describes(pair: tuple[Aws, Aws]) -> None:
    aws, _ = pair
    described = {
        (interface["NetworkInterfaceId"], interface["PrivateIpAddress"], interface["OwnerId"])
        for interfaces in aws.described("describe_network_interfaces", "NetworkInterfaces")
        for interface in interfaces
    }

    truth = pl.read_parquet(aws.folder / "truth.parquet").filter(true_src_kind="interface")

    ends = truth.select("true_src_interface_id", "pkt_srcaddr", "true_src_account_id").unique()
    assert set(ends.iter_rows()) <= described
    assert len(described) == 40


def test_a_file_in_the_bucket_holds_the_lines_that_the_truth_tells_of(pair: tuple[Aws, Aws]) -> None:
    aws, _ = pair
    key = aws.objects()[0]["Key"]
    truth = pl.read_parquet(aws.folder / "truth.parquet").filter(key=key)

    body = aws.client("s3").get_object(Bucket="made-up-flow-logs", Key=key)["Body"].read()

    header, *lines = gzip.decompress(body).decode().splitlines()
    interface = header.split(" ").index("interface-id")
    assert [line.split(" ")[interface] for line in lines] == truth["interface_id"].to_list()


def test_nat_gateways_have_an_address_of_their_subnet(pair: tuple[Aws, Aws]) -> None:
    aws, _ = pair
    interfaces = pl.read_parquet(aws.folder / "organization" / "nat_gateways.parquet")
    gateways = [gateway for gateways in aws.described("describe_nat_gateways", "NatGateways") for gateway in gateways]

    assert {gateway["NatGatewayAddresses"][0]["PrivateIp"] for gateway in gateways} == set(interfaces["private_ip"])
    assert interfaces["private_ip"].str.contains(r"^10\.\d+\.128\.5$").all()


def test_private_instances_have_no_public_address(pair: tuple[Aws, Aws]) -> None:
    aws, _ = pair
    interfaces = pl.read_parquet(aws.folder / "organization" / "interfaces.parquet")

    role = interfaces.filter(pl.col("public_ip").is_not_null())["instance_name"].str.extract("^([a-z]+)")

    assert set(role.drop_nulls()) == {"web"}


def test_metrics_are_in_the_account_and_region_of_their_resource(pair: tuple[Aws, Aws]) -> None:
    aws, _ = pair
    interfaces = pl.read_parquet(aws.folder / "organization" / "interfaces.parquet")
    instance = interfaces.filter(interface_type="interface").row(-1, named=True)

    answer = aws.client("cloudwatch", instance["account_id"], instance["region"]).get_metric_statistics(
        Namespace="AWS/EC2",
        MetricName="CPUUtilization",
        Dimensions=[{"Name": "InstanceId", "Value": instance["instance_id"]}],
        StartTime=START,
        EndTime=START + timedelta(minutes=10),
        Period=300,
        Statistics=["Average"],
    )

    assert [point["Timestamp"] for point in answer["Datapoints"]] == [START, START + timedelta(minutes=5)]
    assert all(0 <= point["Average"] < 100 for point in answer["Datapoints"])


def test_an_empty_emulator_has_nothing_in_it(tmp_path: Path) -> None:
    with Emulator(empty=True, folder=tmp_path) as emulator:
        buckets = Aws(emulator, tmp_path).client("s3").list_buckets()["Buckets"]

    assert buckets == []
    assert emulator.organization == {}


def test_the_process_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = (
        "import time; from kentik_dagster.demo.emulator_process import Emulator\n"
        "emulator = Emulator(empty=True); emulator.start()\n"
        "print(emulator.process_id, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    ) as parent:
        assert parent.stdout is not None
        emulator = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)

    assert ended(emulator)


def test_stopping_ends_the_process(tmp_path: Path) -> None:
    with Emulator(empty=True, folder=tmp_path) as emulator:
        process_id = emulator.process_id

    assert ended(process_id)
    with pytest.raises(EmulatorError, match="not running"):
        _ = emulator.endpoint_url


def test_a_failed_start_says_why(tmp_path: Path) -> None:
    impossible = Emulator(interfaces=5, folder=tmp_path)

    with pytest.raises(EmulatorError, match=r"(?s)exit code 1.*5 interfaces are too few for 8 VPCs"):
        impossible.start()


def test_a_start_that_takes_too_long_says_so(tmp_path: Path) -> None:
    slow = Emulator(folder=tmp_path, timeout_seconds=0.01)

    with pytest.raises(EmulatorError, match=r"not ready after 0.01 seconds"):
        slow.start()


def ended(process_id: int) -> bool:
    """Whether a process is gone, or is but waiting to be collected, within some seconds."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.1)
    return False
