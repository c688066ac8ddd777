"""Whether gradients reach a tensor: the walk over the graph says what autograd finds out by running it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import onnxray
import pytest
import tiny_models
import torch
from model_specs import load_model
from onnxray import InputError
from onnxray.engine.gradient.reach import check_path

Shared = Callable[[str], Path]

# Ways that gradients take and ways that they do not, from x to each tensor.
WAYS_NET = """
<ir_version: 8, opset_import: ["" : 17]>
ways (float[2, 6] x, float[2, 6] other) => (float[2, 6] y)
<float[6, 6] w>
{
    before = MatMul (x, w)
    best = ArgMax <axis = 1> (before)
    best_real = Cast <to = 1> (best)
    sizes = Shape (before)
    three = Constant <value = int64[1] {3}> ()
    top, places = TopK (before, three)
    places_real = Cast <to = 1> (places)
    picked = GatherElements <axis = 1> (before, places)
    moved = GatherElements <axis = 1> (other, places)
    larger = Greater (before, other)
    chosen = Where (larger, before, other)
    switched = Where (larger, other, other)
    whole = Cast <to = 7> (before)
    whole_real = Cast <to = 1> (whole)
    steps = Floor (before)
    signs = Sign (before)
    shaped = Reshape (other, sizes)
    mixed = Add (signs, before)
    apart = MatMul (other, w)
    y = Add (mixed, apart)
}
"""


def _model(tmp_path: Path, text: str = WAYS_NET) -> onnxray.Model:
    path = tmp_path / "net.onnx"
    onnx.save(tiny_models.model(text), path)
    return onnxray.load(path)


def _autograd_reaches(model: onnxray.Model, read: str, source: str) -> bool:
    feeds = {name: torch.randn(*shape) for name, shape in model.input_shapes.items()}
    feeds[source].requires_grad_()
    value = model.torch().forward(feeds, [read])[read]
    if not value.requires_grad:
        return False
    (found,) = torch.autograd.grad(value.sum(), [feeds[source]], allow_unused=True)
    return found is not None and bool(found.abs().max() > 0)


def _walk_reaches(model: onnxray.Model, read: str, source: str) -> bool:
    try:
        check_path(model, read, [source])
    except InputError:
        return False
    return True


@pytest.mark.parametrize("source", ["x", "other"])
def test_the_walk_agrees_with_autograd(tmp_path: Path, source: str) -> None:
    model = _model(tmp_path)
    tensors = [name for node in model.graph.nodes for name in node.outputs if name in model.torch().tensors]
    assert len(tensors) > 15
    walked = {name: _walk_reaches(model, name, source) for name in tensors}
    assert walked == {name: _autograd_reaches(model, name, source) for name in tensors}
    assert set(walked.values()) == {True, False}


def test_where_it_breaks(tmp_path: Path) -> None:
    model = _model(tmp_path)
    with pytest.raises(
        InputError, match=r"only through best, which ArgMax .*the last tensor before it that has one is before$"
    ):
        check_path(model, "best_real", ["x"])
    with pytest.raises(InputError, match="moved depends on x only through places, which TopK"):
        check_path(model, "moved", ["x"])
    with pytest.raises(InputError, match=r"only through larger, which Greater .*nothing before it has one"):
        check_path(model, "switched", ["before"])


def test_a_layer_behind_and_a_layer_beside(tmp_path: Path) -> None:
    model = _model(tmp_path)
    with pytest.raises(InputError, match="before does not depend on chosen, which is computed after it"):
        check_path(model, "before", ["chosen"])
    with pytest.raises(
        InputError, match="top does not depend on apart, which lies on another branch; it depends on before"
    ):
        check_path(model, "top", ["apart"])
    with pytest.raises(InputError, match="top does not depend on apart"):
        check_path(model, "top", ["before", "apart"])
    with pytest.raises(InputError, match="the network has no tensor 'befor'; did you mean before"):
        check_path(model, "y", ["befor"])


def test_a_tensor_reaches_itself_and_weights_count(tmp_path: Path) -> None:
    model = _model(tmp_path)
    check_path(model, "before", ["before", "x", "w"])


def test_bodies_capture(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
    g (float[3] x, bool yes) => (float[3] y) {
        inner = Exp (x)
        y = If (yes) <
            then_branch = first () => (float[3] a) { a = Neg (inner) },
            else_branch = second () => (float[3] b) { b = Abs (inner) }
        >
    }"""
    check_path(_model(tmp_path, text), "y", ["x", "inner"])


def test_levels_of_a_quantised_network_let_gradients_through(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
    g (float[1, 2, 8, 8] x) => (float[1, 2, 4, 4] y)
    <float[1] unused> {
        scale = Constant <value_float = 0.1> ()
        zero = Constant <value = uint8 {128}> ()
        levels = QuantizeLinear (x, scale, zero)
        pooled = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (levels)
        y = DequantizeLinear (pooled, scale, zero)
    }"""
    model = _model(tmp_path, text)
    check_path(model, "y", ["x", "levels"])
    assert _autograd_reaches(model, "y", "x")


def test_pixels_as_bytes(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
    g (uint8[1, 4, 4, 3] image) => (float[1, 3, 4, 4] y) {
        flipped = Transpose <perm = [0, 3, 1, 2]> (image)
        y = Cast <to = 1> (flipped)
    }"""
    check_path(_model(tmp_path, text), "y", ["image", "flipped"])


def test_a_real_network(shared: Shared) -> None:
    model = load_model(shared, "models/derived/squeezenet1.1.onnx")
    tensors = [name for node in model.graph.nodes for name in node.outputs]
    check_path(model, tensors[-1], tensors[:-1])
    with pytest.raises(InputError, match="computed after it"):
        check_path(model, tensors[0], [tensors[-1]])
