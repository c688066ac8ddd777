"""Random TensorFlow Lite networks: one operator, or a few in a row, with random options, sizes and constants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tflite_writer import Op, T, constant, model

FUSED = (0, 0, 1, 2, 3)  # NONE twice as often as RELU, RELU_N1_TO_1, RELU6


@dataclass
class Net:
    """A network while it is drawn."""

    random: np.random.Generator
    tensors: dict[str, T] = field(default_factory=dict)
    operators: list[Op] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)

    def integer(self, low: int, high: int) -> int:
        """From low to high, both possible."""
        return int(self.random.integers(low, high + 1))

    def chance(self, share: float = 0.5) -> bool:
        """True in this share of draws."""
        return bool(self.random.random() < share)

    def pick(self, choices: Sequence[Any]) -> Any:
        """One of them."""
        return choices[self.integer(0, len(choices) - 1)]

    def numbers(self, *shape: int) -> np.ndarray:
        """Of a normal distribution."""
        return self.random.normal(size=shape).astype(np.float32)

    def sizes(self, rank: int, low: int = 1, high: int = 6) -> list[int]:
        """A random shape."""
        return [self.integer(low, high) for _ in range(rank)]

    def input(self, shape: Sequence[int], dtype: str = "float32", **more: Any) -> str:
        """A new graph input."""
        name = f"input{len(self.inputs)}"
        self.tensors[name] = T(list(shape), dtype, **more)
        self.inputs.append(name)
        return name

    def constant(self, values: Any, dtype: str = "float32", **more: Any) -> str:
        """A new constant."""
        name = f"constant{len(self.tensors)}"
        self.tensors[name] = constant(values, dtype, **more)
        return name

    def ints(self, values: Any) -> str:
        """A new constant of 32-bit integers."""
        return self.constant(values, "int32")

    def add(
        self, kind: str, inputs: Sequence[str], shape: Sequence[int], table: str = "", dtype: str = "float32",
        more: dict[str, Any] | None = None, **options: Any,
    ) -> str:  # fmt: skip
        """An operator with one output, whose name is returned."""
        name = f"made{len(self.tensors)}"
        self.tensors[name] = T(list(shape), dtype, **(more or {}))
        self.operators.append(Op(kind, list(inputs), [name], table, options))
        return name

    def add_many(self, kind: str, inputs: Sequence[str], shapes: Sequence[Sequence[int]], table: str, **options: Any):
        """An operator with several outputs."""
        names = [f"made{len(self.tensors)}_{index}" for index in range(len(shapes))]
        self.tensors.update({name: T(list(shape)) for name, shape in zip(names, shapes, strict=True)})
        self.operators.append(Op(kind, list(inputs), names, table, options))
        return names

    def shape(self, name: str) -> list[int]:
        """Of a tensor."""
        return list(self.tensors[name].shape)

    def source(self, shape: Sequence[int]) -> str:
        """A tensor of this shape: an input, or one that a reshape made (so that its axes lie as in the file)."""
        if len(shape) < 2 or self.chance(0.7):
            return self.input(shape)
        flat = self.input([1, int(np.prod(shape))])
        return self.add("RESHAPE", [flat, self.ints(shape)], shape, "Reshape", new_shape=list(shape))

    def image(self, low: int = 4, high: int = 12, channels: int = 6) -> str:
        """A tensor [N, H, W, C]."""
        return self.source([self.pick((1, 1, 2)), self.integer(low, high), self.integer(low, high),
                            self.integer(1, channels)])  # fmt: skip

    def bytes(self) -> bytes:
        """The file; what nobody reads is an output."""
        read = {name for operator in self.operators for name in operator.inputs}
        made = [name for operator in self.operators for name in operator.outputs]
        return model(self.tensors, self.operators, self.inputs, [name for name in made if name not in read])


def window_size(side: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    """Pixels of the result."""
    reach = (kernel - 1) * dilation + 1
    return -(-side // stride) if padding == 0 else -(-(side - reach + 1) // stride)


def convolution(net: Net) -> None:
    """Two-dimensional, sometimes grouped."""
    image = net.image()
    count, groups = net.integer(1, 4), 1
    shape = net.shape(image)
    inputs = shape[3]
    if net.chance(0.2):
        groups = net.pick([number for number in range(1, inputs + 1) if inputs % number == 0])
        count *= groups
    conv(net, image, count, inputs // groups)


def conv(net: Net, image: str, count: int, inputs: int, kernel: tuple[int, int] | None = None) -> str:
    """A convolution of `image` with random options."""
    _, height, width, _ = net.shape(image)
    high, wide = kernel or (net.integer(1, 3), net.integer(1, 3))
    padding = net.integer(0, 1)
    dilation = (net.integer(1, 2), net.integer(1, 2)) if kernel is None and net.chance(0.3) else (1, 1)
    stride = (1, 1) if max(dilation) > 1 or kernel else (net.integer(1, 3), net.integer(1, 3))
    sides = [
        window_size(side, size, step, padding, apart)
        for side, size, step, apart in zip((height, width), (high, wide), stride, dilation, strict=True)
    ]
    if min(sides) < 1:
        padding, sides = 0, [-(-height // stride[0]), -(-width // stride[1])]
    weights = net.constant(net.numbers(count, high, wide, inputs))
    bias = [net.constant(net.numbers(count))]
    return net.add(
        "CONV_2D", [image, weights, *bias], [net.shape(image)[0], *sides, count], "Conv2D", padding=padding,
        stride_h=stride[0], stride_w=stride[1], dilation_h=dilation[0], dilation_w=dilation[1],
        activation=net.pick(FUSED),
    )  # fmt: skip


def depthwise(net: Net) -> None:
    """Each channel on its own."""
    image = net.image()
    _, height, width, channels = net.shape(image)
    multiplier, kernel, padding = net.integer(1, 2), net.integer(1, 4), net.integer(0, 1)
    dilation = net.pick((1, 1, 2))
    stride = 1 if dilation > 1 else net.integer(1, 3)
    sides = [window_size(side, kernel, stride, padding, dilation) for side in (height, width)]
    if min(sides) < 1:
        padding, sides = 0, [-(-height // stride), -(-width // stride)]
    inputs = [image, net.constant(net.numbers(1, kernel, kernel, channels * multiplier)),
              net.constant(net.numbers(channels * multiplier))]  # fmt: skip
    net.add(
        "DEPTHWISE_CONV_2D", inputs, [net.shape(image)[0], *sides, channels * multiplier], "DepthwiseConv2D",
        padding=padding, stride_h=stride, stride_w=stride, dilation_h=dilation, dilation_w=dilation,
        depth_multiplier=multiplier, activation=net.pick(FUSED),
    )  # fmt: skip


def transposed(net: Net) -> None:
    """Transposed convolution; the result's size is one of those that lead back to the image's."""
    image = net.image(2, 6)
    batch, height, width, channels = net.shape(image)
    count, kernel, stride, padding = net.integer(1, 4), net.integer(1, 4), net.integer(1, 3), net.integer(0, 1)
    if padding == 0:
        sides = [side * stride - net.integer(0, stride - 1) for side in (height, width)]
    else:
        sides = [(side - 1) * stride + kernel + net.integer(0, stride - 1) for side in (height, width)]
    size = [batch, *sides, count]
    weights = net.constant(net.numbers(count, kernel, kernel, channels))
    bias = [net.constant(net.numbers(count))] if net.chance() else []
    net.add("TRANSPOSE_CONV", [net.ints(size), weights, image, *bias], size, "TransposeConv", padding=padding,
            stride_h=stride, stride_w=stride)  # fmt: skip


def fully_connected(net: Net) -> None:
    """Rows times a matrix."""
    shape = net.sizes(net.integer(2, 4))
    source, count = net.source(shape), net.integer(1, 5)
    inputs = [source, net.constant(net.numbers(count, shape[-1])), net.constant(net.numbers(count))]
    if net.chance(0.3):
        inputs[2] = ""
    keep = net.chance(0.4)
    result = [*shape[:-1], count] if keep else [int(np.prod(shape[:-1])), count]
    net.add("FULLY_CONNECTED", inputs, result, "FullyConnected", activation=net.pick(FUSED), keep_num_dims=keep)


def pool(net: Net) -> None:
    """Average, maximum or root of the average square."""
    image = net.image()
    batch, height, width, channels = net.shape(image)
    kind = net.pick(("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"))
    size, stride, padding = (net.integer(1, 4), net.integer(1, 4)), (net.integer(1, 3), net.integer(1, 3)), 0
    if size[0] <= height and size[1] <= width:
        padding = net.integer(0, 1)
    sides = [window_size(*values, padding) for values in zip((height, width), size, stride, strict=True)]
    net.add(kind, [image], [batch, *sides, channels], "Pool2D", padding=padding, stride_h=stride[0],
            stride_w=stride[1], filter_height=size[0], filter_width=size[1], activation=net.pick(FUSED))  # fmt: skip


def _broadcast_pair(net: Net, dtype: str = "float32") -> tuple[str, str, list[int]]:
    shape = net.sizes(net.integer(1, 4))
    other = [side if net.chance(0.7) else 1 for side in shape][
        net.integer(0, len(shape) - 1) if net.chance(0.3) else 0 :
    ]
    if dtype == "float32" and net.chance(0.4):
        first, second = net.source(shape), net.constant(net.numbers(*other))
    elif dtype == "float32":
        first, second = net.source(shape), net.source(other)
    else:
        first, second = net.input(shape, dtype), net.input(other, dtype)
    return (second, first, shape) if net.chance(0.3) else (first, second, shape)


def arithmetic(net: Net) -> None:
    """Two tensors number by number."""
    kind, table = net.pick(
        (("ADD", "Add"), ("SUB", "Sub"), ("MUL", "Mul"), ("DIV", "Div"), ("MAXIMUM", "MaximumMinimum"),
         ("MINIMUM", "MaximumMinimum"), ("SQUARED_DIFFERENCE", "SquaredDifference"), ("FLOOR_DIV", "FloorDiv"),
         ("FLOOR_MOD", "FloorMod"))
    )  # fmt: skip
    a, b, shape = _broadcast_pair(net)
    fused = {"activation": net.pick(FUSED)} if table in ("Add", "Sub", "Mul", "Div") else {}
    net.add(kind, [a, b], shape, table, **fused)


def power(net: Net) -> None:
    """Of a positive number."""
    shape = net.sizes(net.integer(1, 4))
    base = net.add("ABS", [net.source(shape)], shape, "Abs")
    net.add("POW", [base, net.constant(net.numbers(*net.pick(([], shape, shape[-1:]))))], shape, "Pow")


def comparison(net: Net) -> None:
    """True or false."""
    kind, table = net.pick(
        (("EQUAL", "Equal"), ("NOT_EQUAL", "NotEqual"), ("GREATER", "Greater"), ("GREATER_EQUAL", "GreaterEqual"),
         ("LESS", "Less"), ("LESS_EQUAL", "LessEqual"))
    )  # fmt: skip
    a, b, shape = _broadcast_pair(net, net.pick(("float32", "int32")))
    net.add(kind, [a, b], shape, table, "bool")


def logic(net: Net) -> None:
    """Of truths; and choosing by them."""
    a, b, shape = _broadcast_pair(net, "bool")
    kind, table = net.pick((("LOGICAL_AND", "LogicalAnd"), ("LOGICAL_OR", "LogicalOr")))
    truth = net.add("LOGICAL_NOT", [net.add(kind, [a, b], shape, table, "bool")], shape, "LogicalNot", "bool")
    net.add("SELECT_V2", [truth, net.source(shape), net.source(shape)], shape, "SelectV2")


UNARY = {
    "RELU": "", "RELU6": "", "RELU_N1_TO_1": "", "ELU": "", "LOGISTIC": "", "TANH": "", "HARD_SWISH": "HardSwish",
    "EXP": "Exp", "NEG": "Neg", "ABS": "Abs", "SQUARE": "Square", "SIN": "", "COS": "Cos", "FLOOR": "", "CEIL": "",
    "ROUND": "", "LOG_SOFTMAX": "LogSoftmax",
}  # fmt: skip


def unary(net: Net) -> None:
    """Functions of one number."""
    shape = net.sizes(net.integer(1, 4))
    kind = net.pick([*UNARY, "LOG", "SQRT", "RSQRT", "GELU", "LEAKY_RELU", "SOFTMAX", "PRELU"])
    source = net.source(shape)
    if kind in ("LOG", "SQRT", "RSQRT"):
        net.add(kind, [net.add("EXP", [source], shape, "Exp")], shape)
    elif kind == "GELU":
        net.add(kind, [source], shape, "Gelu", approximate=net.chance())
    elif kind == "LEAKY_RELU":
        net.add(kind, [source], shape, "LeakyRelu", alpha=float(net.random.uniform(0, 1)))
    elif kind == "SOFTMAX":
        net.add(kind, [source], shape, "Softmax", beta=net.pick((1.0, 0.5, 2.0)))
    elif kind == "PRELU":
        slope = [1] * (len(shape) - 2) + shape[-1:] if net.chance() else shape[1:]
        net.add(kind, [source, net.constant(net.numbers(*(slope or [1])))], shape)
    else:
        net.add(kind, [source], shape, UNARY[kind])


FAMILIES: list[Callable[[Net], None]] = [
    convolution, convolution, depthwise, depthwise, transposed, fully_connected, pool, pool, arithmetic, arithmetic,
    power, comparison, logic, unary, unary,
]  # fmt: skip


def draw(seed: int, families: Sequence[Callable[[Net], None]]) -> tuple[Net, str]:
    """A network and the name of its family."""
    net = Net(np.random.default_rng(seed))
    family = net.pick(families)
    family(net)
    return net, family.__name__
