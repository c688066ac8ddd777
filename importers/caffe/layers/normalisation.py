"""Layers that normalise, with learned or with measured statistics."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..layer_writer import LayerWriter
from ..wire_schema import enum_name


def lrn(layer: LayerWriter) -> None:
    """Local response normalisation (Krizhevsky et al. 2012): across channels, or over a window within each."""
    param = layer.param("lrn_param")
    if param.local_size % 2 == 0:
        raise layer.error(f"local_size must be odd, found {param.local_size}")
    if enum_name("NormRegion", param.norm_region) == "WITHIN_CHANNEL":
        _lrn_within(layer, param.local_size, param.alpha, param.beta)
    else:  # both formats divide alpha by the size
        layer.emit("LRN", layer.inputs, size=param.local_size, alpha=param.alpha, beta=param.beta, bias=param.k)


def _lrn_within(layer: LayerWriter, size: int, alpha: float, beta: float) -> None:
    """x / (1 + alpha * mean of the window's squares) ^ beta; k plays no part here, in Caffe either."""
    axes = len(layer.shape()) - 2
    squared = layer.add("squared", "Mul", [layer.inputs[0]] * 2)
    pads = [(size - 1) // 2] * (2 * axes)
    mean = layer.add("mean", "AveragePool", [squared], kernel_shape=[size] * axes, pads=pads, count_include_pad=1)
    scaled = layer.add("scaled", "Mul", [mean, layer.constant("alpha", alpha)])
    shifted = layer.add("shifted", "Add", [scaled, layer.constant("one", 1)])
    layer.emit("Mul", [layer.inputs[0], layer.add("power", "Pow", [shifted, layer.constant("beta", -beta)])])


def batch_norm(layer: LayerWriter) -> None:
    """(x - mean) / sqrt(variance + eps); the stored sums are divided by the third blob, unless that is 0."""
    param = layer.param("batch_norm_param")
    channels = layer.sizes(layer.shape()[1:2])[0] if len(layer.shape()) > 1 else 1
    if param.HasField("use_global_stats") and not param.use_global_stats:
        _normalise_batch(layer, param.eps)
        return
    stored = layer.weight_values({"mean": (channels,), "variance": (channels,), "divisor": (1,)})
    divisor = float(stored["divisor"][0])
    factor = np.float32(0 if divisor == 0 else 1 / divisor)
    one, zero = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    mean, variance = stored["mean"] * factor, stored["variance"] * factor
    _emit_batch_norm(layer, {"scale": one, "shift": zero, "mean": mean, "variance": variance}, param.eps)


_ROLES = ("scale", "shift", "mean", "variance")


def _emit_batch_norm(layer: LayerWriter, values: Mapping[str, np.ndarray], eps: float) -> None:
    constants = [layer.constant(role, values[role]) for role in _ROLES]
    layer.emit("BatchNormalization", [*layer.inputs, *constants], epsilon=eps)


def _normalise_batch(layer: LayerWriter, eps: float) -> None:
    """By the batch's own statistics, where the prototxt insists on it at test time."""
    axes = [0, *range(2, len(layer.shape()))]
    _standardise(layer, layer.inputs[0], axes, eps, eps_inside=True)


def _standardise(layer: LayerWriter, value: str, axes: list[int], eps: float, *, eps_inside: bool) -> None:
    """(x - mean) / sqrt(variance + eps), or with eps added to the root."""
    mean = layer.add("mean", "ReduceMean", [value], axes=axes)
    centred = layer.add("centred", "Sub", [value, mean])
    spread = layer.add("variance", "ReduceMean", [layer.add("squared", "Mul", [centred] * 2)], axes=axes)
    small = layer.constant("eps", eps)
    if eps_inside:
        deviation = layer.add("deviation", "Sqrt", [layer.add("shifted", "Add", [spread, small])])
    else:
        deviation = layer.add("shifted", "Add", [layer.add("deviation", "Sqrt", [spread]), small])
    layer.emit("Div", [centred, deviation])


def bn(layer: LayerWriter) -> None:
    """Forks' one-layer batch normalisation: scale and shift (SegNet), or those with mean and variance (PSPNet)."""
    channels = layer.sizes(layer.shape()[1:2])[0]
    param = layer.param("bn_param")
    if len(layer.layer.blobs) == 4:
        values = layer.weight_values(dict.fromkeys(_ROLES, (channels,)))
        _emit_batch_norm(layer, values, param.eps)
        return
    if enum_name("BNMode", param.bn_mode) != "INFERENCE":
        raise layer.error("normalises by its batch; expected bn_mode: INFERENCE, as in SegNet's test files")
    values = layer.weight_values({"scale": (channels,), "shift": (channels,)})
    shape = (channels, *[1] * (len(layer.shape()) - 2))
    scaled = layer.add("scaled", "Mul", [*layer.inputs, layer.constant("scale", values["scale"].reshape(shape))])
    layer.emit("Add", [scaled, layer.constant("shift", values["shift"].reshape(shape))])


def mvn(layer: LayerWriter) -> None:
    """Each image's (or each channel's) mean taken away, and its deviation divided out."""
    param = layer.param("mvn_param")
    axes = list(range(1 if param.across_channels else 2, len(layer.shape())))
    if param.normalize_variance:
        _standardise(layer, layer.inputs[0], axes, param.eps, eps_inside=False)
        return
    mean = layer.add("mean", "ReduceMean", layer.inputs, axes=axes)
    layer.emit("Sub", [layer.inputs[0], mean])


def normalize(layer: LayerWriter) -> None:
    """Each position's (or image's) vector scaled to length one, then by a learned factor (SSD, Liu et al. 2016)."""
    param = layer.param("norm_param")
    shape = layer.shape()
    axes = list(range(1, len(shape))) if param.across_spatial else [1]
    squared = layer.add("squared", "Mul", layer.inputs * 2)
    total = layer.add("total", "ReduceSum", [squared, layer.ints("axes", axes)])
    length = layer.add("length", "Sqrt", [layer.add("shifted", "Add", [total, layer.constant("eps", param.eps)])])
    unit = layer.add("unit", "Div", [layer.inputs[0], length])
    count = 1 if param.channel_shared else layer.sizes(shape[1:2])[0]
    factor = layer.weight_values({"scale": (count,)}, {"scale": param.scale_filler})["scale"]
    layer.emit("Mul", [unit, layer.constant("scale", factor.reshape(1, count, *[1] * (len(shape) - 2)))])


LAYERS = {"LRN": lrn, "BatchNorm": batch_norm, "BN": bn, "MVN": mvn, "Normalize": normalize}
