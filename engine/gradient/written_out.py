"""Fused and quantised operators written out as the layers that they are made of, for rules that look at layers.

An operator of several steps becomes one node a step. One of levels stays, as nothing else has its values to the last
level; beside it comes the layer of real numbers that it stands for, and what read the one's values now reads them as if
the other had made them:

    x -> DequantizeLinear -> Conv -.
      -> Constant -> QLinearConv ---> Identity ->

As nothing that passes a Constant depends on the image, the layer is the only way back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import getitem
from typing import Any

import torch
from torch import fx

from .constants import Constants
from .kinds import KIND, kind, only_user
from .ops.arithmetic import add, mul
from .ops.contrib import activated, fast_gelu, gelu
from .ops.convolution import conv
from .ops.levels import along, centred, dequantised
from .ops.linear import gemm
from .ops.pooling import average_pool, global_average_pool
from .ops.quantised import dequantize_linear, dynamic_levels


def write_out_steps(graph: fx.Graph) -> None:
    """Put a node for each step in place of every fused operator. The graph's values are what they were."""
    for node in list(graph.nodes):
        if kind(node) in _STEPS:
            made = _STEPS[kind(node)](_Put(node, node), *node.args, **node.kwargs)
            node.replace_all_uses_with(made)
            graph.erase_node(node)


def write_out_levels(graph: fx.Graph, constants: Constants) -> None:
    """Put the layer of real numbers beside every operator of levels. The graph's values are what they were."""
    for node in list(graph.nodes):
        of = kind(node)
        if of in _LAYERS:
            put = _Put(node.next, node)
            _beside(put, node, _LAYERS[of](put, *node.args, **node.kwargs))
        elif of in _INTEGER_LAYERS:
            _integer_layer(node, constants)
        elif of == "DynamicQuantizeLinear":
            for levels in [user for user in node.users if user.target is getitem and user.args[1] == 0]:
                _beside(_Put(levels.next, node), levels, node.args[0])


