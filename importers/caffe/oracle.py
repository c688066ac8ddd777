"""OpenCV's own Caffe reader as the independent witness of the parity certificate.

OpenCV reads the files by itself where it can. Files it refuses (for training, or of the oldest form) it gets as a
prototxt for deployment that is written here from the network as read; the certificate says which of the two it was.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf import text_format

from ..certificate import Reference
from ..errors import InputError
from ..opencv_version import opencv_version
from ..oracle_process import OPENCV, run_oracle
from .inference_net import InferenceNet
from .reader import Layer
from .sample_inputs import sample_inputs
from .source import Source, open_source
from .translate import output_names
from .wire_schema import message_class


def reference(path: Path, companion: Path | None, proto: onnx.ModelProto, names: Sequence[str]) -> Reference:
    """Blobs of the same network, by tensor name, as OpenCV computes them.

    Raises MissingExtra without OpenCV 4 and InputError when it can read neither the files nor our version of them.
    """
    opencv = opencv_version("comparing with an independent Caffe reader")
    source = open_source(path, companion)
    feeds = sample_inputs(proto, source.net)
    reasons = []
    with tempfile.TemporaryDirectory() as folder:
        attempts = _Attempts(source, feeds, Path(folder))
        for reads, net, prototxt, caffemodel in attempts:
            wanted = names if net is source.net else [*names, *net.outputs]
            try:
                values = _run(net, prototxt, caffemodel, feeds, wanted, Path(folder))
            except InputError as error:
                reasons.append(str(error))
                attempts.refused(str(error))
                continue
            return Reference(f"OpenCV {opencv}", reads, feeds, values)
    reason = reasons[0] if reasons else "it computes its first layers otherwise than Caffe"
    raise InputError(f"OpenCV {opencv} cannot run this network ({reason})")


class _Attempts:
    """(what it is, the network, prototxt, caffemodel) from the files themselves to what is written here from them.

    Last come ever shorter networks: without the layers that OpenCV lacks or gets wrong, and what follows them.
    """

    def __init__(self, source: Source, feeds: Mapping[str, np.ndarray], folder: Path) -> None:
        self._source = source
        self._feeds = feeds
        self._text, self._binary = folder / "ours.prototxt", folder / "ours.caffemodel"
        self._lacking = {_what(layer) for layer in source.net.layers if is_wrong_in_opencv(layer)}

    def refused(self, reason: str) -> None:
        """Learn from OpenCV's answer which layer type it lacks."""
        self._lacking.update(re.findall(r'of type "([^"]+)"', reason))

    def __iter__(self) -> Iterator[tuple[str, InferenceNet, Path, Path]]:
        if not self._lacking:
            yield from self._whole()
        tried: set[str] = set()
        while self._lacking > tried:
            tried = set(self._lacking)
            net = without_layers(self._source.net, tried)
            if not net.layers:
                return
            self._text.write_bytes(write_prototxt(net, self._feeds))
            reads = f"our prototxt up to its {', '.join(sorted(tried))} layers, the original caffemodel"
            yield reads, net, self._text, self._source.caffemodel

    def _whole(self) -> Iterator[tuple[str, InferenceNet, Path, Path]]:
        source, net = self._source, self._source.net
        if source.prototxt is not None:
            yield "the original files", net, source.prototxt, source.caffemodel
        self._text.write_bytes(write_prototxt(net, self._feeds))
        yield "our prototxt, the original caffemodel", net, self._text, source.caffemodel
        self._binary.write_bytes(write_caffemodel(net))
        yield "our rewriting of both files", net, self._text, self._binary


def _run(
    net: InferenceNet,
    prototxt: Path,
    caffemodel: Path,
    feeds: Mapping[str, np.ndarray],
    names: Sequence[str],
    folder: Path,
) -> dict[str, np.ndarray]:
    """Tensor name -> blob, for those that OpenCV keeps. Raises InputError when it refuses or crashes."""
    places = blob_places(net)
    layers = list(dict.fromkeys(places[name][0] for name in names if name in places))
    found = run_oracle(OPENCV, ("caffe", prototxt, caffemodel), feeds, layers, folder)
    keys = {name: f"{layers.index(places[name][0])}/{places[name][1]}" for name in names if name in places}
    return {name: found[key] for name, key in keys.items() if key in found}


def blob_places(net: InferenceNet) -> dict[str, tuple[str, int]]:
    """Tensor name -> (layer that writes it, which of its tops)."""
    return {
        tensor: (layer.name, index)
        for layer, tensors in zip(net.layers, output_names(net), strict=True)
        for index, tensor in enumerate(tensors)
    }


def is_wrong_in_opencv(layer: Layer) -> bool:
    """Layers that OpenCV 4.14 computes otherwise than Caffe does, each checked against its definition.

    Axpy with its last two inputs exchanged; Log, LRN and InnerProduct without some of their parameters.
    """
    log, lrn = layer.param("log_param"), layer.param("lrn_param")
    return (
        layer.type == "Axpy"
        or (layer.type == "Log" and (log.base, log.scale, log.shift) != (-1, 1, 0))
        or (layer.type == "LRN" and lrn.k != 1)
        or (layer.type == "InnerProduct" and layer.param("inner_product_param").transpose)
    )


def _what(layer: Layer) -> str:
    """How a layer that OpenCV gets wrong is told apart from those of its type that it gets right."""
    return f"{layer.type} {layer.name}" if is_wrong_in_opencv(layer) else layer.type


def without_layers(net: InferenceNet, lacking: Collection[str]) -> InferenceNet:
    """The network up to the layers of some types, or some layers (as of `_what`)."""
    gone: set[str] = set()
    kept = []
    for layer in net.layers:
        if layer.type in lacking or _what(layer) in lacking or gone & set(layer.bottoms):
            gone |= set(layer.tops)
        else:
            kept.append(layer)
    return replace(net, layers=kept)


def write_prototxt(net: InferenceNet, feeds: Mapping[str, np.ndarray]) -> bytes:
    """The network as a prototxt for deployment, in today's form, its inputs of the shapes in `feeds`."""
    message = message_class("Net")(name=net.name)
    for name, value in feeds.items():
        message.input.append(name)
        message.input_shape.add().dim.extend(value.shape)
    message.layer.extend(_written(layer) for layer in net.layers)
    return text_format.MessageToString(message).encode()


def write_caffemodel(net: InferenceNet) -> bytes:
    """The network with its weights, in today's form."""
    message = message_class("Net")(name=net.name)
    for layer in net.layers:
        written = message.layer.add()
        written.CopyFrom(_written(layer))
        for array in layer.blobs:
            written.blobs.add(data=array.astype("<f4").tobytes()).shape.dim.extend(array.shape)
    return bytes(message.SerializeToString())


def _written(layer: Layer) -> Any:
    """A layer without weights and phase rules, as a message of today's form."""
    message = message_class("Layer")(name=layer.name, type=layer.type, bottom=layer.bottoms, top=layer.tops)
    fields = message.DESCRIPTOR.fields_by_name
    for field, value in layer.message.ListFields():
        if field.name.endswith("_param") and field.name in fields and field.name != "transform_param":
            getattr(message, field.name).CopyFrom(value)
    return message
