"""Images fed as bytes, and casts to integers: gradients get through where the integers are values, and only there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxray
import pytest
import tiny_models
from onnxray.engine.gradient.provenance import notes
from onnxray.engine.model import Model
from onnxray.engine.targets import ClassScore

NCHW = """
<ir_version: 8, opset_import: ["" : 17]>
bytes ({kind}[N, 3, 8, 8] image) => (float[N, 5] logits)
<float[4, 3, 3, 3] w, float[4] b, float[5, 4] head, float[5] offset, float scale = {{0.01}}>
{{
    real = Cast <to = 1> (image)
    scaled = Mul (real, scale)
    conv = Conv (scaled, w, b)
    active = Relu (conv)
    means = GlobalAveragePool (active)
    flat = Flatten (means)
    logits = Gemm <transB = 1> (flat, head, offset)
}}
"""
NHWC = NCHW.replace("[N, 3, 8, 8]", "[N, 8, 8, 3]").replace(
    "real = Cast <to = 1> (image)",
    "planes = Transpose <perm = [0, 3, 1, 2]> (image)\n    real = Cast <to = 1> (planes)",
)
# As cameras' pipelines do: pixels move to a wider integer, lose a mean, and become real last.
SHIFTED = NCHW.replace(
    "real = Cast <to = 1> (image)",
    """wide = Cast <to = 6> (image)
    mean = Constant <value = int32 {{128}}> ()
    centred = Sub (wide, mean)
    real = Cast <to = 1> (centred)""",
)
PICKED = """
<ir_version: 8, opset_import: ["" : 17]>
picked (float[N, 6] image, int64[N, 1, 1, 2] places) => (float[N, 1, 1, 2, 6] logits)
{
    logits = Gather <axis = 0> (image, places)
}
"""
# A Cast in the middle of the network, between two whose results are a shape and an index.
CAST = """
<ir_version: 8, opset_import: ["" : 17]>
cast (float[N, 4] image) => (float[N, 4] logits)
<float two = {2.0}>
{
    scaled = Mul (image, two)
    bytes = Cast <to = 3> (scaled)
    real = Cast <to = 1> (bytes)
    size = Shape (real)
    size_real = Cast <to = 1> (size)
    size_back = Cast <to = 7> (size_real)
    shaped = Reshape (real, size_back)
    zero = Constant <value = float[4] {0.0, 1.2, 2.7, 3.0}> ()
    order = Cast <to = 7> (zero)
    logits = Gather <axis = 1> (shaped, order)
}
"""


def saved(path: Path, text: str) -> Model:
    return onnxray.load(tiny_models.save(path, text))


def image_gradient(model: Model, x: np.ndarray) -> np.ndarray:
    name = model.graph.inputs[0]
    return model.torch().gradients(x, ClassScore(1), [name]).gradients[name]


@pytest.mark.parametrize("text", [NCHW, NHWC, SHIFTED], ids=["NCHW", "NHWC", "shifted"])
@pytest.mark.parametrize("kind", ["uint8", "int32"])
def test_gradients_reach_the_pixels(tmp_path: Path, text: str, kind: str) -> None:
    """The same network taking floats is the oracle."""
    model = saved(tmp_path / "bytes.onnx", text.format(kind=kind))
    plain = saved(tmp_path / "float.onnx", text.format(kind="float").replace("Cast <to = 6>", "Cast <to = 1>").replace(
        "int32 {128}", "float {128.0}"))  # fmt: skip
    shape = model.input_shapes["image"]
    x = np.random.default_rng(0).integers(0, 256, (3, *shape[1:])).astype(kind)
    np.testing.assert_allclose(model.torch().run(x)["logits"], model.session().run(x)["logits"], rtol=1e-5, atol=1e-5)
    found = image_gradient(model, x)
    assert found.shape == x.shape and found.dtype == np.float32
    assert np.abs(found).max() > 0
    np.testing.assert_allclose(found, image_gradient(plain, x.astype(np.float32)), rtol=1e-5, atol=1e-8)
    assert notes(model) == (f"integer input image ({kind}): gradients are those of its values as real numbers",)


def test_indices_stay_integers(tmp_path: Path) -> None:
    """An input of rank 4 too, when a Gather reads it."""
    model = saved(tmp_path / "picked.onnx", PICKED)
    x = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
    feeds = {"image": x, "places": np.array([1, 0, 0, 0]).reshape(2, 1, 1, 2)}
    np.testing.assert_array_equal(model.torch().run(feeds)["logits"], model.session().run(feeds)["logits"])
    assert notes(model) == ()


def test_casts_of_values_pass_gradients_and_casts_of_shapes_and_indices_are_exact(tmp_path: Path) -> None:
    model = saved(tmp_path / "cast.onnx", CAST)
    x = np.array([[0.3, -20.4, 30.9, 50.2], [-1.9, 2.6, 63.4, 60.0]], np.float32)  # times 2 inside int8's range
    expected = model.session().run(x)["logits"]
    np.testing.assert_array_equal(model.torch().run(x)["logits"], expected)
    gradient = image_gradient(model, x)
    np.testing.assert_array_equal(gradient, np.array([[0, 2, 0, 0]] * 2, np.float32))


def test_a_cast_gives_no_gradient_where_it_overflows(tmp_path: Path) -> None:
    model = saved(tmp_path / "cast.onnx", CAST)
    x = np.array([[0, 63.5, 0, 0], [0, 64.1, 0, 0], [0, -64.6, 0, 0]], np.float32)
    np.testing.assert_array_equal(image_gradient(model, x)[:, 1], [2, 0, 0])
