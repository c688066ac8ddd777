"""unpool: max pooling run backwards, every value to the place where it was found.

Zeiler & Fergus, arXiv:1311.2901, section 2.1; with `overlap="add"` max pooling's gradient.

A switch is the place of a window's maximum. Three ways of writing it are taken:

- uint8 or int32: the place inside the window, numbered row after row from 0; one byte does for windows of at most
  256 places, and is the fastest
- int64: the place flat in the plane, as torch's `return_indices` gives it
- ONNX's Indices, flat over the whole tensor: `plane_places` makes int64 switches of them
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Literal, get_args

import numpy as np

from ..arrays import Array, as_kind, contiguous, device_name, dtype_name, empty, host, needs_gradient
from ..checks import check_arrays, check_dtype, check_output, check_shape
from ..dispatch import choose
from .window import Geometry, Ints, Window

Overlap = Literal["add", "overwrite"]


def unpool(
    y: Array,  # [..., *windows]: the last axes, as many as `kernel` has numbers
    switches: Array,  # the same shape: uint8, int32 or int64
    kernel: Sequence[int],
    *,
    stride: Ints | None = None,  # the kernel's
    padding: Ints = 0,  # or ONNX's pads: in front of all axes, then behind
    dilation: Ints = 1,
    size: Sequence[int] | None = None,  # of the output's last axes; the smallest possible
    overlap: Overlap = "add",  # what windows that share a place do: as max pooling's gradient, or the last one stays
    relu: bool = False,  # of the result
    out: Array | None = None,  # to write into
) -> Array:  # [..., *size]
    """Put each value at its switch's place, and zero elsewhere.

    float32 and float64 on CPU; float32, float16 and bfloat16 on CUDA. A torch tensor that needs gradients gets them.
    Raises TypeError or ValueError where arrays do not fit or a switch is no place of its window inside the output;
    nothing was written then.
    """
    check_arrays(y=y, switches=switches)
    check_shape("switches", switches, y.shape)
    if overlap not in get_args(Overlap):
        raise ValueError(f"overlap is {overlap!r}, expected {' or '.join(map(repr, get_args(Overlap)))}")
    geometry = _geometry("y", y, Window.of(kernel, stride, padding, dilation), size)
    switches = _checked(choose(y=y), geometry, switches)
    shape = (*_planes(y, geometry), *geometry.size)
    if needs_gradient(y):
        if out is not None:
            raise ValueError("out cannot take what needs a gradient: detach y, or leave out away")
        from .autograd import Unpool

        return Unpool.apply(y, switches, geometry, shape, overlap == "overwrite", relu)
    if out is not None:
        check_arrays(y=y, out=out)
        check_dtype("out", out, [dtype_name(y)])
        check_output("out", out, shape, y=y, switches=switches)
    return run(y, switches, geometry, empty(shape, y) if out is None else out, overlap == "overwrite", relu)


def values_at(
    x: Array,  # [..., *size]
    switches: Array,  # [..., *windows]: uint8, int32 or int64
    kernel: Sequence[int],
    *,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
) -> Array:  # [..., *windows]
    """What x has at each switch's place: max pooling with given switches, and the gradient of `unpool`.

    Types and errors as `unpool`'s; gradients do not flow.
    """
    check_arrays(x=x, switches=switches)
    window = Window.of(kernel, stride, padding, dilation)
    axes = len(window.kernel)
    geometry = _geometry("switches", switches, window, x.shape[-axes:])
    check_shape("switches", switches, (*x.shape[:-axes], *geometry.windows))
    backend = choose(x=x)
    return take(x, _checked(backend, geometry, switches), geometry)


def max_pool(
    x: Array,  # [..., *size] float32 or float64, on the CPU
    kernel: Sequence[int],
    *,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
) -> tuple[Array, Array]:  # both [..., *windows]
    """Each window's maximum and its switch: uint8, or int32 where the window has more than 256 places.

    The first of equal values is taken. For tests and small arrays: networks' runtimes pool faster.
    """
    from .reference import max_pool as pool

    check_arrays(x=x)
    check_dtype("x", x, ["float32", "float64"])
    if device_name(x) != "cpu":
        raise ValueError(f"x lies on {device_name(x)}, expected on cpu: move it there")
    window = Window.of(kernel, stride, padding, dilation)
    axes = len(window.kernel)
    size = tuple(x.shape[-axes:])
    lead = tuple(x.shape[:-axes])
    geometry = Geometry(window, math.prod(lead), window.windows(size, ceil_mode=ceil_mode), size)
    y = np.empty((geometry.planes, *geometry.windows), host(x).dtype)
    switches = np.empty(y.shape, _switch_dtype(window))
    pool(geometry, host(x).reshape(-1, *size), y, switches)
    shape = (*lead, *geometry.windows)
    return as_kind(y.reshape(shape), x), as_kind(switches.reshape(shape), x)


def plane_places(
    indices: Array,  # [N, C, *windows] int64: the second output of ONNX's MaxPool
    size: Sequence[int],  # of the pooling's input, without N and C
    *,
    column_major: bool = False,  # ONNX's storage_order 1
) -> Array:  # the same shape
    """ONNX's indices, which are flat over the whole tensor, as int64 switches: flat in their plane, row after row."""
    check_arrays(indices=indices)
    check_dtype("indices", indices, ["int64"])
    places = indices % math.prod(size)
    if not column_major:
        return places
    flat, width = places * 0, 1
    for axis, extent in enumerate(size):  # the first axis is the fastest
        flat = flat + places // width % extent * math.prod(size[axis + 1 :])
        width *= extent
    return flat


