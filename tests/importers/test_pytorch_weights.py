"""Files of weights and the networks named for them; pickled modules; inputs and outputs of every kind."""

from __future__ import annotations

import argparse
import json
import struct
import sys
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnxray.importers.errors import InputError
from onnxray.importers.pytorch import architecture, exporting
from onnxray.importers.pytorch.families import guess_family
from onnxray.importers.pytorch.loading import Source, find_tensors, load_module
from pytorch_networks import Pair, PNet, ResNet20, Tiny
from torch import nn

pytestmark = pytest.mark.filterwarnings("ignore")  # of deprecated calls: the child that torch runs in ignores them
TESTS = Path(__file__).resolve().parent.parent


@pytest.fixture
def weights() -> Iterator[dict[str, torch.Tensor]]:
    torch.manual_seed(3)
    yield Tiny().state_dict()


def read(path: Path, arch: str | None = "pytorch_networks:Tiny", kind: str = "saved", **options: Any) -> nn.Module:
    module, _ = load_module(Source(str(path), kind, arch, folder=str(TESTS), **options))
    return module


def saved(value: Any, path: Path, **options: Any) -> Path:
    torch.save(value, path, **options)
    return path


def same(module: nn.Module, weights: dict[str, torch.Tensor]) -> bool:
    assert not module.training
    return all(torch.equal(value, weights[name]) for name, value in module.state_dict().items())


