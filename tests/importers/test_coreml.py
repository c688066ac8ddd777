"""Core ML files: the real one against its twin; what a description says; what is said of files that cannot be used."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tiny_coreml
from onnxray.importers import load
from onnxray.importers.certificate import run_onnx
from onnxray.importers.coreml.wire_schema import message_class
from onnxray.importers.errors import InputError
from onnxray.importers.input_spec import read_input_spec
from tiny_coreml import array, image, layer, model, noise

SINET = "models/coreml/sinet_portrait/SINet.mlmodel"
Shared = Callable[[str], Path]
CONVOLUTION = layer(
    "convolution", outputChannels=4, kernelChannels=3, kernelSize=[1, 1], hasBias=True,
    weights=noise(4, 3, 1, 1), bias=noise(4), valid={},
)  # fmt: skip


def opened(folder: Path, message: Any, **options: Any) -> onnx.ModelProto:
    return load(tiny_coreml.write(folder, message), **options)


def small(**options: Any) -> Any:
    return model([CONVOLUTION], [image("x", 5, 6)], **options)


# ---- the real file


def test_sinet_is_the_same_network_as_its_onnx_file(shared: Shared) -> None:
    """The twin goes on to a Softmax: 819 holds what enters it, which is where the Core ML network ends."""
    proto, twin = load(shared(SINET)), onnx.load(shared("models/onnx/sinet_portrait/SINet_Softmax.onnx"))
    pixels = np.random.default_rng(0).uniform(-0.01, 0.01, (1, 3, 320, 320)).astype(np.float32)  # as they arrive
    (found,) = tiny_coreml.run(proto, {"input.54": pixels})
    expected = run_onnx(twin, {"data": pixels}, ["819"])["819"]
    assert np.abs(found - expected).max() <= 1e-4 * np.ptp(expected)
    spans = [np.exp(each) / np.exp(each).sum(axis=1, keepdims=True) for each in (found, expected)]
    assert np.abs(spans[0] - spans[1]).max() <= 1e-4
    operators = [node.op_type for node in proto.graph.node]
    assert operators.count("Transpose") == 11  # the file's own channel shuffles


# ---- images, arrays and classes


def test_an_image_says_size_colours_and_scaler(tmp_path: Path) -> None:
    scaler = {"channelScale": 0.5, "redBias": -1.0, "greenBias": -2.0, "blueBias": -3.0}
    for colours, order, mean in ((20, "RGB", (2.0, 4.0, 6.0)), (30, "BGR", (6.0, 4.0, 2.0))):
        message = model([CONVOLUTION], [image("x", 5, 6, colours)], preprocessing=[{"scaler": scaler}])
        spec = read_input_spec(opened(tmp_path, message))
        assert spec is not None
        assert (spec.size, spec.channel_order, spec.mean, spec.scale) == ((5, 6), order, mean, (0.5,))


def test_pixels_enter_as_they_are_where_nothing_else_is_stated(tmp_path: Path) -> None:
    spec = read_input_spec(opened(tmp_path, small()))
    assert spec is not None
    assert (spec.mean, spec.scale) == ((0.0,), (1.0,))
    assert "assumed" not in spec.origin["scale"]


def test_a_grey_image(tmp_path: Path) -> None:
    grey = layer("activation", ReLU={})
    scaler = {"featureName": "x", "scaler": {"channelScale": 2.0, "grayBias": 4.0}}
    spec = read_input_spec(opened(tmp_path, model([grey], [image("x", 5, 6, 10)], preprocessing=[scaler])))
    assert spec is not None
    assert (spec.channel_order, spec.mean, spec.scale) == ("GREY", (-2.0,), (2.0,))


def test_a_mean_image(tmp_path: Path) -> None:
    mean = noise(3, 5, 6)
    preprocessing = [{"featureName": "x", "meanImage": {"meanImage": mean.tobytes()}}]
    spec = read_input_spec(opened(tmp_path, small(preprocessing=preprocessing)))
    assert spec is not None
    assert spec.mean_image is not None
    np.testing.assert_array_equal(spec.mean_image, mean)
    preprocessing[0]["meanImage"] = {"meanImage": mean[:1].tobytes()}
    with pytest.raises(InputError, match="mean image of x: expected 90 numbers, found 30"):
        opened(tmp_path, small(preprocessing=preprocessing))


def test_a_classifier_names_its_classes_and_gives_their_probabilities(tmp_path: Path) -> None:
    dense = layer("innerProduct", makes="z", inputChannels=4, outputChannels=3, weights=noise(3, 4))
    layers = [dense, layer("softmax", "z", "p", name="last")]
    for stated in ("p", "last", ""):
        message = model(
            layers, [array("x", 4)], ["classProbs"], kind="neuralNetworkClassifier",
            labelProbabilityLayerName=stated, stringClassLabels={"vector": ["cat", "dog", "emu"]},
        )  # fmt: skip
        proto = opened(tmp_path, message)
        spec = read_input_spec(proto)
        assert spec is not None
        assert spec.labels == ("cat", "dog", "emu")
        x = noise(2, 4)
        (found,) = tiny_coreml.run(proto, {"x": x})
        scores = np.exp(x @ noise(3, 4).T)
        np.testing.assert_allclose(found, scores / scores.sum(axis=1, keepdims=True), rtol=1e-5)
        assert [value.name for value in proto.graph.output] == ["p"]
    message.neuralNetworkClassifier.ClearField("stringClassLabels")
    message.neuralNetworkClassifier.int64ClassLabels.vector.extend([7, 8, 9])
    spec = read_input_spec(opened(tmp_path, message))
    assert spec is not None
    assert spec.labels == ("7", "8", "9")


def test_a_regressor(tmp_path: Path) -> None:
    dense = layer("innerProduct", inputChannels=4, outputChannels=1, hasBias=True, weights=noise(1, 4), bias=noise(1))
    proto = opened(tmp_path, model([dense], [array("x", 4)], ["price"], kind="neuralNetworkRegressor"))
    (found,) = tiny_coreml.run(proto, {"x": noise(3, 4)})
    np.testing.assert_allclose(found, noise(3, 4) @ noise(1, 4).T + noise(1), rtol=1e-5)


def test_images_of_the_first_versions_come_in_any_number_exact_ones_as_they_are(tmp_path: Path) -> None:
    first, exact = opened(tmp_path, small()), opened(tmp_path, small(exact=True))
    dims = [proto.graph.input[0].type.tensor_type.shape.dim for proto in (first, exact)]
    assert dims[0][0].dim_param == "batch"
    assert [dim.dim_value for dim in dims[1]] == [1, 3, 5, 6]
    arrays = opened(tmp_path, model([layer("unary", type=6)], [array("x", 2, 7)], exact=True))
    assert [dim.dim_value for dim in arrays.graph.input[0].type.tensor_type.shape.dim] == [2, 7]


# ---- weights


def weighted(folder: Path, shape: tuple[int, ...] = (4, 3, 1, 1), **stored: Any) -> np.ndarray:
    """The kernels as the graph has them."""
    count, channels = shape[:2]
    kernels = layer("convolution", outputChannels=count, kernelChannels=channels, kernelSize=shape[2:], valid={})
    tiny_coreml.fill(kernels.convolution.weights, stored)
    proto = opened(folder, model([kernels], [image("x", 5, 6)]))
    return onnx.numpy_helper.to_array(proto.graph.initializer[0])


def packed(codes: np.ndarray, bits: int) -> bytes:
    """The highest bit first, one number directly behind another."""
    text = "".join(f"{code:0{bits}b}" for code in codes.ravel())
    return bytes(int(text[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(text), 8))


def test_half_precision_weights(tmp_path: Path) -> None:
    expected = noise(4, 3, 1, 1).astype(np.float16)
    np.testing.assert_array_equal(weighted(tmp_path, float16Value=expected.tobytes()), expected.astype(np.float32))


@pytest.mark.parametrize("bits", range(1, 9))
def test_quantised_weights(tmp_path: Path, bits: int) -> None:
    codes = np.random.default_rng(bits).integers(0, 1 << bits, (4, 3, 1, 1)).astype(np.uint8)
    table, scale, bias = noise(1 << bits), noise(4), noise(4, seed=1)
    lookup = {"numberOfBits": bits, "lookupTableQuantization": {"floatValue": table.tobytes()}}
    found = weighted(tmp_path, rawValue=packed(codes, bits), quantization=lookup)
    np.testing.assert_array_equal(found, table[codes])
    linear = {"numberOfBits": bits, "linearQuantization": {"scale": scale.tobytes(), "bias": bias.tobytes()}}
    found = weighted(tmp_path, rawValue=packed(codes, bits), quantization=linear)
    np.testing.assert_allclose(found, codes * scale.reshape(4, 1, 1, 1) + bias.reshape(4, 1, 1, 1), rtol=1e-6)


def test_quantised_kernels_of_a_transposed_convolution_have_a_scale_an_output_channel(tmp_path: Path) -> None:
    codes = np.arange(12, dtype=np.uint8).reshape(3, 4, 1, 1)
    kernels = layer(
        "convolution", outputChannels=4, kernelChannels=3, kernelSize=[1, 1], isDeconvolution=True, valid={}
    )
    scale = noise(4)
    linear = {"scale": scale.tobytes(), "bias": bytes(16)}
    stored = {"rawValue": codes.tobytes(), "quantization": {"numberOfBits": 8, "linearQuantization": linear}}
    tiny_coreml.fill(kernels.convolution.weights, stored)
    proto = opened(tmp_path, model([kernels], [image("x", 5, 6)]))
    found = onnx.numpy_helper.to_array(proto.graph.initializer[0])
    np.testing.assert_allclose(found, codes * scale.reshape(1, 4, 1, 1), rtol=1e-6)


@pytest.mark.skipif(importlib.util.find_spec("coremltools") is None, reason="coremltools is not installed")
def test_what_coremltools_quantises_is_what_it_reads_back(tmp_path: Path) -> None:
    script = Path(tiny_coreml.__file__).with_name("coreml_apple.py")
    done = subprocess.run([sys.executable, "-P", script, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    files = sorted(tmp_path.glob("*.mlmodel"))
    assert len(files) == 4
    for path in files:
        proto = load(path)
        ours = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
        with np.load(path.with_suffix(".npz")) as theirs:
            for name in ("conv", "deconv", "dense"):
                np.testing.assert_allclose(ours[f"{name}/weights"].ravel(), theirs[name], rtol=1e-5, atol=1e-6)


WRONG_WEIGHTS = [
    ({"floatValue": bytes(44)}, r"weights: expected 12 weights \(4x3x1x1\), found 11"),
    ({"floatValue": bytes(45)}, "weights of 4 bytes each, found 45 bytes"),
    ({}, "found 0"),
    ({"rawValue": bytes(12)}, "expected weights of 1 to 8 bits, found 0"),
    (
        {"rawValue": bytes(12), "quantization": {"numberOfBits": 4}},
        "expected 6 bytes for 12 weights of 4 bits, found 12",
    ),
    ({"rawValue": bytes(12), "quantization": {"numberOfBits": 8}}, "expected 1 or 4 scales and biases, found 0"),
    (
        {
            "rawValue": bytes(3),
            "quantization": {"numberOfBits": 2, "lookupTableQuantization": {"floatValue": bytes(8)}},
        },
        "expected a table of 4 values for weights of 2 bits, found 2",
    ),
    ({"int8RawValue": bytes(12)}, "rounded to 8 bits at run time are not supported"),
]


@pytest.mark.parametrize(("stored", "message"), WRONG_WEIGHTS)
def test_weights_that_do_not_fit(tmp_path: Path, stored: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=rf"layer y \(convolution\): .*{message}"):
        weighted(tmp_path, **stored)


# ---- files that cannot be used


def test_unknown_layers_are_all_named(tmp_path: Path) -> None:
    layers = [layer("custom", "x", "a"), layer("gru", "a", "b"), layer("custom", "b", "c"), layer("softmax", "c", "y")]
    bare = message_class("Layer")(name="z", input=["y"], output=["z"])
    with pytest.raises(InputError, match=r"custom \(layer a, c\); gru \(layer b\); unknown \(layer z\)$"):
        opened(tmp_path, model([*layers, bare], [array("x", 3, 5, 6)]))


def test_other_kinds_of_model_are_named(tmp_path: Path) -> None:
    path = tiny_coreml.write(tmp_path, small())
    start = path.read_bytes().index(b"\xa2\x1f")  # field 500
    for number, name in ((502, r"a Core ML program \(mlprogram"), (302, "that is no single neural network")):
        tag = bytes([number << 3 & 0x7F | 2 | 0x80, number << 3 >> 7])
        path.write_bytes(path.read_bytes()[:start] + tag + path.read_bytes()[start + 2 :])
        with pytest.raises(InputError, match=f"recognised as a Core ML .*{name}|{name}"):
            load(path)


def test_a_package_says_where_its_model_is(tmp_path: Path) -> None:
    folder = tmp_path / "net.mlpackage" / "Data" / "com.apple.CoreML"
    folder.mkdir(parents=True)
    (folder / "model.mlmodel").write_bytes(small().SerializeToString())
    with pytest.raises(InputError, match=r"did you mean Data/com\.apple\.CoreML/model\.mlmodel in it"):
        load(tmp_path / "net.mlpackage")
    assert load(folder / "model.mlmodel").graph.node


def test_a_truncated_file(tmp_path: Path) -> None:
    path = tiny_coreml.write(tmp_path, small())
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(InputError, match="expected a Core ML model, but the file is truncated or damaged"):
        load(path)


WRONG = [
    (lambda: model([], [image("x", 5, 6)]), "found no layers in it"),
    (lambda: model([CONVOLUTION], [image("other", 5, 6)]), "reads x, which nothing before it makes"),
    (lambda: model([CONVOLUTION], [image("x", 0, 6)]), "input x: expected an image's size and colours, found 6x0, RGB"),
    (lambda: model([CONVOLUTION], [array("x", 3, 0, 6)]), "input x: expected a size for each axis"),
    (lambda: model([CONVOLUTION], [array("x", 3, 6)]), r"input x: expected \[C\] or \[C, H, W\], found \[3, 6\]"),
    (lambda: model([CONVOLUTION], [message_class("Feature")(name="x")]), "input x: expected an image or an array"),
    (lambda: model([CONVOLUTION], [image("x", 5, 6, 10)]), r"layer y \(convolution\): .*expected 4 weights|found 12"),
    (lambda: model([CONVOLUTION, CONVOLUTION], [image("x", 5, 6)]), "two tensors are called y"),
    (lambda: small(preprocessing=[{"scaler": {}}, {"scaler": {}}]), "input x: expected one preprocessor, found 2"),
    (lambda: small(preprocessing=[{"scaler": {"redBias": float("inf")}}]), "scaler of x: expected finite numbers"),
]


@pytest.mark.parametrize(("message", "said"), WRONG)
def test_what_cannot_be_used_is_said(tmp_path: Path, message: Callable[[], Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        opened(tmp_path, message())
