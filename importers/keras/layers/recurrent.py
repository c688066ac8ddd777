"""Recurrent layers: LSTM, GRU, SimpleRNN, and a pair of one of them in both directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..layer_writer import LayerWriter
from ..network import Layer
from .activation import described

_OPERATORS = {"LSTM": "LSTM", "GRU": "GRU", "SimpleRNN": "RNN"}
_GATES = {"LSTM": "ifco", "GRU": "zrh", "SimpleRNN": "h"}  # as Keras has them side by side
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
_MERGES = {"sum": "Add", "mul": "Mul"}


@dataclass(frozen=True)
class _Run:
    """What one direction gives."""

    steps: str  # [T, N, U], in the order of time
    states: tuple[str, ...]  # the last ones, [1, N, U]: hidden and, of an LSTM, cell


def recurrent(layer: LayerWriter) -> None:
    """One direction; results: all steps or the last, then the states where they are asked for."""
    _check(layer, layer.layer)
    start = [layer.source(index) for index in range(1, len(layer.inputs))]
    given = layer.kwargs.pop("initial_state", None)
    start += [layer.tensors.last(name) for name in (given or [])]
    initial = [
        layer.add(f"initial_{index}", "Unsqueeze", [state, layer.ints("first", [0])])
        for index, state in enumerate(start)
    ]
    run = _direction(layer, layer.layer, "", _time_first(layer), initial)
    if layer.flag("return_sequences"):
        steps = _in_time(layer, run.steps, "") if layer.flag("go_backwards") else run.steps
        layer.emit("Transpose", [steps], perm=[1, 0, 2])
    else:
        layer.emit("Squeeze", [run.states[0], layer.ints("direction", [0])])
    if layer.flag("return_state"):
        for state in run.states:
            layer.emit("Squeeze", [state, layer.ints("direction", [0])])


def bidirectional(layer: LayerWriter) -> None:
    """Both directions, joined."""
    forward, backward = layer.layer.wrapped
    if len(layer.inputs) > 1 or forward.config.get("return_state"):
        raise layer.error("initial and returned states are not supported")
    if any(part.type not in _OPERATORS for part in (forward, backward)) or forward.config.get("go_backwards"):
        raise layer.error(f"expected recurrent layers forward and backward, found {forward.type} and {backward.type}")
    x = _time_first(layer)
    found = []
    for number, part in enumerate((forward, backward)):
        _check(layer, part)
        run = _direction(layer, part, f"{number}/", x, [])
        if forward.config.get("return_sequences"):
            found.append(layer.add(f"{number}/steps", "Transpose", [run.steps], perm=[1, 0, 2]))
        else:
            last = [run.states[0], layer.ints("direction", [0])]
            found.append(layer.add(f"{number}/last", "Squeeze", last))
    _join(layer, found)


def _join(layer: LayerWriter, found: list[str]) -> None:
    mode = layer.layer.config.get("merge_mode", "concat")
    if mode == "concat":
        layer.emit("Concat", found, axis=-1)
    elif mode == "ave":
        layer.emit("Mean", found)
    elif mode in _MERGES:
        layer.emit(_MERGES[mode], found)
    else:
        raise layer.error(f"merge_mode {mode} is not supported")


def _check(layer: LayerWriter, part: Layer) -> None:
    if part.config.get("stateful"):
        raise layer.error("keeps its state from one batch to the next, which is not supported")
    if part.config.get("time_major"):
        raise layer.error("time_major is not supported")


def _time_first(layer: LayerWriter) -> str:
    if len(layer.shape()) != 3:
        raise layer.error(f"expected an input [N, steps, numbers], found {len(layer.shape())} axes")
    return layer.add("time_first", "Transpose", [layer.source()], perm=[1, 0, 2])


def _in_time(layer: LayerWriter, steps: str, role: str) -> str:
    """[T, N, U] from the last step to the first."""
    ends = [layer.ints("last_step", [-1]), layer.ints("before_first", [-(2**62)])]
    return layer.add(f"{role}reversed", "Slice", [steps, *ends, layer.ints("time", [0]), layer.ints("back", [-1])])


def _direction(layer: LayerWriter, part: Layer, role: str, x: str, initial: list[str]) -> _Run:
    """One pass over x [T, N, F], backward if the part goes so; steps are in the order of time."""
    kind = part.type
    kernel, recurrent_kernel, bias, after_reset = _arrays(layer, part, role)
    units = recurrent_kernel.shape[0]
    if kernel.ndim != 2 or kernel.shape[1] != len(_GATES[kind]) * units:
        raise layer.error(f"its weights {list(kernel.shape)} and {list(recurrent_kernel.shape)} do not fit each other")
    weights = [
        layer.weight(f"{role}W", lambda: _gates(kind, kernel).T[None]),
        layer.weight(f"{role}R", lambda: _gates(kind, recurrent_kernel).T[None]),
        layer.weight(f"{role}B", lambda: np.concatenate([_gates(kind, row) for row in bias])[None]),
    ]
    name = f"{layer.name}/{role}{kind.lower()}"
    count = 3 if kind == "LSTM" else 2
    outputs = [layer.graph.temporary(f"{name}_{what}") for what in ("steps", "hidden", "cell")[:count]]
    attributes = _functions(layer, part)
    if kind == "GRU":
        attributes["linear_before_reset"] = int(after_reset)
    layer.graph.node(
        _OPERATORS[kind],
        [x, *weights, *([""] if initial else []), *initial],
        outputs,
        name=name,
        hidden_size=units,
        direction="reverse" if part.config.get("go_backwards") else "forward",
        **attributes,
    )
    steps = layer.add(f"{role}steps_of_one", "Squeeze", [outputs[0], layer.ints("direction", [1])])
    return _Run(steps, tuple(outputs[1:]))


def _arrays(layer: LayerWriter, part: Layer, role: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """(kernel, recurrent kernel, bias [2, gates * units], whether GRU's reset comes after the product)."""
    gates = _GATES[part.type]
    if layer.has(f"{role}kernel_{gates[0]}"):  # Keras 1: a matrix a gate
        kernel, recurrent_kernel, bias = (
            np.concatenate([layer.array(f"{role}{name}_{gate}") for gate in gates], axis=-1)
            for name in ("kernel", "recurrent_kernel", "bias")
        )
    else:
        kernel, recurrent_kernel = (layer.array(f"{role}{name}") for name in ("kernel", "recurrent_kernel"))
        bias = layer.array(f"{role}bias") if layer.has(f"{role}bias") else np.zeros(kernel.shape[-1], np.float32)
    after_reset = bool(part.config.get("reset_after")) if not layer.has(f"{role}bias") else bias.ndim == 2
    both = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
    if both.shape != (2, kernel.shape[-1]):
        raise layer.error(f"expected a bias of {kernel.shape[-1]} numbers, found {list(bias.shape)}")
    return kernel, recurrent_kernel, both, after_reset


def _gates(kind: str, array: np.ndarray) -> np.ndarray:
    """The last axis with ONNX's order of gates."""
    parts = dict(zip(_GATES[kind], np.split(array, len(_GATES[kind]), axis=-1), strict=True))
    return np.concatenate([parts[gate] for gate in _ORDER[kind]], axis=-1)


def _functions(layer: LayerWriter, part: Layer) -> dict[str, Any]:
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


LAYERS = {"Bidirectional": bidirectional, **dict.fromkeys(_OPERATORS, recurrent)}
