"""One function an operator. A file a family; what means the same in TensorFlow Lite is that format's function."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module

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
    table: dict[str, OperatorFunction] = {}
    for family in FAMILIES:
        for kind, function in import_module(f".{family}", __name__).OPERATORS.items():
            if kind in table:
                raise ValueError(f"two functions translate the operator {kind}")
            table[kind] = function
    return table
