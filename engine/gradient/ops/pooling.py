"""Pooling.

Windows are counted as onnxruntime counts them: the last one of `ceil_mode` begins inside the image or its left padding,
and SAME pads know nothing of dilation. torch's own pools are called wherever they cut the same windows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F

from ...structure.window_pads import Sides, window_pads
from . import operator
from .convolution import CONVOLUTIONS, spatial_rank
from .padding import pad

_MAXIMA: dict[int, Callable[..., torch.Tensor]] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_MEANS: dict[int, Callable[..., torch.Tensor]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


@dataclass(frozen=True)
class _Windows:
    """The windows of one pool: where they start and how many there are."""

    size: Sequence[int]  # [spatial] of the input
    kernel: Sequence[int]
    strides: Sequence[int]
    dilations: Sequence[int]
    sides: Sides  # pads as the node states them
    ceil_mode: bool

    @property
    def counts(self) -> list[int]:
        return [self._count(axis, *pads, self.ceil_mode) for axis, pads in enumerate(self.sides)]

    def _count(self, axis: int, begin: int, end: int, ceil_mode: bool) -> int:
        stride = self.strides[axis]
        last = self.size[axis] + begin + end - self.dilations[axis] * (self.kernel[axis] - 1) - 1
        count = (-(-last // stride) if ceil_mode else last // stride) + 1
        starts_outside = (count - 1) * stride >= self.size[axis] + begin
        return count - 1 if ceil_mode and starts_outside else count

    def torch_ceil_mode(self) -> bool | None:
        """The `ceil_mode` for which torch, padding the begin's amount at both sides, cuts these windows; else None."""
        fits = [0 <= begin <= kernel // 2 for (begin, _), kernel in zip(self.sides, self.kernel, strict=True)]
        for ceil_mode in (False, True):
            same = (
                self._count(axis, begin, begin, ceil_mode) == count
                for axis, ((begin, _), count) in enumerate(zip(self.sides, self.counts, strict=True))
            )
            if all(fits) and all(same):
                return ceil_mode
        return None

    @property
    def begins(self) -> list[int]:
        return [begin for begin, _ in self.sides]

    @property
    def covering(self) -> Sides:
        """Pads to exactly the end of the last window."""
        reach = [
            (count - 1) * stride + (kernel - 1) * dilation + 1
            for count, stride, kernel, dilation in zip(
                self.counts, self.strides, self.kernel, self.dilations, strict=True
            )
        ]
        return [(begin, end - size - begin) for begin, end, size in zip(self.begins, reach, self.size, strict=True)]

    def elements(self, axis: int, include_pad: bool) -> list[int]:
        """How many places of the image (or of its padding too) each window of an axis holds."""
        begin, end = self.sides[axis]
        low, high = (-begin, self.size[axis] + end) if include_pad else (0, self.size[axis])
        starts = (number * self.strides[axis] - begin for number in range(self.counts[axis]))
        steps = [step * self.dilations[axis] for step in range(self.kernel[axis])]
        return [sum(low <= start + step < high for step in steps) for start in starts]


def _windows(
    x: torch.Tensor,
    kernel: Sequence[int],
    strides: Sequence[int] | None,
    dilations: Sequence[int] | None,
    pads: Sequence[int] | None,
    auto_pad: str,
    ceil_mode: int,
) -> _Windows:
    ones = [1] * spatial_rank("a pool", x)
    strides = strides or ones
    sides = window_pads(x.shape[2:], kernel, strides, ones, pads, auto_pad)
    return _Windows(x.shape[2:], kernel, strides, dilations or ones, sides, bool(ceil_mode))


@operator("MaxPool", several=True)
def max_pool(
    x: torch.Tensor,  # [N, C, …]
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    storage_order: int = 0,
    strides: Sequence[int] | None = None,
    n_outputs: int = 1,
) -> tuple[torch.Tensor, ...]:  # maxima, and where they are in the flattened x
    windows = _windows(x, kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
    floats = x if x.is_floating_point() else x.float()  # integers have 8 bits here
    if n_outputs == 1:
        return (_maxima(floats, windows, False).to(x.dtype),)
    if max(windows.kernel) == 1 and windows.counts == list(x.shape[2:]) and not storage_order:
        return x, torch.arange(x.numel(), device=x.device).reshape(x.shape)  # asked for where planes begin
    values, indices = _maxima(floats, windows, True)
    return values.to(x.dtype), _flat_indices(indices, x, bool(storage_order))


def _maxima(x: torch.Tensor, windows: _Windows, return_indices: bool) -> Any:
    """The maxima, or a pair with their places in each plane of x."""
    pool = partial(_MAXIMA[x.dim() - 2], kernel_size=windows.kernel, stride=windows.strides, dilation=windows.dilations)
    ceil_mode = windows.torch_ceil_mode()
    if ceil_mode is not None:
        return pool(x, padding=windows.begins, ceil_mode=ceil_mode, return_indices=return_indices)
    found = pool(pad(x, windows.covering, -torch.inf), return_indices=return_indices)
    return (found[0], _unpadded(found[1], windows)) if return_indices else found


def _unpadded(indices: torch.Tensor, windows: _Windows) -> torch.Tensor:
    """Places in the padded planes -> places in the planes."""
    place, step = torch.zeros_like(indices), 1
    for size, (begin, end) in zip(reversed(windows.size), reversed(windows.covering), strict=True):
        padded = size + begin + end
        place = place + (indices % padded - begin) * step
        indices, step = indices // padded, step * size
    return place


def _flat_indices(indices: torch.Tensor, x: torch.Tensor, column_major: bool) -> torch.Tensor:
    size = x.shape[2:]
    if column_major:
        coordinates = torch.unravel_index(indices, size)
        indices = torch.zeros_like(indices)
        for axis in reversed(range(len(size))):
            indices = indices * size[axis] + coordinates[axis]
    planes = torch.arange(x.shape[0] * x.shape[1], device=x.device).reshape(*x.shape[:2], *[1] * len(size))
    return indices + planes * size.numel()


@operator("MaxUnpool")
def max_unpool(
    x: torch.Tensor,  # [N, C, …]
    indices: torch.Tensor,  # like x, places in the flattened output
    output_shape: torch.Tensor | None = None,
    *,
    kernel_shape: Sequence[int],
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> torch.Tensor:
    """Each value at the place its maximum came from, zeros elsewhere; of several for one place the last stays."""
    if output_shape is None:
        rank = x.dim() - 2
        strides, pads = strides or [1] * rank, pads or [0] * 2 * rank
        spatial = [
            (x.shape[2 + axis] - 1) * strides[axis] + kernel_shape[axis] - pads[axis] - pads[rank + axis]
            for axis in range(rank)
        ]
        shape = torch.Size([*x.shape[:2], *spatial])
    else:
        shape = torch.Size(output_shape.tolist())
    return x.new_zeros(shape.numel()).scatter(0, indices.flatten(), x.flatten()).reshape(shape)


@operator("AveragePool")
def average_pool(
    x: torch.Tensor,  # [N, C, …]
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> torch.Tensor:
    windows = _windows(x, kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
    torch_ceil_mode = windows.torch_ceil_mode()
    dilated = any(dilation > 1 for dilation in windows.dilations)
    same_padding = not count_include_pad or all(begin == end for begin, end in windows.sides)
    if torch_ceil_mode is not None and not dilated and same_padding:
        means = _MEANS[x.dim() - 2]
        return means(x, kernel_shape, windows.strides, windows.begins, torch_ceil_mode, bool(count_include_pad))
    sums = _window_sums(x, windows)
    for axis in range(len(kernel_shape)):
        counts = torch.tensor(windows.elements(axis, bool(count_include_pad)), dtype=x.dtype, device=x.device)
        sums = sums / counts.reshape(-1, *[1] * (len(kernel_shape) - 1 - axis))
    return sums


def _window_sums(x: torch.Tensor, windows: _Windows) -> torch.Tensor:
    """Sums over windows: torch has them as means, and where dilated only as a convolution with ones."""
    padded = pad(x, windows.covering)
    rank = x.dim() - 2
    if all(dilation == 1 for dilation in windows.dilations):
        return _MEANS[rank](padded, windows.kernel, windows.strides) * math.prod(windows.kernel)
    planes = padded.reshape(-1, 1, *padded.shape[2:])
    sums = CONVOLUTIONS[rank](planes, x.new_ones(1, 1, *windows.kernel), None, windows.strides, 0, windows.dilations)
    return sums.reshape(*x.shape[:2], *sums.shape[2:])


@operator("LpPool")
def lp_pool(
    x: torch.Tensor,  # [N, C, …]
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    p: int = 2,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> torch.Tensor:
    windows = _windows(x, kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
    sums = _window_sums(x.abs() ** p, windows)
    above = sums > 0  # a root has no gradient at zero, where a norm's is taken as zero
    return torch.where(above, sums, 1.0) ** (1.0 / p) * above


@operator("GlobalAveragePool")
def global_average_pool(x: torch.Tensor) -> torch.Tensor:
    return x.mean(tuple(range(2, x.dim())), keepdim=True)


@operator("GlobalMaxPool")
def global_max_pool(x: torch.Tensor) -> torch.Tensor:
    """Its gradient goes to one maximum, like MaxPool's."""
    return x.flatten(2).max(2).values.reshape(*x.shape[:2], *[1] * (x.dim() - 2))


@operator("GlobalLpPool")
def global_lp_pool(x: torch.Tensor, *, p: float = 2) -> torch.Tensor:
    return torch.linalg.vector_norm(x, p, tuple(range(2, x.dim())), keepdim=True)
