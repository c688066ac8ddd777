"""One function a layer type: it reads the layer's configuration and weights and writes its nodes. A file a family."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module

from ..layer_writer import LayerWriter

LayerFunction = Callable[[LayerWriter], None]

FAMILIES = (
    "activation",
    "attention",
    "convolution",
    "dense",
    "lambda_operation",
    "merge",
    "normalisation",
    "operation",
    "pooling",
    "recurrent",
    "resampling",
    "shape",
    "wrapper",
)
# Layers that do nothing at test time.
DROPPED = frozenset(
    {
        "ActivityRegularization",
        "AlphaDropout",
        "Dropout",
        "GaussianDropout",
        "GaussianNoise",
        "Identity",
        "RandomBrightness",
        "RandomColorDegeneration",
        "RandomColorJitter",
        "RandomContrast",
        "RandomErasing",
        "RandomFlip",
        "RandomGaussianBlur",
        "RandomGrayscale",
        "RandomHeight",
        "RandomHue",
        "RandomInvert",
        "RandomPosterization",
        "RandomRotation",
        "RandomSaturation",
        "RandomSharpness",
        "RandomShear",
        "RandomTranslation",
        "RandomWidth",
        "RandomZoom",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "SpatialDropout3D",
        "StochasticDepth",
    }
)


@cache
def layer_functions() -> dict[str, LayerFunction]:
    """Layer type -> function. Raises ValueError when two families claim a type."""
    table: dict[str, LayerFunction] = dict.fromkeys(DROPPED, LayerWriter.passes)
    for family in FAMILIES:
        for kind, function in import_module(f".{family}", __name__).LAYERS.items():
            if kind in table:
                raise ValueError(f"two functions translate the layer type {kind}")
            table[kind] = function
    return table
