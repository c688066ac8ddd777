"""One function an operator: it reads the arguments and writes the nodes. A file a family."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from ...families import merged
from ..operator_writer import OperatorWriter

OperatorFunction = Callable[[OperatorWriter], None]

FAMILIES = ("activation", "arithmetic", "convolution", "normalisation", "pooling", "reduction", "resampling", "shape")


@cache
def operator_functions() -> dict[str, OperatorFunction]:
    """Operator -> function. Raises ValueError when two families claim one."""
    return merged(__name__, FAMILIES, "OPERATORS")
