"""onnxruntime's own operators on levels (com.microsoft), as its quantiser writes them.

Most mean: dequantise, do what the name says, quantise. They take levels as integers and carried (see levels.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from . import find, operator
from .contrib import MICROSOFT
from .levels import along, carried, centred, dequantised, integer_type, quantised, requantised
from .quantised import dequantize_linear, dynamic_levels, level_product, qlinear_conv, quantize_linear
from .straight_through import quantize_linear as quantize_linear_through

_OPSET = 19  # whose pools and softmax are meant

operator("DequantizeLinear", domain=MICROSOFT)(dequantize_linear)
operator("QuantizeLinear", domain=MICROSOFT)(quantize_linear)
operator("QuantizeLinear", domain=MICROSOFT, straight_through=True)(quantize_linear_through)


def _levels(
    real: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor | None, *made_from: torch.Tensor | None
) -> torch.Tensor:
    """Levels of the real numbers, held as those that they were made from."""
    return requantised(real, scale, zero, integer_type(zero, *made_from), carried(*made_from))


def _moved(levels: torch.Tensor, zero: torch.Tensor | None, *made_from: torch.Tensor | None) -> torch.Tensor:
    """Levels to which the zero point is added before they are rounded, as in onnxruntime's sums and means."""
    return quantised(levels, None, integer_type(zero, *made_from), carried(*made_from))


