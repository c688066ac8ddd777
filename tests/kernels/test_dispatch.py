"""The backend for given arrays, the reasons when there is none, and the checks of the fronts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnxray.kernels import backends, checks
from onnxray.kernels.dispatch import choose


def test_every_backend_that_is_missing_has_a_reason() -> None:
    found = backends()
    assert list(found) == ["cuda", "cpu", "reference"]
    assert found["cpu"] is None and found["reference"] is None
    assert found["cuda"] is None or len(found["cuda"]) > 10


@pytest.mark.parametrize("kind", [np.zeros, torch.zeros])
def test_host_arrays_go_to_the_compiled_kernel(kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONNXRAY_BACKEND", raising=False)
    assert choose(x=kind(3)) == "cpu"
    monkeypatch.setenv("ONNXRAY_BACKEND", "reference")
    assert choose(x=kind(3)) == "reference"


def test_a_refusal_names_every_backend_and_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONNXRAY_BACKEND", raising=False)
    with pytest.raises(ValueError, match=r"cuda: .*; cpu: x is float16, expected float32 or float64; reference: x is"):
        choose(x=np.zeros(3, np.float16))
    with pytest.raises(ValueError, match="cpu: x lies on meta, expected on cpu"):
        choose(x=torch.zeros(3, device="meta"))


def test_a_forced_backend_is_never_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXRAY_BACKEND", "cuda")
    with pytest.raises(ValueError, match="ONNXRAY_BACKEND allows no other"):
        choose(x=np.zeros(3))
    monkeypatch.setenv("ONNXRAY_BACKEND", "gpu")
    with pytest.raises(ValueError, match="'gpu', expected cuda, cpu, reference"):
        choose(x=np.zeros(3))


def test_checks_say_what_was_expected_and_found() -> None:
    with pytest.raises(TypeError, match=r"x is a list, expected .*: use numpy.asarray\(x\)"):
        checks.check_arrays(x=[1.0])
    with pytest.raises(TypeError, match="x is a ndarray and y a Tensor"):
        checks.check_arrays(x=np.zeros(3), y=torch.zeros(3))
    with pytest.raises(ValueError, match="x lies on cpu and y on meta"):
        checks.check_arrays(x=torch.zeros(3), y=torch.zeros(3, device="meta"))
    with pytest.raises(TypeError, match="x is int64, expected float32 or float64"):
        checks.check_dtype("x", np.zeros(3, int), ("float32", "float64"))
    with pytest.raises(ValueError, match=r"x has shape \[3\], expected \[N, C\]"):
        checks.check_rank("x", np.zeros(3), 2, shape="[N, C]")
    with pytest.raises(ValueError, match=r"x has shape \[3\], expected \[4\]"):
        checks.check_shape("x", np.zeros(3), (4,))


def test_an_output_is_checked_before_anything_is_written() -> None:
    memory = np.zeros((4, 6))
    checks.check_output("out", memory[:2], (2, 6), x=memory[2:])
    with pytest.raises(ValueError, match="out and x share memory"):
        checks.check_output("out", memory[:3], (3, 6), x=memory[2:])
    with pytest.raises(ValueError, match="not contiguous"):
        checks.check_output("out", memory[:, :3], (4, 3))
    memory.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        checks.check_output("out", memory, (4, 6))
