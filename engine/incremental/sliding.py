"""How a change travels through kernels that slide over a map: convolutions, pools, blocks of places."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import fx

from ...kernels import depthwise, dispatch
from ..gradient import packed
from ..gradient.fusion import upper_bound
from ..gradient.kinds import kind, only_user
from ..structure.window_pads import window_pads
from .resampling import picked
from .steps import Compute
from .travel import Tensors, Travel
from .windows import (
    Sliding,
    Span,
    Window,
    inputs_added,
    inputs_read,
    outputs_reached,
    outputs_written,
)

_NOWHERE = -torch.inf  # the padding of a maximum
_MAP = (2, 3)  # rows and columns, of all that slides


def convolution(node: fx.Node, tensors: Tensors) -> Travel | None:
    found = _weights(node, tensors)
    if found is None:
        return None
    weight, bias = found
    sliding = _sliding(node, tensors, tuple(weight.shape[2:]), node.kwargs.get("dilations"))
    clip = only_user(node)
    if clip is not None and kind(clip) in ("Relu", "Relu6"):
        highest: float | None = upper_bound(clip, tensors.constants)
    else:
        clip, highest = node, None
    macs = weight[0].numel() * tensors.value(node).shape[1:].numel()
    if weight.shape[1] == 1 and weight.shape[0] == node.kwargs.get("group", 1) and dispatch.compiled():
        compute = _depthwise(weight, bias, sliding, highest)
        return _slides(clip, node, tensors, sliding, compute, macs=macs, lays_over=True)
    convolve = _without_padding(weight, bias, node.kwargs, highest, tensors.plain_sums)
    return _slides(clip, node, tensors, sliding, lambda window: lambda values, run: convolve(values[0]), macs=macs)


def transposed(node: fx.Node, tensors: Tensors) -> Travel | None:
    attributes: dict[str, Any] = dict(node.kwargs)
    found = _weights(node, tensors)
    if found is None or attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return None
    if attributes.get("output_shape"):
        return None
    weight, bias = found
    strides, dilations = (list(attributes.get(name) or [1, 1]) for name in ("strides", "dilations"))
    begins = list((attributes.get("pads") or [0, 0])[:2])
    outputs = tensors.size(node, _MAP)
    rows, columns = (
        Sliding(weight.shape[2 + axis], strides[axis], dilations[axis], begins[axis], outputs[axis]) for axis in (0, 1)
    )
    sliding, group = (rows, columns), attributes.get("group", 1)

    def compute(window: Window, read: Window) -> Compute:
        # What the inputs that are read add up to begins here: outputs of the window lie behind that.
        offsets = [
            own.at - (inputs.at * along.stride - along.begin)
            for own, inputs, along in zip(window, read, sliding, strict=True)
        ]
        wanted = [offset[:, None] + np.arange(own.size) for offset, own in zip(offsets, window, strict=True)]

        def added(values: Any, run: Any) -> torch.Tensor:
            y = F.conv_transpose2d(values[0], weight, bias, strides, 0, 0, group, dilations)
            return picked(y, (2, 3), wanted[0][run.numbers], wanted[1][run.numbers])

        return added

    (source,) = tensors.changing(node)
    reach = _each(outputs_written, tensors.reaches[source], sliding)
    macs = weight[0].numel() * tensors.value(source).shape[1:].numel()
    return Travel(node, (source,), _MAP, reach, lambda window: _each(inputs_added, window, sliding), compute, macs=macs)


def maxima(node: fx.Node, tensors: Tensors) -> Travel | None:
    if node.kwargs.get("n_outputs", 1) != 1:
        return None  # also where each maximum lies, counted in the whole map
    kernel = tuple(node.kwargs["kernel_shape"])  # type: ignore[arg-type]
    sliding = _sliding(node, tensors, kernel, None)
    stride, dilation = zip(*((along.stride, along.dilation) for along in sliding), strict=True)

    def largest(values: Any, run: Any) -> tuple[torch.Tensor]:
        return (F.max_pool2d(values[0], kernel, stride, 0, dilation),)

    return _slides(node, node, tensors, sliding, lambda window: largest, _NOWHERE)


def means(node: fx.Node, tensors: Tensors) -> Travel | None:
    kernel = tuple(node.kwargs["kernel_shape"])  # type: ignore[arg-type]
    if any(dilation != 1 for dilation in node.kwargs.get("dilations") or ()):  # type: ignore[union-attr]
        return None
    sliding = _sliding(node, tensors, kernel, None)
    (source,) = tensors.changing(node)
    size, padded = tensors.size(source), bool(node.kwargs.get("count_include_pad", 0))
    counted = [
        (-begin, length + end) if padded else (0, length)
        for (begin, end), length in zip(_sides(node, tensors, kernel, None), size, strict=True)
    ]
    stride = [along.stride for along in sliding]

    def compute(window: Window) -> Compute:
        rows, columns = (
            torch.from_numpy(_shares(span, along, within).astype(np.float32))
            for span, along, within in zip(window, sliding, counted, strict=True)
        )
        shared = bool((rows != 1).any() or (columns != 1).any())

        def mean(values: Any, run: Any) -> torch.Tensor:
            y = F.avg_pool2d(values[0], kernel, stride)
            return y / rows[run.numbers, None, :, None] / columns[run.numbers, None, None, :] if shared else y

        return mean

    return _slides(node, node, tensors, sliding, compute)


def _shares(outputs: Span, along: Sliding, counted: tuple[int, int]) -> np.ndarray:  # [positions, size]
    """The share of each window's places that count."""
    first = (outputs.at[:, None] + np.arange(outputs.size)) * along.stride - along.begin
    inside = np.minimum(first + along.kernel, counted[1]) - np.maximum(first, counted[0])
    return inside / along.kernel


