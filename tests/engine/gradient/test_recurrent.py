"""Recurrent layers against onnxruntime, which knows every direction, activation, length and peephole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from onnx import helper
from onnxray.engine.gradient.ops import find
from onnxray.engine.providers import open_session
from onnxray.importers.errors import InputError

STEPS, IMAGES, WIDTH, HIDDEN = 4, 3, 2, 5
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
FUNCTIONS = {"RNN": 1, "GRU": 2, "LSTM": 3}  # activations a direction
ORDER = ("x", "w", "r", "b", "lengths", "h", "c", "p")
DIRECTIONS = ("forward", "reverse", "bidirectional")
PARAMETERS = {"activation_alpha": [0.6, 0.3, 0.5, 0.2, 0.9, 0.7], "activation_beta": [0.1, 0.2, 0.3, 0.4, 0.8, 0.9]}
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((op, {}) for op in GATES),
    *((op, {"clip": 0.3}) for op in GATES),
    ("GRU", {"linear_before_reset": 1}),
    ("LSTM", {"input_forget": 1}),
]


def inputs_of(op: str, direction: str, seed: int = 0, **wanted: bool) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    directions, gates = 1 + (direction == "bidirectional"), GATES[op]
    shapes = {
        "x": (STEPS, IMAGES, WIDTH),
        "w": (directions, gates * HIDDEN, WIDTH),
        "r": (directions, gates * HIDDEN, HIDDEN),
        "b": (directions, 2 * gates * HIDDEN),
        "h": (directions, IMAGES, HIDDEN),
    }
    if op == "LSTM":
        shapes |= {"c": shapes["h"], "p": (directions, 3 * HIDDEN)}
    left_out = {key for key, kept in wanted.items() if not kept}
    values = {key: generator.normal(size=shape).astype(np.float32) / 4 for key, shape in shapes.items()}
    values["lengths"] = np.array([2, STEPS, 1], np.int32)
    return {key: value for key, value in values.items() if key not in left_out}


def onnxruntime(op: str, given: dict[str, np.ndarray], attributes: dict[str, Any]) -> list[np.ndarray]:
    outputs = ["y", "y_h", "y_c"][: 2 + (op == "LSTM")]
    order = ORDER if op == "LSTM" else ORDER[:6]
    node = helper.make_node(op, [key if key in given else "" for key in order], outputs, **attributes)
    typed = [
        helper.make_tensor_value_info(key, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for key, value in given.items()
    ]
    graph = helper.make_graph([node], "one", typed, [helper.make_tensor_value_info(name, 1, None) for name in outputs])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    return open_session(model, [], ["CPUExecutionProvider"]).run(None, given)


def bridge(op: str, given: dict[str, Any], attributes: dict[str, Any]) -> tuple[torch.Tensor, ...]:
    found = find(op, "", 14)
    assert found is not None
    arrays = [given.get(key) for key in (ORDER if op == "LSTM" else ORDER[:6])]
    return found.function(*(None if value is None else torch.as_tensor(value) for value in arrays), **attributes)


def assert_as_onnxruntime(op: str, given: dict[str, np.ndarray], attributes: dict[str, Any]) -> None:
    attributes = {"hidden_size": HIDDEN, **attributes}
    found = bridge(op, given, attributes)
    for got, expected in zip(found, onnxruntime(op, given, attributes), strict=True):
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(("op", "attributes"), VARIANTS)
def test_directions_lengths_and_options(op: str, attributes: dict[str, Any], direction: str, lengths: bool) -> None:
    for others in (True, False):
        given = inputs_of(op, direction, lengths=lengths, p=others, h=others, b=others)
        assert_as_onnxruntime(op, given, {"direction": direction, **attributes})


@pytest.mark.parametrize(
    "name",
    ["Affine", "Elu", "HardSigmoid", "LeakyRelu", "Relu", "ScaledTanh", "Sigmoid", "Softplus", "Softsign", "Tanh"],
)
@pytest.mark.parametrize("op", GATES)
def test_every_activation(op: str, name: str) -> None:
    count = FUNCTIONS[op]
    parameters = {key: values[:count] for key, values in PARAMETERS.items()}
    assert_as_onnxruntime(op, inputs_of(op, "forward"), {"activations": [name] * count, **parameters})
    if name not in ("Affine", "ScaledTanh"):  # onnx states no defaults for those
        assert_as_onnxruntime(op, inputs_of(op, "forward"), {"activations": [name] * count})


@pytest.mark.parametrize("op", GATES)
def test_each_activation_takes_the_parameters_it_has(op: str) -> None:
    names = ["Tanh", "Elu", "HardSigmoid", "Affine", "LeakyRelu", "ScaledTanh"][: 2 * FUNCTIONS[op]]
    attributes = {"direction": "bidirectional", "activations": names, **PARAMETERS}
    assert_as_onnxruntime(op, inputs_of(op, "bidirectional"), attributes)


@pytest.mark.parametrize("op", GATES)
def test_images_first_is_the_same_with_axes_swapped(op: str) -> None:
    given = inputs_of(op, "bidirectional", lengths=True)
    swapped = {key: value.swapaxes(0, 1) if key in ("x", "h", "c") else value for key, value in given.items()}
    attributes = {"direction": "bidirectional", "layout": 1}
    y, *last = bridge(op, swapped, attributes)
    for got, expected in zip([y.permute(1, 2, 0, 3), *(state.transpose(0, 1) for state in last)],
                             bridge(op, given, {"direction": "bidirectional"}), strict=True):  # fmt: skip
        torch.testing.assert_close(got, expected, rtol=0, atol=0)


@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("op", GATES)
def test_gradients(op: str, lengths: bool) -> None:
    given = inputs_of(op, "bidirectional", lengths=lengths)
    floats = [key for key in given if key != "lengths"]
    values = [torch.tensor(given[key], dtype=torch.float64, requires_grad=True) for key in floats]

    def run(*values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return bridge(op, {**given, **dict(zip(floats, values, strict=True))}, {"direction": "bidirectional"})

    assert torch.autograd.gradcheck(run, values)


def test_an_unknown_activation_is_named() -> None:
    with pytest.raises(InputError, match="Gelu is no activation of a recurrent layer"):
        bridge("RNN", inputs_of("RNN", "forward"), {"activations": ["Gelu"]})
