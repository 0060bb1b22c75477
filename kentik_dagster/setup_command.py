"""`kentik-dagster setup`: writes what AWS needs before an export can collect."""

from __future__ import annotations

import re
import sys
import uuid
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kentik_dagster.command_options import config_option
from kentik_dagster.errors import KentikDagsterError, SetupError

if TYPE_CHECKING:
    from kentik_dagster.configuration import Configuration, Export

_SSE_C = (
    "--encryption sse-c: AWS's log delivery cannot write with a key that only you have, and nobody could read such "
    "objects "
    "but with that key in every request. Use sse-s3, or sse-kms with a key of your own."
)


@click.command("setup")
@config_option("The configuration file with the export.")
@click.option("--export", "export_name", help="Which export, where the file has several.")
@click.option(
    "--folder", type=click.Path(path_type=Path), default=Path("aws"), show_default=True, help="Where to write."
)
@click.option("--force", is_flag=True, help="Write over files that are there with other content.")
@click.option("--collector-arn", help="The role or user that runs kentik_dagster: the primary role trusts it alone.")
@click.option("--organization-id", help="o-...: roles and bucket admit the organization's accounts alone.")
@click.option("--existing-bucket", is_flag=True, help="The bucket is there already: make its policy, not the bucket.")
@click.option("--bucket-account-id", help="The account of a central log bucket. Default: the export's own account.")
@click.option(
    "--encryption",
    type=click.Choice(["sse-s3", "sse-kms", "sse-c"]),
    default="sse-s3",
    show_default=True,
    help="Of the log objects.",
)
@click.option("--kms-key-arn", help="Their key. Default with sse-kms: a new one.")
@click.option("--lake-kms-key-arn", help="The key of the lake's bucket, where it is encrypted with KMS.")
@click.option("--expire-days", type=click.IntRange(min=1), help="S3 deletes log objects of that age. Default: never.")
@click.option("--through-sns", is_flag=True, help="The bucket notifies a topic, and the topic the queue.")
@click.option("--vpc-id", "vpc_ids", multiple=True, help="Flow logs of these VPCs. Default: of all.")
@click.option("--subnet-id", "subnet_ids", multiple=True, help="Flow logs of these subnets, too.")
@click.option(
    "--transit-gateway-id",
    "transit_gateway_ids",
    multiple=True,
    help="Flow logs of these transit gateways, too: tgw-..., or eu-west-1:tgw-... in another region than the export's.",
)
@click.option("--firewall-arn", "firewall_arns", multiple=True, help="Logs of these firewalls, too.")
@click.option("--store-logs-more-frequently", "every_minute", is_flag=True, help="Every minute, not every ten.")
@click.option(
    "--file-format",
    type=click.Choice(["plain-text", "parquet"]),
    default="plain-text",
    show_default=True,
    help="Of flow logs.",
)
@click.option("--without-verification", is_flag=True, help="Grant nothing that only `kentik-dagster verify` calls.")
@click.option("--account-id", help="Without a configuration file: the account; a kentik.yaml is written, too.")
@click.option("--region", help="... and the region of the bucket.")
@click.option("--name-prefix", default="kentik", show_default=True, help="... what the export's name begins with.")
@click.option("--s3-bucket-prefix", default="kentik", show_default=True, help="... and the bucket's.")
@click.option("--iam-role-prefix", default="Kentik", show_default=True, help="... and the roles'.")
@click.option("--secondary-account", "secondary_accounts", multiple=True, help="... other accounts to collect.")
@click.option("--organization", is_flag=True, help="... or all accounts of the organization.")
@click.option("--delete-after-read", is_flag=True, help="... and log objects are deleted once they are durable.")
def setup(config: Path, export_name: str | None, folder: Path, force: bool, **options: Any) -> None:
    """Write Terraform, CloudFormation and the policies for an export.

    Reads kentik.yaml, or with --account-id and --region writes one. Nothing is asked of AWS, and nothing is changed
    there: the README in the folder says what to run in which account.
    """
    try:
        _setup(config, export_name, folder, force, options)
    except KentikDagsterError as error:
        click.secho(str(error), fg="red", err=True)
        sys.exit(1)


