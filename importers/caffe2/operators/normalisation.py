"""Operators that normalise."""

from __future__ import annotations

from ..operator_writer import OperatorWriter


def spatial_bn(operator: OperatorWriter) -> None:
    """By stored statistics: inputs X, scale, bias, mean, variance."""
    if not operator.integer("is_test"):
        raise operator.error("it is set up for training (is_test is not 1), where statistics are those of the batch")
    channels = operator.images()[1]
    stored = [operator.vector(index, channels) for index in range(1, 5)]
    epsilon = operator.number("epsilon", 1e-5)
    operator.emit("BatchNormalization", [operator.image(0), *stored], epsilon=epsilon)


def instance_norm(operator: OperatorWriter) -> None:
    """By each image's own statistics (Ulyanov et al. 2016)."""
    channels = operator.images()[1]
    stored = [operator.vector(index, channels) for index in (1, 2)]
    operator.emit("InstanceNormalization", [operator.image(0), *stored], epsilon=operator.number("epsilon", 1e-5))


def lrn(operator: OperatorWriter) -> None:
    """Local response normalisation across channels (Krizhevsky et al. 2012); alpha is divided by the size."""
    operator.images(4)
    size = operator.integer("size")
    if size < 1 or size % 2 == 0:
        raise operator.error(f"expected an odd size, found {size}")
    alpha, beta, bias = operator.number("alpha"), operator.number("beta"), operator.number("bias", 1.0)
    operator.emit("LRN", [operator.image(0)], size=size, alpha=alpha, beta=beta, bias=bias)


def softmax(operator: OperatorWriter) -> None:
    """Over everything from an axis on, together."""
    shape, axis = operator.shape(), operator.axis(operator.integer("axis", 1))
    value = operator.plain()
    if all(dim == 1 for dim in shape[axis + 1 :]):
        operator.emit("Softmax", [value], axis=axis)
        return
    flat = operator.add("flat", "Flatten", [value], axis=axis)
    shares = operator.add("shares", "Softmax", [flat], axis=1)
    operator.emit("Reshape", [shares, operator.add("shape", "Shape", [value])], shape=shape)


def normalize(operator: OperatorWriter) -> None:
    """Divided by the length along an axis."""
    axis = operator.axis(operator.integer("axis", -1))
    operator.emit("LpNormalization", [operator.plain()], axis=axis, p=2)


OPERATORS = {
    "SpatialBN": spatial_bn,
    "InstanceNorm": instance_norm,
    "LRN": lrn,
    "Softmax": softmax,
    "Normalize": normalize,
}
