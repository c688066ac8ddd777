"""One function a layer type: it reads the layer's options and writes its nodes. A file a family."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from ...families import merged
from ..layer_writer import LayerWriter

LayerFunction = Callable[[LayerWriter], str]  # gives what later layers read

FAMILIES = ("activation", "head", "joining", "pooling", "rearranging", "weighted")


@cache
def layer_functions() -> dict[str, LayerFunction]:
    """Layer type -> function. Raises ValueError when two families claim a type."""
    return merged(__name__, FAMILIES, "LAYERS")
