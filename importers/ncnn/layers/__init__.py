"""One function a layer type: it reads the layer's parameters and weights and writes its nodes. A file a family."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from ...families import merged
from ..layer_writer import LayerWriter

LayerFunction = Callable[[LayerWriter], object]

FAMILIES = (
    "activation",
    "arithmetic",
    "convolution",
    "detection",
    "linear",
    "normalisation",
    "pooling",
    "reduction",
    "resampling",
    "shape",
    "slicing",
)


@cache
def layer_functions() -> dict[str, LayerFunction]:
    """Layer type -> function. Raises ValueError when two families claim a type."""
    return merged(__name__, FAMILIES, "LAYERS")
