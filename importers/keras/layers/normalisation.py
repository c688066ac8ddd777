"""Normalisation by stored statistics, over axes, over groups of channels, to length one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from ..layer_writer import LayerWriter

_SMALLEST = 1e-7  # standard deviation that Normalization divides by at least
_SHORTEST = 1e-12  # square of the length that UnitNormalization divides by at least


def _axes(layer: LayerWriter, default: int | None = -1) -> list[int]:
    """The option `axis`, one or a list, counted from the front."""
    given, rank = layer.option("axis", default), len(layer.shape())
    axes = [given] if isinstance(given, int) else list(given or [])
    if not all(isinstance(axis, int) and -rank <= axis < rank for axis in axes):
        raise layer.error(f"axis {given} is outside its input of {rank} dimensions")
    return sorted(axis % rank for axis in axes)


def batch_normalization(layer: LayerWriter) -> None:
    """gamma * (x - moving_mean) / sqrt(moving_variance + epsilon) + beta along one axis (Ioffe & Szegedy 2015)."""
    axes, rank = _axes(layer), len(layer.shape())
    if len(axes) != 1 or not axes[0]:
        raise layer.error(f"expected one axis other than the batch, found {axes}")
    if layer.option("mode", 0) == 1:
        raise layer.error("mode 1, normalisation by each sample's own statistics, is not supported")
    count = layer.array("moving_mean").size
    defaults = {"gamma": np.ones(count), "beta": np.zeros(count)}
    roles = ("gamma", "beta", "moving_mean", "moving_variance")
    epsilon = float(layer.option("epsilon", 1e-3))
    weights = [layer.weight(role, partial(_stored, layer, role, defaults)) for role in roles]
    if axes[0] == rank - 1:
        x, turned = layer.channels_first(), None
    else:
        x, turned = layer.source(), _swapped(axes[0], rank)
    channels = layer.shape()[axes[0]]
    if isinstance(channels, int) and channels != count:
        raise layer.error(f"its weights are for {count} channels, the input has {channels}")
    if turned is None or axes[0] == 1:
        layer.emit("BatchNormalization", [x, *weights], epsilon=epsilon)
        return
    inner = layer.add("turned", "Transpose", [x], perm=turned)
    normalised = layer.add("normalised", "BatchNormalization", [inner, *weights], epsilon=epsilon)
    layer.emit("Transpose", [normalised], perm=turned)


def _reshaped(layer: LayerWriter, role: str, shape: tuple[int, ...]) -> np.ndarray:
    return layer.array(role).reshape(shape)


def _stored(layer: LayerWriter, role: str, defaults: dict[str, np.ndarray]) -> np.ndarray:
    return layer.array(role).ravel() if layer.has(role) else defaults[role]


def _swapped(axis: int, rank: int) -> list[int]:
    """The order of axes in which `axis` and 1 have exchanged their places."""
    order = list(range(rank))
    order[1], order[axis] = axis, 1
    return order


def layer_normalization(layer: LayerWriter) -> None:
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta over some axes (Ba et al. 2016)."""
    if layer.flag("rms_scaling"):
        _scaled_by(layer, "gamma", centred=True)
        return
    axes, rank = _axes(layer), len(layer.shape())
    rest = [axis for axis in range(rank) if axis not in axes]
    order = [*rest, *axes]
    turned = order != list(range(rank))
    x = layer.source()
    if turned:
        x = layer.add("turned", "Transpose", [x], perm=order)
    sizes = layer.sizes([layer.shape()[axis] for axis in axes])
    gamma = layer.weight("gamma", lambda: layer.array("gamma").reshape(sizes) if layer.has("gamma") else np.ones(sizes))
    inputs = [x, gamma]
    if layer.has("beta"):
        inputs.append(layer.weight("beta", lambda: layer.array("beta").reshape(sizes)))
    options = {"axis": len(rest), "epsilon": float(layer.option("epsilon", 1e-3))}
    if turned:
        normalised = layer.add("normalised", "LayerNormalization", inputs, **options)
        layer.emit("Transpose", [normalised], perm=[order.index(axis) for axis in range(rank)])
    else:
        layer.emit("LayerNormalization", inputs, **options)


def rms_normalization(layer: LayerWriter) -> None:
    """scale * x / sqrt(mean of squares + epsilon) over some axes (Zhang & Sennrich 2019)."""
    _scaled_by(layer, "scale", centred=False)


def _scaled_by(layer: LayerWriter, role: str, *, centred: bool) -> None:
    """x / sqrt(spread + epsilon) by a weight: the spread is the mean of squares, or the variance where `centred`."""
    axes, rank, x = _axes(layer), len(layer.shape()), layer.source()
    apart = x
    if centred:
        apart = layer.add("centred", "Sub", [x, layer.add("mean", "ReduceMean", [x], axes=axes, keepdims=1)])
    squares = layer.add("squares", "Mul", [apart, apart])
    spread = layer.add("spread", "ReduceMean", [squares], axes=axes, keepdims=1)
    epsilon = layer.constant("epsilon", float(layer.option("epsilon", 1e-3 if centred else 1e-6)))
    root = layer.add("root", "Sqrt", [layer.add("raised", "Add", [spread, epsilon])])
    if not layer.has(role):
        layer.emit("Div", [x, root])
        return
    sizes = layer.sizes(layer.shape()[1:])
    along = tuple(sizes[axis - 1] if axis in axes else 1 for axis in range(rank))
    layer.emit("Mul", [layer.add("unit", "Div", [x, root]), layer.weight(role, partial(_reshaped, layer, role, along))])


