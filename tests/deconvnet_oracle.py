"""The deconvnet of a chain of layers in NumPy, window by window: Zeiler and Fergus 2013, arXiv:1311.2901, section 2.1.

It reads the ONNX graph by itself and shares nothing with the engine. On the way back from a unit:

    Conv, Gemm   the same filters, transposed; the bias plays no part
    Relu         what is below 0 becomes 0, whatever the layer saw
    MaxPool      a window's value goes to where its maximum was, the first of equal ones in reading order
    LRN          handed on as it is: the paper has no layer for it there

Windows that overlap may share a maximum. Their values add up there: the paper does not say, but what is laid on top of
another would depend on the order of the windows. torch's gradient and the engine's pass in ONNX add up too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import onnx
from onnx import helper, numpy_helper


class Layer(Protocol):
    """One step of the chain; forward it keeps what its way back needs. No axis of images."""

    def forward(self, x: np.ndarray) -> np.ndarray: ...
    def back(self, y: np.ndarray) -> np.ndarray: ...


@dataclass
class Windows:
    """Of a convolution or pool, on an image with its padding around it."""

    kernel: Sequence[int]
    strides: Sequence[int]
    pads: Sequence[int]  # top, left, bottom, right

    def padded(self, x: np.ndarray, value: float) -> np.ndarray:
        top, left, bottom, right = self.pads
        return np.pad(x, ((0, 0), (top, bottom), (left, right)), constant_values=value)

    def cut(self, padded: np.ndarray) -> np.ndarray:
        top, left, bottom, right = self.pads
        return padded[:, top : padded.shape[1] - bottom, left : padded.shape[2] - right]

    def counts(self, padded: Sequence[int]) -> tuple[int, int]:
        rows, columns = (
            (size - taps) // stride + 1 for size, taps, stride in zip(padded, self.kernel, self.strides, strict=True)
        )
        return rows, columns

    def each(self, padded: Sequence[int]) -> Iterator[tuple[int, int, int, int]]:
        """Row and column of the window; where in the image it begins."""
        for row, column in np.ndindex(*self.counts(padded)):
            yield row, column, row * self.strides[0], column * self.strides[1]


@dataclass
class Convolution:
    weight: np.ndarray  # [M, C, h, w]
    bias: np.ndarray  # [M]
    windows: Windows
    _padded: tuple[int, ...] = ()

    def forward(self, x: np.ndarray) -> np.ndarray:
        padded, (height, width) = self.windows.padded(x, 0), self.windows.kernel
        self._padded = padded.shape
        made = np.zeros((len(self.weight), *self.windows.counts(padded.shape[1:])))
        for row, column, top, left in self.windows.each(padded.shape[1:]):
            window = padded[:, top : top + height, left : left + width]
            made[:, row, column] = np.tensordot(self.weight, window, 3) + self.bias
        return made

    def back(self, y: np.ndarray) -> np.ndarray:
        made, (height, width) = np.zeros(self._padded), self.windows.kernel
        for row, column, top, left in self.windows.each(self._padded[1:]):
            made[:, top : top + height, left : left + width] += np.tensordot(y[:, row, column], self.weight, 1)
        return self.windows.cut(made)


@dataclass
class Pool:
    windows: Windows
    _padded: tuple[int, ...] = ()
    _switches: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))  # [C, rows, columns], in the window

    def forward(self, x: np.ndarray) -> np.ndarray:
        padded, (height, width) = self.windows.padded(x, -np.inf), self.windows.kernel
        self._padded = padded.shape
        made = np.zeros((len(x), *self.windows.counts(padded.shape[1:])))
        self._switches = np.zeros(made.shape, np.int64)
        for row, column, top, left in self.windows.each(padded.shape[1:]):
            window = padded[:, top : top + height, left : left + width].reshape(len(x), -1)
            made[:, row, column], self._switches[:, row, column] = window.max(1), window.argmax(1)
        return made

    def back(self, y: np.ndarray) -> np.ndarray:
        made, channels = np.zeros(self._padded), np.arange(len(y))
        for row, column, top, left in self.windows.each(self._padded[1:]):
            down, right = np.divmod(self._switches[:, row, column], self.windows.kernel[1])
            made[channels, top + down, left + right] += y[:, row, column]
        return self.windows.cut(made)


class Rectifier:
    def forward(self, x: np.ndarray) -> np.ndarray:
        return np.maximum(x, 0)

    def back(self, y: np.ndarray) -> np.ndarray:
        return np.maximum(y, 0)


@dataclass
class Normalisation:
    """x / (bias + alpha / size * sum of x² over so many channels around) ** beta."""

    size: int
    alpha: float
    beta: float
    bias: float

    def forward(self, x: np.ndarray) -> np.ndarray:
        made = np.zeros_like(x)
        for channel in range(len(x)):
            first = max(0, channel - (self.size - 1) // 2)
            around = x[first : channel + self.size // 2 + 1]
            made[channel] = x[channel] / (self.bias + self.alpha / self.size * (around**2).sum(0)) ** self.beta
        return made

    def back(self, y: np.ndarray) -> np.ndarray:
        return y


@dataclass
class Dense:
    weight: np.ndarray  # [outputs, inputs]
    bias: np.ndarray

    def forward(self, x: np.ndarray) -> np.ndarray:
        return self.weight @ x + self.bias

    def back(self, y: np.ndarray) -> np.ndarray:
        return y @ self.weight


@dataclass
class Flat:
    _shape: tuple[int, ...] = ()

    def forward(self, x: np.ndarray) -> np.ndarray:
        self._shape = x.shape
        return x.reshape(-1)

    def back(self, y: np.ndarray) -> np.ndarray:
        return y.reshape(self._shape)


class Chain:
    """The layers from the image to a tensor, each of which reads the one before it alone, by the names they give."""

    def __init__(self, proto: onnx.ModelProto, tensor: str) -> None:
        producers = {node.output[0]: node for node in proto.graph.node}
        weights = {stored.name: numpy_helper.to_array(stored).astype(np.float64) for stored in proto.graph.initializer}
        found: list[tuple[str, Layer]] = []
        while tensor in producers:
            node = producers[tensor]
            found.append((tensor, _layer(node, [weights[name] for name in node.input[1:] if name in weights])))
            tensor = node.input[0]
        self._layers = dict(reversed(found))

    def forward(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Every layer's value for an image [C, H, W]."""
        values = {}
        for name, layer in self._layers.items():
            values[name] = x = layer.forward(x)
        return values

    def project(self, tensor: str, y: np.ndarray) -> np.ndarray:  # [C, H, W]
        """What in the image of the last forward pass `y` answers to: 1 at one unit of the tensor, else 0."""
        names = list(self._layers)
        for name in reversed(names[: names.index(tensor) + 1]):
            y = self._layers[name].back(y)
        return y


def _layer(node: onnx.NodeProto, weights: Sequence[np.ndarray]) -> Layer:
    options: dict[str, Any] = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    if node.op_type == "Conv":
        assert options.get("group", 1) == 1
        return Convolution(weights[0], weights[1], _windows(options, weights[0].shape[2:]))
    if node.op_type == "MaxPool":
        return Pool(_windows(options, options["kernel_shape"]))
    if node.op_type == "LRN":
        return Normalisation(options["size"], options["alpha"], options["beta"], options["bias"])
    if node.op_type == "Gemm":
        weight = weights[0] if options.get("transB", 0) else weights[0].T
        return Dense(weight, weights[1])
    return {"Relu": Rectifier, "Flatten": Flat, "Reshape": Flat}[node.op_type]()


def _windows(options: dict[str, Any], kernel: Sequence[int]) -> Windows:
    assert set(options.get("dilations", [1])) == {1} and options.get("auto_pad", b"NOTSET") == b"NOTSET"
    return Windows(kernel, options.get("strides", [1, 1]), options.get("pads", [0] * 4))
