"""MXNet: the real models against MXNet itself, their PyTorch twins and what they are known to see."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import mxnet_python
import numpy as np
import onnxray
import pytest
import torch
from onnxray.importers.certificate import certify, run_onnx
from PIL import Image
from pytorch_networks import ONet, PNet, RNet

Shared = Callable[[str], Path]
FOLDER = "models/mxnet/mtcnn"
FACE, WALL = (170, 65, 290, 185), (0, 0, 110, 110)  # of the astronaut: left, top, right, bottom

# Stage -> (side, its outputs, its twin among PyTorch's files and the order of the same outputs there)
STAGES = {
    1: (12, ("conv4_2", "prob1"), "pnet", PNet),
    2: (24, ("conv5_2", "prob1"), "rnet", RNet),
    3: (48, ("conv6_2", "conv6_3", "prob1"), "onet", ONet),
}


def crops(shared: Shared, side: int) -> np.ndarray:  # [2, 3, side, side], red first
    """A face and a wall, as the networks expect pixels."""
    with Image.open(shared("data/skimage_images/astronaut.png")) as file:
        parts = [np.asarray(file.convert("RGB").crop(box).resize((side, side)), np.float32) for box in (FACE, WALL)]
    return ((np.stack(parts) - 127.5) / 128).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("stage", STAGES)
def test_stages_are_those_of_their_pytorch_twins(stage: int, shared: Shared) -> None:
    """The same weights, the first layer's channels in the other order: these files want blue first."""
    side, outputs, name, network = STAGES[stage]
    twin = network()
    twin.load_state_dict(torch.load(shared(f"models/pytorch_state_dict/facenet_mtcnn/{name}.pt"), weights_only=True))
    images = crops(shared, side)
    with torch.no_grad():
        expected = [value.numpy() for value in twin.eval()(torch.from_numpy(images))]
    proto = onnxray.load(shared(f"{FOLDER}/det{stage}-symbol.json")).proto
    found = run_onnx(proto, {"data": np.ascontiguousarray(images[:, ::-1])}, outputs)
    for output, theirs in zip(outputs, expected, strict=True):
        assert np.abs(found[output].reshape(theirs.shape) - theirs).max() <= 1e-5
    assert found["prob1"].reshape(2, 2).argmax(1).tolist() == [1, 0]  # a face, then none


def test_the_last_stage_sees_a_face(shared: Shared) -> None:
    model = onnxray.load(shared(f"{FOLDER}/det3-symbol.json"), channel_order="BGR", mean=127.5, scale=1 / 128)
    assert model.spec.size == (48, 48) and model.spec.origin["size"].startswith("neither file says it")
    images = np.ascontiguousarray(crops(shared, 48)[:, ::-1])
    face, wall = run_onnx(model.proto, {"data": images}, ["prob1"])["prob1"][:, 1]
    assert face > 0.999 and wall < 0.1


def test_either_file_is_enough(shared: Shared, tmp_path: Path) -> None:
    symbol, params = (shared(f"{FOLDER}/det2-{end}") for end in ("symbol.json", "0001.params"))
    whole = onnxray.load(symbol).proto
    assert onnxray.load(params).proto.graph == whole.graph
    shutil.copy(symbol, tmp_path / "network.txt")
    shutil.copy(params, tmp_path / "weights.bin")
    for one, other in (("network.txt", "weights.bin"), ("weights.bin", "network.txt")):
        assert onnxray.load(tmp_path / one, companion=tmp_path / other).proto.graph == whole.graph
    assert set(onnxray.load(params).source["sha256"]) == {symbol.name, params.name}


def test_sides_stay_open_where_the_network_takes_any(shared: Shared) -> None:
    path = shared(f"{FOLDER}/det1-symbol.json")
    dims = onnxray.load(path).proto.graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_value or dim.dim_param for dim in dims] == ["batch", 3, "height", "width"]
    for options in ({"size": (40, 56)}, {"shapes": {"data": (1, 3, 40, 56)}}, {"shapes": {"": (1, 3, 40, 56)}}):
        model = onnxray.load(path, **options)
        assert model.spec.size == (40, 56)
        [value] = [value for value in model.proto.graph.output if value.name == "prob1"]
        assert [dim.dim_value for dim in value.type.tensor_type.shape.dim[1:]] == [2, 15, 23]


@pytest.mark.parametrize("stage", STAGES)
def test_every_tensor_equals_mxnets(stage: int, shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    mxnet_python.use(monkeypatch)
    path = shared(f"{FOLDER}/det{stage}-symbol.json")
    certificate = certify(path, None, onnxray.load(path).proto, per_layer=True)
    assert certificate.verified, list(certificate.verdict())
    assert certificate.reference == "MXNet 1.9.1" and len(certificate.inner) >= 8


@pytest.mark.parametrize("verb", [("summary",), ("graph", "-o", "net.html"), ("convert", "-o", "net.onnx")])
def test_verbs_take_the_files(
    verb: tuple[str, ...], shared: Shared, cli: Callable[..., tuple[int, str, str]], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    code, _, error = cli(verb[0], shared(f"{FOLDER}/det3-symbol.json"), *verb[1:])
    assert code == 0, error


def test_explanations_take_the_files(shared: Shared) -> None:
    model = onnxray.load(shared(f"{FOLDER}/det3-symbol.json"), channel_order="BGR", mean=127.5, scale=1 / 128)
    maps = onnxray.grad_cam(model, [shared("data/skimage_images/astronaut.png")]).maps
    assert np.isfinite(maps).all()
