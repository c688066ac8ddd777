"""Operators that torch's tracing exporter lacks or writes wrongly, as ONNX nodes: name in aten -> function.

Each takes the exporter's graph and the operator's arguments, and returns the value it makes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.onnx import symbolic_helper

_CONSTANT = "Constant"


def channel_shuffle(g: Any, x: Any, groups: Any) -> Any:
    """Channels of the groups take turns: [N, g C, …] as [N, g, C, rest], transposed."""
    count, channels = symbolic_helper._maybe_get_const(groups, "i"), symbolic_helper._get_tensor_dim_size(x, 1)
    each = -1 if channels is None else channels // count
    if channels is None:
        return symbolic_helper._unimplemented("channel_shuffle", "unknown number of channels", x)
    split = g.op("Reshape", x, _integers(g, [0, count, each, -1]))
    return g.op("Reshape", g.op("Transpose", split, perm_i=[0, 2, 1, 3]), g.op("Shape", x))


def upsample_nearest_exact(g: Any, x: Any, sizes: Any, *scales: Any) -> Any:
    """The pixel whose square the new pixel's centre lies in."""
    options = {
        "mode_s": "nearest",
        "coordinate_transformation_mode_s": "half_pixel",
        "nearest_mode_s": "round_prefer_ceil",
    }
    nothing = g.op(_CONSTANT, value_t=torch.tensor([], dtype=torch.float32))
    if symbolic_helper._is_none(sizes):
        factors = [1.0, 1.0, *_floats(scales[0], (symbolic_helper._get_tensor_rank(x) or 0) - 2)]
        scale = g.op(_CONSTANT, value_t=torch.tensor(factors, dtype=torch.float32))
        return g.op("Resize", x, nothing, scale, **options)
    if symbolic_helper._is_packed_list(sizes):
        parts = [g.op("Reshape", value, _integers(g, [1])) for value in symbolic_helper._unpack_list(sizes)]
        sizes = g.op("Concat", *parts, axis_i=0)
    kept = g.op("Slice", g.op("Shape", x), _integers(g, [0]), _integers(g, [2]))
    return g.op("Resize", x, nothing, nothing, g.op("Concat", kept, sizes, axis_i=0), **options)


def threshold(g: Any, x: Any, limit: Any, value: Any) -> Any:
    """x where it is above the limit, else the value."""
    return g.op("Where", g.op("Greater", x, g.op("CastLike", limit, x)), x, g.op("CastLike", value, x))


def softplus(g: Any, x: Any, beta: Any, limit: Any) -> Any:
    """log(1 + exp(beta x)) / beta, and x itself where beta x is above the limit."""
    factor = g.op("CastLike", beta, x)
    scaled = g.op("Mul", x, factor)
    curved = g.op("Div", g.op("Softplus", scaled), factor)
    return g.op("Where", g.op("Greater", scaled, g.op("CastLike", limit, x)), x, curved)


def interpolate(
    g: Any, x: Any, sizes: Any, scales: Any, mode: Any, corners: Any, recompute: Any, antialias: Any
) -> Any:
    """What scripts call for every kind of resizing."""
    if symbolic_helper._maybe_get_const(mode, "s") == "nearest-exact":
        return upsample_nearest_exact(g, x, sizes, scales)
    return symbolic_helper.__interpolate_helper(g, x, sizes, scales, mode, corners, recompute)


@symbolic_helper.parse_args("v", "v", "v", "is", "s", "is", "i")
def convolution_mode(
    g: Any, x: Any, weight: Any, bias: Any, strides: list[int], mode: str, dilations: list[int], groups: int
) -> Any:
    """Padding "same" or "valid" in numbers, as onnxruntime's own "same" takes no dilation."""
    sizes = symbolic_helper._get_tensor_sizes(weight)[2:]
    spread = [(size - 1) * step if mode == "same" else 0 for size, step in zip(sizes, dilations, strict=True)]
    pads = [total // 2 for total in spread] + [total - total // 2 for total in spread]
    inputs = [x, weight] if symbolic_helper._is_none(bias) else [x, weight, bias]
    return g.op(
        "Conv", *inputs, kernel_shape_i=sizes, strides_i=strides, pads_i=pads, dilations_i=dilations, group_i=groups
    )


def _floats(value: Any, count: int) -> list[float]:
    """A constant list, or one number for all."""
    if symbolic_helper._is_packed_list(value):
        return list(symbolic_helper._maybe_get_const(value, "fs"))
    numbers = torch.as_tensor(symbolic_helper._maybe_get_const(value, "t")).flatten().tolist()
    return numbers * count if len(numbers) == 1 else numbers


def _integers(g: Any, values: list[int]) -> Any:
    return g.op(_CONSTANT, value_t=torch.tensor(values, dtype=torch.int64))


SYMBOLICS: dict[str, Callable[..., Any]] = {
    "aten::channel_shuffle": channel_shuffle,
    "aten::_upsample_nearest_exact1d": upsample_nearest_exact,
    "aten::_upsample_nearest_exact2d": upsample_nearest_exact,
    "aten::_upsample_nearest_exact3d": upsample_nearest_exact,
    "aten::__interpolate": interpolate,
    "aten::_convolution_mode": convolution_mode,
    "aten::threshold": threshold,
    "aten::softplus": softplus,
}


def register(opset: int) -> None:
    """Give them to the exporter; more than once does no harm."""
    for name, function in SYMBOLICS.items():
        torch.onnx.register_custom_op_symbolic(name, function, opset)
