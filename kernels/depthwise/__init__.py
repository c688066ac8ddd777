"""depthwise: convolutions of each channel with a kernel of its own, on windows of one feature map, each with a patch of
its own laid over it.

What kernels/overlay followed by a convolution computes, without the copy: such a convolution does so little with a
number that copying it takes as long. On CUDA torch's convolution follows kernels/overlay, so there is none here.
"""

from __future__ import annotations

import math

import numpy as np

from ..arrays import Array, as_kind, contiguous, empty, host
from ..checks import check_arrays, check_rank, check_shape
from ..dispatch import choose
from ..overlay import check_windows
from . import reference

Pair = tuple[int, int]  # along rows, along columns


def convolve(
    background: Array,  # [H, W, C]
    patches: Array,  # [P, h, w, C]
    patches_at: np.ndarray,  # [P, 2] int64: first row and column of each patch; it must lie inside the background
    at: np.ndarray,  # [P, 2] int64: the place that the first weight of the first output meets; outside there are zeros
    size: Pair,  # rows and columns of outputs
    weight: Array,  # [kh, kw, C]
    bias: Array,  # [C]
    strides: Pair = (1, 1),
    dilations: Pair = (1, 1),
    lowest: float = -math.inf,
    highest: float = math.inf,  # outputs are clipped between these
) -> Array:  # [P, *size, C]
    """The convolution's outputs in a window for each position; float32 or float64.

    Raises TypeError or ValueError where shapes, types or devices do not fit, or a patch lies outside.
    """
    check_arrays(background=background, patches=patches, weight=weight, bias=bias)
    patches_at, at = check_windows(background, patches, patches_at, at, size)
    channels = background.shape[2]
    check_rank("weight", weight, 3, shape="[kh, kw, C]")
    check_shape("weight", weight, (*weight.shape[:2], channels))
    check_shape("bias", bias, [channels])
    for name, pair in (("strides", strides), ("dilations", dilations), ("weight's rows and columns", weight.shape[:2])):
        if len(pair) != 2 or min(pair) < 1:
            raise ValueError(f"{name} are {list(pair)}, expected two numbers above 0")
    return compute(background, patches, patches_at, at, size, weight, bias, strides, dilations, lowest, highest)


def compute(
    background: Array,
    patches: Array,
    patches_at: np.ndarray,
    at: np.ndarray,
    size: Pair,
    weight: Array,
    bias: Array,
    strides: Pair,
    dilations: Pair,
    lowest: float,
    highest: float,
) -> Array:
    """The same for arrays that are known to fit: checks take as long as a small window."""
    backend = choose(background=background, patches=patches, weight=weight, bias=bias)
    if backend == "cuda":
        raise ValueError("background lies on a GPU, where torch does this: use overlay and torch.nn.functional.conv2d")
    if backend == "reference":
        arrays = (host(background), host(patches), patches_at, at, size, host(weight), host(bias))
        return as_kind(reference.convolve(*arrays, strides, dilations, lowest, highest), background)
    from .. import _native

    out = empty((len(patches), *size, background.shape[2]), background)
    background, patches, weight, bias = (host(contiguous(array)) for array in (background, patches, weight, bias))
    places = (patches_at, at)
    _native.depthwise(background, patches, *places, weight, bias, host(out), strides, dilations, lowest, highest)
    return out
