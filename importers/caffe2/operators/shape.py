"""Operators that move numbers without changing them."""

from __future__ import annotations

import math

import numpy as np
from onnx import TensorProto

from ...channels_last import axis_first
from ..operator_writer import OperatorWriter

_TO_THE_END = (1 << 63) - 1
_TYPES = {1: TensorProto.FLOAT, 2: TensorProto.INT32, 5: TensorProto.BOOL, 10: TensorProto.INT64}


def concat(operator: OperatorWriter) -> None:
    """One after another along an axis, the channels where none is given; further outputs say the sizes."""
    rank = len(operator.shape())
    if operator.integer("add_axis"):
        axis = operator.axis(operator.integer("axis", 1), extra=1)
        new = operator.ints("new_axis", [axis])
        parts = [
            operator.add(f"part{at}", "Unsqueeze", [operator.plain(at), new]) for at in range(len(operator.inputs))
        ]
        operator.emit("Concat", parts, axis=axis)
        return
    axis = operator.axis(operator.integer("axis", rank - 1 if operator.is_last else 1))
    tensors, operator.first = operator.tensors.aligned(operator.inputs)
    operator.emit("Concat", tensors, axis=axis_first(axis, rank) if operator.first else axis)


def split(operator: OperatorWriter) -> None:
    """An axis in equal parts, or in parts of these sizes, which may be another blob."""
    rank = len(operator.shape())
    axis = operator.axis(operator.integer("axis", rank - 1 if operator.is_last else 1))
    (size,), count = operator.sizes(operator.shape()[axis : axis + 1]), len(operator.outputs)
    parts = operator.stored_integers(1) if len(operator.inputs) > 1 else operator.integers("split")
    parts = parts or [size // count] * count
    if len(parts) != count or sum(parts) != size or min(parts) < 1:
        raise operator.error(f"axis {axis} of size {size} cannot be cut into {count} outputs of sizes {parts}")
    value = operator.either()
    if count == 1:
        operator.emit("Identity", [value])
        return
    axis = axis_first(axis, rank) if operator.first else axis
    operator.emit_all("Split", [value, operator.ints("parts", parts)], axis=axis)


def slice_(operator: OperatorWriter) -> None:
    """From place to before place, an axis each; places below 0 count from one behind the last."""
    starts, ends = operator.integers("starts"), operator.integers("ends")
    if len(operator.inputs) == 3:
        starts, ends = (operator.stored_integers(index) for index in (1, 2))
    if not 1 <= len(starts) <= len(operator.shape()) or len(starts) != len(ends):
        raise operator.error(f"expected as many starts as ends, found {starts} and {ends}")
    if -1 in starts:
        raise operator.error("a start of -1 is behind the last place")
    starts = [start if start >= 0 else start + 1 for start in starts]
    ends = [end if end >= 0 else (end + 1 or _TO_THE_END) for end in ends]
    places = [operator.ints("starts", starts), operator.ints("ends", ends), operator.ints("axes", range(len(starts)))]
    operator.emit("Slice", [operator.plain(), *places])


def reshape(operator: OperatorWriter) -> None:
    """To a shape, which may be another blob: 0 copies a size, -1 is worked out. A batch of one is any batch."""
    target = operator.integers("shape")
    if not target and len(operator.inputs) > 1:
        target = operator.stored_integers(1)
    before = operator.shape()
    if any(size < -1 for size in target) or target.count(-1) > 1:
        raise operator.error(f"expected sizes, of which one may be -1, found {target}")
    if len(target) > 1 and not isinstance(before[0], int) and _is_batch(operator, target):
        target[0] = 0
    operator.reshape(operator.plain(), target)


def _is_batch(operator: OperatorWriter, target: list[int]) -> bool:
    """Whether the first size is that of the batch: a batch of one, or what is left when an image fills the others."""
    inside = operator.shape()[1:]
    fills = all(isinstance(size, int) for size in inside) and math.prod(operator.sizes(inside)) == math.prod(target[1:])
    return target[0] == 1 or (target[0] == -1 and fills)


def flatten(operator: OperatorWriter) -> None:
    """All axes before one, and all from it on, as one each."""
    operator.emit("Flatten", [operator.plain()], axis=operator.axis(operator.integer("axis", 1), extra=1))


def flatten_to_vector(operator: OperatorWriter) -> None:
    """All axes as one."""
    operator.reshape(operator.plain(), [-1])


def transpose(operator: OperatorWriter) -> None:
    """The axes in another order, turned round where none is given."""
    rank = len(operator.shape())
    order = operator.integers("axes") or list(range(rank))[::-1]
    if sorted(order) != list(range(rank)):
        raise operator.error(f"expected an order of {rank} axes, found {order}")
    operator.emit("Transpose", [operator.plain()], perm=order)


def to_last(operator: OperatorWriter) -> None:
    """[N, C, H, W] to [N, H, W, C]: no node, where the graph goes on with channels first."""
    _check_images(operator)
    operator.first = True
    operator.emit("Identity", [operator.plain()])


def to_first(operator: OperatorWriter) -> None:
    """[N, H, W, C] to [N, C, H, W]."""
    _check_images(operator)
    operator.emit("Identity", [operator.tensors.first(operator.inputs[0])])


def _check_images(operator: OperatorWriter) -> None:
    if len(operator.shape()) != 4:
        raise operator.error(f"expected an input of 4 axes, found {list(operator.shape())}")


def squeeze(operator: OperatorWriter) -> None:
    """Without axes of size one."""
    axes = [operator.axis(axis) for axis in operator.integers("dims")]
    operator.emit("Squeeze", [operator.plain(), operator.ints("axes", axes)])


def expand_dims(operator: OperatorWriter) -> None:
    """With further axes of size one."""
    given = operator.integers("dims")
    axes = [operator.axis(axis, extra=len(given)) for axis in given]
    operator.emit("Unsqueeze", [operator.plain(), operator.ints("axes", axes)])


def tile(operator: OperatorWriter) -> None:
    """Repeated along an axis."""
    count, reps = operator.integer("tiles", 1), [1] * len(operator.shape())
    if len(operator.inputs) > 1 or not 1 <= count < 1 << 16:
        raise operator.error(f"expected a stated count from 1 on, found {count}")
    reps[operator.axis(operator.integer("axis"))] = count
    operator.emit("Tile", [operator.plain(), operator.ints("reps", reps)])


def gather(operator: OperatorWriter) -> None:
    """Slices of the first input picked by the second."""
    operator.emit("Gather", [operator.plain(0), operator.plain(1)], axis=operator.axis(operator.integer("axis")))


def cast(operator: OperatorWriter) -> None:
    """Numbers as another type."""
    wanted = operator.integer("to", 1)
    if wanted not in _TYPES:
        raise operator.error(f"expected the type float, int32, bool or int64, found {operator.text('to') or wanted}")
    operator.emit("Cast", [operator.either()], to=_TYPES[wanted])


def given(operator: OperatorWriter) -> None:
    """Stored numbers in the midst of a net: its fills are read as an init_net's."""
    from ..reader import Operator
    from ..stored import filled

    if operator.inputs:
        raise operator.error("a shape that is another blob's is not supported")
    value = filled(Operator(operator.kind, [], operator.outputs, "", operator.arguments))
    operator.emit("Identity", [operator.graph.constant(f"{operator.name}/value", np.asarray(value))])


OPERATORS = {
    "Concat": concat,
    "DepthConcat": concat,
    "Split": split,
    "Slice": slice_,
    "Reshape": reshape,
    "Flatten": flatten,
    "FlattenToVec": flatten_to_vector,
    "Transpose": transpose,
    "NCHW2NHWC": to_last,
    "NHWC2NCHW": to_first,
    "Squeeze": squeeze,
    "ExpandDims": expand_dims,
    "Tile": tile,
    "Gather": gather,
    "Cast": cast,
    "ConstantFill": given,
    "GivenTensorFill": given,
    "GivenTensorInt64Fill": given,
    "GivenTensorIntFill": given,
}
