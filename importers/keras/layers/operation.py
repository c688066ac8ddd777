"""Operations that are no layers: what Keras 3 notes of `x + y` or `keras.ops.mean(x)` between layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx import TensorProto

from ..layer_writer import LayerWriter, TensorName
from .activation import ACTIVATIONS
from .shape import reshape_to, transpose_to

_MISSING = object()


def argument(layer: LayerWriter, position: int, *names: str, default: Any = _MISSING) -> Any:
    """An argument of the call by position or name, else of the operation's configuration."""
    given = default
    if position < len(layer.args):
        given = layer.args[position]
    for name in names:
        given = layer.layer.config.get(name, given)
        given = layer.kwargs.pop(name, given)
    if given is _MISSING:
        raise layer.error(f"expected an argument {names[0]}, found none")
    return given


def operand(layer: LayerWriter, role: str, value: Any) -> str:
    """A tensor of Keras, of floats; a number becomes a constant."""
    if isinstance(value, TensorName):
        return _floats(layer, value)
    name = layer.graph.temporary(f"{layer.name}/{role}")
    layer.tensors.store(name, np.asarray(value, np.float32))
    return name


def _floats(layer: LayerWriter, name: str) -> str:
    """True and false as 1 and 0."""
    if layer.tensors.value(name) is not None:
        return name
    tensor = layer.tensors.last(name) if layer.tensors.is_last(name) else layer.tensors.first(name)
    if layer.graph.element(tensor) != TensorProto.BOOL:
        return name
    floats = layer.add("floats", "Cast", [tensor], to=TensorProto.FLOAT)
    (layer.tensors.made_last if layer.tensors.is_last(name) else layer.tensors.made_first)(floats, floats)
    return floats


def binary(op: str) -> Callable[[LayerWriter], None]:
    """An operation of two tensors or numbers, with NumPy's broadcasting."""

    def write(layer: LayerWriter) -> None:
        operands = [argument(layer, 0, "x1", "x"), argument(layer, 1, "x2", "y")]
        names = [operand(layer, f"operand_{index}", value) for index, value in enumerate(operands)]
        layer.emit(op, layer.aligned(names))

    return write


def _unary(op: str) -> Callable[[LayerWriter], None]:
    def write(layer: LayerWriter) -> None:
        layer.emit(op, [layer.either()])

    return write


def clip(layer: LayerWriter) -> None:
    """x, at least and at most a number."""
    bounds = [argument(layer, 1, "x_min", "clip_value_min"), argument(layer, 2, "x_max", "clip_value_max")]
    if not all(isinstance(bound, (int, float)) for bound in bounds):
        raise layer.error(f"expected two numbers to clip to, found {bounds}")
    layer.emit("Clip", [layer.either(), *(layer.constant("bound", bound) for bound in bounds)])


def stack(layer: LayerWriter) -> None:
    """Tensors side by side along a new axis."""
    values = argument(layer, 0, "x", "values")
    axis = argument(layer, 1, "axis", default=0)
    names = [operand(layer, f"operand_{index}", value) for index, value in enumerate(values)]
    layer.first = False
    axes = layer.ints("axes", [axis])
    parts = [
        layer.add(f"part_{index}", "Unsqueeze", [layer.tensors.last(name), axes]) for index, name in enumerate(names)
    ]
    layer.emit("Concat", parts, axis=axis)


def rsqrt(layer: LayerWriter) -> None:
    """1 / sqrt(x)."""
    layer.emit("Reciprocal", [layer.add("root", "Sqrt", [layer.either()])])


def square(layer: LayerWriter) -> None:
    """x * x."""
    x = layer.either()
    layer.emit("Mul", [x, x])


def activation(name: str) -> Callable[[LayerWriter], None]:
    """One of the activations as an operation."""

    def write(layer: LayerWriter) -> None:
        options = ("axis", "negative_slope", "alpha")
        config = {option: argument(layer, 99, option, default=None) for option in options}
        given = {option: value for option, value in config.items() if value is not None}
        ACTIVATIONS[name](layer, layer.either(), given)

    return write


def _reduction(op: str) -> Callable[[LayerWriter], None]:
    def write(layer: LayerWriter) -> None:
        rank = len(layer.shape())
        given = argument(layer, 1, "axis", default=None)
        keepdims = bool(argument(layer, 2, "keepdims", default=False))
        axes = [given] if isinstance(given, int) else list(range(rank) if given is None else given)
        x = layer.either() if keepdims else layer.source()
        if not keepdims and all(axis % rank in range(1, rank - 1) for axis in axes) and len(axes) == rank - 2:
            x = layer.either()  # only the channels are left: they are where they were
        axes = [layer.axis(axis, rank) for axis in axes]
        if op == "ReduceSum":
            layer.emit(op, [x, layer.ints("axes", axes)], keepdims=int(keepdims))
        else:
            layer.emit(op, [x], axes=axes, keepdims=int(keepdims))

    return write


def reshape(layer: LayerWriter) -> None:
    """To sizes with the batch, which must stay open."""
    shape = list(argument(layer, 1, "newshape", "shape"))
    if not shape or shape[0] not in (-1, None):
        raise layer.error(f"expected a shape whose batch is open, found {shape}")
    reshape_to(layer, shape[1:])


def transpose(layer: LayerWriter) -> None:
    """Axes in another order, the batch first."""
    order = argument(layer, 1, "axes", "perm")
    if order is None or not order or order[0] != 0 or sorted(order) != list(range(len(layer.shape()))):
        raise layer.error(f"expected an order of axes that begins with the batch, found {order}")
    transpose_to(layer, order)


