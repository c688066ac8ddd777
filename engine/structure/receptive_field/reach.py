"""Reach: for one axis of the image, the interval of pixels that every element of a tensor looks at.

A tensor's index is written in digits (mostly one an axis; an axis that was merged from several has several). Along a
digit a reach is one of

- periodic: the array holds one period of length P, and P further on the interval has moved by `step` pixels:
  low(i) = low[i mod P] + step * (i div P). It goes on beyond both ends of the tensor, so padding has a place, too.
  A plain layer of stride s has P = 1 and step s; what does not depend on the digit has P = 1 and step 0.
- finite (step None): the array holds every index, and beyond its ends there is nothing to look at.

Nothing looked at is low = +inf, high = -inf; the whole image axis is low = -inf, high = +inf.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd, lcm
from typing import Any

import numpy as np

MAX_PERIOD = 4096  # beyond it a period says no more than the list of all indices
MAX_ENTRIES = 1 << 23


class Unknown(Exception):
    """The receptive field cannot be known."""


@dataclass(frozen=True, eq=False)
class Reach:
    """Intervals [low, high] of pixels, both ends included. One array dimension a digit of the tensor's index."""

    low: np.ndarray  # float64
    high: np.ndarray  # float64, same shape
    steps: tuple[float | None, ...]
    whole: tuple[bool, ...]  # the digit runs over a whole axis of the image, so its union is the whole axis
    extent: float  # pixels of the image axis; inf where intervals are kept inside the image

    @property
    def indifferent(self) -> bool:
        """Whether every interval is empty or the whole axis, so that no step moves it."""
        return not np.isfinite(self.low).any()

    def moves(self, digit: int) -> bool:
        """Whether the digit runs along the image axis."""
        return bool(self.steps[digit]) or self.whole[digit]

    def is_constant(self, digit: int) -> bool:
        """Whether the digit makes no difference."""
        return self.low.shape[digit] == 1 and self.steps[digit] == 0

    def at(self, digit: int, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The intervals at these indices of a digit, whether inside the tensor or virtually beyond it."""
        step = self.steps[digit]
        length = self.low.shape[digit]
        column = (-1, *(1,) * (self.low.ndim - digit - 1))
        if step is not None:
            turns, phases = np.divmod(indices, length)
            shift = (turns * step).reshape(column)
            return np.take(self.low, phases, digit) + shift, np.take(self.high, phases, digit) + shift
        inside = ((indices >= 0) & (indices < length)).reshape(column)
        near = np.clip(indices, 0, length - 1)
        low, high = np.take(self.low, near, digit), np.take(self.high, near, digit)
        return np.where(inside, low, np.inf), np.where(inside, high, -np.inf)

    def listed(self, digit: int, indices: np.ndarray) -> Reach:
        """The digit replaced by a list of its indices, as a finite one."""
        return self._with(digit, *self.at(digit, indices), None, self.moves(digit))

    def fixed(self, digit: int, index: int = 0) -> Reach:
        """The digit at one index, which from now on makes no difference."""
        return self._with(digit, *self.at(digit, np.array([index])), 0.0, False)

    def single(self, digit: int) -> Reach:
        """A digit with one index only, which from now on makes no difference.

        If that one element looks at the whole image it is global: it stands for no place any more.
        """
        moved = self.moves(digit)
        reach = self.fixed(digit)
        covers = (reach.low <= 0) & (reach.high >= reach.extent - 1)
        if not moved or not covers.any():
            return reach
        low, high = np.where(covers, -np.inf, reach.low), np.where(covers, np.inf, reach.high)
        return shortest(replace(reach, low=low, high=high))

    def resampled(
        self,
        digit: int,
        count: int,  # output indices
        taps: Callable[[np.ndarray, bool], tuple[np.ndarray, np.ndarray | None]],
        rate: Fraction,  # input indices an output index
    ) -> Reach:
        """A digit whose new index k looks at several old indices.

        `taps(k [K], finite) -> (indices [K, T], used [K, T] or None)`; `finite`: old indices end with the tensor.
        """
        if self.is_constant(digit):
            return self
        step, length = self.steps[digit], self.low.shape[digit]
        if step is None or rate == 0:
            count, new_step = count, None
        else:
            count = rate.denominator * (length // gcd(length, abs(rate.numerator)))
            new_step = float(step * (rate * count) / length)
        indices, used = taps(np.arange(count), step is None)
        if length == 1 and step and used is None:  # a plain layer: the same interval, moved
            return self._moved(digit, indices * step, new_step)
        _check_size(self.low.size // length * indices.size)
        low, high = self.at(digit, indices.reshape(-1))
        shape = (*low.shape[:digit], *indices.shape, *low.shape[digit + 1 :])
        low, high = low.reshape(shape), high.reshape(shape)
        if used is not None:
            mask = used.reshape((*used.shape, *(1,) * (low.ndim - digit - 2)))
            low, high = np.where(mask, low, np.inf), np.where(mask, high, -np.inf)
        return self._with(digit, low.min(digit + 1), high.max(digit + 1), new_step, self.whole[digit])

    def _moved(self, digit: int, shifts: np.ndarray, step: float | None) -> Reach:
        """Unions of the one interval of a digit, moved by `shifts` [K, T] pixels."""
        column = (-1, *(1,) * (self.low.ndim - digit - 1))
        low = self.low + shifts.min(1).reshape(column)
        return self._with(digit, low, self.high + shifts.max(1).reshape(column), step, self.whole[digit])

    def only_where(self, digit: int, some: np.ndarray) -> Reach:
        """A digit that makes no difference, written out: the same interval where `some` is true, else nothing."""
        mask = some.reshape((-1, *(1,) * (self.low.ndim - digit - 1)))
        low, high = np.where(mask, self.low, np.inf), np.where(mask, self.high, -np.inf)
        return self._with(digit, low, high, None, False)

    def united(self, digit: int, size: int) -> Reach:
        """The union over a digit of `size` indices, which from now on makes no difference."""
        if self.is_constant(digit):
            return self
        if size == 1:
            return self.single(digit)
        low, high = self.low.min(digit, keepdims=True), self.high.max(digit, keepdims=True)
        if self.moves(digit):
            seen = low <= high
            low, high = np.where(seen, -np.inf, low), np.where(seen, np.inf, high)
        return self._with(digit, low, high, 0.0, False)

    def _with(self, digit: int, low: np.ndarray, high: np.ndarray, step: float | None, whole: bool) -> Reach:
        steps, wholes = _changed(self.steps, digit, step), _changed(self.whole, digit, whole)
        return Reach(low, high, steps, wholes, self.extent).canonical(digit)

    def canonical(self, digit: int) -> Reach:
        """The same reach with the shortest array for this digit."""
        length, step = self.low.shape[digit], self.steps[digit]
        if length == 1 and step is not None and not (self.indifferent if step else self.whole[digit]):
            return self
        if step and self.indifferent:
            return replace(self, steps=_changed(self.steps, digit, 0.0)).canonical(digit)
        if not step and self._repeats(digit, 1, 0.0):
            return self._shortened(digit, 1, 0.0)
        for period in range(1, length // 2 + 1 if step is not None else 0):
            if length % period == 0 and self._repeats(digit, period, (step or 0.0) * period / length):
                return self._shortened(digit, period, (step or 0.0) * period / length)
        return self

    def _repeats(self, digit: int, period: int, step: float) -> bool:
        low, high = np.moveaxis(self.low, digit, 0), np.moveaxis(self.high, digit, 0)
        return np.array_equal(low[period:], low[:-period] + step) and np.array_equal(
            high[period:], high[:-period] + step
        )

    def _shortened(self, digit: int, period: int, step: float) -> Reach:
        keep = (*(slice(None),) * digit, slice(period))
        constant = period == 1 and step == 0
        steps = _changed(self.steps, digit, step)
        wholes = _changed(self.whole, digit, self.whole[digit] and not constant)
        return Reach(self.low[keep], self.high[keep], steps, wholes, self.extent)


def _changed(values: tuple[Any, ...], place: int, value: object) -> tuple[Any, ...]:
    """A tuple with one entry replaced."""
    return (*values[:place], value, *values[place + 1 :])


def nothing(digits: int) -> Reach:
    """The reach of a tensor that does not depend on the image."""
    shape = (1,) * digits
    return Reach(np.full(shape, np.inf), np.full(shape, -np.inf), (0.0,) * digits, (False,) * digits, np.inf)


def aligned(reaches: Sequence[Reach], sizes: Sequence[int], skip: int | None = None) -> list[Reach]:
    """The same reaches over common periods, so that their arrays broadcast; `skip`: a digit to leave alone."""
    for digit, size in enumerate(sizes):
        if digit != skip:
            reaches = _aligned_digit(reaches, digit, size)
    return list(reaches)


def _aligned_digit(reaches: Sequence[Reach], digit: int, size: int) -> list[Reach]:
    if all(r.is_constant(digit) for r in reaches):
        return list(reaches)
    movers = [r for r in reaches if not (r.indifferent and r.is_constant(digit))]
    rates = {Fraction(step) / r.low.shape[digit] if (step := r.steps[digit]) is not None else None for r in movers}
    whole = any(r.moves(digit) for r in movers)
    period = lcm(*(r.low.shape[digit] for r in movers))
    rate = next(iter(rates)) if len(rates) == 1 else None
    step = None
    if rate is None or period > MAX_PERIOD:
        period = size
    else:
        step, whole = float(rate * period), any(r.whole[digit] for r in movers)
    return [_spread(r, digit, period, step, whole) for r in reaches]


def _spread(reach: Reach, digit: int, period: int, step: float | None, whole: bool) -> Reach:
    """The digit written out over `period` indices, not shortened again."""
    low, high = reach.at(digit, np.arange(period))
    _check_size(low.size)
    steps = _changed(reach.steps, digit, step)
    return replace(reach, low=low, high=high, steps=steps, whole=_changed(reach.whole, digit, whole))


def common_lengths(reaches: Sequence[Reach], sizes: Sequence[int]) -> list[Reach]:
    """The same reaches with arrays of equal lengths; unlike `aligned`, each keeps moving at its own rate."""
    result = list(reaches)
    for digit, size in enumerate(sizes):
        finite = any(r.steps[digit] is None for r in result)
        length = lcm(*(r.low.shape[digit] for r in result))
        if finite or length > MAX_PERIOD:
            result = [_spread(r, digit, size, None, r.moves(digit)) for r in result]
        else:
            result = [_spread(r, digit, length, _step(r, digit, length), r.whole[digit]) for r in result]
    return result


def _step(reach: Reach, digit: int, length: int) -> float:
    return (reach.steps[digit] or 0.0) * length / reach.low.shape[digit]


def union(reaches: Sequence[Reach], sizes: Sequence[int]) -> Reach:
    """Everything that any of them looks at."""
    if all(r is reaches[0] for r in reaches):
        return reaches[0]
    return merged(aligned(reaches, sizes))


def merged(reaches: Sequence[Reach]) -> Reach:
    """The union of aligned reaches."""
    low, high = reaches[0].low, reaches[0].high
    for other in reaches[1:]:
        low, high = np.minimum(low, other.low), np.maximum(high, other.high)
        _check_size(low.size)
    whole = tuple(any(flags) for flags in zip(*(r.whole for r in reaches), strict=True))
    return shortest(Reach(low, high, reaches[0].steps, whole, min(r.extent for r in reaches)))


def shortest(reach: Reach) -> Reach:
    """The same reach with the shortest arrays."""
    for digit in range(reach.low.ndim):
        reach = reach.canonical(digit)
    return reach


def _check_size(entries: int) -> None:
    if entries > MAX_ENTRIES:
        raise Unknown(f"the field differs at {entries} places")
