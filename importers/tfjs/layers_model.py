"""A layers-model: a Keras architecture, as Keras wrote it or as TensorFlow.js did, and weights by name."""

from __future__ import annotations

from typing import Any

from ..errors import InputError
from ..keras.custom import Custom
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
    return Source(network, model.weights, _COMPUTES_AS, False, model.files, functions)


def architecture(model: ModelJson) -> Any:
    """Keras' own JSON: Python wraps it up, JavaScript does not."""
    return model.topology.get("model_config", model.topology)
