"""CAM against its equations in loops, the score that it must add up to, and Grad-CAM on real architectures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxray
import pytest
import torchvision_networks as networks
from cam_peers import PICTURES, POOLED, tiny, values
from gradient_peers import RELATIVE, relative
from model_specs import load_model
from onnxray.engine.methods.cam import cam
from onnxray.engine.methods.grad_cam import grad_cam
from onnxray.engine.model import Model
from onnxray.engine.targets import Channel, ClassProbability
from onnxray.importers.errors import InputError
from tolerances import assert_close

Shared = Callable[[str], Path]

GEMM = "flat = Flatten (mean)\n    logits = Gemm <transB = 1> (flat, fc, bias)"
MEAN = "mean = GlobalAveragePool (maps)"
HEADS = {  # the same network's end, written in other ways
    "gemm": (MEAN, GEMM),
    "matmul and add": (
        MEAN,
        "flat = Flatten (mean) fc_t = Transpose <perm = [1, 0]> (fc) raw = MatMul (flat, fc_t) "
        "logits = Add (raw, bias)",
    ),
    "convolution": (
        MEAN,
        "raw = Conv (mean, fc_conv, bias) logits = Flatten (raw)",
    ),
    "dropout": (MEAN, GEMM.replace("(flat,", "(kept,").replace("logits", "kept = Dropout (flat) logits")),
    "mean": ("mean = ReduceMean <axes = [2, 3], keepdims = 1> (maps)", GEMM),
    "squeezed mean": ("mean = ReduceMean <axes = [-2, -1], keepdims = 0> (maps)", GEMM.replace("Flatten", "Identity")),
    "pool": ("mean = AveragePool <kernel_shape = [4, 4]> (maps)", GEMM),
    "channels last": (
        "last = Transpose <perm = [0, 2, 3, 1]> (maps) mean = ReduceMean <axes = [1, 2], keepdims = 0> (last)",
        GEMM.replace("Flatten", "Identity"),
    ),
}


def network(head: str) -> Model:
    pooling, dense = HEADS[head]
    model = tiny(POOLED)
    weights = {tensor.name: tensor for tensor in model.proto.graph.initializer}
    text = POOLED.replace(MEAN, pooling).replace(GEMM, dense)
    text = text.replace("float[3, 4] fc,", "float[3, 4] fc, float[3, 4, 1, 1] fc_conv,")
    made = tiny(text)
    for tensor in made.proto.graph.initializer:
        tensor.raw_data = weights[tensor.name.removesuffix("_conv")].raw_data
    again = Model(made.proto, made.path)
    again.spec = made.spec
    return again


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("target", [0, 2])
def test_the_equations_in_loops(head: str, target: int) -> None:
    """M_c(x, y) = sum_k w_k^c f_k(x, y), shared out over the places; its sum and the bias are the score."""
    model = network(head)
    (maps,) = values(model, "maps")
    weights, bias = model.graph.weight("fc")[target], model.graph.weight("bias")[target]
    expected = np.zeros((5, 4, 4))
    for image, channel, y, x in np.ndindex(maps.shape):
        expected[image, y, x] += weights[channel] * maps[image, channel, y, x] / 16
    found = cam(model, PICTURES, target=target)
    assert found.raw is not None and found.gap is not None and found.signed
    assert_close(found.raw, expected.astype(np.float32))
    np.testing.assert_allclose(found.scores, expected.sum((1, 2)) + bias, rtol=1e-4)
    assert np.abs(found.gap).max() < 1e-5
    assert (found.raw < 0).any() and found.layer == ("last" if head == "channels last" else "maps")


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "densenet121", "mobilenet_v2", "squeezenet1_1"])
def test_of_architectures_it_is_grad_cam_before_the_cut(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Selvaraju et al. 2017, section 3: on these networks Grad-CAM is CAM; it is computed from gradients, by torch."""
    file = networks.exported(name, "legacy", tmp_path_factory.getbasetemp(), any_batch=True)
    model = onnxray.load(file, mean=(128.0,), scale=(1 / 64,), resize="stretch", channel_order="RGB")
    pictures = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3), dtype=np.uint8)
    found, coarse = cam(model, pictures, target=3), grad_cam(model, pictures, target=3)
    assert found.raw is not None and coarse.raw is not None and found.gap is not None
    assert found.layer == coarse.layer
    assert relative(np.maximum(found.raw, 0), coarse.raw) <= RELATIVE
    assert np.abs(found.gap).max() <= 1e-5 * max(1, np.abs(found.scores).max())


def test_of_squeezenet_a_class_has_a_plane_of_its_own(shared: Shared) -> None:
    model = load_model(shared, "models/derived/squeezenet1.1.onnx")
    photo = shared("data/skimage_images/coffee.png")
    found, coarse = cam(model, photo, target="espresso"), grad_cam(model, photo, target="espresso")
    assert_close(found.maps, coarse.maps)


def test_batches_give_what_single_images_give() -> None:
    model = tiny()
    single = [cam(model, PICTURES[i : i + 1]).maps for i in range(len(PICTURES))]
    assert_close(cam(model, PICTURES).maps, np.concatenate(single))


TWO = POOLED.replace(
    "logits = Gemm <transB = 1> (flat, fc, bias)",
    "raw = Gemm <transB = 1> (flat, fc, bias) active = Relu (raw) logits = Gemm (active, square)",
).replace("float[3] bias>", "float[3] bias, float[3, 3] square>")
WIDE = POOLED.replace("mean = GlobalAveragePool (maps)", "mean = MaxPool <kernel_shape = [4, 4]> (maps)")


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        (TWO, 0, r"cam expects a network that ends in global average pooling .*, found Relu \(active\) .* grad_cam"),
        (WIDE, 0, r"found MaxPool \(mean\) before the scores logits; grad_cam"),
        (POOLED, Channel("maps", 1), "expected a class's score for cam, found maps, channel 1; grad_cam"),
        (POOLED, ClassProbability(1), "expected a class's score for cam, found probability of class 1; grad_cam"),
    ],
)
def test_networks_and_targets_that_do_not_fit(text: str, target: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        cam(tiny(text), PICTURES, target=target)  # type: ignore[arg-type]
