"""Rules of Resize and Upsample: which input elements an output element interpolates between.

Coordinates are fractions, not floats, so that "exactly on an element" is exact: there only one element counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ..graph import Node
from .field import Field
from .reach import Unknown
from .windows import Context, Taps, slide

_RADIUS = {"linear": 1, "cubic": 2}


@dataclass(frozen=True)
class _Axis:
    """How one axis is resized: output index k stands at input coordinate rate * k + origin."""

    inputs: int
    outputs: int
    rate: Fraction
    origin: Fraction


def resize(context: Context, node: Node) -> Field:
    """Resize in every mode but tf_crop_and_resize with a region that is not constant."""
    field = context.field(node.inputs[0])
    if field is None or any(context.field(name) is not None for name in node.inputs[1:] if name):
        raise Unknown("size that depends on the image")
    outputs = context.shape(node.outputs[0])
    for axis, size in enumerate(outputs):
        old = field.shape[axis]
        scale = _scale(context, node, axis, old, size)
        place = _placed(context, node, axis, old, size, scale)
        if place.rate == 1 and place.origin == 0 and old == size:
            continue
        field = slide(field, axis, size, _taps(node, place, scale), place.rate)
    return field


def _axes(node: Node, rank: int) -> list[int]:
    return [axis % rank for axis in node.attribute("axes", range(rank))]


def _scale(context: Context, node: Node, axis: int, old: int, new: int) -> Fraction:
    """Outputs an input element: the file's own number where it gives one, else the ratio of sizes."""
    rank = len(context.shape(node.inputs[0]))
    axes = _axes(node, rank)
    if axis not in axes:
        return Fraction(1)
    scales = _given_scales(context, node)
    if scales is not None:
        # float32 in the file: 1/3 is meant where 0.33333334 is written.
        return Fraction(float(scales[axes.index(axis)])).limit_denominator(1000)
    policy = node.attribute("keep_aspect_ratio_policy", "stretch")
    if policy != "stretch":
        wanted = context.constant(node.inputs[3])
        sizes = context.shape(node.inputs[0])
        ratios = [Fraction(int(size), sizes[a]) for size, a in zip(wanted, axes, strict=True)]
        return min(ratios) if policy == "not_larger" else max(ratios)
    return Fraction(new, old)


def _given_scales(context: Context, node: Node) -> np.ndarray | None:
    if "scales" in node.attributes:
        return np.asarray(node.attribute("scales"))
    position = 1 if len(node.inputs) == 2 else 2  # before opset 11 there was no roi
    name = node.inputs[position] if position < len(node.inputs) else ""
    shape = context.graph.shape(name) if name else (0,)
    return None if shape == (0,) else context.constant(name)


def _placed(context: Context, node: Node, axis: int, old: int, new: int, scale: Fraction) -> _Axis:
    mode = node.attribute("coordinate_transformation_mode", "asymmetric" if _is_old(node) else "half_pixel")
    half = Fraction(1, 2)
    rate = 1 / scale
    centred = half * rate - half
    if mode == "asymmetric":
        return _Axis(old, new, rate, Fraction(0))
    if mode == "align_corners":
        return _Axis(old, new, Fraction(old - 1, new - 1) if new > 1 else Fraction(0), Fraction(0))
    if mode == "tf_half_pixel_for_nn":
        return _Axis(old, new, rate, half * rate)
    if mode == "pytorch_half_pixel" and new == 1:
        return _Axis(old, new, Fraction(0), Fraction(0))
    if mode == "half_pixel_symmetric":
        exact = scale * old
        return _Axis(old, new, rate, Fraction(old, 2) * (1 - Fraction(new) / exact) + centred)
    if mode == "tf_crop_and_resize":
        return _cropped(context, node, axis, old, new)
    return _Axis(old, new, rate, centred)


def _is_old(node: Node) -> bool:
    """Upsample, and Resize of opset 10 (data and scales only): they had one way to place and round coordinates."""
    modern = "coordinate_transformation_mode" in node.attributes or "nearest_mode" in node.attributes
    return node.op == "Upsample" or (len(node.inputs) == 2 and not modern)


def _cropped(context: Context, node: Node, axis: int, old: int, new: int) -> _Axis:
    rank = len(context.shape(node.inputs[0]))
    axes = _axes(node, rank)
    if axis not in axes:
        return _Axis(old, new, Fraction(1), Fraction(0))
    region = context.constant(node.inputs[1])
    place = axes.index(axis)
    start, end = (Fraction(float(region[i])).limit_denominator(10000) for i in (place, place + len(axes)))
    if new == 1:
        return _Axis(old, new, Fraction(0), (start + end) * (old - 1) / 2)
    return _Axis(old, new, (end - start) * (old - 1) / (new - 1), start * (old - 1))


def _taps(node: Node, place: _Axis, scale: Fraction) -> Taps:
    mode = str(node.attribute("mode", "nearest"))
    if mode == "nearest":
        rounding = node.attribute("nearest_mode", "floor" if _is_old(node) else "round_prefer_floor")
        return _nearest(place, _ROUNDING[str(rounding)])
    if mode not in _RADIUS:
        raise Unknown(f"interpolation {mode}")
    shrink = max(1 / scale, Fraction(1)) if node.attribute("antialias") else Fraction(1)
    zero = shrink if mode == "cubic" else None
    return _weighted(place, _RADIUS[mode] * shrink, zero, bool(node.attribute("exclude_outside")))


def _coordinates(place: _Axis, k: np.ndarray) -> tuple[np.ndarray, int]:
    """Input coordinates as integers over a common denominator."""
    denominator = place.rate.denominator * place.origin.denominator
    slope, offset = int(place.rate * denominator), int(place.origin * denominator)
    return k * slope + offset, denominator


_ROUNDING: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "floor": lambda x, d: x // d,
    "ceil": lambda x, d: -(-x // d),
    "round_prefer_floor": lambda x, d: -((d - 2 * x) // (2 * d)),
    "round_prefer_ceil": lambda x, d: (2 * x + d) // (2 * d),
}


def _nearest(place: _Axis, rounding: Callable[[np.ndarray, int], np.ndarray]) -> Taps:
    def taps(k: np.ndarray, finite: bool) -> tuple[np.ndarray, None]:
        nearest = rounding(*_coordinates(place, k))
        return (np.clip(nearest, 0, place.inputs - 1) if finite else nearest)[:, None], None

    return taps


def _weighted(place: _Axis, radius: Fraction, zero: Fraction | None, exclude_outside: bool) -> Taps:
    """Elements nearer than `radius` to the coordinate, but for those at distance `zero`, where a cubic weight vanishes.

    Beyond the border the outermost element stands in.
    """
    reach = int(radius) + 1

    def taps(k: np.ndarray, finite: bool) -> tuple[np.ndarray, np.ndarray]:
        x, denominator = _coordinates(place, k)
        places = (x // denominator)[:, None] + np.arange(-reach, reach + 1)
        distance = np.abs(places * denominator - x[:, None])
        used = distance * radius.denominator < radius.numerator * denominator
        if zero is not None:
            used &= distance * zero.denominator != zero.numerator * denominator
        inside = (places >= 0) & (places < place.inputs)
        if finite and exclude_outside:
            used &= inside
        return np.clip(places, 0, place.inputs - 1) if finite else places, used

    return taps
