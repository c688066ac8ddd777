"""Boxes and regions of interest; pictures out of encoded files."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from ....importers.errors import InputError
from . import operator


@operator("RoiAlign", since=16)
def roi_align(
    x: torch.Tensor,  # [N, C, H, W]
    rois: torch.Tensor,  # [R, 4], x1 y1 x2 y2
    batch_indices: torch.Tensor,  # [R]
    *,
    coordinate_transformation_mode: str = "half_pixel",
    mode: str = "avg",
    output_height: int = 1,
    output_width: int = 1,
    sampling_ratio: int = 0,
    spatial_scale: float = 1.0,
) -> torch.Tensor:  # [R, C, output_height, output_width]
    """Mask R-CNN (arXiv:1703.06870), section 3. Regions that are read with equally many points are read together."""
    out = (output_height, output_width)
    half_pixel = coordinate_transformation_mode == "half_pixel"
    corners = rois.to(x.dtype) * spatial_scale - (0.5 if half_pixel else 0.0)
    starts, sizes = corners[:, :2].flip(1), (corners[:, 2:] - corners[:, :2]).flip(1)  # [R, 2], (y, x)
    if not half_pixel:
        sizes = sizes.clamp(min=1)
    bins = sizes / torch.tensor(out, dtype=x.dtype, device=x.device)
    points = torch.full_like(bins, sampling_ratio) if sampling_ratio > 0 else bins.detach().ceil()
    kinds, kind_of = points.unique(dim=0, return_inverse=True)
    pieces, members = [x.new_zeros(0, x.shape[1], *out)], []
    for number, (rows, columns) in enumerate(kinds.long().tolist()):
        chosen = (kind_of == number).nonzero().flatten()
        each = (max(0, rows), max(0, columns))
        pieces.append(_aligned(x, batch_indices[chosen], starts[chosen], bins[chosen], out, each, mode))
        members.append(chosen)
    return torch.cat(pieces)[torch.cat(members).argsort()] if members else pieces[0]


@operator("RoiAlign")
def roi_align_10(
    x: torch.Tensor,
    rois: torch.Tensor,
    batch_indices: torch.Tensor,
    *,
    mode: str = "avg",
    output_height: int = 1,
    output_width: int = 1,
    sampling_ratio: int = 0,
    spatial_scale: float = 1.0,
) -> torch.Tensor:
    """Before opset 16 coordinates are not moved by half a pixel."""
    return roi_align(
        x,
        rois,
        batch_indices,
        coordinate_transformation_mode="output_half_pixel",
        mode=mode,
        output_height=output_height,
        output_width=output_width,
        sampling_ratio=sampling_ratio,
        spatial_scale=spatial_scale,
    )


def _aligned(
    x: torch.Tensor,  # [N, C, H, W]
    images: torch.Tensor,  # [R]
    starts: torch.Tensor,  # [R, 2], (y, x), pixels
    bins: torch.Tensor,  # [R, 2]
    out: Sequence[int],
    points: Sequence[int],  # of each bin, a way
    mode: str,
) -> torch.Tensor:  # [R, C, *out]
    """Bins, each a sum over pixels with weights; `max` takes the greatest summand, as ONNX defines it."""
    channels, height, width = x.shape[1:]
    if 0 in points:
        return x.new_zeros(len(images), channels, *out)
    rows, above = _taps(starts[:, 0], bins[:, 0], out[0], points[0], height)  # [R, bins, taps]
    columns, beside = _taps(starts[:, 1], bins[:, 1], out[1], points[1], width)
    rows = rows + images[:, None, None] * height
    pixels = (rows[:, :, None, :, None] * width + columns[:, None, :, None, :]).flatten(3).flatten(0, 2)
    weights = (above[:, :, None, :, None] * beside[:, None, :, None, :]).flatten(3).flatten(0, 2)
    table = x.permute(0, 2, 3, 1).reshape(-1, channels)  # a row a pixel
    if mode == "avg":
        pooled = F.embedding_bag(pixels, table, per_sample_weights=weights / math.prod(points), mode="sum")
    else:
        pooled = (table[pixels] * weights[..., None]).amax(1)
    return pooled.reshape(len(images), *out, channels).permute(0, 3, 1, 2)


def _taps(
    starts: torch.Tensor, bins: torch.Tensor, count: int, points: int, size: int
) -> tuple[torch.Tensor, torch.Tensor]:  # twice [R, bins, 2 * points]
    """Pixels beside each point of an axis, with their weights; up to one pixel beyond the border is the border."""
    steps = (torch.arange(count * points, device=bins.device) + 0.5) / points
    places = starts[:, None] + steps.to(bins) * bins[:, None]
    inside, places = (places >= -1) & (places <= size), places.clamp(0, size - 1)
    low = places.detach().floor()
    after = places - low
    pixels = torch.stack((low.long(), (low.long() + 1).clamp(max=size - 1)), -1)
    weights = torch.stack(((1 - after) * inside, after * inside), -1)
    return pixels.reshape(-1, count, 2 * points), weights.reshape(-1, count, 2 * points)


@operator("MaxRoiPool")
def max_roi_pool(
    x: torch.Tensor,  # [N, C, H, W]
    rois: torch.Tensor,  # [R, 5], image, x1 y1 x2 y2
    *,
    pooled_shape: Sequence[int],
    spatial_scale: float = 1.0,
) -> torch.Tensor:  # [R, C, *pooled_shape]
    """Fast R-CNN (arXiv:1504.08083), section 2.1; a bin without pixels is zero."""
    pooled = [_pooled(x[int(image)], box, pooled_shape, spatial_scale) for image, *box in rois.tolist()]
    return torch.stack(pooled) if pooled else x.new_zeros(0, x.shape[1], *pooled_shape)


def _pooled(image: torch.Tensor, box: Sequence[float], out: Sequence[int], scale: float) -> torch.Tensor:
    left, top, right, bottom = (int(np.floor(np.float32(side) * np.float32(scale) + np.float32(0.5))) for side in box)
    for dim, (begin, end) in enumerate(((top, bottom), (left, right))):
        image = _bin_maxima(image, 1 + dim, begin, max(end - begin + 1, 1), out[dim])
    return torch.where(image == -torch.inf, 0.0, image)


def _bin_maxima(x: torch.Tensor, dim: int, begin: int, length: int, out: int) -> torch.Tensor:
    """The maximum of each bin along an axis; bins overlap where they do not end between pixels."""
    size = np.float32(length) / np.float32(out)
    maxima = []
    for number in range(out):
        low = min(max(int(np.floor(np.float32(number) * size)) + begin, 0), x.shape[dim])
        high = min(max(int(np.ceil(np.float32(number + 1) * size)) + begin, 0), x.shape[dim])
        if high > low:
            maxima.append(x.narrow(dim, low, high - low).max(dim).values)
        else:
            maxima.append(torch.full_like(x.select(dim, 0), -torch.inf))
    return torch.stack(maxima, dim)


@operator("NonMaxSuppression", since=10)
def non_max_suppression(
    boxes: torch.Tensor,  # [N, B, 4], y1 x1 y2 x2, any corners; or centre x y, width, height
    scores: torch.Tensor,  # [N, classes, B]
    max_output_boxes_per_class: torch.Tensor | None = None,
    iou_threshold: torch.Tensor | None = None,
    score_threshold: torch.Tensor | None = None,
    *,
    center_point_box: int = 0,
) -> torch.Tensor:  # [kept, 3] int64, (image, class, box)
    """Greedy, the best first; a choice, so without gradient."""
    limit = 0 if max_output_boxes_per_class is None else int(max_output_boxes_per_class)
    overlap = np.float32(0 if iou_threshold is None else float(iou_threshold))
    least = np.float32(-np.inf if score_threshold is None else float(score_threshold))
    corners, confidence = _corners(boxes.detach().cpu().numpy(), bool(center_point_box)), scores.detach().cpu().numpy()
    kept = [
        (image, label, box)
        for image, of_image in enumerate(confidence)
        for label, of_class in enumerate(of_image)
        for box in _keep(corners[image], of_class, limit, overlap, least)
    ]
    return torch.tensor(kept, dtype=torch.int64, device=boxes.device).reshape(-1, 3)


def _corners(boxes: np.ndarray, centred: bool) -> np.ndarray:  # [N, B, 4], low low high high
    first, second = boxes[..., :2], boxes[..., 2:]
    if centred:
        return np.concatenate((first - second / 2, first + second / 2), -1)
    return np.concatenate((np.minimum(first, second), np.maximum(first, second)), -1)


def _keep(boxes: np.ndarray, scores: np.ndarray, limit: int, overlap: np.float32, least: np.float32) -> list[int]:
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > least]
    area = np.prod(boxes[:, 2:] - boxes[:, :2], 1)
    kept: list[int] = []
    while len(order) and len(kept) < limit:
        best, order = order[0], order[1:]
        kept.append(int(best))
        sides = np.minimum(boxes[best, 2:], boxes[order, 2:]) - np.maximum(boxes[best, :2], boxes[order, :2])
        shared = np.prod(np.maximum(sides, 0), 1)
        order = order[shared <= overlap * (area[best] + area[order] - shared)]
    return kept


_PIXELS = {"RGB": "RGB", "BGR": "RGB", "Grayscale": "L"}


@operator("ImageDecoder", since=20)
def image_decoder(encoded: torch.Tensor, *, pixel_format: str = "RGB") -> torch.Tensor:  # [H, W, 3 or 1] uint8
    """An image file's bytes [size] as pixels."""
    from PIL import Image

    if pixel_format not in _PIXELS:
        raise InputError(f"ImageDecoder with the pixel format {pixel_format!r}: {', '.join(_PIXELS)} can be done")
    try:
        with Image.open(io.BytesIO(encoded.cpu().numpy().tobytes())) as image:
            pixels = np.array(image.convert(_PIXELS[pixel_format]))
    except OSError as error:
        raise InputError(f"ImageDecoder: {encoded.numel()} bytes that are no image Pillow reads ({error})") from error
    pixels = pixels[..., None] if pixel_format == "Grayscale" else pixels
    decoded = torch.from_numpy(pixels).to(encoded.device)
    return decoded.flip(2) if pixel_format == "BGR" else decoded
