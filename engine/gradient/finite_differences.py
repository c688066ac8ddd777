"""Gradients of the torch bridge against finite differences of what onnxruntime computes.

The mathematics. Let f(x) = sum w·y(x) be one number of a network's outputs y, with seeded random weights w. Along the
segment from x - s to x + s the fundamental theorem of calculus says

    f(x + s) - f(x - s) = integral over t in [-1, 1] of <grad f(x + t s), s> dt.

The left side is onnxruntime's alone (float32 outputs, summed in float64), the right side the bridge's gradients alone.
With one quadrature point in the middle the right side is 2 <grad f(x), s>: the usual central difference. That fails for
networks: a short step drowns in float32 rounding, a long one crosses thousands of ReLU kinks, at which the gradient
jumps. The integral does not mind kinks (f is continuous and differentiable almost everywhere), so steps may be long
enough for float32; Gauss-Legendre quadrature with more and more points, until two rules agree, evaluates it.

The equation does not hold across jumps of f: where another box is kept, another value is the largest. Such choices
are compared at the ends, and the step is shortened until they are equal.

The step is as long as needed for rounding to be a twentieth of the bar, and no longer. Rounding is measured: by how
much onnxruntime and the bridge, which round in different orders, differ in y at the ends.

Directions. Half gradient, half random: a large signal, so a sharp bar; it finds wrong factors. But what a gradient
lacks altogether (a branch cut off, a part of the image) it can hide from a direction made of itself. So there are also
directions of pure noise. They know nothing of the gradient g; an error e in it changes <g, s> by |e| |s| / sqrt(n) on
average. Errors are relative to what the difference is, but at least to what it typically is: |g| |s| / sqrt(n).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal, TypeAlias

import numpy as np

from ...importers.errors import InputError
from ...importers.provenance import SEED
from .projection import Point, Projection

Kind: TypeAlias = Literal["gradient", "random"]

BARS: Mapping[Kind, float] = {"gradient": 0.01, "random": 0.05}  # of the difference
_ROUNDING = 1 / 20  # of the bar: what rounding may take of it
_AGREE = 1 / 5  # of the bar: how near two quadrature rules must be
POINTS = (1, 2, 4, 8, 16, 32)  # of the rules
_SHORTEST, _LONGEST = 1e-5, 0.1  # steps: root mean square over the inputs' elements, in their standard deviations
_SHORTER = (1, 1 / 4, 1 / 16, 1 / 64)  # of the step, to get clear of a jump


@dataclass(frozen=True)
class Derivative:
    """One direction: what onnxruntime's outputs do along it, and what the bridge's gradients say they do."""

    direction: Kind  # half along the gradient and half random, or random
    step: float  # root mean square over the inputs' elements, in their standard deviations
    difference: float  # f(x + s) - f(x - s) of onnxruntime
    integral: float  # of the bridge's gradient along the segment
    error: float  # their difference, as a share
    uncertain: float  # by how much that may be off: onnxruntime's rounding, and how far two quadrature rules are apart

    @property
    def bar(self) -> float:
        """Largest error allowed."""
        return BARS[self.direction]

    @property
    def conclusive(self) -> bool:
        """Whether the measurement is sharp enough to tell."""
        return self.uncertain <= self.bar / 2

    @property
    def passed(self) -> bool:
        """Whether the two agree, as far as it can be told."""
        return self.error - self.uncertain <= self.bar


@dataclass(frozen=True)
class GradientCheck:
    """All directions, or why there are none."""

    derivatives: tuple[Derivative, ...] = ()
    note: str = ""  # why nothing, or not everything, was checked

    @property
    def checked(self) -> bool:
        """Whether there is a verdict."""
        return any(row.conclusive for row in self.derivatives)

    @property
    def failed(self) -> bool:
        """Whether, of a kind of direction, most are over the bar: one may have met a jump."""
        kinds = {
            row.direction: [other for other in self._telling if other.direction == row.direction]
            for row in self._telling
        }
        return any(2 * sum(row.passed for row in rows) < len(rows) for rows in kinds.values())

    @property
    def errors(self) -> dict[Kind, float]:
        """Kind of direction -> median error of those that can tell."""
        kinds = dict.fromkeys(row.direction for row in self._telling)
        return {kind: median(row.error for row in self._telling if row.direction == kind) for kind in kinds}

    @property
    def _telling(self) -> list[Derivative]:
        return [row for row in self.derivatives if row.conclusive]


def check_gradients(function: Projection, directions: Sequence[Kind], points: Sequence[int] = POINTS) -> GradientCheck:
    """The bridge's gradient at the centre of `function`, along some directions; `points` of the quadrature rules."""
    if not function.centre:
        return GradientCheck(note="no input takes real numbers")
    if not function.weights:
        return GradientCheck(note="no output holds real numbers")
    if not function.is_differentiable:
        return GradientCheck(note="no output depends on an input by differentiable operators only")
    generator = np.random.default_rng(SEED)
    try:
        found = [_derivative(function, kind, generator, points) for kind in directions]
    except InputError as error:
        return GradientCheck(note=str(error))
    rows = tuple(row for row in found if row is not None)
    if not rows:
        return GradientCheck(note="the outputs jump wherever the inputs change (which boxes are kept, say)")
    note = (
        "" if any(row.conclusive for row in rows) else "finite differences are too uncertain here (rounding, or kinks)"
    )
    return GradientCheck(rows, note)


