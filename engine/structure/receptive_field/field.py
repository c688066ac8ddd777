"""Field: the receptive fields of a whole tensor, one Reach an image axis, and how tensors are reshaped and joined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from .reach import Reach, Unknown, aligned, common_lengths, nothing, shortest, union

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Field:
    """What every element of a tensor looks at.

    `axes`: for each axis of the tensor the sizes of its digits. Merging axes (Flatten, a token grid) only groups
    digits, so that splitting them again restores the grid exactly.
    """

    axes: tuple[Shape, ...]
    reaches: tuple[Reach, ...]

    @property
    def shape(self) -> Shape:
        """The tensor's shape."""
        return tuple(prod(sizes) for sizes in self.axes)

    @property
    def digits(self) -> Shape:
        """The sizes of all digits in order."""
        return tuple(size for sizes in self.axes for size in sizes)

    def digit(self, axis: int) -> int:
        """The position of an axis's first digit."""
        return sum(len(sizes) for sizes in self.axes[:axis])

    def mapped(self, change: Callable[[Reach], Reach], axis: int | None = None, size: int = 1) -> Field:
        """`change` applied to every reach; `axis` (one digit) has `size` indices from now on."""
        axes = self.axes if axis is None else (*self.axes[:axis], (size,), *self.axes[axis + 1 :])
        return Field(axes, tuple(change(reach) for reach in self.reaches))

    def fused(self, axis: int) -> Field:
        """The same field with one digit for `axis`."""
        field = self
        while len(field.axes[axis]) > 1:
            field = field._fused_pair(axis)
        return field

    def _fused_pair(self, axis: int) -> Field:
        """The last two digits of an axis as one: index = first * n + second."""
        *rest, count, inner = self.axes[axis]
        digit = self.digit(axis) + len(rest)
        axes = (*self.axes[:axis], (*rest, count * inner), *self.axes[axis + 1 :])
        return Field(axes, tuple(_fuse(reach, digit, count, inner) for reach in self.reaches))

    def split(self, digit: int, inner: int) -> tuple[Reach, ...]:
        """Reaches in which one digit has become two: index = first * inner + second."""
        return tuple(_split(reach, digit, self.digits[digit], inner) for reach in self.reaches)

    def spread(self, axes: Sequence[int]) -> Field:
        """Every element looks at what any element along these axes looks at; the shape stays."""
        reaches = self.reaches
        for axis in axes:
            for digit, size in enumerate(self.axes[axis], self.digit(axis)):
                reaches = tuple(reach.united(digit, size) for reach in reaches)
        return Field(self.axes, reaches)

    def united(self, axes: Sequence[int]) -> Field:
        """The union over some axes, which then have size 1."""
        field = self.spread(axes)
        for axis in axes:
            first = field.digit(axis)
            extra = range(first + 1, first + len(field.axes[axis]))
            shrunk = (*field.axes[:axis], (1,), *field.axes[axis + 1 :])
            field = Field(shrunk, tuple(_drop(reach, extra) for reach in field.reaches))
        return field

    def broadcast(self, shape: Shape) -> Field:
        """The field of the tensor broadcast to `shape`. Raises Unknown when it does not fit."""
        missing = len(shape) - len(self.axes)
        if missing < 0:
            raise Unknown("more axes than the result")
        field = Field(((1,),) * missing + self.axes, tuple(_leading(reach, missing) for reach in self.reaches))
        for axis, size in enumerate(shape):
            if field.shape[axis] not in (1, size):
                raise Unknown("shapes do not broadcast")
            if field.shape[axis] != size:
                digit = field.digit(axis)
                field = field.mapped(lambda reach, digit=digit: reach.single(digit), axis, size)  # type: ignore[misc]
        return field

    def transposed(self, order: Sequence[int]) -> Field:
        """The axes in another order."""
        digits = [d for axis in order for d in range(self.digit(axis), self.digit(axis) + len(self.axes[axis]))]
        return Field(tuple(self.axes[axis] for axis in order), tuple(_transposed(r, digits) for r in self.reaches))

    def reshaped(self, shape: Shape) -> Field:
        """The same elements in row-major order under another shape."""
        if prod(shape) != prod(self.shape) or 0 in shape:
            raise Unknown("reshape to another number of elements")
        field = self._without_ones()
        axes: list[Shape] = []
        position = 0
        for size in shape:
            field, taken = field._take_digits(position, size)
            axes.append(field.digits[position : position + taken])
            position += taken
        return field._grouped(axes)

    def _without_ones(self) -> Field:
        """One axis a digit, digits of size 1 left out."""
        ones = tuple(digit for digit, size in enumerate(self.digits) if size == 1)
        reaches = tuple(_drop(_fixed_all(reach, ones), ones) for reach in self.reaches)
        return Field(tuple((size,) for size in self.digits if size != 1), reaches)

    def _take_digits(self, position: int, size: int) -> tuple[Field, int]:
        """How many digits from `position` make an axis of `size`; digits are cut where the axis ends inside one."""
        field, taken, product = self, 0, 1
        while product < size:
            digits = field.digits
            following = digits[position + taken]
            if size % (product * following) == 0:
                product, taken = product * following, taken + 1
            elif (product * following) % size == 0 and size % product == 0:
                field = field._cut(position + taken, product * following // size)
            elif position + taken + 1 < len(digits):
                field = field._glued(position + taken)
            elif taken:  # the axes do not line up: one digit for all of them, then cut
                field = field._glued(position + taken - 1)
                product, taken = product // digits[position + taken - 1], taken - 1
            else:
                raise Unknown("reshape that cuts across")
        return field, taken

    def _cut(self, digit: int, inner: int) -> Field:
        sizes = (*self.digits[:digit], self.digits[digit] // inner, inner, *self.digits[digit + 1 :])
        return Field(tuple((size,) for size in sizes), self.split(digit, inner))

    def _glued(self, digit: int) -> Field:
        """Two neighbouring digits as one."""
        pair = Field((*self.axes[:digit], self.digits[digit : digit + 2], *self.axes[digit + 2 :]), self.reaches)
        return pair.fused(digit)

    def _grouped(self, axes: Sequence[Shape]) -> Field:
        """The digits gathered into axes; an axis without digits becomes one of size 1."""
        reaches, position = self.reaches, 0
        for sizes in axes:
            if not sizes:
                reaches = tuple(_insert(reach, position) for reach in reaches)
            position += max(len(sizes), 1)
        return Field(tuple(sizes or (1,) for sizes in axes), reaches)


def joined(fields: Sequence[Field], shape: Shape) -> Field:
    """The field of an element-wise operation over tensors that broadcast to `shape`."""
    parts = _same_digits([field.broadcast(shape) for field in fields])
    if len(parts) == 1:
        return parts[0]
    if all(part.axes == parts[0].axes and part.reaches == parts[0].reaches for part in parts):
        return parts[0]
    parts = [with_empty_boxes(part) for part in parts]
    digits = parts[0].digits
    return Field(
        parts[0].axes, tuple(union(reaches, digits) for reaches in zip(*(p.reaches for p in parts), strict=True))
    )


def _same_digits(fields: list[Field]) -> list[Field]:
    """The same fields, every axis written in the same digits."""
    for axis in range(len(fields[0].axes)):
        forms = {field.axes[axis] for field in fields}
        if len(forms) > 1:
            fields = [field.fused(axis) for field in fields]
    return fields


def concatenated(fields: Sequence[Field | None], sizes: Sequence[int], axis: int) -> Field:
    """Fields one behind the other along an axis; None: a tensor of that size which does not depend on the image."""
    present = _same_digits([field.fused(axis) for field in fields if field is not None])
    template = present[0]
    digit, digits = template.digit(axis), template.digits
    boxes = iter([with_empty_boxes(field) for field in present])
    parts = [
        next(boxes).reaches if field is not None else (nothing(len(digits)),) * len(template.reaches)
        for field in fields
    ]
    joined_reaches = []
    for reaches in zip(*parts, strict=True):
        listed = [
            _listed(reach, digit, size) for reach, size in zip(aligned(reaches, digits, digit), sizes, strict=True)
        ]
        joined_reaches.append(_concatenated(listed, digit))
    axes = (*template.axes[:axis], (sum(sizes),), *template.axes[axis + 1 :])
    return Field(axes, tuple(joined_reaches))


def _listed(reach: Reach, digit: int, size: int) -> Reach:
    low, high = reach.at(digit, np.arange(size))
    steps = (*reach.steps[:digit], None, *reach.steps[digit + 1 :])
    return replace(
        reach,
        low=low,
        high=high,
        steps=steps,
        whole=(*reach.whole[:digit], reach.moves(digit), *reach.whole[digit + 1 :]),
    )


def _concatenated(reaches: Sequence[Reach], digit: int) -> Reach:
    ends = [np.broadcast_shapes(*(_without(r.low.shape, digit) for r in reaches))] * len(reaches)
    shapes = [(*end[:digit], r.low.shape[digit], *end[digit:]) for end, r in zip(ends, reaches, strict=True)]
    low = np.concatenate([np.broadcast_to(r.low, s) for r, s in zip(reaches, shapes, strict=True)], digit)
    high = np.concatenate([np.broadcast_to(r.high, s) for r, s in zip(reaches, shapes, strict=True)], digit)
    whole = tuple(any(flags) for flags in zip(*(r.whole for r in reaches), strict=True))
    return shortest(Reach(low, high, reaches[0].steps, whole, min(r.extent for r in reaches)))


def _without(shape: Shape, digit: int) -> Shape:
    return (*shape[:digit], *shape[digit + 1 :])


def with_empty_boxes(field: Field) -> Field:
    """An element that sees nothing along one image axis sees nothing at all: said in every reach.

    Needed before a union, which would else take the height from one tensor and the width from another.
    """
    if len(field.reaches) == 1 or not any((reach.low > reach.high).any() for reach in field.reaches):
        return field
    matching = common_lengths(field.reaches, field.digits)
    empty = np.zeros((1,) * len(field.digits), bool)
    for reach in matching:
        empty = empty | (reach.low > reach.high)
    masked = [
        replace(reach, low=np.where(empty, np.inf, reach.low), high=np.where(empty, -np.inf, reach.high))
        for reach in matching
    ]
    return Field(field.axes, tuple(shortest(reach) for reach in masked))


def _fuse(reach: Reach, digit: int, count: int, inner: int) -> Reach:
    """Two digits as one. A periodic first digit gives a periodic result."""
    if reach.is_constant(digit) and reach.is_constant(digit + 1):
        return _drop(reach, (digit + 1,))
    step, period = reach.steps[digit], reach.low.shape[digit]
    low, high = reach.at(digit + 1, np.arange(inner))
    whole = reach.whole[digit] or reach.moves(digit + 1)
    shape = (*low.shape[:digit], period * inner, *low.shape[digit + 2 :])
    steps = (*reach.steps[:digit], step, *reach.steps[digit + 2 :])
    wholes = (*reach.whole[:digit], whole, *reach.whole[digit + 2 :])
    return Reach(low.reshape(shape), high.reshape(shape), steps, wholes, reach.extent).canonical(digit)


def _split(reach: Reach, digit: int, size: int, inner: int) -> Reach:
    """One digit as two, index = first * inner + second: the second is finite, the first goes on as before."""
    if reach.is_constant(digit):
        return _insert(reach, digit)
    step, period = reach.steps[digit], reach.low.shape[digit]
    count = size // inner if step is None else period // np.gcd(period, inner)
    low, high = reach.at(digit, np.arange(count * inner))
    shape = (*low.shape[:digit], int(count), inner, *low.shape[digit + 1 :])
    outer_step = None if step is None else step * inner * count / period
    whole = reach.whole[digit]
    steps = (*reach.steps[:digit], outer_step, None, *reach.steps[digit + 1 :])
    wholes = (*reach.whole[:digit], whole, whole, *reach.whole[digit + 1 :])
    return (
        Reach(low.reshape(shape), high.reshape(shape), steps, wholes, reach.extent)
        .canonical(digit + 1)
        .canonical(digit)
    )


def _fixed_all(reach: Reach, digits: Sequence[int]) -> Reach:
    for digit in digits:
        reach = reach.single(digit)
    return reach


def _drop(reach: Reach, digits: Sequence[int]) -> Reach:
    """Without these digits, over which nothing changes."""
    keep = [d for d in range(reach.low.ndim) if d not in digits]
    low, high = reach.low.squeeze(tuple(digits)), reach.high.squeeze(tuple(digits))
    return Reach(low, high, tuple(reach.steps[d] for d in keep), tuple(reach.whole[d] for d in keep), reach.extent)


def _insert(reach: Reach, digit: int) -> Reach:
    steps = (*reach.steps[:digit], 0.0, *reach.steps[digit:])
    whole = (*reach.whole[:digit], False, *reach.whole[digit:])
    return Reach(np.expand_dims(reach.low, digit), np.expand_dims(reach.high, digit), steps, whole, reach.extent)


def _leading(reach: Reach, count: int) -> Reach:
    for _ in range(count):
        reach = _insert(reach, 0)
    return reach


def _transposed(reach: Reach, digits: Sequence[int]) -> Reach:
    return Reach(
        reach.low.transpose(digits),
        reach.high.transpose(digits),
        tuple(reach.steps[d] for d in digits),
        tuple(reach.whole[d] for d in digits),
        reach.extent,
    )
