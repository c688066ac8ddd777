"""The extension is there and says what it was built with."""

from __future__ import annotations

import shutil
import subprocess

from onnxray.kernels.build_info import build_info


def test_names_compiler_simd_and_cuda() -> None:
    info = build_info()
    assert info["compiler"]
    assert info["threads"] >= 1
    assert info["simd"] == info["simd_of_processor"] in {"avx512", "avx2", "baseline"}
    assert info["cuda_status"]


def test_cuda_is_compiled_where_nvcc_is() -> None:
    assert build_info()["cuda_compiled"] == (shutil.which("nvcc") is not None)


def test_the_architectures_are_those_that_nvcc_knows() -> None:
    """Of every generation its first; sm_90 is among them all, and what nvcc does not list is not claimed."""
    if not build_info()["cuda_compiled"]:
        assert build_info()["cuda_architectures"] == []
        return
    listed = subprocess.run(["nvcc", "--list-gpu-arch"], capture_output=True, text=True, check=True).stdout.split()
    compiled = [f"compute_{number}" for number in build_info()["cuda_architectures"]]
    assert "compute_90" in compiled and set(compiled) <= set(listed)
    assert {name[:-1] for name in compiled} == {name[:-1] for name in listed}


def test_a_missing_device_has_a_reason() -> None:
    info = build_info()
    assert info["cuda_devices"] > 0 or info["cuda_error"]
