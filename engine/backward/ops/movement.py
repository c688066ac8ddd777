"""Operators that move values: their gradients move back."""

from __future__ import annotations

from itertools import accumulate

import numpy as np

from ..step import Backward, Gradients, Step, Unsupported

_END = np.iinfo(np.int64).max


def _as_it_was(step: Step) -> Gradients:
    return [step.gradient]


def _reshaped(step: Step) -> Gradients:
    return [step.as_large_as(step.gradient, step.x)]


def _transposed(step: Step) -> Gradients:
    rank = len(step.shape(step.x))
    perm = step.attribute("perm") or list(reversed(range(rank)))
    return [step.write("Transpose", step.gradient, perm=np.argsort(perm).tolist())]


def _parts(step: Step) -> Gradients:
    """Of Concat: a part for each input."""
    axis = step.attribute("axis") % len(step.shape(step.y))
    ends = list(accumulate(step.shape(tensor)[axis] for tensor in step.node.inputs))
    return [
        _between(step, step.gradient, axis, end - step.shape(tensor)[axis], end) if wanted else None
        for tensor, end, wanted in zip(step.node.inputs, ends, step.wanted, strict=True)
    ]


def _between(step: Step, tensor: str, axis: int, begin: int, end: int) -> str:
    return step.write("Slice", tensor, *(step.write.ints([value]) for value in (begin, end, axis)))


def _joined(step: Step) -> Gradients:
    """Of Split: the parts, zeros for those that nothing depends on."""
    axis = step.attribute("axis", 0) % len(step.shape(step.x))
    known = next(gradient for gradient in step.gradients if gradient)
    made = next(tensor for tensor, gradient in zip(step.node.outputs, step.gradients, strict=True) if gradient)
    parts = [
        gradient or _zeros(step, known, made, tensor, axis)
        for tensor, gradient in zip(step.node.outputs, step.gradients, strict=True)
    ]
    return [step.write("Concat", *parts, axis=axis)]


def _zeros(step: Step, like: str, tensor: str, wanted: str, axis: int) -> str:
    """As large as another part, along the axis as `wanted`, for as many images as there are gradients."""
    one = step.write("Mul", _between(step, like, axis, 0, 1), step.write.number(0.0))
    shape = [1] * len(step.shape(tensor))
    shape[axis] = step.shape(wanted)[axis]
    return step.write("Expand", one, step.write.ints(shape))


def _cut(step: Step) -> Gradients:
    """Of Slice: zeros around what was taken, and between it."""
    shape, rank = step.shape(step.x), len(step.shape(step.x))
    given = [step.constant(number) for number in (1, 2, 3, 4)]
    starts, ends = (value.tolist() for value in given[:2] if value is not None)
    axes = range(len(starts)) if given[2] is None else given[2].tolist()
    steps = [1] * len(starts) if given[3] is None else given[3].tolist()
    gradient = step.gradient
    for axis, start, end, stride in zip(axes, starts, ends, steps, strict=True):
        axis %= rank
        taken = np.arange(shape[axis])[slice(start, end if stride > 0 or end >= -shape[axis] else None, stride)]
        if not step.counts_images(step.x, axis):
            gradient = _put(step, gradient, axis, taken, shape[axis])
        elif len(taken) < shape[axis]:
            raise Unsupported("images cut off")
    return [gradient]


def _put(step: Step, gradient: str, axis: int, places: np.ndarray, size: int) -> str:
    """Along one axis to these places of so many, zeros elsewhere; equal places add up."""
    write = step.write
    if len(places) == size and np.array_equal(places, np.arange(size)):
        return gradient
    first = int(places[0]) if len(places) else 0
    if len(places) and np.array_equal(places, np.arange(first, first + len(places))):
        pads = np.zeros((2, len(step.shape(step.x))), np.int64)
        pads[:, axis] = first, size - first - len(places)
        return write("Pad", gradient, write.constant(pads.reshape(-1)))
    # A row of the matrix says where one of the places goes.
    matrix = np.zeros((len(places), size), np.float32)
    matrix[np.arange(len(places)), places] = 1
    return along_axis(step, gradient, axis, matrix)


def along_axis(step: Step, gradient: str, axis: int, matrix: np.ndarray) -> str:  # matrix [given, made]
    """Each row along that axis times a matrix."""
    rank = len(step.shape(step.x))
    last = [*(other for other in range(rank) if other != axis), axis]
    if axis == rank - 1:
        return step.write("MatMul", gradient, step.write.constant(matrix))
    if axis == rank - 2:
        return step.write("MatMul", step.write.constant(np.ascontiguousarray(matrix.T)), gradient)
    product = step.write("MatMul", step.write("Transpose", gradient, perm=last), step.write.constant(matrix))
    return step.write("Transpose", product, perm=np.argsort(last).tolist())


