"""The extension is there and says what it was built with."""

from __future__ import annotations

import shutil

from onnxray.kernels.build_info import build_info


def test_names_compiler_simd_and_cuda() -> None:
    info = build_info()
    assert info["compiler"]
    assert info["threads"] >= 1
    assert info["simd"] in {"avx512", "avx2", "baseline"}
    assert info["cuda_status"]


def test_cuda_is_compiled_where_nvcc_is() -> None:
    assert build_info()["cuda_compiled"] == (shutil.which("nvcc") is not None)


def test_a_missing_device_has_a_reason() -> None:
    info = build_info()
    assert info["cuda_devices"] > 0 or info["cuda_error"]
