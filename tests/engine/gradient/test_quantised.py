"""Quantised and float16 networks, and images fed as bytes: values against onnxruntime, gradients against the float
network's, torch's own fake quantisation and finite differences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxray
import pytest
import torch
from model_specs import arguments, load_model
from onnx import TensorProto, helper
from onnxray.engine.gradient.ops import find
from onnxray.engine.gradient.ops.levels import round_through
from onnxray.engine.gradient.provenance import notes
from onnxray.engine.images import ImageBatches
from onnxray.engine.model import Model
from onnxray.engine.targets import ClassScore
from quantised_networks import QUANTISERS, halved, quantise, residual_net

Shared = Callable[[str], Path]
CLASS = 3


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return residual_net(tmp_path_factory.mktemp("float") / "residual.onnx")


@pytest.fixture(scope="module")
def images() -> np.ndarray:  # [40, 3, 16, 16]: 32 to calibrate with, 8 to look at
    return np.random.default_rng(1).normal(size=(40, 3, 16, 16)).astype(np.float32)


@pytest.fixture(scope="module", params=QUANTISERS)
def quantised(
    request: pytest.FixtureRequest, source: Path, images: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Model]:
    target = tmp_path_factory.mktemp("quantised") / f"{request.param}.onnx"
    return request.param, onnxray.load(quantise(source, target, request.param, images[:32]))


def image_gradient(model: Model, x: np.ndarray, index: int = CLASS) -> np.ndarray:
    name = model.graph.inputs[0]
    return model.torch().gradients(x, ClassScore(index), [name]).gradients[name]


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:  # [N]
    a, b = (entry.reshape(len(entry), -1).astype(np.float64) for entry in (a, b))
    return (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1))


# -- values ---


def is_levels(value: np.ndarray) -> bool:
    return value.dtype in (np.uint8, np.int8, np.uint16, np.int16)


def test_every_node_alone_gives_onnxruntimes_levels(quantised: tuple[str, Model], images: np.ndarray) -> None:
    """Fed with what onnxruntime feeds it, levels carried as floats: not one level differs."""
    _, model = quantised
    graph = model.graph
    theirs = model.session().run(images[32:], model.session().tensors) | {"image": images[32:]}
    judged = 0
    for node in graph.nodes:
        domain, _, name = node.op.rpartition(".")
        levels = [output for output in node.outputs if output in theirs and is_levels(theirs[output])]
        found = find(name, domain, graph.opset if not domain else 1, straight_through=True)
        if not levels or found is None or ("Quantize" not in name and not name.startswith("Q")):
            continue
        values = [theirs[entry] if entry in theirs else graph.weight(entry) for entry in node.inputs if entry]
        tensors = iter([torch.tensor(value) for value in values])
        given = [next(tensors) if entry else None for entry in node.inputs]
        carried = [
            value.float() if value is not None and entry in theirs and is_levels(theirs[entry]) else value
            for value, entry in zip(given, node.inputs, strict=True)
        ]
        result = found.function(*carried, **node.attributes)
        result = result[0] if found.several else result
        np.testing.assert_array_equal(result.numpy(), theirs[levels[0]].astype(np.float32), err_msg=node.name)
        judged += 1
    assert judged > 4


def test_the_whole_network_gives_onnxruntimes_values(quantised: tuple[str, Model], images: np.ndarray) -> None:
    """8 bits: a level may differ by one where a tie falls otherwise, real numbers by rounding errors. 16 bits: a level
    is as small as float32's rounding in a convolution, so ties are common and differences of one add up with depth."""
    kind, model = quantised
    names = [name for name in model.session().tensors if name in model.torch().tensors]
    theirs, ours = model.session().run(images[32:], names), model.torch().run(images[32:], names)
    steps, tolerance = (3, 1e-4) if kind == "qdq_uint16" else (1, 1e-6)
    for name in names:
        apart = np.abs(ours[name].astype(np.float64) - theirs[name])
        bound = steps if is_levels(theirs[name]) else tolerance * max(np.abs(theirs[name]).max(), 1e-6)
        assert apart.max() <= bound, name


def test_quantisation_loses_a_few_hundredths(quantised: tuple[str, Model], source: Path, images: np.ndarray) -> None:
    """The networks under test are good ones: else the gradients below would say nothing."""
    _, model = quantised
    (found,), (expected,) = model.torch().run(images).values(), onnxray.load(source).session().run(images).values()
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()


# -- gradients ---


def test_gradients_are_near_the_float_networks(quantised: tuple[str, Model], source: Path, images: np.ndarray) -> None:
    """Measured: 0.97 to 0.99 with 8 bits, 0.98 to 1.00 with 16. Without the Clip: 0.38 to 0.52."""
    kind, model = quantised
    found = cosines(image_gradient(model, images[32:]), image_gradient(onnxray.load(source), images[32:]))
    assert np.median(found) > (0.99 if kind == "qdq_uint16" else 0.97)
    assert found.min() > 0.95