def _setup(config: Path, export_name: str | None, folder: Path, force: bool, options: dict[str, Any]) -> None:
    from kentik_dagster.aws.regions import partition_of
    from kentik_dagster.configuration_file import load_configuration
    from kentik_dagster.setup.checks import advice
    from kentik_dagster.setup.choices import Choices, Encryption, FileFormat
    from kentik_dagster.setup.folder import files_of, write_folder

    if options["encryption"] == "sse-c":
        raise SetupError([_SSE_C])
    new_file: dict[str, str] = {}
    if options["account_id"] is not None:
        text = _kentik_yaml(folder, options, partition_of(options["region"] or "") or "aws")
        configuration, new_file = _checked(text, folder), {"kentik.yaml": text}
    else:
        configuration = load_configuration(config)
    export = _chosen(configuration, export_name)
    taken = {one.name for one in fields(Choices)} & options.keys()
    choices = Choices(
        **{name: options[name] for name in taken - {"encryption", "file_format"}},
        export=export,
        lake=configuration.lake,
        create_bucket=not options["existing_bucket"],
        encryption=Encryption(options["encryption"]),
        file_format=FileFormat(options["file_format"]),
        transit_gateways=_gateways(options["transit_gateway_ids"], export.region),
        verification=not options["without_verification"],
    )
    files = files_of(choices, partition_of) | new_file
    written = write_folder(folder, files, force=force)
    for path in written:
        click.echo(f"wrote {path}")
    if not written:
        click.echo(f"{folder} is as it should be: nothing was written")
    for one in advice(choices):
        click.secho(f"note: {one}", fg="yellow")
    click.echo(f"Next: {folder / 'README.md'} says what to run in which account.")


def _chosen(configuration: Configuration, name: str | None) -> Export:
    names = [export.name for export in configuration.exports]
    if name is not None and name not in names:
        raise SetupError([f"there is no export {name!r}: the file has {', '.join(names) or 'none'}"])
    if not names:
        raise SetupError(["the file has no export: add one; kentik.example.yaml shows how"])
    if name is None and len(names) > 1:
        raise SetupError([f"name one export with --export ({', '.join(names)}), each into a --folder of its own"])
    return configuration.export(name or names[0])


def _gateways(texts: tuple[str, ...], region: str) -> tuple[Any, ...]:
    from kentik_dagster.setup.choices import TransitGateway

    return tuple(
        TransitGateway(text.partition(":")[0] if ":" in text else region, text.rpartition(":")[2]) for text in texts
    )


def _kentik_yaml(folder: Path, options: dict[str, Any], partition: str) -> str:
    """A configuration file with what the options say; one that is there keeps its external id and its start."""
    from datetime import UTC, datetime

    import yaml

    from kentik_dagster.setup.checks import twelve_digits

    account_id, region, prefix = options["account_id"], options["region"], options["iam_role_prefix"]
    if re.fullmatch(r"\d{12}", account_id) is None:
        raise SetupError([f"--account-id {account_id!r}: {twelve_digits(account_id)}"])
    if region is None:
        raise SetupError(["--account-id goes with --region, the region of the bucket"])
    before = _written_before(folder)
    export: dict[str, Any] = {
        "name": f"{options['name_prefix']}-{region}",
        "iam_role_arn": f"arn:{partition}:iam::{account_id}:role/{prefix}Primary",
        "external_id": before.get("external_id") or str(uuid.uuid4()),
        "region": region,
        "bucket": f"{options['s3_bucket_prefix']}-ingest-bucket-{account_id}-flow-logs",
        "start": before.get("start") or f"{datetime.now(UTC):%Y-%m-%d}",
    }
    if options["organization"] or options["secondary_accounts"]:
        export["role_suffix"] = f"{prefix}Secondary"
    if options["organization"]:
        export["organization_role"] = True
    elif options["secondary_accounts"]:
        export["secondary_accounts"] = list(options["secondary_accounts"])
    if options["delete_after_read"]:
        export["delete_after_read"] = True
    return str(yaml.safe_dump({"lake": "./lake", "exports": [export]}, sort_keys=False, allow_unicode=False))


def _written_before(folder: Path) -> dict[str, Any]:
    from kentik_dagster.configuration_file import load_configuration

    path = folder / "kentik.yaml"
    if not path.exists():
        return {}
    export = load_configuration(path).exports[0]
    return {"external_id": export.external_id, "start": f"{export.start:%Y-%m-%d}"}


def _checked(text: str, folder: Path) -> Configuration:
    from kentik_dagster.configuration_file import configuration_of

    return configuration_of(text, folder / "kentik.yaml")