def _derivative(
    function: Projection, kind: Kind, generator: np.random.Generator, points: Sequence[int]
) -> Derivative | None:
    """One direction; None where a jump lies in it."""
    ends = _ends(function, _direction(function, kind, generator), kind)
    if ends is None:
        return None
    upper, lower = ends
    above, below = function.onnxruntime(upper), function.onnxruntime(lower)
    rounding = np.hypot((above - function.bridge(upper)).length(), (below - function.bridge(lower)).length())
    middle, step = (upper + lower) * 0.5, (upper - lower) * 0.5
    difference = (above - below).total()
    length = (step * _inverse(function.scale)).length() / np.sqrt(step.elements())
    typical = 2 * length * function.slope.length()
    agree = BARS[kind] * _AGREE * max(abs(difference), typical)
    integral, change = _integral(function, middle, step, points, agree)
    share = max(abs(difference), abs(integral), typical) or 1.0
    error = abs(difference - integral) / share
    return Derivative(
        kind, float(length), difference, integral, float(error), float(np.hypot(rounding, change) / share)
    )


def _direction(function: Projection, kind: Kind, generator: np.random.Generator) -> Point:
    """In units of the inputs' spreads; its root mean square over all elements is 1."""
    direction = Point({name: generator.normal(size=value.shape) for name, value in function.centre.items()})
    if kind == "gradient":
        direction *= 1 / direction.length()
        direction += function.slope * (1 / (function.slope.length() or 1.0))
    return direction * float(np.sqrt(direction.elements()) / direction.length())


def _ends(function: Projection, direction: Point, kind: Kind) -> tuple[Point, Point] | None:
    """x + s and x - s as onnxruntime gets them, with no jump between; None where even a short s has one."""
    slope = max(abs(function.slope.dot(direction)), function.slope.length())
    allowed = 2 * slope * BARS[kind] * _ROUNDING
    needed = function.rounding / allowed if allowed else _LONGEST  # no gradient at all: it must show over a long step
    whole = max((1 / function.scale[name] for name in function.whole), default=0.0)
    length = float(np.clip(needed, max(_SHORTEST, whole), max(_LONGEST, whole)))
    for shorter in _SHORTER:
        step = direction * function.scale * (length * shorter)
        upper, lower = function.fed(function.centre + step), function.fed(function.centre - step)
        if not function.jumps(upper, lower):
            return upper, lower
    return None


def _integral(
    function: Projection, middle: Point, step: Point, points: Sequence[int], agree: float
) -> tuple[float, float]:
    """Of the directional derivative over the segment, by rules of more and more points until two agree; and by how
    much the last two differ."""
    found, change = np.inf, np.inf
    for count in points:
        places, weights = np.polynomial.legendre.leggauss(count)
        slopes = (function.gradient(middle + step * float(place)).dot(step) for place in places)
        last, found = found, sum(float(weight) * slope for weight, slope in zip(weights, slopes, strict=True))
        change = abs(found - last)
        if change <= agree:
            break
    return found, change


def _inverse(scale: Mapping[str, float]) -> dict[str, float]:
    return {name: 1 / value for name, value in scale.items()}
