"""Resampling.

Resize works axis by axis: a table says where each output place lies in the input, in onnxruntime's own float32
arithmetic, as rounding decides there; then nearest picks, and linear and cubic multiply by one [out, in] matrix an
axis. Where torch's interpolate reads the same places it is called instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from ....importers.errors import InputError
from . import operator


@dataclass(frozen=True)
class _Axis:
    """How one axis is resampled."""

    axis: int
    size: int  # of the input
    out: int
    scale: float
    start: float = 0.0  # of the region for tf_crop_and_resize, in lengths of the axis
    end: float = 1.0


@dataclass(frozen=True)
class _Manner:
    """The attributes of one Resize."""

    mode: str = "nearest"
    coordinates: str = "half_pixel"
    nearest: str = "round_prefer_floor"
    cubic: float = -0.75
    exclude_outside: bool = False
    antialias: bool = False
    extrapolation: float = 0.0


@operator("Resize", since=11)
def resize(
    x: torch.Tensor,
    roi: torch.Tensor | None = None,  # [begins, ends] of the axes
    scales: torch.Tensor | None = None,
    sizes: torch.Tensor | None = None,
    *,
    antialias: int = 0,
    axes: Sequence[int] | None = None,
    coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = "stretch",
    mode: str = "nearest",
    nearest_mode: str = "round_prefer_floor",
) -> torch.Tensor:
    manner = _Manner(
        mode,
        coordinate_transformation_mode,
        nearest_mode,
        cubic_coeff_a,
        bool(exclude_outside),
        bool(antialias),
        extrapolation_value,
    )
    chosen = [axis % x.dim() for axis in axes] if axes else list(range(x.dim()))
    crop = coordinate_transformation_mode == "tf_crop_and_resize"
    regions = _regions(roi if crop else None, len(chosen))
    if sizes is not None and sizes.numel():
        plan = _to_sizes(x.shape, chosen, sizes.tolist(), regions, keep_aspect_ratio_policy)
    else:
        assert scales is not None
        plan = [
            _Axis(axis, x.shape[axis], _scaled(x.shape[axis], scale), scale, *region)
            for axis, scale, region in zip(chosen, scales.tolist(), regions, strict=True)
        ]
    return _resample(x, plan, manner)


@operator("Resize", since=10)
@operator("Upsample", since=9)
def resize_by_scales(x: torch.Tensor, scales: torch.Tensor, *, mode: str = "nearest") -> torch.Tensor:
    return upsample(x, scales=scales.tolist(), mode=mode)


@operator("Upsample", since=7)
def upsample(x: torch.Tensor, *, scales: Sequence[float], mode: str = "nearest") -> torch.Tensor:
    """Coordinates begin at zero; the nearest pixel is the one before, or after where the axis shrinks."""
    manner = _Manner("linear" if mode == "bilinear" else mode, "asymmetric", "simple")
    plan = [
        _Axis(axis, size, _scaled(size, scale), scale)
        for axis, (size, scale) in enumerate(zip(x.shape, scales, strict=True))
    ]
    return _resample(x, plan, manner)


def _scaled(size: int, scale: float) -> int:
    """The region does not count, whatever ONNX says: onnxruntime and onnx's shape inference leave it out."""
    return math.floor(np.float32(size) * np.float32(scale))


def _regions(roi: torch.Tensor | None, count: int) -> list[tuple[float, float]]:
    if roi is None or not roi.numel():
        return [(0.0, 1.0)] * count
    values = roi.tolist()
    return list(zip(values[:count], values[count:], strict=True))


def _to_sizes(
    shape: Sequence[int], axes: Sequence[int], sizes: Sequence[int], regions: list[tuple[float, float]], policy: str
) -> list[_Axis]:
    ratios = [size / shape[axis] for axis, size in zip(axes, sizes, strict=True)]
    if policy != "stretch":
        ratio = min(ratios) if policy == "not_larger" else max(ratios)
        sizes = [math.floor(np.float32(ratio) * np.float32(shape[axis]) + np.float32(0.5)) for axis in axes]
        ratios = [ratio] * len(axes)
    return [
        _Axis(axis, shape[axis], size, ratio, *region)
        for axis, size, ratio, region in zip(axes, sizes, ratios, regions, strict=True)
    ]


def _resample(x: torch.Tensor, plan: list[_Axis], manner: _Manner) -> torch.Tensor:
    """What changes of x, as onnxruntime sees it: a shape that stays leaves all, a scale of one leaves its axis."""
    if all(axis.size == axis.out for axis in plan):
        return x
    plan = [axis for axis in plan if axis.size != axis.out or (axis.scale != 1 and not manner.antialias)]
    if not x.is_floating_point() and manner.mode != "nearest":  # fractions are cut off
        return _resample(x.float(), plan, manner).to(x.dtype)
    places = [_places(axis, manner) for axis in plan]
    quick = _by_torch(x, plan, places, manner)
    if quick is not None:
        return quick
    y = x
    for axis, where in zip(plan, places, strict=True):
        y = _nearest(y, axis, where, manner) if manner.mode == "nearest" else _weighted(y, axis, where, manner)
    return _extrapolated(y, plan, places, manner) if manner.coordinates == "tf_crop_and_resize" else y


