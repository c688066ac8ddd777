"""Convolutions on CPUs, faster than torch's own, in both directions.

- Weights lie as torch's CPU library (oneDNN) wants them. torch's own convolution brings them into that order in every
  run, and those of the gradient again: up to a sixth of the time where images are small and channels many.
- 3 x 3 weights go to the Winograd kernel where images are large enough: two to three times as fast as the library. Its
  errors of rounding differ from place to place. That is nothing to a gradient, which is linear in what arrives. But
  where the same colours lie side by side MaxPool has ties, which the first place wins, and with these errors any place:
  gradients of photographs changed by some hundredths. So on the way there it is used only where nobody asks for
  gradients, nor levels are rounded to.

What clips the outputs (Relu, Relu6) is a part of both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import torch

from ...kernels import dispatch, winograd

_LEAST_CHANNELS, _CHANNELS = 8, 16  # an input's least, an output's divisor; with others the plain way is as fast
_ONES = [1, 1]
_MANY = 1024  # places that a product is for


def fits(weight: torch.Tensor, keywords: Mapping[str, Any]) -> bool:
    """Whether this is for a convolution of ONNX with these attributes: on a CPU, with stride and dilation 1, and the
    same padding on both sides, at most what the gradient can take off again."""
    if weight.dim() != 4 or weight.dtype != torch.float32 or weight.device.type != "cpu" or not _available():
        return False
    ones = (*(keywords.get("strides") or _ONES), *(keywords.get("dilations") or _ONES))
    pads, sizes = keywords.get("pads") or [0] * 4, weight.shape[2:]
    if set(ones) != {1} or keywords.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or pads[:2] != pads[2:]:
        return False
    if any(pad >= size for pad, size in zip(pads[:2], sizes, strict=True)):
        return False
    made, read = weight.shape[:2]
    if keywords.get("group", 1) == 1:
        return read >= _LEAST_CHANNELS and made % _CHANNELS == 0
    return read == 1 and made == keywords["group"] >= _LEAST_CHANNELS  # a kernel a channel


def _available() -> bool:
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_reorder_convolution_weight")


class _Direction:
    """One direction's weight.

    In the library's order it is kept for images of the size that came last. The size decides: in another size's order
    the weight would be brought into the right one slowly, in every run.
    """

    def __init__(self, weight: Callable[[], torch.Tensor], pads: list[int], groups: int, plain_sums: bool) -> None:
        self._weight, self.pads, self._groups, self._plain_sums = weight, pads, groups, plain_sums
        self._size: torch.Size | None = None
        self._packed: torch.Tensor | None = None

    def convolve(self, x: torch.Tensor, bias: torch.Tensor | None, highest: float | None) -> torch.Tensor:
        """In channels_last order."""
        x = x.contiguous(memory_format=torch.channels_last)
        if self._is_product:
            return self._as_product(x, bias, highest)
        rows, columns = (size + 2 * pad - 2 for size, pad in zip(x.shape[2:], self.pads, strict=True))  # if 3 x 3
        if winograd.pays(rows, columns) and self._transformed is not None:
            return self._by_winograd(x, self._transformed, bias, highest)
        y: torch.Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self._reordered(x), bias, self.pads, _ONES, _ONES, self._groups, *_clipping(highest)
        )
        return y

    @cached_property
    def _is_product(self) -> bool:
        """Whether every place is multiplied by one matrix."""
        return self._groups == 1 and self._weight().shape[2:] == (1, 1) and not any(self.pads)

    def _as_product(self, x: torch.Tensor, bias: torch.Tensor | None, highest: float | None) -> torch.Tensor:
        y: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            x.permute(0, 2, 3, 1), self._matrix, bias, *_clipping(highest)
        )
        return y.permute(0, 3, 1, 2)

    @cached_property
    def _matrix(self) -> torch.Tensor:
        """In the library's order, which is the same for all sizes but the smallest."""
        return torch.ops.mkldnn._reorder_linear_weight(self._weight().flatten(1).contiguous(), _MANY)

    @cached_property
    def _transformed(self) -> winograd.Weights | None:
        """For the Winograd kernel, where that takes it."""
        weight = self._weight()
        if self._plain_sums or self._groups > 1 or weight.shape[2:] != (3, 3) or not winograd.takes(*weight.shape[:2]):
            return None
        if not dispatch.compiled() or not weight.isfinite().all():
            return None
        return winograd.transformed(weight)

    def _reordered(self, x: torch.Tensor) -> torch.Tensor:
        if self._packed is None or self._size != x.shape[2:]:
            weight = self._weight().contiguous()
            self._packed = torch.ops.mkldnn._reorder_convolution_weight(
                weight, self.pads, _ONES, _ONES, self._groups, list(x.shape)
            )
            self._size = x.shape[2:]
        return self._packed

    def _by_winograd(
        self, x: torch.Tensor, weights: winograd.Weights, bias: torch.Tensor | None, highest: float | None
    ) -> torch.Tensor:
        bias = torch.zeros(weights.plain[0]) if bias is None else bias
        lowest, highest = (-math.inf, math.inf) if highest is None else (0.0, highest)
        padding = [*self.pads, *self.pads]
        y: torch.Tensor = winograd.convolve(x.permute(0, 2, 3, 1), weights, bias, padding, lowest, highest)
        return y.permute(0, 3, 1, 2)


def packed_convolution(
    weight: torch.Tensor,  # [M, C / groups, kh, kw]
    pads: list[int],  # [top = bottom, left = right]
    groups: int,
    plain_sums: bool = True,  # whether outputs are made without the Winograd kernel
) -> Callable[..., torch.Tensor]:
    """A function of an image [N, C, H, W], a bias [M] or None, and `highest`: conv2d, and where `highest` is not None,
    outputs clipped between 0 and it (inf: Relu). Only gradients with respect to the image are defined, of any degree.
    """

    def turned() -> torch.Tensor:  # turned round, inputs and outputs exchanged
        return weight.flip(2, 3) if groups > 1 else weight.flip(2, 3).transpose(0, 1)

    taken_off = [size - 1 - pad for size, pad in zip(weight.shape[2:], pads, strict=True)]
    there = _Direction(lambda: weight, pads, groups, plain_sums)
    back = _Direction(turned, taken_off, groups, plain_sums=False)

    def packed_conv2d(x: torch.Tensor, bias: torch.Tensor | None = None, highest: float | None = None) -> torch.Tensor:
        if not torch.is_grad_enabled():  # autograd's bookkeeping takes longer than a small window
            return there.convolve(x, bias, highest)
        y: torch.Tensor = _Packed.apply(x, there, back, bias, highest)
        return y

    return packed_conv2d


class _Packed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        there: _Direction,
        back: _Direction,
        bias: torch.Tensor | None,
        highest: float | None,
    ) -> torch.Tensor:
        y = there.convolve(x, bias, highest)
        ctx.save_for_backward(None if highest is None else y)
        ctx.there, ctx.back, ctx.highest = there, back, highest
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (y,), arriving = ctx.saved_tensors, gradients[0]
        if ctx.highest == math.inf:
            arriving = torch.ops.aten.threshold_backward(arriving, y, 0)
        elif ctx.highest is not None:
            arriving = torch.ops.aten.hardtanh_backward(arriving, y, 0, ctx.highest)
        return _Packed.apply(arriving, ctx.back, ctx.there, None, None), None, None, None, None


def _clipping(highest: float | None) -> tuple[str, list[float], str]:
    if highest is None:
        return "none", [], ""
    return ("relu", [], "") if highest == math.inf else ("hardtanh", [0.0, highest], "")
