"""Random Caffe2 operators with what they compute, worked out slowly: from the operators' own documentation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from coreml_cases import Draw, convolved, pooled, sampled, transposed

Array = np.ndarray
LAST, FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


@dataclass
class Case:
    """One operator: arrays as the file has them, images with channels last where `order` says so."""

    kind: str
    inputs: list[Array]
    outputs: list[Array]
    arguments: dict[str, Any] = field(default_factory=dict)
    stored: Sequence[int] = ()  # which inputs are stored

    def turned(self) -> Case:
        """The same operator of order NHWC: images and kernels have their channels last."""
        inputs = [np.ascontiguousarray(x.transpose(LAST)) if x.ndim == 4 else x for x in self.inputs]
        outputs = [y.transpose(LAST) if y.ndim == 4 else y for y in self.outputs]
        return Case(self.kind, inputs, outputs, {**self.arguments, "order": "NHWC"}, self.stored)


def sides(draw: Draw, name: str, values: Sequence[int]) -> dict[str, Any]:
    """One of the ways to state a number a side."""
    if values[0] == values[1] and draw.chance():
        return {name: values[0]}
    if draw.chance():
        return {f"{name}_h": values[0], f"{name}_w": values[1]}
    return {f"{name}s": list(values)}


def edges(draw: Draw, starts: Sequence[int], ends: Sequence[int]) -> dict[str, Any]:
    values = [*starts, *ends]
    if len(set(values)) == 1 and draw.chance():
        return {"pad": values[0]}
    if draw.chance():
        return {f"pad_{edge}": value for edge, value in zip("tlbr", values, strict=True)}
    return {"pads": values}


def convolution(draw: Draw) -> Case:
    group, kernel, stride = draw.integer(1, 2), draw.sizes(2, 1, 3), draw.sizes(2, 1, 3)
    dilation = draw.sizes(2, 1, 2) if group == 1 else (1, 1)
    x = draw.numbers(2, 2 * group, *draw.sizes(2, 5, 8))
    w = draw.numbers(group * draw.integer(1, 3), 2, *kernel)
    bias = draw.numbers(len(w)) if draw.chance() else None
    mode = draw.integer(0, 2)
    if mode == 2:
        dilation = (1, 1)
        totals = [
            max((math.ceil(size / step) - 1) * step + side - size, 0)
            for size, step, side in zip(x.shape[2:], stride, kernel, strict=True)
        ]
        starts, ends, padding = [t // 2 for t in totals], [t - t // 2 for t in totals], {"legacy_pad": 2}
    elif mode == 1:
        starts, ends, padding = (0, 0), (0, 0), {"legacy_pad": 1}
    else:
        starts, ends = draw.sizes(2, 0, 2), draw.sizes(2, 0, 2)
        padding = edges(draw, starts, ends)
    arguments = {**sides(draw, "kernel", kernel), **sides(draw, "stride", stride), **sides(draw, "dilation", dilation)}
    y = convolved(x, w, bias, stride, starts, ends, dilation, group)
    inputs = [x, w] if bias is None else [x, w, bias]
    case = Case("Conv", inputs, [y], {**arguments, **padding, "group": group}, (1, 2))
    return case.turned() if draw.chance() else case


def deconvolution(draw: Draw) -> Case:
    kernel, stride = draw.sizes(2, 2, 4), draw.sizes(2, 2, 3)
    x, w, bias = draw.numbers(1, 3, *draw.sizes(2, 3, 5)), draw.numbers(3, 2, *kernel), draw.numbers(2)
    starts, ends, beyond = draw.sizes(2, 0, 1), draw.sizes(2, 0, 1), draw.integer(0, 1)
    full = np.pad(transposed(x, w, stride, 1), [(0, 0), (0, 0), (0, beyond), (0, beyond)])
    y = full[:, :, starts[0] : full.shape[2] - ends[0], starts[1] : full.shape[3] - ends[1]] + bias.reshape(-1, 1, 1)
    arguments = {**sides(draw, "kernel", kernel), **sides(draw, "stride", stride), **edges(draw, starts, ends)}
    case = Case("ConvTranspose", [x, w, bias], [y], {**arguments, "adj": beyond}, (1, 2))
    return case.turned() if draw.chance() else case


def pooling(draw: Draw) -> Case:
    kind, kernel = draw.integer(0, 1), draw.sizes(2, 2, 3)
    name, stride = ("MaxPool", "AveragePool")[kind], [draw.integer(1, side) for side in kernel]
    x, counted = draw.numbers(2, 3, *draw.sizes(2, 5, 8)), kind == 1 and draw.chance()
    if draw.integer(0, 3) == 0:
        y = x.max((2, 3), keepdims=True) if kind == 0 else x.mean((2, 3), keepdims=True)
        case = Case(name, [x], [y], {"global_pooling": 1})
        return case.turned() if draw.chance() else case
    arguments = {**sides(draw, "kernel", kernel), **sides(draw, "stride", stride)}
    if draw.chance():  # Caffe's windows: they go on until every pixel is in one
        pad, counts = draw.integer(0, 1), []
        for size, side, step in zip(x.shape[2:], kernel, stride, strict=True):
            count = math.ceil((size + 2 * pad - side) / step) + 1
            counts.append(count - bool(pad and (count - 1) * step >= size + pad))
        padding, starts, ends, counted = {"legacy_pad": 3, "pad": pad}, (pad, pad), (pad, pad), False
        if any(
            (count - 1) * step + side - size - pad >= side
            for count, step, side, size in zip(counts, stride, kernel, x.shape[2:], strict=True)
        ):
            padding, starts, ends = {}, (0, 0), (0, 0)
            counts = [(size - side) // step + 1 for size, side, step in zip(x.shape[2:], kernel, stride, strict=True)]
    else:
        starts, ends = draw.sizes(2, 0, 1), draw.sizes(2, 0, 1)
        padding = edges(draw, starts, ends)
        sums = zip(x.shape[2:], starts, ends, kernel, stride, strict=True)
        counts = [(size + start + end - side) // step + 1 for size, start, end, side, step in sums]
    y = pooled(x, kind, kernel, stride, starts, ends, counts, excluding=not counted)
    more = {"count_include_pad": 1} if counted else {}
    case = Case(name, [x], [y], {**arguments, **padding, **more})
    return case.turned() if draw.chance() else case


def dense(draw: Draw) -> Case:
    x, flips = draw.numbers(*draw.sizes(draw.integer(2, 4), 2, 4)), draw.chance()
    w, bias = draw.numbers(5, math.prod(x.shape[1:])), draw.numbers(5)
    y = x.reshape(len(x), -1) @ w.T + bias
    return Case(
        "FCTransposed" if flips else "FC", [x, np.ascontiguousarray(w.T) if flips else w, bias], [y], {}, (1, 2)
    )


def matmul(draw: Draw) -> Case:
    a, b, flags = draw.numbers(2, 3, 4), draw.numbers(2, 4, 5), (draw.chance(), draw.chance())
    given = [np.ascontiguousarray(m.swapaxes(1, 2)) if flag else m for m, flag in zip((a, b), flags, strict=True)]
    return Case("BatchMatMul", given, [a @ b], {"trans_a": int(flags[0]), "trans_b": int(flags[1])}, (0, 1))


def normalised(draw: Draw) -> Case:
    x, last = draw.numbers(2, 3, 4, 5), draw.chance()
    scale, bias, mean, variance = draw.numbers(3), draw.numbers(3), draw.numbers(3), draw.numbers(3) ** 2

    def spread(values: Array) -> Array:
        return values.reshape(-1, 1, 1)

    kind = draw.pick(["SpatialBN", "InstanceNorm", "LRN"])
    if kind == "SpatialBN":
        y = (x - spread(mean)) / np.sqrt(spread(variance) + 0.1) * spread(scale) + spread(bias)
        case = Case(kind, [x, scale, bias, mean, variance], [y], {"is_test": 1, "epsilon": 0.1}, (1, 2, 3, 4))
    elif kind == "InstanceNorm":
        y = (x - x.mean((2, 3), keepdims=True)) / np.sqrt(x.var((2, 3), keepdims=True) + 0.1) * spread(scale) + spread(
            bias
        )
        case = Case(kind, [x, scale, bias], [y], {"epsilon": 0.1}, (1, 2))
    else:
        squares = np.pad(x**2, [(0, 0), (1, 1), (0, 0), (0, 0)])
        near = sum(squares[:, at : at + 3] for at in range(3))
        case = Case(kind, [x], [x / (2 + 0.5 / 3 * near) ** 0.75], {"size": 3, "alpha": 0.5, "beta": 0.75, "bias": 2.0})
    return case.turned() if last else case


def softmax(draw: Draw) -> Case:
    x = draw.numbers(*draw.sizes(draw.integer(2, 4), 1, 3))
    axis = draw.integer(0, x.ndim - 1)
    rows = np.exp(x.reshape(math.prod(x.shape[:axis]), -1))
    return Case("Softmax", [x], [(rows / rows.sum(1, keepdims=True)).reshape(x.shape)], {"axis": axis})


def function(draw: Draw) -> Case:
    x = draw.numbers(2, 3, 2, 4)
    big, slopes = np.abs(x) + np.float32(0.5), draw.numbers(draw.pick([1, 3]))
    kind, arguments, x, y = draw.pick(
        [
            ("Relu", {}, x, x.clip(0)),
            ("LeakyRelu", {"alpha": 0.3}, x, np.where(x < 0, 0.3 * x, x)),
            ("Elu", {"alpha": 0.3}, x, np.where(x < 0, 0.3 * (np.exp(x) - 1), x)),
            ("Selu", {}, x, 1.05070098 * np.where(x < 0, 1.67326324 * (np.exp(x) - 1), x)),
            ("Sigmoid", {}, x, 1 / (1 + np.exp(-x))),
            ("HardSigmoid", {}, x, (0.2 * x + 0.5).clip(0, 1)),
            ("ThresholdedRelu", {"alpha": 0.5}, x, np.where(x > 0.5, x, 0)),
            ("Softsign", {}, x, x / (1 + np.abs(x))),
            ("Softplus", {}, x, np.log1p(np.exp(x))),
            ("Swish", {}, x, x / (1 + np.exp(-x))),
            ("Clip", {"min": -0.5, "max": 0.25}, x, x.clip(-0.5, 0.25)),
            ("ReluN", {"n": 1.0}, x, x.clip(0, 1)),
            ("Sqr", {}, x, x * x),
            ("Pow", {"exponent": 3.0}, x, x**3),
            ("Scale", {"scale": 0.3}, x, x * np.float32(0.3)),
            ("Negative", {}, x, -x),
            ("Dropout", {"is_test": 1, "ratio": 0.5}, x, x),
            ("Copy", {}, x, x),
            ("Sqrt", {}, big, np.sqrt(big)),
            ("Log", {}, big, np.log(big)),
            *(
                (name, {}, x, getattr(np, name.lower())(x))
                for name in ("Tanh", "Exp", "Abs", "Sin", "Cos", "Floor", "Ceil")
            ),
        ]
    )
    if draw.integer(0, 9) == 0:
        y = np.where(x < 0, slopes.reshape(-1, 1, 1) * x, x)
        case = Case("PRelu", [x, slopes], [y], {}, (1,))
        return case.turned() if draw.chance() else case
    return Case(kind, [x], [y], arguments)


BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
}


def binary(draw: Draw) -> Case:
    """The second from an axis on, in the way of old nets; or as NumPy broadcasts."""
    kind, a = draw.pick(list(BINARY)), draw.numbers(2, 3, 4, 5)
    if draw.chance():
        b = draw.numbers(*draw.pick([(5,), (4, 1), (1, 3, 1, 5), (2, 3, 4, 5)])) + np.float32(3)
        return Case(kind, [a, b], [BINARY[kind](a, b)], {}, (1,))
    axis = draw.integer(0, 3)
    b = draw.numbers(*a.shape[axis : axis + draw.integer(1, 2)]) + np.float32(3)
    spread = b.reshape(*b.shape, *[1] * (4 - axis - b.ndim))
    return Case(kind, [a, b], [BINARY[kind](a, spread)], {"broadcast": 1, "axis": axis}, (1,))


def together(draw: Draw) -> Case:
    xs = [draw.numbers(2, 3, 4) for _ in range(draw.integer(1, 3))]
    kind, y = draw.pick(
        [("Sum", np.sum(xs, 0)), ("Max", np.max(xs, 0)), ("Min", np.min(xs, 0)), ("Mean", np.mean(xs, 0))]
    )
    return Case(kind, xs, [y], {}, tuple(range(1, len(xs))))


def joined(draw: Draw) -> Case:
    parts = [draw.numbers(2, draw.integer(1, 3), 3, 4) for _ in range(2)]
    case = Case("Concat", parts, [np.concatenate(parts, 1)], {} if draw.chance() else {"order": "NCHW"}, (1,))
    if draw.chance():
        return case.turned()
    if draw.chance():
        same = [draw.numbers(2, 3), draw.numbers(2, 3)]
        return Case("Concat", same, [np.stack(same, 1)], {"axis": 1, "add_axis": 1}, (1,))
    return case


def split(draw: Draw) -> Case:
    x, axis = draw.numbers(2, 6, 6, 4), draw.integer(1, 2)
    if draw.chance():
        return Case("Split", [x], np.split(x, 3, axis), {"axis": axis})
    return Case("Split", [x], np.split(x, [1, 4], axis), {"axis": axis, "split": [1, 3, 2]})


def moved(draw: Draw) -> Case:
    x = draw.numbers(2, 3, 4, 6)
    kind, arguments, y = draw.pick(
        [
            ("Slice", {"starts": [0, 1, 0, 2], "ends": [-1, 3, -2, -1]}, x[:, 1:3, :3, 2:]),
            ("Slice", {"starts": [0, 0, -3, 0], "ends": [2, -1, -1, 4]}, x[:, :, -2:, :4]),
            ("Reshape", {"shape": [0, -1, 4]}, x.reshape(2, 18, 4)),
            ("Reshape", {"shape": [-1, 72]}, x.reshape(2, 72)),
            ("Flatten", {}, x.reshape(2, 72)),
            ("Flatten", {"axis": 2}, x.reshape(6, 24)),
            ("FlattenToVec", {}, x.reshape(-1)),
            ("Transpose", {"axes": [0, 2, 3, 1]}, x.transpose(0, 2, 3, 1)),
            ("Transpose", {}, x.transpose()),
            ("NCHW2NHWC", {}, x.transpose(LAST)),
            ("NHWC2NCHW", {}, x.transpose(FIRST)),
            ("ExpandDims", {"dims": [0, 2]}, x[None, :, None]),
            ("Tile", {"tiles": 2, "axis": 1}, np.tile(x, (1, 2, 1, 1))),
            ("ReduceBackMean", {"num_reduce_dim": 2}, x.mean((2, 3))),
            ("ReduceFrontSum", {"num_reduce_dim": 1}, x.sum(0)),
            ("ReduceMean", {"axes": [1], "keepdims": 0}, x.mean(1)),
            ("ReduceSum", {"axes": [2, 3]}, x.sum((2, 3), keepdims=True)),
            ("Normalize", {"axis": 1}, x / np.sqrt((x**2).sum(1, keepdims=True))),
            ("PadImage", {"pad": 2, "mode": "reflect"}, np.pad(x, [(0, 0), (0, 0), (2, 2), (2, 2)], "reflect")),
            ("PadImage", {"pad_t": 1, "pad_l": 0, "pad_b": 2, "pad_r": 3, "value": 0.5},
             np.pad(x, [(0, 0), (0, 0), (1, 2), (0, 3)], constant_values=0.5)),
        ]
    )  # fmt: skip
    return Case(kind, [x], [y], arguments)


def resized(draw: Draw) -> Case:
    x, kind = draw.numbers(2, 4, 3, 5), draw.pick(["ResizeNearest", "UpsampleBilinear", "ChannelShuffle"])
    height, width = draw.pick([(2.0, 2.0), (1.0, 3.0), (0.5, 1.0)]) if kind != "UpsampleBilinear" else (2.0, 3.0)
    rows, columns = int(3 * height), int(5 * width)
    if kind == "ResizeNearest":
        near = [
            np.minimum((np.arange(count) / factor).astype(int), size - 1)
            for count, factor, size in ((rows, height, 3), (columns, width, 5))
        ]
        case = Case(kind, [x], [x[:, :, near[0]][:, :, :, near[1]]], {"height_scale": height, "width_scale": width})
    elif kind == "UpsampleBilinear":
        y = sampled(x, np.linspace(0, 2, rows), np.linspace(0, 4, columns))
        return Case(kind, [x], [y], {"height_scale": height, "width_scale": width})
    else:
        y = x.reshape(2, 2, 2, 3, 5).swapaxes(1, 2).reshape(x.shape)
        case = Case(kind, [x], [y], {"group": 2})
    return case.turned() if draw.chance() else case


CASES: dict[str, Callable[[Draw], Case]] = {
    "Conv": convolution,
    "ConvTranspose": deconvolution,
    "pooling": pooling,
    "FC": dense,
    "BatchMatMul": matmul,
    "normalised": normalised,
    "Softmax": softmax,
    "function": function,
    "binary": binary,
    "together": together,
    "Concat": joined,
    "Split": split,
    "moved": moved,
    "resized": resized,
}
