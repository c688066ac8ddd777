"""Numbers brought to mean 0 and variance 1, or to length 1; dropout, which only scales."""

from __future__ import annotations

import math

from ..operator_writer import OperatorWriter
from .convolution import FIRST


def batch_norm(op: OperatorWriter) -> None:
    """With the means and variances of training."""
    op.choice("data_layout", "NCHW", *FIRST)
    if not (op.attribute("is_test", False) or op.attribute("use_global_stats", False)):
        raise op.error("it is written for training; save the model with paddle.jit.save after model.eval()")
    inputs = [op.tensor(side) for side in ("X", "Scale", "Bias", "Mean", "Variance")]
    op.emit("BatchNormalization", inputs, output="Y", epsilon=op.attribute("epsilon", 1e-5))


def layer_norm(op: OperatorWriter) -> None:
    """Over the last axes, from `begin_norm_axis` on; the scale is stored as a list."""
    shape = op.shape()
    axis = op.axis(op.attribute("begin_norm_axis", 1), len(shape))
    if op.has("Scale") and axis == len(shape) - 1:
        weights = [op.tensor(side) for side in ("Scale", "Bias") if op.has(side)]
    else:
        sizes = op.sizes(shape[axis:])
        target = op.int_array("weights/shape", sizes)
        count = math.prod(sizes)
        held = op.tensor("Scale") if op.has("Scale") else op.full("ones", 1, count, op.tensor())
        lists = [held, *([op.tensor("Bias")] if op.has("Bias") else [])]
        weights = [op.add(f"weights/{at}", "Reshape", [each, target]) for at, each in enumerate(lists)]
    op.emit("LayerNormalization", [op.tensor(), *weights], output="Y", axis=axis, epsilon=op.attribute("epsilon", 1e-5))


def instance_norm(op: OperatorWriter) -> None:
    """Each channel of each image by itself."""
    (channels,) = op.sizes(op.shape()[1:2])
    weights = [
        op.tensor(side) if op.has(side) else op.full(side, value, channels, op.tensor())
        for side, value in (("Scale", 1), ("Bias", 0))
    ]
    epsilon = op.attribute("epsilon", 1e-5)
    op.emit("InstanceNormalization", [op.tensor(), *weights], output="Y", epsilon=epsilon)


def group_norm(op: OperatorWriter) -> None:
    """Groups of channels of each image by themselves, then a scale and a shift for each channel."""
    op.choice("data_layout", "NCHW", *FIRST)
    x, groups, rank = op.tensor(), op.attribute("groups", 1), len(op.shape())
    if groups < 1:
        raise op.error(f"it has {groups} groups")
    grouped = op.add("grouped", "Reshape", [x, op.int_array("groups", [0, groups, -1])])
    units = [op.full(role, value, groups, x) for role, value in (("ones", 1), ("zeros", 0))]
    even = op.add("normalised", "InstanceNormalization", [grouped, *units], epsilon=op.attribute("epsilon", 1e-5))
    steps = [("Mul", "Scale"), ("Add", "Bias")]
    present = [(onnx_op, side) for onnx_op, side in steps if op.has(side)]
    result = op.add("ungrouped", "Reshape", [even, op.add("shape", "Shape", [x])], shape=op.shape())
    for onnx_op, side in present:
        target = op.int_array(f"{side}/shape", [-1, *[1] * (rank - 2)])
        result = op.add(side, onnx_op, [result, op.add(f"{side}/channels", "Reshape", [op.tensor(side), target])])
    op.emit("Identity", [result], output="Y")


def affine_channel(op: OperatorWriter) -> None:
    """A scale and a shift for each channel."""
    op.choice("data_layout", "NCHW", *FIRST)
    target = op.int_array("shape", [-1, *[1] * (len(op.shape()) - 2)])
    scale, bias = (op.add(side, "Reshape", [op.tensor(side), target]) for side in ("Scale", "Bias"))
    op.emit("Add", [op.add("scaled", "Mul", [op.tensor(), scale]), bias])


def local_response(op: OperatorWriter) -> None:
    """By the squares of neighbouring channels; ONNX has their mean where PaddlePaddle has their sum."""
    op.choice("data_format", "NCHW", *FIRST)
    size, alpha = op.attribute("n", 5), op.attribute("alpha", 1e-4)
    bias, beta = op.attribute("k", 2.0), op.attribute("beta", 0.75)
    op.emit("LRN", [op.tensor()], size=size, alpha=alpha * size, bias=bias, beta=beta)


def unit_length(op: OperatorWriter) -> None:
    """x / sqrt(sum of x² + epsilon) along an axis."""
    x = op.tensor()
    axis = op.axis(op.attribute("axis", -1), len(op.shape()))
    total = op.add("sum", "ReduceSumSquare", [x], axes=[axis], keepdims=1)
    raised = op.add("raised", "Add", [total, op.like("epsilon", op.attribute("epsilon", 1e-10), x)])
    op.emit("Div", [x, op.add("length", "Sqrt", [raised])])


def dropout(op: OperatorWriter) -> None:
    """Of a trained network: nothing, or a scale in the older way ("downgrade_in_infer")."""
    x = op.tensor()
    if not op.attribute("is_test", False):
        raise op.error("it is written for training; save the model with paddle.jit.save after model.eval()")
    way = op.choice("dropout_implementation", "downgrade_in_infer", "downgrade_in_infer", "upscale_in_train")
    if way == "upscale_in_train":
        op.emit("Identity", [x])
    else:
        op.emit("Mul", [x, op.like("kept", 1 - op.attribute("dropout_prob", 0.5), x)])


OPERATORS = {
    "batch_norm": batch_norm,
    "sync_batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "instance_norm": instance_norm,
    "group_norm": group_norm,
    "affine_channel": affine_channel,
    "lrn": local_response,
    "norm": unit_length,
    "dropout": dropout,
}
