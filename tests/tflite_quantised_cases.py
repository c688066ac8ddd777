"""Random quantised TensorFlow Lite networks of one operator: bytes with scales, per tensor and per channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tflite_cases import FUSED, Net, window_size

Steps = dict[str, Any]  # scale and zero_point of a tensor


def steps(net: Net, low: float, high: float, dtype: str) -> Steps:
    """Those of a range that holds 0; 16 bits are symmetric."""
    if dtype == "int16":
        return {"scale": [float(np.float32(max(high, -low) / 32767))], "zero_point": [0]}
    scale = np.float32((high - low) / 255)
    bits = np.iinfo(dtype)
    zero = int(np.clip(round(bits.min - low / scale), bits.min, bits.max))
    return {"scale": [float(scale)], "zero_point": [zero]}


def any_steps(net: Net, dtype: str, size: float = 3) -> Steps:
    """Of some range about this large."""
    return steps(net, -size * net.random.uniform(0.3, 1), size * net.random.uniform(0.3, 1), dtype)


def weights(net: Net, shape: list[int], dtype: str, axis: int) -> tuple[str, np.ndarray]:
    """A constant, symmetric (int8, sometimes with a scale a channel) or not (uint8), and its scales."""
    if dtype == "uint8":
        scale = np.array([net.random.uniform(0.005, 0.02)], np.float32)
        return net.constant(net.random.integers(0, 256, shape), dtype, scale=scale, zero_point=[128]), scale
    count = shape[axis] if net.chance(0.6) else 1
    scale = net.random.uniform(0.005, 0.02, count).astype(np.float32)
    values = net.random.integers(-127, 128, shape)
    return net.constant(values, "int8", scale=scale, zero_point=[0] * count, axis=axis), scale


def bias(net: Net, count: int, source: Steps, scale: np.ndarray, dtype: str) -> str:
    """32-bit integers (64 with 16-bit tensors) in steps of the product of the other two."""
    step = (np.float32(source["scale"][0]) * scale).astype(np.float32)
    wide = "int64" if dtype == "int16" else "int32"
    return net.constant(net.random.integers(-2000, 2000, count), wide, scale=step, zero_point=[0] * step.size)


def q_convolution(net: Net, dtype: str) -> None:
    """CONV_2D or DEPTHWISE_CONV_2D."""
    source = any_steps(net, dtype)
    n, h, w, c = 1, net.integer(4, 9), net.integer(4, 9), net.integer(1, 5)
    image = net.input([n, h, w, c], dtype, **source)
    kernel, stride, padding = net.integer(1, 3), net.integer(1, 2), net.integer(0, 1)
    sides = [window_size(side, kernel, stride, padding) for side in (h, w)]
    options = {"padding": padding, "stride_h": stride, "stride_w": stride, "activation": net.pick(FUSED)}
    more = any_steps(net, dtype, 1.0 + kernel * kernel)
    if net.chance():
        count = net.integer(1, 4)
        filters, scale = weights(net, [count, kernel, kernel, c], dtype, 0)
        inputs = [image, filters, bias(net, count, source, scale, dtype)]
        net.add("CONV_2D", inputs, [n, *sides, count], "Conv2D", dtype, more, **options)
    else:
        filters, scale = weights(net, [1, kernel, kernel, c], dtype, 3)
        inputs = [image, filters, bias(net, c, source, scale, dtype)]
        net.add("DEPTHWISE_CONV_2D", inputs, [n, *sides, c], "DepthwiseConv2D", dtype, more, depth_multiplier=1,
                **options)  # fmt: skip


def q_fully_connected(net: Net, dtype: str) -> None:
    """One scale for all weights."""
    source, width, count = any_steps(net, dtype), net.integer(1, 20), net.integer(1, 5)
    values = (
        net.random.integers(0, 256, (count, width))
        if dtype == "uint8"
        else net.random.integers(-127, 128, (count, width))
    )
    filters = net.constant(values, dtype, scale=[0.01], zero_point=[128 if dtype == "uint8" else 0])
    inputs = [
        net.input([2, width], dtype, **source),
        filters,
        bias(net, count, source, np.array([0.01], np.float32), dtype),
    ]
    net.add("FULLY_CONNECTED", inputs, [2, count], "FullyConnected", dtype, any_steps(net, dtype, 4),
            activation=net.pick(FUSED))  # fmt: skip


def q_pool(net: Net, dtype: str) -> None:
    """Steps are the same before and behind."""
    more = any_steps(net, dtype)
    h, w, c = net.integer(4, 9), net.integer(4, 9), net.integer(1, 5)
    size, stride, padding = net.integer(1, 4), net.integer(1, 3), net.integer(0, 1)
    sides = [window_size(side, size, stride, padding) for side in (h, w)]
    kind = net.pick(("AVERAGE_POOL_2D", "MAX_POOL_2D"))
    net.add(kind, [net.input([1, h, w, c], dtype, **more)], [1, *sides, c], "Pool2D", dtype, more, padding=padding,
            stride_h=stride, stride_w=stride, filter_height=size, filter_width=size,
            activation=net.pick(FUSED))  # fmt: skip


def q_arithmetic(net: Net, dtype: str) -> None:
    """ADD, SUB or MUL of two ranges into a third; sometimes one side is constant."""
    shape = net.sizes(net.integer(1, 4))
    kind, table = net.pick((("ADD", "Add"), ("SUB", "Sub"), ("MUL", "Mul")))
    first = net.input(shape, dtype, **any_steps(net, dtype))
    second = any_steps(net, dtype)
    bits = np.iinfo(dtype)
    if net.chance(0.3):
        other = net.constant(net.random.integers(bits.min, bits.max, shape[-1:]), dtype, **second)
    else:
        other = net.input(shape, dtype, **second)
    net.add(kind, [first, other], shape, table, dtype, any_steps(net, dtype, 5), activation=net.pick(FUSED))


def q_unary(net: Net, dtype: str) -> None:
    """Functions of one number; those with a known range have fixed steps."""
    shape = net.sizes(net.integer(2, 4))
    kind = net.pick(("RELU", "RELU6", "LOGISTIC", "TANH", "SOFTMAX", "LEAKY_RELU"))
    low = 0 if dtype == "uint8" else -128
    fixed = {
        "LOGISTIC": {"scale": [1 / 256], "zero_point": [low]},
        "SOFTMAX": {"scale": [1 / 256], "zero_point": [low]},
        "TANH": {"scale": [1 / 128], "zero_point": [low + 128]},
    }
    more = fixed.get(kind) or any_steps(net, dtype)
    options: Steps = {"SOFTMAX": {"beta": 1.0}, "LEAKY_RELU": {"alpha": 0.25}}.get(kind, {})
    table = {"SOFTMAX": "Softmax", "LEAKY_RELU": "LeakyRelu"}.get(kind, "")
    net.add(kind, [net.input(shape, dtype, **any_steps(net, dtype, 6))], shape, table, dtype, more, **options)


def q_moved(net: Net, dtype: str) -> None:
    """Nothing but other places: exactly the same bytes."""
    more, shape = any_steps(net, dtype), net.sizes(4, 2, 5)
    tensor = net.input(shape, dtype, **more)
    n, h, w, c = shape
    kind = net.pick(("RESHAPE", "TRANSPOSE", "PAD", "CONCATENATION", "RESIZE_NEAREST_NEIGHBOR", "SLICE"))
    if kind == "RESHAPE":
        net.add(kind, [tensor, net.ints([n * h, w * c])], [n * h, w * c], "Reshape", dtype, more,
                new_shape=[n * h, w * c])  # fmt: skip
    elif kind == "TRANSPOSE":
        perm = net.random.permutation(4).tolist()
        net.add(kind, [tensor, net.ints(perm)], [shape[axis] for axis in perm], "Transpose", dtype, more)
    elif kind == "PAD":
        net.add(kind, [tensor, net.ints([[0, 0], [1, 2], [0, 1], [0, 0]])], [n, h + 3, w + 1, c], "Pad", dtype, more)
    elif kind == "SLICE":
        net.add(kind, [tensor, net.ints([0, 1, 0, 0]), net.ints([-1, -1, 1, -1])], [n, h - 1, 1, c], "Slice", dtype,
                more)  # fmt: skip
    elif kind == "CONCATENATION":
        other = net.input(shape, dtype, **more)
        net.add(kind, [tensor, other], [n, h, w, 2 * c], "Concatenation", dtype, more, axis=3)
    else:
        net.add(kind, [tensor, net.ints([h * 2, w * 3])], [n, h * 2, w * 3, c], "ResizeNearestNeighbor", dtype, more)


def q_mean(net: Net, dtype: str) -> None:
    """Of the whole image."""
    shape = net.sizes(4)
    keep = net.chance()
    result = [shape[0], 1, 1, shape[3]] if keep else [shape[0], shape[3]]
    net.add("MEAN", [net.input(shape, dtype, **any_steps(net, dtype)), net.ints([1, 2])], result, "Reducer", dtype,
            any_steps(net, dtype), keep_dims=keep)  # fmt: skip


def q_bilinear(net: Net, dtype: str) -> None:
    """The same steps before and behind."""
    shape, more = net.sizes(4, 2, 6), any_steps(net, dtype)
    size = net.sizes(2, 1, 9)
    net.add("RESIZE_BILINEAR", [net.input(shape, dtype, **more), net.ints(size)], [shape[0], *size, shape[3]],
            "ResizeBilinear", dtype, more, half_pixel_centers=net.chance())  # fmt: skip


def q_borders(net: Net, dtype: str) -> None:
    """Float in, bytes between, float out."""
    shape = net.sizes(net.integer(1, 4))
    inner = net.add("QUANTIZE", [net.input(shape)], shape, "Quantize", dtype, any_steps(net, dtype))
    if net.chance():
        inner = net.add("QUANTIZE", [inner], shape, "Quantize", dtype, any_steps(net, dtype))
    net.add("DEQUANTIZE", [inner], shape, "Dequantize")


QUANTISED: list[Callable[[Net, str], None]] = [
    q_convolution, q_convolution, q_fully_connected, q_pool, q_arithmetic, q_unary, q_moved, q_mean, q_bilinear,
    q_borders,
]  # fmt: skip


def draw_quantised(seed: int) -> tuple[Net, str]:
    """A network and the name of its family."""
    net = Net(np.random.default_rng(seed))
    family = net.pick(QUANTISED)
    wide = family in (q_convolution, q_borders)
    family(net, net.pick(("int8", "int8", "uint8", *["int16"] * wide)))
    return net, family.__name__
