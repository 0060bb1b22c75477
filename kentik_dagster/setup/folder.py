"""All the files of a set-up, and the README that says what to run in which account."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from kentik_dagster.errors import SetupError
from kentik_dagster.setup.checks import advice, check
from kentik_dagster.setup.choices import Choices
from kentik_dagster.setup.policies import (
    as_json,
    collector_documents,
    primary_documents,
    primary_trust,
    secondary_document,
    secondary_trust,
)
from kentik_dagster.setup.readme import readme
from kentik_dagster.setup.resource_policies import bucket_policy, key_policy, queue_policy, topic_policy
from kentik_dagster.setup.stack import secondary_template
from kentik_dagster.setup.terraform import bucket_account_terraform, other_accounts_terraform, primary_terraform


def files_of(choices: Choices, partition_of: Callable[[str], str | None]) -> dict[str, str]:
    """Every file of the set-up, by its path in the folder.

    Args:
        partition_of: the partition of a region; None: there is no such region.

    Raises:
        SetupError: something was chosen that AWS would refuse, or that does not fit together.
    """
    check(choices, partition_of)
    policies = dict(_policies(choices))
    files = {"main.tf": primary_terraform(choices)}
    if choices.export.collects_logs and choices.create_bucket and choices.bucket_is_central:
        files["bucket-account/main.tf"] = bucket_account_terraform(choices)
    if choices.has_other_accounts:
        files["other-accounts/main.tf"] = other_accounts_terraform(choices)
        files["other-accounts/secondary-role.template.json"] = as_json(secondary_template(choices))
    files |= {f"policies/{name}.json": as_json(document) for name, document in policies.items()}
    return {"README.md": readme(choices, tuple(files), tuple(advice(choices))), **files}


def _policies(choices: Choices) -> Iterator[tuple[str, dict[str, object]]]:
    export = choices.export
    yield from collector_documents(choices).items()
    if export.iam_role_arn is not None:
        yield "primary-trust", primary_trust(choices)
    yield from primary_documents(choices).items()
    if choices.has_other_accounts:
        yield "secondary-trust", secondary_trust(choices)
        yield "secondary-access", secondary_document(choices)
    if export.collects_logs:
        yield "bucket-policy", bucket_policy(choices)
        if choices.creates_key or (choices.kms_key_arn is not None):
            yield "key-policy", key_policy(choices)
        if choices.has_queue:
            yield "queue-policy", queue_policy(choices)
            if choices.through_sns:
                yield "topic-policy", topic_policy(choices)


def write_folder(folder: Path, files: dict[str, str], *, force: bool) -> list[Path]:
    """Write the files, all or none of them; those that are as they should be stay as they are.

    Returns:
        The files that were written.

    Raises:
        SetupError: a file is there with other content, and `force` is not given; or it cannot be written.
    """
    try:
        changed = {
            folder / name: text
            for name, text in files.items()
            if not (folder / name).exists() or (folder / name).read_bytes() != text.encode()
        }
        differing = [str(path) for path in changed if path.exists()]
        if differing and not force:
            way_out = "look at it, then write over it with --force, or name another --folder"
            raise SetupError([f"{path} is there already, and differs: {way_out}" for path in differing])
        for path, text in changed.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_name(f"{path.name}.part")
            unfinished.write_bytes(text.encode())
            unfinished.replace(path)
    except OSError as error:
        raise SetupError([f"cannot write {error.filename or folder}: {error.strerror or error}"]) from error
    return list(changed)