def concatenate(layer: LayerWriter) -> None:
    """Tensors along one axis."""
    values = argument(layer, 0, "xs", "values")
    axis = argument(layer, 1, "axis", default=0)
    names = [value if isinstance(value, TensorName) else operand(layer, "operand", value) for value in values]
    rank = max(len(layer.tensors.shape(name)) for name in names)
    operands = layer.aligned(names)
    layer.emit("Concat", operands, axis=layer.axis(axis, rank))


def expand_dims(layer: LayerWriter) -> None:
    """One axis more, of size 1."""
    layer.emit("Unsqueeze", [layer.source(), layer.ints("axes", _listed(argument(layer, 1, "axis")))])


def squeeze(layer: LayerWriter) -> None:
    """Axes of size 1 go."""
    axis = argument(layer, 1, "axis", default=None)
    sizes = layer.sizes(layer.shape()[1:]) if axis is None else ()
    axes = [index for index, size in enumerate(sizes, 1) if size == 1] if axis is None else _listed(axis)
    layer.emit("Squeeze", [layer.source(), layer.ints("axes", axes)])


def _listed(value: Any) -> Sequence[int]:
    return [value] if isinstance(value, int) else list(value)


def get_item(layer: LayerWriter) -> None:
    """x[key] of slices and numbers, the batch whole."""
    key = argument(layer, 1, "key", "slice_spec")
    parts = [_part(part) for part in (key if isinstance(key, list) else [key])]
    rank = len(layer.shape())
    if parts.count(Ellipsis) == 1:
        at = parts.index(Ellipsis)
        parts[at : at + 1] = [(None, None, None)] * (rank - len(parts) + 1)
    unclear = [part for part in parts if not isinstance(part, (int, tuple))]
    if unclear or not parts or parts[0] != (None, None, None) or len(parts) > rank:
        raise layer.error("expected slices and numbers, none of the batch")
    bounds = [(axis, *_bounds(part)) for axis, part in enumerate(parts) if part != (None, None, None)]
    x = layer.source()
    if not bounds:
        layer.emit("Identity", [x])
        return
    axes, starts, ends, steps = (list(column) for column in zip(*bounds, strict=True))
    names = [layer.ints(name, values) for name, values in (("starts", starts), ("ends", ends))]
    inputs = [x, *names, layer.ints("axes", axes), layer.ints("steps", steps)]
    single = [axis for axis, part in enumerate(parts) if isinstance(part, int)]
    if single:
        layer.emit("Squeeze", [layer.add("part", "Slice", inputs), layer.ints("single", single)])
    else:
        layer.emit("Slice", inputs)


def _part(value: Any) -> Any:
    """A number, (start, stop, step), Ellipsis, or None where it is something else."""
    if isinstance(value, int):
        return value
    if isinstance(value, dict):
        if value.get("class_name") == "__ellipsis__":
            return Ellipsis
        value = value.get("config", value)
        bounds = tuple(value.get(name) for name in ("start", "stop", "step"))
        return bounds if all(bound is None or isinstance(bound, int) for bound in bounds) else None
    return None


def _bounds(part: Any) -> tuple[int, int, int]:
    if isinstance(part, int):
        return part, part + 1 if part != -1 else 2**62, 1
    start, stop, step = part
    step = 1 if step is None else step
    backward = step < 0
    return (
        (2**62 if backward else 0) if start is None else start,
        (-(2**62) if backward else 2**62) if stop is None else stop,
        step,
    )


OPERATIONS: dict[str, Callable[[LayerWriter], None]] = {
    "Absolute": _unary("Abs"),
    "Add": binary("Add"),
    "Amax": _reduction("ReduceMax"),
    "Amin": _reduction("ReduceMin"),
    "Ceil": _unary("Ceil"),
    "Clip": clip,
    "Concatenate": concatenate,
    "Cos": _unary("Cos"),
    "Divide": binary("Div"),
    "Elu": activation("elu"),
    "Erf": _unary("Erf"),
    "Exp": _unary("Exp"),
    "ExpandDims": expand_dims,
    "Floor": _unary("Floor"),
    "GetItem": get_item,
    "HardSigmoid": activation("hard_sigmoid"),
    "HardSilu": activation("hard_silu"),
    "LeakyRelu": activation("leaky_relu"),
    "Log": _unary("Log"),
    "LogSoftmax": activation("log_softmax"),
    "Matmul": binary("MatMul"),
    "Max": _reduction("ReduceMax"),
    "Maximum": binary("Max"),
    "Mean": _reduction("ReduceMean"),
    "Min": _reduction("ReduceMin"),
    "Minimum": binary("Min"),
    "Multiply": binary("Mul"),
    "Negative": _unary("Neg"),
    "Power": binary("Pow"),
    "Prod": _reduction("ReduceProd"),
    "Reciprocal": _unary("Reciprocal"),
    "Relu": activation("relu"),
    "Relu6": activation("relu6"),
    "Reshape": reshape,
    "Round": _unary("Round"),
    "Rsqrt": rsqrt,
    "Selu": activation("selu"),
    "Sigmoid": activation("sigmoid"),
    "Sign": _unary("Sign"),
    "Silu": activation("silu"),
    "Sin": _unary("Sin"),
    "Softmax": activation("softmax"),
    "Softplus": activation("softplus"),
    "Softsign": activation("softsign"),
    "Sqrt": _unary("Sqrt"),
    "Square": square,
    "Squeeze": squeeze,
    "Stack": stack,
    "Subtract": binary("Sub"),
    "Sum": _reduction("ReduceSum"),
    "Tanh": activation("tanh"),
    "Transpose": transpose,
    "TrueDivide": binary("Div"),
}
LAYERS = {f"ops.{name}": function for name, function in OPERATIONS.items()}
