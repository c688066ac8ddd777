"""A Python that has MXNet, for tests: `make install` puts one into .venv/mxnet where it can (see the Makefile)."""

from __future__ import annotations

import pytest
from conftest import REPOSITORY
from onnxray.importers.mxnet.oracle import ELSEWHERE, find_python

HERE = REPOSITORY / ".venv" / "mxnet" / "bin" / "python"


def use(monkeypatch: pytest.MonkeyPatch) -> str:
    """Name it to the certificate. There is none: the test is skipped."""
    if find_python() is None and not HERE.exists():
        pytest.skip("no Python with MXNet: make .venv/mxnet/installed, or name one in ONNXRAY_MXNET_PYTHON")
    found = find_python() or str(HERE)
    monkeypatch.setenv(ELSEWHERE, found)
    return found
