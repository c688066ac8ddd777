"""`onnxray doctor`: every part and its state; kernels that compute wrongly are found, named and make it fail."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from onnxray.kernels import _native, backends
from onnxray.kernels.self_test import SELF_TESTS, self_test

Cli = Callable[..., tuple[int, str, str]]


def _row(text: str, *words: str) -> str:
    """The table row whose first cells are these."""
    cells = ([cell.strip() for cell in line.strip("│┃").split("│")] for line in text.splitlines())
    return next(" ".join(row) for row in cells if tuple(row[: len(words)]) == words)


def test_names_every_part(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONNXRAY_BACKEND", raising=False)
    code, out, _ = cli("doctor")
    assert code == 0
    for part in ("onnx", "torch", "kernels", "SIMD", "threads", "CUDA kernels", "Graphviz", "runtime"):
        assert _row(out, part)
    assert "not set" in _row(out, "ONNXRAY_BACKEND")
    for kernel in SELF_TESTS:
        assert _row(out, kernel, "cpu", "float32").endswith("right")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("reference", "reference for every kernel"),
        ("gpu", "'gpu', which kernels refuse: expected cuda, cpu, reference or nothing"),
        ("cuda", "cuda, which is not here: " if backends()["cuda"] else "cuda for every kernel"),
    ],
)
def test_a_forced_backend_is_shown_and_all_are_tested_still(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, name: str, shown: str
) -> None:
    monkeypatch.setenv("ONNXRAY_BACKEND", name)
    code, out, _ = cli("doctor")
    assert code == 0 and shown in _row(out, "ONNXRAY_BACKEND")
    assert _row(out, "gram", "cpu", "float64").endswith("right")


@pytest.fixture
def found_anew() -> Iterator[None]:
    """What backends this machine has is asked once a process."""
    backends.cache_clear()
    yield
    backends.cache_clear()


@pytest.mark.usefixtures("found_anew")
def test_without_the_extension_there_is_nothing_to_test(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxray.kernels._native", None)
    monkeypatch.delattr("onnxray.kernels._native")
    code, out, _ = cli("doctor")
    assert code == 0 and "the compiled kernels are missing" in _row(out, "kernels")
    assert self_test() == [] and "against their references" not in out


def _one_number_off(kernel: Any) -> Any:
    def broken(*arguments: Any) -> None:
        kernel(*arguments)
        outputs = [array for array in arguments if isinstance(array, np.ndarray)]
        outputs[-1].flat[-1] += 0.01  # the output is the last array

    return broken


def _nan_at_the_end(kernel: Any) -> Any:
    def broken(*arguments: Any) -> None:
        kernel(*arguments)
        [array for array in arguments if isinstance(array, np.ndarray)][-1].flat[-1] = np.nan

    return broken


def _raises(_: Any) -> Any:
    def broken(*_: Any) -> None:
        raise RuntimeError("no such instruction")

    return broken


ENTRIES = {
    "gram": (_native, "gram"),
    "overlay": (_native, "overlay"),
    "unpool": (_native.unpool, "unpool"),
    "values_at": (_native.unpool, "values_at"),
    "winograd": (_native, "winograd"),
}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize(
    ("breaks", "told"), [(_one_number_off, "WRONG"), (_nan_at_the_end, "nan"), (_raises, "no such instruction")]
)
def test_a_broken_kernel_is_found(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, entry: str, breaks: Callable[[Any], Any], told: str
) -> None:
    module, name = ENTRIES[entry]
    monkeypatch.setattr(module, name, breaks(getattr(module, name)))
    code, out, _ = cli("doctor")
    assert code == 1
    broken = "unpool" if entry == "values_at" else entry
    for kernel in SELF_TESTS:
        row = _row(out, kernel, "cpu", "float32")
        assert told in row if kernel == broken else row.endswith("right")