def blocks_to_channels(node: fx.Node, tensors: Tensors) -> Travel:
    rows, columns = (Sliding(_block(node), _block(node), 1, 0, outputs) for outputs in tensors.size(node, _MAP))
    return _slides(node, node, tensors, (rows, columns), lambda window: lambda values, run: _call(node, values[0]))


def channels_to_blocks(node: fx.Node, tensors: Tensors) -> Travel:
    rows, columns = (Sliding(_block(node), _block(node), 1, 0, outputs) for outputs in tensors.size(node, _MAP))
    sliding = (rows, columns)

    def compute(window: Window, read: Window) -> Compute:
        # Windows of groups need not begin where blocks do.
        rows, columns = (
            (own.at - inputs.at * along.stride)[:, None] + np.arange(own.size)
            for own, inputs, along in zip(window, read, sliding, strict=True)
        )
        return lambda values, run: picked(_call(node, values[0]), _MAP, rows[run.numbers], columns[run.numbers])

    (source,) = tensors.changing(node)
    reach = _each(outputs_written, tensors.reaches[source], sliding)
    return Travel(node, (source,), _MAP, reach, lambda window: _each(inputs_added, window, sliding), compute)


def _block(node: fx.Node) -> int:
    return int(node.kwargs["blocksize"])  # type: ignore[arg-type]


