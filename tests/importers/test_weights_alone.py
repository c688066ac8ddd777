"""A state dict without its network: its tensors, their statistics, their pictures, and what they look like."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxray
import pytest
import torch
from onnxray.engine.model import Model
from onnxray.importers import sandbox
from onnxray.importers.errors import InputError
from onnxray.importers.pytorch.families import guess_family
from PIL import Image
from pytorch_networks import ResNet20
from torch import nn
from without_sandbox import in_this_process

Cli = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.filterwarnings("ignore")  # of deprecated calls


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "run", in_this_process)


@pytest.fixture
def resnet20(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    torch.save({"state_dict": nn.DataParallel(ResNet20()).state_dict(), "epoch": 3}, tmp_path / "net.th")
    return tmp_path / "net.th"


def opened(value: Any, path: Path, **options: Any) -> Model:
    torch.save(value, path)
    return onnxray.load(path, weights_alone=True, **options)


def refused(value: Any, path: Path, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        opened(value, path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


TYPES = {
    "float64": torch.randn(2, 3, dtype=torch.float64),
    "float32": torch.randn(4, 3, 2, 2),
    "float16": torch.randn(5).half(),
    "bfloat16": torch.randn(2, 2).bfloat16(),
    "float8_e4m3fn": torch.randn(6).to(torch.float8_e4m3fn),
    "float8_e5m2": torch.randn(6).to(torch.float8_e5m2),
    "int64": torch.tensor(7),
    "int32": torch.arange(3, dtype=torch.int32),
    "int16": torch.arange(4, dtype=torch.int16),
    "int8": torch.arange(4, dtype=torch.int8),
    "uint8": torch.zeros((0, 3), dtype=torch.uint8),
    "bool": torch.tensor([True, False]),
}


def test_every_type_comes_with_its_numbers(here: None, tmp_path: Path) -> None:
    model = opened(TYPES, tmp_path / "types.pth")
    found = model.tensors()
    assert [(row.name, row.dtype) for row in found.rows] == [(name, name.replace("8_", "8")) for name in TYPES]
    assert [row.shape for row in found.rows] == [tuple(value.shape) for value in TYPES.values()]
    assert found.bytes == sum(value.numel() * value.element_size() for value in TYPES.values())
    assert found.parameters == 6 + 48 + 5 + 4 + 6 + 6 and found.elements == found.parameters + 14
    rows = {row.name: row for row in model.weights().rows}
    assert set(rows) == {name for name in TYPES if "float" in name}
    for name, row in rows.items():
        assert row.min == pytest.approx(TYPES[name].float().min().item(), rel=1e-6)
        assert row.std == pytest.approx(TYPES[name].double().std(correction=0).item(), rel=1e-5)


def test_views_quantised_and_odd_names(here: None, tmp_path: Path) -> None:
    base = torch.arange(24.0).reshape(4, 6)
    steps = torch.quantize_per_tensor(base, 0.5, 3, torch.quint8)
    model = opened({"turned": base.T, "part": base[1::2, 2:], "steps": steps, "\x1b[31m": base}, tmp_path / "v.pth")
    assert [row.name for row in model.tensors().rows] == ["turned", "part", "steps", "_[31m"]
    assert np.array_equal(model.graph.weight("turned"), base.T.numpy())
    assert np.array_equal(model.graph.weight("part"), base[1::2, 2:].numpy())
    assert np.array_equal(model.graph.weight("steps"), steps.dequantize().numpy())


def test_what_cannot_be_shown_is_named(here: None, tmp_path: Path) -> None:
    path = tmp_path / "odd.pth"
    odd = {"a": torch.ones(2), "waves": torch.ones(2, dtype=torch.complex64), "few": torch.eye(3).to_sparse()}
    assert "found others: waves, few" in refused(odd, path)
    assert "take 4096 MiB, of which 2 GiB can be shown" in refused({"a": torch.zeros(1).expand(1 << 30)}, path)
    assert "have no input; drop size, or name the network" in refused({"a": torch.ones(2)}, path, size=224)
    assert "found others: waves" not in refused(odd, path, key="few")


def test_key_and_strip(here: None, tmp_path: Path) -> None:
    value = {"net": {"g.a": torch.ones(2), "g.b": torch.ones(3), "d.a": torch.ones(4)}, "other": {"z": torch.ones(1)}}
    assert [row.name for row in opened(value, tmp_path / "n.pth").tensors().rows] == ["g.a", "g.b", "d.a"]
    assert [row.name for row in opened(value, tmp_path / "n.pth", strip="g.").tensors().rows] == ["a", "b"]
    assert [row.name for row in opened(value, tmp_path / "n.pth", key="other").tensors().rows] == ["z"]


def test_it_is_no_network(here: None, resnet20: Path) -> None:
    model = onnxray.load(resnet20, weights_alone=True)
    for use in (model.summary, model.session, model.torch):
        with pytest.raises(InputError, match="weights without a network cannot be run"):
            use()
    with pytest.raises(InputError, match=r"look like a ResNet-20 for small images; say .* --arch package\.module"):
        onnxray.load(resnet20)


def test_summary(here: None, cli: Cli, resnet20: Path) -> None:
    parameters = sum(value.numel() for value in ResNet20().parameters())
    code, out, err = cli("summary", resnet20)
    assert (code, err) == (0, "")
    assert f"({parameters:,})" in out and "looks like  a ResNet-20 for small images" in out
    assert "module.layer3.2.conv2.weight" in out and "module.bn1.weight" not in out
    assert "module.bn1.weight" in cli("summary", resnet20, "--all")[1]
    found = json.loads(cli("summary", resnet20, "--json")[1])
    assert (found["parameters"], found["family"]) == (parameters, "a ResNet-20 for small images")
    assert [row["shape"] for row in found["rows"]][-1] == [10, 64]
    lines = cli("summary", resnet20, "--all", "--csv")[1].splitlines()
    assert lines[1] == "module.conv1.weight,16x3x3x3,float32,432,1728,True"
    assert len(lines) == 1 + len(ResNet20().state_dict())
    assert "| module.conv1.weight | 16×3×3×3 | float32 | 432 | 1.69 KiB |" in cli("summary", resnet20, "--md")[1]


def test_weights_and_their_pictures(here: None, cli: Cli, resnet20: Path, tmp_path: Path) -> None:
    code, out, err = cli("weights", resnet20, "-o", tmp_path / "out", "--export", tmp_path / "arrays")
    assert (code, err) == (0, "")
    assert "first layer  module.conv1.weight: " in out
    sheets = sorted(path.name for path in (tmp_path / "out").glob("*.png"))
    assert len(sheets) == 1 + 20 and sheets[0] == "001_module.conv1.weight.png"
    with Image.open(tmp_path / "out" / sheets[0]) as sheet:
        colours = np.asarray(sheet.convert("RGB"), np.int16)
    assert np.ptp(colours, axis=2).max() > 50  # three channels are shown as colours
    stored = torch.load(resnet20, weights_only=True)["state_dict"]["module.linear.weight"]
    index = json.loads((tmp_path / "arrays/index.json").read_text())["files"]
    name = next(name for name, entry in index.items() if entry["tensor"] == "module.linear.weight")
    assert np.array_equal(np.load(tmp_path / "arrays" / name), stored.numpy())


def test_other_verbs_ask_for_the_network(here: None, cli: Cli, resnet20: Path, tmp_path: Path) -> None:
    for verb in ("graph", "convert", "report"):
        code, out, err = cli(verb, resnet20, "-o", tmp_path / "x.onnx")
        assert (code, out) == (2, "")
        assert "which look like a ResNet-20 for small images; say what they are the weights of: --arch" in err
        assert not (tmp_path / "x.onnx").exists()


def test_in_the_sandbox(cli: Cli, resnet20: Path) -> None:
    code, out, err = cli("summary", resnet20)
    assert (code, err) == (0, "") and "(269,722)" in out


def _resnet(widths: tuple[int, ...], blocks: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Shapes of a ResNet of basic blocks, under names that say nothing."""
    shapes: list[tuple[int, ...]] = [(64, 3, 7, 7)]
    inputs = 64
    for width, count in zip(widths, blocks, strict=True):
        for block in range(count):
            shapes += [(width, inputs, 3, 3), (width, width, 3, 3)]
            if block == 0 and width != inputs:
                shapes.append((width, inputs, 1, 1))
            inputs = width
    return OrderedDict((f"w{index}", shape) for index, shape in enumerate([*shapes, (7, 512), (7,)]))


