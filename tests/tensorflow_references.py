"""TensorFlow's operators on images in NumPy, slow and by definition: images [N, H, W, C]."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

Pads = Sequence[tuple[int, int]]


def pads_of(
    sides: Sequence[int], kernel: Sequence[int], strides: Sequence[int], apart: Sequence[int], same: bool
) -> Pads:
    """(before, after) a side."""
    if not same:
        return [(0, 0)] * len(sides)
    pads = []
    for side, size, stride, step in zip(sides, kernel, strides, apart, strict=True):
        total = max((math.ceil(side / stride) - 1) * stride + (size - 1) * step + 1 - side, 0)
        pads.append((total // 2, total - total // 2))
    return pads


def windows(
    image: np.ndarray, kernel: Sequence[int], strides: Sequence[int], apart: Sequence[int], pads: Pads, fill: float
) -> np.ndarray:  # [N, rows, columns, C, height, width]
    """Every window of a padded image."""
    padded = np.pad(image, [(0, 0), *pads, (0, 0)], constant_values=fill)
    reach = [(size - 1) * step + 1 for size, step in zip(kernel, apart, strict=True)]
    view = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(1, 2))
    return view[:, :: strides[0], :: strides[1], :, :: apart[0], :: apart[1]]


def conv2d(
    image: np.ndarray, weights: np.ndarray, strides: Sequence[int], apart: Sequence[int], pads: Pads
) -> np.ndarray:
    """Weights [height, width, inputs, outputs]; fewer inputs than channels: groups."""
    groups = image.shape[3] // weights.shape[2]
    view = windows(image, weights.shape[:2], strides, apart, pads, 0)
    parts = np.split(view, groups, axis=3)
    kernels = np.split(weights, groups, axis=3)
    found = [np.einsum("nrsihw,hwio->nrso", part, kernel) for part, kernel in zip(parts, kernels, strict=True)]
    return np.concatenate(found, 3).astype(np.float32)


def depthwise(
    image: np.ndarray, weights: np.ndarray, strides: Sequence[int], apart: Sequence[int], pads: Pads
) -> np.ndarray:
    """Weights [height, width, channels, multiplier]."""
    view = windows(image, weights.shape[:2], strides, apart, pads, 0)
    found = np.einsum("nrschw,hwcm->nrscm", view, weights)
    return found.reshape(*found.shape[:3], -1).astype(np.float32)


def transposed(
    image: np.ndarray, weights: np.ndarray, strides: Sequence[int], size: Sequence[int], start: Sequence[int]
):
    """Each pixel adds a window [height, width, outputs, inputs] to the result, `start` of it cut off."""
    rows, columns = image.shape[1:3]
    height, width, count, _ = weights.shape
    whole = np.zeros(
        (image.shape[0], max((rows - 1) * strides[0] + height, start[0] + size[0]),
         max((columns - 1) * strides[1] + width, start[1] + size[1]), count), np.float64,
    )  # fmt: skip
    for row in range(rows):
        for column in range(columns):
            y, x = row * strides[0], column * strides[1]
            whole[:, y : y + height, x : x + width] += np.einsum("ni,hwoi->nhwo", image[:, row, column], weights)
    return whole[:, start[0] : start[0] + size[0], start[1] : start[1] + size[1]].astype(np.float32)


def pool(image: np.ndarray, kernel: Sequence[int], strides: Sequence[int], pads: Pads, average: bool) -> np.ndarray:
    """Padding plays no part."""
    view = windows(image, kernel, strides, (1, 1), pads, np.nan)
    return (np.nanmean if average else np.nanmax)(view, axis=(4, 5)).astype(np.float32)


def resize(image: np.ndarray, size: Sequence[int], corners: bool, centres: bool, nearest: bool) -> np.ndarray:
    """Bilinear or nearest, each axis on its own."""
    for axis, (side, new) in enumerate(zip(image.shape[1:3], size, strict=True), start=1):
        step = (side - 1) / (new - 1) if corners and new > 1 else side / new
        step = np.float32(step)  # TensorFlow's way: where two pixels are equally near, its rounding decides
        places = np.arange(new, dtype=np.float32)
        if nearest:
            at = (places + np.float32(0.5)) * step if centres else places * step
            index = np.floor(at + np.float32(0.5)) if corners else np.floor(at)
            image = image.take(np.clip(index, 0, side - 1).astype(int), axis=axis)
            continue
        at = np.maximum((places + 0.5) * step - 0.5, 0) if centres else places * step
        low = np.minimum(np.floor(at).astype(int), side - 1)
        share = (at - low).reshape([-1 if other == axis else 1 for other in range(4)])
        high = image.take(np.minimum(low + 1, side - 1), axis=axis)
        image = image.take(low, axis=axis) * (1 - share) + high * share
    return image.astype(np.float32)


def local_response(image: np.ndarray, radius: int, bias: float, alpha: float, beta: float) -> np.ndarray:
    """Squares of neighbouring channels."""
    padded = np.pad(image**2, [(0, 0)] * 3 + [(radius, radius)])
    total = sum(padded[..., at : at + image.shape[3]] for at in range(2 * radius + 1))
    return (image / (bias + alpha * total) ** beta).astype(np.float32)


def space_to_batch(image: np.ndarray, blocks: Sequence[int], pads: Pads) -> np.ndarray:
    """Every n-th pixel as an image of its own."""
    padded = np.pad(image, [(0, 0), *pads, (0, 0)])
    parts = [padded[:, y :: blocks[0], x :: blocks[1]] for y in range(blocks[0]) for x in range(blocks[1])]
    return np.concatenate(parts)


def batch_to_space(image: np.ndarray, blocks: Sequence[int], crops: Pads) -> np.ndarray:
    """The opposite, and borders cropped."""
    parts = iter(np.split(image, blocks[0] * blocks[1]))
    count, rows, columns, channels = image.shape
    whole = np.zeros((count // (blocks[0] * blocks[1]), rows * blocks[0], columns * blocks[1], channels), image.dtype)
    for y in range(blocks[0]):
        for x in range(blocks[1]):
            whole[:, y :: blocks[0], x :: blocks[1]] = next(parts)
    (top, bottom), (left, right) = crops
    return whole[:, top : whole.shape[1] - bottom, left : whole.shape[2] - right]


def softmax(value: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    power = np.exp(value - value.max(-1, keepdims=True))
    return (power / power.sum(-1, keepdims=True)).astype(np.float32)


UNARY: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Abs": np.abs,
    "Atan": np.arctan,
    "Asinh": np.arcsinh,
    "Ceil": np.ceil,
    "Cos": np.cos,
    "Elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "Erf": np.vectorize(math.erf),
    "Erfc": np.vectorize(math.erfc),
    "Exp": np.exp,
    "Expm1": np.expm1,
    "Floor": np.floor,
    "Neg": np.negative,
    "Relu": lambda x: np.maximum(x, 0),
    "Relu6": lambda x: np.clip(x, 0, 6),
    "Rint": np.rint,
    "Round": np.rint,
    "Selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Sign": np.sign,
    "Sin": np.sin,
    "Softplus": lambda x: np.log1p(np.exp(x)),
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "Square": np.square,
    "Tanh": np.tanh,
    "LogSoftmax": lambda x: np.log(softmax(x)),
    "Softmax": softmax,
    "Identity": lambda x: x,
    "StopGradient": lambda x: x,
}
POSITIVE: dict[str, Callable[[np.ndarray], np.ndarray]] = {  # of numbers above 0
    "Log": np.log,
    "Log1p": np.log1p,
    "Rsqrt": lambda x: 1 / np.sqrt(x),
    "Sqrt": np.sqrt,
    "Reciprocal": lambda x: 1 / x,
    "Inv": lambda x: 1 / x,
}
BINARY: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "Add": np.add,
    "AddV2": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Maximum": np.maximum,
    "Minimum": np.minimum,
    "SquaredDifference": lambda a, b: (a - b) ** 2,
}
COMPARED: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "Greater": np.greater,
    "GreaterEqual": np.greater_equal,
    "Less": np.less,
    "LessEqual": np.less_equal,
    "Equal": np.equal,
    "NotEqual": np.not_equal,
}
REDUCED: dict[str, Callable[..., np.ndarray]] = {
    "Mean": np.mean,
    "Sum": np.sum,
    "Max": np.max,
    "Min": np.min,
    "Prod": np.prod,
}