def refused(path: Path, *arguments: Any, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        read(path, *arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def with_prefix(weights: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return OrderedDict((prefix + name, value) for name, value in weights.items())


def test_where_weights_lie(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    for nest in ("state_dict", "model_state_dict", "model", "net", "ema"):
        value = {"epoch": 3, nest: weights, "optimizer": {"state": {0: {"step": torch.ones(1)}}}}
        assert same(read(saved(value, path)), weights)
    assert same(read(saved({"state": {"model": weights}}, path), key="state.model"), weights)
    assert same(read(saved({"a": weights}, path), key="a"), weights)
    assert same(read(saved({"model": {"state_dict": weights}}, path)), weights)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_prefixes_of_wrappers_go(prefix: str, weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    assert same(read(saved(with_prefix(weights, prefix), tmp_path / "model.pth")), weights)


class Versioned(Tiny):
    """Like some of torchvision, it asks which version of it the weights were saved by."""

    _version = 2

    def _load_from_state_dict(self, weights: Any, prefix: str, metadata: dict[str, Any], *others: Any) -> None:
        assert metadata["version"] == 2
        super()._load_from_state_dict(weights, prefix, metadata, *others)


def test_weights_are_of_the_version_that_they_fit(weights: dict[str, torch.Tensor]) -> None:
    module = architecture.with_weights(Versioned().eval(), with_prefix(weights, "module."), None)
    assert same(module, weights)


def test_any_other_prefix_is_named(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = saved({**with_prefix(weights, "backbone."), "loss.weight": torch.ones(3)}, tmp_path / "model.pth")
    assert "perhaps --strip backbone." in refused(path)
    assert same(read(path, strip="backbone."), weights)
    assert "no name starts so" in refused(path, strip="back_bone.")


def test_weights_that_do_not_fit_are_all_named(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    del weights["bn.weight"], weights["bn.num_batches_tracked"]
    path = saved({**weights, "head.bias": torch.ones(2)}, tmp_path / "model.pth")
    message = refused(path, "pytorch_networks:Tiny(classes=7)")
    assert "1 missing (bn.weight)" in message and "1 unknown (head.bias)" in message
    assert "2 of another shape (fc.weight 5x4 for 7x4, fc.bias 5 for 7)" in message


def test_what_architectures_can_be(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = saved(weights, tmp_path / "model.pth")
    for arch in (
        "pytorch_networks:Tiny()",
        "pytorch_networks.py:Tiny(5)",
        "pytorch_networks:Tiny(classes=5, channels=4)",
    ):
        assert same(read(path, arch), weights)


def test_a_file_elsewhere_finds_what_lies_beside_it(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    (tmp_path / "sizes_beside.py").write_text("CLASSES = 5")
    (tmp_path / "net_beside.py").write_text(
        "from pytorch_networks import Tiny\nfrom sizes_beside import CLASSES\ndef net(): return Tiny(CLASSES)"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.path", [*sys.path])
        assert same(read(saved(weights, tmp_path / "model.pth"), f"{tmp_path}/net_beside.py:net"), weights)


@pytest.mark.parametrize(
    ("arch", "says"),
    [
        ("pytorch_networks", "expects package.module:factory"),
        ("no_such_module:Net", "cannot be imported (ModuleNotFoundError"),
        ("no_such_file.py:Net", "cannot be imported (FileNotFoundError"),
        ("pytorch_networks:Tinny", "there is no Tinny; did you mean Tiny"),
        ("pytorch_networks:Tiny(size)", "expected numbers, texts"),
        ("pytorch_networks:Tiny(__import__('os').getpid())", "expected numbers, texts"),
        ("pytorch_networks:Tiny(depth=3)", "the call failed (TypeError"),
        ("pytorch_networks:F.relu(1)", "the call failed"),
        ("collections:OrderedDict", "expected a torch.nn.Module, found OrderedDict"),
    ],
)
def test_architectures_that_are_none(arch: str, says: str, weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    assert says in refused(saved(weights, tmp_path / "model.pth"), arch)


def test_keys_that_are_not_there(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = saved({"generator": {"w": weights}, "epoch": 3}, tmp_path / "model.pth")
    assert "the file has no generater; did you mean generator?" in refused(path, key="generater")
    assert "found generator, epoch; --key says which part" in refused(path)
    assert "found int" in refused(path, key="epoch")


def test_files_before_version_1_6(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = saved(weights, tmp_path / "model.pth", _use_new_zipfile_serialization=False)
    assert same(read(path, kind="legacy"), weights)


def safetensors(tensors: dict[str, torch.Tensor], path: Path) -> Path:
    names = {torch.float32: "F32", torch.int64: "I64", torch.float16: "F16", torch.bfloat16: "BF16"}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, value in tensors.items():
        raw = value.contiguous().view(torch.uint8).numpy().tobytes() if value.ndim else value.numpy().tobytes()
        places = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": names[value.dtype], "shape": list(value.shape), "data_offsets": places}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def test_safetensors(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = safetensors(weights, tmp_path / "model.safetensors")
    assert same(read(path, kind="safetensors"), weights)
    halves = {name: value.half() if value.is_floating_point() else value for name, value in weights.items()}
    found = read(safetensors(halves, path), kind="safetensors").state_dict()
    assert torch.equal(found["conv.weight"], halves["conv.weight"].float())


def test_pickled_modules_need_to_be_allowed(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = Tiny().eval()
    path = saved(module, tmp_path / "model.pth")
    assert "--allow-code reads it all the same" in refused(path, None)
    assert same(read(path, None, allow_code=True), module.state_dict())
    path = saved({"model": module, "epoch": 3}, path)
    assert same(read(path, None, allow_code=True), module.state_dict())


def test_a_pickled_class_that_is_not_there(tmp_path: Path) -> None:
    path = saved(Tiny(), tmp_path / "model.pth")
    data = path.read_bytes()
    path.write_bytes(data.replace(b"pytorch_networks", b"pytorch_netwerks"))
    assert "say where it lies: --arch file.py:Class" in refused(path, None, allow_code=True)


def test_checkpoints_with_arguments_and_numbers_of_numpy(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    value = {"state_dict": weights, "args": argparse.Namespace(lr=0.1), "best": np.float64(0.9), "at": np.arange(3)}
    assert same(read(saved(value, tmp_path / "model.pth")), weights)


def test_what_weights_alone_are_like(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    message = refused(saved(with_prefix(ResNet20().state_dict(), "module."), tmp_path / "model.pth"), None)
    assert "tensors" in message and "a ResNet-20 for small images" in message and "--arch" in message
    assert "look like" not in refused(saved(weights, tmp_path / "model.pth"), None)


def names(*patterns: str) -> dict[str, tuple[int, ...]]:
    return dict.fromkeys(patterns, (64, 64, 3, 3))


RESNET18 = [f"layer{stage}.{block}.conv{conv}.weight" for stage in (1, 2, 3, 4) for block in (0, 1) for conv in (1, 2)]
VGG16, ALEXNET = ([*(f"features.{n}.weight" for n in range(count)), "classifier.6.weight"] for count in (13, 5))


@pytest.mark.parametrize(
    ("shapes", "says"),
    [
        (names(*RESNET18), "torchvision.models:resnet18"),
        (names("layer1.0.conv1.weight", "layer1.0.conv2.weight", "layer2.0.conv1.weight"), "a ResNet"),
        (names("fc.weight", "features.1.conv.0.0.weight"), "a MobileNet v2 of torchvision"),
        (names("encoder.layers.encoder_layer_0.ln_1.weight"), "a Vision Transformer of torchvision"),
        (names(*VGG16), "torchvision.models:vgg16"),
        (names(*ALEXNET), "torchvision.models:alexnet"),
        (names("a.weight", "b.weight"), ""),
    ],
)
def test_families(shapes: dict[str, tuple[int, ...]], says: str) -> None:
    assert guess_family(shapes) == says


def graph_of(module: nn.Module, **options: Any) -> onnx.ModelProto:
    return onnx.load_from_string(exporting.to_onnx(module.eval(), None, options.pop("shapes", {}), **options))


def test_the_inputs_size_is_asked_for() -> None:
    with pytest.raises(InputError, match=r"\(x\); say it: --shape 1x3x224x224"):
        graph_of(Tiny())
    with pytest.raises(InputError, match=r"\(image, mask\); say it: --shape image=1x3x224x224 for each"):
        graph_of(Pair(), size=[8, 8])
    with pytest.raises(InputError, match=r"cannot be run on x=1x4x8x8 \(.*--shape says another size"):
        graph_of(Tiny(), shapes={"": [1, 4, 8, 8]})


def test_several_inputs_and_a_dictionary_of_outputs() -> None:
    proto = graph_of(Pair(), shapes={"image": [1, 3, 8, 8], "mask": [1, 1, 8, 8]})
    assert [value.name for value in proto.graph.input] == ["image", "mask"]
    assert [value.name for value in proto.graph.output] == ["out", "aux"]


def test_outputs_of_a_tuple_are_numbered() -> None:
    assert [value.name for value in graph_of(PNet(), size=[20, 20]).graph.output] == ["output_0", "output_1"]


class Normalised(nn.Module):
    """Its results come in a dictionary, and are others while it is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.drop = nn.BatchNorm2d(3), nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"out": self.drop(self.norm(x))}


def test_writing_a_module_leaves_it_in_evaluation_mode() -> None:
    module = Normalised().eval()
    proto = graph_of(module, size=[4, 4])
    assert not any(part.training for part in module.modules())
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


class Odd(nn.Module):
    """Torch computes it, ONNX has no such operator."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.linalg.svdvals(x)


class Restless(nn.Module):
    """Never the same twice within the bar: what tracing makes of it cannot agree."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand_like(x)


def test_what_neither_exporter_can_write() -> None:
    with pytest.raises(InputError, match=r"cannot write this module as ONNX \(tracing: .*svd.*torch\.export: "):
        graph_of(Odd(), size=[4, 4])
    with pytest.raises(InputError, match=r"its graph is .* of the range away from torch"):
        graph_of(Restless(), size=[4, 4])


class Branching(nn.Module):
    """Tracing keeps the branch that the example took, for any batch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if x.shape[0] == 1 else x * 3


def test_a_batch_that_the_module_depends_on_stays_fixed() -> None:
    proto = graph_of(Branching(), size=[4, 4])
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1


def test_arguments_are_values_only() -> None:
    assert architecture._arguments("x", "(1, 'a', [2], flag=True)") == ([1, "a", [2]], {"flag": True})


def test_tensors_within_something_else() -> None:
    with pytest.raises(InputError, match="found list"):
        find_tensors([torch.ones(1)], None)
