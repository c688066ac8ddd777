"""What the compiled extension was built with, and which devices it can use."""

from __future__ import annotations

from typing import TypedDict


class BuildInfo(TypedDict):
    """Compiler, SIMD level and threads in use, and the state of CUDA with its reason."""

    compiler: str
    simd: str  # in use: "avx512", "avx2" or "baseline"
    simd_of_processor: str  # the best it has of these
    threads: int  # that a kernel may use; at first the cores that this process may run on
    cuda_status: str  # what the build decided, and why
    cuda_compiled: bool
    cuda_architectures: list[int]  # 10 * major + minor of each that was compiled for; [] without CUDA
    cuda_runtime: int  # 1000 * major + 10 * minor, 0 without CUDA
    cuda_devices: int
    cuda_error: str  # why there is no device, or ""


def build_info() -> BuildInfo:
    """Facts about the extension.

    Raises ImportError with a way out when the extension was not built.
    """
    try:
        from .. import _native
    except ImportError as error:
        raise ImportError(f"the compiled kernels are missing ({error}); build them with: pip install .") from error
    return _native.build_info()
