"""The definition of unpooling, in NumPy. Arrays are [planes, *windows] and [planes, *size]."""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from .window import Geometry


def unpool(
    geometry: Geometry, y: np.ndarray, switches: np.ndarray, out: np.ndarray, overwrite: bool, relu: bool
) -> None:
    """Each value of y goes to its switch's place in out; later windows are added to earlier ones or replace them."""
    places = _places(geometry, switches)
    out[:] = 0
    for plane, values, to in zip(
        out.reshape(geometry.planes, math.prod(geometry.size)), y.reshape(places.shape), places, strict=True
    ):
        if overwrite:
            plane[to] = values  # of several values for a place NumPy leaves the last
        else:
            np.add.at(plane, to, values)
    if relu:
        np.maximum(out, 0, out=out)


def values_at(geometry: Geometry, x: np.ndarray, switches: np.ndarray, values: np.ndarray) -> None:
    """values: what x has at each switch's place."""
    places = _places(geometry, switches)
    taken = np.take_along_axis(x.reshape(geometry.planes, math.prod(geometry.size)), places, axis=1)
    values[...] = taken.reshape(values.shape)


def first_invalid(geometry: Geometry, switches: np.ndarray) -> int:
    """Flat index of the first switch that is no place of its window inside the output, or -1."""
    valid = (switches >= 0) & (switches < geometry.window.places)
    for at, size in zip(_positions(geometry, np.where(valid, switches, 0)), geometry.size, strict=True):
        valid &= (at >= 0) & (at < size)
    return _first(~valid)


def switches_of_places(geometry: Geometry, places: np.ndarray, switches: np.ndarray) -> int:
    """switches: the places, flat in the plane, as places in their windows; the first that is in none, or -1."""
    window = geometry.window
    valid = (places >= 0) & (places < np.prod(geometry.size))
    tap_of_axis = []
    at_of_axis = (
        np.unravel_index(np.where(valid, places, 0), geometry.size) if valid.size else [places] * len(geometry.size)
    )
    for at, origin, d, k in zip(at_of_axis, _origins(geometry), window.dilation, window.kernel, strict=True):
        offset = at - origin
        valid &= (offset >= 0) & (offset % d == 0) & (offset // d < k)
        tap_of_axis.append(np.where(valid, offset // d, 0))
    switches[...] = np.ravel_multi_index(tap_of_axis, window.kernel)
    return _first(~valid)


def max_pool(geometry: Geometry, x: np.ndarray, y: np.ndarray, switches: np.ndarray) -> None:
    """Each window's largest value and its place in the window: the first of equal ones; a NaN is larger than all."""
    window = geometry.window
    y[...] = -np.inf
    seen = np.zeros(y.shape, bool)
    for tap, taps in enumerate(product(*map(range, window.kernel))):
        values, inside = _tap(geometry, x, taps)
        better = inside & (~seen | (values > y) | np.isnan(values))
        y[better], switches[better] = values[better], tap
        seen |= inside
    if not seen.all():
        raise ValueError(f"windows of {window} see nothing but padding: use less padding")


def _tap(geometry: Geometry, x: np.ndarray, taps: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """What all windows see at one of their places, and whether that is inside x."""
    code = np.ravel_multi_index(taps, geometry.window.kernel)
    positions = _positions(geometry, np.full((geometry.planes, *geometry.windows), code))
    inside = np.ones((geometry.planes, *geometry.windows), bool)
    for at, size in zip(positions, geometry.size, strict=True):
        inside &= (at >= 0) & (at < size)
    planes = np.arange(geometry.planes).reshape(-1, *[1] * len(geometry.size))
    return x[(planes, *(np.where(inside, at, 0) for at in positions))], inside


def _origins(geometry: Geometry) -> list[np.ndarray]:
    """An array an axis: where the windows begin, of shape [windows, 1, ...]."""
    axes = zip(geometry.windows, geometry.window.stride, geometry.window.before, strict=True)
    last = len(geometry.windows) - 1
    return [(np.arange(n) * s - b).reshape(-1, *[1] * (last - axis)) for axis, (n, s, b) in enumerate(axes)]


def _positions(geometry: Geometry, switches: np.ndarray) -> list[np.ndarray]:
    """An array an axis: the places of the switches."""
    taps = np.unravel_index(switches.astype(np.int64), geometry.window.kernel)
    axes = zip(_origins(geometry), taps, geometry.window.dilation, strict=True)
    return [origin + tap * d for origin, tap, d in axes]


def _places(geometry: Geometry, switches: np.ndarray) -> np.ndarray:  # [planes, windows]
    flat = np.zeros(switches.shape, np.int64)
    for at, size in zip(_positions(geometry, switches), geometry.size, strict=True):
        flat = flat * size + at
    return flat.reshape(geometry.planes, math.prod(geometry.windows))


def _first(wrong: np.ndarray) -> int:
    return int(wrong.argmax()) if wrong.any() else -1
