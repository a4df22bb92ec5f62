"""Shared by all tests: one thread, and what is slow is asked for."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import pytest


@pytest.fixture
def doubles() -> Iterator[None]:
    """Random numbers from a fixed seed, in float64."""
    import torch

    torch.manual_seed(1)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def unroll(project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs a command in the folder `project` of the test module: what it prints, or the `UserError` that it raises."""
    from typer.testing import CliRunner

    from unroll.cli import app
    from unroll.errors import UserError

    monkeypatch.chdir(project)

    def call(*arguments: str, given: str | bytes = "") -> str:
        result = CliRunner().invoke(app, arguments, input=given)
        if isinstance(result.exception, UserError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.stdout

    return call


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium, driven by Playwright (`pip install -e ".[browser]"`); without them the test is skipped."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium")
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=chromium, args=options)
        yield started
        started.close()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests that take minutes, too")
    parser.addoption("--cluster", action="store_true", help="run the tests that start servers or several hosts, too")


def pytest_configure() -> None:
    """Answer Ctrl-C, and have what tests start answer it, also where a shell has started us in the background: there it
    is ignored, and what is ignored is inherited."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for option, reason in (("slow", "takes minutes"), ("cluster", "starts servers or several hosts")):
        if not config.getoption(f"--{option}"):
            for item in items:
                if item.get_closest_marker(option):
                    item.add_marker(pytest.mark.skip(reason=f"{reason}; --{option} runs it"))
