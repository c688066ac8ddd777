"""overlay: windows of one feature map, each with a patch of its own laid over it.

Occlusion and its like change a patch of the image at many positions. What a layer then reads is a window of its input
as it was, with the part that changed laid over and its padding around: one pass of copies here.
"""

from __future__ import annotations

import numpy as np

from ..arrays import Array, as_kind, contiguous, cuda_stream, dtype_name, empty, host
from ..checks import check_arrays, check_output, check_rank, check_shape
from ..dispatch import choose
from .reference import overlay as reference


def overlay(
    background: Array,  # [H, W, C]
    patches: Array,  # [P, h, w, C]
    patches_at: np.ndarray,  # [P, 2] int64: first row and column of each patch; it must lie inside the background
    at: np.ndarray,  # [P, 2] int64: first row and column of each window; it may lie outside, in part or as a whole
    size: tuple[int, int],  # rows and columns of a window
    fill: float = 0.0,  # what lies outside the background
    *,
    out: Array | None = None,  # [P, *size, C]
) -> Array:  # [P, *size, C]
    """Cut a window out of the background for each position, after its patch was laid over it.

    float32 and float64 on CPU; float32, float16 and bfloat16 on CUDA, on torch's current stream.
    Raises TypeError or ValueError where shapes, types or devices do not fit, or a patch lies outside.
    """
    check_arrays(background=background, patches=patches)
    patches_at, at = check_windows(background, patches, patches_at, at, size)
    shape = (len(patches), *size, background.shape[2])
    if out is not None:
        check_arrays(background=background, out=out)
        check_output("out", out, shape, background=background, patches=patches)
    return compute(background, patches, patches_at, at, size, fill, out)


def check_windows(
    background: Array, patches: Array, patches_at: np.ndarray, at: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """`patches_at` and `at` as the kernels read them.

    Raises TypeError or ValueError where the arrays do not fit, or a patch lies outside.
    """
    check_rank("background", background, 3, shape="[H, W, C]")
    check_rank("patches", patches, 4, shape="[P, h, w, C]")
    check_shape("patches", patches, (*patches.shape[:3], background.shape[2]))
    if dtype_name(background) != dtype_name(patches):
        raise TypeError(f"background is {dtype_name(background)} and patches {dtype_name(patches)}: convert one")
    if len(size) != 2 or min(size) < 0:
        raise ValueError(f"size is {size}, expected rows and columns, none below 0")
    patches_at, at = _places("patches_at", patches_at, len(patches)), _places("at", at, len(patches))
    _check_inside(patches_at, patches.shape[1:3], background.shape[:2])
    return patches_at, at


def compute(
    background: Array,
    patches: Array,
    patches_at: np.ndarray,
    at: np.ndarray,
    size: tuple[int, int],
    fill: float,
    out: Array | None = None,
) -> Array:
    """The same for arrays that are known to fit: checks take as long as a small window."""
    backend = choose(background=background, patches=patches)
    if backend == "reference":
        made = as_kind(reference(host(background), host(patches), patches_at, at, size, fill), background)
        if out is None:
            return made
        out[...] = made
        return out
    if out is None:
        out = empty((len(patches), *size, background.shape[2]), background)
    _run(backend, contiguous(background), contiguous(patches), patches_at, at, out, fill)
    return out


def _run(
    backend: str, background: Array, patches: Array, patches_at: np.ndarray, at: np.ndarray, out: Array, fill: float
) -> None:
    from .. import _native

    if backend == "cpu":
        _native.overlay(host(background), host(patches), patches_at, at, host(out), fill)
        return
    import torch

    placed = torch.from_numpy(np.concatenate([patches_at, at], 1)).to(background.device)
    _native.overlay_cuda(
        background.data_ptr(),
        patches.data_ptr(),
        placed.data_ptr(),
        out.data_ptr(),
        [*background.shape, *patches.shape[:3], *out.shape[1:3]],
        fill,
        dtype_name(background),
        background.device.index,
        cuda_stream(background),
    )


def _places(name: str, values: np.ndarray, count: int) -> np.ndarray:  # [P, 2] int64
    found = np.ascontiguousarray(values, dtype=np.int64)
    check_shape(name, found, (count, 2))
    return found


def _check_inside(at: np.ndarray, patch: tuple[int, int], background: tuple[int, int]) -> None:
    outside = np.flatnonzero(((at < 0) | (at + np.array(patch) > np.array(background))).any(1))
    if len(outside):
        row, column = at[outside[0]]
        raise ValueError(
            f"patch {outside[0]} of {patch[0]} x {patch[1]} at row {row}, column {column} lies outside the background "
            f"of {background[0]} x {background[1]}: move it in"
        )
