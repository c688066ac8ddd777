"""Operators that bring numbers to a mean and a spread, or to a length."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..operator_writer import OperatorWriter

_STATISTICS = ("gamma", "beta", "moving_mean", "moving_var")


def batch_norm(writer: OperatorWriter) -> None:
    """By the statistics of training; with fix_gamma, the default, gamma is 1 whatever is stored."""
    tensor = _batch_norm(writer)
    writer.emit("BatchNormalization", tensor, epsilon=writer.attributes.real("eps", 1e-3))


def batch_norm_relu(writer: OperatorWriter) -> None:
    """The same, then ReLU."""
    normal = writer.add(
        "normal", "BatchNormalization", _batch_norm(writer), epsilon=writer.attributes.real("eps", 1e-3)
    )
    writer.emit("Relu", [normal])


def _batch_norm(writer: OperatorWriter) -> list[str]:
    """The inputs of ONNX's."""
    if writer.axis(writer.attributes.whole("axis", 1)) != 1:
        raise writer.error(f"axis {writer.attributes.whole('axis', 1)} is not supported; expected channels on axis 1")
    count = writer.channels()
    found = [writer.input()]
    for index, role in enumerate(_STATISTICS, start=1):
        if role == "gamma" and writer.attributes.flag("fix_gamma", True):
            found.append(writer.constant("gamma", np.ones(count)))
        elif index < len(writer.inputs):
            found.append(writer.weight(index, (count,), role))
        else:
            found.append(_unlisted(writer, role, count))
    return found


def _unlisted(writer: OperatorWriter, role: str, count: int) -> str:
    """Symbols older than 0.9 do not list moving statistics; they are stored under the node's name."""
    value = writer.parameter(f"{writer.name}_{role}")
    if value is None:
        raise writer.error(f"the parameters lack {writer.name}_{role}; do the two files belong together?")
    return writer.constant(role, writer.fitted(value, (count,), role))


def instance_norm(writer: OperatorWriter) -> None:
    """Each channel of each image by its own statistics (Ulyanov et al. 2016)."""
    count = writer.channels()
    learned = [writer.weight(1, (count,), "gamma"), writer.weight(2, (count,), "beta")]
    writer.emit("InstanceNormalization", [writer.input(), *learned], epsilon=writer.attributes.real("eps", 1e-3))


def layer_norm(writer: OperatorWriter) -> None:
    """One axis by its own statistics (Ba et al. 2016)."""
    axis, rank = writer.axis(writer.attributes.whole("axis", -1)), len(writer.shape())
    epsilon = writer.attributes.real("eps", 1e-5)
    [count] = writer.sizes(writer.shape()[axis : axis + 1])
    shape = (count, *[1] * (rank - 1 - axis))
    learned = [writer.weight(1, shape, "gamma"), writer.weight(2, shape, "beta")]
    if axis == rank - 1:
        writer.emit("LayerNormalization", [writer.input(), *learned], axis=axis, epsilon=epsilon)
        return
    mean = writer.add("mean", "ReduceMean", [writer.input()], axes=[axis])
    centred = writer.add("centred", "Sub", [writer.input(), mean])
    spread = writer.add("variance", "ReduceMean", [writer.add("squared", "Mul", [centred, centred])], axes=[axis])
    spread = writer.add("deviation", "Sqrt", [writer.add("above", "Add", [spread, writer.constant("eps", epsilon)])])
    scaled = writer.add("scaled", "Mul", [writer.add("normal", "Div", [centred, spread]), learned[0]])
    writer.emit("Add", [scaled, learned[1]])


def group_norm(writer: OperatorWriter) -> None:
    """Groups of channels by their own statistics (Wu and He 2018)."""
    groups, count = writer.attributes.whole("num_groups", 1), writer.channels()
    if groups < 1 or count % groups:
        raise writer.error(f"{count} channels do not divide into {groups} groups")
    parts = writer.add("parts", "Reshape", [writer.input(), writer.ints("groups", [0, groups, -1])])
    epsilon, stored = writer.attributes.real("eps", 1e-5), writer.value(1)
    shape, image_shape = writer.shape(), writer.add("image_shape", "Shape", [writer.input()])
    if stored is not None and stored.size == groups:  # MXNet 1.6 to 1.9 learn a number a group
        learned = [writer.weight(1, (groups,), "gamma"), writer.weight(2, (groups,), "beta")]
        normal = writer.add("normal", "InstanceNormalization", [parts, *learned], epsilon=epsilon)
        writer.emit("Reshape", [normal, image_shape], shape=shape)
        return
    plain = [writer.constant("ones", np.ones(groups)), writer.constant("zeros", np.zeros(groups))]
    normal = writer.add("normal", "InstanceNormalization", [parts, *plain], epsilon=epsilon)
    whole = writer.add("whole", "Reshape", [normal, image_shape], shape=shape)
    per_channel = (count, *[1] * (len(shape) - 2))
    scaled = writer.add("scaled", "Mul", [whole, writer.weight(1, per_channel, "gamma")])
    writer.emit("Add", [scaled, writer.weight(2, per_channel, "beta")])


def l2_normalization(writer: OperatorWriter) -> None:
    """x / the root of eps and the sum of its squares over the image, over channels, or over a plane."""
    rank = len(writer.shape())
    axes = {"instance": [*range(1, rank)], "channel": [1], "spatial": [*range(2, rank)]}
    over = axes[writer.one_of("mode", ("instance", "channel", "spatial"))]
    if not over or over[0] >= rank:
        raise writer.error(f"expected an input with planes, found one of shape {list(writer.shape())}")
    squares = writer.add("squares", "ReduceSumSquare", [writer.input()], axes=over)
    above = writer.add("above", "Add", [squares, writer.constant("eps", writer.attributes.real("eps", 1e-10))])
    writer.emit("Div", [writer.input(), writer.add("length", "Sqrt", [above])])


def local_response(writer: OperatorWriter) -> None:
    """Across channels (Krizhevsky et al. 2012)."""
    real = writer.attributes.real
    size = writer.attributes.whole("nsize")
    if size < 1 or size % 2 == 0:
        raise writer.error(f"nsize is {size}; expected an odd size")
    numbers: dict[str, Any] = {"alpha": real("alpha", 1e-4), "beta": real("beta", 0.75), "bias": real("knorm", 2.0)}
    writer.emit("LRN", [writer.input()], size=size, **numbers)


OPERATORS = {
    "BatchNorm": batch_norm,
    "BatchNorm_v1": batch_norm,
    "CuDNNBatchNorm": batch_norm,
    "_contrib_SyncBatchNorm": batch_norm,
    "_contrib_BatchNormWithReLU": batch_norm_relu,
    "InstanceNorm": instance_norm,
    "LayerNorm": layer_norm,
    "GroupNorm": group_norm,
    "L2Normalization": l2_normalization,
    "LRN": local_response,
}
