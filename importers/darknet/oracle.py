"""OpenCV's own Darknet reader as the independent witness of the parity certificate."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from itertools import takewhile
from pathlib import Path

import onnx

from ..certificate import Reference
from ..errors import InputError
from ..opencv_version import opencv_version
from ..oracle_process import OPENCV, run_oracle
from ..sample_inputs import sample_inputs
from .layers.weighted import EPSILON
from .reader import Section
from .source import Source
from .translate import translate

# What OpenCV calls the last step of a layer that has no activation behind it.
_NAMES = {
    "avgpool": "avgpool",
    "connected": "fullyConnected",
    "convolutional": "conv",
    "maxpool": "pool",
    "reorg": "reorg",
    "route": "concat",
    "sam": "sam",
    "scale_channels": "scale_channels",
    "shortcut": "shortcut",
    "softmax": "softmax",
    "upsample": "upsample",
}
_UNNAMED = ("cost", "dropout", "region", "yolo")  # layers without a tensor that is ours, too
_ACTIVATIONS = ("leaky", "linear", "logistic", "mish", "relu", "swish", "tanh")
_EPSILON_OF_OPENCV = 1e-6  # where Darknet has EPSILON
_DEFAULTS = {"connected": "logistic", "convolutional": "logistic"}


def reference(source: Source, proto: onnx.ModelProto, names: Sequence[str]) -> Reference:
    """Tensors of the same network, by name, as OpenCV computes them.

    Raises MissingExtra without OpenCV 4 and InputError when it cannot read the network.
    """
    opencv = opencv_version("comparing with an independent Darknet reader")
    feeds = sample_inputs(proto)
    layers = [layer for layer in source.layers if not _is_of_map(layer, proto)]
    places = {layer.name: name for layer in layers if (name := opencv_name(layer))}
    wanted = [name for name in names if name in places]
    with tempfile.TemporaryDirectory() as folder:
        files, reads = _files(source, proto, Path(folder))
        try:
            found = run_oracle(OPENCV, ("darknet", *files), feeds, [places[name] for name in wanted], Path(folder))
        except InputError as error:
            raise InputError(f"OpenCV {opencv} cannot run this network ({error})") from None
    keys = {name: f"{index}/0" for index, name in enumerate(wanted)}
    return Reference(f"OpenCV {opencv}", reads, feeds, {name: found[key] for name, key in keys.items() if key in found})


def _is_of_map(layer: Section, proto: onnx.ModelProto) -> bool:
    """Whether it is a softmax of a whole map, of which OpenCV takes one at each place."""
    rows = {node.input[0] for node in proto.graph.node if layer.type == "softmax" and node.name == f"{layer.name}/row"}
    shapes = [value.type.tensor_type.shape.dim for value in proto.graph.value_info if value.name in rows]
    return any(dim.dim_value > 1 for dims in shapes for dim in dims[2:])


def _files(source: Source, proto: onnx.ModelProto, folder: Path) -> tuple[tuple[Path, Path], str]:
    """(cfg, weights) for OpenCV, and what they are: the original files where these say the same to it."""
    cfg, weights, changes = source.cfg, source.weights.path, []
    nodes = {node.name for node in proto.graph.node}
    readable = list(takewhile(lambda layer: _is_known(layer, nodes), source.layers))
    if not readable:
        raise InputError(f"OpenCV does not know this network's first layer, [{source.layers[0].type}]")
    if len(readable) < len(source.layers) or not source.is_whole:
        cfg = folder / "ours.cfg"
        cfg.write_text(write_cfg([source.network, *readable]))
        changes.append(f"the first {len(readable)} layers")
    if any(layer.integer("batch_normalize") for layer in readable):
        weights = folder / "ours.weights"
        translate(source)  # which tells what each weight is
        weights.write_bytes(source.weights.raised("variance", EPSILON - _EPSILON_OF_OPENCV))
        changes.append(f"variances raised by {EPSILON - _EPSILON_OF_OPENCV:g}, as OpenCV adds so much less to them")
    return (cfg, weights), f"the original files{': ' * bool(changes)}{', '.join(changes)}"


def _is_known(layer: Section, nodes: Collection[str]) -> bool:
    """Whether OpenCV reads this layer and what follows it; `nodes`: the names of ours."""
    if layer.type == "crop":
        return bool(layer.integer("noadjust"))
    if f"{layer.name}/places" in nodes and layer.type == "shortcut":  # of a larger map
        return False
    return layer.type in (*_NAMES, *_UNNAMED) and _activation(layer) in _ACTIVATIONS


def _activation(layer: Section) -> str:
    return layer.text("activation", _DEFAULTS.get(layer.type, "linear"))


def opencv_name(layer: Section) -> str:
    """What OpenCV calls what a layer makes; "" where it has no such thing."""
    is_plain = layer.integer("groups", 1) == 1 == layer.number("temperature", 1)
    if layer.type not in _NAMES or (layer.type == "softmax" and not is_plain):
        return ""  # it takes every softmax for one of the whole row at temperature 1
    activation = _activation(layer)
    if activation != "linear":
        return f"{activation}_{layer.index + 1}"
    return f"{'bn' if layer.integer('batch_normalize') else _NAMES[layer.type]}_{layer.index}"


def write_cfg(sections: Sequence[Section]) -> str:
    """Sections as a cfg."""
    return "\n".join(
        line for section in sections for line in (f"[{section.type}]", *map("=".join, section.options.items()), "")
    )
