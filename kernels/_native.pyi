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
def depthwise(
    map: np.ndarray,
    patches: np.ndarray,
    patches_at: np.ndarray,
    at: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    out: np.ndarray,
    strides: tuple[int, int],
    dilations: tuple[int, int],
    lowest: float,
    highest: float,
) -> None: ...
def winograd_weights(weight: np.ndarray, out: np.ndarray) -> None: ...
def winograd(
    x: np.ndarray,
    weights: np.ndarray,
    bias: np.ndarray,
    y: np.ndarray,
    top: int,
    left: int,
    lowest: float,
    highest: float,
) -> None: ...

class unpool:  # a submodule; numbers: of Geometry.numbers
    @staticmethod
    def unpool(
        numbers: list[int], values: np.ndarray, switches: np.ndarray, out: np.ndarray, overwrite: bool, relu: bool
    ) -> None: ...
    @staticmethod
    def values_at(numbers: list[int], x: np.ndarray, switches: np.ndarray, values: np.ndarray) -> None: ...
    @staticmethod
    def first_invalid(numbers: list[int], switches: np.ndarray) -> int: ...
    @staticmethod
    def switches_of_places(numbers: list[int], places: np.ndarray, switches: np.ndarray) -> int: ...
    @staticmethod
    def unpool_cuda(
        numbers: list[int],
        device: int,
        stream: int,
        dtype: str,
        tap_bytes: int,
        values: int,
        switches: int,
        out: int,
        overwrite: bool,
        relu: bool,
    ) -> None: ...
    @staticmethod
    def values_at_cuda(
        numbers: list[int],
        device: int,
        stream: int,
        dtype: str,
        tap_bytes: int,
        x: int,
        switches: int,
        values: int,
    ) -> None: ...
    @staticmethod
    def first_invalid_cuda(
        numbers: list[int], device: int, stream: int, tap_bytes: int, switches: int, first: int
    ) -> None: ...
    @staticmethod
    def switches_of_places_cuda(
        numbers: list[int], device: int, stream: int, tap_bytes: int, places: int, switches: int, first: int
    ) -> None: ...
