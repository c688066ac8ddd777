"""One function a layer type: it reads the layer's configuration and weights and writes its nodes. A file a family."""

from __future__ import annotations

from functools import cache

from ...families import merged
from ..custom import LayerFunction
from ..layer_writer import LayerWriter

FAMILIES = (
    "activation",
    "attention",
    "comparison",
    "conv_lstm",
    "convolution",
    "dense",
    "lambda_operation",
    "locally_connected",
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
    return merged(__name__, FAMILIES, "LAYERS") | dict.fromkeys(DROPPED, LayerWriter.passes)