@dataclass(frozen=True)
class _Put:
    """Puts nodes in front of `place` that are part of what the node `of` stands for."""

    place: fx.Node
    of: fx.Node

    def __call__(self, kind_of: str, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> fx.Node:
        with self.place.graph.inserting_before(self.place):
            node = self.place.graph.create_node("call_function", function, arguments, keywords, self.of.name)
        node.meta = {**self.of.meta, KIND: kind_of}
        return node

    def real(self, levels: Any, scale: Any, zero: Any, axis: int = 1) -> fx.Node:
        """The real numbers that levels stand for."""
        return self("DequantizeLinear", dequantize_linear, levels, scale, zero, axis=axis)

    def channels_first(self, x: fx.Node, channels_last: int) -> fx.Node:
        return self("Transpose", torch.movedim, x, -1, 1) if channels_last else x

    def channels_last(self, x: fx.Node, channels_last: int) -> fx.Node:
        return self("Transpose", torch.movedim, x, 1, -1) if channels_last else x


def _beside(put: _Put, end: fx.Node, layer: Any) -> None:
    """`end` is where the values of `put.of` come out; those who read them now take them for the layer's."""
    joined = put("Identity", _values_of, layer, end)
    end.replace_all_uses_with(joined, delete_user_cb=lambda user: user is not joined)
    before = _Put(put.of, put.of)
    put.of.args = fx.map_arg(
        put.of.args, lambda entry: entry if entry.op == "get_attr" else before("Constant", _constant, entry)
    )


def _constant(x: torch.Tensor) -> torch.Tensor:
    return x.detach()


def _values_of(layer: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    return levels


# -- operators of several steps ---


def _fused_conv(
    put: _Put,
    x: Any,
    w: Any,
    b: Any = None,
    z: Any = None,  # added before the activation
    *,
    activation: str = "",
    activation_params: Any = (),
    **window: Any,
) -> fx.Node:
    made = put("Conv", conv, x, w, b, **window)
    return _active(put, made if z is None else put("Add", add, made, z), activation, activation_params)


def _fused_gemm(
    put: _Put, *tensors: Any, activation: Any = "", activation_alpha: Any = None, activation_beta: Any = None, **to: Any
) -> fx.Node:
    return _active(put, put("Gemm", gemm, *tensors, **to), activation, (activation_alpha, activation_beta))


def _active(put: _Put, x: fx.Node, activation: str, parameters: Any) -> fx.Node:
    return put(activation, activated, x, activation, tuple(parameters)) if activation else x


def _gelu(function: Callable[..., torch.Tensor]) -> Callable[..., fx.Node]:
    def steps(put: _Put, x: Any, bias: Any = None) -> fx.Node:
        return put("Gelu", function, x if bias is None else put("Add", add, x, bias))

    return steps


_STEPS: dict[str, Callable[..., fx.Node]] = {
    "com.microsoft.FusedConv": _fused_conv,
    "com.microsoft.FusedGemm": _fused_gemm,
    "com.microsoft.BiasGelu": _gelu(gelu),
    "com.microsoft.FastGelu": _gelu(fast_gelu),
}


# -- layers of levels; what each argument is, their operators say (ops/quantised.py, ops/contrib_quantised.py) ---


def _conv(
    put: _Put,
    x: Any,
    x_scale: Any,
    x_zero: Any,
    w: Any,
    w_scale: Any,
    w_zero: Any,
    y_scale: Any,
    y_zero: Any,
    b: Any = None,
    *,
    channels_last: int = 0,
    **window: Any,
) -> fx.Node:
    read = put.channels_first(put.real(x, x_scale, x_zero), channels_last)
    bias = None if b is None else put("", _in_units, b, x_scale, w_scale)
    return put.channels_last(put("Conv", conv, read, put.real(w, w_scale, w_zero, 0), bias, **window), channels_last)


def _in_units(levels: torch.Tensor, left: torch.Tensor, right: torch.Tensor, factor: float = 1.0) -> torch.Tensor:
    unit = factor * left * right
    return levels.to(unit.dtype) * unit


def _matmul(
    put: _Put, a: Any, a_scale: Any, a_zero: Any, b: Any, b_scale: Any, b_zero: Any, y_scale: Any, y_zero: Any
) -> fx.Node:
    return put("Gemm", _product, put.real(a, a_scale, a_zero, -2), put.real(b, b_scale, b_zero, -1))


def _product(a: torch.Tensor, b: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    return a @ b if bias is None else a @ b + bias


def _gemm(
    put: _Put,
    a: Any,
    a_scale: Any,
    a_zero: Any,
    b: Any,
    b_scale: Any,
    b_zero: Any,
    c: Any = None,
    y_scale: Any = None,
    y_zero: Any = None,
    *,
    alpha: float = 1.0,
    transB: int = 0,
    **transposed: Any,
) -> fx.Node:
    weight = put.real(b, b_scale, b_zero, 0 if transB else 1)
    bias = None if c is None else put("", _in_units, c, a_scale, b_scale, alpha)
    return put("Gemm", gemm, put.real(a, a_scale, a_zero), weight, bias, alpha=alpha, transB=transB, **transposed)


def _matmul_to_float(
    put: _Put, a: Any, b: Any, a_scale: Any, b_scale: Any, a_zero: Any = None, b_zero: Any = None, bias: Any = None
) -> fx.Node:
    return put("Gemm", _product, put.real(a, a_scale, a_zero, -2), put.real(b, b_scale, b_zero, -1), bias)


def _dynamic_matmul(put: _Put, a: Any, b: Any, b_scale: Any, b_zero: Any = None, bias: Any = None) -> fx.Node:
    return put("Gemm", _product, put("QuantizeLinear", _in_levels, a), put.real(b, b_scale, b_zero, -1), bias)


def _in_levels(x: torch.Tensor) -> torch.Tensor:
    return dequantised(*dynamic_levels(x))


def _of_two(kind_of: str, function: Callable[..., torch.Tensor]) -> Callable[..., fx.Node]:
    def layer(put: _Put, a: Any, a_scale: Any, a_zero: Any, b: Any, b_scale: Any, b_zero: Any, *made: Any) -> fx.Node:
        return put(kind_of, function, put.real(a, a_scale, a_zero), put.real(b, b_scale, b_zero))

    return layer


def _concat(put: _Put, y_scale: Any, y_zero: Any, *triples: Any, axis: int) -> fx.Node:
    parts = [put.real(*triple) for triple in zip(triples[::3], triples[1::3], triples[2::3], strict=True)]
    return put("Concat", _joined, *parts, axis=axis)


def _joined(*parts: torch.Tensor, axis: int) -> torch.Tensor:
    return torch.cat(parts, axis)


def _pool(kind_of: str, function: Callable[..., torch.Tensor]) -> Callable[..., fx.Node]:
    def layer(
        put: _Put, x: Any, x_scale: Any, x_zero: Any, *made: Any, channels_last: int = 0, **window: Any
    ) -> fx.Node:
        read = put.channels_first(put.real(x, x_scale, x_zero), channels_last)
        return put.channels_last(put(kind_of, function, read, **window), channels_last)

    return layer


_LAYERS: dict[str, Callable[..., fx.Node]] = {
    "QLinearConv": _conv,
    "QLinearMatMul": _matmul,
    "com.microsoft.QLinearConv": _conv,
    "com.microsoft.QGemm": _gemm,
    "com.microsoft.MatMulIntegerToFloat": _matmul_to_float,
    "com.microsoft.DynamicQuantizeMatMul": _dynamic_matmul,
    "com.microsoft.QLinearAdd": _of_two("Add", add),
    "com.microsoft.QLinearMul": _of_two("Mul", mul),
    "com.microsoft.QLinearConcat": _concat,
    "com.microsoft.QLinearAveragePool": _pool("AveragePool", average_pool),
    "com.microsoft.QLinearGlobalAveragePool": _pool("GlobalAveragePool", global_average_pool),
}


# -- products of integers, which quantisers follow with Cast, Mul by the scale, Add of the bias ---

_INTEGER_LAYERS: dict[
    str, tuple[str, Callable[..., torch.Tensor], int]
] = {  # its kind, its function, the axis of the weights along which there are scales
    "ConvInteger": ("Conv", conv, 0),
    "MatMulInteger": ("Gemm", _product, -1),
}


def _integer_layer(node: fx.Node, constants: Constants) -> None:
    """Nothing is done where no Cast and Mul follow: what the sums are in real numbers is not known then."""
    cast = only_user(node)
    scaled = only_user(cast) if cast is not None and kind(cast) == "Cast" else None
    if cast is None or scaled is None or kind(scaled) != "Mul":
        return
    x, w, x_zero, w_zero = (*node.args, None, None)[:4]
    scale = _other(scaled, cast)
    kind_of, function, axis = _INTEGER_LAYERS[kind(node)]
    end, bias = _biased(scaled, constants, w, axis)
    put = _Put(end.next, node)
    read = put("DequantizeLinear", _centred, x, x_zero, scale)
    weight = put("", _weight, w, w_zero, scale, axis)
    flat = None if bias is None else put("", torch.flatten, bias)
    _beside(put, end, put(kind_of, function, read, weight, flat, **node.kwargs))


def _biased(scaled: fx.Node, constants: Constants, w: Any, axis: int) -> tuple[fx.Node, Any]:
    """Where the layer ends: behind the Add of a bias, and the bias; or here."""
    added, weight = only_user(scaled), constants.value(w)
    if added is None or kind(added) != "Add" or weight is None:
        return scaled, None
    bias = constants.value(_other(added, scaled))
    fits = bias is not None and bias.numel() == weight.shape[axis]
    return (added, _other(added, scaled)) if fits else (scaled, None)


def _other(node: fx.Node, one: fx.Node) -> Any:
    """What else a node of two arguments reads."""
    return node.args[1] if node.args[0] is one else node.args[0]


def _centred(x: torch.Tensor, zero: torch.Tensor | None, scale: torch.Tensor) -> torch.Tensor:
    return centred(x, zero, scale.dtype)


def _weight(w: torch.Tensor, zero: torch.Tensor | None, scale: torch.Tensor, axis: int) -> torch.Tensor:
    """With the scale of what it is multiplied with."""
    return centred(w, zero, scale.dtype, axis) * along(scale.flatten(), w, axis)