# -- where an output place lies in the input ---


def _places(axis: _Axis, manner: _Manner) -> np.ndarray:  # [out] float32
    x = np.arange(axis.out, dtype=np.float32)
    if manner.coordinates not in _COORDINATES:
        raise InputError(f"Resize with the coordinates {manner.coordinates!r}: torch has no equal")
    return np.asarray(_COORDINATES[manner.coordinates](x, axis, np.float32(axis.scale)), np.float32)


def _half_pixel(x: np.ndarray, axis: _Axis, scale: np.float32) -> np.ndarray:
    return (x + np.float32(0.5)) / scale - np.float32(0.5)


def _half_pixel_symmetric(x: np.ndarray, axis: _Axis, scale: np.float32) -> np.ndarray:
    adjustment = np.float32(axis.out) / (scale * np.float32(axis.size))
    offset = np.float32(axis.size / 2) * (1 - adjustment)
    return np.float64(offset) + (x + np.float64(0.5)) / scale - 0.5


def _align_corners(x: np.ndarray, axis: _Axis, scale: np.float32) -> np.ndarray:
    return x * np.float32(axis.size - 1) / np.float32(max(1, axis.out - 1))


def _crop(x: np.ndarray, axis: _Axis, scale: np.float32) -> np.ndarray:
    start, end, last = np.float32(axis.start), np.float32(axis.end), np.float32(axis.size - 1)
    if axis.out == 1:
        return x + np.float32(0.5) * (start + end) * last
    return start * last + x * (end - start) * last / np.float32(axis.out - 1)


_COORDINATES: dict[str, Callable[[np.ndarray, _Axis, np.float32], np.ndarray]] = {
    "half_pixel": _half_pixel,
    "half_pixel_symmetric": _half_pixel_symmetric,
    "pytorch_half_pixel": lambda x, axis, scale: _half_pixel(x, axis, scale) if axis.out > 1 else x,
    "align_corners": _align_corners,
    "asymmetric": lambda x, axis, scale: x / scale,
    "tf_half_pixel_for_nn": lambda x, axis, scale: (x + np.float32(0.5)) / scale,
    "tf_crop_and_resize": _crop,
}

_HALF = 0.5 + 1e-6  # onnxruntime takes what rounding left just beside a half for a half

_ROUNDINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "round_prefer_floor": lambda place: np.ceil(place - _HALF),
    "round_prefer_ceil": lambda place: np.floor(place + _HALF),
    "floor": np.floor,
    "ceil": np.ceil,
}


def _picks(axis: _Axis, places: np.ndarray, manner: _Manner) -> np.ndarray:  # [out] int64
    nearest = manner.nearest
    if nearest == "simple":
        nearest = "ceil" if axis.scale < 1 else "floor"
    return np.clip(_ROUNDINGS[nearest](places.astype(np.float64)).astype(np.int64), 0, axis.size - 1)


# -- reading there ---


def _nearest(x: torch.Tensor, axis: _Axis, places: np.ndarray, manner: _Manner) -> torch.Tensor:
    return x.index_select(axis.axis, torch.from_numpy(_picks(axis, places, manner)).to(x.device))


def _weighted(x: torch.Tensor, axis: _Axis, places: np.ndarray, manner: _Manner) -> torch.Tensor:
    matrix = torch.from_numpy(_weights(axis, places, manner)).to(x)
    return torch.tensordot(x, matrix, ([axis.axis], [1])).movedim(-1, axis.axis)


def _weights(axis: _Axis, places: np.ndarray, manner: _Manner) -> np.ndarray:  # [out, in]
    """The filter around each place, stretched by `antialias` where the axis shrinks; its weights sum to one."""
    reach = 2 if manner.mode == "cubic" else 1
    stretch = max(1.0, 1 / axis.scale) if manner.antialias else 1.0
    if manner.mode == "linear" and not manner.antialias:
        places = np.clip(places, 0, axis.size - 1)
    span = math.ceil(reach * stretch)
    taps = np.floor(places).astype(np.int64)[:, None] + np.arange(-span, span + 2)
    distances = np.abs(taps - places.astype(np.float64)[:, None]) / stretch
    weights = _cubic(distances, manner.cubic) if manner.mode == "cubic" else np.maximum(0, 1 - distances)
    if manner.exclude_outside:
        weights = weights * ((taps >= 0) & (taps < axis.size))
    matrix = np.zeros((axis.out, axis.size))
    rows = np.arange(axis.out)[:, None]
    np.add.at(matrix, (rows, np.clip(taps, 0, axis.size - 1)), weights / weights.sum(1, keepdims=True))
    return matrix


