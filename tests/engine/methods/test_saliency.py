"""Saliency against finite differences of onnxruntime, and against the same network written by hand in torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny_models
from model_specs import load_model
from onnxray.engine.images import prepare
from onnxray.engine.methods.attribution import CertificateWarning
from onnxray.engine.methods.saliency import saliency
from onnxray.engine.model import Model
from onnxray.engine.targets import Channel, ClassProbability, ClassScore, Target
from onnxray.importers.errors import InputError
from tolerances import assert_close

Shared = Callable[[str], Path]

# Smooth, so that finite differences are derivatives, and of doubles, so that they are exact enough; of operators that
# onnxruntime has for doubles.
SMOOTH = """
<ir_version: 8, opset_import: ["" : 17]>
smooth (double[N, 3, 5, 6] image) => (double[N, 4] scores)
<double[30, 30] places, double[3, 4] colours, double[4, 4] fc>
{
    shape = Constant <value = int64[3] {0, 3, 30}> ()
    rows = Reshape (image, shape)
    mixed = MatMul (rows, places)
    turned = Transpose <perm = [0, 2, 1]> (mixed)
    sums = MatMul (turned, colours)
    fifth = Constant <value = double {0.2}> ()
    small = Mul (sums, fifth)
    active = Tanh (small)
    pooled = ReduceMean <axes = [1], keepdims = 0> (active)
    logits = Gemm (pooled, fc)
    scores = Softmax (logits)
}
"""
SCALE = (1 / 60, 1 / 50, 1 / 40)
MEAN = (120.0, 110.0, 100.0)
STEP = 1e-5
PICTURES = np.random.default_rng(0).integers(0, 256, (3, 5, 6, 3), dtype=np.uint8)


def smooth(order: str = "RGB") -> Model:
    """The network in double, and fed so; torch computes it in float32."""
    model = Model(tiny_models.model(SMOOTH), Path("smooth.onnx"))
    model.spec = model.spec.override("test", mean=MEAN, scale=SCALE, channel_order=order, resize="stretch")
    return model


def inputs(model: Model) -> np.ndarray:
    shape = model.input_shapes["image"]
    return np.concatenate([prepare(picture, model.spec, shape) for picture in PICTURES]).astype(np.float64)


def differences(model: Model, target: Target, direction: Callable[[int], np.ndarray]) -> np.ndarray:  # [N, H, W, …]
    """Central differences of onnxruntime's own score when one pixel moves; `direction(c)` is [3]."""
    batch, tensor = inputs(model), target.tensor(model)
    found = np.zeros((3, *batch.shape))
    for channel, y, x in np.ndindex(batch.shape[1:]):
        for side in (1, -1):
            moved = batch.copy()
            moved[:, :, y, x] += side * STEP * direction(channel)
            found[channel, :, channel, y, x] += side * target.score(model.session().run(moved, [tensor])[tensor])
    return found.sum(0) / (2 * STEP)  # [N, C, H, W]


@pytest.mark.parametrize("target", [ClassScore(2), Channel("active", 1), Channel("active", 3)])
@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_against_finite_differences_of_onnxruntime(target: Target, order: str) -> None:
    model = smooth(order)
    gradients = differences(model, target, lambda channel: np.eye(3)[channel])
    found = saliency(model, PICTURES, target=target)
    assert_close(found.maps, np.abs(gradients).max(1))
    tensor = target.tensor(model)
    np.testing.assert_allclose(
        found.scores, target.score(model.session().run(inputs(model), [tensor])[tensor]), rtol=1e-4
    )


def test_signed_is_what_a_grey_level_does() -> None:
    model = smooth()
    brighter = differences(model, ClassScore(1), lambda channel: np.array(SCALE))[:, 0]
    found = saliency(model, PICTURES, target=1, signed=True)
    assert found.signed and (found.maps < 0).any()
    assert_close(found.maps, brighter)


def test_of_a_probability() -> None:
    import onnxruntime as ort

    model = smooth()
    batch, step = inputs(model), 1e-5
    session = ort.InferenceSession(model.proto.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = np.zeros(batch.shape)
    for channel, y, x in np.ndindex(batch.shape[1:]):
        for side in (1, -1):
            moved = batch.copy()
            moved[:, channel, y, x] += side * step
            expected[:, channel, y, x] += side * session.run(None, {"image": moved})[0][:, 2] / (2 * step)
    found = saliency(model, PICTURES, target=ClassProbability(2))
    assert_close(found.maps, np.abs(expected).max(1))
    assert found.targets == ("probability of class 2",) * 3
    assert found.probabilities is not None
    np.testing.assert_allclose(found.scores, found.probabilities, rtol=1e-4)


def test_squeezenet_against_the_same_network_by_hand(shared: Shared) -> None:
    """Every layer again in plain torch calls, with the file's weights, through torch's own autograd."""
    import torch
    from torch.nn import functional as F

    model = load_model(shared, "models/derived/squeezenet1.1.onnx")
    weights = {t.name: torch.tensor(onnx.numpy_helper.to_array(t)) for t in model.proto.graph.initializer}

    def conv(x: torch.Tensor, name: str, stride: int = 1, padding: int = 0) -> torch.Tensor:
        return F.relu(F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride, padding))

    def fire(x: torch.Tensor, name: str) -> torch.Tensor:
        squeezed = conv(x, f"{name}.squeeze1x1")
        wide = conv(squeezed, f"{name}.expand3x3", padding=1)
        return torch.cat([conv(squeezed, f"{name}.expand1x1"), wide], 1)

    photo = shared("data/skimage_images/coffee.png")
    found = saliency(model, photo, target=967)
    x = torch.tensor(prepare(*_decoded(photo), model.spec, (1, 3, 227, 227)), requires_grad=True)
    y = conv(x, "features.0", stride=2)
    for number in range(2, 13):
        pooling = number in (2, 5, 8)
        y = F.max_pool2d(y, 3, 2, ceil_mode=True) if pooling else fire(y, f"features.{number}")
    logits = conv(y, "classifier.1").mean((2, 3))
    (gradient,) = torch.autograd.grad(logits[0, 967], x)
    assert_close(found.scores, logits[:, 967].detach().numpy())
    assert_close(found.maps, gradient.abs().amax(1).numpy())
    assert found.targets == ("espresso (967)",)