@pytest.mark.parametrize(
    ("shapes", "says"),
    [
        (_resnet((64, 128, 256, 512), (2, 2, 2, 2)), "a network with the shapes of torchvision.models:resnet18"),
        (_resnet((64, 128, 256, 512), (3, 4, 6, 3)), "a network with the shapes of torchvision.models:resnet34"),
        (_resnet((64, 128, 256, 512), (3, 4, 6, 4)), ""),
        ({}, ""),
        ({"bias": (3,)}, ""),
    ],
)
def test_shapes_tell_where_names_do_not(shapes: dict[str, tuple[int, ...]], says: str) -> None:
    assert guess_family(shapes) == says


def test_names_and_shapes_together() -> None:
    kernels = {f"k{index}": (1, 85_676_544 // 50 // 8, 8) for index in range(50)}
    left = 85_676_544 - sum(8 * shape[1] for shape in kernels.values())
    vit = {**kernels, "blocks.0.attn.qkv.weight": (left, 1, 1), "head.weight": (5, 768)}
    assert guess_family(vit) == "a Vision Transformer of timm, with the shapes of torchvision.models:vit_b_16"
    own = {("encoder.layers.encoder_layer_0.w" if "qkv" in name else name): shape for name, shape in vit.items()}
    assert guess_family(own) == "torchvision.models:vit_b_16"
