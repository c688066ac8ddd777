"""Weights and activations of recurrent layers, as ONNX's operators want them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..layer_writer import LayerWriter
from ..network import Layer
from .activation import described

GATES = {"LSTM": "ifco", "GRU": "zrh", "SimpleRNN": "h"}  # as Keras has them side by side
_ORDER = {"LSTM": "iofc", "GRU": "zrh", "SimpleRNN": "h"}  # as ONNX does
# Keras' activation -> ONNX's, with its alpha and beta.
_FUNCTIONS: dict[str, tuple[str, float | None, float | None]] = {
    "elu": ("Elu", 1.0, None),
    "linear": ("Affine", 1.0, 0.0),
    "relu": ("Relu", None, None),
    "sigmoid": ("Sigmoid", None, None),
    "softplus": ("Softplus", None, None),
    "softsign": ("Softsign", None, None),
    "tanh": ("Tanh", None, None),
}


@dataclass(frozen=True)
class Weights:
    """Arrays of one direction, gates in Keras' order."""

    kernel: np.ndarray  # [F, gates * U]
    recurrent: np.ndarray  # [U, gates * U]
    bias: np.ndarray  # [2, gates * U]: of the input's product, of the state's
    after_reset: bool  # whether GRU's reset comes after the product


def initializers(layer: LayerWriter, kind: str, role: str, weights: Weights) -> list[str]:
    """W, R and B of ONNX's operator."""
    bias = np.concatenate([_gates(kind, row) for row in weights.bias])
    return [
        layer.weight(f"{role}W", lambda: _gates(kind, weights.kernel).T[None]),
        layer.weight(f"{role}R", lambda: _gates(kind, weights.recurrent).T[None]),
        layer.weight(f"{role}B", lambda: bias[None]),
    ]


def read_weights(layer: LayerWriter, part: Layer, role: str) -> Weights:
    """What the file has for one direction. Raises InputError when it does not fit together."""
    gates = GATES[part.type]
    if layer.has(f"{role}kernel_{gates[0]}"):  # Keras 1: a matrix a gate
        kernel, recurrent, bias = (
            np.concatenate([layer.array(f"{role}{name}_{gate}") for gate in gates], axis=-1)
            for name in ("kernel", "recurrent_kernel", "bias")
        )
    else:
        kernel, recurrent = (layer.array(f"{role}{name}") for name in ("kernel", "recurrent_kernel"))
        bias = layer.array(f"{role}bias") if layer.has(f"{role}bias") else np.zeros(kernel.shape[-1], np.float32)
    units = recurrent.shape[0]
    if kernel.ndim != 2 or recurrent.shape != (units, len(gates) * units) or kernel.shape[1] != recurrent.shape[1]:
        raise layer.error(f"its weights {list(kernel.shape)} and {list(recurrent.shape)} do not fit each other")
    if bias.shape == (2 * kernel.shape[1],):
        kernel, recurrent = _of_cudnn(kernel, recurrent, len(gates))
        bias = bias.reshape(2, -1)
    after_reset = bool(part.config.get("reset_after")) if not layer.has(f"{role}bias") else bias.ndim == 2
    both = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
    if both.shape != (2, kernel.shape[-1]):
        raise layer.error(f"expected a bias of {kernel.shape[-1]} numbers, found {list(bias.shape)}")
    return Weights(kernel, recurrent, both, after_reset)


def _of_cudnn(kernel: np.ndarray, recurrent: np.ndarray, gates: int) -> tuple[np.ndarray, np.ndarray]:
    """What CuDNNLSTM and CuDNNGRU stored: each gate's matrices in the layout of NVIDIA's library."""
    kernels = [part.T.reshape(part.shape, order="F") for part in np.split(kernel, gates, axis=1)]
    return np.hstack(kernels), np.hstack([part.T for part in np.split(recurrent, gates, axis=1)])


def _gates(kind: str, array: np.ndarray) -> np.ndarray:
    """The last axis with ONNX's order of gates."""
    parts = dict(zip(GATES[kind], np.split(array, len(GATES[kind]), axis=-1), strict=True))
    return np.concatenate([parts[gate] for gate in _ORDER[kind]], axis=-1)


def functions(layer: LayerWriter, part: Layer) -> dict[str, Any]:
    """ONNX's attributes for the activations of a layer."""
    inner = _function(layer, part.config.get("activation", "tanh"))
    if part.type == "SimpleRNN":
        wanted = [inner]
    else:
        gate = _function(layer, part.config.get("recurrent_activation", "sigmoid"))
        wanted = [gate, inner, inner] if part.type == "LSTM" else [gate, inner]
    options = {
        "activations": [name for name, _, _ in wanted],
        "activation_alpha": [alpha for _, alpha, _ in wanted if alpha is not None],
        "activation_beta": [beta for _, _, beta in wanted if beta is not None],
    }
    return {name: values for name, values in options.items() if values}


def _function(layer: LayerWriter, value: object) -> tuple[str, float | None, float | None]:
    name, _ = described(value)
    if name == "hard_sigmoid":
        return "HardSigmoid", 1 / 6 if layer.scope.version >= 3 else 0.2, 0.5
    if name not in _FUNCTIONS:
        raise layer.error(f"the activation {name} inside a recurrent layer is not supported")
    return _FUNCTIONS[name]