def _decoded(photo: Path) -> tuple[np.ndarray]:
    from onnxray.engine.images import read_image

    return (read_image(photo),)


# --- images, batches, the result ---


def test_batches_give_what_single_images_give(monkeypatch: pytest.MonkeyPatch) -> None:
    from onnxray.engine.methods import attributing

    many = np.random.default_rng(1).integers(0, 256, (7, 5, 6, 3), dtype=np.uint8)
    model = smooth()
    whole = saliency(model, many)
    monkeypatch.setattr(attributing, "_IMAGES_AT_ONCE", 3)
    parts = saliency(model, many)
    single = [saliency(model, many[i : i + 1]) for i in range(7)]
    for found in (parts, whole):
        assert_close(found.maps, np.concatenate([one.maps for one in single]))
        assert found.targets == tuple(one.targets[0] for one in single)
        assert found.images == tuple(f"image#{i}" for i in range(7))
        assert found.predictions is not None
        first = [f"class {k}" for k in found.predictions.indices[:, 0]]
        assert list(found.targets) == first
        assert found.probabilities is not None
        np.testing.assert_allclose(found.probabilities, found.predictions.probabilities[:, 0])


def test_a_network_of_fixed_batch_size() -> None:
    fixed = Model(tiny_models.model(SMOOTH.replace("[N,", "[2,")), Path("fixed.onnx"))
    free = smooth()
    fixed.spec = free.spec
    three = saliency(fixed, PICTURES)
    expected = saliency(free, PICTURES)
    assert_close(three.maps, expected.maps)
    assert three.targets == expected.targets and three.pictures.shape == (3, 5, 6, 3)


def test_channels_last_inputs() -> None:
    text = SMOOTH.replace("double[N, 3, 5, 6] image", "double[N, 5, 6, 3] image").replace(
        "rows = Reshape (image", "planes = Transpose <perm = [0, 3, 1, 2]> (image)  rows = Reshape (planes"
    )
    model = Model(tiny_models.model(text), Path("nhwc.onnx"))
    model.spec = smooth().spec.override("test", layout="NHWC")
    for signed in (False, True):
        assert_close(
            saliency(model, PICTURES, target=0, signed=signed).maps,
            saliency(smooth(), PICTURES, target=0, signed=signed).maps,
        )


def test_what_the_result_says(tmp_path: Path) -> None:
    np.save(tmp_path / "good.npy", PICTURES[0])
    (tmp_path / "bad.png").write_text("no image")
    done: list[tuple[int, int]] = []
    found = saliency(smooth(), tmp_path, target="1", progress=lambda *pair: done.append(pair))
    assert [Path(name).name for name in found.images] == ["good.npy"]
    assert [Path(name).name for name, _ in found.skipped] == ["bad.png"]
    assert done[-1] == (2, 2)
    assert any("softmax is cut off" in note for note in found.notes)
    assert found.certified and found.certificate
    assert (found.pictures[0] == PICTURES[0]).all()
    found.save(tmp_path / "kept")
    kept = np.load(tmp_path / "kept.npz")
    assert (kept["maps"] == found.maps).all() and (kept["pictures"] == found.pictures).all()


def test_a_copy_that_differs_from_the_network_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failed:
        passed = False

        def summary(self) -> str:
            return "the copy differs at node conv"

    model = smooth()
    monkeypatch.setattr(Model, "torch_certificate", lambda self, batch, gradients: Failed())
    with pytest.warns(CertificateWarning, match="differs at node conv"):
        found = saliency(model, PICTURES[:1])
    assert not found.certified


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"target": 4}, "the network has no class 4: expected 0 to 3"),
        ({"target": "nothing"}, "no class and no layer is called 'nothing'"),
        ({"target": Channel("active", 4)}, "has no channel 4"),
        ({"memory": "1MB"}, "memory budget of 1 MiB leaves 0 B"),
        ({"memory": "much"}, "2GB or 500MB"),
    ],
)
def test_errors(keywords: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        saliency(smooth(), PICTURES, **keywords)  # type: ignore[arg-type]


def test_several_targets_give_a_row_each(tmp_path: Path) -> None:
    """Image by image, whatever the batches; saved with pictures."""
    many = np.random.default_rng(1).integers(0, 256, (3, 5, 6, 3), dtype=np.uint8)
    model = smooth()
    both = saliency(model, many, target=[1, None])
    for column, target in enumerate([1, None]):
        alone = saliency(model, many, target=target)
        np.testing.assert_array_equal(both.maps[column::2], alone.maps)
        assert both.raw is not None and alone.raw is not None
        np.testing.assert_array_equal(both.raw[column::2], alone.raw)
        assert both.targets[column::2] == alone.targets and both.images[column::2] == alone.images
        np.testing.assert_array_equal(both.scores[column::2], alone.scores)
    assert both.predictions is not None and len(both.predictions.images) == 3
    both.save(tmp_path / "kept")
    pictures = {f"kept.{row}.{kind}.png" for row in range(1, 7) for kind in ("map", "overlay")}
    assert {path.name for path in tmp_path.iterdir()} == {"kept.json", "kept.npz", *pictures}
    with pytest.raises(InputError, match="an empty list"):
        saliency(model, many, target=[])
