"""Layers that combine blobs number by number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..layer_writer import LayerWriter
from ..wire_schema import enum_name


def eltwise(layer: LayerWriter) -> None:
    """Sum (each bottom times its coefficient), product or maximum of bottoms of one shape."""
    param = layer.param("eltwise_param")
    operation = enum_name("EltwiseOp", param.operation)
    if operation == "PROD":
        _chain(layer, "Mul", layer.inputs)
    elif operation == "MAX":
        layer.emit("Max", layer.inputs)
    else:
        coefficients = list(param.coeff) or [1.0] * len(layer.inputs)
        if len(coefficients) != len(layer.inputs):
            raise layer.error(f"{len(coefficients)} coefficients for {len(layer.inputs)} inputs")
        _chain(layer, "Add", [_times(layer, index, value) for index, value in enumerate(coefficients)])


def _times(layer: LayerWriter, index: int, coefficient: float) -> str:
    if coefficient == 1:
        return layer.inputs[index]
    factor = layer.constant(f"coeff{index}", coefficient)
    return layer.add(f"weighted{index}", "Mul", [layer.inputs[index], factor])


def _chain(layer: LayerWriter, op: str, terms: Sequence[str]) -> None:
    """Two terms are one node; more are folded from the left, as Caffe does."""
    value = terms[0]
    for step, term in enumerate(terms[1:-1]):
        value = layer.add(f"part{step}", op, [value, term])
    layer.emit(op, [value, terms[-1]]) if len(terms) > 1 else layer.emit("Identity", [value])


def scale(layer: LayerWriter) -> None:
    """Times a learned (or second) blob, broadcast from `axis` on; plus a learned bias."""
    param = layer.param("scale_param")
    axis = layer.axis(param.axis)
    roles = ["bias"] if param.bias_term else []
    if len(layer.inputs) > 1:
        factor = _second_bottom(layer, axis)
        shape = layer.sizes(layer.shape(1)) if roles else ()
        values = layer.weight_values(dict.fromkeys(roles, shape))
    else:
        shape = _covered(layer, axis, param.num_axes)
        fillers = {"scale": param.filler, "bias": param.bias_filler}
        values = layer.weight_values(dict.fromkeys(["scale", *roles], shape), fillers)
        factor = _learned(layer, "scale", values["scale"], axis)
    if not roles:
        layer.emit("Mul", [layer.inputs[0], factor])
        return
    product = layer.add("product", "Mul", [layer.inputs[0], factor])
    layer.emit("Add", [product, _learned(layer, "bias", values["bias"], axis)])


def bias(layer: LayerWriter) -> None:
    """Plus a learned (or second) blob, broadcast from `axis` on."""
    param = layer.param("bias_param")
    axis = layer.axis(param.axis)
    if len(layer.inputs) > 1:
        term = _second_bottom(layer, axis)
    else:
        shape = _covered(layer, axis, param.num_axes)
        term = _learned(layer, "bias", layer.weight_values({"bias": shape}, {"bias": param.filler})["bias"], axis)
    layer.emit("Add", [layer.inputs[0], term])


def _covered(layer: LayerWriter, axis: int, count: int) -> tuple[int, ...]:
    """The sizes of `count` axes of the input from `axis` on; -1: all that follow."""
    shape = layer.shape()
    return layer.sizes(shape[axis:] if count == -1 else shape[axis : axis + count])


def _learned(layer: LayerWriter, role: str, value: np.ndarray, axis: int) -> str:
    """A learned operand, with ones for the axes behind it, as broadcasting aligns shapes at their ends."""
    behind = len(layer.shape()) - axis - value.ndim
    return layer.constant(role, value.reshape(*value.shape, *[1] * behind))


def _second_bottom(layer: LayerWriter, axis: int) -> str:
    rank = len(layer.shape(1))
    behind = len(layer.shape()) - axis - rank
    if behind < 0:
        raise layer.error(f"second input {list(layer.shape(1))} does not fit {list(layer.shape())} from axis {axis}")
    if behind == 0:
        return layer.inputs[1]
    return layer.add("aligned", "Reshape", [layer.inputs[1], layer.ints("aligned_shape", [0] * rank + [1] * behind)])


def axpy(layer: LayerWriter) -> None:
    """a * x + y, with a number a channel in `a` (SENet, Hu et al. 2018)."""
    factor = layer.inputs[0]
    if len(layer.shape(0)) == 2:
        behind = len(layer.shape(1)) - 2
        factor = layer.add("aligned", "Reshape", [factor, layer.ints("aligned_shape", [0, 0] + [1] * behind)])
    product = layer.add("product", "Mul", [factor, layer.inputs[1]])
    layer.emit("Add", [product, layer.inputs[2]])


LAYERS = {"Eltwise": eltwise, "Scale": scale, "Bias": bias, "Axpy": axpy}
