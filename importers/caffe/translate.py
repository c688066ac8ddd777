"""The network at test time, layer by layer, to ONNX."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import onnx

from ..errors import InputError
from ..graph_builder import Dim, GraphBuilder
from .inference_net import InferenceNet
from .input_sizes import Shape, complete_inputs, sides_to_try, with_side
from .layer_writer import BATCH, FixedBatchNeeded, LayerWriter
from .layers import layer_functions
from .reader import Layer

_ROI_LAYERS = {"ROIPooling": 1, "PSROIPooling": 1, "BatchReindex": 1}  # type -> bottom that is a list of any length
_IMAGE_SIDES = {2: "height", 3: "width"}


def translate(net: InferenceNet) -> onnx.ModelProto:
    """The network as ONNX, its batch dynamic unless a layer depends on it as a number.

    Raises InputError when weights do not fit or the graph is inconsistent.
    """
    inputs = complete_inputs(net)
    for side in sides_to_try(net, inputs):
        try:
            return _with_any_batch(net, with_side(inputs, side))
        except InputError:
            continue
    return _with_any_batch(net, inputs)


def _with_any_batch(net: InferenceNet, inputs: Mapping[str, Shape]) -> onnx.ModelProto:
    try:
        return _translate(net, _dynamic(net, inputs), next(iter(inputs.values()), (None,))[0])
    except FixedBatchNeeded:
        return _translate(net, {blob: _named(blob, shape) for blob, shape in inputs.items()}, None)


def _dynamic(net: InferenceNet, inputs: Mapping[str, Shape]) -> dict[str, tuple[Dim, ...]]:
    """Inputs that count images share one dynamic dimension; lists of regions have their own."""
    lists = {
        layer.bottoms[_ROI_LAYERS[layer.type]]
        for layer in net.layers
        if layer.type in _ROI_LAYERS and len(layer.bottoms) > 1
    }
    images = next((shape[0] for blob, shape in inputs.items() if blob not in lists), None)
    dynamic: dict[str, tuple[Dim, ...]] = {}
    for blob, shape in inputs.items():
        fixed = _named(blob, shape)
        if blob in lists:
            dynamic[blob] = (f"{blob}_count", *fixed[1:])
        else:
            dynamic[blob] = (BATCH, *fixed[1:]) if shape[0] == images else fixed
    return dynamic


def _named(blob: str, shape: Shape) -> tuple[Dim, ...]:
    return tuple(_IMAGE_SIDES.get(axis, f"{blob}_{axis}") if dim is None else dim for axis, dim in enumerate(shape))


def _translate(net: InferenceNet, inputs: Mapping[str, tuple[Dim, ...]], declared_batch: int | None) -> onnx.ModelProto:
    blobs = {*inputs, *(name for layer in net.layers for name in layer.tops)}
    graph = GraphBuilder(net.name, reserved=blobs)
    current = {blob: graph.input(blob, shape) for blob, shape in inputs.items()}
    names = output_names(net)
    functions = layer_functions()
    masks: dict[str, str] = {}
    for layer in net.layers:
        outputs = next(names)
        writer = LayerWriter(layer, graph, [current[blob] for blob in layer.bottoms], outputs, declared_batch, masks)
        try:
            functions[layer.type](writer)
        except (ValueError, ArithmeticError, IndexError, KeyError, MemoryError) as error:
            if isinstance(error, InputError):
                raise
            shapes = ", ".join(str(list(graph.shape(tensor))) for tensor in writer.inputs if tensor in graph)
            raise writer.error(f"does not fit its inputs of shape {shapes} ({error})") from error
        current.update(zip(layer.tops, outputs, strict=True))
    if not inputs:
        raise InputError("the network has no input: none of its layers reads a blob that comes from outside")
    try:
        return graph.finish([current[blob] for blob in net.outputs])
    except ValueError as error:
        raise InputError(f"the Caffe network {net.name or ''} does not make a consistent graph: {error}") from error


def output_names(net: InferenceNet) -> Iterator[list[str]]:
    """For each layer the tensors its tops become: a blob's name goes to the last layer that writes it.

    Earlier values are called BLOB_before_LAYER, after the layer that changes them in place. A graph input keeps its
    name whatever happens to it later.
    """
    writers: dict[str, list[Layer]] = {}
    for layer in net.layers:
        for blob in layer.tops:
            writers.setdefault(blob, []).append(layer)
    for layer in net.layers:
        yield [_tensor_name(blob, layer, writers[blob], blob in net.inputs) for blob in layer.tops]


def _tensor_name(blob: str, layer: Layer, writers: list[Layer], is_input: bool) -> str:
    if is_input:
        return f"{blob}_after_{layer.name}"
    later = writers[writers.index(layer) + 1 :]
    return f"{blob}_before_{later[0].name}" if later else blob
