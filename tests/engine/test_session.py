"""Sessions against onnx's reference evaluator, and batches against one image after the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny_models
from model_specs import MODEL_SPECS, load_model
from onnx import helper
from onnx.reference import ReferenceEvaluator
from onnxray.engine import providers, session
from onnxray.engine.batching import memory_bytes
from onnxray.engine.images import image_input, prepare, read_image
from onnxray.engine.model import Model
from onnxray.engine.session import Session
from onnxray.importers.errors import InputError
from tolerances import assert_close

FIXED_NET = tiny_models.ODD_NET.replace("[N,", "[2,")
IF_NET = """
<ir_version: 8, opset_import: ["" : 17]>
choice (float[1, 1, 2, 2] image) => (float[1, 1, 2, 2] y)
{
    total = ReduceSum <keepdims = 0> (image)
    zero = Constant <value = float {0.0}> ()
    positive = Greater (total, zero)
    y = If (positive) <
        then_branch = yes () => (float[1, 1, 2, 2] a) { inner = Neg (image)  a = Neg (inner) },
        else_branch = no () => (float[1, 1, 2, 2] b) { b = Neg (image) }
    >
}
"""
TWO_INPUTS = """
<ir_version: 8, opset_import: ["" : 17]>
two (float[N, 1, 2, 2] image, float[N, 3] more) => (float[N, 3] y)
{
    mean = GlobalAveragePool (image)
    flat = Flatten (mean)
    y = Add (flat, more)
}
"""
PIXEL_NET = """
<ir_version: 8, opset_import: ["" : 17]>
pixels (uint8[N, 1, 1, 2] image) => (int32[N, 1, 1, 2] y) { y = Cast <to = 6> (image) }
"""


def model(text: str, path: str = "tiny.onnx") -> Model:
    return Model(tiny_models.model(text), Path(path))


def images(count: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(count).normal(size=(count, *shape)).astype(np.float32)


def reference(proto: onnx.ModelProto, feeds: dict[str, np.ndarray], tensors: list[str]) -> list[np.ndarray]:
    """The same tensors from onnx's own, slow evaluator, each asked for as the only output."""
    values = []
    for name in tensors:
        single = onnx.ModelProto()
        single.CopyFrom(proto)
        del single.graph.output[:]
        single.graph.output.append(onnx.ValueInfoProto(name=name))
        values.append(ReferenceEvaluator(single).run(None, feeds)[0])
    return values


@pytest.mark.parametrize(("text", "shape"), [(tiny_models.CONV_NET, (1, 8, 8)), (tiny_models.ODD_NET, (2, 4, 4))])
def test_every_tensor_equals_the_reference(text: str, shape: tuple[int, ...]) -> None:
    network, batch = model(text), images(3, *shape)
    runner = Session(network)
    found = runner.run(batch, runner.tensors)
    expected = reference(network.proto, {"image": batch}, list(runner.tensors))
    assert list(found) == list(runner.tensors)
    for value, right in zip(found.values(), expected, strict=True):
        assert value.dtype == right.dtype
        if value.dtype.kind == "f":
            assert_close(value, right)
        else:
            np.testing.assert_array_equal(value, right)


def test_outputs_inputs_and_weights_by_name() -> None:
    network, batch = model(tiny_models.CONV_NET), images(2, 1, 8, 8)
    runner = Session(network)
    assert list(runner.run(batch)) == ["scores"]
    found = runner.run(batch, ["conv1_w", "logits", "image", "logits"])
    assert list(found) == ["conv1_w", "image", "logits"]
    np.testing.assert_array_equal(found["image"], batch)
    np.testing.assert_array_equal(found["conv1_w"], network.graph.weight("conv1_w"))


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_fixed_batch_is_run_in_slices(count: int) -> None:
    free, fixed, batch = Session(model(tiny_models.ODD_NET)), Session(model(FIXED_NET)), images(count, 2, 4, 4)
    names = ["active", "flat", "scores", "stored", "size"]
    one_by_one = [free.run(batch[i : i + 1], names) for i in range(count)]
    found = fixed.run(batch, names)
    for name in ("active", "flat", "scores"):
        assert_close(found[name], np.concatenate([single[name] for single in one_by_one]))
    for name in ("stored", "size"):
        np.testing.assert_array_equal(found[name], one_by_one[0][name])


