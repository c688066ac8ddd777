"""A layers-model: a Keras architecture, as Keras wrote it or as TensorFlow.js did, and weights by name."""

from __future__ import annotations

from typing import Any

from ..errors import InputError
from ..keras.custom import Custom
from ..keras.layer_writer import LayerWriter
from ..keras.layers.resampling import resize
from ..keras.source import Source, parsed
from ..keras.weights import attach_listed
from .model_json import ModelJson

_COMPUTES_AS = 2  # TensorFlow.js is a Keras 2 whatever wrote the file: its hard sigmoid, its masks


def open_layers(model: ModelJson, custom: Custom | None, output_names: str | None = None) -> Source:
    """What Keras' translation starts from.

    Raises InputError when the architecture is damaged or its weights are others.
    """
    if output_names:
        raise InputError(f"{model.path}: output_names is for graph-models; a layers-model says its outputs")
    network, functions = parsed(architecture(model), str(model.path), custom or {})
    attach_listed(network, model.weights.names, str(model.path))
    own = {layer.path: _OWN[layer.type] for layer in network.walk() if layer.type in _OWN}
    return Source(network, model.weights, _COMPUTES_AS, False, model.files, {**own, **functions})


def architecture(model: ModelJson) -> Any:
    """Keras' own JSON: Python wraps it up, JavaScript does not."""
    return model.topology.get("model_config", model.topology)


def _up_sampling(layer: LayerWriter) -> None:
    """Pixels count from their edges, where those of Keras do from their centres."""
    resize(
        layer, layer.spatial(), layer.option("interpolation", "nearest"), layer.per_axis("size", 2, 2), (), "asymmetric"
    )


_OWN = {"UpSampling2D": _up_sampling}  # what TensorFlow.js computes otherwise than Keras
