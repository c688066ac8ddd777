"""Gram matrices of feature maps: which channels are active at the same places, wherever those are.

Only one triangle is computed. Gatys, Ecker, Bethge, "Image Style Transfer Using Convolutional Neural Networks", CVPR
2016, equation 3; the plain form's divisor is that of Johnson, Alahi, Fei-Fei, "Perceptual Losses for Real-Time Style
Transfer and Super-Resolution", ECCV 2016, equation 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..arrays import Array, as_kind, contiguous, cuda_stream, dtype_name, empty, host, needs_gradient
from ..checks import check_arrays
from ..dispatch import choose
from . import reference

VARIANTS = ("plain", "mean", "covariance")


def gram(
    x: Array | Sequence[Array],  # [N, C, H, W], or [N, C, ...] with any number of spatial axes; several in a list
    variant: str = "plain",
) -> Array | list[Array]:  # [N, C, C], as many as were handed in
    """The Gram matrix of each image's feature map, with X the map as a matrix [C, H·W].

    plain: X Xᵀ / (C·H·W). mean: X Xᵀ / (H·W), the mean over the positions. covariance: the same of X less each
    channel's mean over the positions.

    NumPy arrays and torch tensors, float32 or float64 (on CUDA float32, float16 or bfloat16, summed in float32). A
    tensor's result can be differentiated, any number of times.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant is {variant!r}, expected {', '.join(VARIANTS)}")
    if isinstance(x, (list, tuple)):
        return [_gram(layer, variant, f"x[{number}]") for number, layer in enumerate(x)]
    return _gram(x, variant, "x")


def _gram(x: Array, variant: str, name: str) -> Array:
    check_arrays(**{name: x})
    choose(**{name: x})  # refuses with the name that the caller knows
    if x.ndim < 3:
        raise ValueError(f"{name} has shape {list(x.shape)}, expected [N, C, H, W] or other spatial axes")
    (images, channels), length = x.shape[:2], math.prod(x.shape[2:])
    if length == 0:
        raise ValueError(f"{name} has shape {list(x.shape)}: there are no positions to sum over")
    x = x.reshape(images, channels, length)
    if variant == "covariance":
        x = x - x.mean(-1)[..., None]
    divisor = float(length * max(channels, 1) if variant == "plain" else length)
    if needs_gradient(x):
        from .autograd import Gram

        return Gram.apply(x, divisor)
    return compute(x, divisor)


def compute(
    x: Array,  # [N, C, L]
    divisor: float,
) -> Array:  # [N, C, C]
    """X Xᵀ / divisor by the backend for x, without a gradient."""
    backend = choose(x=x)
    x = contiguous(x)
    if backend == "reference":
        return as_kind(reference.gram(host(x), divisor), x)
    from .. import _native

    images, channels, _ = shape = tuple(x.shape)
    out = empty((images, channels, channels), x)
    if backend == "cpu":
        _native.gram(host(x), host(out), 1 / divisor)
        return out
    workspace = empty([_native.gram_cuda_workspace(shape)], x, "float32")
    pointers = x.data_ptr(), out.data_ptr(), workspace.data_ptr()
    _native.gram_cuda(dtype_name(x), *pointers, shape, 1 / divisor, x.device.index, cuda_stream(x))
    return out
