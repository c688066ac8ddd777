"""One function an operator. A file a family; what means the same in TensorFlow Lite is that format's function."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from ...families import merged
from ...tflite.operator_writer import OperatorWriter

OperatorFunction = Callable[[OperatorWriter], None]

FAMILIES = (
    "activation",
    "arithmetic",
    "convolution",
    "dilation",
    "indexing",
    "normalisation",
    "pooling",
    "resizing",
    "shape",
)


@cache
def operator_functions() -> dict[str, OperatorFunction]:
    """Operator -> function. Raises ValueError when two families claim one."""
    return merged(__name__, FAMILIES, "OPERATORS")