def _gathered(step: Step) -> Gradients:
    """Of Gather by constant indices."""
    indices, shape = step.constant(1), step.shape(step.x)
    axis = step.attribute("axis", 0) % len(shape)
    if indices is None or step.counts_images(step.x, axis):
        raise Unsupported("images gathered")
    gradient = step.gradient
    if indices.ndim != 1:
        sizes = step.sizes(step.x)
        kept = [*sizes[:axis], indices.size, *sizes[axis + 1 :]]
        gradient = step.write("Reshape", gradient, step.write.ints(kept))
    return [_put(step, gradient, axis, indices.reshape(-1) % shape[axis], shape[axis])]


def _padding(step: Step) -> Gradients:
    """Of Pad: what lies inside, or, where the padding repeats values, all that came of each."""
    shape, mode = step.shape(step.x), step.attribute("mode", "constant")
    pads, axes = step.constant(1), step.constant(3)
    assert pads is not None
    named = range(len(shape)) if axes is None else [int(axis) % len(shape) for axis in axes]
    gradient = step.gradient
    for axis, begin, end in zip(named, *pads.reshape(2, -1).tolist(), strict=True):
        if not (begin or end):
            continue
        if step.counts_images(step.x, axis):
            raise Unsupported("images padded")
        if mode == "constant":
            gradient = _inside(step, gradient, axis, begin, shape[axis])
        elif min(begin, end) < 0:
            raise Unsupported(f"mode {mode} and negative pads")
        else:
            # ONNX's modes are NumPy's.
            gradient = _put(step, gradient, axis, np.pad(np.arange(shape[axis]), (begin, end), mode), shape[axis])
    return [gradient]


def _inside(step: Step, gradient: str, axis: int, begin: int, size: int) -> str:
    made = step.shape(step.y)[axis]
    if begin >= 0 and begin + size <= made:
        return _between(step, gradient, axis, begin, begin + size)
    inside = np.arange(size) + begin
    return along_axis(step, gradient, axis, (inside[None] == np.arange(made)[:, None]).astype(np.float32))


def _tiled(step: Step) -> Gradients:
    """All copies added up."""
    repeats = step.constant(1)
    assert repeats is not None
    apart, copies = list[int](), list[int]()
    for axis, (size, count) in enumerate(zip(step.sizes(step.x), repeats.tolist(), strict=True)):
        if count != 1:
            if step.counts_images(step.x, axis):
                raise Unsupported("images repeated")
            copies.append(len(apart))
            apart.append(count)
        apart.append(size)
    if not copies:
        return [step.gradient]
    split = step.write("Reshape", step.gradient, step.write.ints(apart))
    return [step.write("ReduceSum", split, step.write.ints(copies), keepdims=0)]


def _triangle(step: Step) -> Gradients:
    return [step.write("Trilu", step.gradient, *step.node.inputs[1:], upper=step.attribute("upper", 1))]


def _expanded(step: Step) -> Gradients:
    return [step.summed_to(step.gradient, step.y, step.x)]


def _blocks_to_depth(step: Step) -> Gradients:
    size = step.attribute("blocksize")
    if step.attribute("mode", "DCR") == "DCR":
        return [step.write("SpaceToDepth", step.gradient, blocksize=size)]
    _, channels, rows, columns = step.shape(step.x)
    write = step.write
    apart = write("Reshape", step.gradient, write.ints([-1, channels // size**2, rows, size, columns, size]))
    return [step.as_large_as(write("Transpose", apart, perm=[0, 1, 3, 5, 2, 4]), step.x)]


def _depth_to_blocks(step: Step) -> Gradients:
    return [step.write("DepthToSpace", step.gradient, blocksize=step.attribute("blocksize"))]


PASSED = ("Identity", "Dropout", "Cast", "CastLike")

TABLE: dict[str, Backward] = {
    **dict.fromkeys(PASSED, _as_it_was),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), _reshaped),
    "Transpose": _transposed,
    "Concat": _parts,
    "Split": _joined,
    "Slice": _cut,
    "Gather": _gathered,
    "Pad": _padding,
    "Expand": _expanded,
    "Tile": _tiled,
    "Trilu": _triangle,
    "DepthToSpace": _blocks_to_depth,
    "SpaceToDepth": _depth_to_blocks,
}
