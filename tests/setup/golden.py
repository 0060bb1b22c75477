"""Four typical configurations and what `kentik-dagster setup` writes for them.

    python -m tests.setup.golden

writes the folders anew; the difference is what a reviewer sees.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner, Result

from kentik_dagster.cli import main

GOLDEN = Path(__file__).parent / "golden"
COLLECTOR = "arn:aws:iam::444444444444:role/dagster"
_LAKE_KEY = "arn:aws:kms:us-east-1:444444444444:key/11111111-2222-3333-4444-555555555555"
_LOG_KEY = "arn:aws-us-gov:kms:us-gov-west-1:111111111111:key/mrk-0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Typical:
    """A kentik.yaml, and the options that go with it."""

    configuration: str
    options: tuple[str, ...]


TYPICAL = {
    "one-account": Typical(
        """\
exports:
  - name: one-account
    iam_role_arn: arn:aws:iam::111111111111:role/KentikPrimary
    external_id: 4f1c-unique-per-deployment
    region: eu-west-1
    bucket: acme-flow-logs
    start: 2026-11-01
""",
        (f"--collector-arn={COLLECTOR}",),
    ),
    "organization": Typical(
        """\
lake: s3://acme-lake
exports:
  - name: organization
    iam_role_arn: arn:aws:iam::111111111111:role/KentikPrimary
    external_id: 4f1c-unique-per-deployment
    region: us-east-1
    organization_role: true
    regions_used: [us-east-1, eu-west-1]
    role_suffix: KentikSecondary
    bucket: acme.flow.logs
    delete_after_read: true
    notification_queue: https://sqs.us-east-1.amazonaws.com/111111111111/acme-flow-logs
    start: 2026-11-01
""",
        (
            f"--collector-arn={COLLECTOR}", "--organization-id=o-exampleorgid", "--encryption=sse-kms",
            "--store-logs-more-frequently", "--expire-days=30",
        ),
    ),
    "central-bucket": Typical(
        """\
lake: s3://acme-lake/kentik
exports:
  - name: central-bucket
    iam_role_arn: arn:aws:iam::111111111111:role/net/KentikPrimary
    external_id: 4f1c-unique-per-deployment
    region: us-east-1
    secondary_accounts: ["022222222222", "333333333333"]
    blocked_accounts: ["333333333333"]
    regions_used: [us-east-1, eu-west-1]
    role_suffix: net/KentikSecondary
    bucket: acme-flow-logs
    bucket_prefix: network
    collect_firewall_logs: true
    notification_queue: https://sqs.us-east-1.amazonaws.com/999999999999/acme-flow-logs
    start: 2026-11-01
""",
        (
            f"--collector-arn={COLLECTOR}", "--bucket-account-id=999999999999", "--through-sns",
            "--encryption=sse-kms", f"--lake-kms-key-arn={_LAKE_KEY}", "--file-format=parquet",
            "--vpc-id=vpc-0123456789abcdef0", "--subnet-id=subnet-0123456789abcdef0",
            "--transit-gateway-id=tgw-0123456789abcdef0", "--transit-gateway-id=eu-west-1:tgw-0123456789abcdef1",
            "--firewall-arn=arn:aws:network-firewall:eu-west-1:111111111111:firewall/edge",
        ),
    ),
    "govcloud-existing-bucket": Typical(
        """\
exports:
  - name: govcloud
    region: us-gov-west-1
    secondary_accounts: ["222222222222"]
    role_suffix: KentikSecondary
    bucket: acme-gov-flow-logs
    collect_metrics: false
    notification_queue: https://sqs.us-gov-west-1.amazonaws.com/111111111111/acme-flow-logs
    start: 2026-11-01
""",
        (
            "--collector-arn=arn:aws-us-gov:iam::111111111111:role/dagster", "--existing-bucket",
            "--encryption=sse-kms", f"--kms-key-arn={_LOG_KEY}", "--without-verification",
        ),
    ),
}  # fmt: skip


def set_up(place: Path, configuration: str, *options: str) -> Result:
    """`kentik-dagster setup` on a kentik.yaml, into the folder `aws` beside it."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "kentik.yaml").write_text(configuration)
    command = ["setup", f"--config={place / 'kentik.yaml'}", f"--folder={place / 'aws'}", *options]
    return CliRunner().invoke(main, command)


def files_in(folder: Path) -> dict[str, str]:
    """The text of every file below a folder, by its path there."""
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def write() -> None:
    """Writes the golden folders anew."""
    for name, typical in TYPICAL.items():
        with tempfile.TemporaryDirectory() as place:
            done = set_up(Path(place), typical.configuration, *typical.options)
            assert done.exit_code == 0, done.output
            shutil.rmtree(GOLDEN / name, ignore_errors=True)
            shutil.copytree(Path(place) / "aws", GOLDEN / name)


if __name__ == "__main__":
    write()