def _as_float(zero: torch.Tensor | None, scale: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(scale) if zero is None else zero.to(scale.dtype)


# -- elementwise ---


@operator("QLinearAdd", domain=MICROSOFT)
def qlinear_add(
    a: torch.Tensor,
    a_scale: torch.Tensor,
    a_zero: torch.Tensor | None,
    b: torch.Tensor,
    b_scale: torch.Tensor,
    b_zero: torch.Tensor | None,
    y_scale: torch.Tensor,
    y_zero: torch.Tensor | None = None,
) -> torch.Tensor:
    left, right = a_scale / y_scale, b_scale / y_scale
    fixed = _as_float(y_zero, y_scale) - (left * _as_float(a_zero, a_scale) + right * _as_float(b_zero, b_scale))
    return _moved(a.to(left.dtype) * left + (b.to(right.dtype) * right + fixed), y_zero, a, b)


@operator("QLinearMul", domain=MICROSOFT)
def qlinear_mul(
    a: torch.Tensor,
    a_scale: torch.Tensor,
    a_zero: torch.Tensor | None,
    b: torch.Tensor,
    b_scale: torch.Tensor,
    b_zero: torch.Tensor | None,
    y_scale: torch.Tensor,
    y_zero: torch.Tensor | None = None,
) -> torch.Tensor:
    wide = torch.promote_types(a_scale.dtype, torch.float32)
    product = centred(a, a_zero, wide) * centred(b, b_zero, wide)
    return _moved(product * (a_scale * b_scale / y_scale) + _as_float(y_zero, y_scale), y_zero, a, b)


@operator("QLinearWhere", domain=MICROSOFT)
def qlinear_where(
    condition: torch.Tensor,
    a: torch.Tensor,
    a_scale: torch.Tensor,
    a_zero: torch.Tensor | None,
    b: torch.Tensor,
    b_scale: torch.Tensor,
    b_zero: torch.Tensor | None,
    y_scale: torch.Tensor,
    y_zero: torch.Tensor | None = None,
) -> torch.Tensor:
    chosen = torch.where(condition, dequantised(a, a_scale, a_zero), dequantised(b, b_scale, b_zero))
    return _levels(chosen, y_scale, y_zero, a, b)


@operator("QLinearLeakyRelu", domain=MICROSOFT)
def qlinear_leaky_relu(
    x: torch.Tensor,
    x_scale: torch.Tensor,
    x_zero: torch.Tensor | None,
    y_scale: torch.Tensor,
    y_zero: torch.Tensor | None = None,
    *,
    alpha: float = 0.01,
) -> torch.Tensor:
    return _levels(F.leaky_relu(dequantised(x, x_scale, x_zero), alpha), y_scale, y_zero, x)


@operator("QLinearSigmoid", domain=MICROSOFT)
def qlinear_sigmoid(
    x: torch.Tensor,
    x_scale: torch.Tensor,
    x_zero: torch.Tensor | None,
    y_scale: torch.Tensor,
    y_zero: torch.Tensor | None = None,
) -> torch.Tensor:
    return _levels(torch.sigmoid(dequantised(x, x_scale, x_zero)), y_scale, y_zero, x)


@operator("QLinearSoftmax", domain=MICROSOFT)
def qlinear_softmax(
    x: torch.Tensor,
    x_scale: torch.Tensor,
    x_zero: torch.Tensor | None,
    y_scale: torch.Tensor,
    y_zero: torch.Tensor,
    *,
    axis: int = -1,
    opset: int = _OPSET,  # whose Softmax is meant
) -> torch.Tensor:
    return _levels(_apply("Softmax", opset, dequantised(x, x_scale, x_zero), axis=axis), y_scale, y_zero, x)


def _apply(name: str, opset: int, x: torch.Tensor, **attributes: object) -> torch.Tensor:
    """A standard operator's first output."""
    found = find(name, "", opset)
    assert found is not None
    result = found.function(x, **attributes)
    return result[0] if found.several else result


# -- joining and pooling ---


@operator("QLinearConcat", domain=MICROSOFT)
def qlinear_concat(
    y_scale: torch.Tensor,
    y_zero: torch.Tensor,
    *inputs: torch.Tensor,  # levels, scale, zero point; again and again
    axis: int,
) -> torch.Tensor:
    triples = zip(inputs[::3], inputs[1::3], inputs[2::3], strict=True)
    parts = [dequantised(levels, scale, zero) for levels, scale, zero in triples]
    return _levels(torch.cat(parts, axis), y_scale, y_zero, *inputs[::3])


@operator("QLinearAveragePool", domain=MICROSOFT)
def qlinear_average_pool(
    x: torch.Tensor,
    x_scale: torch.Tensor,
    x_zero: torch.Tensor | None,
    y_scale: torch.Tensor,
    y_zero: torch.Tensor | None = None,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    channels_last: int = 0,
    count_include_pad: int = 0,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> torch.Tensor:
    window = {"kernel_shape": kernel_shape, "auto_pad": auto_pad, "pads": pads, "strides": strides}
    real = _channels_first(dequantised(x, x_scale, x_zero), channels_last)
    pooled = _apply("AveragePool", _OPSET, real, **window, ceil_mode=ceil_mode, count_include_pad=count_include_pad)
    steps = _channels_last(pooled, channels_last) / y_scale
    return _moved(steps + _as_float(y_zero, y_scale), y_zero, x)


@operator("QLinearGlobalAveragePool", domain=MICROSOFT)
def qlinear_global_average_pool(
    x: torch.Tensor,
    x_scale: torch.Tensor,
    x_zero: torch.Tensor | None,
    y_scale: torch.Tensor,
    y_zero: torch.Tensor | None = None,
    *,
    channels_last: int = 0,
) -> torch.Tensor:
    axes = tuple(range(1, x.dim() - 1) if channels_last else range(2, x.dim()))
    sums = centred(x, x_zero, x_scale.dtype).sum(axes, keepdim=True)
    steps = sums * (x_scale / (y_scale * (x.numel() // sums.numel())))
    return quantised(steps, y_zero, integer_type(y_zero, x), carried(x))


@operator("NhwcMaxPool", domain=MICROSOFT)
def nhwc_max_pool(
    x: torch.Tensor,  # [N, H, W, C] levels
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> torch.Tensor:
    window = {"kernel_shape": kernel_shape, "auto_pad": auto_pad, "pads": pads, "strides": strides}
    real = x if carried(x) else x.to(torch.float32)
    pooled = _apply("MaxPool", 12, _channels_first(real, 1), **window, ceil_mode=ceil_mode, dilations=dilations)
    return _channels_last(pooled, 1).to(real.dtype if carried(x) else x.dtype)


def _channels_first(x: torch.Tensor, channels_last: int) -> torch.Tensor:
    return x.movedim(-1, 1) if channels_last else x


def _channels_last(x: torch.Tensor, channels_last: int) -> torch.Tensor:
    return x.movedim(1, -1) if channels_last else x


# -- products ---


@operator("QLinearConv", domain=MICROSOFT)
def qlinear_conv_any_layout(
    x: torch.Tensor,
    x_scale: torch.Tensor,
    x_zero: torch.Tensor,
    w: torch.Tensor,
    w_scale: torch.Tensor,
    w_zero: torch.Tensor,
    y_scale: torch.Tensor,
    y_zero: torch.Tensor,
    b: torch.Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    channels_last: int = 0,
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> torch.Tensor:
    x, scales = _channels_first(x, channels_last), (w_scale, w_zero, y_scale, y_zero, b)
    window = {"auto_pad": auto_pad, "pads": pads, "strides": strides, "dilations": dilations}
    y = qlinear_conv(x, x_scale, x_zero, w, *scales, group=group, **window)  # type: ignore[arg-type]
    return _channels_last(y, channels_last)


@operator("QGemm", domain=MICROSOFT)
def qgemm(
    a: torch.Tensor,
    a_scale: torch.Tensor,
    a_zero: torch.Tensor,
    b: torch.Tensor,
    b_scale: torch.Tensor,  # one, or one a column; so the zero point
    b_zero: torch.Tensor,
    c: torch.Tensor | None = None,  # int32, in units of a_scale * b_scale
    y_scale: torch.Tensor | None = None,  # None: the result is real
    y_zero: torch.Tensor | None = None,
    *,
    alpha: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> torch.Tensor:
    sums = level_product(a.T if transA else a, a_zero, b.T if transB else b, b_zero)
    sums = sums if c is None else sums + c.to(sums.dtype)
    unit = alpha * a_scale * b_scale
    if y_scale is None:
        return sums.to(unit.dtype) * unit
    return quantised(sums.to(unit.dtype) * (unit / y_scale), y_zero, integer_type(y_zero, a_zero, a), carried(a, b))


@operator("MatMulIntegerToFloat", domain=MICROSOFT)
def matmul_integer_to_float(
    a: torch.Tensor,  # [… M, K] levels
    b: torch.Tensor,  # [… K, N] levels
    a_scale: torch.Tensor,
    b_scale: torch.Tensor,  # one, or one a column; so the zero point
    a_zero: torch.Tensor | None = None,
    b_zero: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,  # [N]
) -> torch.Tensor:
    sums = level_product(a, a_zero, b, b_zero).to(a_scale.dtype)
    real = sums * (along(a_scale, sums, -2) * along(b_scale, sums, -1))
    return real if bias is None else real + bias


@operator("DynamicQuantizeMatMul", domain=MICROSOFT)
def dynamic_quantize_matmul(
    a: torch.Tensor,  # [… M, K] real
    b: torch.Tensor,  # [… K, N] levels
    b_scale: torch.Tensor,
    b_zero: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    levels, scale, zero = dynamic_levels(a)
    return matmul_integer_to_float(levels, b, scale, b_scale, zero, b_zero, bias)
