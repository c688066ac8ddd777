"""One function a layer type: it reads the layer's parameters and writes its nodes. A file a family."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module

from ..layer_writer import LayerWriter

LayerFunction = Callable[[LayerWriter], None]

FAMILIES = (
    "activation",
    "arithmetic",
    "convolution",
    "detection",
    "normalisation",
    "pooling",
    "reduction",
    "regions",
    "resampling",
    "shape",
)


@cache
def layer_functions() -> dict[str, LayerFunction]:
    """Layer type -> function. Raises ValueError when two families claim a type."""
    table: dict[str, LayerFunction] = {}
    for family in FAMILIES:
        for kind, function in import_module(f".{family}", __name__).LAYERS.items():
            if kind in table:
                raise ValueError(f"two functions translate the layer type {kind}")
            table[kind] = function
    return table