def test_small_slices_give_what_one_batch_gives() -> None:
    whole, batch = Session(model(tiny_models.ODD_NET)), images(70, 2, 4, 4)  # more than one slice
    one_by_one = [whole.run(batch[i : i + 1], whole.tensors) for i in range(70)]
    found = whole.run(batch, whole.tensors)
    assert whole.batching.slice_size(70, whole.tensors, None) < 70
    assert found["axes_swapped"].shape == (2, 70, 4, 4)
    for name in ("active", "tall", "scores"):
        assert_close(found[name], np.concatenate([single[name] for single in one_by_one]))
    assert_close(found["axes_swapped"], np.concatenate([single["axes_swapped"] for single in one_by_one], 1))
    assert found["stored"].shape == (2,)
    assert found["rows"].tolist() == [-1, 4]


def test_a_network_of_one_image_stacks_what_has_no_batch_axis() -> None:
    runner, batch = Session(model(tiny_models.ODD_NET.replace("[N,", "[1,"))), images(3, 2, 4, 4)
    found = runner.run(batch, ["axes_swapped", "active"])
    assert found["axes_swapped"].shape == (3, 2, 1, 4, 4)
    np.testing.assert_array_equal(found["axes_swapped"][:, :, 0], found["active"])


def test_a_network_that_merges_images_is_run_one_by_one() -> None:
    text = tiny_models.ODD_NET.replace("{-1, 4}", "{1, -1}").replace("float[N, 32] scores", "float[a, b] tall")
    runner, batch = Session(model(text)), images(3, 2, 4, 4)
    assert runner.run(batch)["tall"].shape == (3, 32)


def test_an_array_enters_the_only_input_whatever_its_rank() -> None:
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[N, 1, 9] x) => (float[N, 1, 9] y) { y = Relu (x) }'
    sound = np.linspace(-1, 1, 18, dtype=np.float32).reshape(2, 1, 9)
    np.testing.assert_array_equal(
        Session(Model(tiny_models.model(text), Path("a.onnx"))).run(sound)["y"], sound.clip(0)
    )


def test_two_inputs() -> None:
    runner = Session(model(TWO_INPUTS))
    feeds = {"image": images(40, 1, 2, 2), "more": images(40, 3)}
    expected = feeds["image"].mean((2, 3)) + feeds["more"]
    assert_close(runner.run(feeds)["y"], expected)
    with pytest.raises(InputError, match="nothing was given for more"):
        runner.run(feeds["image"])
    with pytest.raises(InputError, match="no input 'mode'; did you mean more"):
        runner.run({"mode": feeds["more"]})


