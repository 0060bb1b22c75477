"""The emulator process: AWS with a made-up organization in it, on a port of this machine.

    python -m kentik_dagster.demo.emulator --seed 7 --start 2026-11-23T09:10:00Z --minutes 30

It builds the organization in moto, puts flow log files and metrics as of their made-up times, writes what is
true of every record to `truth.parquet`, prints one line of JSON, and answers AWS calls until its standard
input ends. Equal arguments give an equal AWS in every process: identifiers, times, files.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kentik_dagster.demo.moto_corrections import answer_what_moto_lacks

BUILT_BEFORE_START = timedelta(days=7)  # how old the organization is when its flow logs begin


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to emulate: the arguments of the command."""

    seed: int
    start: datetime
    minutes: int
    interfaces: int
    member_accounts: int
    records_per_object: int
    objects_per_window: int
    bucket: str
    prefix: str
    port: int
    folder: Path
    empty: bool


def request_from(arguments: Sequence[str]) -> Request:
    """The request that command line arguments make."""
    parser = argparse.ArgumentParser(prog="python -m kentik_dagster.demo.emulator", description=__doc__)
    parser.add_argument("--seed", type=int, default=7, help="equal seeds give equal organizations")
    parser.add_argument(
        "--start", type=_instant, default="2026-11-23T09:10:00Z", help="of the first five-minute window"
    )
    parser.add_argument("--minutes", type=int, default=30, help="of flow logs and metrics")
    parser.add_argument("--interfaces", type=int, default=60, help="network interfaces of the organization")
    parser.add_argument("--member-accounts", type=int, default=3, help="accounts besides the management account")
    parser.add_argument("--records-per-object", type=int, default=2_000, help="on average")
    parser.add_argument("--objects-per-window", type=int, default=1, help="of each account and region")
    parser.add_argument("--bucket", default="made-up-flow-logs", help="of the management account, in us-east-1")
    parser.add_argument("--prefix", default="", help="folders before AWSLogs")
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--folder", type=Path, default=Path(".demo"), help="where truth.parquet is written")
    parser.add_argument("--empty", action="store_true", help="an AWS with nothing in it")
    return Request(**vars(parser.parse_args(arguments)))


def main(arguments: Sequence[str]) -> None:
    """Builds, serves, and ends with its standard input."""
    request = request_from(arguments)
    threading.Thread(target=_end_with_standard_input, daemon=True).start()
    _forget_the_ambient_aws()
    answer_what_moto_lacks()
    organization = {} if request.empty else _build(request)
    _serve(request.port, organization)


def _build(request: Request) -> dict[str, Any]:
    """Fills moto; what the caller needs to know of it."""
    import moto
    import time_machine
    from moto.moto_api._internal import mock_random

    from kentik_dagster.demo.emulated_aws import HOME_REGION, PRIMARY_ROLE, SECONDARY_ROLE, EmulatedAws
    from kentik_dagster.demo.emulated_network import build_network
    from kentik_dagster.demo.emulated_traffic import put_flow_logs, put_metrics, write_truth
    from kentik_dagster.demo.organization import Size, made_up_organization

    size = Size(member_accounts=request.member_accounts, interfaces=request.interfaces)
    end = request.start + timedelta(minutes=request.minutes)
    mock_random.seed(request.seed)
    mock = moto.mock_aws()
    mock.start()
    try:
        with time_machine.travel(request.start - BUILT_BEFORE_START, tick=False):
            aws = EmulatedAws()
            made_up = made_up_organization(request.seed, size)
            aws.create_accounts(made_up, request.bucket)
            organization = build_network(aws, made_up)
        records = put_flow_logs(
            aws,
            organization,
            bucket=request.bucket,
            start=request.start,
            end=end,
            records_per_object=request.records_per_object,
            objects_per_window=request.objects_per_window,
            prefix=request.prefix,
            seed=request.seed,
        )
        with time_machine.travel(end, tick=False):
            datapoints = put_metrics(aws, organization, start=request.start, end=end, seed=request.seed)
    finally:
        mock.stop(remove_data=False)
    write_truth(request.folder, organization, records)
    return {
        **organization.counts(),
        "objects": records["key"].n_unique(),
        "records": records.height,
        "datapoints": datapoints,
        "management_account_id": aws.management_account_id,
        "account_ids": organization.accounts["account_id"].to_list(),
        "regions": organization.vpcs["region"].unique(maintain_order=True).to_list(),
        "primary_role_arn": f"arn:aws:iam::{aws.management_account_id}:role/{PRIMARY_ROLE}",
        "secondary_role_name": SECONDARY_ROLE,
        "bucket": request.bucket,
        "bucket_region": HOME_REGION,
        "truth": str((request.folder / "truth.parquet").resolve()),
    }


def _serve(port: int, organization: dict[str, Any]) -> None:
    import logging

    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", port, application, threaded=True, request_handler=MotoRequestHandler)
    ready = {"endpoint_url": f"http://127.0.0.1:{server.server_port}", "organization": organization}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    server.serve_forever()


def _end_with_standard_input() -> None:
    """The parent holds the other end, so this process also ends when the parent is killed."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)


def _forget_the_ambient_aws() -> None:
    """No profile, endpoint or credential of the person who starts this may reach the emulator."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "MOTO_"))]:
        del os.environ[name]
    os.environ |= {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",  # hundreds of images for every account and region
        "MOTO_S3_DEFAULT_KEY_BUFFER_SIZE": "65536",  # larger objects go to temporary files
    }


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


if __name__ == "__main__":
    main(sys.argv[1:])
