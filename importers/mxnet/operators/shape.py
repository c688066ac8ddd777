"""Operators that lay the same numbers out otherwise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...graph_builder import Dim
from ..operator_writer import OperatorWriter

_LARGEST = 1 << 31
_LONGEST = 1 << 20  # slices


def flatten(writer: OperatorWriter) -> None:
    """All axes behind the first as one."""
    writer.emit("Flatten", [writer.input()], axis=1)


def reshape(writer: OperatorWriter) -> None:
    """With codes: 0 keeps an axis, -1 is what is left, -2 the rest, -3 joins two, -4 splits one into the two behind."""
    codes, reverse = list(writer.attributes.wholes("shape")), writer.attributes.flag("reverse")
    dims = list(writer.shape())
    if not codes:
        _reshape_of_old(writer, dims)
        return
    if any(abs(code) > _LARGEST or code < -4 for code in codes):
        raise writer.error(f"shape is {codes}; expected sizes or codes from 0 to -4")
    step = -1 if reverse else 1
    writer.reshape_to(_decoded(writer, codes[::step], dims[::step])[::step])


def _reshape_of_old(writer: OperatorWriter, dims: list[Dim]) -> None:
    """`target_shape` of MXNet 0.8, where 0 is what is left."""
    target: list[Dim] = [side or None for side in writer.attributes.wholes("target_shape")]
    if not target:
        raise writer.error("its shape is missing")
    if writer.attributes.flag("keep_highest"):
        target[0] = dims[0]
    writer.reshape_to(target)


def _decoded(writer: OperatorWriter, codes: Sequence[int], dims: Sequence[Dim]) -> list[Dim]:
    """The output's axes; None for the one that is left."""
    found: list[Dim] = []
    at, place = 0, 0
    while place < len(codes):
        code = codes[place]
        if code == -2:
            found += dims[at:]
            at = len(dims)
        elif code == -3:
            found.append(_joined(dims[at : at + 2]))
            at += 2
        elif code == -4:
            pair = list(codes[place + 1 : place + 3])
            found += _split(writer, pair, dims[at])
            at, place = at + 1, place + 2
        else:
            found.append(dims[at] if code == 0 else None if code == -1 else code)
            at += 1
        place += 1
    return found


def _joined(dims: Sequence[Dim]) -> Dim:
    """Two axes as one; None where one of them is open."""
    first, second = dims
    return first * second if isinstance(first, int) and isinstance(second, int) else None


def _split(writer: OperatorWriter, pair: Sequence[int], dim: Dim) -> list[Dim]:
    """Two axes for one; -1 is what is left of it."""
    if len(pair) != 2 or pair == [-1, -1] or min(pair) < -1 or 0 in pair:
        raise writer.error(f"its code -4 is followed by {list(pair)}; expected two sizes")
    if -1 in pair:
        [size] = writer.sizes([dim])
        return [size // max(pair) if side == -1 else side for side in pair]
    return list(pair)


def reshape_like(writer: OperatorWriter) -> None:
    """In the shape of the second input."""
    if any(writer.attributes.has(name) for name in ("lhs_begin", "lhs_end", "rhs_begin", "rhs_end")):
        raise writer.error("a reshape of some of the axes is not supported")
    writer.reshape_to(writer.shape(1))


def transpose(writer: OperatorWriter) -> None:
    """Axes in another order; reversed where none is given."""
    rank = len(writer.shape())
    writer.emit("Transpose", [writer.input()], perm=writer.axes("axes") or [*range(rank)][::-1])


def swap_axes(writer: OperatorWriter) -> None:
    """Two axes in each other's place."""
    perm = [*range(len(writer.shape()))]
    first, second = (writer.axis(writer.attributes.whole(name, 0)) for name in ("dim1", "dim2"))
    perm[first], perm[second] = second, first
    writer.emit("Transpose", [writer.input()], perm=perm)


def expand_dims(writer: OperatorWriter) -> None:
    """One more axis of size 1."""
    axis = writer.axis(writer.attributes.whole("axis"), extra=1)
    writer.emit("Unsqueeze", [writer.input(), writer.ints("axes", [axis])])


def squeeze(writer: OperatorWriter) -> None:
    """Without axes of size 1: those listed, or all."""
    axes = writer.axes() or [axis for axis, dim in enumerate(writer.shape()) if dim == 1]
    writer.emit("Squeeze", [writer.input(), writer.ints("axes", axes)])


def tile(writer: OperatorWriter) -> None:
    """The whole repeated along its axes."""
    repeats = list(writer.attributes.wholes("reps"))
    rank = len(writer.shape())
    if len(repeats) > rank:
        raise writer.error(f"reps has {len(repeats)} numbers for {rank} axes")
    writer.emit("Tile", [writer.input(), writer.ints("repeats", [1] * (rank - len(repeats)) + repeats)])


def repeat(writer: OperatorWriter) -> None:
    """Each slice along an axis repeated."""
    times = writer.attributes.whole("repeats")
    if not writer.attributes.has("axis"):
        raise writer.error("repeating all numbers one by one is not supported; expected an axis")
    axis = writer.axis(writer.attributes.whole("axis"))
    [size] = writer.sizes(writer.shape()[axis : axis + 1])
    if not 0 < times * size <= _LONGEST:
        raise writer.error(f"repeats axis {axis} of size {size} {times} times; expected at most {_LONGEST} slices")
    writer.emit("Gather", [writer.input(), writer.ints("index", np.repeat(np.arange(size), times).tolist())], axis=axis)


def broadcast_axis(writer: OperatorWriter) -> None:
    """Axes of size 1 repeated."""
    repeats = [1] * len(writer.shape())
    for axis, size in zip(writer.axes(), writer.attributes.wholes("size"), strict=True):
        repeats[axis] = size
    writer.emit("Tile", [writer.input(), writer.ints("repeats", repeats)])


def broadcast_to(writer: OperatorWriter) -> None:
    """Axes of size 1 repeated to a shape, in which 0 keeps an axis."""
    wanted = writer.attributes.wholes("shape")
    pairs = zip(wanted, writer.shape(), strict=True)
    writer.emit("Expand", [writer.input(), writer.ints("shape", [1 if new in (0, old) else new for new, old in pairs])])


def broadcast_like(writer: OperatorWriter) -> None:
    """Axes of size 1 repeated to the shape of the second input."""
    if writer.attributes.has("lhs_axes") or writer.attributes.has("rhs_axes"):
        raise writer.error("a broadcast of some of the axes is not supported")
    shape = writer.add("shape", "Shape", [writer.input(1)])
    writer.emit("Expand", [writer.input(), shape], shape=writer.shape(1))


def reverse(writer: OperatorWriter) -> None:
    """Axes from their end to their start."""
    axes = writer.axes()
    ends = [writer.ints(role, [number] * len(axes)) for role, number in (("starts", -1), ("ends", -_LARGEST))]
    writer.emit("Slice", [writer.input(), *ends, writer.ints("axes", axes), writer.ints("steps", [-1] * len(axes))])


OPERATORS = {
    "Flatten": flatten,
    "flatten": flatten,
    "Reshape": reshape,
    "reshape": reshape,
    "reshape_like": reshape_like,
    "transpose": transpose,
    "SwapAxis": swap_axes,
    "swapaxes": swap_axes,
    "expand_dims": expand_dims,
    "squeeze": squeeze,
    "tile": tile,
    "repeat": repeat,
    "broadcast_axis": broadcast_axis,
    "broadcast_axes": broadcast_axis,
    "broadcast_to": broadcast_to,
    "broadcast_like": broadcast_like,
    "reverse": reverse,
    "flip": reverse,
}
