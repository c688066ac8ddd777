"""What of a network can be translated at all, asked before anything is read from its weights."""

from __future__ import annotations

from collections.abc import Container, Mapping

from ..errors import InputError
from .layers import layer_functions
from .layers.activation import unknown_activations
from .layers.lambda_operation import FUNCTIONS
from .layers.lambda_operation import LAYERS as LAMBDAS
from .network import Layer, Network

_ADVICE = "; name functions that do with --custom LAYER=module:function"


def check_types(network: Network, custom: Container[str]) -> None:
    """Raise InputError when layer types are not known; all of them are named, with their layers.

    `custom`: paths of layers that the user has functions for.
    """
    known = layer_functions()
    unknown: dict[str, list[str]] = {}
    for layer in network.walk():
        if layer.path in custom:
            continue
        if layer.type not in known and layer.type != "InputLayer":
            unknown.setdefault(layer.type, []).append(layer.path)
        if layer.type in LAMBDAS and (function := str(layer.config.get("function"))) not in FUNCTIONS:
            unknown.setdefault(f"{layer.type} {function}", []).append(layer.path)
        for name in unknown_activations(layer):
            unknown.setdefault(f"activation {name}", []).append(layer.path)
        if "_from_" in policy(layer):
            unknown.setdefault(f"quantisation {policy(layer)}", []).append(layer.path)
    if unknown:
        listed = "; ".join(f"{kind} (layer {', '.join(names)})" for kind, names in unknown.items())
        raise InputError(f"layers that onnxray cannot translate: {listed}{_ADVICE}")


def policy(layer: Layer) -> str:
    """The type that a layer computes in: "float32", "mixed_float16", "int8_from_float32"."""
    given = layer.config.get("dtype")
    if isinstance(given, Mapping):
        inside = given.get("config")
        given = inside.get("name") if isinstance(inside, Mapping) else None
    return str(given or "float32")
