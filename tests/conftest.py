"""Where the real models and images are, and what happens when they are not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("ONNXRAY_SHARED", REPOSITORY.parent / "shared"))


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """shared("models/caffe/lenet_mnist") -> its path. Missing: the test is skipped, but fails where CI is set."""

    def find(relative: str) -> Path:
        path = SHARED / relative
        if path.exists():
            return path
        message = f"{relative} is not in {SHARED} (set ONNXRAY_SHARED)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)

    return find


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """cli("summary", path, "--json") -> (exit code, stdout, stderr), in this process."""
    from onnxray.cli.main import main

    monkeypatch.delenv("COLUMNS", raising=False)  # pytest-xdist sets it

    def run(*words: object) -> tuple[int, str, str]:
        code = main([str(word) for word in words])
        out, err = capfd.readouterr()
        return code, out, err

    return run


@pytest.fixture(scope="session")
def tfjs() -> dict[str, str]:
    """The environment in which Node finds TensorFlow.js; `make tfjs` installs it. Without, the test is skipped."""
    modules = REPOSITORY / ".venv" / "tfjs" / "node_modules"
    if shutil.which("node") is None or not modules.is_dir():
        pytest.skip("no Node on PATH (apt install nodejs npm), or no TensorFlow.js for it (make tfjs)")
    return {"NODE_PATH": str(modules)}


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless browser, driven by Playwright. None on PATH: the test is skipped, but fails where CI is set."""
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = next(filter(None, map(shutil.which, names)), None)
    if executable is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no Chromium on PATH (apt install chromium)")
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=flags)
        yield browser
        browser.close()
