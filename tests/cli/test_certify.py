"""`onnxray certify`: the table, the verdict and the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny_models
import torch
from onnx import numpy_helper
from onnxray.engine.gradient import torch_model
from PIL import Image

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return tiny_models.save(tmp_path / "tiny.onnx")


def test_every_node_and_the_verdict(cli: Cli, net: Path) -> None:
    code, out, err = cli("certify", net)
    assert (code, err) == (0, "")
    for tensor in ("conv1", "relu1", "pool1", "flat", "logits", "scores"):
        assert tensor in out
    assert "random" in out
    assert "Input: seeded noise (image 1×1×8×8); 6 tensors compared" in out
    assert "passed: torch equals onnxruntime within" in out


def test_json(cli: Cli, net: Path) -> None:
    code, out, _ = cli("certify", net, "--json", "--no-gradients")
    found = json.loads(out)
    assert code == 0
    assert found["passed"] is True
    assert [row["name"] for row in found["nodes"]] == ["conv1", "relu1", "pool1", "flat", "logits", "scores"]
    assert found["gradients"]["note"] == "not asked for"


def test_images(cli: Cli, net: Path, tmp_path: Path) -> None:
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    code, out, err = cli("certify", net, "--images", tmp_path, "--outputs", "--no-gradients")
    assert code == 0
    assert "Input: 2 images; 1 tensor compared" in out
    assert "skipped 1 of 3 images" in err


def test_the_worst_only(cli: Cli, net: Path) -> None:
    code, out, _ = cli("certify", net, "--worst", "1", "--no-gradients")
    assert code == 0
    assert sum(line.rstrip().endswith(" ok") for line in out.splitlines()) == 1


def test_a_copy_that_differs(cli: Cli, net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoilt(tensor: onnx.TensorProto, folder: Path) -> np.ndarray:
        return numpy_helper.to_array(tensor) * (1.5 if tensor.name == "fc_w" else 1)

    monkeypatch.setattr(torch_model, "read_tensor", spoilt)
    code, out, _ = cli("certify", net)
    assert code == 1
    assert "NOT PASSED: torch DIFFERS from onnxruntime, first at node" in out
    assert "tensor logits" in out


def test_bad_input(cli: Cli, net: Path, tmp_path: Path) -> None:
    code, _, err = cli("certify", net, "--images", tmp_path / "none.png")
    assert code == 2
    assert err.count("\n") == 1
    proto = onnx.load(net)
    weight = np.full((3, 32), np.nan, np.float32)
    next(t for t in proto.graph.initializer if t.name == "fc_w").CopyFrom(numpy_helper.from_array(weight, "fc_w"))
    onnx.save(proto, tmp_path / "nan.onnx")
    code, _, err = cli("certify", tmp_path / "nan.onnx")
    assert code == 2
    assert "fc_w (96 NaN of 96)" in err
    assert cli("certify", net, "--memory", "much")[0] == 2


def test_it_leaves_torch_as_it_was(cli: Cli, net: Path) -> None:
    torch.set_grad_enabled(True)
    cli("certify", net, "--outputs")
    assert torch.is_grad_enabled()


def test_a_network_without_inputs(tmp_path: Path, cli: Cli) -> None:
    proto = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g () => (float[2] z) <float[2] w = {1.0, 2.0}> { z = Relu (w) }'
    )
    onnx.save(proto, tmp_path / "constant.onnx")
    code, out, _ = cli("certify", tmp_path / "constant.onnx")
    assert code == 0 and "no input takes real numbers" in out
