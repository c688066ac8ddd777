import numpy as np

from .build_info import BuildInfo

def build_info() -> BuildInfo: ...
def set_threads(threads: int) -> None: ...
def set_simd(level: str) -> None: ...
def gram(x: np.ndarray, out: np.ndarray, scale: float) -> None: ...
def gram_cuda(
    dtype: str,
    x: int,
    out: int,
    workspace: int,
    shape: tuple[int, ...],
    scale: float,
    device: int,
    stream: int,
) -> None: ...
def gram_cuda_workspace(shape: tuple[int, ...]) -> int: ...
def overlay(
    background: np.ndarray, patches: np.ndarray, patches_at: np.ndarray, at: np.ndarray, out: np.ndarray, fill: float
) -> None: ...
def overlay_cuda(
    background: int,
    patches: int,
    places: int,
    out: int,
    sizes: list[int],
    fill: float,
    dtype: str,
    device: int,
    stream: int,
) -> None: ...