def group_normalization(layer: LayerWriter) -> None:
    """Each group of neighbouring channels to mean 0 and variance 1, then gamma and beta (Wu & He 2018)."""
    axes, rank = _axes(layer), len(layer.shape())
    if axes not in ([1], [rank - 1]):
        raise layer.error(f"expected the channels on the first or last axis, found axis {axes} of {rank}")
    x = layer.channels_first() if axes == [rank - 1] else layer.source()
    channels = layer.sizes([layer.shape()[axes[0]]])[0]
    groups = layer.option("groups", 32)
    groups = channels if groups == -1 else groups
    if groups < 1 or channels % groups:
        raise layer.error(f"{channels} channels do not divide into {groups} groups")
    split = layer.add("groups", "Reshape", [x, layer.ints("split", [0, groups, -1])])
    ones, zeros = layer.constant("ones", np.ones(groups)), layer.constant("zeros", np.zeros(groups))
    epsilon = float(layer.option("epsilon", 1e-3))
    normalised = layer.add("normalised", "InstanceNormalization", [split, ones, zeros], epsilon=epsilon)
    along = (channels, *[1] * (rank - 2))
    factors = [
        (role, op, layer.weight(role, partial(_reshaped, layer, role, along)))
        for role, op in (("gamma", "Mul"), ("beta", "Add"))
        if layer.has(role)
    ]
    back = [normalised, layer.add("shape", "Shape", [x])]
    if not factors:
        layer.emit("Reshape", back)
        return
    whole = layer.add("joined", "Reshape", back)
    for _, op, factor in factors[:-1]:
        whole = layer.add("scaled", op, [whole, factor])
    layer.emit(factors[-1][1], [whole, factors[-1][2]])


def unit_normalization(layer: LayerWriter) -> None:
    """x / sqrt(max(sum of squares, 1e-12)) over some axes."""
    rank, axes = len(layer.shape()), _axes(layer)
    x = layer.either()
    layer.emit("Div", [x, length(layer, "length", x, [layer.axis(axis, rank) for axis in axes])])


def length(layer: LayerWriter, role: str, x: str, axes: Sequence[int]) -> str:
    """sqrt(max(sum of squares, 1e-12)) along axes of the graph's tensor, which stay with size 1."""
    squares = layer.add(f"{role}_squares", "ReduceSumSquare", [x], axes=list(axes), keepdims=1)
    least = layer.add(f"{role}_least", "Max", [squares, layer.constant("shortest", _SHORTEST)])
    return layer.add(role, "Sqrt", [least])


def normalization(layer: LayerWriter) -> None:
    """(x - mean) / max(sqrt(variance), 1e-7) by stored statistics, or the inverse of that."""
    x, shape = layer.either(), layer.shape()
    rank = len(shape)
    given = layer.layer.config.get("axis", -1)
    axes = [] if given is None else _axes(layer)
    mean, deviation = (_moment(layer, role, shape, axes) for role in ("mean", "variance"))
    with np.errstate(invalid="ignore"):  # of a damaged file, whose numbers stay none as in Keras
        deviation = np.maximum(np.sqrt(deviation), _SMALLEST)
    mean_name = layer.broadcast("mean", mean, rank)
    deviation_name = layer.broadcast("deviation", deviation, rank)
    if layer.flag("invert"):
        layer.emit("Add", [layer.add("scaled", "Mul", [x, deviation_name]), mean_name])
    else:
        layer.emit("Div", [layer.add("centred", "Sub", [x, mean_name]), deviation_name])


def _moment(layer: LayerWriter, role: str, shape: Sequence[int | str | None], axes: Sequence[int]) -> np.ndarray:
    """Mean or variance with the axes of the input, 1 where they are the same for all."""
    given = layer.option(role)
    value = layer.array(role) if given is None else np.asarray(given, np.float32)
    if value.size == 1:
        return value.reshape(())
    sizes = layer.sizes([shape[axis] for axis in axes])
    if value.size != np.prod(sizes):  # for all kept axes together, else along the last of them
        value = np.broadcast_to(value, sizes)
    return value.reshape([sizes[axes.index(axis)] if axis in axes else 1 for axis in range(len(shape))])


def layer_scale(layer: LayerWriter) -> None:
    """gamma * x along the channels (ConvNeXt's)."""
    x, rank = layer.either(), len(layer.shape())
    layer.emit("Mul", [x, layer.broadcast("gamma", layer.array("gamma"), rank)])


LAYERS = {
    "BatchNormalization": batch_normalization,
    "GroupNormalization": group_normalization,
    "LayerNormalization": layer_normalization,
    "LayerScale": layer_scale,
    "Normalization": normalization,
    "RMSNormalization": rms_normalization,
    "UnitNormalization": unit_normalization,
}
