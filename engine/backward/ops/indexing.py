"""Values picked and placed by index: what was picked is placed where it came from, what was placed is picked again.

Gradients run as rows, one an image, in which a number says a place. For constant indices the numbers are found by
picking from an array of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ..step import Backward, Gradients, Step, Unsupported

# The places in one image that indices name, for a tensor of that shape.
_Places = Callable[[Step, Sequence[int], np.ndarray], np.ndarray]


def added(step: Step, rows: str, places: str, size: int) -> str:  # [images, count], [1 or images, count]
    """Rows of zeros, so long, with these at their places; equal places add up."""
    write = step.write
    zero = write.constant(np.zeros((1, 1), np.float32))
    zeros = write("Expand", zero, write("Concat", _images(step, rows), write.ints([size]), axis=0))
    every = write("Expand", places, write("Shape", rows))
    return write("ScatterElements", zeros, every, rows, axis=1, reduction="add")


def picked(step: Step, rows: str, places: str) -> str:  # [images, size], [1 or images, count] -> [images, count]
    every = step.write("Expand", places, step.write("Concat", _images(step, rows), step.write.ints([1]), axis=0))
    return step.write("GatherElements", rows, every, axis=1)


def _images(step: Step, rows: str) -> str:  # int64 [1]
    return step.write("Slice", step.write("Shape", rows), step.write.ints([0]), step.write.ints([1]))


def places_in_one(step: Step, indices: str, count: int, size: int) -> str:  # [images, count]
    """Of indices that count through all images, `count` of them and `size` places an image."""
    write = step.write
    rows = write("Reshape", indices, write.ints([-1, count]))
    zero, one = (write.constant(np.array(value, np.int64)) for value in (0, 1))
    images = write("Range", zero, write("Squeeze", _images(step, rows), write.ints([0])), one)
    first = write("Mul", write("Reshape", images, write.ints([-1, 1])), write.ints([size]))
    return write("Sub", rows, first)  # onnxruntime's Mod takes ten times as long


# -- tensors as rows ---


def _rows(step: Step, gradient: str, tensor: str) -> str:
    axis, size = step.images_axis(tensor), math.prod(step.shape(tensor))
    if axis:
        gradient = step.write("Transpose", gradient, perm=_images_first(step, tensor, axis))
    return step.write("Reshape", gradient, step.write.ints([-1, size]))


def _as_it_was(step: Step, rows: str, tensor: str) -> str:
    axis = step.images_axis(tensor)
    if not axis:
        return step.as_large_as(rows, tensor)
    perm, sizes = _images_first(step, tensor, axis), step.sizes(tensor)
    apart = step.write("Reshape", rows, step.write.ints([sizes[number] for number in perm]))
    return step.write("Transpose", apart, perm=np.argsort(perm).tolist())


def _images_first(step: Step, tensor: str, axis: int) -> list[int]:
    return [axis, *(other for other in range(len(step.shape(tensor))) if other != axis)]


# -- operators ---


def _numbered(shape: Sequence[int]) -> np.ndarray:
    return np.arange(math.prod(shape)).reshape(shape)


def _of_elements(step: Step, shape: Sequence[int], indices: np.ndarray) -> np.ndarray:
    where: list[np.ndarray] = list(np.indices(indices.shape, sparse=True))
    where[step.attribute("axis", 0) % len(shape)] = indices
    return _numbered(shape)[tuple(where)]


def _of_slices(step: Step, shape: Sequence[int], indices: np.ndarray) -> np.ndarray:
    along = np.indices(indices.shape[:-1], sparse=True)[: step.attribute("batch_dims", 0)]
    return _numbered(shape)[(*along, *np.moveaxis(indices, -1, 0))]


def _gathered(find: _Places) -> Backward:
    def gradients(step: Step) -> Gradients:
        indices, shape = step.constant(1), step.shape(step.x)
        assert indices is not None
        places = step.write.constant(find(step, shape, indices).reshape(1, -1))
        made = added(step, _rows(step, step.gradient, step.y), places, math.prod(shape))
        return [_as_it_was(step, made, step.x)]

    return gradients


def _scattered(find: _Places) -> Backward:
    """By constant indices. Of several values for one place the last one stays, unless they are added."""

    def gradients(step: Step) -> Gradients:
        reduction, indices, shape = step.attribute("reduction", "none"), step.constant(1), step.shape(step.y)
        assert indices is not None
        if reduction not in ("none", "add"):
            raise Unsupported(f"reduction {reduction}")
        places, adds = find(step, shape, indices).reshape(-1), reduction == "add"
        numbers, last = np.arange(len(places)), np.full(math.prod(shape), -1)
        last[places] = numbers
        rows, (x, _, updates) = _rows(step, step.gradient, step.y), step.node.inputs
        found: list[str | None] = [None, None, None]
        if step.wanted[0]:
            found[0] = _as_it_was(step, _where(step, rows, adds | (last < 0)), x)
        if step.wanted[2]:
            taken = step.write("Gather", rows, step.write.constant(places), axis=1)
            found[2] = _as_it_was(step, _where(step, taken, adds | (last[places] == numbers)), updates)
        return found

    return gradients


def _where(step: Step, rows: str, condition: np.ndarray) -> str:
    return rows if condition.all() else step.where(step.write.constant(condition[None]), rows)


def _placed(step: Step) -> Gradients:
    """PyTorch's exporter unpools by it: flat values, each at a number that depends on the image."""
    flat = len(step.shape(step.y)) == 1 and step.attribute("reduction", "none") == "none"
    if flat and not step.wanted[0] and step.depends(step.node.inputs[1]):
        updates = step.node.inputs[2]
        return [None, None, _unpooled(step, updates, *(math.prod(step.shape(name)) for name in (updates, step.y)))]
    return _scattered(_of_slices)(step)


def _from_maxima(step: Step) -> Gradients:
    return [_unpooled(step, step.x, *(math.prod(step.shape(name)[1:]) for name in (step.x, step.y)))]


def _unpooled(step: Step, tensor: str, count: int, size: int) -> str:
    """The gradient of values placed where input 1 says; those that share a place each get all of it, as in torch."""
    rows = step.write("Reshape", step.gradient, step.write.ints([-1, size]))
    return step.as_large_as(picked(step, rows, places_in_one(step, step.node.inputs[1], count, size)), tensor)


TABLE: dict[str, Backward] = {
    "GatherElements": _gathered(_of_elements),
    "GatherND": _gathered(_of_slices),
    "ScatterElements": _scattered(_of_elements),
    "ScatterND": _placed,
    "MaxUnpool": _from_maxima,
}
