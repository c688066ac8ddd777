"""Random Core ML layers against what the format's description says of them.

ONNXRAY_CASES=2000 draws more than a test run does; ONNXRAY_SEED elsewhere.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tiny_coreml
from coreml_cases import WINDOWED, Case, Draw
from coreml_more_cases import MORE
from coreml_movement_cases import MOVEMENTS
from onnxray.importers import load
from onnxray.importers.coreml.layers import layer_functions
from onnxray.importers.errors import InputError
from tiny_coreml import array, layer, model, noise

FAMILIES = {**WINDOWED, **MORE, **MOVEMENTS}
COUNT = int(os.environ.get("ONNXRAY_CASES", "276"))
SEED = int(os.environ.get("ONNXRAY_SEED", "0"))
BATCHES = 12


def message(case: Case, *, exact: bool) -> object:
    """The model of one layer; of the first versions with its batch left open."""
    names = [f"x{at}" for at in range(len(case.inputs))]
    made = [f"y{at}" for at in range(len(case.outputs))]
    inputs = [array(name, *(x.shape if exact else x.shape[1:])) for name, x in zip(names, case.inputs, strict=True)]
    entry = layer(case.kind, ",".join(names), ",".join(made), **case.param)
    return model([entry], inputs, made, exact=exact)


def check(case: Case, folder: Path, *, exact: bool) -> None:
    proto = load(tiny_coreml.write(folder, message(case, exact=exact)))
    found = tiny_coreml.run(proto, {f"x{at}": x for at, x in enumerate(case.inputs)})
    for ours, expected in zip(found, case.outputs, strict=True):
        assert ours.shape == expected.shape
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4 * max(1.0, float(np.abs(expected).max())))


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_layers_compute_what_the_format_says(tmp_path: Path, batch: int) -> None:
    for seed in range(SEED + batch, SEED + COUNT, BATCHES):
        name = list(FAMILIES)[seed % len(FAMILIES)]
        case = FAMILIES[name](Draw(seed))
        exact = not case.of_first_versions or seed // len(FAMILIES) % 2 == 0
        try:
            check(case, tmp_path, exact=exact)
        except (AssertionError, InputError) as error:
            raise AssertionError(f"seed {seed}, {name}: {case.kind} {case.param} {'exact' * exact}: {error}") from error


def test_every_layer_type_is_drawn() -> None:
    drawn = {family(Draw(seed)).kind for family in FAMILIES.values() for seed in range(200)}
    assert set(layer_functions()) - drawn == {"loadConstant"}


def test_a_constant_of_the_first_versions(tmp_path: Path) -> None:
    """It has a batch of one, which the whole network has then, too."""
    data = noise(2, 3, 4)
    layers = [layer("loadConstant", "", "c", shape=[2, 3, 4], data=data), layer("concat", "x,c", "y")]
    proto = load(tiny_coreml.write(tmp_path, model(layers, [array("x", 1, 3, 4)])))
    x = noise(1, 1, 3, 4)
    np.testing.assert_array_equal(tiny_coreml.run(proto, {"x": x})[0], np.concatenate([x, data[None]], 1))


def test_vectors_of_the_first_versions_stay_matrices(tmp_path: Path) -> None:
    """[N, C, 1, 1] in Core ML: nothing between two inner products adds and drops the two axes again."""
    layers = [
        layer("flatten", "x", "f"),
        layer("innerProduct", "f", "a", inputChannels=24, outputChannels=5, weights=noise(5, 24)),
        layer("activation", "a", "r", ReLU={}),
        layer("innerProduct", "r", "b", inputChannels=5, outputChannels=3, weights=noise(3, 5)),
        layer("softmax", "b", "y"),
        layer("scale", "y", "s", shapeScale=[3], scale=noise(3)),
    ]
    proto = load(tiny_coreml.write(tmp_path, model(layers, [array("x", 2, 3, 4)], ["y", "s"])))
    operators = [node.op_type for node in proto.graph.node]
    assert operators == ["Flatten", "Gemm", "Relu", "Gemm", "Softmax", "Unsqueeze", "Mul"]
    x = noise(2, 2, 3, 4)
    scores = np.exp((x.reshape(2, 24) @ noise(5, 24).T).clip(0) @ noise(3, 5).T)
    found, scaled = tiny_coreml.run(proto, {"x": x})
    np.testing.assert_allclose(found, scores / scores.sum(1, keepdims=True), rtol=1e-5)
    np.testing.assert_allclose(scaled, found[:, :, None, None] * noise(3).reshape(3, 1, 1), rtol=1e-5)


IMAGE = array("x", 1, 4, 5, 6)
REFUSED = [
    (
        layer("convolution", outputChannels=3, nGroups=3, weights=noise(1)),
        "4 input and 3 output channels do not divide",
    ),
    (layer("convolution", outputChannels=4, kernelSize=[3]), "kernelSize: expected 2 numbers above 0, found .3."),
    (layer("convolution", outputChannels=4, stride=[0, 1]), "stride: expected 2 numbers above 0"),
    (layer("pooling", includeLastPixel={}, type=2, kernelSize=[2, 2], stride=[2, 2]), "L2 pooling whose last window"),
    (layer("pooling", includeLastPixel={}, kernelSize=[1, 1], stride=[3, 3]), "last window lies outside"),
    (layer("innerProduct", outputChannels=2, int8DynamicQuantize=True), "rounding its input to 8 bits"),
    (layer("batchnorm", channels=4, computeMeanVar=True), "statistics of a whole batch"),
    (layer("lrn", localSize=4), "expected an odd localSize, found 4"),
    (layer("upsample", fractionalScalingFactor=[1.5, 1.5]), "expected whole factors for nearest neighbours"),
    (layer("upsample", scalingFactor=[1 << 40, 1]), "rows and columns"),
    (layer("resizeBilinear", targetSize=[1, 1], mode={"samplingMethod": 1}), "ALIGN_ENDPOINTS_MODE to 1x1 is not supp"),
    (layer("resizeBilinear", targetSize=[4, 4], mode={"samplingMethod": 3}), "ROI_ALIGN_MODE to 4x4 is not supported"),
    (layer("permute", axis=[3, 1, 2, 0]), "sequences are not supported"),
    (layer("concat", sequenceConcat=True), "sequences are not supported"),
    (layer("reshapeStatic", targetShape=[7, 7]), r"\[1, 4, 5, 6\] cannot take the shape \[7, 7\]"),
    (layer("reshapeStatic", targetShape=[-1, -1]), "expected sizes, of which one may be -1"),
    (layer("tile", reps=[1 << 30, 1, 1, 1]), "result of at most"),
    (layer("fillStatic", "", targetShape=[1 << 60]), "expected at most"),
    (layer("squeeze", axes=[1]), "expected axes of size 1"),
    (layer("split", nOutputs=3, makes="y,z,w"), "axis 1 of size 4 cannot be cut into 3 outputs"),
    (layer("crop", cropAmounts={"borderAmounts": [{"startEdgeSize": 5}, {}]}), "cannot cut rows and columns"),
    (layer("transpose", axes=[0, 1, 1, 3]), "expected an order of 4 axes"),
    (layer("softmaxND", axis=7), "axis 7 is outside its input of 4 dimensions"),
    (layer("topK", K=9, axis=1, makes="y,z"), "expected two outputs and 1 to 4 numbers"),
    (layer("activation"), "expected one of linear, ReLU"),
    (layer("convolution3d"), r"expected an input \[N, C, D, H, W\], found one of 4 axes"),
    (layer("reduceSum"), "expected axes to reduce over, found none"),
    (layer("layerNormalization", normalizedShape=[7]), "expected the last sizes of"),
    (layer("padding", reflection={}, paddingAmounts={"borderAmounts": [{"startEdgeSize": 9}, {}]}), "cannot reflect"),
]


@pytest.mark.parametrize(("entry", "said"), REFUSED)
def test_what_a_layer_cannot_be_is_said(tmp_path: Path, entry: object, said: str) -> None:
    with pytest.raises(InputError, match=rf"layer y[,\w]* \(\w+\): .*{said}"):
        load(tiny_coreml.write(tmp_path, model([entry], [IMAGE], exact=True)))
