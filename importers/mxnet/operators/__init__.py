"""One function an operator: it reads the node's attributes and writes its nodes. A file a family."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from ...families import merged
from ..operator_writer import OperatorWriter

OperatorFunction = Callable[[OperatorWriter], object]

FAMILIES = (
    "activation",
    "arithmetic",
    "convolution",
    "detection",
    "indexing",
    "normalisation",
    "pooling",
    "reduction",
    "resampling",
    "shape",
    "slicing",
)

# Operators whose second input is what training compares with.
LOSSES = {
    "SoftmaxOutput",
    "Softmax",
    "LinearRegressionOutput",
    "LogisticRegressionOutput",
    "MAERegressionOutput",
    "SVMOutput",
}

# Operator -> the first of its inputs that is learned; those behind it are, too.
LEARNED = {
    "Convolution": 1,
    "Convolution_v1": 1,
    "Deconvolution": 1,
    "FullyConnected": 1,
    "LeakyReLU": 1,
    "BatchNorm": 1,
    "BatchNorm_v1": 1,
    "CuDNNBatchNorm": 1,
    "_contrib_SyncBatchNorm": 1,
    "_contrib_BatchNormWithReLU": 1,
    "InstanceNorm": 1,
    "LayerNorm": 1,
    "GroupNorm": 1,
    "Embedding": 1,
}


@cache
def operator_functions() -> dict[str, OperatorFunction]:
    """Operator -> function. Raises ValueError when two families claim one."""
    return merged(__name__, FAMILIES, "OPERATORS")
