"""How fast the network metadata of many accounts is collected, and what an unchanged or a little changed one costs.

    .venv/bin/python -m benchmarks.metadata_snapshots --accounts 500

A fake AWS in a process of its own answers over HTTP, with AWS's limits for each operation in each account and region.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

REGIONS = ("us-east-1", "eu-west-1")
PRIMARY = "111122223333"
# Requests a second and at once that the fake allows, of each operation in each account and region (metadata.md §5).
LIMITS = {
    "ec2": (20, 100), "elb": (10, 20), "elbv2": (10, 20), "directconnect": (5, 10), "network-firewall": (5, 10),
    "networkmanager": (5, 10), "iam": (10, 20),
}  # fmt: skip
_PROJECT = Path(__file__).parents[1]


class Clock:
    """Stands still while a snapshot is taken."""

    now = datetime(2026, 11, 23, tzinfo=UTC)

    def __call__(self) -> datetime:  # noqa: D102
        return self.now


def network(region: str, *, vpcs: int, interfaces: int, balancers: int) -> dict[tuple[str, str], Any]:
    """What one account answers in one region, by service and operation."""
    name = [{"Key": "Name", "Value": "benchmark"}, {"Key": "team", "Value": "payments"}]
    each = [
        {
            "NetworkInterfaceId": f"eni-{region}-{number}",
            "VpcId": f"vpc-{region}-{number % vpcs}",
            "SubnetId": f"subnet-{region}-{number % (3 * vpcs)}",
            "InterfaceType": "interface",
            "PrivateIpAddress": f"10.{number % vpcs}.{number // 250 % 250}.{number % 250}",
            "Groups": [{"GroupId": f"sg-{number % 10}", "GroupName": "web"}],
            "Description": f"interface {number}",
            "TagSet": name,
        }
        for number in range(interfaces)
    ]
    subnets = [
        {"SubnetId": f"subnet-{region}-{number}", "VpcId": f"vpc-{region}-{number % vpcs}", "Tags": name,
         "CidrBlock": f"10.{number % vpcs}.{number}.0/24", "AvailableIpAddressCount": 200}
        for number in range(3 * vpcs)
    ]  # fmt: skip
    arns = [f"arn:aws:elasticloadbalancing:{region}:1:loadbalancer/app/lb-{number}" for number in range(balancers)]
    groups = [f"arn:aws:elasticloadbalancing:{region}:1:targetgroup/tg-{number}" for number in range(balancers)]
    return {
        ("ec2", "DescribeVpcs"): {
            "Vpcs": [{"VpcId": f"vpc-{region}-{number}", "CidrBlock": "10.0.0.0/8"} for number in range(vpcs)]
        },
        ("ec2", "DescribeSubnets"): {"Subnets": subnets},
        ("ec2", "DescribeNetworkInterfaces"): {"NetworkInterfaces": each},
        ("elbv2", "DescribeLoadBalancers"): {"LoadBalancers": [{"LoadBalancerArn": arn} for arn in arns]},
        ("elbv2", "DescribeTargetGroups"): {"TargetGroups": [{"TargetGroupArn": arn} for arn in groups]},
        ("elbv2", "DescribeListeners"): {"Listeners": [{"ListenerArn": "listener/1", "Port": 443}]},
        ("elbv2", "DescribeTargetHealth"): {
            "TargetHealthDescriptions": [{"Target": {"Id": "i-1", "Port": 443}, "TargetHealth": {"State": "healthy"}}]
        },
    }


def serve(options: argparse.Namespace) -> None:
    """The fake AWS, until its standard input ends; told on it to change something, it does."""
    from tests.fake_aws import FakeAws

    with FakeAws(ambient_account=PRIMARY) as fake:
        answers = {region: network(region, vpcs=2, interfaces=options.interfaces, balancers=options.balancers)
                   for region in REGIONS}  # fmt: skip
        for region, operations in answers.items():
            for (service, operation), answer in operations.items():
                fake.answers(None, region, service, operation, answer)
        for service, (rate, burst) in LIMITS.items():
            fake.limit(service, rate=rate, burst=burst)
        sys.stdout.write(fake.url + "\n")
        sys.stdout.flush()
        for line in sys.stdin:
            if line.strip() == "change":
                for region, operations in answers.items():
                    interfaces = operations["ec2", "DescribeNetworkInterfaces"]["NetworkInterfaces"]
                    for interface in interfaces[::100]:
                        interface["Description"] += "!"
                    answer = {"NetworkInterfaces": list(interfaces)}
                    fake.answers(None, region, "ec2", "DescribeNetworkInterfaces", answer)
                continue
            waits = [
                (count - LIMITS[service][1]) / LIMITS[service][0]
                for (_, _, service, _), count in fake.requests.items()
                if service in LIMITS
            ]
            said = {
                "requests": fake.requests.total(),
                "throttled": fake.throttled.total(),
                "limits_alone": max(0.0, *waits),
            }
            fake.requests.clear()
            fake.throttled.clear()
            sys.stdout.write(json.dumps(said) + "\n")
            sys.stdout.flush()


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Snapshots of all accounts: the first, one without changes, and one in which 1 % of the interfaces changed."""
    from kentik_dagster.aws.sessions import ExportAccess
    from kentik_dagster.configuration import Export
    from kentik_dagster.lake.tables import Lake
    from kentik_dagster.work.metadata import collect_metadata

    command = [sys.executable, "-m", "benchmarks.metadata_snapshots", "--serve", f"--interfaces={options.interfaces}",
               f"--balancers={options.balancers}"]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_PROJECT)
    assert process.stdin is not None
    assert process.stdout is not None
    os.environ |= {
        "AWS_ENDPOINT_URL": process.stdout.readline().strip(),
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "made-up",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    account_ids = [f"{444400000000 + number}" for number in range(options.accounts)]
    export = Export(
        name="benchmark", iam_role_arn=f"arn:aws:iam::{PRIMARY}:role/Primary", external_id="made-up", region=REGIONS[0],
        regions_used=REGIONS, role_suffix="Secondary", secondary_accounts=tuple(account_ids), collect_flow_logs=False,
        start=date(2026, 11, 1),
    )  # fmt: skip
    results = []
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder)
        for what in ("first snapshot", "nothing changed", "1 % of the interfaces changed"):
            if what.startswith("1 %"):
                process.stdin.write("change\n")
                process.stdin.flush()
            clock.now += timedelta(minutes=15)
            written, began, cpu = _written(folder), time.monotonic(), time.process_time()
            calls, changes = [], 0
            access = ExportAccess(export, custom_endpoint=True)
            wanted = dict.fromkeys(account_ids, access)
            for number, done in enumerate(collect_metadata(wanted, lake, clock=clock)):
                calls.append(done.calls.select("outcome", "pages", "throttled"))
                changes += done.changes.height
                if number % 50 == 49:
                    sys.stderr.write(f"{what}: {number + 1} of {options.accounts} accounts\n")
            seconds, cpu = time.monotonic() - began, time.process_time() - cpu
            process.stdin.write("tell\n")
            process.stdin.flush()
            results.append({
                "snapshot": what, "seconds": seconds, "cpu": cpu, **json.loads(process.stdout.readline()),
                "not_observed": pl.concat(calls).filter(pl.col("outcome") != "observed").height, "changes": changes,
                "bytes": _written(folder) - written,
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            })  # fmt: skip
    process.stdin.close()
    process.wait()
    return results


