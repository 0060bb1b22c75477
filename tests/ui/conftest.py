"""The Dagster UI on the demo's organization, a page of a browser, and where pictures go."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.ui.dagster_ui import DagsterUi

if TYPE_CHECKING:
    from playwright.sync_api import Page

# What tests/ui/install_browser found or installed.
CHROMIUM = shutil.which(os.environ.get("UI_TEST", "")) or shutil.which("chromium")
# Of one step in the browser, on a machine that has other things to do.
MILLISECONDS = 60_000


@pytest.fixture(scope="session")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterUi]:
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "kentik_dagster.cli"]
    ours = ("AWS_", "DAGSTER_", "KENTIK_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    subprocess.run([*command, "demo", "--folder", str(folder)], env=environment, check=True, capture_output=True)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    with (folder / "dev.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "dev", "--folder", str(folder), "--port", str(port)],
            env=environment, cwd=folder.parent, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    running = DagsterUi(f"http://127.0.0.1:{port}", folder)
    try:
        running.wait(running.is_loaded, "the code location")
        yield running
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="session")
def page() -> Iterator[Page]:
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, "there is no Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, headless=True, args=arguments, timeout=MILLISECONDS
        )
        opened = browser.new_context(viewport={"width": 1500, "height": 950}).new_page()
        opened.set_default_timeout(MILLISECONDS)
        errors: list[str] = []
        opened.on("pageerror", lambda error: errors.append(str(error)))
        yield opened
        browser.close()
        assert errors == []


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = Path(os.environ.get("KENTIK_DAGSTER_PICTURES", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