def _cubic(distance: np.ndarray, a: float) -> np.ndarray:
    """Keys, Cubic convolution interpolation for digital image processing (1981), eq. 4 with its constant open."""
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = a * (((distance - 5) * distance + 8) * distance - 4)
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))


def _extrapolated(y: torch.Tensor, plan: list[_Axis], places: list[np.ndarray], manner: _Manner) -> torch.Tensor:
    """What lies outside the input has a value of its own."""
    for axis, where in zip(plan, places, strict=True):
        outside = torch.from_numpy((where < 0) | (where > axis.size - 1)).to(y.device)
        if outside.any():
            shape = [-1 if dimension == axis.axis else 1 for dimension in range(y.dim())]
            y = y.masked_fill(outside.reshape(shape), manner.extrapolation)
    return y


# -- torch's own ---

_TORCH_MODES = {
    "nearest": {3: "nearest", 4: "nearest", 5: "nearest"},
    "linear": {3: "linear", 4: "bilinear", 5: "trilinear"},
    "cubic": {4: "bicubic"},
}


def _by_torch(x: torch.Tensor, plan: list[_Axis], places: list[np.ndarray], manner: _Manner) -> torch.Tensor | None:
    """The same by one call, or None where torch would read elsewhere."""
    mode = _TORCH_MODES.get(manner.mode, {}).get(x.dim())
    special = manner.antialias or manner.coordinates == "tf_crop_and_resize"
    kernel = manner.exclude_outside or manner.cubic != -0.75
    if mode is None or special or (kernel and manner.mode == "cubic") or not x.is_floating_point():
        return None
    if any(axis.axis < 2 for axis in plan):
        return None
    size = list(x.shape[2:])
    for axis in plan:
        size[axis.axis - 2] = axis.out
    if 0 in size:
        return None
    if manner.mode == "nearest":
        picked = (_picks(axis, where, manner) for axis, where in zip(plan, places, strict=True))
        same = all(_torch_picks(axis, picks) for axis, picks in zip(plan, picked, strict=True))
        return F.interpolate(x, size, mode=mode) if same else None
    for align_corners in (False, True):
        if all(_torch_reads(axis, where, manner, align_corners) for axis, where in zip(plan, places, strict=True)):
            return F.interpolate(x, size, mode=mode, align_corners=align_corners)
    return None


def _torch_picks(axis: _Axis, picks: np.ndarray) -> bool:
    """Whether torch's nearest, whose rounding depends on its float type, picks these whatever the type."""
    for dtype in ("float32", "float64"):
        sizes = np.array([axis.size, axis.out], dtype)
        places = np.arange(axis.out).astype(dtype) * (sizes[0] / sizes[1])
        if not np.array_equal(np.minimum(np.floor(places), axis.size - 1), picks):
            return False
    return True


def _torch_reads(axis: _Axis, places: np.ndarray, manner: _Manner, align_corners: bool) -> bool:
    """Whether torch reads at these places, up to rounding."""
    like = _Axis(axis.axis, axis.size, axis.out, axis.out / axis.size)
    theirs = _places(like, _Manner(coordinates="align_corners" if align_corners else "half_pixel"))
    if manner.mode == "linear":  # beyond the border is the border
        places, theirs = (np.clip(where, 0, axis.size - 1) for where in (places, theirs))
    return bool(np.allclose(places, theirs, rtol=0, atol=4e-7 * axis.size))


# -- reading at the places of a grid ---

_GRID_MODES = {
    "linear": "bilinear",
    "bilinear": "bilinear",
    "nearest": "nearest",
    "cubic": "bicubic",
    "bicubic": "bicubic",
}


@operator("GridSample", since=16)
def grid_sample(
    x: torch.Tensor,  # [N, C, H, W] or [N, C, D, H, W]
    grid: torch.Tensor,  # [N, …, 2 or 3], x first, the image from -1 to 1
    *,
    align_corners: int = 0,
    mode: str = "linear",
    padding_mode: str = "zeros",
) -> torch.Tensor:
    if x.dim() not in (4, 5) or (x.dim() == 5 and _GRID_MODES[mode] == "bicubic"):
        raise InputError(f"GridSample, mode {mode!r}, over {x.dim() - 2} spatial axes: torch has no equal")
    return F.grid_sample(x, grid, _GRID_MODES[mode], padding_mode, bool(align_corners))


@operator("AffineGrid", since=20)
def affine_grid(
    theta: torch.Tensor,  # [N, 2, 3] or [N, 3, 4]
    size: torch.Tensor,  # [N, C, H, W] or [N, C, D, H, W]
    *,
    align_corners: int = 0,
) -> torch.Tensor:  # [N, H, W, 2] or [N, D, H, W, 3]
    return F.affine_grid(theta, size.tolist(), bool(align_corners))
