"""A Python that has MXNet, for tests: `make test` puts one into .venv/mxnet where it can (see the Makefile)."""

from __future__ import annotations

import pytest
from conftest import REPOSITORY
from onnxray.importers.mxnet.oracle import ELSEWHERE, find_python

HERE = REPOSITORY / ".venv" / "mxnet"


def use(monkeypatch: pytest.MonkeyPatch) -> str:
    """Name it to the certificate. There is none: the test is skipped."""
    if find_python() is None and not (HERE / "installed").exists():
        pytest.skip("no Python with MXNet: make mxnet, or name one in ONNXRAY_MXNET_PYTHON")
    found = find_python() or str(HERE / "bin" / "python")
    monkeypatch.setenv(ELSEWHERE, found)
    return found
