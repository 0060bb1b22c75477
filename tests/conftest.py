"""What tests of several rooms share: the samples, and an AWS emulator in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from kentik_dagster.demo.emulator_process import Emulator

# How long an example takes says more of the machine than of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
_SAMPLES = Path(os.environ.get("KENTIK_DAGSTER_SAMPLES") or Path(__file__).parents[2] / "shared" / "samples")


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder with real data that nobody here wrote."""
    if not _SAMPLES.is_dir():
        pytest.skip(f"no samples at {_SAMPLES}; name their folder in KENTIK_DAGSTER_SAMPLES")
    return _SAMPLES


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An empty AWS, over real HTTP; tests use buckets and accounts of their own.

    Its S3 lists 50 objects a page, so that paging needs no thousands of them.
    """
    os.environ["MOTO_S3_DEFAULT_MAX_KEYS"] = "50"
    with Emulator(empty=True, folder=tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture
def aws(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """The emulator, named by the environment as users name AWS endpoints."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in emulator.environment().items():
        monkeypatch.setenv(name, value)
    return emulator
