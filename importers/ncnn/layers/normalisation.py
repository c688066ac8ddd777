"""Normalisation, by numbers of the file or by the input's own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..layer_writer import LayerWriter
from .arithmetic import per_channel

_ROOT_OF_ZERO = 1e-4  # what NCNN divides by instead of 0


def batch_norm(layer: LayerWriter) -> None:
    """(x - mean) / sqrt(variance + eps) * slope + bias, a channel each: the outermost axis."""
    count, eps = layer.whole(0), layer.number(1)
    slope, mean, variance, bias = (layer.raw(count) for _ in range(4))
    variance = np.where(variance + np.float32(eps) == 0, np.float32(_ROOT_OF_ZERO**2 - eps), variance)
    roles = {"slope": slope, "bias": bias, "mean": mean, "variance": variance}
    constants = [layer.constant(role, value) for role, value in roles.items()]
    layer.emit("BatchNormalization", [layer.inputs[0], *constants], epsilon=eps)


def instance_norm(layer: LayerWriter) -> None:
    """Each channel of each image by its own mean and variance."""
    count, eps, affine = layer.whole(0), layer.number(1, 0.001), layer.whole(2, 1)
    channels = layer.sizes(layer.blob_shape()[:1])[0]
    if affine:
        constants = [layer.constant(role, layer.raw(count)) for role in ("gamma", "beta")]
    else:
        constants = [layer.filled(role, value, channels) for role, value in (("gamma", 1), ("beta", 0))]
    layer.emit("InstanceNormalization", [layer.inputs[0], *constants], epsilon=eps)


def group_norm(layer: LayerWriter) -> None:
    """As `instance_norm`, of groups of channels."""
    groups, count, eps = layer.whole(0, 1), layer.whole(1), layer.number(2, 0.001)
    affine = layer.whole(3, 1)
    sizes = layer.blob_sizes()
    if groups < 1 or sizes[0] % groups:
        raise layer.error(f"cannot make {groups} groups of {sizes[0]} channels")
    grouped = layer.add("groups", "Reshape", [layer.inputs[0], layer.ints("split", [0, groups, -1])])
    unit = [layer.filled("ones", 1, groups), layer.filled("zeros", 0, groups)]
    normal = layer.first("InstanceNormalization", [grouped, *unit], then="whole", epsilon=eps)
    shape = layer.ints("joined", [0, *sizes])
    if not affine:
        layer.emit("Reshape", [normal, shape])
        return
    joined = layer.add("normal", "Reshape", [normal, shape])
    scaled = layer.add("scaled", "Mul", [joined, per_channel(layer, count, "gamma")])
    layer.emit("Add", [scaled, per_channel(layer, count, "beta")])


def layer_norm(layer: LayerWriter) -> None:
    """Over the innermost axes, as many as the weights have numbers for."""
    count, eps, affine = layer.whole(0), layer.number(1, 0.001), layer.whole(2, 1)
    sizes = _inner_sizes(layer, count)
    gamma = layer.constant("gamma", layer.raw(*sizes)) if affine else layer.filled("gamma", 1, *sizes)
    inputs = [layer.inputs[0], gamma]
    if affine:
        inputs.append(layer.constant("beta", layer.raw(*sizes)))
    layer.emit("LayerNormalization", inputs, axis=-len(sizes), epsilon=eps)


def rms_norm(layer: LayerWriter) -> None:
    """x / sqrt(mean of squares + eps), over the innermost axes, times weights."""
    count, eps, affine = layer.whole(0), layer.number(1, 0.001), layer.whole(2, 1)
    sizes = _inner_sizes(layer, count)
    x = layer.inputs[0]
    square = layer.add("square", "Mul", [x, x])
    mean = layer.add("mean", "ReduceMean", [square], axes=[-axis for axis in range(len(sizes), 0, -1)])
    root = layer.add("root", "Sqrt", [layer.add("shifted", "Add", [mean, layer.constant("eps", eps)])])
    if not affine:
        layer.emit("Div", [x, root])
        return
    normal = layer.first("Div", [x, root], then="scaled")
    layer.emit("Mul", [normal, layer.constant("gamma", layer.raw(*sizes))])


def _inner_sizes(layer: LayerWriter, count: int) -> list[int]:
    """The sizes of the one or two innermost axes that make so many numbers. Raises InputError when none do."""
    shape = layer.blob_shape()
    sizes = [count] if len(shape) < 3 or shape[-1] == count else list(layer.sizes(shape[-2:]))
    if int(np.prod(sizes)) != count:
        raise layer.error(f"its {count} weights do not fit its input's {' by '.join(map(str, sizes))}")
    return sizes


def local_response(layer: LayerWriter) -> None:
    """x / (bias + alpha * mean of squares around it) ^ beta, across channels or within each."""
    within = layer.choice(0, {0: False, 1: True}, "region")
    side, alpha, beta, bias = layer.whole(1, 5), layer.number(2, 1.0), layer.number(3, 0.75), layer.number(4, 1.0)
    if side < 1:
        raise layer.error(f"expected a side from 1, found {side}")
    if not within:
        reach = side // 2 * 2 + 1
        layer.emit("LRN", layer.inputs, size=reach, alpha=alpha * reach / side, beta=beta, bias=bias)
        return
    x = layer.inputs[0]
    square = layer.add("square", "Mul", [x, x])
    around = [side // 2] * 2 + [side - side // 2 - 1] * 2
    mean = layer.add("mean", "AveragePool", [square], kernel_shape=[side, side], pads=around, count_include_pad=1)
    scaled = layer.add("scaled", "Mul", [mean, layer.constant("alpha", alpha)])
    shifted = layer.add("shifted", "Add", [scaled, layer.constant("bias", bias)])
    layer.emit("Div", [x, layer.add("power", "Pow", [shifted, layer.constant("beta", beta)])])


def mean_variance(layer: LayerWriter) -> None:
    """(x - mean) / (sqrt(variance) + eps), of each channel or of all."""
    if len(layer.blob_shape()) < 3:
        raise layer.error("expected an input of three dimensions")
    axes = list(range(1 if layer.whole(1) else 2, len(layer.blob_shape()) + 1))
    x = layer.inputs[0]
    mean = layer.add("mean", "ReduceMean", [x], axes=axes)
    if not layer.whole(0):
        layer.emit("Sub", [x, mean])
        return
    apart = layer.add("apart", "Sub", [x, mean])
    variance = layer.add("variance", "ReduceMean", [layer.add("square", "Mul", [apart, apart])], axes=axes)
    root = layer.add("root", "Sqrt", [variance])
    layer.emit("Div", [apart, layer.add("divisor", "Add", [root, layer.constant("eps", layer.number(2, 1e-4))])])


def normalize(layer: LayerWriter) -> None:
    """x / its length, of each place, each channel or all, times one number or one a channel."""
    spatial, channel = layer.whole(0), layer.whole(4, 1)
    inner = list(range(2, len(layer.blob_shape()) + 1))
    axes = [1] * bool(channel) + inner * bool(spatial)
    if len(inner) < 2 or not axes:
        raise layer.error("expected an input of three dimensions, and what to normalise")
    x = layer.inputs[0]
    squares = layer.add("squares", "ReduceSumSquare", [x], axes=axes)
    length = _length(layer, squares)
    count = layer.whole(3)
    factor = layer.raw(count).reshape(count, *[1] * len(inner))
    normal = layer.first("Div", [x, length], then="scaled")
    layer.emit("Mul", [normal, layer.constant("scale", factor[:1] if layer.whole(1) else factor)])


def _length(layer: LayerWriter, squares: str) -> str:
    """Root of the sum of squares, kept from 0 as the framework did that the network came from."""
    mode = layer.choice(9, {0: "Add", 1: "", 2: "Max"}, "mode of eps")
    eps = layer.constant("eps", layer.number(2, 1e-4))
    if not mode:
        return layer.add("length", "Max", [layer.add("root", "Sqrt", [squares]), eps])
    return layer.add("length", "Sqrt", [layer.add("shifted", mode, [squares, eps])])


LAYERS: dict[str, Callable[[LayerWriter], None]] = {
    "BatchNorm": batch_norm,
    "GroupNorm": group_norm,
    "InstanceNorm": instance_norm,
    "LayerNorm": layer_norm,
    "LRN": local_response,
    "MVN": mean_variance,
    "Normalize": normalize,
    "RMSNorm": rms_norm,
}