def _call(node: fx.Node, value: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = node.target(value, **node.kwargs)  # type: ignore[operator]
    return found


# -- geometry ---


def _slides(
    made: fx.Node,
    node: fx.Node,
    tensors: Tensors,
    sliding: tuple[Sliding, Sliding],
    compute: Callable[[Window], Compute],
    fill: float = 0.0,
    macs: int = 0,
    lays_over: bool = False,
) -> Travel:
    (source,) = tensors.changing(node)
    reach = _each(outputs_reached, tensors.reaches[source], sliding)
    return Travel(
        made,
        (source,),
        _MAP,
        reach,
        lambda window: _each(inputs_read, window, sliding),
        lambda window, read: compute(window),
        fill,
        macs,
        lays_over,
    )


def _each(along_axis: Callable[[Any, Sliding], Any], both: Any, sliding: tuple[Sliding, Sliding]) -> Any:
    rows, columns = (along_axis(one, along) for one, along in zip(both, sliding, strict=True))
    return rows, columns


def _sides(node: fx.Node, tensors: Tensors, kernel: tuple[int, ...], dilations: Any) -> list[tuple[int, int]]:
    """`dilations`: those that SAME pads count; of a pool none."""
    attributes: dict[str, Any] = dict(node.kwargs)
    (source,) = tensors.changing(node)
    strides, pads = attributes.get("strides") or [1, 1], attributes.get("pads")
    return window_pads(
        tensors.size(source), kernel, strides, dilations or [1, 1], pads, attributes.get("auto_pad", "NOTSET")
    )


def _sliding(node: fx.Node, tensors: Tensors, kernel: tuple[int, ...], same_dilations: Any) -> tuple[Sliding, Sliding]:
    attributes: dict[str, Any] = dict(node.kwargs)
    outputs, sides = tensors.size(node, _MAP), _sides(node, tensors, kernel, same_dilations)
    strides, dilations = (attributes.get(name) or [1, 1] for name in ("strides", "dilations"))
    rows, columns = (
        Sliding(kernel[axis], strides[axis], dilations[axis], sides[axis][0], outputs[axis]) for axis in (0, 1)
    )
    return rows, columns


# -- weights ---


def _weights(node: fx.Node, tensors: Tensors) -> tuple[torch.Tensor, torch.Tensor | None] | None:
    """Weight and bias, where both are constants."""
    weight, bias = (tensors.constants.value(held) for held in (*node.args[1:3], None, None)[:2])
    if weight is None or (bias is None and len(node.args) > 2 and node.args[2] is not None):
        return None
    return weight, bias


def _depthwise(
    weight: torch.Tensor, bias: torch.Tensor | None, sliding: tuple[Sliding, Sliding], highest: float | None
) -> Callable[[Window], Compute]:
    """The convolution of each channel with a kernel of its own; outputs between 0 and `highest`, unless None."""
    laid_out = weight[:, 0].permute(1, 2, 0).contiguous()  # [kh, kw, C]
    bias = weight.new_zeros(len(weight)) if bias is None else bias
    rows, columns = sliding
    strides, dilations = (rows.stride, columns.stride), (rows.dilation, columns.dilation)
    lowest, highest = (-math.inf, math.inf) if highest is None else (0.0, highest)

    def compute(window: Window) -> Compute:
        size = (window[0].size, window[1].size)

        def convolve(readings: Any, run: Any) -> torch.Tensor:
            clean, changes, own, at = readings[0].parts(run)
            y: torch.Tensor = depthwise.compute(
                clean, changes, own, at, size, laid_out, bias, strides, dilations, lowest, highest
            )
            return y.permute(0, 3, 1, 2)

        return convolve

    return compute


def _without_padding(
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    attributes: Mapping[str, Any],
    highest: float | None,
    plain_sums: bool,
) -> Callable[[torch.Tensor], torch.Tensor]:
    """The convolution of windows that hold their padding; outputs clipped between 0 and `highest`, unless None."""
    group = attributes.get("group", 1)
    bare = {**attributes, "pads": None, "auto_pad": "NOTSET"}
    if packed.fits(weight, bare):
        convolve = packed.packed_convolution(weight, [0, 0], group, plain_sums)
        return lambda x: convolve(x, bias, highest)
    laid_out = weight.contiguous(memory_format=torch.channels_last)
    strides, dilations = (attributes.get(name) or [1, 1] for name in ("strides", "dilations"))

    def plain(x: torch.Tensor) -> torch.Tensor:
        y = F.conv2d(x, laid_out, bias, strides, 0, dilations, group)
        return y if highest is None else y.clamp_(0, highest)

    return plain
