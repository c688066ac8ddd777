"""Networks for the deconvnet: their papers' layers in their papers' order, an eighth as wide, with seeded weights.

ZFNet and the VGG network are chains; the inception network has branches, with pools inside them.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import tiny_models
from onnx import numpy_helper
from onnxray.engine.model import Model

_CLASSES = 10
# Alpha so large that what the layer does is seen.
_NORM = "LRN <size = 5, alpha = 0.5, beta = 0.75, bias = 2.0>"


class _Text:
    """A network as ONNX text. Each method appends layers behind the tensor `x` and returns the name of the last."""

    def __init__(self, name: str, side: int) -> None:
        self._begin = f"{name} (float[N, 3, {side}, {side}] image) => (float[N, {_CLASSES}] scores)"
        self._nodes: list[str] = []
        self._weights: list[str] = []
        self._channels = {"image": 3}

    def conv(self, name: str, x: str, outputs: int, kernel: int, stride: int = 1, pad: int | None = None) -> str:
        """A convolution, which keeps the size where nothing is said, and a ReLU."""
        pad = kernel // 2 if pad is None else pad
        shape = f"{outputs}, {self._channels[x]}, {kernel}, {kernel}"
        options = f"strides = [{stride}, {stride}], pads = [{pad}, {pad}, {pad}, {pad}]"
        self._append(name, f"Conv <{options}> ({x}, {name}_w, {name}_b)", outputs)
        self._weights += [f"float[{shape}] {name}_w", f"float[{outputs}] {name}_b"]
        return self._append(f"{name}_relu", f"Relu ({name})", outputs)

    def pool(self, name: str, x: str, stride: int = 2, pad: int = 0, ceil: int = 0) -> str:
        """The maximum of 3 x 3."""
        options = f"strides = [{stride}, {stride}], pads = [{pad}, {pad}, {pad}, {pad}], ceil_mode = {ceil}"
        return self._append(name, f"MaxPool <kernel_shape = [3, 3], {options}> ({x})", self._channels[x])

    def norm(self, name: str, x: str) -> str:
        return self._append(name, f"{_NORM} ({x})", self._channels[x])

    def concat(self, name: str, *parts: str) -> str:
        return self._append(name, f"Concat <axis = 1> ({', '.join(parts)})", sum(self._channels[x] for x in parts))

    def mean(self, name: str, x: str) -> str:
        return self._append(name, f"GlobalAveragePool ({x})", self._channels[x])

    def dense(self, name: str, x: str, inputs: int, outputs: int) -> str:
        self._weights += [f"float[{outputs}, {inputs}] {name}_w", f"float[{outputs}] {name}_b"]
        return self._append(name, f"Gemm <transB = 1> ({x}, {name}_w, {name}_b)", outputs)

    def classifier(self, x: str, places: int, *widths: int) -> str:
        """Dense layers with ReLUs between them, and a softmax."""
        inputs = self._channels[x] * places
        x = self._append("flat", f"Flatten ({x})", inputs)
        for number, width in enumerate(widths):
            made = self.dense(f"fc{number}", x, inputs, width)
            x, inputs = self._append(f"fc{number}_relu", f"Relu ({made})", width), width
        self._append("scores", f"Softmax ({self.dense('logits', x, inputs, _CLASSES)})", _CLASSES)
        weights, nodes = ", ".join(self._weights), "\n".join(self._nodes)
        return f'<ir_version: 8, opset_import: ["" : 17]>\n{self._begin}\n<{weights}>\n{{\n{nodes}\n}}'

    def _append(self, name: str, node: str, channels: int) -> str:
        self._nodes.append(f"{name} = {node}")
        self._channels[name] = channels
        return name


def _zfnet() -> str:
    """Zeiler and Fergus 2013, arXiv:1311.2901, figure 3."""
    net = _Text("zfnet", 224)
    x = net.conv("conv1", "image", 12, 7, stride=2, pad=1)  # 110
    x = net.norm("norm1", net.pool("pool1", x, pad=1))  # 55
    x = net.conv("conv2", x, 32, 5, stride=2, pad=0)  # 26
    x = net.norm("norm2", net.pool("pool2", x, pad=1))  # 13
    for name, width in (("conv3", 48), ("conv4", 48), ("conv5", 32)):
        x = net.conv(name, x, width, 3)
    return net.classifier(net.pool("pool5", x), 36, 512, 512)


def _vgg() -> str:
    """Simonyan and Zisserman 2014, arXiv:1409.1556, table 1, A-LRN; but pools of 3 x 3, which overlap."""
    net, x = _Text("vgg", 96), "image"
    for stage, widths in enumerate(((8,), (16,), (32, 32), (64, 64), (64, 64)), 1):
        for number, width in enumerate(widths, 1):
            x = net.conv(f"conv{stage}_{number}", x, width, 3)
        x = net.norm("norm1", x) if stage == 1 else x
        x = net.pool(f"pool{stage}", x, ceil=1)
    return net.classifier(x, 9, 512, 512)


def _inception() -> str:
    """Szegedy 2014, arXiv:1409.4842, table 1, to the first block of the second size."""
    net = _Text("inception", 96)
    x = net.norm("norm1", net.pool("pool1", net.conv("conv1", "image", 8, 7, stride=2), ceil=1))  # 24
    x = net.norm("norm2", net.conv("conv2", net.conv("conv2_reduce", x, 8, 1), 24, 3))
    x = net.pool("pool2", x, ceil=1)  # 12
    x = _block(net, "inception_3a", x, 8, (12, 16), (2, 4), 4)
    x = _block(net, "inception_3b", x, 16, (16, 24), (4, 12), 8)
    x = net.pool("pool3", x, ceil=1)  # 6
    x = _block(net, "inception_4a", x, 24, (12, 26), (2, 6), 8)
    return net.classifier(net.mean("mean", x), 1)


def _block(
    net: _Text, name: str, x: str, ones: int, threes: tuple[int, int], fives: tuple[int, int], pooled: int
) -> str:
    """Figure 2b: four branches of the same size, each (reduced to, then) so wide."""
    return net.concat(
        name,
        net.conv(f"{name}_1x1", x, ones, 1),
        net.conv(f"{name}_3x3", net.conv(f"{name}_3x3_reduce", x, threes[0], 1), threes[1], 3),
        net.conv(f"{name}_5x5", net.conv(f"{name}_5x5_reduce", x, fives[0], 1), fives[1], 5),
        net.conv(f"{name}_proj", net.pool(f"{name}_pool", x, stride=1, pad=1), pooled, 1),
    )


NETWORKS = {"zfnet": _zfnet, "vgg": _vgg, "inception": _inception}


def network(name: str) -> Model:
    """The network; weights as He 2015 (arXiv:1502.01852) begins with, so that values neither grow nor fade."""
    proto = tiny_models.model(NETWORKS[name]())
    for tensor in proto.graph.initializer:
        values = numpy_helper.to_array(tensor)
        scale = math.sqrt(2 / math.prod(values.shape[1:])) if values.ndim > 1 else 0.1
        tensor.CopyFrom(numpy_helper.from_array(values * np.float32(scale), tensor.name))
    return Model(proto, Path(f"{name}.onnx"))


def image(model: Model, seed: int = 1) -> np.ndarray:  # [1, C, H, W] float32
    """Coarse and fine structure, as preprocessing leaves it."""
    shape = model.input_shapes[model.graph.inputs[0]]
    random = np.random.default_rng(seed)
    coarse = random.normal(size=(1, shape[1], *(-(-side // 8) for side in shape[2:])))
    wide = coarse.repeat(8, 2).repeat(8, 3)[:, :, : shape[2], : shape[3]]
    made: np.ndarray = (wide + random.normal(size=shape) / 2).astype(np.float32)
    return made
