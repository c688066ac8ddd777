"""The network as it runs at test time: phases resolved, data, label and loss layers gone, its true inputs found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import InputError
from .reader import Layer, Net

DATA_TYPES = frozenset(
    {
        "Input",
        "Data",
        "ImageData",
        "HDF5Data",
        "MemoryData",
        "DummyData",
        "WindowData",
        "AnnotatedData",
        "VideoData",
        "DenseImageData",
    }
)
# Losses that have a layer of their own worth keeping at test time.
_LOSS_BECOMES = {"SoftmaxWithLoss": "Softmax", "SigmoidCrossEntropyLoss": "Sigmoid"}
_DROPPED = frozenset({"Accuracy", "HDF5Output", "DetectionEvaluate", "Silence"})
_ONE_LABEL = frozenset({"Data", "ImageData", "MemoryData", "WindowData", "AnnotatedData", "DenseImageData"})
_TEST = 1


@dataclass
class InferenceNet:
    """What is left to translate."""

    name: str
    layers: list[Layer]
    inputs: dict[str, tuple[int, ...]]  # blob -> declared shape; () where the file does not say
    data_layers: list[Layer]  # where the inputs came from, those of the test phase first
    silenced: set[str] = field(default_factory=set)  # blobs that nobody reads and that are not wanted either

    @property
    def outputs(self) -> list[str]:
        """The blobs nobody reads after they were last written (an in-place layer reads what it writes), in order."""
        last_read, last_written = {}, {}
        for index, layer in enumerate(self.layers):
            last_read.update(dict.fromkeys(layer.bottoms, index))
            last_written.update(dict.fromkeys(layer.tops, index))
        tops = dict.fromkeys(name for layer in self.layers for name in layer.tops)
        return [name for name in tops if name not in self.silenced and last_read.get(name, -1) <= last_written[name]]


def inference_net(net: Net) -> InferenceNet:
    """The part of `net` that runs in the TEST phase.

    Raises InputError when a layer reads a blob that nothing makes.
    """
    here = [layer for layer in net.layers if _included(layer, net.message.state)]
    sources = data_layers(net)
    computing = _without_losses([layer for layer in here if not _is_data(layer)])
    inputs = dict(net.inputs)
    for layer in sources:
        for position, blob in enumerate(layer.tops):
            if blob not in inputs and not (position and layer.type in _ONE_LABEL):
                inputs[blob] = _declared_shape(layer, position)
    labels = {top for layer in sources for top in layer.tops} - set(inputs)
    computing = _without_splits(_without_readers_of(labels, computing))
    read = {name for layer in computing for name in layer.bottoms}
    inputs = {name: shape for name, shape in inputs.items() if name in read}
    _check_every_blob_is_made(computing, inputs)
    silenced = {name for layer in here if layer.type == "Silence" for name in layer.bottoms}
    return InferenceNet(net.name, computing, inputs, sources, silenced)


def data_layers(net: Net) -> list[Layer]:
    """The layers that feed it, those of the test phase first."""
    here = [layer for layer in net.layers if _is_data(layer) and _included(layer, net.message.state)]
    return here + [layer for layer in net.layers if _is_data(layer) and layer not in here]


def _is_data(layer: Layer) -> bool:
    return layer.type in DATA_TYPES or (layer.type == "Python" and not layer.bottoms)


def _included(layer: Layer, state: Any) -> bool:
    include, exclude = layer.message.include, layer.message.exclude
    if include:
        return any(_meets(rule, state) for rule in include)
    return not any(_meets(rule, state) for rule in exclude)


def _meets(rule: Any, state: Any) -> bool:
    """Caffe's NetStateRule: every condition that is given must hold."""
    if rule.HasField("phase") and rule.phase != _TEST:
        return False
    if rule.HasField("min_level") and state.level < rule.min_level:
        return False
    if rule.HasField("max_level") and state.level > rule.max_level:
        return False
    stages = set(state.stage)
    return stages >= set(rule.stage) and not stages & set(rule.not_stage)


def _without_losses(layers: list[Layer]) -> list[Layer]:
    kept: list[Layer] = []
    for layer in layers:
        if layer.type in _LOSS_BECOMES and layer.bottoms:
            kept += _probability(layer, layers)
        elif not (layer.type.endswith("Loss") or layer.type in _DROPPED):
            kept.append(layer)
    return kept


def _probability(loss: Layer, layers: list[Layer]) -> list[Layer]:
    """The layer that gives the loss its probabilities, unless the net already has one there."""
    kind, scores = _LOSS_BECOMES[loss.type], loss.bottoms[0]
    if any(other.type == kind and other.bottoms == [scores] for other in layers):
        return []
    taken = {top for layer in layers for top in layer.tops}
    top = "prob" if "prob" not in taken and _is_only(loss, layers) else f"{scores}_prob"
    return [replace(loss, type=kind, bottoms=[scores], tops=[top], blobs=[])]


def _is_only(loss: Layer, layers: Iterable[Layer]) -> bool:
    return sum(layer.type == loss.type for layer in layers) == 1


def _without_readers_of(missing: set[str], layers: list[Layer]) -> list[Layer]:
    """Layers without those that only work on labels, directly or not."""
    kept = []
    missing = set(missing)
    for layer in layers:
        if layer.bottoms and missing & set(layer.bottoms):
            missing |= set(layer.tops)
        else:
            kept.append(layer)
    return kept


def _without_splits(layers: list[Layer]) -> list[Layer]:
    """Readers of a Split's tops read its bottom instead; Caffe puts one wherever a blob has several readers.

    Tops that nobody reads are outputs and keep their Split.
    """
    read = {blob for layer in layers for blob in layer.bottoms}
    same: dict[str, str] = {}  # top of a Split -> what it copies
    kept = []
    for layer in layers:
        bottoms = [same.get(blob, blob) for blob in layer.bottoms]
        tops = layer.tops
        if layer.type == "Split" and bottoms:
            same.update(dict.fromkeys(tops, bottoms[0]))
            tops = [blob for blob in tops if blob not in read]
        else:
            for blob in tops:  # written anew, in place say: no copy any more
                same.pop(blob, None)
        if tops:
            kept.append(replace(layer, bottoms=bottoms, tops=tops))
    return kept


def _declared_shape(layer: Layer, position: int) -> tuple[int, ...]:
    """What a data layer itself says of one of its tops; () when it does not."""
    kind = layer.type
    if kind == "Input":
        return _nth_shape(layer.param("input_param").shape, position)
    if kind == "DummyData":
        given = layer.param("dummy_data_param")
        if given.shape:
            return _nth_shape(given.shape, position)
        sides = (given.num, given.channels, given.height, given.width)
        return tuple(side[min(position, len(side) - 1)] for side in sides) if all(sides) else ()
    if kind == "MemoryData":
        given = layer.param("memory_data_param")
        return (given.batch_size, given.channels, given.height, given.width) if given.height else ()
    return ()


def _nth_shape(shapes: Any, position: int) -> tuple[int, ...]:
    """One shape may stand for all tops."""
    return tuple(shapes[min(position, len(shapes) - 1)].dim) if shapes else ()


def _check_every_blob_is_made(layers: list[Layer], inputs: dict[str, tuple[int, ...]]) -> None:
    made = set(inputs)
    for layer in layers:
        for blob in layer.bottoms:
            if blob not in made:
                raise InputError(
                    f"layer {layer.name} ({layer.type}) reads the blob {blob}, which no layer before it makes "
                    "and no input declares; a prototxt for deployment is expected (give it with --companion)"
                )
        made.update(layer.tops)
