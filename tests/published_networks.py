"""Networks built from their published configurations. Weights are ConstantOfShape nodes, so that 138 M of them take no
room: cost and receptive fields depend on shapes alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Network:
    """A chain of layers that can branch; every method adds a layer to `x` and returns its output."""

    def __init__(self, size: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.shapes: list[onnx.TensorProto] = []
        self.image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, size, size])
        self.channels: dict[str, int] = {"image": 3}

    def model(self, output: str) -> onnx.ModelProto:
        """The network up to `output`."""
        graph = helper.make_graph(
            self.nodes, "published", [self.image], [onnx.ValueInfoProto(name=output)], self.shapes
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    def weight(self, name: str, *dims: int) -> str:
        """Zeros of this shape."""
        self.shapes.append(numpy_helper.from_array(np.array(dims, np.int64), f"{name}.shape"))
        self.nodes.append(helper.make_node("ConstantOfShape", [f"{name}.shape"], [name], name=name))
        return name

    def add(self, op: str, inputs: list[str], name: str, channels: int, **attributes: Any) -> str:
        """Any node."""
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        self.channels[name] = channels
        return name

    def conv(
        self,
        x: str,
        name: str,
        channels: int,
        kernel: int,
        stride: int = 1,
        pad: int | None = None,
        group: int = 1,
        bias: bool = True,
    ) -> str:
        """A convolution and its ReLU; padded to keep the size unless told otherwise."""
        pads = [kernel // 2 if pad is None else pad] * 4
        inputs = [x, self.weight(f"{name}.w", channels, self.channels[x] // group, kernel, kernel)]
        inputs += [self.weight(f"{name}.b", channels)] if bias else []
        attributes = {"pads": pads, "strides": [stride] * 2, "group": group, "kernel_shape": [kernel] * 2}
        return self.add("Relu", [self.add("Conv", inputs, name, channels, **attributes)], f"{name}.relu", channels)

    def conv_norm(self, x: str, name: str, channels: int, kernel: int, stride: int = 1, group: int = 1) -> str:
        """A convolution without bias, batch normalisation, ReLU."""
        convolved = self.conv(x, name, channels, kernel, stride, group=group, bias=False)
        parameters = [self.weight(f"{name}.bn{part}", channels) for part in range(4)]
        return self.add("BatchNormalization", [convolved, *parameters], f"{name}.bn", channels)

    def pool(self, x: str, name: str, kernel: int, stride: int, pad: int = 0, op: str = "MaxPool") -> str:
        """A pooling."""
        attributes = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pad] * 4}
        return self.add(op, [x], name, self.channels[x], **attributes)

    def dense(self, x: str, name: str, inputs: int, outputs: int) -> str:
        """A fully connected layer."""
        parameters = [self.weight(f"{name}.w", outputs, inputs), self.weight(f"{name}.b", outputs)]
        return self.add("Gemm", [x, *parameters], name, outputs, transB=1)


def vgg16() -> onnx.ModelProto:
    """Simonyan and Zisserman 2014, configuration D."""
    net, x = Network(224), "image"
    for block, (depth, channels) in enumerate([(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)], 1):
        for layer in range(1, depth + 1):
            x = net.conv(x, f"conv{block}_{layer}", channels, 3)
        x = net.pool(x, f"pool{block}", 2, 2)
    x = net.add("Flatten", [x], "flat", 512 * 49)
    for name, inputs, outputs in (("fc6", 25088, 4096), ("fc7", 4096, 4096), ("fc8", 4096, 1000)):
        x = net.dense(x, name, inputs, outputs)
    return net.model(x)


def alexnet() -> onnx.ModelProto:
    """Krizhevsky 2014, one tower, as torchvision has it."""
    net = Network(224)
    x = net.pool(net.conv("image", "conv1", 64, 11, 4, pad=2), "pool1", 3, 2)
    x = net.pool(net.conv(x, "conv2", 192, 5), "pool2", 3, 2)
    x = net.conv(net.conv(net.conv(x, "conv3", 384, 3), "conv4", 256, 3), "conv5", 256, 3)
    x = net.add("Flatten", [net.pool(x, "pool5", 3, 2)], "flat", 9216)
    for name, inputs, outputs in (("fc6", 9216, 4096), ("fc7", 4096, 4096), ("fc8", 4096, 1000)):
        x = net.dense(x, name, inputs, outputs)
    return net.model(x)


def resnet50(stride_last: bool) -> onnx.ModelProto:
    """He 2015. `stride_last`: each stage but the last ends with its stride, as in TF-slim's resnet_v1_50; else the 3x3
    convolution of each stage's first block has it, as in torchvision."""
    net = Network(224)
    x = net.pool(net.conv_norm("image", "conv1", 64, 7, 2), "pool1", 3, 2, pad=1)
    for stage, depth in enumerate((3, 4, 6, 3)):
        for block in range(depth):
            if stride_last:
                stride = 2 if block == depth - 1 and stage < 3 else 1
            else:
                stride = 2 if block == 0 and stage > 0 else 1
            x = _bottleneck(net, x, f"stage{stage + 1}.{block}", 64 * 2**stage, stride)
    x = net.add("GlobalAveragePool", [x], "pool", 2048)
    x = net.add("Flatten", [x], "flat", 2048)
    return net.model(net.dense(x, "fc", 2048, 1000))


def _bottleneck(net: Network, x: str, name: str, width: int, stride: int) -> str:
    inner = net.conv_norm(x, f"{name}.conv1", width, 1)
    inner = net.conv_norm(inner, f"{name}.conv2", width, 3, stride)
    inner = net.conv_norm(inner, f"{name}.conv3", 4 * width, 1)
    shortcut = x
    if net.channels[x] != 4 * width:
        shortcut = net.conv_norm(x, f"{name}.shortcut", 4 * width, 1, stride)
    elif stride > 1:
        shortcut = net.pool(x, f"{name}.shortcut", 1, stride)
    return net.add("Add", [inner, shortcut], name, 4 * width)


def mobilenet_v1() -> onnx.ModelProto:
    """Howard 2017, width 1, 224 pixels."""
    net = Network(224)
    x = net.conv_norm("image", "conv1", 32, 3, 2)
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for block, (channels, stride) in enumerate(plan, 1):
        x = net.conv_norm(x, f"depthwise{block}", net.channels[x], 3, stride, group=net.channels[x])
        x = net.conv_norm(x, f"pointwise{block}", channels, 1)
    x = net.add("Flatten", [net.add("GlobalAveragePool", [x], "pool", 1024)], "flat", 1024)
    return net.model(net.dense(x, "fc", 1024, 1000))