def test_without_saturation_the_relus_folded_into_it_are_lost(
    source: Path, images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above has teeth: levels that round but let everything through give another gradient."""
    from onnxray.engine.gradient.ops import straight_through

    model = onnxray.load(quantise(source, tmp_path / "q.onnx", "qdq_channels", images[:32]))
    assert "Relu" not in {node.op for node in model.graph.nodes}

    def unsaturated(steps: torch.Tensor, zero: torch.Tensor, *_: object) -> torch.Tensor:
        return round_through(steps) + zero

    monkeypatch.setattr(straight_through, "quantised", unsaturated)
    found = cosines(image_gradient(model, images[32:]), image_gradient(onnxray.load(source), images[32:]))
    assert found.max() < 0.8


def test_gradients_stop_where_relus_of_the_float_network_are_off(
    source: Path, images: np.ndarray, tmp_path: Path
) -> None:
    plain, x = onnxray.load(source), images[32:]
    model = onnxray.load(quantise(source, tmp_path / "q.onnx", "qdq_channels", images[:32]))
    before = model.graph.producers["first_QuantizeLinear_Output"].inputs[0]
    found = model.torch().gradients(x, ClassScore(CLASS), [before]).gradients[before]
    off = model.session().run(x, [before])[before] < 0
    assert 0.2 < off.mean() < 0.8
    assert not found[off].any()
    assert (found[~off] != 0).mean() > 0.5
    same = off == (plain.session().run(x, ["stem"])["stem"] < 0)
    assert same.mean() > 0.98  # the rest is moved over zero by the quantisation itself


@pytest.mark.parametrize("zero", [0, 100, 255])
def test_gradient_is_that_of_torchs_fake_quantisation(zero: int) -> None:
    """Save within half a level of the ends, where torch rounds before it asks what saturates."""
    generator = torch.Generator().manual_seed(zero)
    scale = torch.tensor(0.05)
    levels = torch.rand(4000, generator=generator) * 400 - 72
    levels = levels[((levels - 0).abs() > 0.6) & ((levels - 255).abs() > 0.6)]
    x, weight = (levels - zero) * scale, torch.randn(levels.shape, generator=generator)
    quantise_, dequantise = (find(f"{name}Linear", "", 17, True) for name in ("Quantize", "Dequantize"))
    assert quantise_ is not None and dequantise is not None
    offset = torch.tensor(zero, dtype=torch.uint8)

    ours = x.clone().requires_grad_()
    found = dequantise.function(quantise_.function(ours, scale, offset), scale, offset)
    theirs = x.clone().requires_grad_()
    expected = torch.fake_quantize_per_tensor_affine(theirs, scale.item(), zero, 0, 255)
    for value in (found, expected):
        (value * weight).sum().backward()
    assert torch.allclose(ours.grad, theirs.grad)  # type: ignore[arg-type]
    assert (ours.grad == 0).any() and (ours.grad != 0).any()
    assert (found - expected).abs().max() <= scale * 1.001
    assert ((found - expected).abs() > 1e-4).float().mean() < 0.01  # ties: torch multiplies by 1 / scale


def test_scales_of_channels_and_blocks() -> None:
    """Each block of three along the second axis has its own scale; float64 finite differences in the large."""
    quantise_ = find("QuantizeLinear", "", 21, True)
    assert quantise_ is not None
    x = torch.linspace(-3, 3, 32, dtype=torch.float64).reshape(4, 8)
    scale = torch.tensor([[0.1, 0.2, 0.3]], dtype=torch.float64).expand(4, 3)
    given = x.clone().requires_grad_()
    levels = quantise_.function(given, scale, None, axis=1, block_size=3, level_type=torch.int8)
    levels.sum().backward()
    widths = np.repeat([0.1, 0.2, 0.3], 3)[:8]
    np.testing.assert_array_equal(levels.detach().numpy(), np.clip(np.rint(x.numpy() / widths), -128, 127))
    np.testing.assert_allclose(given.grad.numpy(), np.broadcast_to(1 / widths, (4, 8)))  # type: ignore[union-attr]


@pytest.mark.parametrize("stated", ["zero point", "output_dtype"])
@pytest.mark.parametrize("kind", ["UINT4", "INT4", "FLOAT8E4M3FN", "FLOAT8E5M2"])
def test_types_that_torch_holds_in_others(tmp_path: Path, kind: str, stated: str) -> None:
    """4 bits saturate where they end, and floats of 8 bits round as such: both are known from the file alone."""
    levels = getattr(TensorProto, kind)
    bits = ["x", "scale", "zero"] if stated == "zero point" else ["x", "scale"]
    attributes = {} if stated == "zero point" else {"output_dtype": levels}
    nodes = [
        helper.make_node("QuantizeLinear", bits, ["q"], "quantise", **attributes),
        helper.make_node("DequantizeLinear", ["q", "scale"], ["y"], "dequantise"),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 50]) for name in ("x", "y")]
    constants = [helper.make_tensor("scale", TensorProto.FLOAT, [], [0.1]), helper.make_tensor("zero", levels, [], [0])]
    graph = helper.make_graph(nodes, "narrow", values[:1], values[1:], constants[: len(bits) - 1])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), tmp_path / "n.onnx")
    model = onnxray.load(tmp_path / "n.onnx")
    x = np.linspace(-3, 3, 100, dtype=np.float32).reshape(2, 50) * (1 if "INT" in kind else 30)
    expected = model.session().run(x)["y"]
    np.testing.assert_allclose(model.torch().run(x)["y"], expected, rtol=1e-6, atol=1e-7)
    gradient = image_gradient(model, x)
    ends = {"UINT4": (0, 15), "INT4": (-8, 7), "FLOAT8E4M3FN": (-448, 448), "FLOAT8E5M2": (-57344, 57344)}[kind]
    inside = (x[:, CLASS] / 0.1 >= ends[0]) & (x[:, CLASS] / 0.1 <= ends[1])
    np.testing.assert_allclose(gradient[:, CLASS], inside.astype(np.float32), rtol=1e-6)


# -- real networks ---

REAL = {  # network -> what is least said to agree: (median cosine of quantised ones, of float16 ones)
    "models/derived/resnet20_cifar10.onnx": (0.9, 0.99),
    "models/derived/squeezenet1.1.onnx": (0.65, 0.98),
}


def real(shared: Shared, name: str) -> tuple[Model, np.ndarray]:
    """The network, and 20 images of the kind it was trained on."""
    model = load_model(shared, name)
    if "cifar10" in name:
        pictures = shared("data/cifar10/cifar10_lossless_train1000.npz")
        return model, next(iter(ImageBatches(pictures, model, batch_size=20)))[1]
    files = sorted(path for path in shared("data/imagenet_sample_256/dev").rglob("*.*") if path.is_file())[:100:5]
    return model, next(iter(ImageBatches(files, model, batch_size=20)))[1]


def top_class(model: Model, x: np.ndarray) -> int:
    (scores,) = model.session().run(x).values()
    return int(scores.reshape(len(x), -1)[0].argmax())


@pytest.mark.parametrize("kind", ["qdq_channels", "operators", "dynamic"])
@pytest.mark.parametrize("name", REAL)
def test_real_quantised_networks(shared: Shared, tmp_path: Path, name: str, kind: str) -> None:
    """Measured medians: ResNet-20 0.92 to 0.94, SqueezeNet 0.71 to 0.82. SqueezeNet's own gradient turns as much
    under noise that nobody sees (0.4 at 4 of 255 levels), so more cannot be asked of one with 8 bits."""
    plain, pictures = real(shared, name)
    path = quantise(shared(name), tmp_path / "q.onnx", kind, pictures[:16])
    model, x = onnxray.load(path, **arguments(shared, name)), pictures[16:]
    (found,), (expected,) = model.torch().run(x).values(), model.session().run(x).values()
    assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()  # two steps of 8 bits
    index = top_class(plain, x)
    ours = image_gradient(model, x, index)
    assert np.median(cosines(ours, image_gradient(plain, x, index))) > REAL[name][0]
    assert all(np.abs(image).max() > 0 for image in ours.reshape(-1, *ours.shape[2:]))  # no channel is dead


@pytest.mark.parametrize("keep_io_types", [False, True])
@pytest.mark.parametrize("name", REAL)
def test_real_float16_networks(shared: Shared, tmp_path: Path, name: str, keep_io_types: bool) -> None:
    """Measured: outputs 4e-4 apart at most (onnxruntime rounds to float16, the bridge does not), cosines 0.99."""
    plain, pictures = real(shared, name)
    model = onnxray.load(halved(shared(name), tmp_path / "h.onnx", keep_io_types), **arguments(shared, name))
    x = pictures[16:]
    (found,), (expected,) = model.torch().run(x).values(), model.session().run(x).values()
    assert np.abs(found - expected).max() < 2e-3 * np.abs(expected).max()
    index = top_class(plain, x)
    assert np.median(cosines(image_gradient(model, x, index), image_gradient(plain, x, index))) > REAL[name][1]
    assert notes(model) == ("float16 network, computed in float32",)


@pytest.mark.parametrize("keep_io_types", [False, True])
def test_float16(source: Path, images: np.ndarray, tmp_path: Path, keep_io_types: bool) -> None:
    plain, x = onnxray.load(source), images[32:]
    model = onnxray.load(halved(source, tmp_path / "h.onnx", keep_io_types))
    (found,), (expected,) = model.torch().run(x).values(), model.session().run(x).values()
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 5e-3 * np.abs(expected).max()
    assert cosines(image_gradient(model, x), image_gradient(plain, x)).min() > 0.99
    assert notes(model) == ("float16 network, computed in float32",)


# -- what is said of it ---


def test_notes_count_the_nodes(quantised: tuple[str, Model], source: Path) -> None:
    _, model = quantised
    names = [node.op.removeprefix("com.microsoft.") for node in model.graph.nodes]
    count = sum(
        name.startswith("QLinear") or name == "QGemm" or "Quantize" in name or name.endswith("Integer")
        or name == "DequantizeLinear"
        for name in names
    )  # fmt: skip
    (line,) = notes(model)
    assert line.startswith(f"quantised network: {count} quantised nodes run on floats of the same values")
    assert notes(onnxray.load(source)) == ()
