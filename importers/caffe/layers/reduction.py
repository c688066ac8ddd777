"""Layers that sum up or pick along axes."""

from __future__ import annotations

from ..layer_writer import LayerWriter
from ..wire_schema import enum_name


def softmax(layer: LayerWriter) -> None:
    """exp(x) over its sum along an axis."""
    layer.emit("Softmax", layer.inputs, axis=layer.axis(layer.param("softmax_param").axis))


def arg_max(layer: LayerWriter) -> None:
    """Positions (as floats), or values, of the top k: along an axis, or over a whole image when none is given."""
    param = layer.param("argmax_param")
    axis, value = 1, layer.inputs[0]
    if param.HasField("axis"):
        axis = layer.axis(param.axis)
    elif len(layer.shape()) != 2:
        value = layer.add("flat", "Flatten", [value], axis=1)
    values, positions = (layer.graph.temporary(f"{layer.name}/{role}") for role in ("values", "positions"))
    count = layer.ints("top_k", [param.top_k])
    layer.graph.node("TopK", [value, count], [values, positions], name=f"{layer.name}/top", axis=axis)
    if param.HasField("axis"):
        layer.emit("Identity", [values]) if param.out_max_val else layer.emit("Cast", [positions], to=1)
        return
    _emit_ranking(layer, values, positions, param.out_max_val)


def _emit_ranking(layer: LayerWriter, values: str, positions: str, with_values: bool) -> None:
    """[N, 1, k] positions, or [N, 2, k] positions and values."""
    where = layer.ints("channel", [1])
    numbers = layer.add("numbers", "Cast", [positions], to=1)
    if not with_values:
        layer.emit("Unsqueeze", [numbers, where])
        return
    rows = [layer.add(f"row_{index}", "Unsqueeze", [part, where]) for index, part in enumerate((numbers, values))]
    layer.emit("Concat", rows, axis=1)


_REDUCERS = {"SUM": "ReduceSum", "ASUM": "ReduceL1", "SUMSQ": "ReduceSumSquare", "MEAN": "ReduceMean"}


def reduction(layer: LayerWriter) -> None:
    """Sum, sum of absolutes, sum of squares or mean of all axes from `axis` on, times a coefficient."""
    param = layer.param("reduction_param")
    op = _REDUCERS[enum_name("ReductionOp", param.operation)]
    axes = list(range(layer.axis(param.axis), len(layer.shape())))
    # Opset 17 takes the axes of ReduceSum as an input, those of the others as an attribute.
    inputs = [*layer.inputs, layer.ints("axes", axes)] if op == "ReduceSum" else layer.inputs
    attributes = {"keepdims": 0} if op == "ReduceSum" else {"keepdims": 0, "axes": axes}
    if param.coeff == 1:
        layer.emit(op, inputs, **attributes)
        return
    reduced = layer.add("reduced", op, inputs, **attributes)
    layer.emit("Mul", [reduced, layer.constant("coeff", param.coeff)])


LAYERS = {"Softmax": softmax, "ArgMax": arg_max, "Reduction": reduction}