def _written(folder: str) -> int:
    return sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())


def show(results: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """The results as a table."""
    table = Table(title=f"{options.accounts} accounts x {len(REGIONS)} regions, {options.interfaces} interfaces and "
                  f"{options.balancers} load balancers in each")  # fmt: skip
    for column in ("", "seconds", "CPU s", "requests", "requests/s", "thrown back", "limits alone, s", "not observed",
                   "changes", "KB written", "peak MB"):  # fmt: skip
        table.add_column(column, justify="right" if column else "left")
    for one in results:
        table.add_row(
            one["snapshot"], f"{one['seconds']:.0f}", f"{one['cpu']:.0f}", f"{one['requests']:,}",
            f"{one['requests'] / one['seconds']:.0f}", str(one["throttled"]), f"{one['limits_alone']:.1f}",
            str(one["not_observed"]), f"{one['changes']:,}", f"{one['bytes'] / 1000:,.0f}", f"{one['peak_mb']:.0f}",
        )  # fmt: skip
    Console(width=160).print(table)


def main() -> None:
    """Measures and shows, or serves."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metadata_snapshots", description=__doc__)
    parser.add_argument("--accounts", type=int, default=500)
    parser.add_argument("--interfaces", type=int, default=20, help="in each account and region")
    parser.add_argument("--balancers", type=int, default=5, help="load balancers, and target groups, in each")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options)
    else:
        show(measure(options), options)


if __name__ == "__main__":
    main()
