"""Parts of a tensor: taken, cut apart, joined."""

from __future__ import annotations

from collections.abc import Sequence

from ...channels_last import axis_first
from ..operator_writer import OperatorWriter
from .shape import reshape_to

_FAR = 1 << 62  # before the first: -1 would be the last


def concatenate(op: OperatorWriter) -> None:
    """Along an axis; inputs without numbers play no part."""
    rank = len(op.shape())
    axis = op.axis(op.option("axis"), rank)
    parts = [index for index in range(len(op.inputs)) if 0 not in op.shape(index)] or [0]
    inputs, first = op.aligned(*parts)
    op.emit("Concat", inputs, first=first, moved=True, axis=axis_first(axis, rank) if first else axis)


def split(op: OperatorWriter) -> None:
    """Into equal parts."""
    count, shape = op.option("num_splits"), op.shape(1)
    axis = op.axis(op.ints(0)[0], len(shape))
    if count != len(op.outputs) or not count or shape[axis] % count:
        raise op.error(f"{shape[axis]} do not divide into {count} parts for {len(op.outputs)} outputs")
    _split(op, 1, axis, [shape[axis] // count] * count)


def split_sizes(op: OperatorWriter) -> None:
    """Into parts of given sizes; -1 is what is left."""
    sizes, shape = op.ints(1), op.shape(0)
    axis = op.axis(op.ints(2)[0], len(shape))
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = shape[axis] - sum(size for size in sizes if size != -1)
    if len(sizes) != len(op.outputs) or sum(sizes) != shape[axis] or min(sizes) < 0:
        raise op.error(f"parts of {sizes} do not make up {shape[axis]}")
    _split(op, 0, axis, sizes)


def _split(op: OperatorWriter, index: int, axis: int, sizes: list[int]) -> None:
    (tensor,), first = op.aligned(index)
    place = axis_first(axis, len(op.shape(index))) if first else axis
    op.emit_all("Split", [tensor, op.int_list("sizes", sizes)], first=first, axis=place)


def slice_(op: OperatorWriter) -> None:
    """From `begin`, `size` numbers an axis; -1 is all that are left."""
    shape, begin, size = op.shape(), op.ints(1), op.ints(2)
    if not len(shape) == len(begin) == len(size):
        raise op.error(f"begin {begin} and size {size} do not fit the shape {list(shape)}")
    ends = [side if count == -1 else start + count for side, start, count in zip(shape, begin, size, strict=True)]
    if any(not 0 <= start <= end <= side for start, end, side in zip(begin, ends, shape, strict=True)):
        raise op.error(f"begin {begin} and size {size} reach outside the shape {list(shape)}")
    _take(op, [range(start, end) for start, end in zip(begin, ends, strict=True)])


def reverse(op: OperatorWriter) -> None:
    """Some axes from their end."""
    shape = op.shape()
    axes = {op.axis(axis, len(shape)) for axis in op.ints(1)}
    _take(op, [range(side)[::-1] if axis in axes else range(side) for axis, side in enumerate(shape)])


def strided_slice(op: OperatorWriter) -> None:
    """NumPy's slices: masks say which ends are open, which axes are new, and of which one number is taken."""
    shape = op.shape()
    if op.option("offset"):
        raise op.error("ends given as offsets are not supported")
    taken: list[range] = []
    result: list[int] = []
    for kind, part in _entries(op, len(shape)):
        if kind == "new":
            result.append(1)
            continue
        side = shape[len(taken)]
        if kind == "one" and not -side <= part.start < side:
            raise op.error(f"it takes number {part.start} of {side}")
        taken.append(range(side)[part.start % side :][:1] if kind == "one" else range(side)[part])
        if kind == "some":
            result.append(len(taken[-1]))
    if result == [len(numbers) for numbers in taken]:
        _take(op, taken)
    else:
        limits = _limits(op, taken, range(len(shape)))
        reshape_to(op, result, op.add("part", "Slice", [op.last(), *limits]) if limits else op.last())


def _entries(op: OperatorWriter, rank: int) -> list[tuple[str, slice]]:
    """What is taken of each axis that is read ("some" of it, or "one"), or that it is new."""
    begins, ends, steps = (op.ints(index) for index in (1, 2, 3))
    if not len(begins) == len(ends) == len(steps) or 0 in steps:
        raise op.error(f"begin {begins}, end {ends} and strides {steps} do not fit together")
    masks = {name: op.option(f"{name}_mask") for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    read = sum(1 for at in range(len(begins)) if not (masks["new_axis"] | masks["ellipsis"]) >> at & 1)
    entries: list[tuple[str, slice]] = []
    for at, (begin, end, step) in enumerate(zip(begins, ends, steps, strict=True)):
        chosen = {name for name, mask in masks.items() if mask >> at & 1}
        if "ellipsis" in chosen:
            entries += [("some", slice(None))] * (rank - read)
        elif "new_axis" in chosen:
            entries.append(("new", slice(None)))
        elif "shrink_axis" in chosen:
            entries.append(("one", slice(begin, None)))
        else:
            bounds = (None if "begin" in chosen else begin, None if "end" in chosen else end)
            entries.append(("some", slice(*bounds, step)))
    known = sum(1 for kind, _ in entries if kind != "new")
    if known > rank:
        raise op.error(f"it slices {known} axes of {rank}")
    return entries + [("some", slice(None))] * (rank - known)


def _take(op: OperatorWriter, taken: Sequence[range]) -> None:
    """The output holds these numbers of each axis."""
    (tensor,), first = op.aligned(0)
    rank = len(taken)
    limits = _limits(op, taken, [axis_first(axis, rank) if first else axis for axis in range(rank)])
    if limits:
        op.emit("Slice", [tensor, *limits], first=first, moved=True)
    else:
        op.finish(tensor, first=first, moved=True)


def _limits(op: OperatorWriter, taken: Sequence[range], places: Sequence[int]) -> list[str]:
    """Starts, ends, axes and steps for ONNX's Slice; nothing where all is taken. `places`: where an axis lies."""
    sides = op.shape()
    axes = [axis for axis, numbers in enumerate(taken) if numbers != range(sides[axis])]
    columns = {
        "starts": [taken[axis].start for axis in axes],
        "ends": [-_FAR if taken[axis].stop < 0 else taken[axis].stop for axis in axes],
        "axes": [places[axis] for axis in axes],
        "steps": [taken[axis].step for axis in axes],
    }
    return [op.int_list(role, values) for role, values in columns.items()] if axes else []


OPERATORS = {
    "CONCATENATION": concatenate,
    "SPLIT": split,
    "SPLIT_V": split_sizes,
    "SLICE": slice_,
    "STRIDED_SLICE": strided_slice,
    "REVERSE_V2": reverse,
}
