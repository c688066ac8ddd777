"""ReceptiveField: what is told about one tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import inf
from typing import Any, ClassVar, Literal

import numpy as np

from .field import Field
from .reach import Reach

Kind = Literal["local", "global", "none", "unknown"]
Step = int | float


@dataclass(frozen=True)
class ReceptiveField:
    """Which pixels the elements of a tensor can depend on. One entry an axis of the image (height, width).

    kind: "local"; "global": every element depends on the whole image; "none": the tensor does not depend on it;
    "unknown". An axis along which only this one is global has None for all three numbers.
    """

    kind: Kind
    size: tuple[int | None, ...] = ()  # pixels from the first to the last; the largest over channels and positions
    stride: tuple[Step | None, ...] = ()  # pixels from one element to the next; None where elements are in no such row
    start: tuple[int | None, ...] = ()  # the first element's first pixel; negative: in the padding
    _exact: ClassVar[Any] = None  # () -> Field | None: gives the field inside the image; no data

    def __str__(self) -> str:
        """Size, stride and start: "212 / 32 / -90"; "global"; "?" when unknown; "–" when it depends on no image."""
        if self.kind != "local":
            return {"global": "global", "unknown": "?", "none": "–"}[self.kind]
        parts = (_axes(self.size, "all"), _axes(self.stride, "–"), _axes(self.start, "–"))
        return " / ".join(parts)

    def pixels(self, index: Sequence[int]) -> tuple[tuple[int, int], ...] | None:
        """First and last pixel (height, width) that the element at `index` (one number an axis of the tensor) can
        depend on, inside the image; None when it depends on none.

        Exact at the borders, too: what only the padding would show is not counted.
        """
        exact: Field | None = self._exact() if self._exact else None
        if self.kind in ("none", "unknown") or exact is None:
            return None
        digits = _digits(index, exact)
        bounds = []
        for reach in exact.reaches:
            low, high = interval(reach, digits)
            if low > high:
                return None
            bounds.append((int(low), int(high)))
        return tuple(bounds)


def _axes(values: Sequence[Step | None], missing: str) -> str:
    """One number when height and width agree, else height×width."""
    texts = [missing if value is None else f"{value:.4g}" for value in values]
    return texts[0] if len(set(texts)) == 1 else "×".join(texts)


def _digits(index: Sequence[int], exact: Field) -> list[int]:
    digits: list[int] = []
    for value, sizes in zip(index, exact.axes, strict=True):
        digits.extend(int(digit) for digit in np.unravel_index(value, sizes))
    return digits


def interval(reach: Reach, digits: Sequence[int]) -> tuple[float, float]:
    """Low and high at one element."""
    for digit, value in enumerate(digits):
        reach = reach.fixed(digit, value)
    return float(reach.low.item()), float(reach.high.item())


def described(field: Field, exact: Callable[[], Field | None]) -> ReceptiveField:
    """The numbers of a field on the unbounded plane; `exact` gives the field inside the image when it is asked for."""
    field = _rows_whole(field)
    ends = [_largest(reach) for reach in field.reaches]
    if all(size is None for size in ends):
        seen = any((reach.low <= reach.high).any() for reach in field.reaches)
        found = ReceptiveField("global" if seen else "none")
    else:
        found = ReceptiveField(
            "local",
            size=tuple(ends),
            stride=tuple(_stride(reach) for reach in field.reaches),
            start=tuple(_start(reach) for reach in field.reaches),
        )
    object.__setattr__(found, "_exact", exact)  # frozen, but this is no part of the data
    return found


def _rows_whole(field: Field) -> Field:
    """An axis in several digits of which one at most makes a difference (sub-pixels, not a token grid) as one digit."""
    for axis, sizes in enumerate(field.axes):
        digits = range(field.digit(axis), field.digit(axis) + len(sizes))
        if sum(not all(reach.is_constant(digit) for reach in field.reaches) for digit in digits) <= 1:
            field = field.fused(axis)
    return field


def _largest(reach: Reach) -> int | None:
    seen = reach.low <= reach.high
    width = np.max((reach.high - reach.low)[seen], initial=-1.0) if seen.any() else inf
    return None if width == inf else int(width) + 1


def _stride(reach: Reach) -> Step | None:
    """Pixels an index, when exactly one digit moves the field and goes on as it began."""
    moving = [d for d in range(reach.low.ndim) if reach.steps[d] or reach.whole[d]]
    step = reach.steps[moving[0]] if len(moving) == 1 else None
    if not step:
        return None
    rate = Fraction(step) / reach.low.shape[moving[0]]
    return int(rate) if rate.denominator == 1 else float(rate)


def _start(reach: Reach) -> int | None:
    """The first pixel of the first position, over all channels."""
    if _largest(reach) is None:
        return None
    first = reach
    for digit in range(reach.low.ndim):
        if reach.moves(digit) or reach.steps[digit] is not None:
            first = first.fixed(digit)
    low = first.low.min()
    return int(low) if np.isfinite(low) else None