def run(y: Array, switches: Array, geometry: Geometry, out: Array, overwrite: bool, relu: bool) -> Array:
    """unpool on arrays that were checked; returns out."""
    backend = choose(y=y)
    _form(backend).unpool(geometry, *_given(backend, y, switches, out), overwrite, relu)
    return out


def take(x: Array, switches: Array, geometry: Geometry) -> Array:
    """values_at on arrays that were checked."""
    values = empty(switches.shape, x)
    backend = choose(x=x)
    _form(backend).values_at(geometry, *_given(backend, x, switches, values))
    return values


def _form(backend: str) -> Any:
    return import_module(f".{backend}", __name__)


def _given(backend: str, *arrays: Array) -> tuple[Array, ...]:
    arrays = tuple(map(contiguous, arrays))
    return tuple(map(host, arrays)) if backend == "reference" else arrays


def _geometry(name: str, pooled: Array, window: Window, size: Sequence[int] | None) -> Geometry:
    axes = len(window.kernel)
    if pooled.ndim < axes:
        raise ValueError(
            f"{name} has shape {list(pooled.shape)}, expected the {axes} axes of the kernel {window.kernel}"
        )
    windows = tuple(pooled.shape[-axes:])
    size = window.least_size(windows) if size is None else tuple(size)
    if len(size) != axes or min(size) < 0:
        raise ValueError(f"size is {list(size)}, expected {axes} numbers as in kernel, none below 0")
    floor, ceil = window.windows(size), window.windows(size, ceil_mode=True)
    if any(count not in pair for count, *pair in zip(windows, floor, ceil, strict=True)):
        expected = str(list(floor)) if floor == ceil else f"{list(floor)} (with ceil mode {list(ceil)})"
        raise ValueError(f"{name} has {list(windows)} windows, expected {expected} for a size of {list(size)}")
    return Geometry(window, math.prod(pooled.shape[:-axes]), windows, size)


def _checked(backend: str, geometry: Geometry, switches: Array) -> Array:
    """The switches as places in their windows, each of which is inside the output."""
    check_dtype("switches", switches, ["uint8", "int32", "int64"])
    switches = contiguous(switches)
    if dtype_name(switches) == "int64":
        own = empty(switches.shape, switches, _switch_dtype(geometry.window))
        wrong = _form(backend).switches_of_places(geometry, *_given(backend, switches, own))
    else:
        own = switches
        wrong = _form(backend).first_invalid(geometry, *_given(backend, switches))
    if wrong >= 0:
        at = [int(index) for index in np.unravel_index(wrong, tuple(switches.shape))]
        found = f"switches{at} is {int(switches[tuple(at)])}"
        counted = "flat in the plane" if own is not switches else "in the window"
        place = f"a place ({counted}) of its window inside the output of {list(geometry.size)}"
        raise ValueError(f"{found}, expected {place}: hand in what a pooling with {geometry.window} recorded")
    return own


def _switch_dtype(window: Window) -> str:
    return "uint8" if window.places <= 256 else "int32"


def _planes(array: Array, geometry: Geometry) -> tuple[int, ...]:
    return tuple(array.shape[: -len(geometry.windows)])
