"""winograd: convolutions by 3 x 3 weights, stride 1, in a quarter of the multiplications.

F(4 x 4, 3 x 3) of Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, arXiv:1509.09308,
section 4.3. torch's CPU library sums the plain products; on CUDA, cuDNN has kernels like this one of its own, so there
is none here.

Rounding errors are two to three times those of plain sums, and are relative to the largest number of a tile of 6 x 6
places; an infinite number spoils its tile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..arrays import Array, as_kind, contiguous, empty, host
from ..checks import check_arrays, check_dtype, check_rank, check_shape
from ..dispatch import choose
from . import reference

CHANNELS = 16  # divide inputs and outputs
TILE = 4  # rows and columns of outputs that are computed together
_PLANES = 36


@dataclass(frozen=True)
class Weights:
    """As the kernel reads them: four times as large as plain ones."""

    plain: tuple[int, int]  # outputs M, inputs C
    values: Array  # [36, M / 16, C, 16]; for the reference the plain ones


def takes(outputs: int, inputs: int) -> bool:
    """Whether there may be so many channels."""
    return outputs % CHANNELS == 0 and inputs % CHANNELS == 0 and outputs > 0 and inputs > 0


def pays(rows: int, columns: int) -> bool:
    """Whether outputs of this size fill the tiles so well that this is faster than plain sums: by half."""
    tiles = math.ceil(rows / TILE) * math.ceil(columns / TILE)
    return 2 * rows * columns >= tiles * TILE**2


def transformed(weight: Array) -> Weights:  # [M, C, 3, 3] float32
    """What `convolve` takes.

    Raises TypeError or ValueError for another type or shape, or channels that 16 does not divide.
    """
    backend = _checked("weight", weight)
    check_rank("weight", weight, 4, shape="[M, C, 3, 3]")
    outputs, inputs = weight.shape[:2]
    check_shape("weight", weight, (outputs, inputs, 3, 3))
    if not takes(outputs, inputs):
        raise ValueError(f"weight has shape {list(weight.shape)}: {CHANNELS} must divide both numbers of channels")
    weight = contiguous(weight)
    if backend == "reference":
        return Weights((outputs, inputs), weight)
    from .. import _native

    values = empty((_PLANES, outputs // CHANNELS, inputs, CHANNELS), weight)
    _native.winograd_weights(host(weight), host(values))
    return Weights((outputs, inputs), values)


def convolve(
    x: Array,  # [N, H, W, C] float32
    weights: Weights,
    bias: Array,  # [M] float32
    padding: Sequence[int],  # rows and columns of zeros above, left, below, right
    lowest: float = -math.inf,
    highest: float = math.inf,  # outputs are clipped between these
) -> Array:  # [N, H + above + below - 2, W + left + right - 2, M]
    """The convolution, stride 1; without a gradient (engine/gradient/packed.py has that).

    Raises TypeError or ValueError where types, shapes or devices do not fit, or there is no output.
    """
    backend = _checked("x", x)
    check_arrays(x=x, bias=bias)
    check_dtype("bias", bias, ["float32"])
    outputs, inputs = weights.plain
    check_rank("x", x, 4, shape="[N, H, W, C]")
    check_shape("x", x, (*x.shape[:3], inputs))
    check_shape("bias", bias, [outputs])
    above, left, below, right = _padding(padding)
    shape = (x.shape[0], x.shape[1] + above + below - 2, x.shape[2] + left + right - 2, outputs)
    if min(shape[1:3]) < 1:
        raise ValueError(f"x has shape {list(x.shape)} and padding is {list(padding)}: too small for 3 x 3 weights")
    if backend == "reference":
        plain = host(weights.values)
        return as_kind(reference.convolve(host(x), plain, host(bias), (above, left, below, right), lowest, highest), x)
    from .. import _native

    y = empty(shape, x)
    x, bias = host(contiguous(x)), host(contiguous(bias))
    _native.winograd(x, host(weights.values), bias, host(y), above, left, lowest, highest)
    return y


def _padding(padding: Sequence[int]) -> tuple[int, int, int, int]:
    if len(padding) != 4 or min(padding) < 0:
        raise ValueError(f"padding is {list(padding)}, expected four numbers, none below 0")
    above, left, below, right = padding
    return above, left, below, right


def _checked(name: str, array: Array) -> str:
    """The backend."""
    check_arrays(**{name: array})
    check_dtype(name, array, ["float32"])
    backend = choose(**{name: array})
    if backend == "cuda":
        raise ValueError(f"{name} lies on a GPU, where torch's convolution does this: use torch.nn.functional.conv2d")
    return backend
