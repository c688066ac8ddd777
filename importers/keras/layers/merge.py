"""Layers that make one tensor of several."""

from __future__ import annotations

from collections.abc import Callable

from ..layer_writer import LayerWriter
from .normalisation import length

# Keras 3 came to leave out the steps of an input that do not count.
_CHOOSY = ("Maximum", "Minimum", "Multiply")


def _operands(layer: LayerWriter) -> list[str]:
    """The inputs in one order; those of fewer axes get theirs after the batch, as Keras merges them."""
    ranks = [len(layer.shape(index)) for index in range(len(layer.inputs))]
    if len(set(ranks)) == 1:
        return layer.aligned()
    found = []
    for index, rank in enumerate(ranks):
        x, missing = layer.source(index), max(ranks) - rank
        if missing:
            axes = layer.ints(f"axes_{index}", range(1, missing + 1))
            x = layer.add(f"widened_{index}", "Unsqueeze", [x, axes])
        found.append(x)
    return found


def _merge(of_two: str, of_many: str, most: int | None = None) -> Callable[[LayerWriter], None]:
    def write(layer: LayerWriter) -> None:
        count = len(layer.inputs)
        if count < 2 or (most is not None and count > most):
            raise layer.error(f"expected {most or 'at least 2'} inputs, found {count}")
        if (
            layer.type in _CHOOSY
            and layer.scope.version >= 3
            and any(name in layer.scope.masks for name in layer.inputs)
        ):
            raise layer.error("merges sequences with masks, which versions of Keras 3 do differently")
        operands = _operands(layer)
        if len(operands) == 2 or of_two == of_many:
            layer.emit(of_two if len(operands) == 2 else of_many, operands)
        elif of_many:
            layer.emit(of_many, operands)
        else:
            product = operands[0]
            for index, operand in enumerate(operands[1:-1]):
                product = layer.add(f"part_{index}", of_two, [product, operand])
            layer.emit(of_two, [product, operands[-1]])

    return write


def concatenate(layer: LayerWriter) -> None:
    """Along one axis."""
    rank = len(layer.shape())
    operands = layer.aligned()
    layer.emit("Concat", operands, axis=layer.axis(layer.option("axis", -1), rank))


def dot(layer: LayerWriter) -> None:
    """Sample by sample, the sum of products along one axis of each; both to length one before, if asked for."""
    if len(layer.inputs) != 2:
        raise layer.error(f"expected 2 inputs, found {len(layer.inputs)}")
    ranks = [len(layer.shape(index)) for index in range(2)]
    given = layer.option("axes", -1)
    axes = [given, given] if isinstance(given, int) else list(given)
    if max(ranks) > 3 or min(ranks) < 2:
        raise layer.error(f"inputs of {ranks[0]} and {ranks[1]} axes are not supported")
    tensors = [layer.source(index) for index in range(2)]
    axes = [layer.axis(axis, rank) for axis, rank in zip(axes, ranks, strict=True)]
    if 0 in axes:
        raise layer.error("the batch cannot be summed over")
    if layer.flag("normalize"):
        lengths = [length(layer, f"length_{index}", tensors[index], [axes[index]]) for index in range(2)]
        tensors = [layer.add(f"unit_{index}", "Div", [tensors[index], lengths[index]]) for index in range(2)]
    left = _matrix(layer, "left", tensors[0], ranks[0], summed_last=True, turn=axes[0] == 1)
    right = _matrix(layer, "right", tensors[1], ranks[1], summed_last=False, turn=axes[1] == 2)
    if ranks == [3, 3]:
        layer.emit("MatMul", [left, right])
        return
    product = layer.add("product", "MatMul", [left, right])
    if ranks == [2, 2]:
        layer.emit("Squeeze", [product, layer.ints("single", [2])])
    else:
        layer.emit("Squeeze", [product, layer.ints("single", [1 if ranks[0] == 2 else 2])])


def _matrix(layer: LayerWriter, role: str, x: str, rank: int, *, summed_last: bool, turn: bool) -> str:
    """[N, kept, summed], or [N, summed, kept]; a vector a sample keeps an axis of size 1."""
    if rank == 2:
        return layer.add(f"{role}_widened", "Unsqueeze", [x, layer.ints(f"{role}_axes", [1 if summed_last else 2])])
    return layer.add(f"{role}_turned", "Transpose", [x], perm=[0, 2, 1]) if turn else x


LAYERS = {
    "Add": _merge("Add", "Sum"),
    "Average": _merge("Mean", "Mean"),
    "Concatenate": concatenate,
    "Dot": dot,
    "Maximum": _merge("Max", "Max"),
    "Minimum": _merge("Min", "Min"),
    "Multiply": _merge("Mul", ""),
    "Subtract": _merge("Sub", "", most=2),
}