def test_tensors_inside_if_are_not_offered() -> None:
    runner = Session(model(IF_NET))
    assert runner.tensors == ("total", "zero", "positive", "y")
    with pytest.raises(InputError, match="no tensor 'inner'"):
        runner.run(images(1, 1, 2, 2), ["inner"])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.zeros((1, 1, 8, 9), np.float32), r"\?x1x8x8, found 1x1x8x9"),
        (np.zeros((1, 8, 8), np.float32), "found 1x8x8"),
        (np.zeros((0, 1, 8, 8), np.float32), "at least one image"),
    ],
)
def test_a_wrong_input(value: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Session(model(tiny_models.CONV_NET)).run(value)


def test_what_fails_on_the_way_is_one_error_and_no_noise(capfd: pytest.CaptureFixture[str]) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]> g (float[1, N] x) => (float[1, M] y)
    <int64[2] shape = {1, 3}> { y = Reshape (x, shape) }"""
    with pytest.raises(InputError, match="onnxruntime stopped"):
        Session(Model(tiny_models.model(text), Path("net.onnx"))).run({"x": np.zeros((1, 4), np.float32)})
    assert capfd.readouterr() == ("", "")


def test_an_unknown_tensor_offers_near_ones() -> None:
    with pytest.raises(InputError, match="no tensor 'conv9'; did you mean conv1"):
        Session(model(tiny_models.CONV_NET)).run(images(1, 1, 8, 8), ["conv9"])


def test_pixels_for_a_network_of_whole_numbers() -> None:
    found = Session(model(PIXEL_NET)).run(np.array([[[[-3.0, 254.6]]], [[[2.5, 300.0]]]]))
    assert found["y"].ravel().tolist() == [0, 255, 2, 255]


def test_one_onnxruntime_session_a_set_of_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    original = session.open_session
    monkeypatch.setattr(session, "open_session", lambda *a, **k: opened.append(a) or original(*a, **k))
    runner, batch = Session(model(tiny_models.CONV_NET)), images(1, 1, 8, 8)
    for tensors in (["relu1"], ["relu1", "scores"], None, ["scores"], ["pool1", "relu1"], ["relu1", "pool1"]):
        runner.run(batch, tensors)
    assert len(opened) == 3


def test_a_model_keeps_its_sessions() -> None:
    network = model(tiny_models.CONV_NET)
    assert network.session() is network.session()
    assert network.session(memory="1GB") is not network.session()


def test_a_newer_opset_than_onnxruntime_knows() -> None:
    node = helper.make_node("Relu", ["x"], ["y"])
    x, y = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 1, 2, 2]) for name in "xy")
    newest = onnx.defs.onnx_opset_version()
    proto = helper.make_model(helper.make_graph([node], "g", [x], [y]), opset_imports=[helper.make_opsetid("", newest)])
    batch = images(1, 1, 2, 2)
    np.testing.assert_array_equal(Session(Model(proto, Path("new.onnx"))).run(batch)["y"], np.maximum(batch, 0))


def test_weights_in_a_file_of_their_own(tmp_path: Path) -> None:
    whole = tiny_models.model()
    onnx.save_model(whole, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    proto = onnx.load_model(tmp_path / "m.onnx", load_external_data=False)
    batch = images(2, 1, 8, 8)
    found = Session(Model(proto, tmp_path / "m.onnx")).run(batch, ["relu1", "scores", "fc_w"])
    expected = Session(Model(tiny_models.model(), tmp_path / "n.onnx")).run(batch, ["relu1", "scores", "fc_w"])
    for name, value in found.items():
        np.testing.assert_array_equal(value, expected[name])


# --- providers and memory ---


def test_providers_by_name() -> None:
    assert providers.choose_providers(None)[-1] == "CPUExecutionProvider"
    assert providers.choose_providers(["cpu"]) == ["CPUExecutionProvider"]
    assert providers.choose_providers(["CPUExecutionProvider"]) == ["CPUExecutionProvider"]
    with pytest.raises(InputError, match="no provider 'cpus'; did you mean cpu"):
        providers.choose_providers(["cpus"])


def test_a_provider_that_does_not_work_says_why(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = next((name for name in providers.available() if providers.why_not(name) is not None), None)
    if broken is None:
        pytest.skip("every provider of this onnxruntime works here")
    with pytest.raises(InputError, match=f"'{broken.lower()}' does not work here: "):
        Session(model(tiny_models.CONV_NET), providers=[broken.lower()])
    assert capfd.readouterr().err == ""  # onnxruntime's own words on missing libraries


def test_missing_libraries_make_no_noise(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    if "CUDA" not in providers.available() or providers.why_not("CUDA") is None:
        pytest.skip("needs an onnxruntime built for CUDA on a machine without it")
    monkeypatch.setattr(providers, "_cuda_devices", lambda: 1)
    providers.why_not.cache_clear()
    try:
        assert providers.why_not("CUDA")
    finally:
        providers.why_not.cache_clear()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("text", "size"), [("2GB", 2 << 30), ("500 MB", 500 << 20), ("1.5g", 3 << 29), (4096, 4096), ("64KiB", 65536)]
)
def test_memory_sizes(text: str | int, size: int) -> None:
    assert memory_bytes(text) == size


@pytest.mark.parametrize("text", ["", "much", "-2GB", "0", "2 apples"])
def test_no_memory_size(text: str) -> None:
    with pytest.raises(InputError, match="2GB or 500MB"):
        memory_bytes(text)


def test_what_does_not_fit_in_memory_is_refused() -> None:
    runner = Session(model(tiny_models.CONV_NET), memory="1MB")
    with pytest.raises(InputError, match="memory budget"):
        runner.run(images(1, 1, 8, 8))


# --- real networks ---


@pytest.mark.parametrize("name", MODEL_SPECS)
def test_every_tensor_of_every_real_network(name: str, shared) -> None:  # type: ignore[no-untyped-def]
    network = load_model(shared, name)
    photo = read_image(shared("data/skimage_images/astronaut.png"))
    batch = prepare(photo, network.spec, image_input(network)[1])
    runner = network.session()
    found = runner.run(batch, runner.tensors)
    assert set(found) == set(runner.tensors)
    for tensor, value in found.items():
        assert value.dtype.kind != "f" or np.isfinite(value).all(), tensor
    for output, value in runner.run(batch).items():
        scale = float(np.abs(value).max())
        np.testing.assert_allclose(found[output], value, atol=1e-4 * scale)
