"""Darknet's layers in NumPy, slowly and by the definition: a network is run, and its files made, as layers are added.

Arrays are [N, C, H, W]; connected layers and softmax make [N, C, 1, 1]. Where Darknet moves memory about, so does this.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tiny_darknet import HEADER, cfg, section

Options = dict[str, Any]


class Network:
    """What has been added so far, and what it computes of an image."""

    def __init__(self, image: np.ndarray, seed: int, header: bytes = HEADER) -> None:
        self.image = image
        self.random = np.random.default_rng(seed)
        self.outputs: list[np.ndarray] = []
        self.kinds: list[str] = []
        self._sections: list[str] = []
        self._weights: list[np.ndarray] = []
        self._header = header

    @property
    def last(self) -> np.ndarray:
        """What the next layer reads."""
        return self.outputs[-1] if self.outputs else self.image

    def add(self, kind: str, **options: Any) -> np.ndarray:
        """A layer's output."""
        made = LAYERS[kind](self, self.last, options)
        self.kinds.append(kind)
        self._sections.append(section(kind, **options))
        self.outputs.append(made)
        return made

    def earlier(self, index: int) -> np.ndarray:
        """The output of a layer, counted as in a cfg."""
        return self.outputs[index if index >= 0 else len(self.outputs) + index]

    def draw(self, role: str, *shape: int) -> np.ndarray:
        """The next weights of the file."""
        if role == "weight":
            array = self.random.normal(size=shape) / math.sqrt(max(math.prod(shape[1:]), 1))
        elif role in ("bias", "mean"):
            array = self.random.normal(size=shape) * 0.3
        else:
            array = self.random.uniform(0.2, 1.5, shape)
        self._weights.append(array.astype(np.float32))
        return self._weights[-1].astype(np.float64)

    def write(self, folder: Path) -> Path:
        """Both files; returns the cfg."""
        path = folder / "net.cfg"
        path.write_text(cfg("".join(self._sections), self.image.shape[1:]))
        path.with_suffix(".weights").write_bytes(self._header + b"".join(array.tobytes() for array in self._weights))
        return path


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.where(x > 20, x, np.log1p(np.exp(np.minimum(x, 20))))


def _logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda x: x,
    "logistic": _logistic,
    "loggy": lambda x: 2 / (1 + np.exp(-x)) - 1,
    "relu": lambda x: x * (x > 0),
    "relu6": lambda x: np.minimum(np.maximum(x, 0), 6),
    "elu": lambda x: np.where(x >= 0, x, np.exp(x) - 1),
    "selu": lambda x: np.where(x >= 0, 1.0507 * x, 1.0507 * 1.6732 * (np.exp(x) - 1)),
    "gelu": lambda x: 0.5 * x * (1 + np.tanh(0.797885 * x + 0.035677 * x**3)),
    "relie": lambda x: np.where(x > 0, x, 0.01 * x),
    "ramp": lambda x: x * (x > 0) + 0.1 * x,
    "leaky": lambda x: np.where(x > 0, x, 0.1 * x),
    "revleaky": lambda x: np.where(x > 0, x, 0.1 * x),
    "tanh": lambda x: 2 / (1 + np.exp(-2 * x)) - 1,
    "hardtan": lambda x: np.clip(x, -1, 1),
    "swish": lambda x: x * _logistic(x),
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "hard_mish": lambda x: np.where(x > 0, x, np.where(x > -2, x * x / 2 + x, 0)),
}


