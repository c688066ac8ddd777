"""Where the real models and images are, and what happens when they are not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

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
def cli(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """cli("summary", path, "--json") -> (exit code, stdout, stderr), in this process."""
    from onnxray.cli.main import main

    def run(*words: object) -> tuple[int, str, str]:
        code = main([str(word) for word in words])
        out, err = capfd.readouterr()
        return code, out, err

    return run
