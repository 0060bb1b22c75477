"""Durable on a local disk: deltalake 1.6.6 never asks the system to write through (delta.md §2.6).

After a power loss a table could open without its last rows. So files are synced when they are staged, the log
when it was committed to, and both once more before anything that a table was made from is deleted. On S3 an
object whose PUT was answered is durable, and nothing is left to do.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePath

from kentik_dagster.lake.tables import LakeTable


def is_local(uri: str) -> bool:
    """Whether the table lies in a folder of this machine."""
    return "://" not in uri


def fsync(path: Path) -> None:
    """Wait until the file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_log(uri: str, version: int) -> None:
    """Make a local table's log durable from `version` on."""
    if not is_local(uri):
        return
    log = Path(uri) / "_delta_log"
    while (entry := log / f"{version:020d}.json").exists():
        fsync(entry)
        version += 1
    fsync(log)


def make_durable(table: LakeTable, partition: Mapping[str, str]) -> None:
    """Make everything durable that the rows of a partition rest on, whoever wrote it."""
    if not is_local(table.uri):
        return
    root = Path(table.uri)
    log = root / "_delta_log"
    folders = {log, root, root.parent}
    for path in table.open().files_of(partition)["path"]:
        fsync(root / path)
        folders.update(root / folder for folder in PurePath(path).parents)
    for entry in log.iterdir():
        with suppress(FileNotFoundError):  # another writer's temporary file, which every commit has for a moment
            fsync(entry)
    for folder in folders:
        fsync(folder)