def _normalised(x: np.ndarray, scale: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    across = (1, -1, 1, 1)
    return (x - mean.reshape(across)) / np.sqrt(variance.reshape(across) + 0.00001) * scale.reshape(across)


def _convolutional(net: Network, x: np.ndarray, o: Options) -> np.ndarray:
    filters, groups, side = o["filters"], o.get("groups", 1), o["size"]
    step_x, step_y = o.get("stride_x", o.get("stride", 1)), o.get("stride_y", o.get("stride", 1))
    dilation = o.get("dilation", 1) if side > 1 else 1
    pad = (side // 2 if o.get("pad") else o.get("padding", 0)) * dilation
    images, channels, height, width = x.shape
    bias = net.draw("bias", filters)
    statistics = [net.draw(role, filters) for role in ("scale", "mean", "variance")] if o.get("batch_normalize") else []
    shape = (filters, channels // groups, side, side)
    if o.get("flipped"):
        weight = net.draw("weight", math.prod(shape[1:]), filters).T.reshape(shape)
    else:
        weight = net.draw("weight", *shape)
    padded = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    reach = dilation * (side - 1) + 1
    made = np.zeros(
        (images, filters, (height + 2 * pad - reach) // step_y + 1, (width + 2 * pad - reach) // step_x + 1)
    )
    for row, column in np.ndindex(made.shape[2:]):
        top, left = row * step_y, column * step_x
        patch = padded[:, :, top : top + reach : dilation, left : left + reach : dilation]
        for number in range(filters):
            first = number // (filters // groups) * (channels // groups)
            made[:, number, row, column] = (patch[:, first : first + channels // groups] * weight[number]).sum(
                (1, 2, 3)
            )
    if statistics:
        made = _normalised(made, *statistics)
    return ACTIVATIONS[o["activation"]](made + bias.reshape(1, -1, 1, 1))


def _connected(net: Network, x: np.ndarray, o: Options) -> np.ndarray:
    row, outputs = x.reshape(len(x), -1), o["output"]
    bias, weight = net.draw("bias", outputs), net.draw("weight", outputs, row.shape[1])
    statistics = [net.draw(role, outputs) for role in ("scale", "mean", "variance")] if o.get("batch_normalize") else []
    made = (row @ weight.T).reshape(len(x), -1, 1, 1)
    if statistics:
        made = _normalised(made, *statistics)
    return ACTIVATIONS[o["activation"]](made + bias.reshape(1, -1, 1, 1))


def _batchnorm(net: Network, x: np.ndarray, o: Options) -> np.ndarray:
    bias, *statistics = (net.draw(role, x.shape[1]) for role in ("bias", "scale", "mean", "variance"))
    return _normalised(x, *statistics) + bias.reshape(1, -1, 1, 1)


def _local(net: Network, x: np.ndarray, o: Options) -> np.ndarray:
    filters, side, stride, pad = o["filters"], o["size"], o["stride"], o.get("pad", 0)
    images, channels, height, width = x.shape
    rows, columns = ((length - (1 if pad else side)) // stride + 1 for length in (height, width))
    bias = net.draw("bias", filters, rows, columns)
    weight = net.draw("weight", rows * columns, filters, channels * side * side)
    padded = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    made = np.zeros((images, filters, rows, columns))
    for place, (row, column) in enumerate(np.ndindex(rows, columns)):
        patch = padded[:, :, row * stride : row * stride + side, column * stride : column * stride + side]
        made[:, :, row, column] = patch.reshape(images, -1) @ weight[place].T
    return ACTIVATIONS[o["activation"]](made + bias)


def _pooled(x: np.ndarray, o: Options, pool: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    stride = o.get("stride", 1)
    side, step_x, step_y = o.get("size", stride), o.get("stride_x", stride), o.get("stride_y", stride)
    padding = o.get("padding", side - 1)
    height, width = x.shape[2:]
    made = np.zeros((*x.shape[:2], (height + padding - side) // step_y + 1, (width + padding - side) // step_x + 1))
    for row, column in np.ndindex(made.shape[2:]):
        top, left = row * step_y - padding // 2, column * step_x - padding // 2
        window = x[:, :, max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)]
        made[:, :, row, column] = pool(window.reshape(*x.shape[:2], -1))
    return made


def _route(net: Network, x: np.ndarray, o: Options) -> np.ndarray:
    layers = o["layers"] if isinstance(o["layers"], list) else [o["layers"]]
    groups, group = o.get("groups", 1), o.get("group_id", 0)
    parts = []
    for index in layers:
        memory = net.earlier(index).reshape(len(x), -1)
        share = memory.shape[1] // groups
        parts.append(memory[:, group * share : (group + 1) * share])
    return np.concatenate(parts, 1).reshape(len(x), -1, *net.earlier(layers[0]).shape[2:])


def _shortcut(net: Network, x: np.ndarray, o: Options) -> np.ndarray:
    """As the first Darknet has it, which knows maps of different sizes."""
    made = x.copy()
    for index in o["from"] if isinstance(o["from"], list) else [o["from"]]:
        other = net.earlier(index)
        step = max(other.shape[3] // x.shape[3], 1)
        channels, rows, columns = (min(have, want) for have, want in zip(other.shape[1:], x.shape[1:], strict=True))
        for k, j, i in np.ndindex(channels, rows, columns):
            made[:, k, j, i] += other[:, k, j * step, i * step]
    return ACTIVATIONS[o.get("activation", "linear")](made)


def _scale_channels(net: Network, x: np.ndarray, o: Options) -> np.ndarray:
    return ACTIVATIONS[o.get("activation", "linear")](net.earlier(o["from"]) * x)


def _upsample(net: Network, x: np.ndarray, o: Options) -> np.ndarray:
    stride = o["stride"]
    made = np.zeros((*x.shape[:2], x.shape[2] * stride, x.shape[3] * stride))
    for row, column in np.ndindex(made.shape[2:]):
        made[:, :, row, column] = x[:, :, row // stride, column // stride] * o.get("scale", 1)
    return made


def _reorg(net: Network, x: np.ndarray, o: Options) -> np.ndarray:
    stride, reverse = o["stride"], bool(o.get("reverse"))
    images, channels, height, width = x.shape
    made = _moved(x, channels, height, width, stride, reverse)
    if reverse:
        return made.reshape(images, channels // stride**2, height * stride, width * stride)
    return made.reshape(images, channels * stride**2, height // stride, width // stride)


def _reorg3d(net: Network, x: np.ndarray, o: Options) -> np.ndarray:
    stride = o["stride"]
    images, channels, height, width = x.shape
    shape = (channels * stride**2, height // stride, width // stride)
    return _moved(x, *shape, stride, False).reshape(images, *shape)


def _moved(x: np.ndarray, channels: int, height: int, width: int, stride: int, reverse: bool) -> np.ndarray:
    """Darknet's reorg_cpu: `x` and what is made as plain memory."""
    memory = x.reshape(len(x), -1)
    made, few = np.zeros_like(memory), channels // (stride * stride)
    for k, j, i in np.ndindex(channels, height, width):
        here = i + width * (j + height * k)
        column, row = i * stride + k // few % stride, j * stride + k // few // stride
        there = column + width * stride * (row + height * stride * (k % few))
        if reverse:
            made[:, there] = memory[:, here]
        else:
            made[:, here] = memory[:, there]
    return made


def _crop(net: Network, x: np.ndarray, o: Options) -> np.ndarray:
    top, left = (x.shape[2] - o["crop_height"]) // 2, (x.shape[3] - o["crop_width"]) // 2
    made = x[:, :, top : top + o["crop_height"], left : left + o["crop_width"]]
    return made if o.get("noadjust") else made * 2 - 1


def _softmax(net: Network, x: np.ndarray, o: Options) -> np.ndarray:
    parts = x.reshape(len(x), o.get("groups", 1), -1) / o.get("temperature", 1)
    powers = np.exp(parts - parts.max(-1, keepdims=True))
    return (powers / powers.sum(-1, keepdims=True)).reshape(len(x), -1, 1, 1)


LAYERS: dict[str, Callable[[Network, np.ndarray, Options], np.ndarray]] = {
    "activation": lambda net, x, o: ACTIVATIONS[o["activation"]](x),
    "avgpool": lambda net, x, o: x.mean((2, 3), keepdims=True),
    "batchnorm": _batchnorm,
    "connected": _connected,
    "convolutional": _convolutional,
    "cost": lambda net, x, o: x,
    "crop": _crop,
    "depthwise_convolutional": lambda net, x, o: _convolutional(
        net, x, {**o, "filters": x.shape[1], "groups": x.shape[1]}
    ),
    "dropout": lambda net, x, o: x,
    "local": _local,
    "local_avgpool": lambda net, x, o: _pooled(x, o, lambda window: window.mean(-1)),
    "maxpool": lambda net, x, o: _pooled(x, o, lambda window: window.max(-1)),
    "reorg": _reorg,
    "reorg3d": _reorg3d,
    "route": _route,
    "sam": lambda net, x, o: ACTIVATIONS[o.get("activation", "linear")](x * net.earlier(o["from"])),
    "scale_channels": _scale_channels,
    "shortcut": _shortcut,
    "softmax": _softmax,
    "upsample": _upsample,
}
